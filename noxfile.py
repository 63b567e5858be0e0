"""What `make` asks for: the checks and the locks, in the environment that scripts/bootstrap makes."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from secrets import randbelow

import nox

nox.options.default_venv_backend = "none"
logging.getLogger("nox").setLevel(logging.WARNING)  # the runner's own closing line stays the last one

LOCK = (
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-header",
    "--no-annotate",
    "--quiet",
    "--exclude-newer=7days",  # a release is left a week in which others find what is wrong with it
)


BESIDE = ("ship", "audit")  # environments of their own, of programs that do not resolve beside the product


@nox.session
def lint(session: nox.Session) -> None:
    run(session, "ruff", "check")
    run(session, "ruff", "format", "--check")
    run(session, "mypy")
    session.run(str(Path(sys.executable).with_name("lint-imports")), external=True)


@nox.session
def tests(session: nox.Session) -> None:
    # The long ones first, so that no worker is left with one at the end.
    folders = [f"tests/{name}" for name in ("faults", "e2e", "integration", "sdk", "ship", "architecture")]
    # The services' Debian is fetched and unpacked meanwhile, which mostly waits for a mirror and for the disk.
    preparing = subprocess.Popen([sys.executable, "-m", "tests.services", "prepare"])
    try:
        unit(session)
    finally:
        preparing.wait()
    run(session, "tests.services", "prepare")
    beside(session, "ship")
    run(
        session,
        "pytest",
        "-n",
        "3",
        "--dist=loadfile",
        "--durations=20",
        "--once",
        *filter(lambda folder: Path(folder).is_dir(), folders),
        "tests/browser/test_main_job.py",
        *session.posargs,
    )


@nox.session
def unit(session: nox.Session) -> None:
    run(session, "pytest", "-n", "2", "tests/unit", "tests/fuzz", "--cov", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    # The fuzzer is large and of use to nothing else: it is beside the environment, not in it.
    home = Path(".cache", "fuzz").resolve()
    within = ("--quiet", "--require-hashes", f"--target={home}")
    run(session, "uv", "pip", "install", *within, "--requirements=requirements/fuzz.txt")
    run(session, "tests.fuzz", *session.posargs, PYTHONPATH=str(home))


@nox.session
def compiled(session: nox.Session) -> None:
    # What `make bench` measures and a wheel may hold (decision 0009): as it is, the gateway's own tests against it.
    home = Path(".cache", "compiled").resolve()
    session.run(sys.executable, "hatch_build.py", str(home), external=True)
    run(session, "tests.services", "prepare")
    whole = ("-n", "2", "--dist=loadfile", "tests/integration/gateway", "tests/sdk")
    run(session, "pytest", *whole, *session.posargs, PYTHONPATH=str(home / "src"))


@nox.session
def bench(session: nox.Session) -> None:
    run(session, "bench", *session.posargs)


@nox.session
def intake(session: nox.Session) -> None:
    run(session, "tests.services", "prepare")
    run(session, "bench.intake", *session.posargs)


@nox.session
def rebuild(session: nox.Session) -> None:
    run(session, "tests.services", "prepare")
    run(session, "bench.rebuild", *session.posargs)


@nox.session
def scale(session: nox.Session) -> None:
    run(session, "tests.services", "prepare")
    run(session, "bench.scale", *session.posargs)


@nox.session
def worlds(session: nox.Session) -> None:
    # Every version of the services that this machine can have; builds a private root for each, once.
    run(session, "tests.services", "worlds", "--out=bench/results/worlds.json", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    run(session, "tests.services", "prepare")
    run(session, "tests.soak", *session.posargs)


@nox.session
def machine(session: nox.Session) -> None:
    # New orders of events each time; IAS_TEST_MACHINE_SEED and IAS_TEST_MACHINE_EXAMPLES say which and how many.
    chosen = {"IAS_TEST_MACHINE_SEED": str(randbelow(2**32)), "IAS_TEST_MACHINE_EXAMPLES": "2000"}
    asked = {name: os.environ.get(name, given) for name, given in chosen.items()}
    run(session, "tests.services", "prepare")
    run(
        session,
        "pytest",
        "-v",
        "tests/integration/contract/test_invariants.py",
        "--timeout=7200",
        *session.posargs,
        **asked,
    )


@nox.session
def schemas(session: nox.Session) -> None:
    # What the OpenAPI document lets one send, and what not, to every route; other requests each time.
    chosen = {"IAS_TEST_SCHEMA_SEED": str(randbelow(2**32)), "IAS_TEST_SCHEMA_EXAMPLES": "200"}
    asked = {name: os.environ.get(name, given) for name, given in chosen.items()}
    session.log(f"IAS_TEST_SCHEMA_SEED={asked['IAS_TEST_SCHEMA_SEED']} sends the same again")
    run(session, "tests.services", "prepare")
    run(session, "pytest", "tests/integration/openapi", "--timeout=3600", *session.posargs, **asked)


@nox.session
def tenants(session: nox.Session) -> None:
    # New orders of what people do to one another's accounts, as `machine` has them of what requests do to the books.
    chosen = {"IAS_TEST_MACHINE_SEED": str(randbelow(2**32)), "IAS_TEST_MACHINE_EXAMPLES": "200"}
    asked = {name: os.environ.get(name, given) for name, given in chosen.items()}
    run(session, "tests.services", "prepare")
    whole = ("-v", "tests/integration/identity/test_tenants.py", "--timeout=7200")
    run(session, "pytest", *whole, *session.posargs, **asked)


@nox.session
def faults(session: nox.Session) -> None:
    run(session, "tests.services", "prepare")
    run(session, "tests.faults", *session.posargs)


@nox.session
def cluster(session: nox.Session) -> None:
    # All that speaks to Redis, on three shards; and what takes long: replicas and sentinels that take over.
    folders = (
        "tests/cluster",
        "tests/integration/gateway",
        "tests/integration/contract",
        "tests/e2e/test_redis_cluster.py",
    )
    run(session, "tests.services", "prepare")
    run(session, "pytest", "-n", "2", "--dist=loadfile", *folders, *session.posargs, IAS_TEST_REDIS_KIND="cluster")


@nox.session
def browser(session: nox.Session) -> None:
    # Every page, as every role, in Debian's Chromium; `make test` goes one way through it.
    run(session, "tests.services", "prepare")
    run(session, "pytest", "-n", "2", "--dist=loadfile", "tests/browser", *session.posargs)


@nox.session
def screenshots(session: nox.Session) -> None:
    run(session, "tests.services", "prepare")
    run(session, "pytest", "tests/browser/screenshots.py", *session.posargs)


@nox.session
def ship(session: nox.Session) -> None:
    # Images, charts, cloud, dashboards, workflows, docs: what is rendered or checked without a cluster.
    beside(session, "ship")
    run(session, "pytest", "tests/ship", *session.posargs)


@nox.session
def compat(session: nox.Session) -> None:
    # The API tests of the release before, on this schema and Function library; `-- --release=v1.2.0` says which.
    run(session, "tests.services", "prepare")
    run(session, "tests.compat", *session.posargs)


@nox.session
def public_charts(session: nox.Session) -> None:
    # Where the charts' registries and a `helm` are: whether each chart that infra/argocd pins takes our values.
    beside(session, "ship")
    session.run(".cache/ship/bin/python", "tests/ship/public_charts.py", external=True)


@nox.session
def security(session: nox.Session) -> None:
    # House rules, secrets, charts and cloud, by programs that need no network; `-- --history` for all commits too.
    beside(session, "ship")
    beside(session, "audit")
    run(session, "tests.security", *session.posargs)


@nox.session
def images(session: nox.Session) -> None:
    # The wheel in a clean environment; the Dockerfiles' own steps in a private Debian, and what they give, run.
    run(session, "tests.services", "prepare")
    run(session, "pytest", "tests/images", "--timeout=1200", *session.posargs)


@nox.session
def sbom(session: nox.Session) -> None:
    # dist/sbom/*.cdx.json: what each image has of PyPI, as its lock says; BuildKit's own adds Debian's packages.
    beside(session, "ship")
    session.run(".cache/ship/bin/python", "images/sbom.py", "dist/sbom", external=True)


@nox.session
def observe(session: nox.Session) -> None:
    # Debian's Prometheus against the live product: every panel and every alert has something to look at.
    run(session, "tests.services", "prepare")
    run(session, "tests.observe", *session.posargs)


@nox.session
def engine(session: nox.Session) -> None:
    run(session, "tests.engine")
    run(session, "pytest", "tests/engine", "--timeout=1200", *session.posargs)


@nox.session
def manual(session: nox.Session) -> None:
    # The pages that are made of code, and docs/schema.md, of a database with every migration.
    run(session, "scripts.manual", "write")
    run(session, "pytest", "-q", "tests/integration/identity/test_schema_page.py", IAS_TEST_SCHEMA_PAGE="write")


@nox.session
def tutorials(session: nox.Session) -> None:
    # The commands of docs/tutorials, on `make up`; those of docs/getting-started.md are run by `make test`.
    run(session, "pytest", "tests/e2e/tutorials.py", "--timeout=600", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    # The site, into site/; a broken link fails it.
    beside(session, "ship")
    # Where its configuration is, `zensical build --clean` removes the folder .cache: so it is built in one of its own.
    place = Path(".cache", "manual")
    run(session, "scripts.manual", "stage", str(place))
    session.run(".cache/ship/bin/zensical", "build", "--strict", f"--config-file={place}/zensical.toml", external=True)
    shutil.rmtree("site", ignore_errors=True)
    shutil.copytree(place / "site", "site")


@nox.session
def lock(session: nox.Session) -> None:
    everything = ("pyproject.toml", "--extra=dev", "--group=test", "--group=lint", "--group=tools")
    run(session, "uv", "pip", "compile", *everything, *LOCK, "--output-file=requirements/dev.txt")
    for name, packages, sources in (
        ("run", "uv\nhatchling\neditables\n", ("pyproject.toml", "--extra=dev")),
        ("image", "", ("pyproject.toml",)),
        ("gateway", "", ("--group=gateway",)),
        ("build", "", ("--group=build",)),
        ("uv", "uv\n", ()),
        ("fuzz", "", ("--group=fuzz",)),
        ("ship", "", ("--group=ship",)),
        ("audit", "", ("--group=audit",)),
    ):
        asked = Path(session.create_tmp()) / f"{name}.in"
        asked.write_text(packages)
        within = (f"--output-file=requirements/{name}.txt",)
        if name not in BESIDE:
            within += ("--constraint=requirements/dev.txt",)
        run(session, "uv", "pip", "compile", *sources, str(asked), *LOCK, *within)


def beside(session: nox.Session, name: str) -> None:
    """Make the environment `.cache/<name>`, or leave it where it is already as its lock says."""
    home, lock = Path(".cache", name).resolve(), Path("requirements", f"{name}.txt")
    made = home / "made-from.txt"
    if made.is_file() and made.read_bytes() == lock.read_bytes():
        return
    run(session, "uv", "venv", "--quiet", "--clear", str(home))
    within = ("--quiet", "--require-hashes", f"--python={home}")
    run(session, "uv", "pip", "install", *within, f"--requirements={lock}")
    made.write_bytes(lock.read_bytes())


def run(session: nox.Session, module: str, *arguments: str, **env: str) -> None:
    session.run(sys.executable, "-m", module, *arguments, env=env, external=True)
