"""Subprocesses: a child, its pipes and its end, as one transport.

`subprocess.Popen` starts the child; that is quick, and done in the loop's thread. Then everything
is an event: each pipe to the child is a pipe transport of its own, and its end is noticed by
`child_exit`. A process transport puts them together:

    started ──all pipes connected──▶ connection_made
                                            │   pipe_data_received, pipe_connection_lost and
                                            ▼   process_exited, in whatever order they come
              ended, and all pipes lost ──▶ connection_lost

Invariants:

1. The protocol hears nothing before `connection_made`: what comes earlier waits in `_early`.
2. `connection_lost` comes last, once, and not before both the child and its pipes are gone. Either
   may be first: a grandchild can hold a pipe open long after the child has ended.
3. `Process.wait` returns when the child has ended, even if another process holds its pipes.
4. `_proc`, the `subprocess.Popen`, whose private name programs use, is there until
   `connection_lost` has returned; then it is None, and signals are refused.
5. A transport that was not closed is reported, and its child killed; a start that fails or is
   cancelled leaves neither a child nor a zombie behind.

Source: the CPython documentation, "Subprocess Transports", "Subprocess Protocols", `subprocess`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import warnings
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

from miniloop.kernel.contract import CompleteLoop
from miniloop.kernel.exits import EXITS
from miniloop.kernel.handle import repeatable
from miniloop.kernel.report import logger
from miniloop.system.child_exit import ExitWatch, watch_exit

__all__ = ["ProcessTransport", "subprocess_exec", "subprocess_shell"]

P = TypeVar("P", bound=asyncio.BaseProtocol)

_NAMES = {0: "stdin", 1: "stdout", 2: "stderr"}


async def subprocess_exec(
    loop: CompleteLoop,
    protocol_factory: Callable[[], P],
    *args: Any,
    stdin: Any = subprocess.PIPE,
    stdout: Any = subprocess.PIPE,
    stderr: Any = subprocess.PIPE,
    **kwargs: Any,
) -> tuple[ProcessTransport, P]:
    """Run a program, `args[0]`, with arguments.

    Raises ValueError for options that ask for text, a shell or a buffer.
    """
    if not args:
        raise TypeError("subprocess_exec needs a program to run")
    _check_options(kwargs, shell=False)
    kwargs.update(shell=False, stdin=stdin, stdout=stdout, stderr=stderr)
    return await start_process(loop, protocol_factory, args, **kwargs)


async def subprocess_shell(
    loop: CompleteLoop,
    protocol_factory: Callable[[], P],
    cmd: Any,
    *,
    stdin: Any = subprocess.PIPE,
    stdout: Any = subprocess.PIPE,
    stderr: Any = subprocess.PIPE,
    **kwargs: Any,
) -> tuple[ProcessTransport, P]:
    """Have the shell run a command line, `cmd`, a string or bytes.

    Raises ValueError for options that ask for text, a buffer or no shell.
    """
    if not isinstance(cmd, bytes | str):
        raise ValueError(f"cmd must be a string, got {cmd!r}")
    _check_options(kwargs, shell=True)
    kwargs.update(shell=True, stdin=stdin, stdout=stdout, stderr=stderr)
    return await start_process(loop, protocol_factory, cmd, **kwargs)


def _check_options(options: dict[str, Any], shell: bool) -> None:
    """Refuse what `Popen` would take but a transport, which carries bytes, cannot do; drop it."""
    if options.pop("universal_newlines", False):
        raise ValueError("universal_newlines must be False: a transport carries bytes")
    if bool(options.pop("shell", shell)) is not shell:
        raise ValueError(f"shell must be {shell}")
    if options.pop("bufsize", 0) != 0:
        raise ValueError("bufsize must be 0: the transport has a buffer of its own")
    if options.pop("text", None):
        raise ValueError("text must be False: a transport carries bytes")
    for name in ("encoding", "errors"):
        if options.pop(name, None) is not None:
            raise ValueError(f"{name} must be None: a transport carries bytes")


async def start_process(
    loop: CompleteLoop, protocol_factory: Callable[[], P], args: Any, **options: Any
) -> tuple[ProcessTransport, P]:
    """Start a child and connect its pipes; `options` are those of `subprocess.Popen`.

    Gives the transport and the protocol. If it is cancelled, or a pipe cannot be connected, the
    child is killed and reaped first.
    """
    protocol = protocol_factory()
    transport = ProcessTransport(loop, protocol, args, **options)
    try:
        await transport.connect_pipes()
    except EXITS:
        raise
    except BaseException:
        transport.close()
        await transport._wait()
        raise
    if loop.get_debug():
        # Not its arguments: they may hold a password.
        logger.info("started %r", transport)
    return transport, protocol


class ProcessTransport(asyncio.SubprocessTransport):
    """A child process."""

    _extra: dict[str, Any]

    def __init__(self, loop: CompleteLoop, protocol: Any, args: Any, **options: Any) -> None:
        """Start the child. Raises what `subprocess.Popen` does."""
        super().__init__()
        self._loop = loop
        self._protocol: Any = protocol
        self._closed = True  # there is nothing to close yet
        self._connected = False
        self._lost = False
        self._early: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._returncode: int | None = None
        self._exit_waiters: set[Any] = set()
        # Unbuffered, as the pipes are read and written by descriptor.
        process = subprocess.Popen(args, bufsize=0, **options)
        self._proc: subprocess.Popen[bytes] | None = process
        self._pid = process.pid
        self._context = copy_context()  # for all that the protocol is told
        self._closed = False
        self._extra["subprocess"] = process
        files = (process.stdin, process.stdout, process.stderr)
        self._pipes: dict[int, _Pipe] = {
            fd: (_WritePipe if fd == 0 else _ReadPipe)(self, fd, file)
            for fd, file in enumerate(files)
            if file is not None
        }
        try:
            self._exit_watch: ExitWatch | None = watch_exit(loop, process, self._process_exited)
        except BaseException:
            self._exit_watch = None
            self.close()
            process.wait()
            raise

    def __repr__(self) -> str:
        parts = [type(self).__name__]
        if self._closed:
            parts.append("closed")
        parts.append(f"pid={self._pid}")
        code = self._returncode
        parts.append("running" if code is None else f"returncode={code}")
        parts += [f"{_NAMES[fd]}={pipe.transport!r}" for fd, pipe in self._pipes.items()]
        return f"<{' '.join(parts)}>"

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn(
                f"unclosed transport {self!r}", ResourceWarning, source=self, stacklevel=2
            )
            self.close()

    # Starting.

    async def connect_pipes(self) -> None:
        """Make a transport of each pipe, then call `connection_made` and what waited for it."""
        loop = self._loop
        connect: Any
        for fd, pipe in self._pipes.items():
            connect = loop.connect_write_pipe if fd == 0 else loop.connect_read_pipe
            await connect(lambda pipe=pipe: pipe, pipe.file)
        self._loop.call_soon(self._protocol.connection_made, self, context=self._context)
        for callback, args in self._early:
            self._loop.call_soon(callback, *args, context=self._context)
        self._early.clear()
        self._connected = True
        self._finish_if_over()
        # What was queued runs before the caller goes on, in whatever order tasks do.
        told = loop.create_future()
        loop.call_soon(self._go_on, told)
        await told

    @repeatable
    def _go_on(self, told: asyncio.Future[None]) -> None:
        if not told.done():
            told.set_result(None)

    # Asking.

    def get_pid(self) -> int:
        """The process id of the child."""
        return self._pid

    def get_returncode(self) -> int | None:
        """Its exit status, the negative number of the signal that ended it, None while it runs."""
        return self._returncode

    def get_pipe_transport(self, fd: int) -> asyncio.BaseTransport | None:
        """The transport of the child's stdin (0), stdout (1) or stderr (2), or None: no pipe."""
        pipe = self._pipes.get(fd)
        return None if pipe is None else pipe.transport

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another protocol from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is told of what happens."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_closing(self) -> bool:
        """True once `close` was called."""
        return self._closed

    async def _wait(self) -> int:
        """Wait for the end of the child. `asyncio.subprocess.Process.wait` calls it."""
        if self._returncode is None:
            waiter = self._loop.create_future()
            self._exit_waiters.add(waiter)
            try:
                await waiter
            finally:
                self._exit_waiters.discard(waiter)
        assert self._returncode is not None
        return self._returncode

    # Signals.

    def send_signal(self, signal: int) -> None:
        """Send a signal; does nothing if the child has ended.

        Raises ProcessLookupError once `connection_lost` was called: it is all over then.
        """
        if self._proc is None:
            raise ProcessLookupError(f"process {self._pid} has ended")
        # Once it is reaped, its number may be that of another process.
        if self._proc.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # somebody else has reaped it
                os.kill(self._pid, signal)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    # Ending.

    def close(self) -> None:
        """Close the pipes, and kill the child if it still runs."""
        if self._closed:
            return
        self._closed = True
        for pipe in self._pipes.values():
            pipe.close()
        process = self._proc
        if process is not None and self._returncode is None and process.poll() is None:
            if self._loop.get_debug():
                logger.warning("closing %r: its child still runs, and is killed", self)
            try:
                process.kill()
            except (ProcessLookupError, PermissionError):
                pass  # it has just ended, or it runs as another user (setuid)
        if self._loop.is_closed() and self._exit_watch is not None:
            self._exit_watch.close()  # there is no loop to tell

    def _process_exited(self, returncode: int) -> None:
        # Called again by its watch if an exception from outside has struck: see `PidfdWatch`.
        if self._returncode is None:
            if self._loop.get_debug():
                logger.info("%r has ended", self)
            self._tell_soon(self._protocol.process_exited)
            self._returncode = returncode
        self._exit_watch = None
        self._finish_if_over()
        for waiter in self._exit_waiters:
            if not waiter.done():
                waiter.set_result(returncode)

    def _tell_soon(self, callback: Callable[..., object], *args: Any) -> None:
        if self._connected:
            self._loop.call_soon(callback, *args, context=self._context)
        else:
            self._early.append((callback, args))

    def _finish_if_over(self) -> None:
        if (
            self._connected
            and not self._lost
            and self._returncode is not None
            and all(pipe.lost for pipe in self._pipes.values())
        ):
            self._loop.call_soon(self._connection_lost, context=self._context)
            self._lost = True

    def _connection_lost(self) -> None:
        try:
            if self._protocol is not None:  # called twice if Ctrl-C has struck
                self._protocol.connection_lost(None)
        finally:
            self._protocol = self._proc = None


class _Pipe(asyncio.BaseProtocol):
    """One pipe of a child, and the protocol of its transport."""

    def __init__(self, process: ProcessTransport, fd: int, file: Any) -> None:
        self.process: Any = process
        self.fd = fd
        self.file = file
        self.transport: Any = None
        self.lost = False

    @property
    def pipe(self) -> Any:
        """The transport, by the name under which programs look for it in asyncio's."""
        return self.transport

    @repeatable
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    @repeatable
    def connection_lost(self, exc: Exception | None) -> None:
        if self.process is not None:
            if not self.lost:
                self.process._tell_soon(self.process._protocol.pipe_connection_lost, self.fd, exc)
                self.lost = True
            self.process._finish_if_over()
            self.process = None  # breaks the reference cycle

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()
        else:
            with contextlib.suppress(OSError):  # it is closed all the same
                self.file.close()  # the start failed before it came to this pipe


class _WritePipe(_Pipe):
    """The child's standard input."""

    def pause_writing(self) -> None:
        self.process._protocol.pause_writing()

    def resume_writing(self) -> None:
        self.process._protocol.resume_writing()


class _ReadPipe(_Pipe, asyncio.Protocol):
    """The child's standard output or standard error."""

    def data_received(self, data: bytes) -> None:
        self.process._tell_soon(self.process._protocol.pipe_data_received, self.fd, data)
