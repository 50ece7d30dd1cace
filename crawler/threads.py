"""Threads that a process does not wait for when it ends.

Files are read and written, and names resolved, in threads. A thread can be stuck in the kernel for
as long as a pipe is quiet or a name server silent, and nothing can get it out of there. The
executor of the standard library waits for its threads when the loop closes and once more when the
process ends: Ctrl-C would seem not to work. These threads are simply left behind.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_Job = tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class AbandonableThreads(ThreadPoolExecutor):
    """An executor of up to ``most`` threads, started as they are needed.

    It is a ThreadPoolExecutor because loops take no other as their default. Nothing of one is used
    but the name.
    """

    def __init__(self, most: int) -> None:
        super().__init__(max_workers=most)
        self._most = most
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._started = 0
        self._unclaimed = 0  # threads that wait for a job, less the jobs that wait for a thread
        self._ended = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread call ``fn``; the future gets the result."""
        future: Future[T] = Future()
        with self._guard:
            if self._ended:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._jobs.put((future, fn, args, kwargs))
            self._unclaimed -= 1
            if self._unclaimed < 0 and self._started < self._most:
                self._started += 1
                name = f"crawler-{self._started}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let idle threads end, and wait for none."""
        with self._guard:
            self._ended = True
            for _ in range(self._started):
                self._jobs.put(None)

    def _work(self) -> None:
        while True:
            with self._guard:
                self._unclaimed += 1
            job = self._jobs.get()
            if job is None:
                return
            future, function, args, kwargs = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  (it is the future's, whatever it is)
                future.set_exception(error)
            else:
                future.set_result(result)
            # Not to keep alive what the job worked on while waiting for the next.
            del job, future, function, args, kwargs
