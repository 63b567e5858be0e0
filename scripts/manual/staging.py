"""What the site is built of: docs/, with links to the rest of the repository, and pages of the APIs' documents."""

import re
import shutil
from pathlib import Path
from posixpath import normpath

import msgspec

from scripts.manual import events, routes

REPOSITORY = "https://github.com/your-org/ias/blob/main"
"""The one place that says where the repository is, for pages."""
_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)")


def stage(docs: Path, place: Path) -> None:
    """Make the place anew: the configuration, and a folder `docs`."""
    shutil.rmtree(place, ignore_errors=True)
    folder = place / "docs"
    shutil.copytree(docs, folder)
    shutil.copy(docs.parent / "zensical.toml", place)
    shutil.copy(docs.parent / "CHANGELOG.md", folder / "changelog.md")
    shutil.copy(docs.parent / "CONTRIBUTING.md", folder / "contributing.md")
    for page in folder.rglob("*.md"):
        base = page.parent.relative_to(folder).as_posix()
        at_root = page.name in {"changelog.md", "contributing.md"} and page.parent == folder
        page.write_text(_outward(page.read_text(), "." if at_root else f"docs/{base}", docs.parent))
    reference = folder / "reference"
    reference.mkdir()
    for name, document in (("management", "openapi.json"), ("gateway", "gateway-openapi.json")):
        for tag, text in routes.pages(msgspec.json.decode((docs / document).read_bytes())).items():
            (reference / (f"{tag}.md" if tag == name else f"{name}-{tag}.md")).write_text(text)
    (reference / "events.md").write_text(events.page())


def _outward(text: str, base: str, root: Path) -> str:
    """The page with links out of docs/ leading to the repository."""

    def led(found: re.Match[str]) -> str:
        place = normpath(f"{base}/{found[1]}")
        if place in {"CHANGELOG.md", "CONTRIBUTING.md"}:
            up = "../" * (base.count("/") if base.startswith("docs/") and base != "docs/." else 0)
            return f"{up}{place.lower()}"
        if place.startswith("docs/"):
            return found[1] if base != "." else place.removeprefix("docs/")
        return f"{REPOSITORY}/{place}" if (root / place).exists() else found[1]

    return _LINK.sub(led, text)
