"""The house as it was meant: what import-linter does not see."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "src").rglob("*.py"))
CONTEXTS = ("identity", "billing", "analytics", "gitops")
MAX_LINES = 250
GRAB_BAGS = {"utils", "helpers", "common", "core", "misc", "managers"}


def name(module: Path) -> str:
    return str(module.relative_to(ROOT))


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_module_is_short_and_opens_by_saying_what_it_is_for(module: Path) -> None:
    text = module.read_text()
    assert text.count("\n") <= MAX_LINES
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring
    assert len(docstring.splitlines()[0]) > 15


def test_the_root_of_the_monolith_is_one_docstring() -> None:
    tree = ast.parse((ROOT / "src/ias/__init__.py").read_text())
    assert len(tree.body) == 1
    assert ast.get_docstring(tree)


def test_the_gateway_starts_with_nothing_of_the_monolith_but_the_contract() -> None:
    code = "import sys, ias_gateway.app; print(*sorted(m for m in sys.modules if m.split('.')[0] == 'ias'))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded
    assert [module for module in loaded if module != "ias" and not module.startswith("ias.contract")] == []


def test_starting_the_gateway_loads_no_framework() -> None:
    code = "import sys, ias_gateway.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"litestar", "piccolo", "asyncpg", "redis", "starlette"}.isdisjoint(loaded)


@pytest.mark.parametrize("context", CONTEXTS)
def test_no_sql_of_a_context_names_another_ones_schema(context: str) -> None:
    others = "|".join(other for other in CONTEXTS if other != context)
    foreign = re.compile(
        rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE|REFERENCES)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?({others})\.", re.IGNORECASE
    )
    for file in [*(ROOT / "src/ias" / context).rglob("*.py"), *(ROOT / "migrations" / context).rglob("*.py")]:
        assert foreign.search(file.read_text()) is None, name(file)


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_face_is_imports_under_one_sentence(context: str) -> None:
    tree = ast.parse((ROOT / "src/ias" / context / "__init__.py").read_text())
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
    whole = [part for node in tree.body for part in (_branches(node) if isinstance(node, ast.If) else [node])]
    assert all(isinstance(statement, allowed) for statement in whole)


def _branches(opened: ast.If) -> list[ast.stmt]:
    """What type checkers read, and what gives the same at run time only when it is asked for."""
    assert ast.unparse(opened.test) == "TYPE_CHECKING"
    assert [ast.unparse(statement) for statement in opened.orelse] == ["__getattr__ = opened(__name__, __file__)"]
    return opened.body


def test_there_is_no_grab_bag() -> None:
    assert [name(module) for module in MODULES if {module.stem, module.parent.name} & GRAB_BAGS] == []


def test_migration_files_have_names_that_are_unique_over_all_contexts() -> None:
    files = [file.name for file in (ROOT / "migrations").rglob("[!_]*.py")]
    assert len(files) == len(set(files)) > 0


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=name)
def test_locks_carry_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "--hash=sha256:" in text


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b")
    assert [name(module) for module in MODULES if later.search(module.read_text())] == []


def test_every_walk_of_the_architecture_exists() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    for path in re.findall(r"`((?:identity|billing|analytics|gitops|contract|ias_gateway)/[a-z_/]+\.py)`", text):
        assert (ROOT / "src" / path).exists() or (ROOT / "src/ias" / path).exists(), path
