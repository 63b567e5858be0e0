"""Logs of processes: what is written, and which libraries are kept from telling each thing that they do."""

import logging
from collections.abc import Iterator

import aio_pika.connection
import aiormq.connection
import httpx._client
import msgspec
import pytest
from loguru import logger

from ias.telemetry import configure_logging


@pytest.fixture
def configured() -> Iterator[None]:
    """A process's logging; afterwards it is as it was."""
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    configure_logging("test", "INFO")
    yield
    logger.remove()
    root.setLevel(before[0])
    root.handlers[:] = before[1]


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("library", [httpx._client.logger, aio_pika.connection.log, aiormq.connection.log])
def test_libraries_that_were_imported_before_say_nothing_below_a_warning(
    library: "logging.Logger | logging.LoggerAdapter[logging.Logger]", capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    library.info("HTTP Request: POST http://gateway/v1/chat/completions")
    library.warning("what matters")
    lines = [msgspec.json.decode(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["what matters"]


@pytest.mark.usefixtures("configured")
def test_a_line_is_one_object_with_what_was_bound(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    logger.bind(organisation="acme").info("said\nin two lines")
    [line] = [msgspec.json.decode(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert (line["level"], line["event"], line["process"]) == ("info", "said\nin two lines", "test")
    assert line["organisation"] == "acme"
