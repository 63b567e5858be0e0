"""A mock engine as a process of its own, and ways to talk to it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.product.processes import Process
from tests.services import free_port

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
FULL = {"include_usage": True, "continuous_usage_stats": True}


@dataclass
class Place:
    """One engine."""

    process: Process
    url: str
    control: str
    log: Path

    def settings(self, **changes: object) -> dict[str, Any]:
        """Change how it behaves."""
        return httpx.put(f"{self.control}/settings", json=changes).raise_for_status().json()

    def reset(self) -> None:
        httpx.post(f"{self.control}/reset").raise_for_status()

    def told(self, path: str) -> Any:
        """What the control port says."""
        return httpx.get(f"{self.control}{path}").raise_for_status().json()

    async def line(self, request_id: str) -> dict[str, Any]:
        """The log's line about a request, which may yet have to be written."""
        for _ in range(1500):
            for raw in self.log.read_bytes().splitlines():
                line = msgspec.json.decode(raw)
                if line["request_id"] == request_id:
                    return line
            await asyncio.sleep(0.02)
        raise AssertionError(f"no line about {request_id} within 30 s")

    def metric(self, name: str) -> float:
        """A metric of the engine, by its name, or by its name and labels."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((name + "{", name + " ")))


@contextmanager
def engine(folder: Path, *options: str) -> Iterator[Place]:
    """An engine, while the block runs."""
    ports, log = (free_port(), free_port()), folder / "oracle.jsonl"
    argv = (sys.executable, "-m", "ias.dev.engine", "--port", str(ports[0]), "--control-port", str(ports[1]))
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    env = {"PATH": "/usr/bin:/bin"}
    process = Process("engine", (*argv, "--log", str(log), *options), env, folder, f"{urls[0]}/health")
    try:
        process.start()
        process.wait_ready()
        yield Place(process, *urls, log)
    finally:
        process.end()


def body(text: str = "hello", **fields: object) -> dict[str, object]:
    """A chat."""
    return {"model": "mock-gpt", "messages": [{"role": "user", "content": text}], **fields}


def events(stream: bytes) -> list[Any]:
    """The events of a stream; `[DONE]` as text."""
    said = [event.removeprefix(b"data: ") for event in stream.split(b"\n\n") if event]
    return ["[DONE]" if event == b"[DONE]" else msgspec.json.decode(event) for event in said]


def raw(path: str, fields: object, *headers: str) -> bytes:
    """A request as bytes."""
    content = msgspec.json.encode(fields)
    lines = (f"POST {path} HTTP/1.1", "host: engine", "content-type: application/json", *headers)
    return "\r\n".join((*lines, f"content-length: {len(content)}", "", "")).encode() + content


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection."""
    url = httpx.URL(place.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        yield reader, writer
    finally:
        writer.close()
