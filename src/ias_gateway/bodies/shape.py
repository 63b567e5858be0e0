"""What all bodies that callers send have in common. Not compiled, as `messages` is not."""

import msgspec


class Strict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Base of what callers send: an unknown field is an error, an absent one is not sent on."""
