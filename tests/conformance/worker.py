"""One process, one test module: put the loop in, run the tests, say how each went.

The job comes as JSON on standard input; events go out as lines of JSON on the file descriptor that
the job names. What the tests print, and the stacks of one that hangs, go to the standard streams.

Events, in this order: ``collected`` once, then ``start`` and ``end`` for every test, ``finished``.
A test that ends neither well nor badly is one that hangs or takes the process down with it: after
``limit`` seconds the watchdog prints the stack of every thread and ends the process.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import sys
import time
import traceback
import types
import unittest
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from fnmatch import fnmatchcase
from typing import Any, TextIO

from tests.conformance import left_out, subject, substitution
from tests.conformance.subject import Subject
from tests.inherited_signals import heed_signals


class Reporter:
    """Writes events for the runner to read."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: str, **fields: Any) -> None:
        self._stream.write(json.dumps({"event": event, **fields}) + "\n")
        self._stream.flush()


class Result(unittest.TestResult):
    """Turns unittest's calls into one ``end`` event per test, and keeps the watchdog awake."""

    def __init__(self, report: Reporter, tested: Subject, limit: float) -> None:
        super().__init__()
        self._report = report
        self._tested = tested
        self._limit = limit
        self._outcome = "passed"
        self._detail = ""
        self._started = 0.0
        self._made_before = 0

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        # What the last one left behind must not be collected, with a warning, in this one.
        gc.collect()
        self._outcome, self._detail = "passed", ""
        self._made_before = self._tested.made[0]
        self._started = time.perf_counter()
        self._report("start", test=identify(test))
        watch(self._limit)

    def stopTest(self, test: unittest.TestCase) -> None:
        watch(self._limit)  # for what may come between tests: fixtures of the next class
        if self._outcome == "passed" and self._is_idle(test):
            self._outcome, self._detail = "idle", "made no loop of ours"
            if self._tested.is_complete:
                self._outcome = "failed"
                self._detail = "passed, but made no loop of ours: leave it out with that reason"
        self._report(
            "end",
            test=identify(test),
            outcome=self._outcome,
            detail=self._detail,
            seconds=round(time.perf_counter() - self._started, 4),
        )
        super().stopTest(test)

    def _is_idle(self, test: unittest.TestCase) -> bool:
        return not (
            self._tested.is_control
            or self._tested.made[0] > self._made_before
            or substitution.uses_named_class(test)
        )

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        if isinstance(test, unittest.TestCase):
            self._fail(err)
        else:  # setUpModule, setUpClass and their opposites come as a stand-in for a test
            self._report("fixture", test=str(test), detail=_text(err))

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._fail(err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(err)

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self._outcome, self._detail = "failed", "passed, though marked with expectedFailure"

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        if isinstance(test, unittest.TestCase):
            if self._outcome == "passed":
                self._outcome, self._detail = "skipped", reason
        else:
            self._report("fixture", test=str(test), detail="", skipped=reason)

    def _fail(self, err: Any) -> None:
        self._outcome = "failed"
        self._detail = f"{self._detail}\n{_text(err)}".strip()


def watch(limit: float) -> None:
    """(Re)start the watchdog, which needs neither the GIL nor a running loop to bark."""
    # By number: tests put other objects in the place of sys.stderr.
    faulthandler.dump_traceback_later(limit, exit=True, file=2)


def identify(test: unittest.TestCase) -> str:
    """``module.Class.test``, without the package."""
    return ".".join(test.id().split(".")[-3:])


def flatten(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def run(job: dict[str, Any], report: Reporter) -> None:
    tested = subject.load(job["factory"])
    watch(job["start"])
    try:
        module = substitution.import_with(tested, job["package"], job["module"])
    except unittest.SkipTest as reason:
        report("collected", tests={}, skipped=str(reason))
        report("finished")
        return
    tests = list(flatten(unittest.defaultTestLoader.loadTestsFromModule(module)))
    # What is loaded by now stays: tests that collect garbage a hundred times need not look at it.
    gc.collect()
    gc.freeze()
    ledger = left_out.load()
    reasons = {identify(test): ledger.why_left_out(identify(test), tested.name) for test in tests}
    report("collected", tests=reasons)
    wanted = [
        test
        for test in tests
        if reasons[identify(test)] is None or job["include_left_out"]
        if identify(test) not in job["done"]
        if job["only"] is None or fnmatchcase(identify(test), job["only"])
    ]
    with record(job["module"]) if job["record"] else nullcontext():
        run_tests(wanted, module, Result(report, tested, job["limit"]))
    report("finished")


def record(module: str) -> AbstractContextManager[object]:
    """Record all loops that are made in a `with` block, in the current folder."""
    from miniloop.study import recording

    return recording(f"{module}.miniloop")


def run_tests(tests: list[unittest.TestCase], module: types.ModuleType, result: Result) -> None:
    # What CPython's own runner sets: every warning is shown once per place, none is an error.
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        unittest.TestSuite(tests).run(result)


def _text(err: Any) -> str:
    return "".join(traceback.format_exception(*err)).rstrip()


def main() -> None:
    faulthandler.enable()  # a crash shows the stacks, too
    heed_signals()
    job = json.load(sys.stdin)
    # Processes that the tests start must not hold the runner's end of the pipe open.
    os.set_inheritable(job["report_to"], False)
    with open(job["report_to"], "w", encoding="utf-8") as stream:
        run(job, Reporter(stream))
    # Threads and processes that tests leave behind are of no interest any more.
    faulthandler.cancel_dump_traceback_later()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
