"""One worker as its supervisor sees it: a process that is started again and again, and what it reports."""

import asyncio
import contextlib
import signal
import socket
import sys
from asyncio.subprocess import Process
from time import monotonic

from ias_gateway.log import Log
from ias_gateway.report import MAX_REPORT_BYTES, Report, decode_report
from ias_gateway.shared_metrics import Families, lasting, parse, total

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
LONG_LIFE_S = 60.0
"""A worker that lived so long is started again soon, however often it had failed before."""


class Life:
    """One process, from its start to its end."""

    def __init__(self, process: Process, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self.process = process
        self.report: Report | None = None
        self.heard_at = monotonic()
        self._ended = False
        self._reader, self._writer = streams
        self._asked = 0
        self._news = asyncio.Event()

    async def listen(self) -> int:
        """Take what it reports until it ends; its exit code, or the negative number of the signal."""
        with contextlib.suppress(ConnectionError):
            # One that is killed may leave half a line.
            while (line := await self._reader.readline()).endswith(b"\n"):
                self.report, self.heard_at = decode_report(line), monotonic()
                self._news.set()
        self._ended = True
        self._news.set()
        self._writer.close()
        return await self.process.wait()

    async def fresh(self, within: float) -> Report | None:
        """A report that was not under way yet; None where none comes in so many seconds."""
        self._asked += 1
        number, until = self._asked, monotonic() + within
        self._writer.write(b"%d\n" % number)
        while self.report is None or self.report.number < number:
            self._news.clear()
            if self._ended or not await passes(self._news, until - monotonic()):
                return None
        return self.report

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, where it still lives."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


class Worker:
    """A place among the workers, which one process after another holds.

    Attributes:
        life: of the process that holds it; None between two.
        restarts: processes that ended without having been told to.
        condition: `running`, or how the last process ended and when the next one starts.
    """

    def __init__(self, index: int, name: str, log: Log) -> None:
        self.index = index
        self.life: Life | None = None
        self.restarts = 0
        self.condition = "starting"
        self._name = name
        self._log = log
        self._gone: Families = {}
        self._stopping = asyncio.Event()

    async def live(self) -> None:
        """Keep a process running until told to stop; returns when the last one has ended."""
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = monotonic()
            how = await self._one_life()
            if self._stopping.is_set():
                break
            if monotonic() - began > LONG_LIFE_S:
                pause = FIRST_PAUSE_S
            self.restarts += 1
            self.condition = f"{how}; starts again after {pause:g} s"
            self._log.line("error", "a worker ended", worker=self.index, how=how, starts_again_after_s=pause)
            await passes(self._stopping, pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
        self.condition = "stopped"

    async def report(self, within: float) -> Report | None:
        """A fresh report; None where there is none in so many seconds."""
        return None if self.life is None else await self.life.fresh(within)

    @property
    def families(self) -> Families:
        """Its metrics as last reported, with what the processes before had counted."""
        report = None if self.life is None else self.life.report
        return self._gone if report is None else total((self._gone, parse(report.metrics)))

    def stop(self) -> None:
        """Have the process drain, and start no other."""
        self._stopping.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, where there is one."""
        if self.life is not None:
            self.life.signal(number)

    async def _one_life(self) -> str:
        """Start a process and see it end; how it did."""
        try:
            life = await _begin(self._name)
        except OSError as error:
            return f"did not start: {error}"
        self.life, self.condition = life, "running"
        self._log.line("info", "a worker starts", worker=self.index, pid=life.process.pid)
        self._log.flush()
        if self._stopping.is_set():
            self.signal(signal.SIGTERM)
        code = await life.listen()
        self._gone, self.life = lasting(self.families), None
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


async def passes(event: asyncio.Event, within: float) -> bool:
    """Whether the event is set within so many seconds."""
    try:
        await asyncio.wait_for(event.wait(), within)
    except TimeoutError:
        return False
    return True


async def _begin(name: str) -> Life:
    """Start a worker's process; it inherits one end of its line, and nothing else.

    Raises:
        OSError: the system has no process to give.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        # -P: no module of the folder that the gateway was started in takes the place of a real one.
        argv = (sys.executable, "-P", "-m", "ias_gateway", "--as-worker", name, str(theirs.fileno()))
        try:
            process = await asyncio.create_subprocess_exec(*argv, pass_fds=(theirs.fileno(),))
        except OSError:
            ours.close()
            raise
    return Life(process, await asyncio.open_unix_connection(sock=ours, limit=MAX_REPORT_BYTES))
