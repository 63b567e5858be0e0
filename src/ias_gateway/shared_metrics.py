"""One exposition out of several workers': counters and histograms added up, gauges folded, the dead not forgotten.

Prometheus takes a counter that falls for one that began anew, and adds what it then shows to what it had before. So
the sum of several processes must never fall: what a worker that ended had counted stays in the sum, as it was last
seen. What a worker counted after its last report and before a kill is lost, as all is where a lone process is killed.
"""

from collections.abc import Callable, Iterable

import msgspec

Families = dict[str, "Family"]
"""By name, in the order of the exposition."""

FOLDS: dict[str, Callable[[float, float], float]] = {
    "ias_build_info": max,
    "ias_gateway_loop_lag_seconds": max,
    "ias_gateway_redis_up": min,
    "ias_gateway_replica_up": min,
    "ias_gateway_shard_up": min,
    "process_start_time_seconds": min,
}
"""How gauges of several workers become one, where a sum would tell nothing."""


class Family(msgspec.Struct):
    """A metric. `samples` maps name and labels, as they stand in a line, to the value."""

    text: str
    kind: str
    samples: dict[str, float]


def parse(exposition: str) -> Families:
    """The families of a worker's exposition. Each begins with its HELP and TYPE."""
    families: Families = {}
    family = Family("", "untyped", {})
    for line in exposition.splitlines():
        if line.startswith("# HELP "):
            name, _, text = line.removeprefix("# HELP ").partition(" ")
            family = families[name] = Family(text, "untyped", {})
        elif line.startswith("# TYPE "):
            family.kind = line.rpartition(" ")[2]
        elif line:
            sample, _, value = line.rpartition(" ")
            family.samples[sample] = float(value)
    return families


def total(parts: Iterable[Families]) -> Families:
    """All workers as one."""
    whole: Families = {}
    for families in parts:
        for name, family in families.items():
            into = whole.setdefault(name, Family(family.text, family.kind, {}))
            fold = FOLDS.get(name, float.__add__)
            for sample, value in family.samples.items():
                before = into.samples.get(sample)
                into.samples[sample] = value if before is None else fold(before, value)
    return whole


def lasting(families: Families) -> Families:
    """What stays of a worker that has ended: its gauges say what is, and it is no more."""
    return {name: family for name, family in families.items() if family.kind != "gauge"}


def expose(families: Families) -> bytes:
    """The text that Prometheus scrapes."""
    lines: list[str] = []
    for name, family in families.items():
        lines += [f"# HELP {name} {family.text}", f"# TYPE {name} {family.kind}"]
        lines += [f"{sample} {value:.15g}" for sample, value in family.samples.items()]
    return ("\n".join(lines) + "\n").encode()
