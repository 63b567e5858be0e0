"""The running bytes-per-token ratio of each model."""

from hypothesis import given
from hypothesis import strategies as st

from ias.contract.admission import Ask
from ias_gateway.ratios import FIRST, KEEP, LEAST, MOST, Ratios


def ask(prompt: int, guess: int = 0, images: int = 0, model: str = "m") -> Ask:
    return Ask(model, prompt, 1, 10, "/v1/chat/completions", streamed=False, images=images, guess=guess)


def test_before_a_model_has_reported_anything_its_tokens_are_short() -> None:
    assert Ratios().guess(ask(1000)) == 1000 / FIRST + 1


def test_the_ratio_comes_near_to_what_a_model_reports_and_follows_it() -> None:
    ratios = Ratios()
    for _ in range(1000):
        ratios.learn(ask(4000), 1000)
    assert abs(ratios.of("m") - 4) < 0.01
    for _ in range(1000):
        ratios.learn(ask(3000), 1000)
    assert abs(ratios.of("m") - 3) < 0.01
    assert ratios.of("another") == FIRST


def test_one_odd_prompt_does_not_set_the_ratio() -> None:
    ratios = Ratios()
    ratios.learn(ask(100_000), 1)
    assert ratios.of("m") < FIRST * 2.1


def test_what_tells_nothing_of_bytes_is_not_learnt() -> None:
    ratios = Ratios()
    for useless in (ask(1000, images=1), ask(1000, guess=-1), ask(1000, guess=1000)):
        ratios.learn(useless, 10)
    ratios.learn(ask(1000), 0)
    assert ratios.of("m") == FIRST


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), max_size=30), st.integers(0, 10**7))
def test_a_guess_is_never_below_the_greatest_ratio_nor_much_above_the_bytes(
    seen: list[tuple[int, int]], prompt: int
) -> None:
    ratios = Ratios()
    for size, tokens in seen:
        ratios.learn(ask(size), tokens)
    assert LEAST <= ratios.of("m") <= MOST
    assert prompt / MOST <= ratios.guess(ask(prompt)) <= prompt / LEAST + 1
    assert 0 < KEEP < 1
