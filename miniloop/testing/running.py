"""`run`: a program in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from math import inf
from typing import Any, Literal, TypeVar

from miniloop.loop import new_event_loop
from miniloop.testing.accepted import check_number, check_world
from miniloop.testing.loop import LoopUnderTest, new_loop_under_test
from miniloop.testing.outside import Outside
from miniloop.testing.wall import follow

__all__ = ["run"]

T = TypeVar("T")


def run(
    main: Coroutine[Any, Any, T],
    *,
    clock: Literal["virtual", "real"] = "virtual",
    start: float = 0.0,
    until: float | None = None,
    real_io: bool | float = False,
    network: Outside | None = None,
    patch_time: bool | float = False,
    debug: bool | None = None,
    seed: int = 0,
) -> T:
    """Run `main` in virtual time, clean up as `asyncio.run` does, and give its result.

    The clock begins at `start` seconds and jumps to the next deadline when, and only when, nothing
    else can happen: nothing is ready, no socket has anything to tell, and no thread is at work for
    the loop. `until` is a ceiling, in seconds of virtual time. `clock="real"` is `miniloop.run`.

    The world is closed: who asks for a real socket, pipe, name or process gets `OutsideWorld`.
    `network` is a simulated one; `real_io=True` lets the program out. Then the kernel is given 0.05
    real seconds (or as many as `real_io` says) before each jump, as long as somebody listens to it.

    `patch_time` has `time.time`, `time.monotonic`, `datetime.now` and their like follow the virtual
    clock; a number says at which Unix time the run begins (default: now). `seed` is that of
    `random`, while it runs, and of the network.

    Raises EverybodyWaits when nothing is left that could wake any task, TooLong at the ceiling,
    and RuntimeError if a loop is running in this thread.
    """
    if asyncio._get_running_loop() is not None:
        main.close()
        raise RuntimeError("miniloop.testing.run() cannot be called from a running event loop")
    if not asyncio.iscoroutine(main):
        raise TypeError(f"run() wants a coroutine, as main() gives, got {main!r}")
    try:
        check_world(network, real_io, patch_time, until, seed)
        check_number("start", start, -inf)
        if clock not in ("virtual", "real"):
            raise ValueError(f"clock must be 'virtual' or 'real', got {clock!r}")
    except (TypeError, ValueError):
        main.close()
        raise
    if clock == "real":
        with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
            return runner.run(main)
    made: list[LoopUnderTest] = []

    def new_loop() -> LoopUnderTest:
        made.append(
            new_loop_under_test(
                start=start, until=until, real_io=real_io, network=network, seed=seed
            )
        )
        return made[0]

    state = random.getstate()
    random.seed(seed)
    try:
        with (
            asyncio.Runner(debug=debug, loop_factory=new_loop) as runner,
            follow(lambda: made[0].virtual_clock if made else None, patch_time, start),
        ):
            return runner.run(main)
    finally:
        random.setstate(state)
