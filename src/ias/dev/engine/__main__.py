"""`python -m ias.dev.engine`: starts the mock engine."""

import asyncio
import gc
import signal
from functools import partial
from pathlib import Path

import click
import msgspec
import uvloop

from ias.dev.engine.control import Control
from ias.dev.engine.directives import Settings
from ias.dev.engine.engine import Engine
from ias.dev.engine.listener import Listener
from ias.dev.engine.oracle import Oracle
from ias.dev.engine.served import Served
from ias.dev.engine.serving import serve

_LOCAL = "127.0.0.1"


@click.command()
@click.option("--host", default=_LOCAL, show_default=True)
@click.option("--port", type=int, default=8000, show_default=True)
@click.option("--control-port", type=int, help="Where behaviour is set and the oracle read, on 127.0.0.1 only.")
@click.option("--model", "generative", multiple=True, default=("mock-gpt",), show_default=True, help="Its names.")
@click.option("--reasoning-model", "reasoning", multiple=True, default=("mock-reasoner",), show_default=True)
@click.option("--vision-model", "seeing", multiple=True, default=("mock-vision",), show_default=True)
@click.option("--embedding-model", "embedding", multiple=True, default=("mock-embed",), show_default=True)
@click.option("--rerank-model", "reranking", multiple=True, default=("mock-rerank",), show_default=True)
@click.option("--audio-model", "transcribing", multiple=True, default=("mock-whisper",), show_default=True)
@click.option("--max-model-len", type=click.IntRange(2), default=8192, show_default=True)
@click.option("--tokens", type=click.IntRange(1), default=16, show_default=True, help="Tokens of an answer.")
@click.option("--first-ms", type=float, default=0.0, show_default=True, help="Wait before the first byte.")
@click.option("--prefill-ms", type=float, default=0.0, show_default=True, help="Wait from head to first token.")
@click.option("--delay-ms", type=float, default=0.0, show_default=True, help="Wait between tokens.")
@click.option("--cache-block", type=click.IntRange(1), default=16, show_default=True, help="Tokens of a block.")
@click.option("--cache-blocks", type=click.IntRange(1), default=65_536, show_default=True, help="Blocks kept.")
@click.option("--log", type=click.Path(path_type=Path), help="Where the oracle adds a JSON line a request.")
def main(
    *,
    host: str,
    port: int,
    control_port: int | None,
    max_model_len: int,
    log: Path | None,
    **named: float | tuple[str, ...],
) -> None:
    """Behave as vLLM does, with known tokens and settable faults."""
    served = msgspec.convert({name: named.pop(name) for name in Served.__struct_fields__}, Served)
    settings = msgspec.convert(named, Settings)
    engine = Engine(served, max_model_len, settings, Oracle(log))
    uvloop.run(_run(engine, (host, port), control_port))


async def _run(engine: Engine, at: tuple[str, int], control_port: int | None) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    port = Listener(partial(serve, engine), *at)
    listeners = [port]
    if control_port is not None:
        listeners.append(Listener(Control(engine, port).serve, _LOCAL, control_port))
    try:
        for listener in listeners:
            await listener.open()
    except OSError as error:
        raise click.ClickException(f"Port {at[1]} or {control_port} cannot be listened on: {error.strerror}.") from None
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    await stopped.wait()
    for listener in listeners:
        listener.stop()


if __name__ == "__main__":
    main()
