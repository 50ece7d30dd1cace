"""Puts a random order into every loop of a process."""

from __future__ import annotations

from itertools import count

from miniloop.loop import EventLoop
from miniloop.testing.shuffle import shuffle
from tests.shuffled.stock import shuffle_stock

__all__ = ["Orders"]


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
