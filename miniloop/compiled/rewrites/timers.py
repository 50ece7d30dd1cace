"""Timers: a heap of handles that are compared in C, and what sets one."""

from __future__ import annotations

from miniloop.compiled.rewrites.ideas import CLOCK, OBJECTS, TYPES
from miniloop.compiled.specialise import Addition, Rewrite

__all__ = ["OF_TIMERS"]

OF_TIMERS: tuple[Addition | Rewrite, ...] = (
    # The queue holds the handles themselves, with no tuple and no two numbers of Python for each.
    Rewrite(TYPES, "kernel.timers", '__slots__ = ("_sequence", "cancelled", "entries")', ""),
    Rewrite(
        TYPES,
        "kernel.timers",
        "from collections import deque",
        """
        import cython
        from collections import deque
        """,
    ),
    Rewrite(
        TYPES,
        "kernel.timers",
        "self.entries: list[tuple[float, int, Timer]] = []",
        "self.heap = []",
    ),
    Rewrite(TYPES, "kernel.timers", "self._sequence = count()", ""),
    Rewrite(
        TYPES,
        "kernel.timers",
        "def __len__(self) -> int: ...",
        '''
        def __len__(self):
            return len(self.heap)

        @property
        def entries(self):
            """A list as the files of Python have it: a copy."""
            return [
                (timer._when, cython.cast(TimerHandle, timer).number, timer) for timer in self.heap
            ]
        ''',
    ),
    Rewrite(
        TYPES,
        "kernel.timers",
        """
        heappush(self.entries, (handle._when, next(self._sequence), handle))
        handle._scheduled = True
        """,
        """
        handle.due = handle._when
        handle.number = self._sequence
        self._sequence += 1
        push(self.heap, handle)
        handle._scheduled = True
        """,
    ),
    *(
        Rewrite(
            TYPES, "kernel.timers", "entries = self.entries", "entries = self.heap", within=method
        )
        for method in ("TimerQueue.next_deadline", "TimerQueue.pop_due", "TimerQueue.repair")
    ),
    Rewrite(TYPES, "kernel.timers", "heappop(entries)", "pop(entries)", times=3),
    Rewrite(
        TYPES,
        "kernel.timers",
        "when, _, handle = entries[0]",
        """
        handle = first(entries)
        when = handle._when
        """,
    ),
    Rewrite(
        TYPES, "kernel.timers", "entries[0][0]", "first(entries).due", within="TimerQueue.pop_due"
    ),
    Rewrite(TYPES, "kernel.timers", "entries[0][2]", "first(entries)", times=3),
    Rewrite(
        TYPES,
        "kernel.timers",
        "self.entries",
        "self.heap",
        within="TimerQueue._sweep_if_most",
        times=3,
    ),
    Rewrite(TYPES, "kernel.timers", "entry[2]", "entry"),
    Rewrite(TYPES, "kernel.timers", "heapify(kept)", "arrange(kept)"),
    Rewrite(
        TYPES,
        "kernel.timers",
        "sum(handle._callback is None for _, _, handle in entries)",
        "sum(handle._callback is None for handle in entries)",
    ),
    Rewrite(TYPES, "kernel.timers", "self.entries.clear()", "self.heap.clear()"),
    Rewrite(TYPES, "kernel.handle", "self._loop.timers.note_cancelled()", "call_off(self._loop)"),
    Rewrite(TYPES, "kernel.scheduler", "entries = timers.entries", "entries = timers.heap"),
    Rewrite(TYPES, "kernel.scheduler", "entries[0][0]", "first(entries).due"),
    # Setting one.
    Rewrite(
        OBJECTS,
        "kernel.scheduler",
        """
        self.make_timer(
            when, callback, args, self, copy_context() if context is None else context
        )
        """,
        """set_timer(
            self.make_timer, when, callback, args, self,
            copied_context() if context is None else context,
        )""",
        times=2,
    ),
    Rewrite(
        OBJECTS,
        "kernel.scheduler",
        "self.timers.add(handle)",
        "add_timer(self.timers, handle)",
        times=2,
    ),
    Rewrite(
        OBJECTS,
        "kernel.scheduler",
        """
        self.make_shared_handle(
            callback, args, self, copy_context() if context is None else context
        )
        """,
        """share(
            self.make_shared_handle, callback, args, self,
            copied_context() if context is None else context,
        )""",
    ),
    Addition(
        TYPES,
        "kernel.scheduler",
        """
        import miniloop.kernel.handle as _handles

        NEW_TIMER = _handles.new_timer
        NEW_SHARED_HANDLE = _handles.new_shared_handle
        """,
    ),
    Rewrite(
        CLOCK,
        "kernel.scheduler",
        "self._clock() + delay",
        "(system_monotonic() if self._clock is monotonic else self._clock()) + delay",
    ),
    Rewrite(
        CLOCK,
        "kernel.scheduler",
        "when - self._clock()",
        "when - (system_monotonic() if self._clock is monotonic else self._clock())",
    ),
)
