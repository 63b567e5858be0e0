"""Reports of what the policy kept out: a few a minute are logged, however many come."""

from ias.console.files import Few


def test_a_few_reports_a_minute_are_let_through_and_the_next_one_says_how_many_were_left_out() -> None:
    few = Few(2)
    assert [few.let(second) for second in (0, 1, 2, 59.9)] == [0, 0, None, None]
    assert [few.let(second) for second in (60, 61, 62)] == [2, 0, None]
    assert few.let(600) == 1
