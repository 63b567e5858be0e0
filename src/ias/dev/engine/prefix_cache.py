"""The prefix cache: whole blocks of tokens, keyed by the salt and by all that comes before them."""

import hashlib
from collections import OrderedDict

from ias.dev.engine.tokens import BYTES_PER_TOKEN


class PrefixCache:
    """Least recently used blocks go first. `block` is in tokens, `capacity` in blocks."""

    def __init__(self, block: int = 16, capacity: int = 65_536) -> None:
        self.block = block
        self.queries = 0
        self.hits = 0
        self._capacity = capacity
        self._blocks: OrderedDict[bytes, None] = OrderedDict()

    def reuse(self, prompt: str, salt: str, tokens: int) -> tuple[int, int]:
        """Tokens of a prompt found in the cache, and those put into it. The last token is always computed."""
        keys = self._keys(prompt, salt, max(0, tokens - 1) // self.block)
        found = 0
        while found < len(keys) and keys[found] in self._blocks:
            found += 1
        for key in keys:
            self._blocks[key] = None
            self._blocks.move_to_end(key)
        while len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)
        self.queries += tokens
        self.hits += found * self.block
        return found * self.block, (len(keys) - found) * self.block

    def clear(self) -> None:
        """Forget everything."""
        self._blocks.clear()

    def _keys(self, prompt: str, salt: str, most: int) -> list[bytes]:
        raw, size = prompt.encode(), self.block * BYTES_PER_TOKEN
        key, keys = salt.encode(), []
        for at in range(0, min(len(raw) // size, most) * size, size):
            key = hashlib.sha256(key + raw[at : at + size]).digest()
            keys.append(key)
        return keys
