"""Runs every test module in a process of its own, and makes sure that each comes to an end.

A worker ends in one of three ways: it says that it has finished; its watchdog stops it because a
test took too long; or it dies. In the last two the test that was running has failed, whatever is
left of the worker and its children is killed, and a new worker goes on with the tests that remain.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from tests.conformance import left_out
from tests.conformance.subject import DEFAULT_FACTORY

REPOSITORY = Path(__file__).parents[2]

# The slow ones first, so that none of them is left to run alone at the end.
SLOW_FIRST = (
    "test_subprocess",
    "test_tasks",
    "test_ssl",
    "test_taskgroups",
    "test_events",
    "test_sslproto",
)

START = 60.0
"""Seconds that a worker gets to start and to import its module, however short the limit of a test.

On a busy machine a process may get a small part of a core. A limit has only to end what hangs."""

GRACE = 10.0
"""Seconds that a worker gets, beyond the time limit, until its own watchdog must have ended it."""


@dataclass(frozen=True)
class Options:
    """What to run, on what, and how long to wait; times are in seconds."""

    factory: str = DEFAULT_FACTORY
    limit: float = 60.0
    """For one test. See `START` for why it is long."""
    jobs: int = max(2, os.cpu_count() or 2)
    only: str | None = None
    """Run the tests whose name, ``module.Class.test``, matches this pattern and no others."""
    include_left_out: bool = False
    package: str = "test.test_asyncio"
    debug: bool = False
    """Run the tests in debug mode, which takes other classes of miniloop's."""
    record: bool = False
    """Record every loop that the tests make; none of them may notice."""


@dataclass(frozen=True)
class Outcome:
    """How one test went."""

    test: str
    verdict: str
    """``passed``, ``failed``, ``skipped`` (by the test itself), ``left out``, ``known`` (to fail)
    or ``idle`` (did not use the loop under test)."""
    detail: str = ""
    seconds: float = 0.0


@dataclass
class ModuleRun:
    """All outcomes of one test module."""

    module: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    tests: list[str] = field(default_factory=list)
    broken: str = ""
    """Why the module could not be run at all, if so."""
    skipped: str = ""
    """Why the module skipped itself, if it did."""
    seconds: float = 0.0

    def with_verdict(self, verdict: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes.values() if outcome.verdict == verdict]

    @property
    def ok(self) -> bool:
        return not self.broken and not self.with_verdict("failed")


class Unavailable(Exception):
    """This interpreter has no ``test.test_asyncio``; the message says how to get it."""


def modules() -> list[str]:
    """The names of the test modules that this interpreter carries, the slow ones first."""
    found = None
    if importlib.util.find_spec("test") is not None:
        found = importlib.util.find_spec("test.test_asyncio")
    if found is None or not found.submodule_search_locations:
        raise Unavailable(
            f"{sys.executable} comes without the package test.test_asyncio, in which CPython keeps "
            "its asyncio tests (on Debian: apt-get install "
            f"libpython3.{sys.version_info.minor}-testsuite)"
        )
    folder = Path(next(iter(found.submodule_search_locations)))
    names = sorted(path.stem for path in folder.glob("test_*.py"))
    return sorted(names, key=lambda name: (name not in SLOW_FIRST, name))


def start(options: Options, names: list[str]) -> dict[str, Future[ModuleRun]]:
    """Begin to run the modules, ``options.jobs`` at a time; each future gives its module's run."""
    pool = ThreadPoolExecutor(options.jobs, thread_name_prefix="conformance")
    running = {name: pool.submit(run_module, name, options) for name in names}
    pool.shutdown(wait=False)
    return running


def run_module(name: str, options: Options) -> ModuleRun:
    """Run one module to its end, in as many processes as that takes."""
    run = ModuleRun(name)
    loop = options.factory.partition(":")[0].partition(".")[0]
    started = time.monotonic()
    ledger = left_out.load()
    while not run.broken:
        worker = _Worker(run, options, loop, ledger)
        if worker.run_to_end():
            break
    run.seconds = time.monotonic() - started
    return run


class _Worker:
    """One process and what it has said so far."""

    def __init__(
        self, run: ModuleRun, options: Options, loop: str, ledger: left_out.Ledger
    ) -> None:
        self._run = run
        self._options = options
        self._loop = loop
        self._ledger = ledger
        self._current: str | None = None
        self._finished = False
        self._exit_code = 0
        self._collected = False
        self._fixtures: list[str] = []

    def run_to_end(self) -> bool:
        """Run until the process ends; ``False`` means that tests are left for another one."""
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            # Next to the working directory and not in it, which belongs to the tests.
            output_path = Path(folder, "output")
            working_directory = Path(folder, "work")
            working_directory.mkdir()
            with output_path.open("wb") as output:
                for event in self._events(output, working_directory):
                    getattr(self, "_on_" + event.pop("event"))(**event)
            if self._finished:
                self._account_for_the_rest()
                return True
            self._account_for_the_end(output_path.read_text(errors="replace"))
            return False

    def _on_collected(self, tests: dict[str, str | None], skipped: str = "") -> None:
        self._collected = True
        self._run.skipped = skipped
        self._run.tests = list(tests)
        if self._options.include_left_out:
            return
        for test, reason in tests.items():
            if reason is not None and self._is_wanted(test):
                self._run.outcomes[test] = Outcome(test, "left out", reason)

    def _on_start(self, test: str) -> None:
        self._current = test

    def _on_end(self, test: str, outcome: str, detail: str, seconds: float) -> None:
        self._current = None
        known = self._ledger.why_failing(test, self._loop)
        if known is not None and outcome in ("passed", "failed"):
            outcome, detail = (
                ("known", known)
                if outcome == "failed"
                else ("failed", f"passed, though left_out.toml expects it to fail: {known}")
            )
        self._run.outcomes[test] = Outcome(test, outcome, detail, seconds)

    def _on_fixture(self, test: str, detail: str, skipped: str = "") -> None:
        self._fixtures.append(skipped or f"{test}\n{detail}")
        if not skipped:
            self._run.outcomes[test] = Outcome(test, "failed", detail)

    def _on_finished(self) -> None:
        self._finished = True

    def _account_for_the_rest(self) -> None:
        """A test of which nothing was heard was skipped or spoilt by its class or module."""
        for test in self._run.tests:
            if test not in self._run.outcomes and self._is_wanted(test):
                spoilt = any("\n" in fixture for fixture in self._fixtures)
                self._run.outcomes[test] = Outcome(
                    test, "failed" if spoilt else "skipped", "\n".join(self._fixtures)
                )

    def _account_for_the_end(self, output: str) -> None:
        tail = output[-6000:].strip()
        if self._current is not None:
            known = self._ledger.why_failing(self._current, self._loop)
            self._run.outcomes[self._current] = Outcome(
                self._current,
                "known" if known else "failed",
                known or f"{tail}\n{self._describe_exit()} in this test",
                self._options.limit,
            )
        else:
            where = "between two tests" if self._collected else "before the first test"
            self._run.broken = f"{self._run.module}\n{tail}\n{self._describe_exit()} {where}"

    def _describe_exit(self) -> str:
        if self._exit_code < 0:
            return f"the process died of {signal.Signals(-self._exit_code).name}"
        return f"the process ended, or was ended after {self._options.limit:g} s,"

    def _is_wanted(self, test: str) -> bool:
        return self._options.only is None or fnmatchcase(test, self._options.only)

    def _events(self, output: IO[bytes], folder: Path) -> Iterator[dict[str, Any]]:
        read_end, write_end = os.pipe()
        environment = {
            key: value
            for key, value in os.environ.items()
            # These change what a loop does: debug mode, warnings, the policy of a wrapper.
            if key not in ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONWARNINGS")
        }
        elsewhere = filter(None, [os.environ.get("PYTHONPATH")])
        environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), *elsewhere])
        if self._options.debug:
            environment["PYTHONASYNCIODEBUG"] = "1"
        job = {
            "package": self._options.package,
            "module": self._run.module,
            "factory": self._options.factory,
            "limit": self._options.limit,
            "start": max(START, self._options.limit),
            "only": self._options.only,
            "include_left_out": self._options.include_left_out,
            "record": self._options.record,
            "done": list(self._run.outcomes),
            "report_to": write_end,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.conformance.worker"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end],
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        os.close(write_end)
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
            with open(read_end, "rb", buffering=0) as pipe:
                for line in _lines(pipe, process, max(START, self._options.limit) + GRACE):
                    yield json.loads(line)
                    if self._finished:
                        break
            if not self._finished:
                # What went wrong may still be on its way to the standard streams.
                deadline = time.monotonic() + GRACE
                while not _has_ended(process) and time.monotonic() < deadline:
                    time.sleep(0.05)
        finally:
            # The worker leads the group of whatever its tests started and did not end.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            self._exit_code = process.wait()


def _lines(pipe: IO[bytes], process: subprocess.Popen[bytes], silence: float) -> Iterator[bytes]:
    """The lines that come through ``pipe`` until the process ends or is silent for too long.

    The end of the pipe is no sign: processes which the tests forked may hold it open.
    """
    rest = b""
    deadline = time.monotonic() + silence
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    while True:
        ended = _has_ended(process)
        if poller.poll(0 if ended else 200):
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            deadline = time.monotonic() + silence
        elif ended or time.monotonic() > deadline:
            return


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended, without taking its exit status.

    Until that is taken the number of the process, and of the group that is to be killed, stays its
    own. Source: waitid(2), ``WNOWAIT``.
    """
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
