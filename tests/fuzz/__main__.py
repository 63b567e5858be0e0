"""`python -m tests.fuzz`: fuzzes every target for a while; what breaks one is put into the corpus, where tests find it.

libFuzzer's own finds are kept outside the tree, so that the next run goes on from them. `--keep` adds the small ones
that take a branch which nothing in the corpus of the tree takes.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import click

from tests.fuzz.keep import keep as keep_finds
from tests.fuzz.seeds import write_seeds
from tests.fuzz.targets import TARGETS
from tests.services.settings import SETTINGS

CORPUS = Path(__file__).with_name("corpus")
FINDS = SETTINGS.cache / "fuzz"
LONGEST = 4096
_RUNS = re.compile(rb"Done (\d+) runs|stat::number_of_executed_units: *(\d+)|^#(\d+)\s", re.MULTILINE)
_COVERED = re.compile(rb"\bcov: (\d+)")


@click.command()
@click.option("--seconds", type=click.IntRange(1), default=60, show_default=True, help="For each target.")
@click.option("--only", type=click.Choice(list(TARGETS)), multiple=True, help="This target; may be given again.")
@click.option("--keep", is_flag=True, help="Add what reaches more to the corpus of the tree.")
def main(seconds: int, only: tuple[str, ...], *, keep: bool) -> None:
    """Fuzz; exit code 1 where something broke."""
    write_seeds(CORPUS)
    broken = [name for name in only or TARGETS if not _fuzz(name, seconds)]
    if keep:
        for name in set(only or TARGETS) - set(broken):
            click.echo(f"{name}: kept {keep_finds(TARGETS[name], CORPUS / name, FINDS / name)} more")
    if broken:
        raise SystemExit(f"fuzz: broken: {', '.join(broken)}; pytest tests/fuzz shows how")


def _fuzz(name: str, seconds: int) -> bool:
    """Whether nothing broke."""
    finds, kept = FINDS / name, CORPUS / name
    finds.mkdir(parents=True, exist_ok=True)
    found = finds.with_name(f"{name}-broke-it")
    found.unlink(missing_ok=True)
    limits = (f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=10", "-rss_limit_mb=2048")
    done = _run(name, *limits, f"-exact_artifact_path={found}", "-print_final_stats=1", str(finds), str(kept))
    said = done.stdout + done.stderr
    runs = max((int(next(filter(None, match))) for match in _RUNS.findall(said)), default=0)
    covered = max(map(int, _COVERED.findall(said)), default=0)
    click.echo(f"{name:10} {runs:>9} runs   {covered:>5} branches   {len(list(finds.iterdir())):>5} finds", nl=False)
    if done.returncode == 0:
        click.echo("   ok")
        return True
    why = said.partition(b"=== Uncaught Python exception")[2] or said[-3000:]
    click.echo(f"   BROKEN\n{why.decode(errors='replace')[:3000]}")
    if found.exists():
        path = kept / f"broke-it-{hashlib.sha256(found.read_bytes()).hexdigest()[:12]}"
        path.write_bytes(found.read_bytes())
        click.echo(f"{name}: kept as {path.relative_to(CORPUS.parents[2])}")
    return False


def _run(name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    argv = (sys.executable, "-m", "tests.fuzz.one", name, *arguments)
    return subprocess.run(argv, capture_output=True)


if __name__ == "__main__":
    main()
