"""A Redis Cluster of our own: three masters, perhaps with a replica each, every node a service to be harmed."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import redis

from ias.contract.shards import SLOTS, Span, slot_of
from tests.services.ports import free_port
from tests.services.programs import with_programs
from tests.services.service import Service
from tests.services.stack import Services

WITHIN_S = 60.0
NODE = {
    "cluster-enabled": "yes",
    "cluster-require-full-coverage": "no",  # a shard that is down takes its own organisations with it, no others
    "cluster-node-timeout": "2000",
    "repl-diskless-sync-delay": "0",
}
SPANS: tuple[Span, ...] = ((0, 5460), (5461, 10922), (10923, SLOTS - 1))


@dataclass
class Node:
    """One server of the cluster."""

    service: Service
    client: redis.Redis = field(init=False)

    def __post_init__(self) -> None:
        self.client = redis.Redis(port=self.port, socket_timeout=10)

    @property
    def port(self) -> int:
        return urlsplit(self.service.url).port or 0

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(self, *command: str | int | bytes) -> object:
        """The answer of this very node."""
        return self.client.execute_command(*command)

    @property
    def id(self) -> str:
        told = self.ask("CLUSTER", "MYID")
        return told.decode() if isinstance(told, bytes) else str(told)

    def info(self) -> dict[str, str]:
        """CLUSTER INFO."""
        told = self.ask("CLUSTER", "INFO")
        text = told.decode() if isinstance(told, bytes) else ""
        return dict(line.split(":", 1) for line in text.split()) or dict(told)  # type: ignore[call-overload]


@dataclass
class Cluster:
    """Its masters as they began, in the order of their slots, and their replicas."""

    masters: list[Node]
    replicas: list[Node]

    @property
    def url(self) -> str:
        """For IAS_REDIS_URL."""
        return "redis+cluster://" + ",".join(node.name for node in self.masters)

    @property
    def nodes(self) -> list[Node]:
        return [*self.masters, *self.replicas]

    def home(self, tag: str) -> Node:
        """The master that had the organisation's slot in the beginning."""
        return next(node for node, span in zip(self.masters, SPANS, strict=True) if span[0] <= slot_of(tag) <= span[1])

    def begin_move(self, slot: int, source: Node, target: Node) -> None:
        """Have a slot be importing there and migrating here."""
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

    def move_keys(self, slot: int, source: Node, target: Node, most: int) -> int:
        """Move up to so many keys of a slot, as redis-cli does; answers how many."""
        keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, most)
        assert isinstance(keys, list)
        if keys:
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        return len(keys)

    def end_move(self, slot: int, target: Node) -> None:
        """Say that the slot is there now, the new home first."""
        others = [node for node in self.masters if node is not target]
        for node in (target, *others):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def move(self, slot: int, source: Node, target: Node) -> None:
        """Move a slot with all its keys."""
        self.begin_move(slot, source, target)
        while self.move_keys(slot, source, target, 10):
            pass
        self.end_move(slot, target)


@contextmanager
def cluster(services: Services, *, replicas: bool = False) -> Iterator[Cluster]:
    """A cluster of three shards, whole and serving."""
    with ExitStack() as stack:
        programs = with_programs(services)

        def node() -> Node:
            settings = {**NODE, "cluster-port": str(free_port())}
            return Node(stack.enter_context(programs.fresh("redis", settings)))

        made = Cluster([node() for _ in SPANS], [node() for _ in SPANS if replicas])
        join(made)
        yield made
        for each in made.nodes:
            each.client.close()


def join(made: Cluster) -> None:
    """Make the nodes one cluster."""
    for number, (master, span) in enumerate(zip(made.masters, SPANS, strict=True), 1):
        master.ask("CLUSTER", "ADDSLOTSRANGE", *span)
        master.ask("CLUSTER", "SET-CONFIG-EPOCH", number)
    first = made.masters[0]
    for node in made.nodes[1:]:
        bus = node.client.config_get("cluster-port")["cluster-port"]
        first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, int(bus))
    until(lambda: all(int(node.info()["cluster_known_nodes"]) == len(made.nodes) for node in made.nodes))
    for master, replica in zip(made.masters, made.replicas, strict=False):
        until(lambda master=master, replica=replica: _follows(replica, master.id))
    until(lambda: all(node.info()["cluster_state"] == "ok" for node in made.nodes))
    for replica in made.replicas:
        until(lambda replica=replica: replica.client.info("replication")["master_link_status"] == "up")


def replicated(client: redis.Redis, key: str = "told") -> None:
    """Wait until a replica has all that this server was told; WAIT asks about what its own connection wrote."""

    def reached() -> bool:
        with client.client() as one:
            one.set(key, 1)
            return one.execute_command("WAIT", 1, 1000) >= 1

    until(reached)


def until(look: Callable[[], bool]) -> None:
    """Wait until something is true.

    Raises:
        TimeoutError: it is not, in time.
    """
    end = time.monotonic() + WITHIN_S
    while not look():
        if time.monotonic() > end:
            raise TimeoutError("it did not come true in time")
        time.sleep(0.02)


def _follows(replica: Node, master: str) -> bool:
    """Have it replicate; it may not have heard of the master yet."""
    try:
        replica.ask("CLUSTER", "REPLICATE", master)
    except redis.ResponseError:
        return False
    return True
