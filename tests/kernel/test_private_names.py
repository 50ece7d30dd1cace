"""The private names of asyncio's loop that libraries read, and the types that they ask for."""

from __future__ import annotations

import asyncio
import selectors
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import miniloop


def test_timers_are_listed_the_next_one_first(loop: Any) -> None:
    later = loop.call_later(20, print)
    sooner = loop.call_later(10, print)
    assert loop._scheduled[0] is sooner
    assert set(loop._scheduled) == {sooner, later}
    assert not sooner._cancelled
    sooner.cancel()
    assert sooner._cancelled


def test_what_is_ready_is_listed(loop: Any) -> None:
    handle = loop.call_soon(print)
    assert list(loop._ready) == [handle]
    handle.cancel()


def test_signal_handlers_can_be_put_back_as_prompt_toolkit_does(loop: Any) -> None:
    heard: list[str] = []
    assert loop._signal_handlers.get(signal.SIGWINCH) is None
    loop.add_signal_handler(signal.SIGWINCH, heard.append, "first")
    previous = loop._signal_handlers.get(signal.SIGWINCH)
    loop.add_signal_handler(signal.SIGWINCH, heard.append, "second")
    loop.add_signal_handler(signal.SIGWINCH, previous._callback, *previous._args)

    async def main() -> None:
        signal.raise_signal(signal.SIGWINCH)
        while not heard:
            await asyncio.sleep(0)

    loop.run_until_complete(asyncio.wait_for(main(), 20))
    assert heard == ["first"]
    loop.remove_signal_handler(signal.SIGWINCH)


def test_the_default_executor_is_shown(loop: Any) -> None:
    assert loop._default_executor is None
    assert loop._executor_shutdown_called is False
    loop.run_until_complete(loop.run_in_executor(None, int))
    assert isinstance(loop._default_executor, ThreadPoolExecutor)
    loop.run_until_complete(loop.shutdown_default_executor())
    assert loop._executor_shutdown_called is True


def test_the_exception_handler_and_the_task_factory_are_shown(loop: Any) -> None:
    def handle(loop: object, context: object) -> None:
        pass

    def make(loop: Any, coro: Any, **kwargs: Any) -> Any:
        return asyncio.Task(coro, loop=loop, **kwargs)

    assert loop._exception_handler is None
    assert loop._task_factory is None
    loop.set_exception_handler(handle)
    loop.set_task_factory(make)
    assert loop._exception_handler is handle
    assert loop._task_factory is make


def test_state_is_shown(loop: Any) -> None:
    assert loop._thread_id is None
    assert loop._closed is False
    assert loop._debug is False
    assert loop._stopping is False
    assert 0 < loop._clock_resolution < 1
    loop._check_closed()
    loop.close()
    assert loop._closed is True
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop._check_closed()


def test_the_selector_shows_who_waits_for_which_file(loop: Any) -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        with pytest.raises(KeyError):
            loop._selector.get_key(near)
        loop.add_reader(near, print)
        key = loop._selector.get_key(near)
        assert (key.fd, key.events) == (near.fileno(), selectors.EVENT_READ)
        assert (key.data[0]._callback, key.data[1]) == (print, None)
        loop.add_writer(near, print)
        events = selectors.EVENT_READ | selectors.EVENT_WRITE
        assert loop._selector.get_key(near.fileno()).events == events
        assert near.fileno() in loop._selector.get_map()
        loop.remove_reader(near)
        loop.remove_writer(near)
        assert near.fileno() not in loop._selector.get_map()


def test_the_selector_shows_who_waits_in_a_coroutine(loop: Any) -> None:
    near, far = socket.socketpair()
    near.setblocking(False)

    async def main() -> None:
        receiving = asyncio.ensure_future(loop.sock_recv(near, 1))
        await asyncio.sleep(0)
        assert loop._selector.get_key(near).events == selectors.EVENT_READ
        far.send(b"x")
        assert await receiving == b"x"
        assert near.fileno() not in loop._selector.get_map()

    with near, far:
        loop.run_until_complete(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize(
    "change",
    [
        lambda loop: setattr(loop._selector, "select", print),
        lambda loop: loop._selector.register(0, 1),
        lambda loop: setattr(loop, "_selector", selectors.DefaultSelector()),
        lambda loop: setattr(loop, "_scheduled", []),
        lambda loop: setattr(loop, "_default_executor", None),
        lambda loop: loop._signal_handlers.clear(),
    ],
    ids=["select", "register", "_selector", "_scheduled", "_default_executor", "_signal_handlers"],
)
def test_what_would_change_nothing_is_refused(
    mini: miniloop.EventLoop, change: Callable[[Any], object]
) -> None:
    with pytest.raises(AttributeError):
        change(mini)


def test_names_can_be_read_of_a_closed_loop(loop: Any) -> None:
    loop.close()
    assert list(loop._scheduled) == []
    assert dict(loop._signal_handlers) == {}
    assert loop._default_executor is None
    assert loop._executor_shutdown_called is True


def test_a_transport_shows_its_descriptor_and_whether_it_is_lost(loop: Any) -> None:
    left, right = socket.socketpair()
    with right:
        transport, _ = loop.run_until_complete(
            loop.create_unix_connection(asyncio.Protocol, sock=left)
        )
        assert transport._sock_fd == left.fileno()
        assert transport._sock is left
        assert not transport._conn_lost
        transport.abort()
        assert transport._conn_lost
        loop.run_until_complete(asyncio.sleep(0))


def test_a_child_shows_its_pipes(run: Callable[..., Any]) -> None:
    async def main() -> None:
        child = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        transport: Any = child._transport  # type: ignore[attr-defined]
        assert transport._proc.pid == child.pid
        stdin, stdout = (transport._pipes[fd].pipe for fd in (0, 1))
        assert stdin is child.stdin.transport  # type: ignore[union-attr]
        for pipe in (stdin, stdout):
            assert pipe._fileno == pipe._pipe.fileno() == pipe.get_extra_info("pipe").fileno()
        await child.communicate(b"")
        assert stdout.is_closing()

    run(main)


def test_a_server_is_asyncios_server(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        assert isinstance(server, asyncio.Server)
        assert isinstance(server, asyncio.AbstractServer)
        assert type(server).__name__ == "Server"
        server.close()
        await server.wait_closed()

    loop.run_until_complete(main())
