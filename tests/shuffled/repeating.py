"""A plugin of pytest, `-p tests.shuffled.repeating`: each test under many orders, in one process.

Starting pytest, and the servers that the tests of libraries talk to, takes longer than the tests.
The job is in the environment: JSON with the first order, how many, the seconds that one may take,
and the file for the outcomes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.shuffled.orders import Orders
from tests.shuffled.watchdog import Watchdog

__all__ = ["VARIABLE", "pytest_configure"]

VARIABLE = "MINILOOP_TEST_ORDERS"


def pytest_configure(config: pytest.Config) -> None:
    """Repeat, if the environment has a job."""
    job = os.environ.get(VARIABLE)
    if job is not None:
        config.pluginmanager.register(_Repeating(json.loads(job)))


class _Repeating:
    def __init__(self, job: dict[str, Any]) -> None:
        self._numbers = range(job["first"], job["first"] + job["orders"])
        self._limit = job["limit"]
        self._report = Path(job["report"])
        self._orders = [Orders(), Orders()]
        for orders, loop in zip(self._orders, ("miniloop", "asyncio"), strict=True):
            orders.install(loop)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: Any, nextitem: pytest.Item | None) -> bool:
        """Run a test under one order after the other, to the first in which it fails."""
        # What is made for the whole file is kept from one order to the next.
        sibling = next((each for each in item.session.items if _are_siblings(each, item)), nextitem)
        watchdog = Watchdog(self._limit)
        for number in self._numbers:
            self._say(event="start", test=item.nodeid, order=number)
            for orders in self._orders:
                orders.begin(number)
            is_last = number == self._numbers[-1]
            watchdog.pat()
            item._initrequest()
            reports = runtestprotocol(item, log=False, nextitem=nextitem if is_last else sibling)
            wrong = [report for report in reports if report.failed]
            if wrong or is_last or any(report.skipped for report in reports):
                break
        watchdog.cancel()
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        error = str(wrong[0].longrepr).strip().splitlines()[-1][:200] if wrong else None
        self._say(event="end", test=item.nodeid, order=number, error=error)
        return True

    def _say(self, **event: Any) -> None:
        with self._report.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


def _are_siblings(one: pytest.Item, other: pytest.Item) -> bool:
    return one is not other and one.parent is other.parent
