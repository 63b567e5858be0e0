"""Which of the finds are worth a place in the tree: the small ones that take a branch which nothing kept takes."""

from collections.abc import Callable
from pathlib import Path

import coverage

SMALL = 512
Branch = tuple[str, tuple[int, int]]


def keep(target: Callable[[bytes], None], corpus: Path, finds: Path) -> int:
    """Copy them to the corpus. Answers how many they are."""
    known: set[Branch] = set()
    for path in sorted(corpus.iterdir()):
        known |= _taken(target, path.read_bytes())
    kept = 0
    for path in sorted(finds.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        data = path.read_bytes()
        if len(data) > SMALL:
            break
        taken = _taken(target, data)
        if not taken <= known:
            known |= taken
            kept += 1
            (corpus / f"find-{path.name[:12]}").write_bytes(data)
    return kept


def _taken(target: Callable[[bytes], None], data: bytes) -> set[Branch]:
    """The branches that an input takes."""
    watch = coverage.Coverage(
        data_file=None, config_file=False, branch=True, source_pkgs=["ias_gateway", "ias.gitops.documents"]
    )
    watch.set_option("run:disable_warnings", ["module-not-measured"])
    watch.start()
    target(data)
    watch.stop()
    seen = watch.get_data()
    return {(name, arc) for name in seen.measured_files() for arc in seen.arcs(name) or ()}
