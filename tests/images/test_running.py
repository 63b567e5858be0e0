"""What the images do: they are built as their Dockerfiles say, and run as compose.yaml runs them."""

import asyncio
import time
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from tests.images.conftest import GATEWAYS, READY_WITHIN_S, SECRET, Shipped, ready, wait_until
from tests.images.container import Image
from tests.product import Person
from tests.product.people import new_org
from tests.services import free_port

LOCK = 0x1A5_0001  # of ias.migrate
LOOKED = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'ias-migrate' AND query LIKE '%try_advisory_lock%'"
WORDS = [{"role": "user", "content": "Say hello. [[mock tokens=40 delay_ms=50]]"}]


def test_an_image_is_read_only_and_its_user_has_no_rights_and_no_name_of_root(ias: Image, gateway: Image) -> None:
    for image in (ias, gateway):
        tried = image.run(
            ("sh", "-c", "id -u; touch /opt/ias/x /etc/x; grep CapBnd /proc/self/status; cat /proc/1/comm")
        )
        assert tried.stdout.split()[0] == "10001"
        assert tried.stderr.count("Read-only file system") == 2
        assert "CapBnd:\t0000000000000000" in tried.stdout


def test_the_commands_of_the_monolith_are_there(ias: Image) -> None:
    for program in ("ias", "ias-admin"):
        told = ias.run((program, "--help"))
        assert told.returncode == 0, told.stderr
    assert ias.run(("ias-gateway", "--help")).returncode == 0, "the wheel has it; it is of no use there"


def test_the_monoliths_image_has_git_ssh_and_time_zones_and_no_compiler(ias: Image) -> None:
    asked = "import zoneinfo; print(zoneinfo.ZoneInfo('Europe/Berlin'), len(zoneinfo.available_timezones()) > 400)"
    assert ias.run(("python", "-c", asked)).stdout == "Europe/Berlin True\n"
    assert ias.run(("git", "--version")).returncode == 0
    assert ias.run(("ssh", "-V")).returncode == 0
    assert ias.run(("sh", "-c", "command -v gcc cc make")).returncode == 127


def test_the_gateways_image_has_the_gateway_alone_and_compiled(gateway: Image) -> None:
    compiled = gateway.run(("python", "-c", "import ias_gateway.fiber as fiber; print(fiber.__file__)"))
    assert compiled.stdout.endswith(".so\n"), compiled.stdout + compiled.stderr
    there = "from importlib.util import find_spec as f; print(f('ias.contract') is None, f('ias.web'), f('litestar'))"
    assert gateway.run(("python", "-c", there)).stdout == "False None None\n"
    assert gateway.run(("ias-gateway", "--help")).returncode == 0
    assert gateway.run(("sh", "-c", "command -v ias ias-admin")).returncode == 127


def test_without_settings_a_process_says_which_are_missing(ias: Image, gateway: Image) -> None:
    for image, command, name in ((ias, "ias api", "IAS_JWT_SECRET"), (gateway, "ias-gateway", "IAS_CACHE_SALT_SECRET")):
        told = image.run(command.split())
        assert told.returncode == 1
        assert name in told.stderr


def test_migrating_again_changes_nothing(shipped: Shipped) -> None:
    again = shipped.ias("ias", "migrate", "up")
    assert again.returncode == 0, again.stderr
    assert "the database is up to date" in again.stdout


def test_health_checks_tell_who_is_well_from_who_is_not(shipped: Shipped) -> None:
    ias = shipped.images["ias"]
    for port in ("IAS_API_PORT", "IAS_WORKER_PORT", "ENGINE_PORT"):
        program, *ports = ias.stage.healthcheck
        assert ias.run((program, *ports[:-1], shipped.env[port])).returncode == 0, port
    assert ias.run(("healthcheck", "1")).returncode == 1
    assert httpx.get(f"{shipped.door_health}/health").status_code == 200


def test_a_gateway_of_the_image_listens_everywhere_and_is_found_to_be_well(
    shipped: Shipped, stores: dict[str, str]
) -> None:
    image, metrics = shipped.images["gateway"], str(free_port())
    own = {
        "IAS_REDIS_URL": stores["REDIS_OF_GATEWAYS"],
        "IAS_CACHE_SALT_SECRET": SECRET,
        "IAS_GATEWAY_PORT": str(free_port()),
        "IAS_GATEWAY_METRICS_PORT": metrics,
    }
    alone = Image(image.root, image.stage, {shipped.folder / "alone": "/var/spool/ias"})
    (program, port) = image.stage.healthcheck
    assert port == "9080"
    with alone.running(("ias-gateway",), own, shipped.folder / "alone.log") as container:
        shipped.containers["alone"] = container
        wait_until(shipped, "alone", lambda: image.run((program, metrics)).returncode == 0)
        assert container.stop(60) == 0, container.said()
    del shipped.containers["alone"]


def test_a_request_goes_through_the_door_to_the_engine_and_into_the_books(shipped: Shipped, admin: Person) -> None:
    org = new_org(admin)
    key = org.user.issue_key()["token"]
    answer = org.user.openai(key).chat.completions.create(model="mock-gpt", messages=WORDS[:1], max_tokens=5)
    assert answer.usage

    def booked() -> bool:
        used = org.user.get(f"/analytics/orgs/{org.id}/usage")["totals"]
        return used["total_tokens"] == answer.usage.total_tokens

    wait_until(shipped, "worker", booked)


def test_a_stream_comes_as_it_is_made_and_not_at_its_end(shipped: Shipped, admin: Person) -> None:
    client = _client(shipped, admin)
    came = [time.monotonic() for _ in client.chat.completions.create(model="mock-gpt", messages=WORDS, stream=True)]
    assert len(came) >= 40
    assert came[-1] - came[0] > 1.0, "40 tokens with 50 ms between them"


def test_the_door_spreads_requests_over_both_gateways(shipped: Shipped, admin: Person) -> None:
    client = _client(shipped, admin)
    for _ in range(8):
        client.chat.completions.create(model="mock-gpt", messages=WORDS[:1], max_tokens=1)
    for address in GATEWAYS:
        told = httpx.get(f"http://{address}:{shipped.env['IAS_GATEWAY_METRICS_PORT']}/metrics").text
        assert 'ias_gateway_requests_total{endpoint="/v1/chat/completions",status="200"}' in told


def test_migrating_ends_when_it_is_told_to_though_it_is_process_1(shipped: Shipped) -> None:
    async def held() -> int:
        url = urlsplit(shipped.env["IAS_MIGRATION_DATABASE_URL"]).geturl()
        connection = await asyncpg.connect(url)
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        log = shipped.folder / "waiting.log"
        with shipped.images["ias"].running(("ias", "migrate", "up"), shipped.env, log) as waiting:
            async with asyncio.timeout(READY_WITHIN_S):
                while not await connection.fetchval(LOOKED):
                    assert waiting.alive, waiting.said()
                    await asyncio.sleep(0.1)
            code = await asyncio.to_thread(waiting.stop, 30)
        await connection.close()
        return code

    assert asyncio.run(held()) == 143


def test_a_gateway_that_is_told_to_stop_ends_its_streams_and_the_other_takes_what_comes(
    shipped: Shipped, admin: Person
) -> None:
    client = _client(shipped, admin)
    streams = [client.chat.completions.create(model="mock-gpt", messages=WORDS, stream=True) for _ in range(4)]
    begun = [next(iter(stream)) for stream in streams]
    assert len(begun) == 4
    first = shipped.containers["gateway-1"]
    first.first.terminate()
    for stream in streams:
        assert list(stream)[-1].choices[0].finish_reason == "stop"
    for _ in range(10):
        client.chat.completions.create(model="mock-gpt", messages=WORDS[:1], max_tokens=1)
    assert first.child.wait(60) == 0, first.said()


@pytest.mark.parametrize("name", ["gateway-2", "worker", "api", "engine"])
def test_sigterm_ends_a_process_in_order(shipped: Shipped, name: str) -> None:
    assert ready(shipped, name)
    assert shipped.containers[name].stop(60) == 0, shipped.containers[name].said()


def _client(shipped: Shipped, admin: Person):  # noqa: ANN202 - OpenAI's
    org = new_org(admin)
    return org.user.openai(org.user.issue_key()["token"], max_retries=0)
