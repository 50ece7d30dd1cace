"""What the promises cost: a loop that does only what has to be done when nothing goes wrong.

Not a loop to run a program on. It is wrong in these ways:

- Ctrl-C may lose an entry, or leave a future done and nobody told; a handler's exception is
  taken for that of the task in whose step it struck.
- A timer that falls due while work is ready waits for the next visit to the kernel, and visits are
  counted, whatever a turn takes.
- Nobody can look on (`observe`), and the ready queue is a plain deque.
- An entry that was run is kept until the next one comes; a task that has failed is kept by its own
  traceback.
- A task that was finished from outside, waits for itself or for a future of another loop, or that
  was cancelled in its last step, does something, and not what it should.
"""

from __future__ import annotations

from typing import Any

from miniloop import EventLoop
from miniloop.kernel.future import FINISHED, PENDING, Future
from miniloop.kernel.handle import Handle
from miniloop.kernel.registry import current_tasks
from miniloop.kernel.scheduler import MOST_TURNS
from miniloop.kernel.task import Task

__all__ = ["happy_path"]


class HappyLoop(EventLoop):
    """Turns, and no more."""

    def run_turns(self) -> None:
        """Turn until told to stop."""
        ready = self._ready
        poller = self.poller
        timers = self.timers
        while True:
            if ready or self._stopping:
                arrived = poller.wait(0)
            else:
                timeout = None
                if timers.entries and (deadline := timers.next_deadline()) is not None:
                    timeout = max(0.0, deadline - self._clock())
                self.asleep = True  # without it no thread could wake us
                arrived = poller.wait(0 if ready else timeout)
                self.asleep = False
            if arrived:
                poller.deliver(arrived, ready.append)
            if timers.entries:
                timers.pop_due(self._clock() + self._resolution, ready.append)
            for _ in range(MOST_TURNS):
                for _ in range(len(ready)):
                    ready.popleft()._run()
                if self._stopping:
                    return
                if not ready:
                    break


def _step(self: Task[Any]) -> None:
    """`Task._run`."""
    loop = self._loop
    current_tasks[loop] = self
    self._fut_waiter = None
    try:
        if self._throw is None and not self._must_cancel:
            awaited = self._context.run(self._send, None)
        else:
            awaited = self._context.run(self._coro.throw, self._take_throw())
    except StopIteration as stop:
        self._result = stop.value
        self._state = FINISHED
        if self._waiting is not None:
            self._wake_waiting()
        loop.tasks.discard(self)
    except BaseException as error:  # noqa: BLE001 - it is the task's
        self._end_by(error)
    else:
        kind = type(awaited)
        if awaited is None:
            loop.enqueue(self)
        elif (kind is Future or kind is Task) and awaited._state is PENDING:
            awaited._asyncio_future_blocking = False
            if awaited._waiting is None:
                awaited._waiting = self
            else:
                awaited._add_waiting(self)
            self._fut_waiter = awaited
            if self._must_cancel and awaited.cancel(self._cancel_message):
                self._must_cancel = False
        else:
            self._wait_for_foreign(awaited)
    del current_tasks[loop]


def _call(self: Handle) -> None:
    """`Handle._run`."""
    if self._callback is not None:
        try:
            self._context.run(self._callback, *self._args)
        except Exception as error:  # noqa: BLE001 - it is the callback's
            self._report(error)


def _set_result(self: Future[Any], result: Any, /) -> None:
    """`Future.set_result`."""
    self._result = result
    self._state = FINISHED
    waiting = self._waiting
    if waiting is not None:
        self._waiting = None
        if type(waiting) is list:
            for entry in waiting:
                entry._wake(self)
        else:
            waiting._wake(self)


def happy_path() -> EventLoop:
    """A loop that keeps none of the promises that are above. It changes the classes of all."""
    Task._run = _step  # type: ignore[method-assign]
    Handle._run = _call  # type: ignore[method-assign]
    Future.set_result = _set_result  # type: ignore[method-assign]
    return HappyLoop()
