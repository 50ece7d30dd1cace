"""Fair turns: who runs when, and what becomes of those who fail."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import catalogue, loops, processors
from benchmarks.catalogue import Row
from benchmarks.job import Sample
from benchmarks.peers.__main__ import serve
from benchmarks.peers.control import Line
from benchmarks.runner import (
    Contestant,
    Plan,
    Worker,
    WorkerFailedError,
    contestants,
    run_row,
)
from tests.crawler import needs_crawler

ROW = "callbacks/sleep-0/1"


def row(name: str = ROW) -> Row:
    (found,) = catalogue.select([name])
    return found


def entered(*names: str) -> list[Contestant]:
    return contestants(row(), [loops.find(name) for name in names], loops.find("asyncio"))


class Log:
    """Workers that take no time, and note who was asked for what."""

    def __init__(self, cost: Callable[[str], float]) -> None:
        self.turns: list[tuple[str, int]] = []
        self.hired: list[str] = []
        self.cost = cost

    def hire(self, row: Row, contestant: Contestant, far_end: Any) -> Any:
        self.hired.append(contestant.label)
        log = self

        class Note:
            def __enter__(self) -> Note:
                return self

            def __exit__(self, *_: object) -> None:
                log.turns.append(("end", 0))

            def sample(self, n: int, patience: float) -> Sample:
                log.turns.append((contestant.label, n))
                return Sample(n, n * log.cost(contestant.label), 0.0)

        return Note()


def test_loops_take_turns_within_each_round() -> None:
    log = Log(lambda _: 1.0)
    plan = Plan(rounds=3, generations=1)
    run_row(row(), entered("asyncio", "miniloop"), plan, None, n=100, hire=log.hire)
    one_round = [("asyncio", 100), ("miniloop", 100), ("asyncio (control)", 100)]
    assert log.turns == 4 * one_round + 3 * [("end", 0)]  # the first is the warm-up


@pytest.mark.skipif(processors.apart() is None, reason="there is one processor, or no telling")
def test_the_two_ends_of_a_socket_row_keep_to_a_processor_each(far_end: tuple[str, int]) -> None:
    places = processors.apart()
    assert places is not None
    apart = row("sockets/protocol/1KiB-x10")
    contestant = entered("asyncio")[0]
    with Worker(apart, contestant, far_end) as worker:
        worker.sample(100, 30)
        assert os.sched_getaffinity(worker._process.pid) == {places[0]}

    ours, theirs = socket.socketpair()
    line, their_line = Line(ours), Line(theirs)
    peer = threading.Thread(target=serve, args=[their_line])
    peer.start()
    line.send({"order": "visitor", "processor": places[1], "address": ["", 0], "times": 0})
    assert line.receive() == {}
    assert peer.native_id is not None
    assert os.sched_getaffinity(peer.native_id) == {places[1]}
    line.close()
    peer.join()
    their_line.close()


def test_every_generation_has_processes_of_its_own_and_a_warm_up() -> None:
    log = Log(lambda _: 1.0)
    result = run_row(
        row(), entered("asyncio"), Plan(rounds=4, generations=3), None, n=100, hire=log.hire
    )
    assert len(log.hired) == 3 * 2
    assert len([turn for turn in log.turns if turn[0] == "asyncio"]) == 4 + 3
    assert len(result.values["asyncio"]) == 4


def test_rounds_are_shared_out_among_the_generations() -> None:
    assert Plan(rounds=9, generations=3).generation_sizes() == [3, 3, 3]
    assert Plan(rounds=8, generations=3).generation_sizes() == [3, 3, 2]
    assert Plan(rounds=2, generations=3).generation_sizes() == [1, 1]


def test_memory_is_weighed_in_a_new_process_each_time() -> None:
    log = Log(lambda _: 1.0)
    task = row("memory/task")
    who = contestants(task, [loops.find("asyncio")], loops.find("asyncio"))
    run_row(task, who, Plan(rounds=4), None, hire=log.hire)
    assert len(log.hired) == 4 * 2
    assert len([turn for turn in log.turns if turn[0] == "asyncio"]) == 4  # and no warm-up


def test_number_of_operations_is_found_on_the_reference_and_is_the_same_for_all() -> None:
    log = Log(lambda label: 1e-6 if label.startswith("asyncio") else 1e-9)
    plan = Plan(rounds=1, generations=1, seconds=0.1)
    result = run_row(row(), entered("asyncio", "miniloop"), plan, None, hire=log.hire)
    assert result.n == pytest.approx(0.1 / 1e-6, rel=0.01)
    assert result.n % row().step == 0
    assert {n for label, n in log.turns if label == "miniloop"} == {result.n}


def test_reference_runs_first_and_its_control_last() -> None:
    labels = [one.label for one in entered("miniloop", "asyncio")]
    assert labels == ["asyncio", "miniloop", "asyncio (control)"]


def test_limits_run_only_where_they_can() -> None:
    limit = loops.find("epoll-python")
    asyncio_loop = loops.find("asyncio")
    there = contestants(row("sockets/accept"), [asyncio_loop, limit], asyncio_loop)
    here = contestants(row(), [asyncio_loop, limit], asyncio_loop)
    assert "epoll-python" in [one.label for one in there]
    assert "epoll-python" not in [one.label for one in here]


@needs_crawler
def test_each_program_runs_on_each_loop_it_can_run_on() -> None:
    site = row("crawl/site/1000")
    names = [loops.find("asyncio"), loops.find("miniloop")]
    labels = [one.label for one in contestants(site, names, names[0])]
    assert labels[0] == "aiohttp + aiofiles on asyncio"
    assert labels[-1] == "aiohttp + aiofiles on asyncio (control)"
    assert "crawler on miniloop" in labels
    assert "Scrapy on miniloop" not in labels


def test_one_that_fails_is_left_out_with_its_reason_and_the_others_go_on() -> None:
    log = Log(lambda _: 1.0)
    calls = 0

    def hire(row: Row, contestant: Contestant, far_end: Any) -> Any:
        worker = log.hire(row, contestant, far_end)
        if contestant.label == "miniloop":

            def fail_at_third(n: int, patience: float) -> Sample:
                nonlocal calls
                calls += 1
                if calls == 3:
                    raise WorkerFailedError("it fell over")
                return Sample(n, 1.0, 0.0)

            worker.sample = fail_at_third
        return worker

    result = run_row(row(), entered("asyncio", "miniloop"), Plan(), None, n=100, hire=hire)
    assert result.errors == {"miniloop": "it fell over"}
    assert "miniloop" not in result.values
    assert len(result.values["asyncio"]) == Plan().rounds


def broken_loop() -> asyncio.AbstractEventLoop:
    """A loop that does not live long enough to run."""
    raise SystemExit(7)


def forgetful_loop() -> asyncio.AbstractEventLoop:
    """A loop that never calls back."""

    class Forgetful(asyncio.SelectorEventLoop):
        def call_later(
            self, delay: float, callback: Any, *args: Any, context: Any = None
        ) -> asyncio.TimerHandle:
            return super().call_later(3600, int)

    return Forgetful()


def test_process_that_ends_is_noticed() -> None:
    loop = loops.find("tests.benchmarks.test_runner:broken_loop")
    who = Contestant("broken", row().programs[0], loop)
    with (
        Worker(row(), who, None) as worker,
        pytest.raises(WorkerFailedError, match="ended with code 7"),
    ):
        worker.sample(100, 20)


def test_benchmark_that_never_ends_is_given_up() -> None:
    sleep = row("callbacks/sleep")
    loop = loops.find("tests.benchmarks.test_runner:forgetful_loop")
    who = Contestant("forgetful", sleep.programs[0], loop)
    with (
        Worker(sleep, who, None) as worker,
        pytest.raises(WorkerFailedError, match="no answer within"),
    ):
        worker.sample(sleep.step, 3)


def test_exception_in_a_benchmark_becomes_its_reason() -> None:
    tcp = row("sockets/accept")
    nobody = ("127.0.0.1", 1)  # where there is no far end
    who = Contestant("lonely", tcp.programs[0], loops.find("asyncio"))
    with (
        Worker(tcp, who, nobody) as worker,
        pytest.raises(WorkerFailedError, match="ConnectionRefusedError"),
    ):
        worker.sample(10, 20)


def test_far_end_that_was_abandoned_serves_the_next(far_end: tuple[str, int]) -> None:
    tcp = row("sockets/accept")
    who = Contestant("asyncio", tcp.programs[0], loops.find("asyncio"))
    with Worker(tcp, who, far_end) as worker, pytest.raises(WorkerFailedError):
        worker.sample(1_000_000, 0.5)
    with Worker(tcp, who, far_end) as worker:
        assert worker.sample(10, 20).n == 10
