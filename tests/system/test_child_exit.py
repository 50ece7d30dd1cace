"""The two ways to notice the end of a child: a descriptor of the process, and a waiting thread."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import miniloop
from miniloop.system import child_exit
from miniloop.system.child_exit import STATUS_LOST, PidfdWatch, ThreadWatch, watch_exit

WATCHES = [
    pytest.param(
        PidfdWatch,
        marks=pytest.mark.skipif(
            not hasattr(os, "pidfd_open"), reason="this system has no descriptors of processes"
        ),
    ),
    ThreadWatch,
]

Watch = Callable[[Any, subprocess.Popen[bytes], Callable[[int], object]], Any]

RUNS_UNTIL_EOF = [sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(5)"]


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A child that ends with status 5 when its standard input is closed."""
    with subprocess.Popen(RUNS_UNTIL_EOF, stdin=subprocess.PIPE) as process:
        yield process


@pytest.mark.parametrize("watch", WATCHES)
def test_the_exit_status_arrives_in_the_loop(watch: Watch, child: subprocess.Popen[bytes]) -> None:
    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        watch(loop, child, lambda code: ended.set_result((code, threading.get_ident())))
        assert child.stdin is not None
        child.stdin.close()
        return await ended

    assert miniloop.run(main()) == (5, threading.get_ident())
    assert child.returncode == 5


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="there are no descriptors of processes")
def test_the_exit_status_arrives_although_the_descriptor_fails_to_close(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[BaseException] = []

    async def main() -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context["exception"]))
        ended = loop.create_future()
        watching = PidfdWatch(loop, child, ended.set_result)
        number, close = watching._fd, os.close

        def fail(fd: int) -> None:
            close(fd)
            if fd == number:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        assert child.stdin is not None
        child.stdin.close()
        with monkeypatch.context() as patch:
            patch.setattr(os, "close", fail)
            return await ended  # type: ignore[no-any-return]

    assert miniloop.run(main()) == 5
    assert [type(report) for report in reports] == [OSError]


@pytest.mark.parametrize("watch", WATCHES)
def test_a_child_that_has_ended_already_is_noticed(
    watch: Watch, child: subprocess.Popen[bytes]
) -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    async def main() -> int:
        ended = asyncio.get_running_loop().create_future()
        watch(asyncio.get_running_loop(), child, ended.set_result)
        return await ended

    assert miniloop.run(main()) == -signal.SIGKILL


@pytest.mark.parametrize("watch", WATCHES)
def test_a_child_stays_a_zombie_until_the_loop_reaps_it(
    watch: Watch, child: subprocess.Popen[bytes]
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        watch(loop, child, ended.set_result)
        child.kill()
        # Until it is over the loop does not run, and nobody else may reap.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        os.kill(child.pid, 0)
        assert child.returncode is None
        await ended

    miniloop.run(main())


@pytest.mark.parametrize("watch", WATCHES)
def test_after_close_nobody_is_told(watch: Watch, child: subprocess.Popen[bytes]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = watch(loop, child, pytest.fail)
        ended = loop.create_future()
        second = watch(loop, child, ended.set_result)
        first.close()
        child.kill()
        assert await ended == -signal.SIGKILL
        second.close()

    miniloop.run(main())


@pytest.mark.parametrize("watch", WATCHES)
def test_a_status_that_somebody_else_took_is_said_to_be_lost(
    watch: Watch, child: subprocess.Popen[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        watch(loop, child, ended.set_result)
        child.kill()
        os.waitpid(child.pid, 0)
        return await ended

    assert miniloop.run(main()) == STATUS_LOST
    assert f"child process {child.pid}" in caplog.text


@pytest.mark.parametrize("watch", WATCHES)
def test_a_status_that_the_popen_object_has_is_not_lost(
    watch: Watch, child: subprocess.Popen[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        watch(loop, child, ended.set_result)
        child.kill()
        child.wait()
        return await ended

    assert miniloop.run(main()) == -signal.SIGKILL
    assert not caplog.records


def test_a_thread_leaves_no_zombie_when_the_loop_was_closed(
    child: subprocess.Popen[bytes],
) -> None:
    loop = miniloop.new_event_loop()
    threads = set(threading.enumerate())
    ThreadWatch(loop, child, pytest.fail)
    (thread,) = set(threading.enumerate()) - threads
    loop.close()
    child.kill()
    thread.join()
    assert child.returncode == -signal.SIGKILL


@pytest.mark.parametrize("error", [PermissionError, OSError, ProcessLookupError])
def test_without_a_descriptor_a_thread_waits(
    error: type[OSError], child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int, flags: int = 0) -> int:
        raise error

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)

    async def main() -> int:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        assert isinstance(watch_exit(loop, child, ended.set_result), ThreadWatch)
        child.kill()
        return await ended

    assert miniloop.run(main()) == -signal.SIGKILL


def test_with_threads_a_hundred_children_at_once_lose_no_exit_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(child_exit, "watch_exit", ThreadWatch)
    monkeypatch.setattr("miniloop.system.process.watch_exit", ThreadWatch)

    async def one(number: int) -> int:
        process = await asyncio.create_subprocess_shell(f"exit {number}")
        return await process.wait()

    async def main() -> list[int]:
        return await asyncio.gather(*map(one, range(100)))

    assert miniloop.run(main()) == list(range(100))


def test_children_work_while_sigchld_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:

        async def main() -> tuple[bytes, int | None]:
            process = await asyncio.create_subprocess_exec(
                "echo", "hello", stdout=asyncio.subprocess.PIPE
            )
            output, _ = await process.communicate()
            return output, process.returncode

        # The kernel reaps, and keeps the status to itself.
        assert miniloop.run(main()) == (b"hello\n", STATUS_LOST)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "SIGCHLD is ignored" in caplog.text
