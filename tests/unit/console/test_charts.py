"""Where the parts of charts lie."""

from hypothesis import given
from hypothesis import strategies as st

from ias.console.charts import OTHERS, SERIES, sparkline, stacked


def test_bars_stand_on_one_another_and_the_largest_series_is_below() -> None:
    made = stacked(["Mon", "Tue"], {"small": [1, 0], "large": [2, 4]}, width=100, height=40)
    assert made.names == ("large", "small")
    first, second = made.columns
    assert [(bar.name, bar.y, bar.height) for bar in first.bars] == [("large", 20, 20), ("small", 10, 10)]
    assert [(bar.name, bar.height, bar.y) for bar in second.bars] == [("large", 40, 0)]
    assert (first.total, second.total) == (3, 4)
    assert first.x + first.width < second.x


def test_lines_across_are_quarters_of_a_round_number() -> None:
    made = stacked(["a"], {"x": [73]}, height=100)
    assert [tick.value for tick in made.ticks] == [0, 20, 40, 60, 80]
    assert [tick.y for tick in made.ticks] == [100, 75, 50, 25, 0]


def test_series_beyond_the_colours_are_told_together() -> None:
    made = stacked(["a"], {f"m{number}": [number] for number in range(1, SERIES + 3)})
    assert len(made.names) == SERIES
    assert made.names[-1] == OTHERS
    assert made.columns[0].total == sum(range(1, SERIES + 3))
    assert made.columns[0].bars[-1].value == 1 + 2 + 3


def test_nothing_used_is_a_chart_without_bars() -> None:
    assert stacked(["a", "b"], {"x": [0, 0]}).columns[0].bars == ()
    assert stacked(["a"], {}).columns[0].total == 0
    assert stacked([], {}).columns == ()


@given(st.lists(st.lists(st.integers(0, 10**15), min_size=3, max_size=3), min_size=1, max_size=12))
def test_no_bar_leaves_the_chart_and_nothing_is_lost(values: list[list[int]]) -> None:
    made = stacked(["a", "b", "c"], {str(number): row for number, row in enumerate(values)})
    for place, column in enumerate(made.columns):
        assert column.total == sum(row[place] for row in values)
        for bar in column.bars:
            assert -0.05 <= bar.y <= made.height
            assert bar.y + bar.height <= made.height + 0.05
            assert 0 <= bar.x <= bar.x + bar.width <= made.width


def test_a_line_goes_through_every_value_and_needs_two() -> None:
    assert sparkline([0, 10, 5], width=100, height=22) == "0.0,21.0 50.0,1.0 100.0,11.0"
    assert sparkline([0, 0], width=10, height=10) == "0.0,9.0 10.0,9.0"
    assert sparkline([1]) == ""
