"""Who may speak to whom, by the rules of NetworkPolicies: a pod that a policy selects may do what some policy says."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

Thing = dict[str, Any]


class Place(NamedTuple):
    """A pod of a namespace, or an address where there is no namespace."""

    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    address: str = ""


def pod(namespace: str, **labels: str) -> Place:
    """A pod; labels are written with `_` for what `app.kubernetes.io/` begins."""
    names = {"app": "app.kubernetes.io/name", "component": "app.kubernetes.io/component"}
    return Place(namespace, tuple((names.get(name, name.replace("_", "-")), value) for name, value in labels.items()))


def arrows(policies: list[Thing], places: dict[str, Place], ports: Iterable[int]) -> Iterator[tuple[str, str, int]]:
    """Every arrow that is let through between two places of which a policy speaks for one at least."""
    for source, one in places.items():
        for target, other in places.items():
            if source != target and (governed(policies, one) or governed(policies, other)):
                for port in ports:
                    if lets(policies, "Egress", one, other, port) and lets(policies, "Ingress", other, one, port):
                        yield source, target, port


def governed(policies: list[Thing], place: Place) -> bool:
    return any(applies(policy, place) for policy in policies)


def lets(policies: list[Thing], way: str, here: Place, there: Place, port: int) -> bool:
    """Whether a place may speak this way; one that no policy speaks of may."""
    mine = [policy for policy in policies if applies(policy, here) and way in policy["spec"]["policyTypes"]]
    return not mine or any(
        allows(rule, policy["metadata"]["namespace"], there, port)
        for policy in mine
        for rule in policy["spec"].get(way.lower(), [])
    )


def applies(policy: Thing, place: Place) -> bool:
    same = policy["metadata"]["namespace"] == place.namespace
    return same and matches(policy["spec"]["podSelector"], dict(place.labels))


def allows(rule: Thing, own: str, place: Place, port: int) -> bool:
    """Whether a rule lets this place; one without peers or ports would let every one."""
    peers, ports = rule.get("to", rule.get("from")), rule.get("ports")
    fits = not peers or any(is_peer(peer, place, own) for peer in peers)
    return fits and (not ports or any(one["port"] == port and one["protocol"] == "TCP" for one in ports))


def is_peer(peer: Thing, place: Place, own: str) -> bool:
    if "ipBlock" in peer:
        return bool(place.address) and within(peer["ipBlock"], place.address)
    if not place.namespace:
        return False
    there = {"kubernetes.io/metadata.name": place.namespace}
    in_namespace = matches(peer["namespaceSelector"], there) if "namespaceSelector" in peer else place.namespace == own
    return in_namespace and matches(peer.get("podSelector", {}), dict(place.labels))


def within(block: Thing, address: str) -> bool:
    own = ip_address(address)
    return own in ip_network(block["cidr"]) and not any(own in ip_network(but) for but in block.get("except", []))


def matches(selector: Thing, labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "matchExpressions are not understood here"
    return dict(selector.get("matchLabels", {})).items() <= labels.items()
