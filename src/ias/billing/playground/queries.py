"""Which models the playground offers."""

import msgspec

from ias.billing.catalogue import queries
from ias.billing.catalogue.domain import Model
from ias.identity import Permission, Principal
from ias.paging import MAX_LIMIT


async def offered(principal: Principal) -> list[Model]:
    """The models that members of the caller's organisation may call, by name; two hundred of them at most."""
    member = msgspec.structs.replace(principal, permissions=frozenset({Permission.MODELS_READ}))
    page = await queries.listed(member, None, MAX_LIMIT)
    return sorted(page.items, key=lambda model: model.name.casefold())
