"""The loop: what the kernel reports, the entries of a turn, callbacks and the clock."""

from __future__ import annotations

from miniloop.compiled.rewrites.ideas import CALL, CLOCK, EVENT, RUN, TYPES
from miniloop.compiled.specialise import Addition, Rewrite

__all__ = ["OF_TURNS"]

OF_TURNS: tuple[Addition | Rewrite, ...] = (
    # A callback.
    Rewrite(
        CALL,
        "kernel.handle",
        """
        if count == 0: ...
        else: ...
        """,
        "invoke(self._context, callback, args)",
    ),
    Rewrite(CALL, "kernel.handle", "count = len(args)", "", within="Handle._run"),
    # Events.
    Rewrite(
        EVENT,
        "kernel.poller",
        """
        for fd, event in events: ...
        """,
        """
        if type(events) is Events:
            hand_out(self, watches, events, enqueue)
            return
        for pair in events:
            fd, event = pair
            found = watches.get(fd)
            if found is None:
                self._unregister(fd)
                continue
            tell(self, found, event, enqueue)
        """,
        within="Poller.deliver",
    ),
    Rewrite(
        EVENT,
        "kernel.poller",
        "import select",
        """
        import cython
        import select
        """,
    ),
    Addition(
        EVENT,
        "kernel.poller",
        """
        if (READ_BIT, WRITE_BIT) != (READ, WRITE):
            raise SystemError("poller.pxd has other bits than poller.py")
        """,
    ),
    Rewrite(
        EVENT,
        "kernel.poller",
        "self._epoll.poll",
        "EpollWait(self._epoll)",
    ),
    Rewrite(EVENT, "kernel.scheduler", "wait(0)", "look(wait, 0)"),
    Rewrite(
        EVENT,
        "kernel.scheduler",
        "wait(0 if ready else timeout)",
        "look(wait, 0 if ready else timeout)",
    ),
    Rewrite(
        EVENT,
        "kernel.scheduler",
        "resolution = self._resolution",
        """
        resolution = self._resolution
        in_c = type(wait) is EpollWait and getattr(deliver, "__func__", None) is Poller.deliver
        watches = poller.watches
        """,
    ),
    Rewrite(
        EVENT,
        "kernel.scheduler",
        """
        if arrived:
            deliver(arrived, enqueue)
        """,
        """
        if in_c:
            hand_out(poller, watches, arrived, enqueue)
        elif arrived:
            deliver(arrived, enqueue)
        """,
    ),
    # Running.
    Rewrite(
        RUN,
        "kernel.scheduler",
        "taken = map(type(ready).popleft, repeat(ready))",
        "take = ready.popleft",
    ),
    Rewrite(
        RUN,
        "kernel.scheduler",
        "taken = map(joints.take, chosen)",
        "take = map(joints.take, chosen).__next__",
    ),
    Rewrite(
        RUN,
        "kernel.scheduler",
        """
        if count > MANY: ...
        else: ...
        """,
        """
        for number in range(count):
            entry = take()
            run_entry(entry)
        """,
    ),
    Rewrite(
        RUN,
        "kernel.scheduler",
        "self.timer_limit = inf if self._clock_may_leap else next_poll",
        """
        self.timer_limit = inf if self._clock_may_leap else next_poll
        check_signals()  # no step of Python may come for a long time
        """,
    ),
    Rewrite(TYPES, "kernel.scheduler", "turns = range(MOST_TURNS)", "turns = MOST_TURNS"),
    Rewrite(TYPES, "kernel.scheduler", "turns", "range(turns)"),
    Rewrite(RUN, "kernel.scheduler", "begin_turn(ready)", "length(begin_turn, ready)"),
    Rewrite(
        CLOCK,
        "kernel.scheduler",
        "now = self._clock()",
        """
        if self._clock is monotonic:
            now = system_monotonic()
        else:
            now = self._clock()
        """,
    ),
    Rewrite(
        CLOCK,
        "kernel.scheduler",
        "enqueue = self.enqueue",
        """
        enqueue = self.enqueue
        interval = POLL_INTERVAL
        """,
        within="Scheduler.run_turns",
    ),
    Rewrite(CLOCK, "kernel.scheduler", "now + POLL_INTERVAL", "now + interval"),
)
