"""The joints of a turn: where an observer, or another order, is put in, and taken out again.

A loop without observers calls bare functions: `deque.append`, `deque.popleft`, `len`, the `wait` of
its poller. An observer is given these, and returns what is to be called instead, mostly a function
that notes something and calls what it was given. So several observers can be in use at once, and
one that is not in use costs nothing.

Invariant: what is put in a joint keeps the promise of what it was given: each entry is taken once.

The trap: `run_turns` keeps what it calls in local names. So when an observer is put in or taken out
while the loop runs, `run_turns` ends after this turn, and `run_forever` calls it again with the new
parts. The rest of this turn still runs with the old ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

__all__ = ["Joints", "Observer"]


class Joints(NamedTuple):
    """What the scheduler calls at each joint of a turn."""

    # The ways into the ready queue: for the loop's own thread, and for `call_soon_threadsafe`.
    append: Callable[[Any], object]
    hand_over: Callable[[Any], object]
    # Phase 1 and 2, as the poller does them.
    wait: Callable[[float | None], Iterable[tuple[int, int]]]
    deliver: Callable[[Iterable[tuple[int, int]], Callable[[Any], object]], object]
    # Phase 4 begins: how many entries of the queue are to be run in this turn. A ready queue that
    # has a method of this name is asked; others are measured.
    begin_turn: Callable[[deque[Any]], int]
    # Before an entry is taken: it is given the queue and returns it, and may change its order. What
    # is at the head then is taken, unless the queue has a `popleft` of its own. None: nothing.
    before_taking: Callable[[deque[Any]], deque[Any]] | None
    # Takes the next entry from the queue. It should be a function in C: Ctrl-C that strikes in a
    # function of Python, after the entry was taken, loses that entry.
    take: Callable[[deque[Any]], Any]
    # Makes a task and takes its first step at once, without the queue.
    make_eager_task: Callable[..., Any]


class Observer(Protocol):
    """What `Scheduler.observe` puts in."""

    def join(self, joints: Joints) -> Joints:
        """What is to be called instead.

        It is asked again whenever parts were exchanged, and so must change nothing by itself.
        """

    def run_ended(self) -> None:
        """`run_forever` is about to return or raise: no entry runs any more."""
