"""anyio on its asyncio backend, which leans on what a loop promises more than most.

It looks into tasks to cancel them, subclasses protocols, and takes processes, signals, files and
threads from the loop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio.streams.memory import MemoryObjectSendStream
from anyio.streams.tls import TLSStream

from tests.conftest import LoopFactory

RunAnyio = Callable[..., Any]
BIG = os.urandom(1 << 20)


@pytest.fixture
def run_anyio(loop_factory: LoopFactory) -> RunAnyio:
    def run(main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        options = {"loop_factory": loop_factory}
        return anyio.run(main, *args, backend="asyncio", backend_options=options)

    return run


def test_cancel_scopes_end_what_they_hold_and_nothing_else(run_anyio: RunAnyio) -> None:
    async def main() -> list[str]:
        story = []

        async def sleeper(name: str) -> None:
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                story.append(f"{name} cancelled")
                raise

        async with anyio.create_task_group() as outer:
            outer.start_soon(sleeper, "outer")
            with anyio.move_on_after(0.01) as scope:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(sleeper, "inner")
            assert scope.cancelled_caught
            story.append("moved on")
            with anyio.CancelScope(shield=True):
                outer.cancel_scope.cancel()
                await anyio.lowlevel.cancel_shielded_checkpoint()
                story.append("shielded")
        return story

    assert run_anyio(main) == ["inner cancelled", "moved on", "outer cancelled", "shielded"]


def test_an_error_in_one_child_cancels_its_siblings(run_anyio: RunAnyio) -> None:
    async def main() -> None:
        started = anyio.Event()

        async def wait() -> None:
            started.set()
            await anyio.sleep_forever()

        async def fail() -> None:
            await started.wait()
            raise LookupError("on purpose")

        async def both() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                group.start_soon(fail)

        with pytest.raises(ExceptionGroup) as caught:
            await both()
        assert [str(error) for error in caught.value.exceptions] == ["on purpose"]

    run_anyio(main)


def test_fail_after_raises_timeout_error(run_anyio: RunAnyio) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await anyio.sleep_forever()

    run_anyio(main)


def test_tcp_listener_echoes_a_megabyte_to_a_blocking_socket(run_anyio: RunAnyio) -> None:
    def talk(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
            threading.Thread(target=lambda: (peer.sendall(BIG), peer.shutdown(1))).start()
            received = bytearray()
            while data := peer.recv(65_536):
                received += data
            return bytes(received)

    async def echo(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)

    async def main() -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, echo)
            assert await anyio.to_thread.run_sync(talk, port) == BIG
            group.cancel_scope.cancel()

    run_anyio(main)


def test_tcp_client_and_listener_meet_over_tls(
    run_anyio: RunAnyio, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def main() -> None:
        async def greet(stream: anyio.abc.SocketStream) -> None:
            async with await TLSStream.wrap(stream, ssl_context=server_tls) as encrypted:
                await encrypted.send(b"hello " + await encrypted.receive())

        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, greet)
            async with await anyio.connect_tcp(
                "127.0.0.1", port, ssl_context=client_tls, tls_hostname="localhost"
            ) as stream:
                await stream.send(b"anyio")
                assert await stream.receive() == b"hello anyio"
            group.cancel_scope.cancel()

    run_anyio(main)


def test_udp_sockets_exchange_datagrams(run_anyio: RunAnyio) -> None:
    async def main() -> None:
        async with (
            await anyio.create_udp_socket(local_host="127.0.0.1") as left,
            await anyio.create_udp_socket(local_host="127.0.0.1") as right,
        ):
            here = left.extra(anyio.abc.SocketAttribute.local_port)
            there = right.extra(anyio.abc.SocketAttribute.local_port)
            await left.sendto(b"ping", "127.0.0.1", there)
            assert await right.receive() == (b"ping", ("127.0.0.1", here))

    run_anyio(main)


def test_unix_sockets_carry_bytes_and_file_descriptors(run_anyio: RunAnyio, tmp_path: Path) -> None:
    path, gift = tmp_path / "socket", tmp_path / "gift"
    gift.write_text("from the other side", encoding="utf-8")

    async def main() -> str:
        async def give(stream: anyio.abc.UNIXSocketStream) -> None:
            async with stream:
                with gift.open("rb") as file:
                    await stream.send_fds(b"x", [file])

        listener = await anyio.create_unix_listener(path)
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, give)
            async with await anyio.connect_unix(path) as stream:
                _, descriptors = await stream.receive_fds(1, 1)
            group.cancel_scope.cancel()
        with os.fdopen(descriptors[0], encoding="utf-8") as file:
            return file.read()

    assert run_anyio(main) == "from the other side"


def test_process_is_fed_and_read_and_its_exit_code_is_known(run_anyio: RunAnyio) -> None:
    program = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.exit(7)"

    async def main() -> None:
        done = await anyio.run_process([sys.executable, "-c", program], input=b"abc", check=False)
        assert (done.stdout, done.returncode) == (b"ABC", 7)
        async with await anyio.open_process([sys.executable, "-c", "input()"]) as process:
            process.terminate()
            assert await process.wait() == -signal.SIGTERM

    run_anyio(main)


def test_signals_arrive_in_a_receiver(run_anyio: RunAnyio) -> None:
    async def main() -> None:
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            os.kill(os.getpid(), signal.SIGUSR1)
            async for number in signals:
                assert number == signal.SIGUSR1
                break

    run_anyio(main)


def test_threads_and_the_loop_call_each_other(run_anyio: RunAnyio) -> None:
    async def double(number: int) -> int:
        await anyio.sleep(0)
        return number * 2

    def in_thread(number: int) -> int:
        return anyio.from_thread.run(double, number) + 1

    async def main() -> None:
        results: list[int] = []

        async def one(number: int) -> None:
            results.append(await anyio.to_thread.run_sync(in_thread, number))

        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(one, number)
        assert sorted(results) == [number * 2 + 1 for number in range(30)]

    run_anyio(main)


def test_blocking_portal_runs_coroutines_from_outside(loop_factory: LoopFactory) -> None:
    async def where() -> str:
        return type(asyncio.get_running_loop()).__module__

    loop = loop_factory()
    expected = type(loop).__module__
    loop.close()
    options = {"loop_factory": loop_factory}
    with anyio.from_thread.start_blocking_portal("asyncio", options) as portal:
        assert portal.call(where) == expected


def test_memory_streams_locks_and_limiters_keep_order(run_anyio: RunAnyio) -> None:
    async def main() -> list[int]:
        send, receive = anyio.create_memory_object_stream[int](2)
        limiter = anyio.CapacityLimiter(3)

        async def produce(first: int, stream: MemoryObjectSendStream[int]) -> None:
            async with limiter, stream:
                for number in range(first, first + 10):
                    await stream.send(number)

        async with anyio.create_task_group() as group:
            for first in range(0, 100, 10):
                group.start_soon(produce, first, send.clone())
            send.close()
            async with receive:
                return sorted([number async for number in receive])

    assert run_anyio(main) == list(range(100))


def test_files_are_read_and_written(run_anyio: RunAnyio, tmp_path: Path) -> None:
    async def main() -> None:
        path = anyio.Path(tmp_path) / "a"
        await path.write_text("one\ntwo\n", encoding="utf-8")
        async with await anyio.open_file(path, encoding="utf-8") as file:
            assert [line async for line in file] == ["one\n", "two\n"]

    run_anyio(main)
