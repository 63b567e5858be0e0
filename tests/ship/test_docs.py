"""Pages keep to what there is: links, anchors, commands, tests; and the site asks nobody but itself."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from ias.cli import ias, ias_admin
from scripts.manual import staging
from scripts.manual.__main__ import DOCS, committed
from tests.ship.tools import ROOT, tool

PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
_FENCE = re.compile(r"^( *)(```+)(.*?)\n(.*?)^\1\2$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]*)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_MACHINE = re.compile(r"(?<![\w.…/])/(?:work|root|opt|home)/\S*")
_ROW = re.compile(r"`(tests/\S+\.py)::(\w+)` \|$", re.MULTILINE)
PROGRAMS = {"ias": ias, "ias-admin": ias_admin}


@cache
def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", page.read_text())


@cache
def anchors(page: Path) -> frozenset[str]:
    """What a page's headings are called by links; by the site's rule, and by that of repository hosts."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
        found |= {re.sub(r"[-\s]+", "-", plain), plain.replace(" ", "-")}
    return frozenset(found)


def commands(page: Path) -> Iterator[str]:
    """Every command that a page names: lines of blocks for a shell, and code within a line."""
    for _, _, language, text in _FENCE.findall(page.read_text()):
        if language.strip() in {"sh", "bash", "console"}:
            yield from re.sub(r"\\\n\s*", " ", text).splitlines()
    yield from _CODE.findall(prose(page))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: there is no such file"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_page_names_languages_of_its_blocks_and_nothing_of_a_machine(page: Path) -> None:
    text = page.read_text()
    assert [opening for _, _, opening, _ in _FENCE.findall(text) if not opening.strip()] == []
    assert _MACHINE.findall(text) == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    for said in commands(page):
        for command in re.split(r"&&|\|\||[|;]|\$\(|\)", said):
            words = _words(command)
            assert _wrong(words) == "", f"`{said}`"


def _words(command: str) -> list[str]:
    """The words of a command; without variables that are set before it, and without what runs it."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:  # a quotation that goes on elsewhere
        words = command.split()
    while words and (re.fullmatch(r"\w+=.*", words[0]) or words[0] in {"until", "exec", "then", "do"}):
        words = words[1:]
    if words:
        words[0] = words[0].removeprefix(".venv/bin/")
    return words


def _wrong(words: list[str]) -> str:
    """What is wrong with a command of ours; empty for others', and where nothing is."""
    match words:
        case ["make", *targets]:
            missing = [one for one in targets if re.fullmatch(r"[a-z]+", one) and one not in _targets()]
            return f"make has no {missing}" if missing else ""
        case ["nox", "-s" | "--session", session, *_]:
            return "" if re.sub(r"\W+$", "", session) in _sessions() else f"nox has no {session}"
        case [("ias" | "ias-admin") as program, *rest] if rest:
            return _unknown(PROGRAMS[program], rest)
    return ""


def _unknown(command: click.Command, words: list[str]) -> str:
    """The first word that the command does not know."""
    context = click.Context(command)
    while words and isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        found = command.get_command(context, words[0])
        if found is None:
            return f"{command.name} has no {words[0]}"
        command, words = found, words[1:]
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}
    unknown = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return next((f"{command.name} has no {word}" for word in unknown if word not in known), "")


@cache
def _targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def _sessions() -> frozenset[str]:
    return frozenset(re.findall(r"^@nox\.session\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE))


def test_every_threat_is_held_by_a_test_that_exists() -> None:
    held = _ROW.findall((DOCS / "security.md").read_text())
    assert len(held) > 25
    for file, name in held:
        assert re.search(rf"def {name}\(", (ROOT / file).read_text()), f"{file}::{name}"


def test_every_alert_and_metric_that_a_runbook_names_is_there() -> None:
    rules = "".join(file.read_text() for file in (ROOT / "deploy/observability/rules").glob("*.yaml"))
    metrics = set(re.findall(r"\b(?:ias|gen_ai)_\w+", (DOCS / "metrics.md").read_text()))
    named = ""
    for page in sorted((DOCS / "runbooks").glob("*.md")):
        text = page.read_text()
        named += text
        for alert in re.findall(r"`(Ias[A-Z]\w+)`", text):
            assert f"alert: {alert}\n" in rules, f"{page.name}: {alert}"
        for metric in re.findall(r"`((?:ias|gen_ai)_\w+)", text):
            assert metric in {"ias_app", "ias_restored"} | metrics, f"{page.name}: {metric}"
    sent_here = re.findall(r"alert: (\w+)(?:(?!alert:).)*?runbook_url: \S*/docs/runbooks/", rules, re.DOTALL)
    assert [alert for alert in sent_here if f"`{alert}`" not in named] == []


@pytest.mark.parametrize("name", sorted(committed()))
def test_what_is_made_of_code_is_what_the_code_makes(name: str) -> None:
    assert (DOCS / name).read_bytes() == committed()[name], "run `.venv/bin/nox -s manual`"


def test_the_bench_files_and_commits_that_sizing_names_are_those_there_are() -> None:
    for file, commit in re.findall(r"`(\w+\.json)`, `([0-9a-f]{7})`", (DOCS / "sizing.md").read_text()):
        assert f'"{commit}' in (ROOT / "bench/results" / file).read_text(), f"{file} was measured anew"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the site is built of, and the site."""
    place = tmp_path_factory.mktemp("manual") / "pages"
    staging.stage(DOCS, place)
    made = tool("zensical", "build", "--strict", f"--config-file={place}/zensical.toml")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "No issues found" in made.stdout + made.stderr, made.stdout + made.stderr
    return place


def test_every_page_stands_in_the_navigation_once(place: Path) -> None:
    listed = list(_listed(tomllib.loads((place / "zensical.toml").read_text())["project"]["nav"]))
    there = [page.relative_to(place / "docs").as_posix() for page in (place / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(there)


def _listed(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for each in nav.values():
            yield from _listed(each)
    elif isinstance(nav, list):
        for each in nav:
            yield from _listed(each)


def test_no_page_of_the_site_loads_anything_from_elsewhere(place: Path) -> None:
    pages = [*(place / "site").rglob("*.html")]
    assert len(pages) > 60
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe|source|video)\b[^>]*\bsrc=[\"']?([^\"'\s>]+)", text)
        loaded += re.findall(r"<link\b(?![^>]*rel=[\"']?(?:canonical|prev|next))[^>]*\bhref=[\"']?([^\"'\s>]+)", text)
        assert [url for url in loaded if re.match(r"(?:https?:)?//", url)] == [], page
    for sheet in (place / "site").rglob("*.css"):
        assert re.findall(r"(?:url\([\"']?|@import [\"'])(?:https?:)?//[^)]*", sheet.read_text()) == [], sheet
