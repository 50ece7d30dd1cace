"""Calls in threads: `run_in_executor` and the life of the default executor."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import miniloop

Run = Callable[..., Any]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def test_the_result_of_a_call_in_a_thread_arrives_in_the_loop(run: Run) -> None:
    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, lambda: (6 * 7, threading.get_ident()))

    result, thread = run(main)
    assert result == 42
    assert thread != threading.get_ident()


def test_the_exception_of_a_call_in_a_thread_arrives_in_the_loop(run: Run) -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, int, "no number")

    with pytest.raises(ValueError, match="no number"):
        run(main)


def test_an_executor_of_the_callers_own_is_used(run: Run) -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(thread_name_prefix="mine") as pool:
            return await loop.run_in_executor(pool, lambda: threading.current_thread().name)

    assert run(main).startswith("mine")


def test_to_thread_carries_the_context_along(run: Run) -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(pow, 2, n) for n in range(20)))

    assert run(main) == [2**n for n in range(20)]


def test_a_call_that_no_thread_has_begun_can_be_cancelled(run: Run) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        begun, may_end = threading.Event(), threading.Event()
        calls: list[str] = []

        def first() -> None:
            calls.append("first")
            begun.set()
            may_end.wait()

        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            running = loop.run_in_executor(pool, first)
            waiting = loop.run_in_executor(pool, calls.append, "second")
            await asyncio.to_thread(begun.wait)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await asyncio.sleep(0)  # asyncio takes the call back on the next turn only
            may_end.set()
            await running
        return calls

    assert run(main) == ["first"]


def test_a_cancelled_call_is_taken_back_at_once() -> None:
    begun, may_end = threading.Event(), threading.Event()

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            running = loop.run_in_executor(pool, lambda: (begun.set(), may_end.wait()))
            waiting = loop.run_in_executor(pool, pytest.fail, "it was cancelled")
            await asyncio.to_thread(begun.wait)
            waiting.cancel()
            may_end.set()
            await running
        return waiting.cancelled()

    assert miniloop.run(main())


def test_a_task_that_waits_for_a_call_can_be_cancelled(run: Run) -> None:
    may_end = threading.Event()

    async def main() -> None:
        waiting = asyncio.create_task(asyncio.to_thread(may_end.wait))
        await asyncio.sleep(0)
        waiting.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await waiting
        may_end.set()

    run(main)


def test_a_call_that_fails_with_a_cancellation_of_another_is_cancelled(run: Run) -> None:
    def call() -> None:
        raise concurrent.futures.CancelledError("of another")

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError, match="of another"):
            await asyncio.get_running_loop().run_in_executor(None, call)

    run(main)


def test_stop_iteration_from_a_thread_becomes_a_runtime_error() -> None:
    # On asyncio the future is never done, before CPython 3.13.
    async def main() -> None:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await asyncio.get_running_loop().run_in_executor(None, next, iter(()))

    miniloop.run(main())


def test_a_process_pool_works_as_well(run: Run) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ProcessPoolExecutor(
            max_workers=1, mp_context=__import__("multiprocessing").get_context("spawn")
        ) as pool:
            return await loop.run_in_executor(pool, pow, 3, 4)

    assert run(main) == 81


def test_the_default_executor_must_be_a_thread_pool(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    try:
        with pytest.raises(TypeError, match="ThreadPoolExecutor"):
            loop.set_default_executor(object())  # type: ignore[arg-type]
    finally:
        loop.close()


def test_a_default_executor_that_was_set_is_used_and_shut_down(run: Run) -> None:
    pool = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="set")

    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(pool)
        return await loop.run_in_executor(None, lambda: threading.current_thread().name)

    assert run(main).startswith("set")
    with pytest.raises(RuntimeError):
        pool.submit(int)


def test_after_the_shutdown_there_is_no_default_executor(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, int)
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="shutdown"):
            loop.run_in_executor(None, int)
        await loop.shutdown_default_executor()  # once more does nothing

    run(main)


def test_the_shutdown_waits_for_calls_that_run(run: Run) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        order: list[str] = []
        begun, may_end = threading.Event(), threading.Event()

        def call() -> None:
            begun.set()
            may_end.wait()
            order.append("call has ended")

        ended = loop.run_in_executor(None, call)
        await asyncio.get_running_loop().run_in_executor(None, begun.wait)
        shutdown = loop.create_task(loop.shutdown_default_executor())
        await asyncio.sleep(0)
        assert not shutdown.done()
        may_end.set()
        await shutdown
        order.append("shut down")
        await ended
        return order

    assert run(main) == ["call has ended", "shut down"]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="earlier, asyncio waits without a limit")
def test_a_shutdown_that_takes_too_long_warns_and_goes_on(run: Run) -> None:
    may_end = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, may_end.wait)
        with pytest.warns(RuntimeWarning, match="within 0.01 seconds"):
            await loop.shutdown_default_executor(0.01)  # type: ignore[call-arg]
        may_end.set()

    run(main)


def test_the_limit_of_the_shutdown_holds_on_every_version() -> None:
    may_end = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended = loop.run_in_executor(None, may_end.wait)
        with pytest.warns(RuntimeWarning, match="within 0.01 seconds"):
            await loop.shutdown_default_executor(0.01)  # type: ignore[call-arg]
        may_end.set()
        await ended

    miniloop.run(main())


def test_closing_the_loop_does_not_wait_for_a_thread(loop_factory: LoopFactory) -> None:
    may_end = threading.Event()
    loop = loop_factory()
    loop.run_in_executor(None, may_end.wait)
    loop.close()
    may_end.set()
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_in_executor(None, int)


def test_a_thread_that_ends_after_the_loop_was_closed_does_no_harm(
    loop_factory: LoopFactory, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    may_end = threading.Event()
    pool = concurrent.futures.ThreadPoolExecutor()
    loop = loop_factory()
    loop.run_in_executor(pool, may_end.wait)
    loop.close()
    may_end.set()
    pool.shutdown(wait=True)
    assert capfd.readouterr().err == ""
    assert not caplog.records


def test_a_coroutine_function_is_refused_in_debug_mode(loop_factory: LoopFactory) -> None:
    async def coroutine_function() -> None: ...

    loop = loop_factory()
    loop.set_debug(True)
    try:
        with pytest.raises(TypeError, match=r"coroutines cannot be used with run_in_executor\(\)"):
            loop.run_in_executor(None, coroutine_function)
    finally:
        loop.close()


def test_the_threads_say_whose_they_are() -> None:
    async def main() -> str:
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    assert miniloop.run(main()).startswith("miniloop")


def test_a_call_that_fails_unseen_is_reported_as_a_future(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    messages: list[str] = []
    loop.set_exception_handler(lambda loop, context: messages.append(context["message"]))

    async def main() -> None:
        loop.run_in_executor(None, int, "x")
        await loop.shutdown_default_executor()
        await asyncio.sleep(0.01)

    loop.run_until_complete(main())
    gc.collect()
    loop.close()
    assert messages == ["Future exception was never retrieved"]


def test_calls_in_threads_are_counted_until_the_loop_has_heard_of_their_end() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, miniloop.EventLoop)
        counts = [loop.calls_in_threads]
        begun, may_end = threading.Event(), threading.Event()

        def call() -> None:
            begun.set()
            may_end.wait()

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            running = loop.run_in_executor(pool, call)
            waiting = loop.run_in_executor(pool, int)
            await asyncio.to_thread(begun.wait)
            counts.append(loop.calls_in_threads)
            waiting.cancel()  # which no thread has begun
            running.cancel()  # its thread goes on, and will still tell the loop
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            counts.append(loop.calls_in_threads)
            may_end.set()
            while loop.calls_in_threads:
                await asyncio.sleep(0)
        return counts

    assert miniloop.run(main()) == [0, 2, 1]


def test_the_thread_that_waits_for_the_others_is_counted_as_well() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, miniloop.EventLoop)
        may_end = threading.Event()
        loop.run_in_executor(None, may_end.wait)
        shutdown = asyncio.create_task(loop.shutdown_default_executor())
        await asyncio.sleep(0)
        assert loop.calls_in_threads == 2
        may_end.set()
        await shutdown
        assert loop.calls_in_threads == 0

    loop = miniloop.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    assert loop.calls_in_threads == 0
