"""One process, one module of CPython's tests: each test in FIFO order, then under many others.

The job comes as JSON on standard input; what is found goes out as lines of JSON on the standard
output: `start` and `end` for each test. A test that fails in FIFO is not tried in other orders. One
that hangs takes the process down: after so many seconds the watchdog ends it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import unittest
import warnings
from fnmatch import fnmatchcase
from typing import Any, TextIO

from tests.conformance import left_out, subject, substitution
from tests.conformance.worker import flatten, identify
from tests.inherited_signals import heed_signals
from tests.shuffled.orders import Orders
from tests.shuffled.watchdog import Watchdog


def main() -> None:
    heed_signals()
    job = json.load(sys.stdin)
    report = os.fdopen(os.dup(1), "w")
    sys.stdout = sys.stderr
    watchdog = Watchdog(job["limit"])
    tested = subject.load(job["factory"])
    try:
        module = substitution.import_with(tested, "test.test_asyncio", job["module"])
    except unittest.SkipTest:
        return
    # The tests' own loop with a scripted clock, and what runs without any loop, have no order.
    orders = Orders()
    ledger = left_out.load()
    tests = [
        test
        for test in flatten(unittest.defaultTestLoader.loadTestsFromModule(module))
        if ledger.why_left_out(identify(test), tested.name) is None
        and identify(test) not in job["done"]
        and (job["only"] is None or fnmatchcase(identify(test), job["only"]))
    ]
    orders.install(tested.name)
    gc.collect()
    gc.freeze()
    for test in tests:
        _say(report, event="start", test=identify(test), order=None)
        if job["fifo"]:
            watchdog.pat()
            orders.begin(None)
            if _run(test) is not None:
                _say(report, event="end", test=identify(test), order=None, error="fails in FIFO")
                continue
        began = time.monotonic()
        for ran, order in enumerate(range(job["first"], job["first"] + job["orders"])):
            if ran and job["seconds"] and time.monotonic() - began > job["seconds"]:
                _say(report, event="end", test=identify(test), order=None, error=None, ran=ran)
                break
            watchdog.pat()
            orders.begin(order)
            error = _run(test)
            if error is not None:
                _say(report, event="end", test=identify(test), order=order, error=error)
                break
        else:
            ran = job["orders"]
            _say(report, event="end", test=identify(test), order=None, error=None, ran=ran)
    report.flush()
    os._exit(0)


def _run(test: unittest.TestCase) -> str | None:
    """Run a test once; gives the last line of what went wrong."""
    result = unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A new one, as a test cannot be run twice.
        unittest.TestSuite([type(test)(test._testMethodName)]).run(result)
        gc.collect(0)
    for _, text in (*result.errors, *result.failures):
        return text.strip().splitlines()[-1][:200]
    return None


def _say(report: TextIO, **fields: Any) -> None:
    report.write(json.dumps(fields) + "\n")
    report.flush()


if __name__ == "__main__":
    main()
