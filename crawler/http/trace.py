"""Watching the client at work: paired events around each of its steps.

A trace is a function ``trace(event, info)``. Each step emits ``NAME.started`` and then exactly one
of ``NAME.complete`` and ``NAME.failed``. The info of these two holds ``seconds``, how long the step
took; that of a failure holds the exception as ``error`` as well. The steps are

    acquire          wait for a connection or for leave to open one     origin
    resolve          turn a host name into addresses                     host, port
    connect_tcp      open a TCP connection, trying several addresses     host, port, addresses
    connect_proxy    have a proxy open the way to the host               proxy, url
    start_tls        the TLS handshake                                   server_name
    send_request     write the request                                   url
    receive_head     read up to the end of the reply's headers           url
    receive_body     read the rest of the reply                          url, reply
    redirect         see where a redirect leads                          url, status
    retry            wait before a request is sent once more             url, attempt, reason, wait

A body that is sent in pieces is sent beside ``receive_head``; a body that is streamed to the caller
has no ``receive_body``.

Who only wants to know how long steps took gives a :class:`Durations` instead, which costs less.
:func:`chain` makes one trace of several.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, NamedTuple


class Durations:
    """A trace that is to know of each step how long it took, and nothing else.

    ``took`` is called with the step's name and the seconds, however the step ended.
    """

    __slots__ = ("took",)

    def __init__(self, took: Callable[[str, float], None]) -> None:
        self.took = took


Trace = Callable[[str, Mapping[str, Any]], None] | Durations
"""Is called with the name of each event, and what is known of it."""


def chain(*traces: Trace | None) -> Trace | None:
    """One trace that tells all of these, in this order; None if there is none."""
    given = [trace for trace in traces if trace is not None]
    if len(given) < 2:
        return given[0] if given else None
    listeners = [_of_durations(t.took) if isinstance(t, Durations) else t for t in given]

    def tell(event: str, info: Mapping[str, Any]) -> None:
        for listener in listeners:
            listener(event, info)

    return tell


def _of_durations(took: Callable[[str, float], None]) -> Callable[[str, Mapping[str, Any]], None]:
    def tell(event: str, info: Mapping[str, Any]) -> None:
        if "seconds" in info:
            took(event.partition(".")[0], info["seconds"])

    return tell


class _Events(NamedTuple):
    """The names of a step's events, which are not put together each time."""

    started: str
    complete: str
    failed: str


STEPS = (
    "acquire",
    "resolve",
    "connect_tcp",
    "connect_proxy",
    "start_tls",
    "send_request",
    "receive_head",
    "receive_body",
    "redirect",
    "retry",
)
_EVENTS = {name: _Events(f"{name}.started", f"{name}.complete", f"{name}.failed") for name in STEPS}


class _Span:
    __slots__ = ("_info", "_name", "_started", "_trace")

    def __init__(
        self, trace: Callable[[str, Mapping[str, Any]], None], name: str, info: dict[str, Any]
    ) -> None:
        self._trace, self._name, self._info = trace, name, info
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()
        self._trace(_EVENTS[self._name].started, self._info)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        seconds = time.perf_counter() - self._started
        if error is None:
            self._trace(_EVENTS[self._name].complete, {**self._info, "seconds": seconds})
        else:
            info = {**self._info, "seconds": seconds, "error": error}
            self._trace(_EVENTS[self._name].failed, info)


class _Timed:
    """The span of a client of which only durations are asked."""

    __slots__ = ("_name", "_started", "_took")

    def __init__(self, took: Callable[[str, float], None], name: str) -> None:
        self._took, self._name = took, name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._took(self._name, time.perf_counter() - self._started)


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
    if trace is None:
        return _OFF
    if isinstance(trace, Durations):
        return _Timed(trace.took, name)
    return _Span(trace, name, info)
