"""Tasks: running a coroutine, its name, its context and its place among all tasks."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import types
import weakref
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

import miniloop

Turn = Callable[[asyncio.AbstractEventLoop], None]
Reports = Callable[[asyncio.AbstractEventLoop], list[dict[str, Any]]]


async def give(value: Any) -> Any:
    return value


async def wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


# Running.


def test_a_task_runs_on_the_next_turn_and_not_before(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    task = loop.create_task(work())
    assert ran == []
    assert not task.done()
    turn(loop)
    assert ran == [1]
    assert task.done()


def test_a_task_has_the_result_of_its_coroutine(loop: asyncio.AbstractEventLoop) -> None:
    task = loop.create_task(give(42))
    assert loop.run_until_complete(task) == 42
    assert task.result() == 42
    assert task.exception() is None


def test_a_task_has_the_exception_of_its_coroutine(loop: asyncio.AbstractEventLoop) -> None:
    failure = LookupError("lost")

    async def fail() -> None:
        await asyncio.sleep(0)
        raise failure

    task = loop.create_task(fail())
    with pytest.raises(LookupError) as caught:
        loop.run_until_complete(task)
    assert caught.value is failure
    assert task.exception() is failure
    assert not task.cancelled()


@pytest.mark.parametrize("value", [StopIteration("inside"), (1, 2), None, StopIteration])
def test_any_value_can_be_returned(loop: asyncio.AbstractEventLoop, value: object) -> None:
    assert loop.run_until_complete(loop.create_task(give(value))) is value


def test_a_stop_iteration_raised_in_a_coroutine_becomes_a_runtime_error(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def stop() -> None:
        raise StopIteration  # PEP 479

    with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
        loop.run_until_complete(stop())


def test_tasks_take_turns(loop: asyncio.AbstractEventLoop) -> None:
    order: list[str] = []

    async def work(name: str) -> None:
        for _ in range(3):
            order.append(name)
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(work("a"), work("b"), work("c"))

    loop.run_until_complete(main())
    assert order == ["a", "b", "c"] * 3


def test_a_bare_yield_lets_others_run(loop: asyncio.AbstractEventLoop) -> None:
    @types.coroutine
    def one_turn() -> Generator[None, None, str]:
        yield
        return "resumed"

    async def main() -> list[str]:
        order: list[str] = []
        loop.call_soon(order.append, "other")
        order.append(await one_turn())
        return list(order)

    assert loop.run_until_complete(main()) == ["other", "resumed"]


def test_a_task_awaited_by_a_task_passes_on_its_end(loop: asyncio.AbstractEventLoop) -> None:
    async def fail() -> None:
        raise LookupError("lost")

    async def main() -> list[object]:
        seen: list[object] = [await loop.create_task(give(1))]
        try:
            await loop.create_task(fail())
        except LookupError as exc:
            seen.append(str(exc))
        task = loop.create_task(wait_for_ever())
        loop.call_soon(task.cancel, "enough")
        try:
            await task
        except asyncio.CancelledError as exc:
            seen.append(exc.args)
        return seen

    assert loop.run_until_complete(main()) == [1, "lost", ("enough",)]


def test_a_deep_chain_of_awaits_works(loop: asyncio.AbstractEventLoop) -> None:
    async def descend(depth: int) -> int:
        if depth == 0:
            await asyncio.sleep(0)
            return 0
        return 1 + await descend(depth - 1)

    assert loop.run_until_complete(descend(200)) == 200


def test_a_long_chain_of_tasks_works(loop: asyncio.AbstractEventLoop) -> None:
    async def link(before: asyncio.Task[int] | None) -> int:
        return 0 if before is None else 1 + await before

    async def main() -> int:
        task = None
        for _ in range(2000):
            task = loop.create_task(link(task))
        assert task is not None
        return await task

    assert loop.run_until_complete(main()) == 1999


# Names and contexts.


def test_tasks_are_numbered_unless_named(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        first, second = loop.create_task(give(1)), loop.create_task(give(2))
        prefix, number = first.get_name().split("-")
        assert prefix == "Task"
        assert second.get_name() == f"Task-{int(number) + 1}"
        named = loop.create_task(give(3), name="mine")
        assert named.get_name() == "mine"
        named.set_name(42)
        assert named.get_name() == "42"
        await asyncio.gather(first, second, named)

    loop.run_until_complete(main())


def test_a_task_runs_in_a_copy_of_the_context_in_which_it_was_made(
    loop: asyncio.AbstractEventLoop,
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def child() -> str:
        seen = variable.get()
        variable.set("child")
        await asyncio.sleep(0)
        return f"{seen}, then {variable.get()}"

    async def main() -> list[str]:
        variable.set("parent")
        task = loop.create_task(child())
        variable.set("later")
        return [await task, variable.get()]

    assert loop.run_until_complete(main()) == ["parent, then child", "later"]
    assert variable.get() == "unset"


def test_a_task_runs_in_the_context_that_it_is_given(loop: asyncio.AbstractEventLoop) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    context = contextvars.copy_context()

    async def work() -> None:
        variable.set("worked")
        await asyncio.sleep(0.001)
        assert variable.get() == "worked"

    loop.run_until_complete(loop.create_task(work(), context=context))
    assert context[variable] == "worked"


def test_a_task_tells_its_coroutine_and_its_context(mini: miniloop.EventLoop) -> None:
    coroutine, context = give(1), contextvars.copy_context()
    task = mini.create_task(coroutine, context=context)
    assert task.get_coro() is coroutine
    assert task.get_context() is context
    mini.run_until_complete(task)


# The registry.


def test_the_current_task_is_known_while_it_runs(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[object] = []

    async def main() -> None:
        seen.append(asyncio.current_task())
        loop.call_soon(lambda: seen.append(asyncio.current_task()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    task = loop.create_task(main())
    loop.run_until_complete(task)
    assert seen == [task, None, task]
    assert asyncio.current_task(loop) is None


def test_the_current_task_is_forgotten_after_a_failure(loop: asyncio.AbstractEventLoop) -> None:
    async def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(fail())
    assert asyncio.current_task(loop) is None


def test_all_tasks_are_those_that_are_not_done(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        this = asyncio.current_task()
        short, long = loop.create_task(give(1)), loop.create_task(wait_for_ever())
        assert asyncio.all_tasks() == {this, short, long}
        await short
        assert asyncio.all_tasks() == {this, long}
        long.cancel()
        await asyncio.wait([long])
        assert asyncio.all_tasks() == {this}

    loop.run_until_complete(main())
    assert asyncio.all_tasks(loop) == set()


def test_a_task_that_nobody_holds_is_not_lost(mini: miniloop.EventLoop) -> None:
    # asyncio drops it: "Save a reference to the result of this function", its documentation warns.
    finished: list[int] = []

    def wake(waiting: weakref.ref[asyncio.Future[None]]) -> None:
        future = waiting()
        assert future is not None, "collected, and its task with it"
        future.set_result(None)

    async def work() -> None:
        waiting = mini.create_future()
        # Only the timer's weak hold on the future, and the future's on the task, remain.
        mini.call_later(0.001, wake, weakref.ref(waiting))
        await waiting
        finished.append(1)

    for _ in range(10):
        mini.create_task(work())

    async def main() -> None:
        while len(finished) < 10:
            gc.collect()
            await asyncio.sleep(0.001)

    mini.run_until_complete(main())
    assert mini.tasks == set()


@pytest.mark.parametrize("end", ["returns", "fails", "is cancelled"])
def test_a_task_that_is_done_is_let_go(mini: miniloop.EventLoop, end: str) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        if end == "fails":
            raise LookupError
        if end == "is cancelled":
            raise asyncio.CancelledError

    async def main() -> None:
        await asyncio.wait([mini.create_task(work())])

    reported: list[str] = []
    mini.set_exception_handler(lambda _, context: reported.append(context["message"]))
    mini.run_until_complete(main())
    assert mini.tasks == set()
    gc.collect()
    assert reported == (["Task exception was never retrieved"] if end == "fails" else [])


# The task factory.


@pytest.mark.parametrize("kind", [asyncio.Task, miniloop.Task])
def test_a_task_factory_makes_the_tasks(mini: miniloop.EventLoop, kind: Any) -> None:
    loop = mini
    made: list[asyncio.Task[Any]] = []

    def factory(
        loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **kwargs: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = kind(coro, loop=loop, **kwargs)
        made.append(task)
        return task

    assert loop.get_task_factory() is None
    loop.set_task_factory(factory)  # type: ignore[arg-type]
    assert loop.get_task_factory() is factory

    async def main() -> str:
        task = loop.create_task(give(1), name="named")
        await task
        return task.get_name()

    assert loop.run_until_complete(main()) == "named"
    assert [type(task) for task in made] == [kind, kind]
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None


def test_a_task_factory_gets_the_context(loop: asyncio.AbstractEventLoop) -> None:
    contexts: list[object] = []

    def factory(loop: Any, coro: Any, **kwargs: Any) -> Any:
        contexts.append(kwargs.pop("context", None))
        return asyncio.Task(coro, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    context = contextvars.copy_context()
    loop.run_until_complete(loop.create_task(give(1), context=context))
    assert contexts == [context]


def test_a_task_factory_must_be_callable(loop: asyncio.AbstractEventLoop) -> None:
    with pytest.raises(TypeError, match="task factory must be a callable or None"):
        loop.set_task_factory("no")  # type: ignore[arg-type]


# Types and texts.


def test_ours_are_instances_of_asyncios(mini: miniloop.EventLoop) -> None:
    task = mini.create_task(give(1))
    assert isinstance(task, asyncio.Task)
    assert isinstance(task, asyncio.Future)
    assert type(task) is miniloop.Task
    assert asyncio.isfuture(task)
    assert weakref.ref(task)() is task
    mini.run_until_complete(task)


@pytest.mark.parametrize("wrong", [42, print, None, give], ids=repr)
def test_only_coroutines_can_be_tasks(loop: asyncio.AbstractEventLoop, wrong: Any) -> None:
    with pytest.raises(TypeError, match="a coroutine was expected"):
        loop.create_task(wrong)
    with pytest.raises(TypeError, match="a coroutine was expected"):
        miniloop.Task(wrong, loop=loop)


def test_a_task_cannot_be_finished_from_outside(loop: asyncio.AbstractEventLoop) -> None:
    task = loop.create_task(give(1))
    with pytest.raises(RuntimeError, match="Task does not support set_result"):
        task.set_result(2)
    with pytest.raises(RuntimeError, match="Task does not support set_exception"):
        task.set_exception(ValueError())
    assert loop.run_until_complete(task) == 1


def test_the_repr_tells_the_state_the_name_and_where_the_coroutine_stands(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    first = wait_for_ever.__code__.co_firstlineno
    task = loop.create_task(wait_for_ever(), name="mine")
    assert repr(task) == (
        f"<Task pending name='mine' coro=<wait_for_ever() running at {__file__}:{first}>>"
    )
    turn(loop)
    assert repr(task) == (
        f"<Task pending name='mine' coro=<wait_for_ever() running at {__file__}:{first + 1}> "
        f"wait_for={task._fut_waiter!r}>"  # type: ignore[attr-defined]
    )
    task.cancel()
    assert repr(task).startswith("<Task cancelling name='mine'")
    turn(loop)
    assert repr(task) == (
        f"<Task cancelled name='mine' coro=<wait_for_ever() done, defined at {__file__}:{first}>>"
    )


def test_the_repr_of_a_finished_task_has_its_end(loop: asyncio.AbstractEventLoop) -> None:
    async def fail() -> None:
        raise LookupError("lost")

    done = loop.create_task(give(42), name="mine")
    failed = loop.create_task(fail())
    loop.run_until_complete(asyncio.wait([done, failed]))
    assert repr(done).endswith("result=42>")
    assert repr(failed).endswith("exception=LookupError('lost')>")
    failed.exception()


# Reports.


def test_a_task_that_is_dropped_half_way_is_reported(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    # Half-way is where its loop ends: until then ours holds the task.
    loop = loop_factory()
    reported: list[tuple[str, str]] = []
    loop.set_exception_handler(
        lambda _, context: reported.append((context["message"], repr(context["task"])))
    )
    loop.create_task(wait_for_ever(), name="mine")
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    del loop
    gc.collect()
    ((message, text),) = reported
    assert message == "Task was destroyed but it is pending!"
    assert "<Task pending name='mine' coro=<wait_for_ever() " in text


def test_a_pending_task_of_a_closed_loop_is_reported_when_it_is_dropped(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    # tornado's tests insist: its suspended coroutines are collected when their loop is closed.
    loop = loop_factory()
    reported: list[str] = []
    loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
    ended: list[str] = []

    async def wait() -> None:
        try:
            await wait_for_ever()
        finally:
            ended.append("finally")

    task = loop.create_task(wait())
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    gc.collect()
    assert not reported
    assert asyncio.all_tasks(loop) == {task}
    del task
    gc.collect()
    assert reported == ["Task was destroyed but it is pending!"]
    assert ended == ["finally"]
    assert not asyncio.all_tasks(loop)


def test_an_exception_that_nobody_looks_at_is_reported(
    loop: asyncio.AbstractEventLoop, turn: Turn, reports: Reports
) -> None:
    reported = reports(loop)

    async def fail() -> None:
        raise LookupError("lost")

    loop.create_task(fail())
    turn(loop)
    gc.collect()
    (context,) = reported
    assert context["message"] == "Task exception was never retrieved"
    assert isinstance(context["exception"], LookupError)
    assert "exception=LookupError('lost')" in repr(context["future"])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a keyword since CPython 3.12")
@pytest.mark.parametrize("kind", [asyncio.Task, miniloop.Task])
def test_a_task_class_takes_what_asyncios_does(mini: miniloop.EventLoop, kind: Any) -> None:
    task = kind(give(1), loop=mini, name="n", context=None, eager_start=False)
    assert mini.run_until_complete(task) == 1
