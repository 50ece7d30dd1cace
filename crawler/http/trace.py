"""Watching the client at work: paired events around each of its steps.

A trace is a function ``trace(event, info)``. Each step emits ``NAME.started`` and then exactly one
of ``NAME.complete`` and ``NAME.failed``, whose info holds the exception. The steps are

    acquire          wait for a connection or for leave to open one     origin
    resolve          turn a host name into addresses                     host, port
    connect_tcp      open a TCP connection, trying several addresses     host, port, addresses
    start_tls        the TLS handshake                                   server_name
    send_request     write the request                                   url
    receive_head     read up to the end of the reply's headers           url
    receive_body     read the rest of the reply                          url
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

Trace = Callable[[str, Mapping[str, Any]], None]


class _Span:
    __slots__ = ("_info", "_name", "_trace")

    def __init__(self, trace: Trace, name: str, info: dict[str, Any]) -> None:
        self._trace, self._name, self._info = trace, name, info

    def __enter__(self) -> None:
        self._trace(f"{self._name}.started", self._info)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._trace(f"{self._name}.complete", self._info)
        else:
            self._trace(f"{self._name}.failed", {**self._info, "error": error})


class _Off:
    """The span of a client that nobody watches: it does nothing, at the price of two calls."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


_OFF = _Off()


def span(trace: Trace | None, name: str, **info: Any) -> AbstractContextManager[None]:
    """A ``with`` block around one step."""
    return _OFF if trace is None else _Span(trace, name, info)
