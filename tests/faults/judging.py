"""Runs a scenario with each of its calls failing, and says what must hold and does not."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import miniloop
from miniloop.net import listener
from tests.faults.failing_kernel import ERRORS, FailingKernel
from tests.faults.scenarios import Scenario, Told

__all__ = ["Case", "calls_of", "cases_of", "judge"]

# Seconds: longer than any scenario takes, and how much processor time one may use.
LIMIT = 15.0
MOST_WORK = 2.0


@dataclass
class Case:
    """What one failure led to."""

    number: int
    choice: int
    kernel: FailingKernel
    done: bool = False
    raised: BaseException | None = None
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.told = Told(self.kernel)

    def __str__(self) -> str:
        call = f"call {self.number} ({self.kernel.struck} fails with {self.kernel.error})"
        return f"{call}: " + "; ".join(self.wrong)


def calls_of(scenario: Scenario) -> list[str]:
    """The calls that a scenario makes if none fails. Raises AssertionError if it does not work."""
    case = run_case(scenario, 0, 0)
    assert case.done, f"{scenario.__name__} does not work at all: {case.raised!r}"
    assert not case.wrong, str(case)
    return case.kernel.calls


def cases_of(scenario: Scenario) -> Iterator[tuple[int, int]]:
    """The numbers of the calls to fail, each with every choice of an error."""
    for number, name in enumerate(calls_of(scenario), start=1):
        for choice in range(len(ERRORS[name])):
            yield number, choice


def judge(scenario: Scenario, cases: Iterator[tuple[int, int]] | None = None) -> list[Case]:
    """The cases in which something is wrong; all of them are tried unless they are given."""
    found = []
    for number, choice in cases_of(scenario) if cases is None else cases:
        case = run_case(scenario, number, choice)
        if case.wrong:
            found.append(case)
    return found


def run_case(scenario: Scenario, number: int, choice: int) -> Case:
    """Run it once, on a loop of its own."""
    kernel = FailingKernel(number, choice)
    case = Case(number, choice, kernel)
    gc.collect()
    before = descriptors()
    logs = Logs()
    with warnings.catch_warnings(record=True) as complaints, kernel.installed():
        warnings.simplefilter("always")
        logging.getLogger().addHandler(logs)
        pause, listener.ACCEPT_RETRY_DELAY = listener.ACCEPT_RETRY_DELAY, 0.01
        work = time.process_time()
        try:
            _play(scenario, case)
        finally:
            kernel.resting = True
            listener.ACCEPT_RETRY_DELAY = pause
            logging.getLogger().removeHandler(logs)
        if time.process_time() - work > MOST_WORK:
            case.wrong.append("it spins")
        kept = case.raised  # its frames hold what it may have left
        case.raised = None if kept is None else kept.with_traceback(None)
        if kernel.exception is not None:
            kernel.exception.__traceback__ = None
        del kept
        gc.collect()
    _judge_left(case, before, complaints, logs)
    _judge_told(case)
    return case


def _play(scenario: Scenario, case: Case) -> None:
    kernel = case.kernel
    kernel.resting = False
    try:
        loop = miniloop.new_event_loop()
    except OSError as exc:
        case.raised = exc
        return
    loop.set_exception_handler(lambda _, context: case.told.handler.append(context))

    async def limited() -> bool:
        async with asyncio.timeout(LIMIT):
            return await scenario(case.told)

    try:
        try:
            case.done = loop.run_until_complete(limited())
        except (Exception, asyncio.CancelledError) as exc:
            case.raised = exc
            if isinstance(exc, TimeoutError) and exc.errno is None:
                case.wrong.append("it hangs")
        kernel.resting = True
        _clean_up(loop, case)
        _use(loop, case)
    finally:
        kernel.resting = True
        loop.close()


def _clean_up(loop: Any, case: Case) -> None:
    """As `asyncio.run` does."""
    left = asyncio.all_tasks(loop)
    if left and case.raised is None:
        # A server's handlers may end a turn later.
        loop.run_until_complete(asyncio.wait(left, timeout=1))
        left = asyncio.all_tasks(loop)
        if left:
            case.wrong.append(f"{len(left)} tasks are left")
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())


def _use(loop: Any, case: Case) -> None:
    """Whether the loop is of use afterwards: timers, threads, sockets."""

    async def small() -> None:
        woken = loop.create_future()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(woken.set_result, None))
        thread.start()
        await asyncio.wait_for(woken, 2)
        thread.join()
        one, other = socket.socketpair()
        with one, other:
            one.setblocking(False)
            other.setblocking(False)
            receiving = loop.create_task(loop.sock_recv(other, 10))
            await asyncio.sleep(0)
            await loop.sock_sendall(one, b"x")
            assert await asyncio.wait_for(receiving, 2) == b"x"

    try:
        loop.run_until_complete(small())
    except Exception as exc:
        case.wrong.append(f"the loop is of no use afterwards: {exc!r}")


def _judge_left(
    case: Case, before: set[tuple[int, str]], complaints: list[Any], logs: Logs
) -> None:
    left = descriptors() - before
    if left:
        case.wrong.append(f"descriptors are left: {sorted(left)}")
    case.wrong += [f"a warning: {told.message}" for told in complaints]
    case.wrong += [f"logged: {message}" for message in logs.messages]


def _judge_told(case: Case) -> None:
    exception = case.kernel.exception
    if exception is None:
        if not case.done and case.kernel.struck is None:
            case.wrong.append(f"nothing failed, and it did not work: {case.raised!r}")
        elif not case.done and not case.wrong:
            case.wrong.append(f"a short count is no error, but led to {case.raised!r}")
        return
    reports = [c for c in case.told.handler if leads_to(c.get("exception"), exception)]
    if len(reports) > 1:
        case.wrong.append(f"the handler was told {len(reports)} times")
    if reports and leads_to(case.raised, exception):
        case.wrong.append("the handler was told of what was raised as well")
    if not case.done and not (case.raised or case.told.handler or case.told.protocols):
        case.wrong.append("the work was not done, and nobody was told")


def leads_to(error: BaseException | None, cause: BaseException) -> bool:
    """Whether it is that exception, or was made of it."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or any(one is other for other in seen):
            continue
        if one is cause:
            return True
        seen.append(one)
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return False


def descriptors() -> set[tuple[int, str]]:
    """What this process has open. The listing itself is not among it."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except OSError:
            continue  # that of the listing
    return found


class Logs(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
