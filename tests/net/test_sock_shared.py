"""The sock_* verbs when somebody else uses the same socket, its number, or gives up."""

from __future__ import annotations

import array
import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from tests.net.connected import receive_exactly, tcp_pair, unix_pair

Run = Callable[..., Any]

LARGE = bytes(range(256)) * 20_000

PAIRS = pytest.mark.parametrize("pair", [tcp_pair, unix_pair], ids=["tcp", "unix"])


async def turns(number: int = 3) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@PAIRS
def test_what_watches_a_socket_goes_on_when_somebody_receives_from_it(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            writable = asyncio.Event()
            loop.add_writer(left, writable.set)
            for number in range(3):
                receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
                await turns()
                assert not receiving.done()
                writable.clear()
                await writable.wait()
                await loop.sock_sendall(right, b"%d" % number)
                assert await receiving == b"%d" % number
            assert loop.remove_writer(left)
            assert not loop.remove_writer(left)

    run(main)


# Given up.


@PAIRS
def test_a_receive_that_is_given_up_takes_nothing(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            for number in range(10):
                receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
                await turns()
                receiving.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await receiving
                right.send(b"%d" % number)
                assert await loop.sock_recv(left, 100) == b"%d" % number

    run(main)


@PAIRS
@pytest.mark.parametrize("number", range(5))
def test_a_receive_that_is_given_up_as_the_data_arrive_loses_nothing(
    pair: Any, number: int
) -> None:
    # Ours alone: asyncio reads first and finds out then that nobody wants it any more.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
            await turns()
            right.send(b"data")
            await turns(number)
            receiving.cancel()
            try:
                received = await receiving
            except asyncio.CancelledError:
                received = await asyncio.wait_for(loop.sock_recv(left, 100), 5)
            assert received == b"data"

    miniloop.run(main())


@PAIRS
def test_a_send_that_is_given_up_leaves_the_socket_usable(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            sending = asyncio.ensure_future(loop.sock_sendall(left, LARGE))
            await turns()
            assert not sending.done()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            sending = asyncio.ensure_future(loop.sock_sendall(left, b"again"))
            received = b""
            while not received.endswith(b"again"):
                received += await loop.sock_recv(right, 1 << 20)
            await sending
            assert LARGE.startswith(received[:-5])

    run(main)


def test_an_accept_that_is_given_up_loses_no_connection(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(listener))
            await turns()
            accepting.cancel()
            await asyncio.wait([accepting])
            with socket.create_connection(listener.getsockname()) as client:
                connection, address = await asyncio.wait_for(loop.sock_accept(listener), 5)
                assert address == client.getsockname()
                connection.close()

    run(main)


# Both directions, and several at once.


@PAIRS
def test_one_may_receive_while_another_sends(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            receiving = asyncio.ensure_future(receive_exactly(left, len(LARGE)))
            await turns()
            sending = asyncio.ensure_future(loop.sock_sendall(left, LARGE))
            back = asyncio.ensure_future(receive_exactly(right, len(LARGE)))
            await loop.sock_sendall(right, LARGE)
            assert await receiving == LARGE
            assert await back == LARGE
            await sending

    run(main)


@PAIRS
def test_two_may_receive_from_one_socket_at_once(pair: Any) -> None:
    # Ours alone: in asyncio the second takes the place of the first, which waits for ever.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            for _ in range(20):
                both = [asyncio.ensure_future(loop.sock_recv(left, 1)) for _ in range(2)]
                await turns()
                right.send(b"a")
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                right.send(b"b")
                assert sorted(await asyncio.gather(*both)) == [b"a", b"b"]

    miniloop.run(main())


def test_two_may_accept_at_once() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            both = [asyncio.ensure_future(loop.sock_accept(listener)) for _ in range(2)]
            await turns()
            clients = [socket.create_connection(listener.getsockname()) for _ in range(2)]
            accepted = await asyncio.gather(*both)
            assert {address for _, address in accepted} == {
                client.getsockname() for client in clients
            }
            for sock in [*clients, *(connection for connection, _ in accepted)]:
                sock.close()

    miniloop.run(main())


def test_when_one_of_two_gives_up_the_other_still_hears() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = tcp_pair()
        with left, right:
            one, other = [asyncio.ensure_future(loop.sock_recv(left, 10)) for _ in range(2)]
            await turns()
            right.send(b"data")
            one.cancel()
            assert await asyncio.wait_for(other, 5) == b"data"
            await asyncio.wait([one])

    miniloop.run(main())


# Mixed with callbacks.


@PAIRS
def test_a_reader_and_a_receive_on_one_socket(pair: Any) -> None:
    # Ours alone: in asyncio the one takes the place of the other.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            called: list[int] = []
            receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
            await turns()
            loop.add_reader(left, called.append, 1)
            right.send(b"one")
            assert await receiving == b"one"
            assert called
            assert loop.remove_reader(left)
            called.clear()
            right.send(b"two")
            assert await loop.sock_recv(left, 100) == b"two"
            await turns()
            assert called == []

    miniloop.run(main())


@PAIRS
def test_a_receive_after_a_reader_was_removed(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            for _ in range(5):
                heard = asyncio.Event()
                loop.add_reader(left, heard.set)
                right.send(b"x")
                await heard.wait()
                assert loop.remove_reader(left)
                assert await loop.sock_recv(left, 100) == b"x"
                receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
                await turns()
                right.send(b"y")
                assert await receiving == b"y"

    run(main)


# Numbers that are used again.


def test_a_socket_with_the_number_of_another_hears_its_own_data(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(50):
            left, right = tcp_pair() if number % 2 else unix_pair()
            receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
            await turns()
            right.send(b"%d" % number)
            assert await asyncio.wait_for(receiving, 5) == b"%d" % number
            left.close()  # behind the loop's back, and the next pair has the same numbers
            right.close()

    run(main)


def test_a_closed_socket_that_is_still_referred_to_does_not_stand_in_the_way(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        closed = []
        for number in range(20):
            left, right = tcp_pair()
            receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
            await turns()
            right.send(b"%d" % number)
            assert await asyncio.wait_for(receiving, 5) == b"%d" % number
            left.close()
            right.close()
            closed += [left, right]

    run(main)


def test_a_transport_may_get_the_number_of_a_bare_socket(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(10):
            left, right = tcp_pair()
            receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
            await turns()
            right.send(b"bare")
            assert await receiving == b"bare"
            left.close()
            right.close()
            ours, peer = tcp_pair()
            reader = asyncio.StreamReader()
            transport, _ = await loop.connect_accepted_socket(
                lambda reader=reader: asyncio.StreamReaderProtocol(reader),  # type: ignore[misc]
                ours,
            )
            peer.send(b"transport %d" % number)
            assert await asyncio.wait_for(reader.read(100), 5) == b"transport %d" % number
            transport.abort()
            peer.close()
            await turns()

    run(main)


def test_a_socket_may_get_the_number_of_a_transport(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(10):
            ours, peer = tcp_pair()
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
            transport.abort()
            peer.close()
            await turns()
            left, right = tcp_pair()
            with left, right:
                receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
                await turns()
                right.send(b"bare")
                assert await asyncio.wait_for(receiving, 5) == b"bare"

    run(main)


# What a short read does not mean.


def test_what_stands_behind_urgent_data_is_received(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = tcp_pair()
        with left, right:
            receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
            await turns()
            right.send(b"before")
            right.send(b"!", socket.MSG_OOB)
            right.send(b"behind")
            received = await receiving
            while len(received) < len(b"beforebehind"):
                received += await asyncio.wait_for(loop.sock_recv(left, 100), 5)
            assert received == b"beforebehind"

    run(main)


def test_what_stands_behind_a_message_with_descriptors_is_received(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = unix_pair()
        with left, right:
            receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
            await turns()
            passed = array.array("i", [right.fileno()])
            right.sendmsg([b"with"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
            right.send(b"plain")
            received = await receiving
            while len(received) < len(b"withplain"):
                received += await asyncio.wait_for(loop.sock_recv(left, 100), 5)
            assert received == b"withplain"

    run(main)


def test_small_messages_with_pauses_between_are_all_heard(run: Run) -> None:
    # Each is a short read, after which the poller knows that there is nothing: until there is.
    async def main() -> None:
        left, right = tcp_pair()
        with left, right:

            async def send() -> None:
                for number in range(200):
                    right.send(bytes([number]))
                    await turns(number % 4)

            sending = asyncio.ensure_future(send())
            assert await receive_exactly(left, 200) == bytes(range(200))
            await sending

    run(main)
