"""The images, built once by the Dockerfiles' own steps, and the stack of compose.yaml run, without an engine."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from tests.images import base
from tests.images.builder import STANDING, Build
from tests.images.container import Container, Image
from tests.images.names import answering
from tests.product import Product
from tests.product.people import Person, register_mock, system_admin
from tests.services import Services, free_port, roots
from tests.services.process import Command, Process

ROOT = Path(__file__).resolve().parents[2]
NAMES_AT = "127.0.0.77"
GATEWAYS = ("127.0.0.2", "127.0.0.3")
SECRET = "5" * 48
PASSWORD = "7" * 48
READY_WITHIN_S = 120.0
ENTER = """
mount --bind "$2" "$1/mnt"
mount -t tmpfs tmpfs "$1/tmp"
exec chroot "$1" env --chdir=/mnt sh /mnt/start.sh
"""


@pytest.fixture(scope="session")
def workshop() -> Iterator[Path]:
    """A folder that users of images may pass through."""
    reason = base.why_not()
    if reason:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="ias-images-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def ias(workshop: Path) -> Image:
    made = Build(ROOT / "images/ias/Dockerfile", base.prepared(), workshop / "ias")
    return Image(made.root, made.image)


@pytest.fixture(scope="session")
def gateway(workshop: Path) -> Image:
    made = Build(ROOT / "images/gateway/Dockerfile", base.prepared(), workshop / "gateway")
    return Image(made.root, made.image)


@dataclass
class Shipped(Product):
    """The product, out of its images."""

    images: dict[str, Image] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    door_url: str = ""
    door_health: str = ""

    @property
    def gateway_url(self) -> str:
        return self.door_url

    def ias(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.images["ias"].run(arguments, self.env, stdin)


@pytest.fixture(scope="session")
def stores(services: Services, workshop: Path) -> Iterator[dict[str, str]]:
    """PostgreSQL with the roles, and Redis with the users, that the scripts of compose.yaml make."""
    inside = roots.prepare("trixie", print).root
    with ExitStack() as stack:
        server = stack.enter_context(services.fresh("postgres")).url
        asyncio.run(_execute(server, "CREATE DATABASE ias"))
        _make_roles(inside, server)
        redis = stack.enter_context(_redis(inside, workshop / "redis"))
        at = urlsplit(server)
        url = f"postgresql://{{}}:{PASSWORD}@{at.hostname}:{at.port}/ias"
        told = {
            "IAS_DATABASE_URL": url.format("ias_process"),
            "IAS_MIGRATION_DATABASE_URL": url.format("ias_owner"),
            "IAS_REDIS_URL": f"redis://monolith:{PASSWORD}@127.0.0.1:{redis}/0",
            "REDIS_OF_GATEWAYS": f"redis://gateway:{PASSWORD}@127.0.0.1:{redis}/0",
            "IAS_AMQP_URL": (services.amqp_url and stack.enter_context(services.virtual_host())) or "",
        }
        yield told


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def _make_roles(inside: Path, server: str) -> None:
    """Run the script that PostgreSQL's image runs on an empty data folder."""
    at = urlsplit(server)
    told = {
        "POSTGRES_USER": at.username or "postgres",
        "POSTGRES_DB": "ias",
        "PGPASSWORD": at.password or "",
        "PGHOST": at.hostname or "",
        "PGPORT": str(at.port),
        "OWNER_PASSWORD": PASSWORD,
        "PROCESS_PASSWORD": PASSWORD,
    }
    script = (ROOT / "deploy/compose/postgres/20-roles.sh").read_text()
    argv = ("chroot", str(inside), "/bin/sh", "-s")
    done = subprocess.run(argv, env={**STANDING, **told}, input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@contextmanager
def _redis(inside: Path, folder: Path) -> Iterator[int]:
    """Redis as compose.yaml starts it: by the same script, in a folder of its own."""
    port = free_port()
    folder.mkdir()
    shutil.copy(ROOT / "deploy/compose/redis/start.sh", folder)
    told = {"REDIS_PORT": str(port), "GATEWAY_PASSWORD": PASSWORD, "MONOLITH_PASSWORD": PASSWORD}
    argv = base.private("sh", "-ec", ENTER, "sh", str(inside), str(folder))
    process = Process("redis", folder, Command(argv, {**STANDING, **told}))
    process.start()
    try:
        process.wait_until(lambda: _pings(inside, port))
        yield port
    finally:
        process.kill()


def _pings(inside: Path, port: int) -> bool:
    """What compose.yaml asks for Redis's health, but for the port."""
    asked = f"redis-cli -p {port} --user health --pass health --no-auth-warning ping | grep -q PONG"
    return not subprocess.run(("chroot", str(inside), "sh", "-c", asked), env=STANDING, capture_output=True).returncode


@pytest.fixture(scope="session")
def shipped(ias: Image, gateway: Image, stores: dict[str, str], workshop: Path) -> Iterator[Shipped]:
    """Migrated, with an engine, api, worker and two gateways, all ready, and HAProxy in front of the two."""
    ports = {name: free_port() for name in ("API", "WORKER", "GATEWAY", "GATEWAY_METRICS", "ENGINE")}
    env = {
        **{name: value for name, value in stores.items() if name.startswith("IAS_")},
        **{f"IAS_{name}_PORT": str(port) for name, port in ports.items() if name != "ENGINE"},
        "ENGINE_PORT": str(ports["ENGINE"]),
        "IAS_JWT_SECRET": SECRET,
        "IAS_BCRYPT_COST": "4",
        "IAS_UPSTREAM_ALLOW": "127.0.0.0/8",
    }
    whole = Shipped(workshop, env, images={"ias": ias, "gateway": gateway})
    migrated = whole.ias("ias", "migrate", "up")
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    with ExitStack() as stack:
        _start(whole, stack, stores)
        _door(whole, stack)
        for name in whole.containers:
            wait_until(whole, name, lambda name=name: ready(whole, name))
        yield whole
        for name, container in whole.containers.items():
            print(f"--- {name}\n{container.said()}")  # noqa: T201 - pytest shows it where something failed


def _start(whole: Shipped, stack: ExitStack, stores: dict[str, str]) -> None:
    scratch = {
        name: Image(
            whole.images["ias"].root, whole.images["ias"].stage, {whole.folder / f"{name}-home": "/var/lib/ias"}
        )
        for name in ("api", "worker")
    }
    spool = Image(
        whole.images["gateway"].root, whole.images["gateway"].stage, {whole.folder / "spool": "/var/spool/ias"}
    )
    engine = ("python", "-m", "ias.dev.engine", "--host", "0.0.0.0", "--port", whole.env["ENGINE_PORT"])
    commands = {
        "engine": (whole.images["ias"], engine, {}),
        "api": (scratch["api"], ("ias", "api"), {}),
        "worker": (scratch["worker"], ("ias", "worker"), {}),
    }
    for number, address in enumerate(GATEWAYS, 1):
        own = {
            "IAS_GATEWAY_HOST": address,
            "IAS_GATEWAY_METRICS_HOST": address,
            "IAS_CACHE_SALT_SECRET": SECRET,
            "IAS_REDIS_URL": stores["REDIS_OF_GATEWAYS"],
            "IAS_SHED_LAG_MS": "10000",
        }
        commands[f"gateway-{number}"] = (spool, tuple(spool.stage.last("CMD").words), own)
    for name, (image, command, own) in commands.items():
        log = whole.folder / f"{name}.log"
        whole.containers[name] = stack.enter_context(image.running(command, {**whole.env, **own}, log))


def _door(whole: Shipped, stack: ExitStack) -> None:
    """HAProxy with the configuration of compose.yaml; what it is told of ports and names is ours."""
    root, port = whole.folder / "door", free_port()
    subprocess.run(("cp", "-a", "--reflink=auto", str(base.prepared()), str(root)), check=True)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    install = "apt-get update -qq && apt-get install -qq --yes --no-install-recommends haproxy"
    got = subprocess.run(("chroot", str(root), "sh", "-c", install), env={**STANDING}, capture_output=True, text=True)
    assert got.returncode == 0, got.stderr
    (root / "etc/resolv.conf").write_text(f"nameserver {NAMES_AT}\n")
    whole.door_url, whole.door_health = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    text = (ROOT / "deploy/compose/door/haproxy.cfg").read_text()
    moved = text.replace("bind :8080", f"bind 127.0.0.1:{port}").replace(
        "127.0.0.1:8090", whole.door_health.removeprefix("http://")
    )
    assert moved.count("127.0.0.1:") == 2
    (root / "etc/haproxy/haproxy.cfg").write_text(moved)
    told = {
        **STANDING,
        "GATEWAY": f"gateway:{whole.env['IAS_GATEWAY_PORT']}",
        "GATEWAY_HEALTH_PORT": whole.env["IAS_GATEWAY_METRICS_PORT"],
    }
    stack.enter_context(answering(NAMES_AT, "gateway", GATEWAYS))
    program = ("/usr/sbin/haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg")
    argv = ("unshare", "--pid", "--fork", "--kill-child", "chroot", "--userspec=65534:65534", str(root), *program)
    log = whole.folder / "door.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv, env=told, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    whole.containers["door"] = Container(child, log)
    stack.callback(whole.containers["door"].kill)


def ready(whole: Shipped, name: str) -> bool:
    """Whether one of the stack serves."""
    metrics = whole.env["IAS_GATEWAY_METRICS_PORT"]
    probes = {
        "engine": f"{whole.engine_url}/health",
        "api": f"{whole.api_url}/ready",
        "worker": f"{whole.worker_url}/ready",
        "door": f"{whole.door_url}/v1/models",
        **{f"gateway-{number}": f"http://{address}:{metrics}/ready" for number, address in enumerate(GATEWAYS, 1)},
    }
    try:
        answer = httpx.get(probes[name], timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code == (401 if name == "door" else 200)


def wait_until(whole: Shipped, name: str, holds: Callable[[], bool]) -> None:
    """Wait for what one of the stack does; says what it said where it does not."""
    until = time.monotonic() + READY_WITHIN_S
    while not holds():
        container = whole.containers[name]
        assert container.alive, f"{name} ended with {container.child.returncode}\n{container.said()}"
        assert time.monotonic() < until, f"{name} was not ready\n{container.said()}"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def admin(shipped: Shipped) -> Person:
    """The first system admin, made by the command of the image; the mock engine's model is registered."""
    person = system_admin(shipped)
    register_mock(person)
    return person


@pytest.fixture(scope="session")
def clean() -> dict[str, str]:
    """An environment without anything of this checkout."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
