"""The vitals' metrics: in the table, in the document and in the code the same ones."""

import re
from math import isnan
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from ias import doctor
from ias.vitals.findings import Figure, Finding, judged, listed, well, wrong
from ias.vitals.metrics import METRICS, show

ROOT = Path(__file__).parents[3]
LOST = wrong("redis", "reachable", "no", "start it", Figure("ias_redis_up", 0))


def test_the_document_has_the_table() -> None:
    text = (ROOT / "docs/metrics.md").read_text()
    rows = [
        f"| `{metric.name}` | gauge | {metric.unit} | {metric.label and f'`{metric.label}`'} | {metric.meaning} |"
        for metric in METRICS
    ]
    assert "\n".join(rows) in text


def test_every_metric_of_the_table_is_measured_and_no_other_is() -> None:
    code = "".join(file.read_text() for file in (ROOT / "src/ias/vitals").glob("[!m_]*.py"))
    services = {f"ias_{name}_up" for name in ("postgresql", "redis", "rabbitmq")}
    assert set(re.findall(r'"(ias_[a-z_]+)"', code)) | services == {metric.name for metric in METRICS}


def test_what_cannot_be_told_is_no_number_and_what_has_gone_is_not_shown() -> None:
    queue = Figure("ias_dead_letters", 3, "q")
    show([LOST, well("queue q", "dead letters", "", queue)])
    assert REGISTRY.get_sample_value("ias_redis_up") == 0
    assert REGISTRY.get_sample_value("ias_dead_letters", {"queue": "q"}) == 3

    show([])

    unknown = REGISTRY.get_sample_value("ias_redis_up")
    assert unknown is not None
    assert isnan(unknown)
    assert REGISTRY.get_sample_value("ias_dead_letters", {"queue": "q"}) is None


def test_a_finding_that_is_well_has_no_remedy_and_keeps_its_figures() -> None:
    assert judged(good=False, finding=LOST) == LOST
    assert judged(good=True, finding=LOST) == Finding(
        "redis", "reachable", well=True, said="no", figures=(Figure("ias_redis_up", 0),)
    )


def test_of_many_names_the_first_are_told() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(7)]) == "0, 1, 2, 3, 4 and 2 more"


def test_no_secret_of_the_settings_is_in_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_secrets", lambda: iter(["hunter2"]))
    said = wrong("redis", "reachable", "cannot log in with hunter2 at host", "start it")

    assert doctor._hidden(said).said == "cannot log in with *** at host"
