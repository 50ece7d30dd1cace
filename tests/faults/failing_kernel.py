"""A kernel of which one call fails: the n-th, with the k-th of the errors that it may have."""

from __future__ import annotations

import errno
import io
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiofiles.threadpool
import pytest

__all__ = ["ERRORS", "SHORT", "FailingKernel"]

# No error: the call does only a part of what it was asked for.
SHORT = "short"

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_SEND = (errno.EPIPE, errno.ECONNRESET, errno.ETIMEDOUT, errno.ENOBUFS, errno.ENOMEM, SHORT)
_RECEIVE = (errno.ECONNRESET, errno.ETIMEDOUT, errno.ENOMEM)

# What each call may fail with: see the manual page of each.
ERRORS: dict[str, tuple[int | str, ...]] = {
    "socket": (*_NO_ROOM, errno.ENOBUFS),
    "socketpair": _NO_ROOM,
    "accept": (*_NO_ROOM, errno.ENOBUFS, errno.ECONNABORTED, errno.EPERM),
    "connect": (errno.EINTR, errno.ECONNREFUSED, errno.ENETUNREACH, errno.ETIMEDOUT, errno.ENOBUFS),
    "bind": (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES),
    "listen": (errno.EADDRINUSE,),
    "send": _SEND,
    "sendmsg": _SEND,
    "sendto": (errno.ECONNREFUSED, errno.EMSGSIZE, errno.ENOBUFS, errno.EPERM),
    # No short count here: a kernel that gives less than there is would break what epoll(7) says of
    # edge-triggered sockets, and `sock_recv` relies on it.
    "recv": _RECEIVE,
    "recv_into": (*_RECEIVE, SHORT),
    "recvfrom": (errno.ECONNREFUSED, errno.ENOMEM),
    "recvfrom_into": (errno.ECONNREFUSED, errno.ENOMEM),
    "shutdown": (errno.ENOTCONN, errno.ECONNRESET),
    "setsockopt": (errno.EINVAL, errno.ENOMEM),
    "getsockopt": (errno.ENOBUFS,),
    "getsockname": (errno.ENOBUFS,),
    "getpeername": (errno.ENOTCONN,),
    "close": (errno.EIO,),
    "epoll_create": _NO_ROOM,
    "register": (errno.ENOMEM, errno.ENOSPC),
    "modify": (errno.ENOMEM,),
    "read": (errno.EIO, errno.ENOMEM, SHORT),
    "write": (errno.EPIPE, errno.EIO, errno.ENOSPC, SHORT),
    "writev": (errno.EPIPE, errno.EIO),
    "sendfile": (errno.EINVAL, errno.ENOSYS, errno.EIO, errno.ECONNRESET, SHORT),
    "pipe": _NO_ROOM[:2],
    "fork": (errno.EAGAIN, errno.ENOMEM),
    "pidfd_open": (errno.EMFILE, errno.ENOMEM, errno.ENOSYS),
    "kill": (errno.EPERM,),
    "waitpid": (errno.ECHILD,),
    "getaddrinfo": (-socket.EAI_AGAIN, -socket.EAI_FAIL),
    "thread": (errno.EAGAIN,),
    "open": (*_NO_ROOM[:2], errno.ENOSPC, errno.EACCES),
    "file write": (errno.ENOSPC, errno.EIO, errno.EDQUOT, SHORT),
}

# Threads of executors, which work for the loop. Others belong to peers, whose calls do not fail.
_WORKERS = ("miniloop", "asyncio", "ThreadPool", "MainThread")


class FailingKernel:
    """Counts the calls of the loop's threads, and lets one of them fail.

    `number` begins at 1; with 0 nothing fails. `choice` says which of the errors.
    """

    def __init__(self, number: int = 0, choice: int = 0) -> None:
        self.number, self.choice = number, choice
        self.calls: list[str] = []
        self.resting = True  # calls are neither counted nor fail
        self.struck: str | None = None
        self.error: int | str | None = None
        self.exception: OSError | RuntimeError | None = None

    def strikes(self, name: str) -> int | str | None:
        """Count a call; say whether it is the one, and with which error."""
        if self.resting or not threading.current_thread().name.startswith(_WORKERS):
            return None
        self.calls.append(name)
        if len(self.calls) != self.number:
            return None
        errors = ERRORS[name]
        if self.choice >= len(errors):
            return None
        self.struck, self.error = name, errors[self.choice]
        return self.error

    def failure(self, error: int | str) -> Exception:
        """What the call raises."""
        assert isinstance(error, int)
        if self.struck == "getaddrinfo":
            self.exception = socket.gaierror(-error, "name resolution fails")
        elif self.struck == "thread":
            self.exception = RuntimeError("can't start new thread")
        else:
            self.exception = OSError(error, os.strerror(error))
        return self.exception

    def call(self, name: str, real: Callable[..., Any], *args: Any, **how: Any) -> Any:
        """The call itself, unless it is the one."""
        error = self.strikes(name)
        if error is None or error == SHORT:
            return real(*args, **how)
        if name in ("close", "connect") and (name == "close" or error == errno.EINTR):
            try:  # it is done all the same
                real(*args, **how)
            except BlockingIOError:
                pass
        raise self.failure(error)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """In the place of the real one. Nothing is counted before `resting` is set to False."""
        with pytest.MonkeyPatch.context() as patch:
            self._patch_sockets(patch)
            self._patch_epoll(patch)
            self._patch_os(patch)
            yield

    def _patch_sockets(self, patch: pytest.MonkeyPatch) -> None:
        kernel, original = self, socket.socket

        class FailingSocket(original):  # type: ignore[misc, valid-type]
            __slots__ = ()

            def __init__(self, *args: Any, **how: Any) -> None:
                if how.get("fileno") is None and len(args) < 4:
                    error = kernel.strikes("socket")
                    if error is not None:
                        raise kernel.failure(error)
                super().__init__(*args, **how)

            def accept(self) -> Any:
                return kernel.call("accept", super().accept)

            def send(self, data: Any, *args: Any) -> int:
                error = kernel.strikes("send")
                if error == SHORT:
                    data = memoryview(data).cast("B")[:1]
                elif error is not None:
                    raise kernel.failure(error)
                return int(super().send(data, *args))

            def sendmsg(self, buffers: Any, *args: Any) -> int:
                error = kernel.strikes("sendmsg")
                if error == SHORT:
                    buffers = [memoryview(next(iter(buffers))).cast("B")[:1]]
                elif error is not None:
                    raise kernel.failure(error)
                return int(super().sendmsg(buffers, *args))

            def recv(self, size: int, *args: Any) -> Any:
                return kernel.call("recv", super().recv, size, *args)

            def recv_into(self, buffer: Any, *args: Any) -> Any:
                error = kernel.strikes("recv_into")
                if error is not None and error != SHORT:
                    raise kernel.failure(error)
                return super().recv_into(memoryview(buffer)[:1] if error == SHORT else buffer)

        def method(name: str) -> Callable[..., Any]:
            real = getattr(original, name)
            return lambda sock, *args: kernel.call(name, real, sock, *args)

        for name in ("connect", "bind", "listen", "sendto", "recvfrom", "recvfrom_into", "shutdown",
                     "setsockopt", "getsockopt", "getsockname", "getpeername"):  # fmt: skip
            setattr(FailingSocket, name, method(name))

        def close(sock: Any) -> None:
            if sock.fileno() < 0:
                original.close(sock)
            else:
                kernel.call("close", original.close, sock)

        FailingSocket.close = close
        patch.setattr(socket, "socket", FailingSocket)
        pair = socket.socketpair
        patch.setattr(socket, "socketpair", lambda *args: kernel.call("socketpair", pair, *args))
        find = socket.getaddrinfo
        patch.setattr(
            socket,
            "getaddrinfo",
            lambda *args, **how: kernel.call("getaddrinfo", find, *args, **how),
        )

    def _patch_epoll(self, patch: pytest.MonkeyPatch) -> None:
        kernel, original = self, select.epoll

        class FailingEpoll:
            def __init__(self, *args: Any) -> None:
                self._real = kernel.call("epoll_create", original, *args)
                for name in ("poll", "unregister", "fileno", "close"):
                    setattr(self, name, getattr(self._real, name))

            def register(self, *args: Any) -> None:
                kernel.call("register", self._real.register, *args)

            def modify(self, *args: Any) -> None:
                kernel.call("modify", self._real.modify, *args)

        patch.setattr(select, "epoll", FailingEpoll)

    def _patch_os(self, patch: pytest.MonkeyPatch) -> None:
        kernel = self

        def replace(module: Any, attribute: str, name: str) -> None:
            real = getattr(module, attribute)
            patch.setattr(module, attribute, lambda *a, **how: kernel.call(name, real, *a, **how))

        for name in ("writev", "pipe", "kill", "waitpid"):
            replace(os, name, name)
        if hasattr(os, "pidfd_open"):
            replace(os, "pidfd_open", "pidfd_open")
        replace(subprocess, "_fork_exec", "fork")
        real_read, real_write, real_sendfile = os.read, os.write, os.sendfile
        start = threading.Thread.start

        def read(fd: int, size: int) -> bytes:
            if sys._getframe(1).f_globals["__name__"] == "subprocess":
                return real_read(fd, size)  # `Popen` itself leaves its child behind then
            error = kernel.strikes("read")
            if error is not None and error != SHORT:
                raise kernel.failure(error)
            return real_read(fd, 1 if error == SHORT else size)

        def write(fd: int, data: Any) -> int:
            error = kernel.strikes("write")
            if error is not None and error != SHORT:
                raise kernel.failure(error)
            return real_write(fd, memoryview(data).cast("B")[:1] if error == SHORT else data)

        def sendfile(out: int, file: int, offset: Any, count: int) -> int:
            error = kernel.strikes("sendfile")
            if error is not None and error != SHORT:
                raise kernel.failure(error)
            return real_sendfile(out, file, offset, 1 if error == SHORT else count)

        def start_thread(thread: threading.Thread) -> None:
            error = kernel.strikes("thread") if thread.name.startswith(_WORKERS) else None
            if error is not None:
                raise kernel.failure(error)
            start(thread)

        patch.setattr(os, "read", read)
        patch.setattr(os, "write", write)
        patch.setattr(os, "sendfile", sendfile)
        patch.setattr(threading.Thread, "start", start_thread)
        patch.setattr(aiofiles.threadpool, "sync_open", self._opener())

    def _opener(self) -> Callable[..., Any]:
        kernel = self

        class FailingFile(io.FileIO):
            def write(self, data: Any) -> int:
                error = kernel.strikes("file write")
                if error is not None and error != SHORT:
                    raise kernel.failure(error)
                return super().write(memoryview(data).cast("B")[:1] if error == SHORT else data)

        def opened(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **how: Any) -> Any:
            error = kernel.strikes("open")
            if error is not None:
                raise kernel.failure(error)
            if buffering == 0 and set(mode) & set("wa"):
                return FailingFile(file, mode.replace("b", ""))
            return open(file, mode, buffering, *args, **how)

        return opened
