"""Dashboards, alerts and the table of metrics say the same as the code does, and as one another."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from ruamel.yaml import YAML

import ias.web
import ias.worker  # noqa: F401 - what it imports has metrics
from ias.vitals.metrics import METRICS
from ias_gateway.overview import Overview
from ias_gateway.telemetry import Histogram, Metrics
from tests.observe.asked import DASHBOARDS, HOME, ROOT, RULES, board, metrics, questions, rules, selectors, variables
from tests.observe.cases import CASES
from tests.observe.table import documented
from tests.ship.tools import python

FOREIGN = {"up", "ALERTS"}
"""Prometheus's own."""
EVERYWHERE = {"job", "instance", "le"}
RUNBOOKS = {
    *("accounting-drift", "engine-down", "high-latency", "key-leak", "month-edge"),
    *("postgresql-restore", "rabbitmq-full", "redis-lost", "rollback"),
}
JOB = re.compile(r"(.*-)?(gateway|api|worker|vllm)(-.*)?")
TOLD_BY_EACH = {
    *(metric.name for metric in METRICS),
    *("ias_organisation_tokens", "ias_organisation_requests", "ias_organisation_cost", "ias_member_tokens"),
    *("ias_organisation_budget_tokens", "ias_organisations_active", "ias_budgets_passed"),
    *("ias_engine_up", "ias_engine_difference_tokens", "ias_engine_watched_ratio"),
}
"""What every worker tells of the same thing: the ledger, the services, the engines."""
_BOARDS = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def exposed() -> dict[str, tuple[str, frozenset[str] | None]]:
    """Every metric of the code: its type, and its labels where they can be told without a sample."""
    found: dict[str, tuple[str, frozenset[str] | None]] = {}
    for family in REGISTRY.collect():
        by = REGISTRY._names_to_collectors[family.name]
        labels = frozenset(by._labelnames) if isinstance(by, MetricWrapperBase) else None
        found[f"{family.name}_total" if family.type == "counter" else family.name] = (family.type, labels)
    for each in vars(Metrics()).values():
        kind = "histogram" if isinstance(each, Histogram) else each.kind
        found[each.name] = (kind, frozenset(each.labels))
    for name, family in Overview([])._families().items():
        found[name] = (family.kind, None)
    return found


def table(metric: str) -> str:
    """The name under which the table has a series."""
    return metric if metric in documented() else re.sub(r"_(bucket|sum|count)$", "", metric)


def test_every_metric_that_a_process_exposes_is_in_the_table_and_no_other_is() -> None:
    code, known = exposed(), documented()
    assert set(code) == {name for name in known if not name.startswith("vllm:")}
    for name, (kind, labels) in code.items():
        assert known[name].kind == kind, name
        assert labels is None or known[name].labels == labels, name
        assert known[name].unit, name


def test_the_committed_dashboards_are_what_the_code_makes(tmp_path: Path) -> None:
    made = python("-m", "deploy.observability.panels", tmp_path)
    assert made.returncode == 0, made.stderr
    assert [path.name for path in sorted(tmp_path.iterdir())] == [path.name for path in DASHBOARDS]
    for path in DASHBOARDS:
        again = "run `.cache/ship/bin/python -m deploy.observability.panels`"
        assert (tmp_path / path.name).read_text() == path.read_text(), f"{path.name} is an old one: {again}"


@_BOARDS
def test_every_panel_has_a_title_a_sentence_a_unit_and_a_place_of_its_own(path: Path) -> None:
    whole = board(path)
    assert whole["uid"] == path.stem
    assert whole["description"]
    assert not repeated(panel["id"] for panel in whole["panels"])
    taken: Counter[tuple[int, int]] = Counter()
    for panel in whole["panels"]:
        at = panel["gridPos"]
        rows, columns = range(at["y"], at["y"] + at["h"]), range(at["x"], at["x"] + at["w"])
        assert columns.stop <= 24
        taken.update((x, y) for x in columns for y in rows)
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"].endswith((".", "above 0.")), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"
            assert not repeated(target["refId"] for target in panel["targets"])
    assert not [place for place, times in taken.items() if times > 1]


@_BOARDS
def test_every_query_is_of_metrics_and_labels_of_the_table(path: Path) -> None:
    for question in questions(path):
        check(question.query, f"{question.board}, {question.panel}")
        used = set(re.findall(r"\{\{(\w+)\}\}", question.legend))
        assert used <= EVERYWHERE | labels_of(question.query), f"{question.panel}: {question.legend}"
        chosen = set(re.findall(r"\$(\w+)", question.query)) - {"__rate_interval"}
        assert chosen <= set(variables(path))
    for metric, label in variables(path).values():
        assert label in documented()[table(metric)].labels


def test_the_five_dashboards_are_there() -> None:
    titles = {board(path)["title"] for path in DASHBOARDS}
    asked = {"System Overview", "Organisation Usage", "Model Performance", "Infrastructure Health", "Accounting"}
    assert titles == asked


def test_what_every_worker_tells_is_never_added_up() -> None:
    asked = [(f"{each.board}, {each.panel}", each.query) for path in DASHBOARDS for each in questions(path)]
    seen = set()
    for where, query in asked + [(rule.name, rule.query) for rule in rules()]:
        for metric, within in placed(query):
            if metric in TOLD_BY_EACH:
                seen.add(metric)
                made = next((one for one in within if one in {"sum", "count", "avg", "max", "min"}), "")
                assert made not in {"sum", "count"}, f"{where}: {metric} is told once by each worker"
    assert {"ias_organisation_tokens", "ias_engine_up", "ias_gateway_spool_left"} <= seen <= documented().keys()


def placed(query: str) -> Iterator[tuple[str, list[str]]]:
    """The words of a query, each with the functions that it is within, the innermost first."""
    plain = re.sub(r'"[^"]*"|\b(?:by|without|on|ignoring)\s*\([^)]*\)', " ", query)
    within: list[str] = []
    for word, opens, closes in re.findall(r"([a-zA-Z_][\w:]*)?\s*(\()|(?<!\w)([a-zA-Z_][\w:]*|\))", plain):
        if opens:
            within.insert(0, word)
        elif closes == ")":
            within.pop(0)
        else:
            yield closes, list(within)


def test_every_alert_says_how_grave_it_is_what_it_means_and_what_to_do() -> None:
    assert not repeated(rule.name for rule in rules())
    for rule in rules():
        assert rule.name.startswith("Ias")
        assert rule.labels["severity"] in {"critical", "warning"}
        assert all(rule.annotations[said] for said in ("summary", "description", "action")), rule.name
        document = re.fullmatch(r"https://[^/]+/[^/]+/[^/]+/blob/main/(docs/.+\.md)", rule.annotations["runbook_url"])
        assert document, rule.name
        page = Path(document[1])
        assert page.parent.name != "runbooks" or page.stem in RUNBOOKS, rule.name
        assert (ROOT / page).exists() or not (ROOT / "docs/runbooks").exists(), f"{rule.name}: there is no {page}"
        check(rule.query, rule.name)


def test_the_alerts_that_were_asked_for_are_there() -> None:
    asked = {"IasErrorRate", "IasApiErrorRate", "IasFirstTokenSlow", "IasApiSlow", "IasPoolExhausted", "IasQueueDeep"}
    assert asked | {"IasEngineDown"} <= {rule.name for rule in rules()}


def test_every_alert_has_a_case_in_which_it_goes_off_and_one_in_which_it_does_not() -> None:
    assert {rule.name for rule in rules()} == set(CASES)


def test_prometheus_takes_the_rules_and_calls_its_jobs_what_the_queries_do() -> None:
    configured = YAML(typ="safe", pure=True).load(HOME / "prometheus" / "prometheus.yml")
    assert configured["rule_files"] == ["/etc/prometheus/rules/*.yaml"]
    assert {job["job_name"] for job in configured["scrape_configs"]} == {"gateway", "api", "worker", "vllm"}
    assert all(JOB.fullmatch(job["job_name"]) for job in configured["scrape_configs"])
    asked = re.findall(r'job=~"([^"]+)"', "".join(path.read_text() for path in RULES))
    # Engines are scraped while they load, which is no fault: IasEngineDown tells of them.
    assert set(asked) == {JOB.pattern.replace("|vllm", "")}
    shown = [each.query for path in DASHBOARDS for each in questions(path)]
    assert set(re.findall(r'job=~"([^"]+)"', "".join(shown))) == {JOB.pattern}


def test_what_the_page_says_of_alertmanager_fits_together() -> None:
    page = (ROOT / "docs/observability.md").read_text()
    blocks = [YAML(typ="safe").load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    (told,) = (block for block in blocks if "receivers" in block)
    (external,) = (block for block in blocks if block.get("kind") == "ExternalSecret")
    (values,) = (block for block in blocks if "alertmanager" in block)
    told_to = {receiver["name"]: receiver.keys() - {"name"} for receiver in told["receivers"]}
    first: dict[str, str] = {}
    for route in told["route"]["routes"]:
        (matcher,) = route["matchers"]
        _, severities = re.fullmatch(r'severity (=~|=) "([^"]+)"', matcher).groups()
        first |= dict.fromkeys(severities.split("|"), route["receiver"])
    sent = {rule.labels["severity"]: first.get(rule.labels["severity"], told["route"]["receiver"]) for rule in rules()}
    assert sent.keys() == {"critical", "warning"}
    assert all(told_to[receiver] for receiver in sent.values())
    assert told_to.keys() == {told["route"]["receiver"], *first.values()}
    ((key, name),) = re.findall(r"vault kv put kv/(\S+) (\w+)=@alertmanager.yaml", page)
    laid = {"secretKey": "alertmanager.yaml", "remoteRef": {"key": key, "property": name}}
    assert external["spec"]["data"] == [laid]
    assert external["metadata"]["namespace"] == "observability"
    assert external["spec"]["target"]["name"] == values["alertmanager"]["alertmanagerSpec"]["configSecret"]
    asked = "import json, sys; from tests.ship.render import faulty; print(*faulty(json.load(sys.stdin), '1.30'))"
    done = python("-c", asked, stdin=msgspec.json.encode(external).decode())
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr + done.stdout


def check(query: str, where: str) -> None:
    """Metrics are in the table, and so are the labels by which they are selected."""
    for selector in selectors(query):
        metric, _, inside = selector.partition("{")
        if metric in FOREIGN:
            continue
        row = documented().get(table(metric))
        assert row, f"{where}: {metric} is not in docs/metrics.md"
        selected = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', "", inside)))
        assert selected <= row.labels | EVERYWHERE, f"{where}: {selector}"


def labels_of(query: str) -> set[str]:
    """The labels that the metrics of a query have."""
    known = documented()
    return {label for metric in metrics(query) - FOREIGN for label in known[table(metric)].labels}


def repeated(values: Iterable[object]) -> list[object]:
    """What is there more than once."""
    return [value for value, times in Counter(values).items() if times > 1]
