"""Subprocesses: how the end of a child is noticed and told, and what closing does to a child."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import threading
from asyncio.subprocess import PIPE
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

import miniloop
from miniloop.system.child_exit import watch_exit
from miniloop.testing.shuffle import shuffle
from tests.system.children import WAITS, Events

Run = Callable[..., Any]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def become_a_zombie(pid: int) -> None:
    """End a child, and wait until it has ended, without reaping it."""
    os.kill(pid, signal.SIGTERM)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@pytest.fixture
def no_child_is_left() -> Iterator[None]:
    """Fails the test if it leaves a child behind, be it a zombie."""
    before = set(psutil.Process().children())
    yield
    gc.collect()
    assert set(psutil.Process().children()) == before


# The end.


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_status_is_reported(run: Run, code: int) -> None:
    async def main() -> int:
        child = await asyncio.create_subprocess_shell(f"exit {code}")
        return await child.wait()

    assert run(main) == code


@pytest.mark.parametrize("how", ["kill", "terminate", "send_signal"])
def test_a_child_can_be_ended(run: Run, how: str) -> None:
    arguments = [signal.SIGHUP] if how == "send_signal" else []
    number = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "send_signal": signal.SIGHUP}

    async def main() -> int:
        child = await asyncio.create_subprocess_exec(*WAITS, stdout=PIPE)
        assert child.stdout is not None
        await child.stdout.readline()
        getattr(child, how)(*arguments)
        return await child.wait()

    assert run(main) == -number[how]


def test_a_signal_after_the_end_finds_nobody(run: Run) -> None:
    async def main() -> None:
        child = await asyncio.create_subprocess_exec("true", stdout=PIPE)
        await child.communicate()
        await asyncio.sleep(0)
        with pytest.raises(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        with pytest.raises(ProcessLookupError):
            child.kill()

    run(main)


HOW = pytest.mark.parametrize("how", ["kill", "terminate", "send_signal"])


@HOW
@pytest.mark.parametrize("stdout", [None, PIPE])
def test_a_signal_does_nothing_once_the_child_has_ended_until_all_is_over(
    run: Run, how: str, stdout: int | None
) -> None:
    refused: dict[str, bool] = {}

    class Signalling(Events):
        transport: Any

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def send(self, when: str) -> None:
            try:
                getattr(self.transport, how)(*((signal.SIGTERM,) if how == "send_signal" else ()))
            except ProcessLookupError:
                refused[when] = True
            else:
                refused[when] = False

        def process_exited(self) -> None:
            self.send("process_exited")

        def pipe_connection_lost(self, fd: int, exc: BaseException | None) -> None:
            self.send("pipe_connection_lost")

        def connection_lost(self, exc: BaseException | None) -> None:
            self.send("connection_lost")
            self.lost.set_result(None)

    async def main() -> None:
        _, protocol = await asyncio.get_running_loop().subprocess_exec(
            Signalling, "true", stdin=None, stdout=stdout, stderr=None
        )
        await protocol.lost
        protocol.send("afterwards")
        protocol.transport.close()

    run(main)
    assert refused.pop("afterwards")
    assert not any(refused.values())
    assert len(refused) == (2 if stdout is None else 3)


def test_the_popen_object_is_there_until_all_is_over(run: Run) -> None:
    """Libraries reach for it by this name."""

    async def main() -> None:
        child = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
        transport = child._transport  # type: ignore[attr-defined]
        assert transport._proc is transport.get_extra_info("subprocess")
        assert transport._proc.pid == child.pid
        await child.communicate(b"")
        await asyncio.sleep(0)
        assert transport._proc is None
        assert transport.get_pid() == child.pid

    run(main)


def test_a_signal_to_a_child_that_somebody_else_has_reaped_does_nothing() -> None:
    # On asyncio, before CPython 3.12, a thread has reaped it already.
    async def main() -> None:
        child = await asyncio.create_subprocess_exec(*WAITS, stdout=PIPE)
        become_a_zombie(child.pid)
        os.waitpid(child.pid, 0)
        child.terminate()
        await child.communicate()

    miniloop.run(main())


def test_giving_up_waiting_again_and_again_leaves_nothing_behind() -> None:
    async def main() -> None:
        child = await asyncio.create_subprocess_exec(*WAITS, stdout=PIPE)
        for _ in range(10):
            waiting = asyncio.create_task(child.wait())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert not child._transport._exit_waiters  # type: ignore[attr-defined]
        child.kill()
        assert await child.wait() == -signal.SIGKILL
        await child.communicate()

    miniloop.run(main())


def test_a_signal_at_the_moment_of_the_end_does_not_change_the_exit_status() -> None:
    # On asyncio the status may be lost by it, before CPython 3.13.
    async def main() -> list[int]:
        codes = []
        for _ in range(20):
            child = await asyncio.create_subprocess_exec("sleep", "600")
            become_a_zombie(child.pid)  # of which the loop does not know yet
            child.kill()
            codes.append(await child.wait())
        return codes

    assert miniloop.run(main()) == [-signal.SIGTERM] * 20


def test_many_may_wait_for_the_same_child(run: Run) -> None:
    async def main() -> list[int]:
        child = await asyncio.create_subprocess_exec(*WAITS, stdout=PIPE)
        waiting = [asyncio.create_task(child.wait()) for _ in range(10)]
        waiting[3].cancel()
        child.terminate()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(done.pop(3), asyncio.CancelledError)
        return [*done, await child.wait()]

    assert run(main) == [-signal.SIGTERM] * 10


def test_waiting_for_a_child_does_not_wait_for_its_children() -> None:
    # On asyncio it does, if they have the pipe of its output: docs/decisions/ends-of-processes.md.
    async def main() -> int:
        child = await asyncio.create_subprocess_shell("sleep 600 & echo $!", stdout=PIPE)
        assert child.stdout is not None
        grandchild = int(await child.stdout.readline())
        code = await child.wait()
        os.kill(grandchild, signal.SIGKILL)
        assert await child.stdout.read() == b""
        return code

    assert miniloop.run(main()) == 0


def test_the_protocol_hears_everything_in_order(run: Run) -> None:
    async def main() -> list[Any]:
        transport, protocol = await asyncio.get_running_loop().subprocess_shell(
            Events, "echo out; echo error >&2", stdin=None
        )
        await protocol.lost
        transport.close()
        events = protocol.events
        for fd in (1, 2):
            assert events.index(("pipe lost", fd)) > events.index(
                ("data", fd, b"out\n" if fd == 1 else b"error\n")
            )
        return events

    events = run(main)
    assert events[0] == "made"
    assert events[-1] == "lost"
    assert len(events) == 7


@pytest.mark.skipif(miniloop.COMPILED, reason="an order is chosen on the files of Python")
@pytest.mark.parametrize("seed", range(4))
def test_a_child_has_its_pipes_in_whatever_order_tasks_run(seed: int) -> None:
    async def main() -> bytes:
        child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        out, _ = await child.communicate(b"sent")
        return out

    loop = miniloop.new_event_loop()
    shuffle(loop, seed)
    try:
        assert loop.run_until_complete(asyncio.wait_for(main(), 20)) == b"sent"
    finally:
        loop.close()


def test_a_watch_that_is_collected_gives_its_descriptor_back_once() -> None:
    if not hasattr(os, "pidfd_open"):
        pytest.skip("children are waited for in threads")
    loop: Any = miniloop.new_event_loop()
    with subprocess.Popen(WAITS, stdout=subprocess.DEVNULL) as child:
        try:
            watch: Any = watch_exit(loop, child, lambda code: None)
            loop.close()
            watch.__del__()  # as the garbage collector calls it, before it ends the transport
            with open(os.devnull) as another:  # which gets the number that is free now
                watch.close()
                os.fstat(another.fileno())
        finally:
            child.kill()


def test_a_child_that_ends_before_its_pipes_are_connected_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def watch_and_note(loop: Any, process: Any, on_exit: Any) -> Any:
        started.append(process)
        return watch_exit(loop, process, on_exit)

    monkeypatch.setattr("miniloop.system.process.watch_exit", watch_and_note)

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        connect = loop.connect_read_pipe

        async def connect_late(factory: Any, pipe: Any) -> Any:
            while started[0].returncode is None:  # the loop has not yet heard of its end
                await asyncio.sleep(0)
            return await connect(factory, pipe)

        loop.connect_read_pipe = connect_late  # type: ignore[method-assign]
        transport, protocol = await loop.subprocess_shell(Events, "echo done", stdin=None)
        assert protocol.events[0] == "made"
        await protocol.lost
        transport.close()
        return protocol.events

    events = miniloop.run(main())
    assert "exited" in events
    assert ("data", 1, b"done\n") in events


@pytest.mark.usefixtures("no_child_is_left")
def test_a_hundred_children_at_once_lose_no_exit_status(run: Run) -> None:
    async def one(number: int) -> tuple[bytes, int | None]:
        child = await asyncio.create_subprocess_shell(f"echo {number}; exit {number}", stdout=PIPE)
        output, _ = await child.communicate()
        return output, child.returncode

    async def main() -> list[tuple[bytes, int | None]]:
        return await asyncio.gather(*map(one, range(100)))

    assert run(main) == [(b"%d\n" % number, number) for number in range(100)]


def test_children_belong_to_the_loop_that_started_them(loop_factory: LoopFactory) -> None:
    results: dict[int, list[int]] = {}

    def in_thread(number: int) -> None:
        async def main() -> list[int]:
            children = [
                await asyncio.create_subprocess_shell(f"exit {number + i}") for i in range(5)
            ]
            return [await child.wait() for child in children]

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            results[number] = runner.run(main())

    threads = [threading.Thread(target=in_thread, args=(10 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {10 * i: [10 * i + j for j in range(5)] for i in range(4)}


# Closing.


def test_closing_the_transport_kills_the_child(run: Run) -> None:
    async def main() -> int | None:
        transport, protocol = await asyncio.get_running_loop().subprocess_exec(Events, *WAITS)
        transport.close()
        assert transport.is_closing()
        await protocol.lost
        return transport.get_returncode()

    assert run(main) == -signal.SIGKILL


def test_closing_the_transport_of_a_child_that_has_ended_keeps_its_exit_status() -> None:
    # On asyncio the status is lost by it, before CPython 3.14.
    async def main() -> int | None:
        transport, protocol = await asyncio.get_running_loop().subprocess_exec(Events, *WAITS)
        become_a_zombie(transport.get_pid())
        transport.close()
        await protocol.lost
        return transport.get_returncode()

    assert miniloop.run(main()) == -signal.SIGTERM


@pytest.mark.usefixtures("no_child_is_left")
def test_a_start_that_is_cancelled_leaves_no_child(run: Run) -> None:
    async def main() -> None:
        for turns in range(8):
            starting = asyncio.create_task(
                asyncio.create_subprocess_exec(*WAITS, stdin=PIPE, stdout=PIPE, stderr=PIPE)
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            if starting.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await starting
            else:
                child = await starting
                child.kill()
                await child.communicate()

    run(main)


def test_a_program_that_does_not_exist_is_reported(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError, match="no-such-program"):
            await asyncio.create_subprocess_exec("no-such-program", stdin=PIPE, stdout=PIPE)

    run(main)


def test_an_unclosed_transport_is_reported_and_its_child_killed() -> None:
    loop = miniloop.new_event_loop()

    async def main() -> int:
        transport, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, *WAITS)
        return int(transport.get_pid())

    pid = loop.run_until_complete(main())
    loop.close()
    with pytest.warns() as caught:
        gc.collect()
    messages = [str(warning.message) for warning in caught]
    assert any(f"unclosed transport <ProcessTransport pid={pid}" in text for text in messages)
    try:
        assert os.waitpid(pid, 0) == (pid, signal.SIGKILL)
    except ChildProcessError:
        # Popen's own finalizer looks too, and reaps a child that has died by then.
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    subprocess._active.clear()  # type: ignore[attr-defined]  # where Popen keeps it for later


def test_a_loop_that_is_closed_while_a_child_runs_keeps_no_descriptor() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    loop = miniloop.new_event_loop()
    transport, _ = loop.run_until_complete(loop.subprocess_exec(asyncio.SubprocessProtocol, *WAITS))
    process = transport.get_extra_info("subprocess")
    loop.close()
    transport.close()
    assert process.wait() == -signal.SIGKILL
    del transport
    gc.collect()
    assert sorted(os.listdir("/proc/self/fd")) == before
