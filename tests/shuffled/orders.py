"""Puts a random order into every loop of a process."""

from __future__ import annotations

import os
from itertools import count
from typing import Any

from miniloop.loop import EventLoop
from miniloop.testing.shuffle import shuffle
from tests.shuffled.stock import shuffle_stock

__all__ = ["VARIABLE", "Orders", "pytest_configure"]

# The number of the order, for processes that learn it from their environment.
VARIABLE = "MINILOOP_TEST_ORDER"


class Orders:
    """Which order the loops of this process have: by `number`, and by which loop it is."""

    def __init__(self, number: int | None = None) -> None:
        self.number = number
        self._loops = count()

    def begin(self, number: int | None) -> None:
        """The loops that are made from now on have this order; None: FIFO."""
        self.number = number
        self._loops = count()

    def seed(self) -> int | None:
        """The seed for the next loop; None: FIFO."""
        return None if self.number is None else hash((self.number, next(self._loops)))

    def install(self, loop: str) -> None:
        """Shuffle every loop that is made from now on: those of `miniloop`, or of `asyncio`."""
        if loop == "asyncio":
            shuffle_stock(self.seed)
            return

        def look(loop: EventLoop) -> None:
            seed = self.seed()
            if seed is not None:
                shuffle(loop, seed)

        EventLoop.when_made.append(look)


def pytest_configure(config: Any) -> None:
    """As a plugin of pytest, `-p tests.shuffled.orders`: the order is in the environment."""
    order = os.environ.get(VARIABLE)
    if order is not None:
        for loop in ("miniloop", "asyncio"):
            Orders(int(order)).install(loop)
