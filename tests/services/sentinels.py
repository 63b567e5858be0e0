"""A master, its replica, and three sentinels that make the replica the master when the master is lost."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import redis

from tests.services.cluster import until
from tests.services.ending import end
from tests.services.place import Place
from tests.services.ports import kept_port
from tests.services.private import PrivateService
from tests.services.process import Process
from tests.services.programs import with_programs
from tests.services.redis import answers
from tests.services.service import Service
from tests.services.stack import Services
from tests.services.worlds import PrivateWorld

NAME = "gate"
SENTINELS = 3
DOWN_AFTER_MS = 1500
SETTINGS = {"repl-diskless-sync-delay": "0", "repl-timeout": "60"}


@dataclass
class Watched:
    """Two servers, one of which was the master in the beginning, and who watches them."""

    servers: list[Service]
    sentinels: list[PrivateService]

    @property
    def url(self) -> str:
        """For IAS_REDIS_URL."""
        return "redis+sentinel://" + ",".join(urlsplit(one.url).netloc for one in self.sentinels) + f"/{NAME}"

    def client(self, server: Service) -> redis.Redis:
        return redis.Redis(port=port_of(server), socket_timeout=10)

    @property
    def master(self) -> Service:
        """Whom the first sentinel calls the master."""
        host_and_port = self.ask("GET-MASTER-ADDR-BY-NAME", NAME)
        return next(server for server in self.servers if str(port_of(server)) == str(_text(host_and_port[1])))

    @property
    def replica(self) -> Service:
        """The other one."""
        return next(server for server in self.servers if server is not self.master)

    def ask(self, *command: str) -> list[object]:
        """The answer of the first sentinel."""
        with redis.Redis(port=port_of(self.sentinels[0])) as client:
            told = client.execute_command(f"SENTINEL {command[0]}", *command[1:])
        return list(told) if isinstance(told, list | tuple) else [told]

    def in_sync(self) -> bool:
        """Whether the replica follows the master, and every sentinel knows both and the others."""
        with self.client(self.replica) as client:
            info = client.info("replication")
        if info["role"] != "slave" or info["master_link_status"] != "up":
            return False
        return all(_sees_all(port_of(sentinel)) for sentinel in self.sentinels)


@contextmanager
def watched(services: Services) -> Iterator[Watched]:
    """A master that is watched, all of it ready."""
    services = with_programs(services)
    with ExitStack() as stack:
        master = stack.enter_context(services.fresh("redis", SETTINGS))
        follow = {"replicaof": f"127.0.0.1 {port_of(master)}"}
        replica = stack.enter_context(services.fresh("redis", SETTINGS | follow))
        made = Watched([master, replica], [])
        for _ in range(SENTINELS):
            made.sentinels.append(stack.enter_context(_sentinel(services, port_of(master))))
        until(made.in_sync)
        yield made


def port_of(service: Service) -> int:
    return urlsplit(service.url).port or 0


@contextmanager
def _sentinel(services: Services, master: int) -> Iterator[PrivateService]:
    world = services.world
    assert isinstance(world, PrivateWorld)
    home = services.folder / world.name / f"sentinel-{uuid4().hex[:8]}"
    made = _described(world.place, home, kept_port(home), master)
    try:
        made.start()
        yield made
    finally:
        end(home)


def _described(place: Place, home: Path, port: int, master: int) -> PrivateService:
    user = "root" if place.root is None else "redis"
    config = home / "data" / "sentinel.conf"
    settings: Mapping[str, str | int] = {
        "bind": "127.0.0.1",
        "port": port,
        "dir": str(place.inside(home) / "data"),
        "sentinel monitor": f"{NAME} 127.0.0.1 {master} 2",
        "sentinel down-after-milliseconds": f"{NAME} {DOWN_AFTER_MS}",
        "sentinel failover-timeout": f"{NAME} 5000",
    }

    def prepare() -> None:
        place.hand_over(home, user)
        place.hand_over(home / "data", user)
        if not config.exists():
            config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
            config.chmod(0o666)  # sentinels write into it

    inside = place.inside(home) / "data" / "sentinel.conf"
    command = place.command(home, user, place.redis_server, inside, "--sentinel")
    url = f"redis://127.0.0.1:{port}/0"
    return PrivateService(url, Process("sentinel", home, command), home / "data", prepare, lambda: answers(url))


def _sees_all(port: int) -> bool:
    with redis.Redis(port=port) as client:
        state = client.sentinel_masters().get(NAME, {})
    return bool(state) and state["num-other-sentinels"] == SENTINELS - 1 and state["num-slaves"] >= 1


def _text(part: object) -> str:
    return part.decode() if isinstance(part, bytes) else str(part)
