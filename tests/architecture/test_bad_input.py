"""What docs/bad-input.md says of tests: they are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = [line for line in (ROOT / "docs/bad-input.md").read_text().splitlines() if line.startswith("| ")][2:]


def test_every_row_of_bad_input_is_held_by_a_test_that_exists() -> None:
    assert len(ROWS) > 30
    for row in ROWS:
        held = re.search(r"`(tests/\S+\.py)::(test_\w+)` \|$", row)
        assert held, row
        source = (ROOT / held[1]).read_text()
        assert re.search(rf"def {held[2]}\(", source), row
