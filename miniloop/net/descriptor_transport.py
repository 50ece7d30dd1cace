"""What transports over a file descriptor share: how they begin, and how they end.

    made ──connection_made──▶ open ──close──▶ closing ──all sent──▶ closed
                                └──abort, error───────────────────▶ closed
                                                   each ends in connection_lost, once

A transport calls its protocol in one context (`contextvars`, PEP 567), a copy of that in which the
transport was made. So later calls see what `connection_made` has set. They do not see what a task
has set that resumes reading, writes or closes. asyncio does so from CPython 3.15 on. Only
`pause_writing`, which `write` calls, runs in the context of whoever writes.

Invariants:

1. `connection_made` is called on the turn after the transport was made, and `connection_lost` on
   the turn after it was lost: never from inside a method that the protocol calls.
2. `_lost` is true from the moment when `connection_lost` is queued. After it nothing is called.
3. `_file` is None once the descriptor was closed. A transport that is collected before that was not
   closed by the program, and warns.
4. A transport whose descriptor the kernel refuses to watch is lost, as it would get no event. Its
   protocol learns the reason in `connection_lost`.

`ReadableTransport` adds pausing, `WritableTransport` flow control. A stream is both, and so is a
datagram endpoint; each end of a pipe is one of the two.

Source: PEP 3156; the CPython documentation, "Transports and Protocols".
"""

from __future__ import annotations

import asyncio
import errno
import warnings
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from miniloop.kernel.contract import CompleteLoop
from miniloop.kernel.exits import EXITS, raise_exit, was_told
from miniloop.kernel.handle import is_repeatable, repeatable
from miniloop.kernel.report import logger
from miniloop.net.flow_control import LOST_WRITES_TOLERATED, WriteMarks

__all__ = ["DescriptorTransport", "ReadableTransport", "WritableTransport"]


_INTERRUPTED = "interrupted between the system and the protocol: bytes may be lost"


class DescriptorTransport(asyncio.BaseTransport):
    """The life of a transport. Its subclasses move the bytes."""

    # Those of the subclasses below are here too: a class can take slots from one parent only.
    __slots__ = (
        "__dict__",  # tests of libraries put other methods in the place of ours
        "__weakref__",
        "_closing",
        "_context",
        "_ended",
        "_fd",
        "_file",
        "_loop",
        "_lost",
        "_lost_writes",
        "_made",
        "_marks",
        "_paused",
        "_protocol",
        "_started",
    )

    _extra: dict[str, Any]  # asyncio's; behind get_extra_info

    def __init__(
        self,
        loop: CompleteLoop,
        file: Any,
        protocol: asyncio.BaseProtocol,
        extra: dict[str, Any] | None,
    ) -> None:
        """Take over `file`, a non-blocking socket or file object; `_begin` then starts it all."""
        self._extra = {} if extra is None else extra
        self._loop = loop
        self._context = copy_context()
        self._made = False  # `connection_made` has been called, or is being called
        self._started = False
        self._closing = False
        self._lost = False
        # Those of `ReadableTransport`: a constructor of its own would cost every connection a call.
        self._paused = False
        self._ended = False  # nothing more will come, and the protocol knows
        self._protocol: Any = protocol
        self._fd: int = file.fileno()
        self._file: Any = file  # from now on `__del__` closes it
        self.set_protocol(protocol)

    @property
    def _sock(self) -> Any:
        """The file, by the name under which programs look for it in asyncio's transports."""
        return self._file

    @property
    def _sock_fd(self) -> int:
        """Its descriptor, likewise."""
        return self._fd

    @property
    def _conn_lost(self) -> bool:
        """Whether nothing can be written any more, likewise."""
        return self._lost

    # Beginning.

    def _begin(self, waiter: Any) -> None:
        """Tell the protocol on the next turn, and finish `waiter`, if there is one."""
        self._loop.call_soon(self._start, waiter, context=self._context)

    @repeatable
    def _start(self, waiter: Any) -> None:
        if not self._made:
            connection_made = self._protocol.connection_made
            try:
                self._made = not is_repeatable(connection_made)
                connection_made(self)
            except EXITS as exc:
                self._made = self._made and was_told(exc, self._protocol)
                raise
            except BaseException as exc:
                self._report(exc, "protocol.connection_made() call failed.")
        self._made = self._started = True
        if not self._closing:
            try:
                self._watch()
            except Exception as exc:
                self._lose(exc)
                if waiter is None:
                    raise  # to be reported: it is the system's failure, and nobody waits
                if not waiter.done():
                    waiter.set_exception(exc)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _watch(self) -> None:
        """Begin to watch the descriptor, once the protocol knows its transport. Raises OSError."""
        raise NotImplementedError

    # Watching.

    def _watch_reader(self, callback: Callable[[], None]) -> None:
        self._loop.watch_reader(self._fd, callback, context=self._context)

    def _watch_writer(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when there is room to write. If that fails, close at once."""
        try:
            self._loop.watch_writer(self._fd, callback, context=self._context)
        except OSError as exc:
            self._drop(exc)

    def _unwatch_reader(self) -> None:
        try:
            self._loop.unwatch_reader(self._fd)
        except OSError as exc:
            self._drop(exc)

    def _unwatch_writer(self) -> None:
        try:
            self._loop.unwatch_writer(self._fd)
        except OSError as exc:
            self._drop(exc)

    # The protocol.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Talk to another protocol from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is told of what happens."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def _report(self, exc: BaseException, message: str) -> None:
        """Report an unexpected error to the loop. Exits are raised again."""
        raise_exit(exc)
        self._loop.call_exception_handler(
            {
                "message": message,
                "exception": exc,
                "transport": self,
                "protocol": self._protocol,
            }
        )

    # Ending.

    def is_closing(self) -> bool:
        """True once the transport is closing or closed."""
        return self._closing

    def _drop(self, exc: BaseException | None) -> None:
        """Close at once, because of an error if one is given. What is not sent yet is lost."""
        self._lose(exc)

    def _interrupted(self, error: BaseException) -> None:
        """An exit struck as bytes were on their way between the system and the protocol.

        What a system call has returned is lost then, be it bytes or their number, and there may be
        a gap in the stream. So the connection ends, and the protocol learns why. Not so if the exit
        struck in a method of the protocol: then the protocol has been told.
        """
        if not was_told(error, self._protocol):
            self._drop(ConnectionAbortedError(errno.ECONNABORTED, _INTERRUPTED))

    def _lose(self, exc: BaseException | None) -> None:
        """Stop all watching, and tell the protocol on the next turn."""
        if self._lost:
            return
        self._closing = True
        if self._loop.is_closed():
            self._lost = True
            self._release()  # there is no next turn in which to tell anybody
            return
        # Queued first: if Ctrl-C strikes here, `_finish` is called twice, and not never.
        self._loop.call_soon(self._finish, exc, context=self._context)
        self._lost = True
        self._loop.unwatch(self._fd)

    @repeatable
    def _finish(self, exc: BaseException | None) -> None:
        if self._made and self._file is not None:
            self._loop.unwatch(self._fd)  # again, as `_lose` may have been cut short
            connection_lost = self._protocol.connection_lost
            try:
                self._made = is_repeatable(connection_lost)  # the program's is called once
                connection_lost(exc)
            except EXITS as error:
                if self._made or not was_told(error, self._protocol):
                    self._made = True
                    raise  # and is told when this is called again
                self._release()
                raise
            except BaseException:
                self._release()
                raise
        self._release()

    def _release(self) -> None:
        """Close the file and drop all references. Never raises an OSError."""
        transports = self._loop.transports
        known = transports.get(self._fd)
        if known is not None and known() in (self, None):
            del transports[self._fd]
        file = self._file
        if file is None:
            return  # done, and called again after an interrupt
        try:
            file.close()
        except OSError as exc:
            # The descriptor is closed all the same, and others wait to be told of our end.
            self._report(exc, "closing the descriptor of a transport failed")
        self._file = self._protocol = None

    # Telling.

    def _describe(self) -> list[str]:
        state = "closed" if self._file is None else "closing" if self._closing else "open"
        return [type(self).__name__, state, f"fd={self._fd}"]

    def __repr__(self) -> str:
        return f"<{' '.join(self._describe())}>"

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:  # a constructor may have refused it
            warnings.warn(
                f"unclosed transport {self!r}", ResourceWarning, source=self, stacklevel=2
            )
            self._release()


class ReadableTransport(DescriptorTransport):
    """A transport that reads, and can be paused."""

    __slots__ = ()

    def _read_ready(self) -> None:
        """There is something to read."""
        raise NotImplementedError

    def _watch(self) -> None:
        if self.is_reading() and not self._ended:
            self._watch_reader(self._read_ready)

    def is_reading(self) -> bool:
        """True unless reading is paused, or the transport is closing."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Read nothing until `resume_reading`: the kernel keeps what comes while it has room."""
        if not self.is_reading():
            return
        self._paused = True
        self._unwatch_reader()

    def resume_reading(self) -> None:
        """Read again."""
        if self._closing or not self._paused:
            return
        self._paused = False
        if self._started:
            try:
                self._watch()
            except OSError as exc:
                self._drop(exc)


class WritableTransport(DescriptorTransport):
    """A transport that writes, and tells its protocol when too much waits."""

    __slots__ = ()

    # Logged when a program goes on writing to a lost connection.
    _lost_write_warning = "socket.send() raised exception."

    def __init__(
        self,
        loop: CompleteLoop,
        file: Any,
        protocol: asyncio.BaseProtocol,
        extra: dict[str, Any] | None,
    ) -> None:
        self._lost_writes = 0
        self._marks = WriteMarks(loop, self, protocol)
        super().__init__(loop, file, protocol, extra)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Talk to another protocol from now on."""
        self._protocol = self._marks.protocol = protocol

    def _count_lost_write(self) -> None:
        self._lost_writes += 1
        if self._lost_writes > LOST_WRITES_TOLERATED:
            logger.warning(self._lost_write_warning)

    def get_write_buffer_size(self) -> int:
        """How many bytes wait to be sent."""
        raise NotImplementedError

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high water mark, in bytes."""
        return self._marks.low, self._marks.high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks, in bytes: see `WriteMarks.set`."""
        self._marks.set(high, low)
        self._marks.grown(self.get_write_buffer_size())

    def _describe(self) -> list[str]:
        return [*super()._describe(), f"write buffer={self.get_write_buffer_size()}"]

    def _release(self) -> None:
        try:
            super()._release()
        finally:
            self._marks.forget()
