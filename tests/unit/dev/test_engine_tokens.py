"""The mock tokenizer and the words it makes up."""

from hypothesis import given
from hypothesis import strategies as st

from ias.dev.engine import tokens

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


@given(texts)
def test_a_text_has_a_token_for_each_four_bytes_begun(text: str) -> None:
    assert tokens.count(text) == len(tokens.ids(tokens.ink(text))) == -(-len(text.encode()) // 4)


@given(texts)
def test_tokens_give_their_text_back(text: str) -> None:
    assert tokens.text_of(tokens.ids(tokens.ink(text))) == text


@given(st.lists(st.integers(0, tokens.VOCABULARY - 1), max_size=20))
def test_ids_survive_being_inked(given_ids: list[int]) -> None:
    assert tokens.ids(tokens.ink_of(given_ids)) == given_ids


@given(
    st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), texts), min_size=1, max_size=8), texts
)
def test_a_chat_never_costs_more_than_the_gateway_reserves(messages: list[tuple[str, str]], tools: str) -> None:
    reserved = sum(len(text.encode()) + 8 for _, text in messages) + len(tools.encode())
    assert len(tokens.chat_ink(messages, tools.encode())) // 4 <= reserved


def test_a_chat_costs_four_tokens_a_message_and_two_for_the_beginning_of_the_answer() -> None:
    inked = tokens.chat_ink([("system", "be kind"), ("user", "hello")], b"")
    assert len(inked) // 4 == 2 + (4 + 2) + (4 + 2)
    assert len(tokens.chat_ink([("user", "hello")], b"", priming=False)) // 4 == 4 + 2


def test_the_same_prompt_gets_the_same_words_and_another_gets_others() -> None:
    hello = tokens.words(tokens.ink("hello"), 0, 30)
    assert hello == tokens.words(tokens.ink("hello"), 0, 30)
    assert hello[:10] == tokens.words(tokens.ink("hello"), 0, 10)
    assert hello != tokens.words(tokens.ink("hallo"), 0, 30)
    assert hello != tokens.words(tokens.ink("hello"), 1, 30)


def test_words_are_as_many_tokens_as_they_were_made_of_however_many_there_are() -> None:
    said = tokens.words(b"", 0, 20_000)
    assert len(said) == tokens.count(b"".join(said).decode()) == 20_000


def test_ids_beyond_the_vocabulary_say_nothing() -> None:
    assert tokens.text_of([tokens.VOCABULARY, -1, *tokens.ids(tokens.ink("ok"))]) == "ok"
