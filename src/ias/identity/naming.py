"""How names and addresses are cleaned and compared: case and Unicode twins are the same."""

import re
import unicodedata

from ias.problems import FieldError, Problem

MAX_NAME = 100
MAX_ADDRESS = 254

_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]+")
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What Unicode lets nobody see (Default_Ignorable_Code_Point), but does not call a control or format character."""

_PATTERN = re.compile(r"[%_\\]")
_LITERAL = r"\\\g<0>"
"""What means something in a pattern of SQL, and what takes that from it."""


class BadName(Problem):
    """A name or address that cannot be taken."""

    title = "Bad name"


def folded(text: str) -> str:
    """What is compared: compatibility forms, case and what nobody sees taken away."""
    seen = _UNSEEN.sub("", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFKC", seen)


def containing(text: str) -> str:
    """The pattern of `ILIKE` for what has this text in it, in which nothing stands for anything else."""
    return f"%{_PATTERN.sub(_LITERAL, text)}%"


def clean_name(text: str, pointer: str) -> str:
    """The name without surrounding space.

    Raises:
        BadName: it is empty, too long, or has control or direction marks in it; `pointer` says which field.
    """
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise _bad(pointer, f"must be 1 to {MAX_NAME} characters long")
    if not folded(name).strip():
        raise _bad(pointer, "must have something in it that can be seen")
    if not _printable(name):
        raise _bad(pointer, "must not have control characters, line breaks or direction marks in it")
    return name


def clean_address(text: str, pointer: str) -> str:
    """The e-mail address without surrounding space.

    Raises:
        BadName: it is not an address; `pointer` says which field.
    """
    address = text.strip()
    plain = _printable(address) and not _UNSEEN.search(address)
    if len(address) > MAX_ADDRESS or not _ADDRESS.fullmatch(address) or not plain:
        raise _bad(pointer, "must be an e-mail address such as ada@example.org")
    return address


def _printable(text: str) -> bool:
    return not any(unicodedata.category(character).startswith(("C", "Zl", "Zp")) for character in text)


def _bad(pointer: str, detail: str) -> BadName:
    return BadName(f"{pointer.removeprefix('/')}: {detail}", (FieldError(pointer, detail),))
