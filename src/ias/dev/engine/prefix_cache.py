"""The prefix cache: whole blocks of tokens, each known by the salt and by all that comes before it."""

from ias.dev.engine.tokens import BYTES_PER_TOKEN


class PrefixCache:
    """Least recently used blocks go first.

    Attributes:
        block: tokens of a block.
        capacity: blocks kept.
        queries: prompt tokens looked for so far.
        hits: prompt tokens found so far.
    """

    def __init__(self, block: int = 16, capacity: int = 65_536) -> None:
        self.block = block
        self.capacity = capacity
        self.queries = 0
        self.hits = 0
        self._blocks: dict[int, None] = {}

    def reuse(self, prompt: bytes, salt: str) -> tuple[int, int]:
        """Look a prompt up, and keep it. Returns the tokens found and those newly kept, both in whole blocks.

        The last token of a prompt is always computed, so it is never found.
        """
        keys = self._keys(prompt, salt)
        most = max(0, len(prompt) // BYTES_PER_TOKEN - 1) // self.block
        known = 0
        while known < len(keys) and keys[known] in self._blocks:
            known += 1
        self._keep(keys)
        found = min(known, most) * self.block
        self.queries += len(prompt) // BYTES_PER_TOKEN
        self.hits += found
        return found, (len(keys) - known) * self.block

    def clear(self) -> None:
        """Forget everything."""
        self._blocks.clear()
        self.queries = self.hits = 0

    def __len__(self) -> int:
        return len(self._blocks)

    def _keys(self, prompt: bytes, salt: str) -> list[int]:
        size = self.block * BYTES_PER_TOKEN
        key, keys = hash(salt), []
        for at in range(0, len(prompt) - size + 1, size):
            key = hash((key, prompt[at : at + size]))
            keys.append(key)
        return keys

    def _keep(self, keys: list[int]) -> None:
        blocks = self._blocks
        # Last block first: a chain is of no use without its beginning, which therefore goes last.
        for key in reversed(keys):
            blocks.pop(key, None)
            blocks[key] = None
        while len(blocks) > self.capacity:
            del blocks[next(iter(blocks))]
