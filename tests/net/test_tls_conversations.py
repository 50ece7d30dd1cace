"""Random conversations over TLS, and protocols that do anything in their callbacks."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

import miniloop
from tests.net.recording_protocol import BufferedRecorder, Recorder
from tests.net.tls_conversation import Conversation

# Anything at all.

ACTIONS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 1), st.integers(0, 70_000)),
    st.tuples(st.just("write"), st.integers(0, 1), st.integers(0, 40)),
    st.tuples(st.just("carry"), st.integers(0, 1), st.integers(1, 50_000)),
    st.tuples(st.just("carry"), st.integers(0, 1), st.integers(1, 30)),
    st.tuples(st.just("pause"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("resume"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("turn"), st.just(0), st.just(0)),
)


ENDS = st.sampled_from(["close", "both close", "abort", "cut"])


@settings(max_examples=150, deadline=None)
@given(
    script=st.lists(ACTIONS, max_size=40),
    buffers=st.tuples(st.sampled_from([0, 1000, 20_000]), st.sampled_from([0, 1000, 20_000])),
    high=st.sampled_from([0, 100, 65_536]),
    end=ENDS,
)
def test_any_conversation_loses_nothing_and_ends_once(
    script: list[tuple[str, int, int]], buffers: tuple[int, int], high: int, end: str
) -> None:
    async def main() -> None:
        applications = [BufferedRecorder(size) if size else Recorder() for size in buffers]
        talk = Conversation(*applications, high=high)
        await talk.begin()
        written = [bytearray(), bytearray()]
        for action, who, amount in script:
            await act(talk, written, action, who, amount)
        await finish(talk, end)
        for who, (application, other) in enumerate(
            zip(applications, applications[::-1], strict=True)
        ):
            assert written[1 - who].startswith(application.data), "data were changed"
            if end == "close" and who == 1:
                assert application.data == written[0], "data were lost"
            check_calls(application)
            assert application.lost.result() is None
            assert other.lost.done()

    with asyncio.Runner(loop_factory=miniloop.new_event_loop) as runner:
        runner.run(main())


REACTIONS = st.dictionaries(
    st.sampled_from(
        ["connection_made", "data_received", "eof_received", "pause_writing", "resume_writing"]
    ),
    st.lists(
        st.sampled_from(
            ["write", "write much", "writelines", "pause", "resume", "close", "abort", "limits"]
        ),
        max_size=3,
    ),
)


class Reacting(Recorder):
    """Does something, a few times, whenever it is told something."""

    def __init__(self, reactions: dict[str, list[str]]) -> None:
        super().__init__()
        self.reactions = reactions
        self.written = bytearray()
        self.left = 10
        self.gone = False

    def react(self, call: str) -> None:
        for reaction in self.reactions.get(call, ()):
            self.left -= 1
            if self.left >= 0:
                self.do(reaction)

    def do(self, reaction: str) -> None:
        data = bytes([len(self.written) % 251])
        if reaction.startswith("write"):
            data *= 100_000 if reaction == "write much" else 10
            if not self.transport.is_closing():
                self.written += data  # before: writing may call back, and so write
            if reaction == "writelines":
                self.transport.writelines([data[:4], data[4:]])
            else:
                self.transport.write(data)
        elif reaction == "limits":
            self.transport.set_write_buffer_limits(high=1000)
        else:
            self.gone = self.gone or reaction in ("close", "abort")
            getattr(
                self.transport,
                {"pause": "pause_reading", "resume": "resume_reading"}.get(reaction, reaction),
            )()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.react("connection_made")

    def data_received(self, data: bytes) -> None:
        assert not self.gone, "there is nothing to tell after close"
        super().data_received(data)
        self.react("data_received")

    def eof_received(self) -> None:
        super().eof_received()
        self.react("eof_received")

    def pause_writing(self) -> None:
        super().pause_writing()
        self.react("pause_writing")

    def resume_writing(self) -> None:
        super().resume_writing()
        self.react("resume_writing")


@settings(max_examples=150, deadline=None)
@given(
    reactions=st.tuples(REACTIONS, REACTIONS),
    script=st.lists(ACTIONS, max_size=15),
    high=st.sampled_from([0, 100, 65_536]),
)
def test_a_protocol_may_do_anything_whenever_it_is_called(
    reactions: tuple[dict[str, list[str]], dict[str, list[str]]],
    script: list[tuple[str, int, int]],
    high: int,
) -> None:
    async def main() -> None:
        errors: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        applications = [Reacting(each) for each in reactions]
        # Who aborts as soon as it is connected ends a handshake of which it owes the last part. So
        # does one who aborts when that makes it write too much.
        at_first = reactions[0].get("connection_made", ())
        assume("abort" not in at_first)
        if any(reaction.startswith(("write", "limits")) for reaction in at_first):
            for call in ("pause_writing", "resume_writing"):
                assume("abort" not in reactions[0].get(call, ()))
        talk = Conversation(*applications, high=high)
        await talk.begin()
        written = [application.written for application in applications]
        for action, who, amount in script:
            if not (action == "write" and applications[who].transport.is_closing()):
                await act(talk, written, action, who, amount)
        for application in applications:
            application.reactions = {}
            application.transport.resume_reading()
        applications[0].transport.close()
        await talk.end()
        for application, other in zip(applications, applications[::-1], strict=True):
            assert other.written.startswith(application.data), "data were changed"
            check_calls(application)
            assert application.lost.result() is None
        assert errors == []

    with asyncio.Runner(loop_factory=miniloop.new_event_loop) as runner:
        runner.run(main())


async def act(
    talk: Conversation, written: list[bytearray], action: str, who: int, amount: int
) -> None:
    transport = talk.applications[who].transport
    if action == "write":
        data = bytes([len(written[who]) % 251]) * amount
        written[who] += data
        transport.write(data)
    elif action == "carry":
        talk.wires[who].carry(amount)
    elif action == "pause":
        transport.pause_reading()
    elif action == "resume":
        transport.resume_reading()
    else:
        await asyncio.sleep(0)
    talk.check()


async def finish(talk: Conversation, end: str) -> None:
    one, other = (application.transport for application in talk.applications)
    if end == "abort":
        one.abort()
    elif end == "cut":
        talk.wires[0].abort()
    else:
        one.close()
        if end == "both close":
            other.close()
    other.resume_reading()
    await talk.end()


def check_calls(application: Recorder) -> None:
    """The order in which a protocol may be called: CPython documentation, "Protocols"."""
    calls = [call for call in application.calls if not call.endswith("_writing")]
    assert calls in (
        ["connection_made", "connection_lost"],
        ["connection_made", "eof_received", "connection_lost"],
    )
    switches = [call for call in application.calls if call.endswith("_writing")]
    for number, call in enumerate(switches):
        assert call == ("resume_writing" if number % 2 else "pause_writing")
