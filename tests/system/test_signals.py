"""Signal handlers that run in the loop."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import miniloop
from miniloop.kernel.wakeup import TRIES

Run = Callable[..., Any]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = {sig: signal.getsignal(sig) for sig in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)}
    yield
    for sig, handler in before.items():
        assert signal.getsignal(sig) is handler, f"{sig!r} still has a handler"
    assert signal.set_wakeup_fd(-1) == -1, "a loop has not given the wake-up descriptor back"


def test_a_handler_runs_in_the_loop_with_its_arguments(run: Run) -> None:
    async def main() -> tuple[Any, ...]:
        loop = asyncio.get_running_loop()
        called = loop.create_future()

        def handler(*args: Any) -> None:
            assert asyncio.get_running_loop() is loop
            called.set_result(args)

        loop.add_signal_handler(signal.SIGUSR1, handler, 1, "two")
        os.kill(os.getpid(), signal.SIGUSR1)
        result = await called
        assert loop.remove_signal_handler(signal.SIGUSR1)
        return result

    assert run(main) == (1, "two")


def test_a_signal_wakes_a_loop_that_sleeps(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, called.set)
        with subprocess.Popen(["kill", "-USR1", str(os.getpid())]):
            await called.wait()

    run(main)


def test_each_of_many_signals_is_handled(run: Run) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        calls: asyncio.Queue[None] = asyncio.Queue()
        loop.add_signal_handler(signal.SIGUSR1, calls.put_nowait, None)
        for _ in range(10):
            for _ in range(100):
                # Delivered at once: of two that wait, the kernel would make one.
                signal.raise_signal(signal.SIGUSR1)
            for _ in range(100):
                await calls.get()
        return calls.qsize()

    assert run(main) == 0


def test_the_context_of_a_handler_is_that_of_its_adding(run: Run) -> None:
    import contextvars

    variable = contextvars.ContextVar("variable", default="outside")

    async def main() -> str:
        loop = asyncio.get_running_loop()
        seen = loop.create_future()
        variable.set("at the adding")
        loop.add_signal_handler(signal.SIGUSR1, lambda: seen.set_result(variable.get()))
        variable.set("later")
        os.kill(os.getpid(), signal.SIGUSR1)
        return await seen

    assert run(main) == "at the adding"


def test_the_last_handler_of_a_signal_counts(run: Run) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        calls: list[str] = []
        done = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, calls.append, "first")
        loop.add_signal_handler(signal.SIGUSR1, lambda: (calls.append("second"), done.set()))
        os.kill(os.getpid(), signal.SIGUSR1)
        await done.wait()
        return calls

    assert run(main) == ["second"]


def test_an_exception_in_a_handler_goes_to_the_exception_handler(run: Run) -> None:
    async def main() -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        reported = loop.create_future()
        loop.set_exception_handler(lambda _, context: reported.set_result(context))
        loop.add_signal_handler(signal.SIGUSR1, lambda: 1 / 0)
        os.kill(os.getpid(), signal.SIGUSR1)
        return await reported

    assert isinstance(run(main)["exception"], ZeroDivisionError)


def test_what_is_no_signal_is_refused(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    try:
        for wrong, error in (("SIGINT", TypeError), (0, ValueError), (-1, ValueError)):
            with pytest.raises(error):
                loop.add_signal_handler(wrong, print)  # type: ignore[arg-type]
            with pytest.raises(error):
                loop.remove_signal_handler(wrong)  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="cannot be caught"):
            loop.add_signal_handler(signal.SIGKILL, print)
        assert not loop.remove_signal_handler(signal.SIGKILL)
        assert not loop.remove_signal_handler(signal.SIGUSR1)
    finally:
        loop.close()


def test_coroutines_are_refused(loop_factory: LoopFactory) -> None:
    async def coroutine_function() -> None: ...

    loop = loop_factory()
    coroutine = coroutine_function()
    try:
        for wrong in (coroutine_function, coroutine):
            with pytest.raises(TypeError, match="coroutines cannot be used"):
                loop.add_signal_handler(signal.SIGUSR1, wrong)  # type: ignore[arg-type]
    finally:
        coroutine.close()
        loop.close()


def test_a_closed_loop_takes_no_handler(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.add_signal_handler(signal.SIGUSR1, print)


def test_outside_the_main_thread_no_handler_can_be_added(loop_factory: LoopFactory) -> None:
    errors: list[BaseException] = []

    def in_thread() -> None:
        loop = loop_factory()
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except RuntimeError as exc:
            errors.append(exc)
        finally:
            loop.close()

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert "main thread" in str(errors[0])


def test_removing_the_handler_of_sigint_brings_keyboard_interrupt_back(
    loop_factory: LoopFactory,
) -> None:
    loop = loop_factory()
    try:
        loop.add_signal_handler(signal.SIGINT, print)
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert loop.remove_signal_handler(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        loop.close()


def test_closing_the_loop_removes_its_handlers(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGUSR2, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL


def test_a_loop_that_is_closed_leaves_the_signals_of_another_alone() -> None:
    first, second = miniloop.new_event_loop(), miniloop.new_event_loop()
    first.add_signal_handler(signal.SIGUSR1, print)

    async def main() -> None:
        called = asyncio.Event()
        second.add_signal_handler(signal.SIGUSR2, called.set)
        first.close()
        os.kill(os.getpid(), signal.SIGUSR2)
        await called.wait()

    second.run_until_complete(main())
    second.close()


def test_ctrl_c_cancels_the_main_task_of_a_runner(loop_factory: LoopFactory) -> None:
    seen: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with pytest.raises(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert seen == ["cancelled"]


def test_a_signal_reaches_a_program_that_sleeps_in_the_loop() -> None:
    program = textwrap.dedent("""
        import asyncio, signal, miniloop

        async def main():
            stop = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
            print("ready", flush=True)
            await stop.wait()
            print("stopped in good order", flush=True)

        miniloop.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGTERM)
        assert child.stdout.read() == b"stopped in good order\n"
    assert child.returncode == 0


def test_no_signal_is_lost_when_the_wake_up_buffer_is_full(
    capfd: pytest.CaptureFixture[str],
) -> None:
    # asyncio loses the second one, and prints that the buffer is full.
    loop = miniloop.new_event_loop()
    got: list[int] = []

    async def main() -> None:
        for sig in (signal.SIGUSR1, signal.SIGUSR2):
            loop.add_signal_handler(sig, got.append, sig)
        for _ in range(1000):
            os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        while signal.SIGUSR2 not in got:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0.001)
        for sig in (signal.SIGUSR1, signal.SIGUSR2):
            loop.remove_signal_handler(sig)

    loop.run_until_complete(asyncio.wait_for(main(), 10))
    loop.close()
    assert got.count(signal.SIGUSR2) == 1
    assert got.count(signal.SIGUSR1) >= 1
    assert capfd.readouterr() == ("", "")


def test_signals_arrive_after_the_wake_up_was_replaced() -> None:
    loop = miniloop.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)

    async def main() -> None:
        called = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, called.set)
        loop.wakeup._writer.close()
        await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)
        await called.wait()
        loop.remove_signal_handler(signal.SIGUSR1)

    loop.run_until_complete(asyncio.wait_for(main(), 10))
    loop.close()


class FailingReader:
    """Stands in for the reading end of a wake-up: some reads fail, the first or a later one."""

    def __init__(self, reader: Any, failing: list[bool]) -> None:
        self._reader = reader
        self._failing = failing

    def recv(self, size: int) -> bytes:
        if self._failing and self._failing.pop(0):
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        data: bytes = self._reader.recv(size)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


@pytest.mark.parametrize("failing", [[True], [True] * TRIES, [False, *[True] * TRIES]])
def test_no_signal_is_lost_when_the_wake_up_cannot_be_read(failing: list[bool]) -> None:
    loop = miniloop.new_event_loop()
    reports: list[Any] = []
    loop.set_exception_handler(lambda loop, context: reports.append(context["message"]))
    lasts = len(failing) >= TRIES
    wakeup = loop.wakeup

    async def main() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, first.set)
        loop.add_signal_handler(signal.SIGUSR2, second.set)
        wakeup._reader = FailingReader(wakeup._reader, failing)  # type: ignore[assignment]
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        await first.wait()
        await second.wait()
        loop.remove_signal_handler(signal.SIGUSR1)
        loop.remove_signal_handler(signal.SIGUSR2)

    loop.run_until_complete(asyncio.wait_for(main(), 10))
    loop.close()
    assert len(reports) == lasts, "it was replaced"
