"""The process in which somebody's program runs, with one loop in the place of asyncio's own.

``python -m benchmarks.program.child LOOP REPORT PURPOSE COMMAND...`` runs the command, a script
or the name of an installed one such as ``uvicorn``, as ``python script`` would. `REPORT` is a file
for what kind of loop ran, and for the figures. If PURPOSE is "count" (and not "time"), the turns
are counted, where the loop lets them be.

The lag is that of a timer, once in `PERIOD` on each loop: how much later than asked it is called.
That is how late anything else of the program is, and the only thing that is added to its work.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import resource
import runpy
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import loops

__all__ = ["BEGIN", "END", "kind_of", "main"]

PERIOD = 0.01  # seconds
GRAIN = 1e-6  # seconds: what is less than that is no lag
# Files that are looked for and are not there: in a log of system calls they show where the program
# begins and ends.
BEGIN, END = "/benchmarks-program-begins", "/benchmarks-program-ends"


def kind_of(loop: Any) -> str:
    """What a loop is, in words: the name of its class, and whether it is miniloop compiled."""
    kind = f"{type(loop).__module__}.{type(loop).__qualname__}"
    miniloop = sys.modules.get("miniloop")
    if miniloop is not None and isinstance(loop, miniloop.EventLoop) and miniloop.COMPILED:
        kind += " (compiled)"
    return kind


class Watch:
    """Makes the loops, and looks at them while they run."""

    def __init__(self, make: Callable[[], Any], *, counting: bool = False) -> None:
        self._make = make
        self._turns = Turns() if counting else None
        self.kinds: list[str] = []
        self.lags: list[float] = []

    def new_event_loop(self) -> Any:
        """What asyncio asks for a loop."""
        loop = self._make()
        if self._turns is not None:
            self._turns.watch(loop)
        loop.call_soon(self._begin, loop)
        return loop

    @property
    def turns(self) -> int:
        """How many turns were counted."""
        return 0 if self._turns is None else self._turns.count

    def _begin(self, loop: Any) -> None:
        kind = kind_of(loop)
        if kind not in self.kinds:
            self.kinds.append(kind)
        self._wait(loop)

    def _wait(self, loop: Any) -> None:
        due = time.perf_counter() + PERIOD
        loop.call_later(PERIOD, self._tick, loop, due)

    def _tick(self, loop: Any, due: float) -> None:
        # Some loops round to milliseconds, and may be early.
        self.lags.append(max(GRAIN, time.perf_counter() - due))
        self._wait(loop)


class Turns:
    """Counts them on asyncio's loop and on miniloop; others do not say when they begin one."""

    def __init__(self) -> None:
        self.count = 0

    def watch(self, loop: Any) -> None:
        """Count the turns of that loop."""
        if hasattr(loop, "observe"):
            loop.observe(self)
        elif hasattr(loop, "_run_once"):
            run_once = loop._run_once

            def counted() -> None:
                self.count += 1
                run_once()

            loop._run_once = counted

    def join(self, joints: Any) -> Any:
        """As an observer of miniloop."""
        begin_turn = joints.begin_turn

        def counted(ready: Any) -> int:
            self.count += 1
            number: int = begin_turn(ready)
            return number

        return joints._replace(begin_turn=counted)

    def run_ended(self) -> None:
        """As an observer of miniloop."""


def install(make: Callable[[], Any]) -> None:
    """Have asyncio make its loops so, whoever asks: `run`, a Runner, or the policy."""
    asyncio.new_event_loop = asyncio.events.new_event_loop = make
    # The policy is how `get_event_loop` and older programs ask; from 3.14 on it is a private name.
    get: Any = getattr(asyncio.events, "_get_event_loop_policy", None)
    policy: Any = type((get or asyncio.get_event_loop_policy)())
    policy.new_event_loop = lambda self: make()


def main(arguments: list[str]) -> None:
    """Run the command; its exit code is ours."""
    name, report, purpose, command, *rest = arguments
    make = loops.find(name).load()
    if make is asyncio.new_event_loop:
        make = asyncio.SelectorEventLoop  # as the function itself asks what is exchanged below
    watch = Watch(make, counting=purpose == "count")
    install(watch.new_event_loop)
    script = command if os.path.exists(command) else _installed(command)
    if script is None:
        raise SystemExit(f"there is no {command!r}")
    sys.argv = [script, *rest]
    sys.path.insert(0, str(Path(script).resolve().parent))
    started, cpu, before = time.perf_counter(), _cpu(), resource.getrusage(resource.RUSAGE_SELF)
    write = functools.partial(_write, watch, Path(report), started, cpu, before)
    os.path.exists(BEGIN)
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        os.path.exists(END)
        write()


def _installed(command: str) -> str | None:
    """Where a command is: beside the interpreter that measures first, then on PATH."""
    beside = os.path.dirname(sys.executable)
    return shutil.which(command, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))


def _peak() -> int:
    """The most bytes that this process had resident.

    What `getrusage` calls so counts those of the process that started this one, too.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except FileNotFoundError:  # no Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    kibibytes = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes.split()[1]) * 1024


def _cpu() -> float:
    """Seconds of processor time of this process and of those of its children that have ended."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + theirs.ru_utime + theirs.ru_stime


def _write(
    watch: Watch, report: Path, started: float, cpu: float, before: resource.struct_rusage
) -> None:
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    lags = sorted(watch.lags)
    figures = {
        "elapsed": seconds,
        "processor time": _cpu() - cpu,
        "peak memory": _peak(),
        "switches, of its own will": after.ru_nvcsw - before.ru_nvcsw,
        "switches, forced": after.ru_nivcsw - before.ru_nivcsw,
    }
    if lags:
        figures["loop lag, median"] = lags[len(lags) // 2]
        figures["loop lag, 99th"] = lags[min(len(lags) - 1, len(lags) * 99 // 100)]
        figures["loop lag, worst"] = lags[-1]
    if watch.turns:
        figures["turns"] = watch.turns
    text = json.dumps({"kinds": watch.kinds, "figures": figures})
    report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
