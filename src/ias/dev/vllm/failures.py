"""What a package installer's output means: one sentence that says what to do."""

import re

_DISK = re.compile(r"no space left|os error 28|errno 28|disk quota", re.IGNORECASE)
_NETWORK = re.compile(
    r"dns error|name resolution|error sending request|connection|unreachable|timed out|certificate|network was disab",
    re.IGNORECASE,
)
_NO_WHEEL = re.compile(r"because ([\w.-]+)(?:==\S+)? has no (?:usable )?wheels", re.IGNORECASE)
_UNKNOWN = re.compile(r"no solution found|not found in the package registry", re.IGNORECASE)


def explained(output: str, place: str) -> str:
    """Why vLLM was not installed under `place`."""
    if _DISK.search(output):
        return f"the disk under {place} is full: make room, or set XDG_CACHE_HOME to a roomier disk, then try again."
    if _NETWORK.search(output):
        return "the package index cannot be reached, and vLLM is not installed yet: check the network, then try again."
    if without := _NO_WHEEL.search(output):
        return f"there is no ready-made wheel of {without[1]} for this platform: run plain 'make up'."
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "it said nothing").strip()
    return f"vLLM could not be installed: {last}"


def lacks_torch(output: str) -> bool:
    """Whether the place that was asked does not have this release of torch."""
    return bool(_UNKNOWN.search(output)) and "torch" in output
