"""`python -m tests.observe`: asks of a product under load all that dashboards and alerts ask; 1 where one is empty."""

import asyncio
import random
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import click

from tests.observe import cases
from tests.observe.asked import DASHBOARDS, HOME, RULES, Question, questions, rules, selectors, variables
from tests.observe.program import program
from tests.observe.server import Prometheus, prometheus
from tests.observe.table import documented
from tests.product.processes import Process, gateway_process
from tests.services import Services, attend, new_folder
from tests.services.ending import end
from tests.services.locks import hold
from tests.services.worlds import choose
from tests.soak.client import Client
from tests.soak.mix import draw
from tests.soak.place import Place, own_services, place

SETTINGS = {
    "IAS_VITALS_EVERY_S": "1",
    "IAS_USAGE_EVERY_S": "2",
    "IAS_CHECK_EVERY_S": "2",
    "IAS_COMPARE_EVERY_S": "4",
    "IAS_ACCESS_LOG": "false",
}
CLIENTS = 12
LOAD_S = 75.0
"""Engines' counters are read each ten seconds and compared each minute."""
WINDOW_S = 60
RATE = "10s"
NOT_HERE = {'ias_http_requests_total{status=~"5.."}': "the API answers 5xx only while a service is away"}
"""What an alert looks at that a product which is well cannot have, and why; the metric itself must be there."""
TOLD = Path(__file__).with_name("error_rate.yaml")


@dataclass
class Findings:
    """What was asked, and what was empty."""

    lines: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


@click.command()
@click.option("--seconds", default=LOAD_S, show_default=True, help="How long the load goes on before it is asked.")
def main(seconds: float) -> None:
    """Run promtool's tests, then load a whole product and ask all that is asked of it."""
    folder = new_folder()
    owner = hold(folder / "owner")
    attend(folder)
    try:
        promtool(folder)
        services = Services(folder, partial(choose, folder, lambda said: click.echo(f"services: {said}", err=True)))
        with ExitStack() as stack:
            urls = stack.enter_context(own_services(services))
            logs = folder / "product"
            logs.mkdir()
            it = stack.enter_context(place(urls, logs, SETTINGS))
            second = gateway_process(it.product, "second-gateway", {"IAS_GATEWAY_WORKERS": "1"})
            stack.callback(second.end)
            second.start()
            second.wait_ready()
            server = stack.enter_context(prometheus(folder / "prometheus", _jobs(it, second)))
            found = asyncio.run(_under_load(it, second, server, seconds))
    finally:
        end(folder)
        owner.close()
    click.echo("\n".join(found.lines))
    for each in found.empty:
        click.echo(f"EMPTY: {each}")
    sys.exit(bool(found.empty))


def promtool(folder: Path) -> None:
    """The rules are well formed, and do what their cases say."""
    scrapes = HOME / "prometheus" / "prometheus.yml"
    for argv in (
        ("check", "rules", *RULES),
        ("check", "config", "--syntax-only", scrapes),
        ("test", "rules", TOLD, cases.write(folder)),
    ):
        done = subprocess.run([program("promtool"), *argv], capture_output=True, text=True, timeout=120, check=False)
        click.echo(f"promtool {argv[0]} {argv[1]}: {'passed' if done.returncode == 0 else done.stdout + done.stderr}")
        if done.returncode:
            sys.exit(1)


async def _under_load(it: Place, second: Process, server: Prometheus, seconds: float) -> Findings:
    """Ask while the load goes on."""
    await asyncio.to_thread(_spend_a_budget, it)
    urls = (it.product.gateway_url, f"http://127.0.0.1:{second.env['IAS_GATEWAY_PORT']}")
    began = monotonic()
    clients = [asyncio.create_task(_go_on(urls[number % 2], it, number, began)) for number in range(CLIENTS)]
    clients.append(asyncio.create_task(asyncio.to_thread(_manage, it, began + seconds + WINDOW_S)))
    await asyncio.sleep(seconds)
    try:
        return await asyncio.to_thread(look, server)
    finally:
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _go_on(url: str, it: Place, number: int, began: float) -> None:
    dice, client = random.Random(number), Client(url, it.tokens, began)
    while True:
        await client.ask(draw(dice))
        await asyncio.sleep(0.02)


def _spend_a_budget(it: Place) -> None:
    """Give the poor tenant so little that its thresholds are passed while we look."""
    poor = max(it.admin.get("/organizations")["items"], key=lambda org: org["created_at"])
    it.admin.api.patch(f"/organizations/{poor['id']}/budget", json={"monthly_tokens": 500}).raise_for_status()


def _manage(it: Place, until: float) -> None:
    """What people do on the side."""
    while monotonic() < until:
        for path in ("/organizations", "/models", "/no-such-thing"):
            it.admin.api.get(path)


def look(server: Prometheus) -> Findings:
    """Everything that is asked, by dashboards first."""
    found = Findings()
    for target in server.targets():
        if target["health"] != "up":
            found.empty.append(f"target {target['scrapeUrl']}: {target['lastError']}")
    for path in DASHBOARDS:
        _look_at_board(server, path, found)
    _look_at_rules(server, found)
    _look_at_table(server, found)
    return found


def _look_at_board(server: Prometheus, path: Path, found: Findings) -> None:
    asked, series = list(questions(path)), 0
    for name, (metric, label) in variables(path).items():
        values = server.values(metric, label)
        found.lines.append(f"{path.stem:<20} ${name}: {len(values)} values, {', '.join(sorted(values)[:4])}")
        if not values:
            found.empty.append(f"{path.stem}: ${name} has no values")
    for question in asked:
        some = _answered(server, question, variables(path))
        series += some
        if not some:
            found.empty.append(f"{question.board}: {question.panel} ({question.legend}): {question.query}")
    panels = len({question.panel for question in asked})
    found.lines.append(f"{path.stem:<20} {panels} panels, {len(asked)} queries, {series} series")


def _answered(server: Prometheus, question: Question, chosen: dict[str, tuple[str, str]]) -> int:
    query = question.query.replace("$__rate_interval", RATE)
    for name in chosen:
        query = query.replace(f"${name}", ".*")
    assert "$" not in query, query
    return len(server.now(query) if question.instant else server.over(query, WINDOW_S))


def _look_at_rules(server: Prometheus, found: Findings) -> None:
    loaded = server.rules()
    unwell = [rule for rule in loaded if rule["health"] != "ok"]
    found.empty += [f"rule {rule['name']}: {rule.get('lastError', rule['health'])}" for rule in unwell]
    committed, asked = rules(), 0
    for rule in committed:
        server.now(rule.query)
        for selector in sorted(selectors(rule.query)):
            asked += 1
            if server.over(selector, WINDOW_S):
                continue
            if selector in NOT_HERE and server.over(selector.partition("{")[0], WINDOW_S):
                found.lines.append(f"{'':<20} {selector} is not there: {NOT_HERE[selector]}")
            else:
                found.empty.append(f"rule {rule.name}: {selector} selects nothing")
    states = {state: [r["name"] for r in loaded if r["state"] == state] for state in ("pending", "firing")}
    found.lines.append(
        f"{'rules':<20} {len(loaded)} of {len(committed)} loaded, {len(loaded) - len(unwell)} well, {asked} selectors"
    )
    found.lines += [f"{'':<20} {state}: {', '.join(names) or 'none'}" for state, names in states.items()]
    if {rule.name for rule in committed} != {rule["name"] for rule in loaded}:
        found.empty.append("not every rule was loaded")


def _look_at_table(server: Prometheus, found: Findings) -> None:
    """Every series that a process of ours exposes is in the table, with the labels that it has there."""
    table, seen = documented(), set()
    for series in server.now('{job=~"gateway|api|worker"}'):
        labels = dict(series["metric"])
        name = labels.pop("__name__")
        own = frozenset(labels) - {"instance", "job", "le"}
        row = table.get(name) or table.get(name.rpartition("_")[0])
        if name.startswith(("scrape_", "up")):
            continue
        seen.add(name)
        if row is None or not own <= row.labels:
            found.empty.append(f"docs/metrics.md: {name} with {', '.join(sorted(own)) or 'no labels'} is not in it")
    found.empty = list(dict.fromkeys(found.empty))
    found.lines.append(f"{'table':<20} {len(table)} metrics documented, {len(seen)} names of series seen")


def _jobs(it: Place, second: Process) -> dict[str, list[str]]:
    product = it.product
    gateways = [product.metrics_url, f"http://127.0.0.1:{second.env['IAS_GATEWAY_METRICS_PORT']}"]
    jobs = {"gateway": gateways, "api": [product.api_url], "worker": [product.worker_url], "vllm": list(it.engines)}
    return {name: [urlsplit(url).netloc for url in urls] for name, urls in jobs.items()}


if __name__ == "__main__":
    main()
