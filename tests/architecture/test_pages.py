"""Pages are thin: they do what the API does, and their templates bring no script, no style and nothing from outside."""

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from ias.console.assets import FOLDER, VENDORED, assets, icon, vendored
from ias.console.rendering import environment

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/ias"
PAGES = sorted(SOURCE.rglob("pages.py"))
APIS = sorted(SOURCE.rglob("api.py"))
TEMPLATES = sorted(path for path in SOURCE.rglob("*.html") if "openapi" not in path.parts)
VERBS = {"get", "post", "put", "patch", "delete"}
WRITING = re.compile(r"\.save\(|\.update\(\{|\.delete\(\)|\brecord\(|INSERT INTO|UPDATE \w+\.|DELETE FROM|edge\.\w+\(")
"""What modules have that change something, in PostgreSQL or in Redis."""
OWN = {
    "ias.identity.repeats.actions.once": "the API has Idempotency-Key for it, at every POST",
    "ias.identity.browsers.actions.keep_in_cookie": "the API gives its tokens to programs, which keep them themselves",
}
"""What only pages do."""

Uses = dict[str, set[frozenset[str]]]
"""Actions by their full names, and the permissions that are asked for where they are called, handler by handler."""


def name(file: Path) -> str:
    return str(file.relative_to(SOURCE))


def imported(tree: ast.Module) -> dict[str, str]:
    """What the names of a module stand for."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def called(tree: ast.AST, names: dict[str, str]) -> set[str]:
    """The full names of all that is called in it."""
    said = (ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))
    whole = {(first, rest) for first, _, rest in (each.partition(".") for each in said) if first in names}
    return {f"{names[first]}.{rest}".rstrip(".") for first, rest in whole}


def is_action(function: str) -> bool:
    """Whether it changes something: a function of a slice that writes, itself or by others of its module."""
    module, _, said = function.rpartition(".")
    file = SOURCE / f"{module.removeprefix('ias.').replace('.', '/')}.py"
    return module.count(".") == 3 and file.exists() and said in writing(file)


@cache
def writing(file: Path) -> frozenset[str]:
    """The functions of a module that change something."""
    text = file.read_text()
    tree = ast.parse(text)
    statements = {
        node.targets[0].id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and WRITING.search(ast.unparse(node))
    }
    bodies = {
        node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
    }
    found: set[str] = set()
    while True:
        known = re.compile(rf"\b(?:{'|'.join(map(re.escape, found | statements)) or '(?!)'})\b")
        more = {each for each, body in bodies.items() if WRITING.search(body) or known.search(body)}
        if more <= found:
            return frozenset(found)
        found |= more


def permissions(method: ast.AsyncFunctionDef, whole: str) -> frozenset[str]:
    """What the guards of a handler ask for; `whole` are the guards of its controller."""
    said = " ".join([whole, *(ast.unparse(decorator) for decorator in method.decorator_list)])
    return frozenset(re.findall(r"Permission\.([A-Z_]+)", said))


def guards(controller: ast.ClassDef) -> str:
    """What a controller asks of whoever calls one of its handlers."""
    return " ".join(
        ast.unparse(node.value)
        for node in controller.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "guards"
    )


def handlers(tree: ast.Module) -> Iterator[tuple[ast.AsyncFunctionDef, str]]:
    """The handlers of a module, each with its controller's guards."""
    for controller in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for method in (node for node in controller.body if isinstance(node, ast.AsyncFunctionDef)):
            if any(ast.unparse(each).partition("(")[0] in VERBS for each in method.decorator_list):
                yield method, guards(controller)


@cache
def uses(file: Path) -> Uses:
    """The actions that the handlers of a module call, also by functions of the module."""
    tree = ast.parse(file.read_text())
    names = imported(tree)
    helpers = {node.name: called(node, names) for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    found: Uses = {}
    for method, whole in handlers(tree):
        own = {
            node.func.id for node in ast.walk(method) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        reached = called(method, names).union(*(helpers[each] for each in own & helpers.keys()))
        for function in filter(is_action, reached):
            found.setdefault(function, set()).add(permissions(method, whole))
    return found


@cache
def looks(file: Path) -> Uses:
    """The queries that the handlers of a module ask, also by functions of the module and by their dependencies."""
    tree = ast.parse(file.read_text())
    names = imported(tree)
    helpers = {node.name: called(node, names) for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    provided = dict(re.findall(r"""['"](\w+)['"]: Provide\((\w+)""", ast.unparse(tree)))
    found: Uses = {}
    for method, whole in handlers(tree):
        given = {provided.get(each.arg, "") for each in method.args.args}
        own = {
            node.func.id for node in ast.walk(method) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        reached = called(method, names).union(*(helpers[each] for each in (own | given) & helpers.keys()))
        for function in (each for each in reached if each.rpartition(".")[0].endswith(".queries")):
            found.setdefault(function, set()).add(permissions(method, whole))
    return found


@cache
def shown_by_the_api() -> Uses:
    whole: Uses = {}
    for file in APIS:
        for function, asked in looks(file).items():
            whole.setdefault(function, set()).update(asked)
    return whole


@pytest.mark.parametrize("file", PAGES, ids=name)
def test_whatever_a_page_shows_of_the_api_it_shows_with_the_same_permission(file: Path) -> None:
    known = shown_by_the_api()
    for function, asked in looks(file).items():
        for permitted in asked if function in known else ():
            enough = any(needed <= permitted for needed in known[function])
            assert enough, f"{name(file)}: {function} is guarded by {permitted}, in the API by {known[function]}"


def test_the_pairing_sees_what_pages_and_routes_show() -> None:
    assert "ias.billing.spend.queries.spend" in looks(SOURCE / "billing/limits/pages.py")
    assert "ias.identity.api_keys.queries.with_use" in looks(SOURCE / "identity/members/pages.py")
    assert shown_by_the_api()["ias.billing.spend.queries.spend"] == {frozenset({"USAGE_READ"})}


def of_the_api() -> Uses:
    whole: Uses = {}
    for file in APIS:
        for function, asked in uses(file).items():
            whole.setdefault(function, set()).update(asked)
    return whole


@pytest.mark.parametrize("file", PAGES, ids=name)
def test_whatever_a_page_does_a_route_of_the_api_does_with_the_same_permission(file: Path) -> None:
    known = of_the_api()
    for function, asked in uses(file).items():
        if function in OWN:
            continue
        assert function in known, f"{name(file)} calls {function}, which no route of the API does"
        for permitted in asked:
            enough = any(needed <= permitted for needed in known[function])
            assert enough, f"{name(file)}: {function} is guarded by {permitted}, in the API by {known[function]}"


def test_the_pairing_sees_what_pages_and_routes_call() -> None:
    keys = "ias.identity.api_keys.actions"
    assert uses(SOURCE / "identity/api_keys/pages.py")[f"{keys}.revoke"] == {frozenset({"KEYS_READ", "KEYS_REVOKE"})}
    assert {f"{keys}.issue", f"{keys}.rotate", f"{keys}.change"} <= uses(SOURCE / "identity/api_keys/pages.py").keys()
    assert f"{keys}.issue" in of_the_api()
    assert writing(SOURCE / "identity/api_keys/queries.py") == frozenset()
    assert {"issue", "revoke"} <= writing(SOURCE / "identity/api_keys/actions.py")


INLINE = (
    (re.compile(r"<script(?![^>]*\ssrc=)", re.IGNORECASE), "a script in the page"),
    (re.compile(r"<style|\sstyle\s*=", re.IGNORECASE), "style in the page"),
    (re.compile(r"\son[a-z]+\s*=|hx-on|hx-vals\s*=\s*['\"]js:|javascript:", re.IGNORECASE), "script in an attribute"),
    (
        re.compile(r"""(?:src|href|action|data|srcset|poster)\s*=\s*["']?(?:https?:)?//""", re.IGNORECASE),
        "from outside",
    ),
    (re.compile(r"\|\s*safe\b|autoescape|Markup"), "text that is not escaped"),
)


@pytest.mark.parametrize("file", TEMPLATES, ids=name)
def test_a_template_has_no_script_no_style_and_nothing_from_outside(file: Path) -> None:
    text = file.read_text()
    for pattern, what in INLINE:
        found = pattern.search(text)
        assert found is None, f"{name(file)}: {what}: {text[found.start() : found.start() + 60]}"


@pytest.mark.parametrize("file", TEMPLATES, ids=name)
def test_a_form_that_changes_something_carries_the_token(file: Path) -> None:
    for form in re.findall(r"<form\b.*?</form>", file.read_text(), re.DOTALL):
        if 'method="post"' in form.partition(">")[0]:
            assert "csrf(visit)" in form, f"{name(file)}: {form[:80]}"


@pytest.mark.parametrize("file", TEMPLATES, ids=name)
def test_a_template_compiles(file: Path) -> None:
    assert environment().get_template(name(file))


def test_a_template_stands_beside_the_pages_that_show_it() -> None:
    for file in TEMPLATES:
        if file.parent.name != "templates":
            assert (file.parent / "pages.py").exists() or (file.parent.parent / "pages.py").exists(), name(file)


def test_styles_and_scripts_load_nothing() -> None:
    for path in [*FOLDER.glob("*.css"), *FOLDER.glob("*.js"), *FOLDER.glob("*.svg")]:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert re.search(r"@import|url\(|https?://|\beval\(|new Function|innerHTML|document\.write", text) is None, path


def test_every_vendored_file_is_what_its_list_says() -> None:
    folder = VENDORED.parent
    told = {path: digest for package in vendored() for path, digest in package.files.items()}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {VENDORED.name}
    assert told.keys() == there
    for path, digest in told.items():
        assert hashlib.sha256((folder / path).read_bytes()).hexdigest() == digest, path
    assert all(package.license and package.version for package in vendored())


def test_what_every_page_loads_is_small() -> None:
    assert sum(len(each.packed) for each in assets().values() if each.plain != "uplot.js") < 60_000


def test_every_icon_that_is_named_is_there() -> None:
    for file in [*TEMPLATES, *SOURCE.rglob("doors.py")]:
        text = file.read_text()
        for found in re.findall(r'icon\("([a-z0-9-]+)"\)|Entry\("[^"]*", "[^"]*", "([a-z0-9-]+)"', text):
            assert icon(found[0] or found[1]).startswith("<svg"), name(file)
