"""The protocol of TLS by itself, over a wire in memory, and its table of states."""

from __future__ import annotations

import asyncio
import inspect
import re
import ssl
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from miniloop.net import tls_states
from miniloop.net.tls import TLSProtocol
from miniloop.net.tls_states import TRANSITIONS, Event, State
from tests.net import certificates
from tests.net.in_memory_wire import End, wire
from tests.net.recording_protocol import BufferedRecorder, Recorder
from tests.net.tls_conversation import Conversation

Run = Callable[..., Any]


async def conversation(
    client: Recorder | None = None, server: Recorder | None = None
) -> Conversation:
    talk = Conversation(client or Recorder(), server or Recorder())
    await talk.begin()
    return talk


# The table.


def test_every_state_can_be_reached_and_left_but_the_last() -> None:
    assert set(TRANSITIONS) == set(State)
    reached = {State.NEW}
    for _ in State:
        reached |= {after for before in reached for after in TRANSITIONS[before].values()}
    assert reached == set(State)
    assert TRANSITIONS[State.CLOSED] == {}
    for state in set(State) - {State.CLOSED}:
        assert TRANSITIONS[state][Event.BROKEN] is State.CLOSED


def test_there_is_no_way_back() -> None:
    order = list(State)
    for before, events in TRANSITIONS.items():
        for after in events.values():
            assert order.index(after) > order.index(before)


def test_the_drawing_says_what_the_table_says() -> None:
    text = inspect.getdoc(tls_states)
    assert text is not None
    drawing = [line for line in text.splitlines() if line.startswith("    ")]
    drawn = set()
    for across in (line for line in drawing if "▶" in line):
        words = re.findall(r"\w+", across.replace("─", " "))
        drawn |= set(zip(words[:-2:2], words[1:-1:2], words[2::2], strict=True))
    above, _, down, _, below = drawing
    for event in re.finditer(r"\w+", down):
        column = (event.start() + event.end()) // 2
        before, after = (
            state.group()
            for line in (above, below)
            for state in re.finditer("|".join(State.__members__), line)
            if state.start() - 2 <= column <= state.end() + 2
        )
        drawn.add((before, event.group(), after))
    assert drawn == {
        (before.name, event.name, after.name)
        for before, events in TRANSITIONS.items()
        for event, after in events.items()
        if event is not Event.BROKEN
    }


# What leaves in one send.


def test_a_request_leaves_with_the_end_of_the_handshake(run: Run) -> None:
    async def main() -> None:
        class Eager(Recorder):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                self.transport.write(b"request")

        talk = await conversation(client=Eager())
        assert talk.applications[1].data == b"request"
        assert len(talk.wires[0].sends) == 2  # the hello, and the rest
        talk.applications[0].transport.close()
        await talk.end()

    run(main)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [1, 16_384, 16_385, 60_000])
def test_what_is_written_has_left_when_write_returns(
    run: Run, size: int, wrap: Callable[[bytes], Any]
) -> None:
    async def main() -> None:
        talk = await conversation()
        client, server = talk.applications
        talk.wires[0].sends.clear()
        client.transport.write(wrap(bytes(size)))
        (sent,) = talk.wires[0].sends
        assert len(sent) == size + 22 * -(-size // 16_384)  # a record: header, type and tag
        assert client.transport.get_write_buffer_size() == 0
        talk.wires[0].carry(1 << 20)
        assert server.data == bytes(size)
        client.transport.close()
        await talk.end()

    run(main)


def test_writelines_joins_small_pieces_in_one_send(run: Run) -> None:
    async def main() -> None:
        talk = await conversation()
        client = talk.applications[0]
        talk.wires[0].sends.clear()
        pieces = [b"abc", bytearray(b"def"), b"", memoryview(b"ghi")]
        client.transport.writelines(pieces)
        client.transport.writelines([])
        (sent,) = talk.wires[0].sends
        assert len(sent) == 9 + 22
        with pytest.raises(TypeError, match="str"):
            client.transport.writelines([b"never sent", "refused"])
        await talk.carry_all()
        assert talk.applications[1].data == b"abcdefghi"
        client.transport.close()
        await talk.end()

    run(main)


def test_what_is_written_while_data_are_delivered_leaves_at_once(run: Run) -> None:
    class Echo(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            for byte in data:
                before = len(talk.wires[1].sends)
                self.transport.write(bytes([byte]))
                assert len(talk.wires[1].sends) == before + 1

    async def main() -> None:
        nonlocal talk
        talk = await conversation(server=Echo())
        client = talk.applications[0]
        client.transport.write(b"echo")
        await talk.carry_all()
        assert client.data == b"echo"
        client.transport.close()
        await talk.end()

    talk: Any = None
    run(main)


def test_many_records_in_one_read_are_one_piece_of_data(run: Run) -> None:
    async def main() -> None:
        pieces = []

        class Counting(Recorder):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                pieces.append(len(data))

        talk = await conversation(server=Counting())
        client = talk.applications[0]
        for number in range(10):
            client.transport.write(bytes(1000 + number))
            await asyncio.sleep(0)
        talk.wires[0].carry(1 << 20)
        assert pieces == [sum(range(1000, 1010))]
        client.transport.close()
        await talk.end()

    run(main)


# Held up.


def test_a_full_wire_holds_up_the_encryption_and_then_the_application(run: Run) -> None:
    async def main() -> None:
        talk = await conversation()
        client, server = talk.applications
        written = 0
        while not client.full:
            client.transport.write(bytes(10_000))
            written += 10_000
            assert written < 2_000_000
        waiting = client.transport.get_write_buffer_size()
        assert 512 * 1024 < waiting <= 512 * 1024 + 10_000
        # One batch may be on its way when the wire says that it is full.
        assert talk.wires[0].get_write_buffer_size() < 64 * 1024 + 130 * 1024
        await talk.carry_all()
        assert not client.full
        assert server.data == bytes(written)
        client.transport.close()
        await talk.end()

    run(main)


def test_a_pause_reaches_the_transport_below_once_much_has_come(run: Run) -> None:
    async def main() -> None:
        talk = await conversation()
        client, server = talk.applications
        server.transport.pause_reading()
        client.transport.write(b"x" * 200_000)
        await talk.carry_all()
        assert not talk.wires[1].paused, "it would not notice a reset"
        client.transport.write(b"y" * 200_000)
        await talk.carry_all()
        assert talk.wires[1].paused
        assert not server.data
        client.transport.write(b"z")
        await talk.carry_all()
        assert talk.wires[0].unsent
        server.transport.resume_reading()
        await talk.carry_all()
        assert not talk.wires[1].paused
        assert server.data == b"x" * 200_000 + b"y" * 200_000 + b"z"
        client.transport.close()
        await talk.end()

    run(main)


def test_an_end_that_comes_with_the_data_after_which_we_pause_is_told_later(run: Run) -> None:
    class Pausing(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async def main() -> None:
        talk = await conversation(client=Pausing())
        client, server = talk.applications
        server.transport.write(b"all")
        server.transport.close()
        await talk.carry_all()
        assert client.data == b"all"
        assert not client.eof.done()
        client.transport.resume_reading()
        await talk.end()
        assert client.calls == ["connection_made", "eof_received", "connection_lost"]

    run(main)


@pytest.mark.parametrize("factory", [Recorder, lambda: BufferedRecorder(10)])
def test_an_end_that_comes_just_after_a_pause_does_not_pass_the_data(
    run: Run, factory: Callable[[], Recorder]
) -> None:
    async def main() -> None:
        talk = await conversation(factory())
        client, server = talk.applications
        client.transport.pause_reading()
        server.transport.write(b"kept during the pause")
        talk.wires[1].carry(1 << 20)
        server.transport.abort()
        client.transport.resume_reading()
        talk.wires[1].carry(1)  # the end, in the same turn
        assert client.data == b"kept during the pause"
        assert client.eof.done()
        await talk.end()
        assert client.lost.result() is None

    run(main)


def test_close_does_not_wait_for_a_peer_that_hung_up_during_a_pause(run: Run) -> None:
    async def main() -> None:
        talk = await conversation()
        client = talk.applications[0]
        client.transport.pause_reading()
        talk.wires[1].abort()
        await talk.carry_all()
        assert not client.eof.done()
        client.transport.close()
        await talk.end()
        assert client.lost.result() is None
        assert client.calls == ["connection_made", "connection_lost"]

    run(main)


def test_close_drops_what_was_held_back_by_a_pause(run: Run) -> None:
    async def main() -> None:
        talk = await conversation()
        client, server = talk.applications
        client.transport.pause_reading()
        server.transport.write(b"never to be delivered")
        await talk.carry_all()
        client.transport.close()
        await talk.end()
        assert client.data == b""
        assert client.lost.result() is None
        assert server.lost.result() is None

    run(main)


def test_a_peer_that_ends_and_reads_no_more_is_given_up(run: Run) -> None:
    async def main() -> None:
        client, server = Recorder(), Recorder()
        talk = Conversation(client, server, shutdown_timeout=0.02)
        await talk.begin()
        client.transport.write(b"the wire does not carry this")
        server.transport.close()
        talk.wires[1].carry(1 << 20)
        assert client.eof.done()
        assert not client.lost.done()
        assert isinstance(await client.lost, TimeoutError)
        await talk.end()

    run(main)


def test_a_transport_that_fails_while_it_is_written_to_is_written_to_no_more(run: Run) -> None:
    async def main() -> None:
        talk = await conversation()
        client = talk.applications[0]
        wire = talk.wires[0]
        wire.sends.clear()
        write = wire.write

        def fail(data: Any) -> None:
            write(data)
            wire.abort()

        wire.write = fail  # type: ignore[method-assign]
        client.transport.write(bytes(1_000_000))
        assert len(wire.sends) == 1
        assert client.transport.get_write_buffer_size() == 0
        assert client.transport.is_closing()
        assert client.calls == ["connection_made"]
        await talk.end()

    run(main)


@pytest.mark.parametrize("what", ["close", "abort", "write"])
def test_a_protocol_that_is_told_to_pause_may_do_anything(run: Run, what: str) -> None:
    buffer = bytearray(b"x" * 2_000_000)

    class Strange(Recorder):
        def pause_writing(self) -> None:
            super().pause_writing()
            if what == "write":
                self.transport.write(b"and more")
            else:
                getattr(self.transport, what)()

    async def main() -> None:
        talk = await conversation(client=Strange())
        client, server = talk.applications
        client.transport.write(buffer)
        buffer[:] = bytes(len(buffer))  # it was to be copied by now, whatever was written after it
        assert "pause_writing" in client.calls
        if what == "write":
            await talk.carry_all()
            client.transport.close()
        await talk.end()
        if what != "abort":
            end = b"and more" if what == "write" else b""
            assert server.data == b"x" * 2_000_000 + end
        assert set(server.data) <= set(b"xand more")

    run(main)


def test_what_is_written_before_the_handshake_is_over_waits_for_it(run: Run) -> None:
    async def main() -> None:
        client, server = Recorder(), Recorder()
        talk = Conversation(client, server)
        early = talk.tls[0].transport
        early.write(b"before there is anything below, ")
        talk.wires[0].attach(talk.tls[0])
        early.write(b"and in the handshake, ")
        assert early.get_write_buffer_size() == 54
        talk.wires[1].attach(talk.tls[1])
        while not client.calls:
            await talk.carry_all()
        early.write(b"and after it")
        await talk.carry_all()
        assert server.data == b"before there is anything below, and in the handshake, and after it"
        client.transport.close()
        await talk.end()

    run(main)


def test_an_end_without_a_word_gets_no_answer(run: Run) -> None:
    async def main() -> None:
        talk = await conversation()
        talk.wires[1].sends.clear()
        talk.wires[0].close()
        await talk.end()
        assert talk.wires[1].sends == []

    run(main)


def test_a_connection_given_up_before_it_began_closes_the_transport_below(run: Run) -> None:
    async def main() -> None:
        client = Recorder()
        talk = Conversation(client, Recorder())
        transport = talk.tls[0].transport
        transport.close()
        talk.wires[0].attach(talk.tls[0])
        assert talk.wires[0].closing
        talk.tls[1].transport.abort()
        await asyncio.sleep(0)
        assert client.calls == []

    run(main)


def test_a_transport_that_vanishes_in_the_handshake_is_an_abort(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        tls = TLSProtocol(
            loop, Recorder(), certificates.client_context(), waiter, server_hostname="localhost"
        )
        one, _ = wire()
        one.attach(tls)
        one.abort()
        with pytest.raises(ConnectionAbortedError, match="closed during the TLS handshake"):
            await waiter

    run(main)


def test_the_representation_names_the_state_and_what_is_below(run: Run) -> None:
    async def main() -> None:
        talk = await conversation()
        transport = talk.applications[0].transport
        assert re.fullmatch(r"<SSLTransport open TLSv1\.3 over <.*End.*>>", repr(transport))
        assert re.fullmatch(r"<TLSProtocol open TLSv1\.3 over <.*End.*>>", repr(talk.tls[0]))
        transport.close()
        await talk.end()
        assert repr(transport) == "<SSLTransport closed TLSv1.3>"

    run(main)


def test_a_wire_carries_what_it_says() -> None:
    # The tests above are worth as much as the wire is.
    class Plain(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(10)
            self.got = b""

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.got += self.buffer[:nbytes]

    async def main() -> None:
        one, other = wire()
        protocols = Plain(), Plain()
        for end, protocol in zip((one, other), protocols, strict=True):
            end.attach(protocol)
        one.write(b"hello, world")
        assert one.carry(5) == 5
        assert one.carry(100) == 7
        assert protocols[1].got == b"hello, world"
        assert isinstance(one, End)
        assert one.carry(1) == 0

    with asyncio.Runner(loop_factory=miniloop.new_event_loop) as runner:
        runner.run(main())


def test_reading_ahead_is_off_in_openssl() -> None:
    """What the inbox relies on: with nothing left in the BIO there is no further record."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = certificates.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    server = certificates.server_context().wrap_bio(outgoing, incoming, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    lengths = [100, 16_384, 1, 5000]
    for length in lengths:
        client.write(bytes(length))
    left = outgoing.pending
    for length in lengths:
        assert len(server.read(65_536)) == length
        assert outgoing.pending == left - length - 22
        assert server.pending() == 0
        left = outgoing.pending
    assert left == 0
