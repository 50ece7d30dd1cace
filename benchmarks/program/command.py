"""``python -m benchmarks program``: rounds of an unmodified program, a loop after another."""

from __future__ import annotations

import argparse
import functools
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import loops, machine, table
from benchmarks.job import Sample, Shape
from benchmarks.program import child, load
from benchmarks.results import RowResult, Run

__all__ = ["main"]

CHECKOUT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds in which a server has to listen, and to end

ABOUT = {
    "elapsed": ("from its first line to its end", "s"),
    "processor time": ("of the process and its children", "s"),
    "peak memory": ("the most that was resident", "B"),
    "switches, of its own will": ("how often it waited for something", ""),
    "switches, forced": ("how often the processor was taken from it", ""),
    "loop lag, median": ("how late a timer is", "s"),
    "loop lag, 99th": ("how late a timer is", "s"),
    "loop lag, worst": ("how late a timer is", "s"),
    "a request": ("seconds of the run by requests: 1 / (requests a second)", "s"),
    "latency, median": ("of a request", "s"),
    "latency, 99th": ("of a request", "s"),
    "turns": ("of the loop, in a round that is not timed", ""),
    "system calls": ("in a round that is not timed", ""),
}


class NotComparedError(Exception):
    """The program failed, or did not run on the loop that it was to run on."""


@dataclass(frozen=True)
class Ask:
    """What to run, and how."""

    command: list[str]
    url: str | None = None  # of a server; None: a program that ends by itself
    connections: int = 10
    seconds: float = 3.0


def main(arguments: Sequence[str]) -> int:
    """Run the command; the exit code is 0, 1 where nothing can be compared, 2 for bad usage."""
    options = _parser().parse_args(arguments)
    command = shlex.split(options.server) if options.server else options.command
    if not command or (options.server and options.command):
        print("benchmarks program: name a script, or a --server", file=sys.stderr)
        return 2
    ask = Ask(
        command,
        options.url if options.server else None,
        options.connections,
        options.seconds,
    )
    try:
        names = options.loops or [loop.name for loop in loops.installed() if not loop.limit]
        chosen = [loops.find(name) for name in names]
        reference = loops.find(loops.REFERENCE)
        chosen = [reference, *(loop for loop in chosen if loop != reference)]
        if any(loop.limit for loop in chosen):
            raise loops.UnknownLoopError("a program cannot be run on a bare server")
        run = measure(ask, chosen, options.rounds)
    except (loops.UnknownLoopError, NotComparedError, load.LoadError) as error:
        print(f"benchmarks program: {error}", file=sys.stderr)
        return 1
    if options.json:
        run.dump(options.json)
    print(table.render(run), end="")
    return 0


def measure(ask: Ask, chosen: Sequence[loops.Loop], rounds: int) -> Run:
    """Run the program on each loop, round by round, a first one thrown away.

    A loop that the program fails on, or does not run on, is left out, and the result says so.
    Raises NotComparedError if that is the reference.
    """
    reference = chosen[0]
    entrants = [*chosen, loops.control_of(reference)]
    rows: dict[str, RowResult] = {}
    control = entrants[-1]
    errors: dict[str, str] = {}  # by loop: why it was left out
    for number in range(-1, rounds):
        for loop in list(entrants):
            try:
                figures = run_once(ask, loop)
            except NotComparedError as error:
                if loop is reference:
                    raise
                print(f"benchmarks program: left out: {error}", file=sys.stderr, flush=True)
                errors[loop.name] = str(error).partition("\n")[0]
                entrants.remove(loop)
                continue
            if number < 0:
                print(f"{loop.name}: ran", file=sys.stderr, flush=True)
                continue
            for name, value in figures.items():
                row = _row(rows, name, reference, control)
                row.add(loop.name, Sample(1, value, figures["processor time"]))
    for loop in entrants if ask.url is None else ():
        for name, value in run_once(ask, loop, count=True).items():
            row = _row(rows, name, reference, control)
            row.add(loop.name, Sample(1, value, 0.0))
    # There is no ratio to nothing: who had no such event in some round has no figure there.
    for row in rows.values():
        for label, reason in errors.items():
            row.fail(label, reason)
        for label in [label for label, values in row.values.items() if not all(values)]:
            del row.values[label]
    return Run(
        machine={**machine.describe(), **machine.versions(())},
        loops={loop.name: loop.version for loop in chosen},
        reference=reference.name,
        rounds=rounds,
        rows=[row for row in rows.values() if reference.name in row.values],
    )


def _row(
    rows: dict[str, RowResult], name: str, reference: loops.Loop, control: loops.Loop
) -> RowResult:
    """The row of that name, made when it is first asked for."""
    about, unit = ABOUT[name]
    if name not in rows:
        rows[name] = RowResult(
            f"program/{name}",
            about,
            "run",
            unit,
            Shape(),
            reference.name,
            control.name,
        )
    return rows[name]


def run_once(ask: Ask, loop: loops.Loop, *, count: bool = False) -> dict[str, float]:
    """One run on one loop, to take the time, or else to count turns and system calls.

    Raises NotComparedError where it fails or ran on something else.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        port = _free_port() if ask.url is not None else 0
        command = [
            # `child` has put the loop in that function's place, and counts what it makes.
            part.replace("{port}", str(port)).replace("{loop}", "asyncio:new_event_loop")
            for part in ask.command
        ]
        log = Path(folder) / "calls"
        traced = ["strace", "-f", "-qq", "-o", str(log)] if count and shutil.which("strace") else []
        purpose = "count" if count else "time"
        process = subprocess.Popen(
            [
                *(*traced, sys.executable, "-m", "benchmarks.program.child"),
                *(loop.name, str(report), purpose, *command),
            ],
            env=_environment(loop),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        found: dict[str, float] = {}
        try:
            if ask.url is not None:
                _wait_for_port(port, process)
                found = load.drive(port, ask.url, ask.connections, ask.seconds)
                process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=PATIENCE if ask.url is not None else None)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if ask.url is None and process.returncode:
            raise NotComparedError(
                f"on {loop.name} the program ended with code {process.returncode}:\n{said[-2000:]}"
            )
        document: dict[str, Any] = {}
        with suppress(FileNotFoundError):
            document = json.loads(report.read_text(encoding="utf-8"))
        _check_kind(loop, document.get("kinds", []))
        if not count:
            return {**found, **document["figures"]}
        counted: dict[str, float] = {"system calls": _calls_between(log)} if traced else {}
        if "turns" in document["figures"]:
            counted["turns"] = document["figures"]["turns"]
        return counted


def _calls_between(log: Path) -> int:
    """How many lines of a log of `strace` lie between the marks of `child`."""
    number, inside = 0, False
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if child.END in line:
                break
            # A call that another one interrupts has two lines.
            number += inside and " resumed>" not in line and " +++ " not in line
            inside = inside or child.BEGIN in line
    return number


@functools.cache
def _expected(loop: loops.Loop) -> str:
    """What kind of loop its factory makes, in a process as the program's."""
    return subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys\nfrom benchmarks import loops\n"
            "from benchmarks.program.child import kind_of\n"
            "loop = loops.find(sys.argv[1]).load()()\nprint(kind_of(loop))\nloop.close()",
            loop.name,
        ],
        env=_environment(loop),
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def _check_kind(loop: loops.Loop, kinds: list[str]) -> None:
    """Raise NotComparedError if what ran was another loop."""
    expected = _expected(loop)
    if kinds == [expected]:
        return
    ran = ", ".join(kinds) or "none that asyncio was asked for"
    raise NotComparedError(
        f"on {loop.name} the loop that ran was to be {expected}, and was: {ran}. The program seems "
        "to choose its loop by itself. Where it takes the name of a factory, write {loop} in the "
        "command, such as `uvicorn --loop {loop}`."
    )


def _environment(loop: loops.Loop) -> dict[str, str]:
    paths = [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]
    return {
        **{name: value for name, value in os.environ.items() if name != "MINILOOP_PURE"},
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        **dict(loop.environment),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            said = process.stderr.read() if process.stderr else ""
            raise NotComparedError(
                f"the server ended with code {process.returncode}:\n{said[-2000:]}"
            )
        if time.monotonic() > until:
            raise NotComparedError(f"nothing listens on port {port} after {PATIENCE:g} s")
        time.sleep(0.02)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks program",
        description="An unmodified program on every event loop, interleaved round by round.",
    )
    parser.add_argument(
        "--loops",
        type=lambda text: [name.strip() for name in text.split(",")],
        metavar="A,B",
        help="names or module:factory (default: all that are installed; asyncio always runs)",
    )
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    parser.add_argument(
        "--server",
        metavar="COMMAND",
        help="start a server instead, and drive it; {port} stands for the port that it is to take, "
        "{loop} for the factory of the loop, as module:name",
    )
    parser.add_argument("--url", default="/", metavar="PATH", help="what the server is asked for")
    parser.add_argument("--connections", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load: %(default)s")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="script.py arguments")
    return parser
