"""What the prefix cache finds: whole blocks, from the beginning, under the same salt."""

import pytest

from ias.dev.engine.prefix_cache import PrefixCache
from ias.dev.engine.tokens import ink

LONG = ink("a prompt of one hundred tokens. " * 13)[:400]


def test_the_second_time_a_prompt_is_found_in_whole_blocks() -> None:
    cache = PrefixCache(block=16)
    assert cache.reuse(LONG, "") == (0, 96)
    assert cache.reuse(LONG, "") == (96, 0)
    assert (cache.queries, cache.hits) == (200, 96)


def test_the_last_token_is_always_computed() -> None:
    cache = PrefixCache(block=25)
    cache.reuse(LONG, "")
    assert cache.reuse(LONG, "") == (75, 0)


def test_another_salt_finds_nothing() -> None:
    cache = PrefixCache()
    cache.reuse(LONG, "one")
    assert cache.reuse(LONG, "two") == (0, 96)
    assert cache.reuse(LONG, "")[0] == 0
    assert cache.reuse(LONG, "one")[0] == 96


def test_a_common_beginning_is_shared_and_a_common_end_is_not() -> None:
    cache = PrefixCache()
    cache.reuse(LONG, "")
    assert cache.reuse(LONG[:200] + b"x" * 200, "") == (48, 48)
    assert cache.reuse(b"x" * 4 + LONG[4:], "")[0] == 0


@pytest.mark.parametrize("size", [0, 4, 60])
def test_less_than_a_block_is_never_found(size: int) -> None:
    cache = PrefixCache()
    assert cache.reuse(LONG[:size], "") == cache.reuse(LONG[:size], "") == (0, 0)


def test_the_least_recently_used_blocks_go_and_of_a_prompt_its_end_goes_first() -> None:
    cache = PrefixCache(capacity=6)
    cache.reuse(LONG, "old")
    cache.reuse(LONG[:192], "new")
    assert len(cache) == 6
    assert cache.reuse(LONG[:192], "new")[0] == 32
    assert cache.reuse(LONG, "old")[0] == 48


def test_a_cleared_cache_finds_nothing() -> None:
    cache = PrefixCache()
    cache.reuse(LONG, "")
    cache.clear()
    assert (len(cache), cache.reuse(LONG, "")[0]) == (0, 0)
