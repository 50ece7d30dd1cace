"""Which processor runs what, in the rows where two processes talk to each other.

The kernel may put the two on one processor, where a message costs a change of context, or on two,
where one has to wake the other; and it changes its mind. With one message at a time that is most of
what it takes, and no loop's doing. So each has a processor of its own, the two that are farthest
apart in the kernel's count: neighbours may be halves of one core.

Only there: a program that hands work to threads, such as the crawlers, needs them all.

Source: sched_setaffinity(2).
"""

from __future__ import annotations

import os

__all__ = ["apart", "stay_on"]


def apart() -> tuple[int, int] | None:
    """One for the loop and one for its far end; None where there is one, or no telling."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return None if len(allowed) < 2 else (allowed[0], allowed[-1])


def stay_on(processor: int) -> None:
    """Keep this thread, and those that it starts from now on, on one processor."""
    os.sched_setaffinity(0, {processor})
