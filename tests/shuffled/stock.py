"""asyncio's own loop in a random legal order: the control.

A test that fails here too, in some order, relies on FIFO, whatever the loop. The queue is a deque
that chooses what `popleft` gives; the loop asks for so many entries as were ready when the turn
began. A handle that runs a step of a task may be chosen at any time; the others keep their order.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import Any

__all__ = ["shuffle_stock"]

WINDOW = 64

_STEPS = {"TaskStepMethWrapper", "TaskWakeupMethWrapper"}


class ShuffledDeque(deque[Any]):
    """A ready queue for `BaseEventLoop`."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def popleft(self) -> Any:
        entries = list(self)
        if len(entries) > 1:
            seen = set()
            places = []
            for place, handle in enumerate(entries[:WINDOW]):
                lane = "task" if _runs_a_step(handle) else type(handle).__name__
                if lane == "task" or lane not in seen:
                    places.append(place)
                seen.add(lane)
            place = places[int(self._random.random() * len(places))]
            if place:
                handle = entries[place]
                del self[place]
                return handle
        return super().popleft()


def _runs_a_step(handle: Any) -> bool:
    callback = handle._callback
    return type(callback).__name__ in _STEPS or isinstance(
        getattr(callback, "__self__", None), asyncio.Task
    )


def shuffle_stock(next_seed: Callable[[], int | None]) -> None:
    """From now on, shuffle each loop of asyncio's that is made here, if there is a seed for it."""
    base: Any = asyncio.BaseEventLoop
    initialise = base.__init__

    @wraps(initialise)
    def initialise_and_shuffle(self: Any, *args: Any, **options: Any) -> None:
        initialise(self, *args, **options)
        seed = next_seed()
        if seed is not None:
            self._ready = ShuffledDeque(seed)

    base.__init__ = initialise_and_shuffle
