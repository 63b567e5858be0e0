"""Reading a policy file: what is taken, what is told of what is not, and that nothing makes it fail otherwise."""

from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, json
from ruamel.yaml import YAML

from ias.gitops.documents.domain import GivenRole
from ias.gitops.documents.faults import MOST
from ias.gitops.documents.reading import SECTIONS, load, load_known, missing
from ias.gitops.documents.schema import schema, written
from ias.gitops.documents.tree import MOST_BYTES, MOST_DEPTH, MOST_ITEMS, read

ORGS = Path(__file__).parents[3] / "orgs"
NUMBER = "must be a whole number from 0 to 9007199254740991"
HEAD = "apiVersion: ias.linode.com/v1\nkind: Organization\nmetadata:\n  name: x\n"


def faults(text: str | bytes, name: str | None = None) -> list[str]:
    source = text.encode() if isinstance(text, str) else text
    return [fault.said("f") for fault in load(source, name).faults]


@pytest.mark.parametrize("file", sorted(ORGS.glob("*/org.yaml")), ids=lambda file: file.parent.name)
def test_every_example_of_the_repository_is_well_and_fits_the_schema(file: Path) -> None:
    assert faults(file.read_bytes(), file.parent.name) == []
    jsonschema_rs.validator_for(schema()).validate(YAML(typ="safe", pure=True).load(file.read_text()))
    assert file.read_text().startswith("# yaml-language-server: $schema=../org.schema.json\n")


def test_the_schema_of_the_repository_is_the_one_that_files_are_read_by() -> None:
    assert (ORGS / "org.schema.json").read_text() == written()


def test_the_whole_of_a_policy_is_read() -> None:
    loaded = load((ORGS / "engineering-team/org.yaml").read_bytes())
    assert loaded.document is not None
    spec = loaded.document.spec
    assert loaded.document.metadata.tags == {"department": "engineering", "tier": "gold"}
    assert spec.users is not UNSET
    assert [(user.email, user.role, user.monthly_token_limit) for user in spec.users] == [
        ("jane@example.com", GivenRole.ORG_ADMIN, 5_000_000),
        ("bob@example.com", GivenRole.ORG_USER, 1_000_000),
        ("carol@example.com", GivenRole.ORG_USER, UNSET),
    ]
    assert set(loaded.lines) == set(SECTIONS)


def test_what_is_not_named_is_not_wanted() -> None:
    loaded = load(f"{HEAD}spec: {{}}\n".encode())
    assert loaded.document is not None
    assert loaded.document.spec.users is UNSET
    assert loaded.document.spec.budgets is UNSET
    assert loaded.lines == {"metadata": 3}


def test_every_fault_is_told_at_once_where_it_is() -> None:
    text = """apiVersion: ias.linode.com/v2
kind: Organization
metadata:
  name: y
  cost_center: 4711
  cost_centre: x
spec:
  budget: {}
  budgets:
    monthly_tokens: 1_000_000
    user_monthly_tokens: -1
  users:
    - email: ada@example.org
      role: admin
    - email: ADA@example.org
      monthly_token_limit: 1.5
    - role: no
  rate_limits:
    requests_per_second: 50
    burst: 10
  allowed_models: llama
  alert_thresholds: [{percent: 80}, {percent: 80}, {percent: 101}]
"""
    assert faults(text, "x") == [
        "f:1:13: apiVersion: must be ias.linode.com/v1, not 'ias.linode.com/v2'",
        "f:4:9: metadata.name: must be 'x', the name of the organisation and of its folder",
        "f:5:16: metadata.cost_center: must be text, and 4711 is a number; put it in quotes: '4711'",
        "f:6:3: metadata: 'cost_centre' is not known here; did you mean metadata.cost_center?",
        "f:8:3: spec: 'budget' is not known here; did you mean spec.budgets?",
        f"f:10:21: spec.budgets.monthly_tokens: {NUMBER}; write it with digits alone: 1000000",
        f"f:11:26: spec.budgets.user_monthly_tokens: {NUMBER}, not -1",
        "f:14:13: spec.users[0].role: must be org-admin or org-user, not 'admin'; did you mean org-admin?",
        "f:15:14: spec.users[1].email: 'ADA@example.org' is the address of line 13 again",
        f"f:16:28: spec.users[1].monthly_token_limit: {NUMBER}, not '1.5'",
        "f:17:7: spec.users[2]: email is missing",
        "f:17:13: spec.users[2].role: must be org-admin or org-user, not 'no'",
        "f:20:12: spec.rate_limits.burst: must be at least requests_per_second (50)",
        "f:21:19: spec.allowed_models: must be a list: an item a line, each after a dash",
        "f:22:37: spec.alert_thresholds[1]: '80' is there already, in line 22",
        "f:22:62: spec.alert_thresholds[2].percent: must be a whole number from 1 to 100, not 101",
    ]


FORMS = {
    "a: [1\nb: 2": "f:2:2: is not YAML",
    "\ta: 1": "f:1:1: is not YAML",
    "a: 'x": "f:1:6: is not YAML",
    "%YAML 1.1\n---\na: b": "f:2:1: is YAML 1.2",
    "a: \x00": "f: is not YAML",
    "a: 1\na: 2": "f:2:1: 'a' is there twice; the first is in line 1",
    "a: &x 1": "f:1:4: &x: anchors",
    "a: *x": "f:1:4: *x: aliases",
    "a: !!python/object:os.system x": "f:1:4: tag 'tag:yaml.org,2002:python/object:os.system': tags",
    "a: !x y": "f:1:4: tag '!x': tags",
    "a: b\n---\nc: d": "f:2:1: a second document",
    "? [a]\n: b": "f:1:3: a list or a mapping cannot be a name",
    "": "f: is empty",
    "# only this": "f: is empty",
    "[]": "f:1:1: must be a mapping, with apiVersion, kind, metadata, spec",
    "x": "f:1:1: must be a mapping",
    "a: " + "[" * 50: "f:1:19: is nested deeper than 16",
}


@pytest.mark.parametrize("text", FORMS)
def test_what_is_no_policy_is_told_where(text: str) -> None:
    assert any(said.startswith(FORMS[text]) for said in faults(text)), faults(text)


def test_bytes_that_are_no_text_are_told_where() -> None:
    assert faults(b"a: b\nc: \xff") == ["f:2:4: is not UTF-8"]
    assert faults(b"a" * (MOST_BYTES + 1)) == ["f: has 262,145 bytes; 262,144 are taken"]


VALUES = {
    "budgets: {monthly_tokens: '5'}": "take the quotes away",
    "budgets: {monthly_tokens: 1e6}": "not '1e6'",
    "budgets: {monthly_tokens: 9223372036854775808}": "not 9223372036854775808",
    "budgets: {monthly_tokens: [1]}": "must be a whole number, not a list or a mapping",
    "budgets:": "spec.budgets: has no value",
    "users: [x]": "spec.users[0]: must be a mapping",
    "users: [{email: x@y, role: }]": "spec.users[0].role: has no value",
    "users: [{email: nobody}]": "must be an e-mail address",
    "users: [{email: true}]": "must be text, and true is true or false; put it in quotes: 'true'",
    "allowed_models: [a, b, a]": "spec.allowed_models[2]: 'a' is there already, in line 6",
    "allowed_models: ['']": "must be 1 to 100 characters long",
    "alert_thresholds: []": "must have 1 to 10 items",
    "rate_limits: {mode: loose}": "must be estimate or strict, not 'loose'",
    "rate_limits: {burst: 0}": "must be a whole number from 1 to 1000000, not 0",
    "users: [{email: ' ada@example.org '}]": "must have no space around it: ' ada@example.org '",
    'allowed_models: ["a\\0b"]': "f:6:20: spec.allowed_models[0]: has a character that is no text: U+0000",
    'allowed_models: ["a\\ud800"]': "has a character that is no text: U+D800",
    'allowed_models: ["a\\x85"]': "has a character that is no text: U+0085",
    "nothing: {}": "'nothing' is not known here; there are budgets",
}


@pytest.mark.parametrize("text", VALUES)
def test_a_value_that_cannot_be_is_told_with_what_to_do(text: str) -> None:
    told = faults(f"{HEAD}spec:\n  {text}\n")
    assert any(VALUES[text] in said for said in told), told


def test_null_is_taken_where_it_means_none_and_octal_and_hexadecimal_are_numbers() -> None:
    text = f"{HEAD}spec:\n  budgets: {{monthly_tokens: ~, user_monthly_tokens: 0x10}}\n  allowed_models: null\n"
    document = load(text.encode()).document
    assert document is not None
    assert document.spec.budgets is not UNSET
    assert (document.spec.budgets.monthly_tokens, document.spec.budgets.user_monthly_tokens) == (None, 16)
    assert document.spec.allowed_models is None


def test_tags_are_names_and_values() -> None:
    assert faults(f"{HEAD}  tags: [a]\nspec: {{}}\n") == ["f:5:9: metadata.tags: must be a mapping of names to values"]
    many = ", ".join(f"t{number}: x" for number in range(51))
    assert faults(f"{HEAD}  tags: {{{many}}}\nspec: {{}}\n") == ["f:5:9: metadata.tags: must have 50 names at most"]
    odd = faults(f'{HEAD}  tags: {{"a\\e": x}}\nspec: {{}}\n')
    assert odd[0].endswith("has a character that is no text: U+001B; take it away")
    assert faults(f'{HEAD}  description: "one\\n\\ttwo é \\U0001F600"\nspec: {{}}\n') == []
    assert faults(f"{HEAD}  tags: {{a: 1}}\nspec: {{}}\n")[0].startswith("f:5:13: metadata.tags.a: must be text")


def test_a_model_that_is_not_there_is_told_with_the_one_that_was_meant() -> None:
    source = f"{HEAD}spec:\n  allowed_models:\n    - llama3\n    - mistral\n".encode()
    assert load_known(source, None, ["llama3", "mistral"]).faults == ()
    (fault,) = load_known(source, None, ["llama3", "mistral-7b"]).faults
    assert fault.said("f") == ("f:8:7: spec.allowed_models[1]: no model is called 'mistral'; did you mean mistral-7b?")
    assert load_known(b"x", None, []).document is None
    assert missing("orgs/x/org.yaml").said("f") == "f: orgs/x/org.yaml is not in this commit"


def test_limits_hold_while_it_is_read() -> None:
    assert read(("[" * MOST_DEPTH + "]" * MOST_DEPTH).encode())[1] == []
    assert read(("a:\n" + "- x\n" * (MOST_ITEMS - 1)).encode())[1] == []
    assert "more than 2,000 items" in read(("a:\n" + "- x\n" * MOST_ITEMS).encode())[1][0].detail
    assert len(faults(f"{HEAD}spec:\n  users:\n" + "    - x\n" * 300)) == MOST


def test_direction_marks_and_line_breaks_cannot_write_into_a_report() -> None:
    for said in faults(f'{HEAD}spec:\n  "\\u202Eevil\\n": 1\n'):
        assert said.isprintable()


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_it_fail(source: bytes) -> None:
    assert load(source).document is None


PIECES = [
    *HEAD.splitlines(keepends=True),
    *("spec:\n", "  users:\n", "    - email: a@b\n", "      role: org-user\n", "spec: {}\n", "name: x\n"),
    *("{", "}", "[", "]", "&a ", "*a ", "!!int ", "- ", ": ", "? ", "| \n", "> \n", "\n", "  ", "'", '"', "#", "<<: "),
    *("%YAML 1.2\n", "---\n", "...\n", "\t", "é", "\u202e", "0x", "~", ",", "\\", "\x00", "\ufeff"),
]
YAMLISH = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@given(YAMLISH)
@settings(max_examples=500, deadline=None)
def test_no_yaml_makes_it_fail_and_what_is_refused_is_told(text: str) -> None:
    loaded = load(text.encode("utf-8", "surrogatepass"))
    assert (loaded.document is None) == bool(loaded.faults)
    assert all(fault.detail and fault.said("f").isprintable() for fault in loaded.faults)


@given(st.integers(-(2**70), 2**70))
def test_a_budget_is_taken_where_the_schema_takes_it(tokens: int) -> None:
    loaded = load(f"{HEAD}spec:\n  budgets: {{monthly_tokens: {tokens}}}\n".encode())
    document = {
        "apiVersion": "ias.linode.com/v1",
        "kind": "Organization",
        "metadata": {"name": "x"},
        "spec": {"budgets": {"monthly_tokens": tokens}},
    }
    assert (loaded.document is not None) == jsonschema_rs.validator_for(schema()).is_valid(document)
    assert json.encode(schema())
