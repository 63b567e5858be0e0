"""What git, ssh and hosts say when a repository cannot be had, as one sentence that says what to do."""

from typing import Final

_LONGEST: Final = 300
_BEGIN: Final = ("fatal:", "error:", "remote:", "ssh:")
_TOKEN: Final = "the host wants a token, or another one; enable Git again with one that may read the repository"  # noqa: S105 - a sentence
_OTHER_HOST: Final = "the host has another key than the known one; if the host's was changed, enable Git again with it"
_NO_HOST: Final = "the host's key is not among the known hosts; once you know that it is the host's, enable Git with it"
_KEY: Final = "the host does not take the key; let its public half read the repository, or enable Git with another one"
_MEANINGS: Final = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", _OTHER_HOST),
    ("Host key verification failed", _NO_HOST),
    ("Permission denied (", _KEY),
    ("could not read Username", _TOKEN),
    ("Authentication failed", _TOKEN),
)
"""What they say, and what it means; the first that is found counts."""


def told(code: int, err: bytes) -> str:
    """The sentence for a git that ended with this code, and said this."""
    text = err.decode("utf-8", "replace")
    meant = next((meaning for said, meaning in _MEANINGS if said in text), None)
    if meant is not None:
        return meant
    lines = [line for line in text.splitlines() if line.startswith(_BEGIN)]
    said = (lines or text.splitlines() or [f"git ended with {code}"])[0]
    return "".join(char if char.isprintable() else " " for char in said)[:_LONGEST]
