"""Several processes at one crawl: each has its loop, its client and its hosts.

The rules:

1. The first process fetches nothing. It forks the workers before it has a loop or a thread, reads
   the list into the store, shows how the crawl goes and passes signals on.
2. A worker lives no longer than the first process: when their socket closes, it stops.
3. A worker that dies, however it does, loses its hosts to the others at once. Nothing is lost with
   it and nothing is written twice: see :mod:`crawler.frontier.store`.
4. All write to one output, by turns (:meth:`crawler.frontier.SharedFrontier.turn`).
"""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .crawl import Queue
from .fetching import Visit
from .frontier import Fenced, Job, Malformed, RedisStore, SQLiteStore, feed
from .frontier.reasons import NO_SPACE, reason
from .http import URL, HTTPError, InvalidURL, Response
from .loops import LoopFactory
from .progress import PlainProgress, say, visit_text
from .summary import Summary

# What the first process tells a worker, and seconds that a worker has to obey a stop.
DRAIN, STOP = b"d", b"s"
STOPS_WITHIN = 0.7
# Seconds between two reports of a worker.
REPORTS_EVERY = 0.1
# What a worker ends with if the crawl cannot go on, in the second case as a disk is full; it has
# said why.
FAILED, NO_ROOM = 3, 4


class Reports:
    """The observer of a worker: tells the first process, which tells the user.

    Pages are reported as numbers, some ten times a second, and failures one by one.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pages = 0
        self._links = 0
        self._received = 0
        self._lines: list[str] = []

    def page(self, job: Job, response: Response, links: int) -> None:
        """Count a page."""
        self._pages += 1
        self._links += links
        self._received += response.wire_bytes

    def failure(self, job: Job, error: HTTPError) -> None:
        """Report a failure."""
        detail = error.detail
        if error.reason == "internal error":
            detail += "\n" + "".join(traceback.format_exception(error)).rstrip()
        self.tell(failure=[job.source, job.url.href, error.reason, detail])

    def malformed(self, line: Malformed) -> None:
        """The list is not a worker's to read."""

    records = False

    def begins(self, queue: Queue, summary: Summary) -> None:
        """The first process counts for itself."""

    def over(self, visit: Visit, depth: int) -> None:
        """Report what came of a URL; failures are reported in any case."""
        if visit.error is None:
            self.tell(line=visit_text(visit))

    def joined(self, worker: int) -> None:
        """Report what the worker is called in the store, before it has anything from there."""
        # At once: should the worker be killed now, somebody must know what it holds.
        self._sock.send(json.dumps({"name": worker}).encode() + b"\n")

    def tell(self, **what: Any) -> None:
        """Have something sent."""
        self._lines.append(json.dumps(what) + "\n")

    async def send(self) -> None:
        """Send what there is; nobody may be there any more."""
        if self._pages:
            self.tell(pages=[self._pages, self._links, self._received])
            self._pages = self._links = self._received = 0
        lines, self._lines = self._lines, []
        if lines:
            with contextlib.suppress(OSError):
                data = "".join(lines).encode()
                await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def send_on(self) -> None:
        """Send for as long as the worker lives."""
        while True:
            await asyncio.sleep(REPORTS_EVERY)
            await self.send()


class Reported(HTTPError):
    """A failure that a worker has reported."""

    def __init__(self, url: str, reason: str, detail: str) -> None:
        super().__init__(url, detail)
        self.reason = reason  # type: ignore[misc]


AnyStore = SQLiteStore | RedisStore

# What a worker does: with its store, its observer, the event that has it drain, and its lock.
Work = Callable[[AnyStore, Reports, asyncio.Event, int], Awaitable[None]]


class Worker:
    """A worker as the first process knows it: its process, their socket, its name in the store."""

    def __init__(self, number: int, pid: int, sock: socket.socket) -> None:
        self.number = number
        self.pid = pid
        self.sock = sock
        self.name: int | None = None
        self.ended = False

    def tell(self, what: bytes) -> None:
        """Tell it to drain or to stop."""
        with contextlib.suppress(OSError):
            self.sock.send(what)


@contextlib.contextmanager
def forked(count: int, store: AnyStore, factory: LoopFactory, work: Work) -> Iterator[list[Worker]]:
    """Workers, in a process that has no loop yet; those that are left at the end are killed."""
    workers: list[Worker] = []
    with tempfile.TemporaryFile() as lock:
        store.shut()  # a connection may not be used on both sides of a fork
        try:
            for number in range(1, count + 1):
                ours, theirs = socket.socketpair()
                sys.stdout.flush()
                sys.stderr.flush()
                pid = os.fork()
                if not pid:
                    code = FAILED
                    try:
                        for sock in [ours, *(worker.sock for worker in workers)]:
                            sock.close()
                        code = _run_worker(store, factory, work, theirs, lock.fileno())
                    except BaseException:  # noqa: BLE001  (nothing may get out of the process)
                        traceback.print_exc()
                    finally:
                        os._exit(code)
                theirs.close()
                ours.setblocking(False)
                workers.append(Worker(number, pid, ours))
            store.reopen()
            yield workers
        finally:
            for worker in workers:
                if not worker.ended:
                    os.kill(worker.pid, signal.SIGKILL)
                    os.waitpid(worker.pid, 0)
                worker.sock.close()


def _run_worker(
    store: AnyStore, factory: LoopFactory, work: Work, sock: socket.socket, lock: int
) -> int:
    """A worker's whole life; returns its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all, and one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sock.setblocking(False)
    store.disown()
    store.reopen()
    reports = Reports(sock)
    code = 0
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_obey(store, work, reports, sock, lock))
    except* (OSError, Fenced) as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        say(f"crawler: the crawl cannot go on: {reason(first)}", sys.stderr)
        full = isinstance(first, OSError) and first.errno in NO_SPACE
        code = NO_ROOM if full else FAILED
    return code


async def _obey(
    store: AnyStore, work: Work, reports: Reports, sock: socket.socket, lock: int
) -> None:
    loop = asyncio.get_running_loop()
    drain = asyncio.Event()
    working = asyncio.ensure_future(work(store, reports, drain, lock))

    async def listen() -> None:
        while await _received(loop, sock, 1) == DRAIN:
            drain.set()
        working.cancel()  # it was STOP, or nothing

    beside = [asyncio.create_task(listen()), asyncio.create_task(reports.send_on())]
    try:
        await asyncio.wait({working})
    finally:
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
    await reports.send()
    if not working.cancelled():
        working.result()


class Crew:
    """The workers, as the first process's loop sees them."""

    def __init__(self, workers: Sequence[Worker], store: AnyStore, observer: PlainProgress) -> None:
        self._workers = workers
        self._store = store
        self._observer = observer
        self._failed = False
        self._no_room = False
        self._finished = False

    def drain(self) -> None:
        """Have all finish what they are at."""
        for worker in self._workers:
            worker.tell(DRAIN)

    async def run(
        self, urls: Path | list[str], summary: Summary, *, sitemaps: bool, draining: asyncio.Event
    ) -> None:
        """Read the list, follow the workers to their end, and sum up what all have counted.

        Raises OSError if the list cannot be read, or nobody is left to do the work.
        """
        before = await self._store.counted()

        def malformed(line: Malformed) -> None:
            summary.malformed += 1
            self._observer.malformed(line)

        feeding = asyncio.create_task(feed(self._store, urls, malformed, sitemaps=sitemaps))
        following = {asyncio.create_task(self._follow(worker)) for worker in self._workers}
        try:
            await self._wait(feeding, following)
        finally:
            feeding.cancel()
            await asyncio.wait({feeding})
            await self._stop(following)
            after = await self._store.counted()
            summary.add({name: n - before.get(name, 0) for name, n in after.items()})
            summary.stop_clock()
        if self._no_room:
            raise OSError(errno.ENOSPC, "a worker had no room to write to")
        if self._failed:
            raise OSError("a worker could not go on")
        if not draining.is_set() and not self._finished:
            raise OSError("no worker has lived to the end; with --state, --resume goes on")

    async def _wait(self, feeding: asyncio.Task[None], following: set[asyncio.Task[None]]) -> None:
        """Until all workers have ended; raises what ends the reading of the list before that."""
        left = {feeding, *following}
        while left - {feeding}:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def _stop(self, following: set[asyncio.Task[None]]) -> None:
        """Have all end that are left, by force if need be."""
        for worker in self._workers:
            worker.tell(STOP)
        await asyncio.wait(following, timeout=STOPS_WITHIN)
        for worker in self._workers:
            if not worker.ended:
                os.kill(worker.pid, signal.SIGKILL)
        await asyncio.gather(*following)

    async def _follow(self, worker: Worker) -> None:
        """Take a worker's reports until it ends."""
        loop = asyncio.get_running_loop()
        rest = b""
        while data := await _received(loop, worker.sock):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(worker, json.loads(line))
        _, status = _wait_for(worker.pid)  # its end of the socket is closed: that is its last act
        worker.ended = True
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            self._finished = True
            return
        self._failed |= code == FAILED
        self._no_room |= code == NO_ROOM
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        self._observer.say(f"worker {worker.number} (process {worker.pid}) {how}")
        if worker.name is not None:
            await self._store.leave(worker.name)

    def _take(self, worker: Worker, what: dict[str, Any]) -> None:
        if "name" in what:
            worker.name = what["name"]
        elif "line" in what:
            self._observer.say(what["line"])
        elif "failure" in what:
            source, href, reason, detail = what["failure"]
            with contextlib.suppress(InvalidURL):
                self._observer.failure(Job(source, URL(href)), Reported(href, reason, detail))
        else:
            self._observer.pages(*what["pages"])


def _wait_for(pid: int) -> tuple[int, int]:
    return os.waitpid(pid, 0)


async def _received(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, most: int = 65536
) -> bytes:
    """What the other process says; nothing if it has ended, whatever it has left unread."""
    try:
        return await loop.sock_recv(sock, most)
    except ConnectionError:
        return b""
