"""A policy as its file has it: `orgs/<name>/org.yaml`. What a file does not name, Git does not manage."""

from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ias.billing.values import Mode, Rate, TokenRate, Tokens

MOST_TAGS: Final = 50

Text = Annotated[str, Meta(max_length=1000)]
Short = Annotated[str, Meta(min_length=1, max_length=100)]
Percent = Annotated[int, Meta(ge=1, le=100)]


class GivenRole(StrEnum):
    """The roles that a file can give. Nobody becomes a system admin by one."""

    ORG_ADMIN = "org-admin"
    ORG_USER = "org-user"


class Metadata(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who this is about. `name` is the organisation's and that of the file's folder."""

    name: Short
    description: Annotated[Text, Meta(description="What the organisation is for.")] | UnsetType = UNSET
    cost_center: Annotated[Text, Meta(description="Whom its use is charged to.")] | UnsetType = UNSET
    tags: Annotated[dict[Short, Text], Meta(max_length=MOST_TAGS, description="Names and values.")] | UnsetType = UNSET


class BudgetWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tokens a month (UTC); null is none."""

    monthly_tokens: Annotated[Tokens | None, Meta(description="Of all members together.")] | UnsetType = UNSET
    user_monthly_tokens: (
        Annotated[Tokens | None, Meta(description="Of each member without a limit of their own.")] | UnsetType
    ) = UNSET


class UserWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member. Who has no account yet is invited."""

    email: Annotated[str, Meta(max_length=254, description="Their e-mail address.")]
    role: Annotated[GivenRole, Meta(description="What they may do.")] = GivenRole.ORG_USER
    monthly_token_limit: (
        Annotated[Tokens | None, Meta(description="Tokens a month; null is none, left out is the organisation's rule.")]
        | UnsetType
    ) = UNSET


class RatesWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast and how many at once, of the organisation and of each member; null is none."""

    requests_per_second: Rate | UnsetType | None = UNSET
    burst: Rate | UnsetType = UNSET
    tokens_per_minute: TokenRate | UnsetType | None = UNSET
    concurrency: Rate | UnsetType | None = UNSET
    user_requests_per_second: Rate | UnsetType | None = UNSET
    user_burst: Rate | UnsetType = UNSET
    user_tokens_per_minute: TokenRate | UnsetType | None = UNSET
    user_concurrency: Rate | UnsetType | None = UNSET
    min_output_tokens: Rate | UnsetType = UNSET
    max_output_tokens: Rate | UnsetType | None = UNSET
    mode: Mode | UnsetType = UNSET


class ThresholdWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alert is raised when so much of a budget is used."""

    percent: Percent


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy itself."""

    budgets: BudgetWanted | UnsetType = UNSET
    users: Annotated[list[UserWanted], Meta(description="All members: who is not here is removed.")] | UnsetType = UNSET
    rate_limits: RatesWanted | UnsetType = UNSET
    allowed_models: (
        Annotated[list[Short] | None, Meta(description="The models that may be called; null is every model.")]
        | UnsetType
    ) = UNSET
    alert_thresholds: Annotated[list[ThresholdWanted], Meta(min_length=1, max_length=10)] | UnsetType = UNSET


class Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"api_version": "apiVersion"}
):
    """An organisation's policy."""

    api_version: Literal["ias.linode.com/v1"]
    kind: Literal["Organization"]
    metadata: Metadata
    spec: Spec
