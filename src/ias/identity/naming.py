"""How names and addresses are cleaned and compared: case and Unicode twins are the same."""

import re
import unicodedata

from ias.problems import FieldError, Problem

MAX_NAME = 100
MAX_ADDRESS = 254

_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]+")


class BadName(Problem):
    """A name or address that cannot be taken."""

    title = "Bad name"


def folded(text: str) -> str:
    """What is compared: compatibility forms and case taken away."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def clean_name(text: str, pointer: str) -> str:
    """The name without surrounding space.

    Raises:
        BadName: it is empty, too long, or has control or direction marks in it; `pointer` says which field.
    """
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise _bad(pointer, f"must be 1 to {MAX_NAME} characters long")
    if not _printable(name):
        raise _bad(pointer, "must not have control characters, line breaks or direction marks in it")
    return name


def clean_address(text: str, pointer: str) -> str:
    """The e-mail address without surrounding space.

    Raises:
        BadName: it is not an address; `pointer` says which field.
    """
    address = text.strip()
    if len(address) > MAX_ADDRESS or not _ADDRESS.fullmatch(address) or not _printable(address):
        raise _bad(pointer, "must be an e-mail address such as ada@example.org")
    return address


def _printable(text: str) -> bool:
    return not any(unicodedata.category(character).startswith(("C", "Zl", "Zp")) for character in text)


def _bad(pointer: str, detail: str) -> BadName:
    return BadName(f"{pointer.removeprefix('/')}: {detail}", (FieldError(pointer, detail),))
