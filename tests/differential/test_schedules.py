"""Random programs in random legal orders: nothing but the order decides what they do, and they end.

On asyncio there is no such order to compare with, so a program is compared with itself: what it
does under one order is the same when it is done again. A loop that kept something in a set, or
looked at an address or a clock, would be found out. And in every order a program ends, once all its
tasks were cancelled.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from miniloop.testing.shuffle import shuffle
from tests.differential.clocks import Clock, ReadyQueue, virtual_miniloop
from tests.differential.generator import program_of_seed
from tests.differential.interpreter import run_program
from tests.differential.trace import Trace

PROGRAMS = 60
ORDERS = 3


def traced(seed: int, order: int) -> Trace:
    def make_loop(clock: Clock, ready: ReadyQueue) -> asyncio.AbstractEventLoop:
        loop: Any = virtual_miniloop(clock, ready)
        shuffle(loop, order)
        return loop

    return run_program(program_of_seed(seed), make_loop)


def check(seed: int) -> int:
    """Run a program in some orders, twice each; gives how many of these differ from each other."""
    traces = []
    for order in range(ORDERS):
        first, second = traced(seed, order), traced(seed, order)
        assert first == second, f"program {seed} differs from itself in order {order}"
        told = [(who, what) for _, _, who, what, _ in first.events]
        assert ("driver", "gives up") not in told, f"program {seed} does not end in order {order}"
        traces.append(first)
    return len({str(trace.events) for trace in traces})


def test_a_program_does_the_same_twice_in_each_order() -> None:
    different = sum(check(seed) > 1 for seed in range(PROGRAMS))
    assert different > PROGRAMS // 3


@pytest.mark.soak
def test_many_programs_do_the_same_twice_in_each_order() -> None:
    for seed in range(PROGRAMS, 20_000):
        check(seed)
