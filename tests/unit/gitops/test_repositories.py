"""Where repositories may be, which of their files are policies, and who is told to have changed what."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import product
from pathlib import Path
from uuid import UUID

import pytest

from ias.gitops.bindings.domain import BadSuspension, Suspension, check_suspension
from ias.gitops.documents.faults import whole
from ias.gitops.plans.domain import Change
from ias.gitops.reconciler.drift import drifted
from ias.gitops.repositories.domain import (
    BadRepository,
    Transport,
    address,
    check_branch,
    check_name,
    entries,
    path_of,
)
from ias.gitops.repositories.git import LEAST, dotted, read_version
from ias.gitops.repositories.refusals import told
from ias.identity.values import Deed

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
ADA = UUID(int=1)


@pytest.mark.parametrize(
    ("given", "transport", "url"),
    [
        ("https://git.example.org/a/b.git", Transport.HTTPS, "https://git.example.org/a/b.git"),
        ("https://10.0.0.7:8443/a", Transport.HTTPS, "https://10.0.0.7:8443/a"),
        ("HTTPS://git.example.org/a", Transport.HTTPS, "https://git.example.org/a"),
        ("git@git.example.org:a/b.git", Transport.SSH, "ssh://git@git.example.org/a/b.git"),
        ("ssh://git@git.example.org:2222/a/b.git", Transport.SSH, "ssh://git@git.example.org:2222/a/b.git"),
    ],
)
def test_repositories_are_had_by_https_and_ssh(given: str, transport: Transport, url: str) -> None:
    found = address(given, (), ())
    assert (found.transport, found.url) == (transport, url)


def test_a_folder_is_taken_where_it_lies_in_one_that_is_listed(tmp_path: Path) -> None:
    for given in (f"{tmp_path}/a", f"file://{tmp_path}/a"):
        found = address(given, (tmp_path,), ())
        assert (found.transport, found.url) == (Transport.LOCAL, str(tmp_path.resolve() / "a"))
    for given in (f"{tmp_path}/../x", "/", f"file://{tmp_path}x/a"):
        with pytest.raises(BadRepository):
            address(given, (tmp_path,), ())


@pytest.mark.parametrize(
    "given",
    [
        *(
            "ext::sh",
            "http://a.b/c",
            "git://a.b/c",
            "https://t@a.b/c",
            "https://a.b/c?d",
            "https://a.b/../c",
            "ssh://-o/x",
        ),
        *(
            "https://127.0.0.1/x",
            "https://169.254.169.254/x",
            "https://localhost/x",
            "https://0x7f000001/x",
            "https:///x",
        ),
        *(" https://a.b/c", "https://a.b/c ", " git@a.b:c", "ssh://-oProxyCommand=x@a.b/c", "ssh://g;t@a.b/c"),
        *("https://a.b:99999/c", "https://a.b:x/c", "https://a.b:0/c", "ssh://git@a.b:/c", "https://@a.b/c"),
        *("https://[::1/x", "ssh://a[b]/x", "https://]/x", "https://[v1.x]/x", "https://a.b./c"),
        *("", "-x", "https://a.b/é", "https://a.b/c d", "ssh://git:pw@a.b/c", "https://a_.b/c", "https://2130706433/x"),
    ],
)
def test_nothing_else_is(given: str) -> None:
    with pytest.raises(BadRepository):
        address(given, (), ())


def test_this_machine_is_taken_where_the_deployment_lists_it() -> None:
    listed = (ip_network("127.0.0.0/8"),)
    assert address("https://127.0.0.1:1/x", (), listed).transport is Transport.HTTPS
    assert address("https://git.localhost/x", (), listed).transport is Transport.HTTPS


def test_branches_and_names_are_checked() -> None:
    assert check_branch("release/1.x") == "release/1.x"
    for branch in ("", "-x", "a..b", "a/", "a.lock", "a b", "a/.b", "a//b", "@{u}"):
        with pytest.raises(BadRepository):
            check_branch(branch)
    check_name("engineering team")
    for name in ("a/b", "..", ".", "a\\b", "-x", ".git"):
        with pytest.raises(BadRepository):
            check_name(name)
    assert path_of("x") == "orgs/x/org.yaml"


def listing(*lines: str) -> bytes:
    return b"".join(line.replace(" orgs", "\torgs", 1).encode() + b"\0" for line in lines)


def test_only_plain_files_of_their_folders_are_policies() -> None:
    found = entries(
        listing(
            "100644 blob aa 10 orgs/good/org.yaml",
            "100755 blob bb 10 orgs/run/org.yaml",
            "120000 blob cc 10 orgs/link/org.yaml",
            "160000 commit dd - orgs/module/org.yaml",
            "100644 blob ee 300000 orgs/large/org.yaml",
            "100644 blob ff 10 orgs/shout/ORG.YAML",
            "100644 blob 00 10 orgs/deep/er/org.yaml",
            "100644 blob 11 10 orgs/org.yaml",
            "100644 blob 22 10 orgs/good/other.yaml",
        )
    )
    assert {name: bool(entry.wrong) for name, entry in found.items()} == {
        "good": False,
        "run": True,
        "link": True,
        "module": True,
        "large": True,
        "shout": True,
    }


def test_twins_in_case_or_unicode_are_refused_both() -> None:
    found = entries(
        listing(
            "100644 blob aa 1 orgs/Team/org.yaml",
            "100644 blob bb 1 orgs/team/org.yaml",
            "100644 blob cc 1 orgs/a/org.yaml",
        )
    )
    assert {name for name, entry in found.items() if "differ in case" in entry.wrong} == {"Team", "team"}


def test_many_twins_are_told_in_few_words() -> None:
    names = ["".join(letters) for letters in product(*(("t", "T"),) * 10)]
    found = entries(listing(*(f"100644 blob aa 1 orgs/{name}/org.yaml" for name in names)))
    assert len(found) == 1024
    assert {entry.wrong for entry in found.values()} == {
        "'TTTTTTTTTT' and 'TTTTTTTTTt' and 1,022 more differ in case or spelling alone; keep one of them"
    }


def test_what_a_repository_calls_its_folders_is_told_in_plain_text() -> None:
    found = entries(listing("100644 blob aa 1 orgs/\u202ea\n/org.yaml", "100644 blob bb 1 orgs/\u202eA\n/org.yaml"))
    assert found
    assert all(whole(entry.wrong).detail == entry.wrong and entry.wrong.isprintable() for entry in found.values())
    assert whole("a\x1b[2Jb\u202e").detail == "a\ufffd[2Jb\ufffd"


def test_two_policies_in_one_folder_are_refused() -> None:
    found = entries(listing("100644 blob aa 1 orgs/a/ORG.yaml", "100644 blob bb 1 orgs/a/org.yaml"))
    assert "is there more than once" in found["a"].wrong


def deed(action: str, target: UUID | None = None, before: dict[str, object] | None = None, **after: object) -> Deed:
    return Deed(UUID(int=7), "eve@x.y", action, target, after, before or {}, NOW, "api")


FIELD = "spec.users[ada@x.y]"
EXPLAINED = [
    (Change("spec.budgets.monthly_tokens", 1, 2), deed("budget.changed", monthly_tokens=1)),
    (Change("spec.allowed_models", None, ["a"]), deed("allowed_models.changed", model_ids=None)),
    (Change("spec.alert_thresholds", [1], [2]), deed("alert_thresholds.changed", thresholds=[1])),
    (Change("spec.rate_limits.burst", 1, 2), deed("limits.changed", burst=1)),
    (Change("metadata.description", "a", "b"), deed("organisation.described", description="a")),
    (Change(f"{FIELD}.role", "a", "b", ADA), deed("user.changed", ADA, role="a")),
    (Change(f"{FIELD}.monthly_token_limit", 1, 2, ADA), deed("user_budget.changed", ADA, monthly_tokens=1)),
    (Change(FIELD, None, {}), deed("user.removed", ADA, {"email": "Ada@x.y"})),
    (Change(FIELD, {}, None, ADA), deed("user.created", ADA, email="ada@x.y")),
]


@pytest.mark.parametrize(("change", "did"), EXPLAINED, ids=[change.field for change, _ in EXPLAINED])
def test_a_change_beside_git_is_told_with_whoever_made_it_and_with_nobody_else(change: Change, did: Deed) -> None:
    others = [other for _, other in EXPLAINED if other is not did and other.action != did.action]
    found = drifted([change], [*(each for each in others if not each.action.startswith("user.")), did])
    assert [(each.change, each.deed) for each in found] == [(change, did)]
    unrelated = [each for each in others if each.target_id is None and "email" not in each.before]
    assert drifted([change], unrelated) == ()


def test_the_newest_of_several_is_told() -> None:
    older = deed("budget.changed", monthly_tokens=5)
    newer = deed("budget.changed", monthly_tokens=6)
    (found,) = drifted([Change("spec.budgets.monthly_tokens", 6, 2)], [newer, older])
    assert found.deed is newer


def test_a_change_of_another_field_of_the_same_part_is_not_the_one() -> None:
    assert drifted([Change("spec.rate_limits.burst", 1, 2)], [deed("limits.changed", concurrency=1)]) == ()
    assert drifted([Change(f"{FIELD}.role", 1, 2, ADA)], [deed("user.changed", ADA, name="x")]) == ()


def test_git_is_left_aside_for_a_while_with_a_reason() -> None:
    check_suspension(Suspension(reason="x", until=NOW + timedelta(hours=1)), NOW)
    bad = [("x", NOW), ("x", NOW + timedelta(days=31)), (" ", NOW + timedelta(hours=1)), ("x", datetime(2026, 3, 16))]  # noqa: DTZ001
    for reason, until in bad:
        with pytest.raises(BadSuspension):
            check_suspension(Suspension(reason=reason, until=until), NOW)


@pytest.mark.parametrize(
    ("err", "said"),
    [
        (b"remote: no\nfatal: repository not found\n", "remote: no"),
        (b"x\nfatal: \x1b[31mred\xff\n", "fatal:  [31mred\ufffd"),
        (b"", "git ended with 128"),
        (b"fatal: could not read Username for 'https://a.b': terminal prompts disabled", "the host wants a token"),
        (b"fatal: Authentication failed for 'https://a.b/c'", "the host wants a token"),
        (b"git@a.b: Permission denied (publickey).\r\nfatal: Could not read", "the host does not take the key"),
        (b"No ED25519 host key is known for a.b\nHost key verification failed.\n", "is not among the known hosts"),
        (b"WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.", "has another key than"),
    ],
)
def test_what_git_says_becomes_one_sentence_that_says_what_to_do(err: bytes, said: str) -> None:
    assert said in told(128, err)
    assert told(128, err).isprintable()


def test_the_version_of_git_is_read() -> None:
    assert read_version(b"git version 2.39.5 (Apple Git-154)\n") == (2, 39)
    assert (read_version(b"no git"), dotted(())) == ((), "an unknown version")
    assert read_version(b"git version 2.30.2") < LEAST <= read_version(b"git version 2.37.0")
