"""What fuzzing started from, and what it found, is read as it should be. No fuzzer is needed for this."""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
INPUTS = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=[str(path.relative_to(CORPUS)) for path in INPUTS])
def test_every_kept_input_is_read_without_fault(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_inputs_and_survives_what_is_none(name: str) -> None:
    assert any(path.parent.name == name for path in INPUTS)
    for junk in (b"", b"\0", b"\xff" * 50, bytes(range(256))):
        TARGETS[name](junk)
