"""A TCP proxy that does harm: it delays, swallows, refuses, resets, half-closes, truncates, slices and cuts."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import uvloop

from tests.faults.harms import Harm
from tests.faults.links import Link, at_once, reset
from tests.services import free_port


class Proxy:
    """Stands before one server. Change `harm` through `do`; `url` is where clients go instead."""

    def __init__(self, server_url: str, loop: asyncio.AbstractEventLoop) -> None:
        parts = urlsplit(server_url)
        self.port = free_port()
        self.url = parts._replace(netloc=parts.netloc.rpartition(":")[0] + f":{self.port}").geturl()
        self.harm = Harm()
        self.open = asyncio.Event()
        self.open.set()
        self.accepted = 0
        self._server = parts.hostname, parts.port
        self._loop = loop
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[Any] | None] = set()

    def do(self, **harm: Any) -> None:
        """From now on this harm, and no other; with none, all is well."""
        self._call(lambda: self._change(Harm(**harm)))

    def reset(self) -> None:
        """Reset every connection, once."""
        self._call(lambda: [link.reset() for link in tuple(self._links)])

    def half_close(self) -> None:
        """Close every connection towards its client, once."""
        self._call(lambda: [link.half_close() for link in tuple(self._links)])

    @contextmanager
    def doing(self, **harm: Any) -> Iterator["Proxy"]:
        """This harm while the block runs."""
        self.do(**harm)
        try:
            yield self
        finally:
            self.do()

    @property
    def connections(self) -> int:
        return len(self._links)

    def _change(self, harm: Harm) -> None:
        self.harm = harm
        if harm.blackhole:
            self.open.clear()
        else:
            self.open.set()

    async def listen(self) -> None:
        await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=4096)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.harm.refuse:
            reset(writer)
            return
        try:
            server = await asyncio.open_connection(*self._server)
        except OSError:
            reset(writer)
            return
        at_once(writer)
        at_once(server[1])
        link = Link(self, (reader, writer), server)
        self._links.add(link)
        task = asyncio.current_task()
        self._tasks.add(task)  # the loop itself would let go of it
        # Cancelled when the proxy ends: asyncio would report that.
        with suppress(asyncio.CancelledError):
            await link.run()
        self._links.discard(link)
        self._tasks.discard(task)

    def _call(self, verb: Callable[[], object]) -> None:
        done = threading.Event()

        def call() -> None:
            verb()
            done.set()

        self._loop.call_soon_threadsafe(call)
        assert done.wait(10), "the proxy's loop does not answer"


class Proxies:
    """A thread that runs any number of proxies."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._thread.start()

    def before(self, server_url: str) -> Proxy:
        """A proxy before this server."""
        return self._run(self._proxy(server_url))

    def close(self) -> None:
        """End all of them."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _proxy(self, server_url: str) -> Proxy:
        proxy = Proxy(server_url, asyncio.get_running_loop())
        await proxy.listen()
        return proxy

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


@contextmanager
def proxies() -> Iterator[Proxies]:
    """Proxies, ended afterwards."""
    some = Proxies()
    try:
        yield some
    finally:
        some.close()
