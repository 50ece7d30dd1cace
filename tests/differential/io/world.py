"""The world of a program: a loop, a scripted peer, and a notebook of what happened.

After each step the world *settles*: the loop turns, and the peer does what it can, until nothing
happens any more. So what a step leads to is noted as of that step, on either loop, however many
turns it took. What came in pieces is noted as one: a loop may cut a stream as it likes.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import sys
import tempfile
import warnings
import zlib
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from tests.differential.io.program import Program

__all__ = ["Notes", "Oops", "World", "in_words", "payload", "run_program"]

# Who noted it, in which step, and what.
Notes = dict[tuple[int, str], list[Any]]

# How many turns in a row must be quiet, and how many in all may pass: a loop that is never quiet
# has a fault, which is noted.
QUIET_TURNS = 6
MOST_TURNS = 2000

# Seconds of real time, after each turn, for a second look at a program that made a difference.
PATIENCE = 0.001


class Oops(Exception):
    """What the callbacks of a program raise."""


def payload(size: int, salt: int = 0) -> bytes:
    """So many bytes, of which no two stretches are alike."""
    block = bytes((salt + 7 * i + (i >> 8)) & 255 for i in range(min(size, 4096)))
    return (block * (size // 4096 + 1))[:size]


def in_words(value: Any) -> Any:
    """A value that can be compared: an exception by its type and errno."""
    if isinstance(value, BaseExceptionGroup):
        return [type(value).__name__, *(in_words(inner) for inner in value.exceptions)]
    if isinstance(value, BrokenPipeError):
        return "BrokenPipeError"  # that of a pipe has no errno in asyncio
    if isinstance(value, OSError) and value.errno is not None:
        return f"{type(value).__name__}({errno.errorcode.get(value.errno, value.errno)})"
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, bytes | bytearray | memoryview):
        return (len(value), zlib.crc32(value))
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, tuple | list):
        return [in_words(inner) for inner in value]
    return type(value).__name__


class AtOnce(ThreadPoolExecutor):
    """Has no threads: how quick they are would be chance."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **how: Any) -> Future[Any]:
        result: Future[Any] = Future()
        try:
            result.set_result(fn(*args, **how))
        except Exception as exc:
            result.set_exception(exc)
        return result


class World:
    """What the steps of a program act on, and where it is noted."""

    def __init__(self, program: Program, folder: Path, patience: float) -> None:
        self.program = program
        self.folder = folder
        self.stack = ExitStack()  # what is to be closed at the end
        self.notes: Notes = {}
        self.step = 0
        self.loop: Any = None
        self.tasks: dict[str, asyncio.Task[Any]] = {}
        self.peers: list[Any] = []  # each with `pump() -> bool`
        self.transports: list[Any] = []
        self._patience = patience
        self._changes = 0

    # Noting.

    def note(self, who: str, what: str, value: Any = None) -> None:
        """Write it down, as of this step."""
        self._changes += 1
        entries = self.notes.setdefault((self.step, who), [])
        entries.append([what, in_words(value)])

    def note_bytes(self, who: str, what: str, data: Any) -> None:
        """Write down that bytes came; those that come next to each other are added up."""
        self._changes += 1
        entries = self.notes.setdefault((self.step, who), [])
        # Where steps do not wait for what they lead to, what came between is chance.
        latest = entries[-1:] if self.program.options.get("settles", True) else entries
        for entry in latest:
            if entry[0] == what:
                count, checksum = entry[1]
                entry[1] = (count + len(data), zlib.crc32(data, checksum))
                return
        entries.append([what, (len(data), zlib.crc32(data))])

    def attempt(self, who: str, what: str, call: Callable[[], Any]) -> Any:
        """Do it, and note what came of it."""
        try:
            result = call()
        except Exception as exc:
            self.note(who, what, exc)
            return None
        self.note(who, what, result)
        return result

    def spawn(self, name: str, coro: Coroutine[Any, Any, Any]) -> None:
        """Run it in a task, whose end is noted."""

        async def noted() -> None:
            try:
                result = await coro
            except (Exception, asyncio.CancelledError) as exc:
                self.note(f"task {name}", "ended", exc)
            else:
                self.note(f"task {name}", "ended", result)

        self.tasks[name] = self.loop.create_task(noted())

    def on_error(self, loop: Any, context: dict[str, Any]) -> None:
        """The loop's exception handler."""
        self.note("handler", str(context.get("message")), context.get("exception"))

    # Turning.

    async def turn(self) -> None:
        """One look at the kernel, and all that is ready."""
        done = self.loop.create_future()
        self.loop.call_later(self._patience, done.set_result, None)
        await done

    async def settle(self) -> None:
        """Turn until nothing happens any more."""
        quiet = 0
        for _ in range(MOST_TURNS):
            before = self._changes
            busy = False
            for peer in self.peers:
                busy = peer.pump() or busy
            await self.turn()
            quiet = 0 if busy or self._changes != before else quiet + 1
            if quiet >= QUIET_TURNS:
                return
        self.note("world", "never quiet")

    async def until(self, ready: Callable[[], bool]) -> None:
        """Turn until it is so: for what takes real time, such as the end of a process."""
        deadline = self.loop.time() + 5
        while not ready() and self.loop.time() < deadline:
            for peer in self.peers:
                peer.pump()
            await asyncio.sleep(0.001)
        if not ready():
            self.note("world", "waited in vain")


def run_program(
    program: Program,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    kinds: dict[str, Callable[[World], Any]],
    patience: float = 0.0,
) -> Notes:
    """What the program does on such a loop."""
    with (
        tempfile.TemporaryDirectory(prefix="io") as folder,
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter("always")
        world = World(program, Path(folder), patience)
        hook, sys.unraisablehook = (
            sys.unraisablehook,
            lambda what: world.note("unraisable", str(what.object)[:20], what.exc_value),
        )
        logging.disable(logging.CRITICAL)
        try:
            with asyncio.Runner(loop_factory=new_loop, debug=False) as runner:
                world.loop = runner.get_loop()
                world.loop.set_exception_handler(world.on_error)
                world.loop.set_default_executor(AtOnce())
                runner.run(_play(world, kinds[program.kind]))
                world.step = 900
            world.tasks.clear()
            world.transports.clear()
            world.peers.clear()
            gc.collect()
        finally:
            logging.disable(logging.NOTSET)
            world.stack.close()
            sys.unraisablehook = hook
    for warning in told:
        text = str(warning.message)
        world.notes.setdefault((900, "warnings"), []).append(
            # What is named there is the loop's own.
            [warning.category.__name__, " ".join(text.split()[: 1 + ("unclosed" in text)])]
        )
    return world.notes


async def _play(world: World, kind: Callable[[World], Any]) -> None:
    actor = kind(world)
    await actor.begin()
    await world.settle()
    for number, step in enumerate(world.program.steps, start=1):
        world.step = 0 if world.program.kind == "processes" else number
        getattr(actor, "do_" + step[0])(*step[1:])
        if world.program.options.get("settles", True):
            await world.settle()
    await world.settle()
    world.step = 0 if world.program.kind == "processes" else 800
    await actor.end()
    for name, task in world.tasks.items():
        if not task.done():
            world.note(f"task {name}", "pending")
            task.cancel()
    for transport in world.transports:
        with suppress(AttributeError):  # asyncio's pipes, once they are closed
            transport.abort() if hasattr(transport, "abort") else transport.close()
    await world.settle()
    for peer in world.peers:
        world.note(peer.name, "in all", peer.summary())
        peer.close()
    await world.settle()
