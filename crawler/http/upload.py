"""The body of a request on its way to the server.

It is sent by a task of its own, beside the reading of the reply: a server may reply before it has
read all, to say that it does not want it, and then read no more.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Callable

from .deadline import Deadline
from .request import Content
from .stream import Stream

# What is written at a time, in bytes. The write limit holds for each of these, so a slow line must
# be able to take one in that time.
PIECE = 128 * 1024
# Seconds that the sender gets to notice that it has sent all, once the reply is complete.
LAST_STEPS = 1.0
# Seconds that a server which was asked whether it wants the body gets to answer.
CONTINUE_SECONDS = 1.0


class Upload:
    """Sends ``content``, from now on.

    The ``clock`` is told what the next wait may take: its write limit when it is the server that we
    wait for, infinity when it is the caller, who makes the pieces, and in the end its read limit,
    when nothing but the reply is left to wait for.

    ``refused`` is called with the error if no more can be sent: because the server takes no more,
    or the system lacks the room. ``error`` is that of whoever makes the body.

    With ``waits`` it begins when :meth:`go_on` says that the server wants the body, or when it has
    not heard that for a while, as servers need not say it (RFC 9110, section 10.1.1).
    """

    __slots__ = ("_called", "_clock", "_ends", "_refused", "_stream", "_task", "_whole", "error")

    def __init__(
        self,
        content: Content,
        stream: Stream,
        clock: Deadline,
        refused: Callable[[OSError], None],
        *,
        waits: bool = False,
    ) -> None:
        self._called = asyncio.Event() if waits else None
        self._stream = stream
        self._clock = clock
        self._refused = refused
        self._ends = self._whole = False
        self.error: Exception | None = None
        self._task = asyncio.get_running_loop().create_task(self._send(content))

    @property
    def done(self) -> bool:
        """Whether nothing more is sent."""
        return self._task.done()

    def go_on(self) -> None:
        """Note that the server wants the body."""
        if self._called is not None:
            self._called.set()

    def cancel(self) -> None:
        """Send no more; does not wait."""
        self._task.cancel()

    async def ended(self) -> None:
        """Wait until what makes the body has been left, too."""
        if not self._task.done():
            await asyncio.wait({self._task}, timeout=LAST_STEPS)

    async def end(self) -> bool:
        """Send no more, as the reply is complete; true if all had been sent.

        Raises the error of the one who made the body, if that was what ended it.
        """
        if not self._task.done() and self._ends:
            # The server has had the last piece, and the task is about to notice that it was that.
            await asyncio.wait({self._task}, timeout=LAST_STEPS)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        if self.error is not None:
            raise self.error
        return self._whole

    async def _send(self, content: Content) -> None:
        clock = self._clock
        if self._called is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._called.wait(), CONTINUE_SECONDS)
        content.begin()
        try:
            async with contextlib.aclosing(frames(content)) as source:
                while True:
                    clock.move(math.inf)
                    await clock.give_way()
                    piece = await anext(source, None)
                    if piece is None:
                        self._whole = True
                        break
                    data, self._ends = piece
                    clock.move(clock.write_limit)
                    try:
                        await self._stream.send_all(data)
                    except OSError as error:
                        self._refused(error)  # what the server says of it is read elsewhere
                        return
        except Exception as error:  # noqa: BLE001  (raised by whoever waits for the reply)
            self.error = error
            self._stream.abort()
        clock.move(clock.read_limit)


async def frames(content: Content) -> AsyncGenerator[tuple[bytes, bool], None]:
    """The pieces of ``content``, with their chunk sizes if the length is not known beforehand.

    With each piece comes whether it is the last: a server may reply as soon as it has that one.
    Raises ValueError if the pieces are not as long as they were said to be: the server would wait
    for the rest, or take what is left over for another request.
    """
    sent = 0
    # Closed by hand: a generator that is left is closed by nobody before it is collected.
    async with contextlib.aclosing(_pieces(content)) as pieces:
        async for piece in pieces:
            if not piece:
                continue  # an empty chunk would be the last one
            sent += len(piece)
            if content.length is None:
                yield b"%x\r\n%b\r\n" % (len(piece), piece), False
            elif sent > content.length:
                raise ValueError(f"the body is longer than its {content.length:,} bytes")
            else:
                yield piece, sent == content.length
    if content.length is None:
        yield b"0\r\n\r\n", True
    elif sent < content.length:
        raise ValueError(f"the body has {sent:,} bytes, {content.length:,} were announced")


async def _pieces(content: Content) -> AsyncGenerator[bytes, None]:
    if content.data is not None:
        for start in range(0, len(content.data), PIECE):
            yield content.data[start : start + PIECE]
        return
    assert content.pieces is not None
    source = content.pieces()
    try:
        async for piece in source:
            for start in range(0, len(piece), PIECE):
                yield piece[start : start + PIECE]
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()
