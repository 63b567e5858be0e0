"""`python -m ias.dev.engine`: starts the mock engine."""

import asyncio
import contextlib
import signal
from functools import partial
from pathlib import Path

import click
import uvloop

from ias.dev.engine.control import control
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.oracle import Oracle
from ias.dev.engine.server import Connection, Handler
from ias.dev.engine.serving import serve
from ias.dev.engine.state import Engine


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=8000, show_default=True)
@click.option("--control-port", type=int, help="Where behaviour is set and the oracle read; none unless given.")
@click.option("--model", "models", multiple=True, default=("mock-gpt",), show_default=True)
@click.option("--max-model-len", type=int, default=8192, show_default=True)
@click.option("--tokens", type=int, default=16, show_default=True, help="Tokens of an answer.")
@click.option("--first-ms", type=float, default=0.0, show_default=True, help="Wait before the first byte.")
@click.option("--delay-ms", type=float, default=0.0, show_default=True, help="Wait between tokens.")
@click.option("--log", type=click.Path(path_type=Path), help="Where the oracle writes a JSON line a request.")
def main(  # noqa: PLR0913 - one argument an option
    *,
    host: str,
    port: int,
    control_port: int | None,
    models: tuple[str, ...],
    max_model_len: int,
    tokens: int,
    first_ms: float,
    delay_ms: float,
    log: Path | None,
) -> None:
    """Behave as vLLM does."""
    usual = Behaviour(tokens=tokens, first_ms=first_ms, delay_ms=delay_ms)
    uvloop.run(_run(Engine(models, max_model_len, usual, Oracle(log)), host, port, control_port))


async def _run(engine: Engine, host: str, port: int, control_port: int | None) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with contextlib.AsyncExitStack() as servers:
        await servers.enter_async_context(await _listen(partial(serve, engine), host, port))
        if control_port is not None:
            await servers.enter_async_context(await _listen(partial(control, engine), host, control_port))
        await stopped.wait()


async def _listen(handler: Handler, host: str, port: int) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(lambda: Connection(handler), host, port, backlog=4096)


if __name__ == "__main__":
    main()
