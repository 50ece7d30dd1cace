"""Probes: be told when a function of the kernel is called, at no cost while there is no probe.

Not everything passes the ready queue: a future may be finished before anybody waits for it, and
tasks are cancelled by a plain call. An observer that wants to know places probes on the functions
in question. They hold for the whole process, for all of its loops.

From CPython 3.12 on these are *local events* of `sys.monitoring`: the interpreter itself calls the
probe, and only in that one function. The program sees no other function and no further frame in its
tracebacks. On 3.11 a method that calls the probe first takes the place of the usual one.

Invariant: when the last probe is removed, the interpreter is as it was before the first.

The trap: a probe is found by the code of a function, so it fires for every class that inherits the
method, and for all loops in all threads.

Source: the CPython documentation, `sys.monitoring`; PEP 669.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FunctionType
from typing import Any, NamedTuple

__all__ = ["Probe", "place_probes", "remove_probes", "unprobed"]


class Probe(NamedTuple):
    """`begun(arguments)` is called as the method `name` of `owner` begins, before its first line.

    `arguments` maps the names of its parameters to their values. `ended()`, if there is one, is
    called as it returns; not if it raises.
    """

    owner: type
    name: str
    begun: Callable[[Mapping[str, Any]], object]
    ended: Callable[[], object] | None = None


_lock = threading.RLock()


def place_probes(probes: Iterable[Probe]) -> None:
    """Have them called from now on. Raises RuntimeError if the interpreter has no place for us."""
    with _lock:
        for probe in probes:
            _place(probe)


def remove_probes(probes: Iterable[Probe]) -> None:
    """Have them called no more; what was not placed is passed over."""
    with _lock:
        for probe in probes:
            _remove(probe)


if sys.version_info >= (3, 12):
    # The six numbers that the interpreter has for tools; first those that are not reserved.
    _NUMBERS = (3, 4, 5, 2, 1, 0)
    _START, _RETURN = sys.monitoring.events.PY_START, sys.monitoring.events.PY_RETURN

    _placed: dict[int, list[Probe]] = {}  # by the identity of the code, whose hash is slow
    _number: int | None = None

    def _place(probe: Probe) -> None:
        global _number
        if _number is None:
            _number = _take_number()
            sys.monitoring.register_callback(_number, _START, _begun)
            sys.monitoring.register_callback(_number, _RETURN, _ended)
        code = getattr(probe.owner, probe.name).__code__
        _placed.setdefault(id(code), []).append(probe)
        _set_events(code)

    def _remove(probe: Probe) -> None:
        global _number
        code = getattr(probe.owner, probe.name).__code__
        here = _placed.get(id(code), [])
        if probe not in here:
            return
        here.remove(probe)
        _set_events(code)
        if not here:
            del _placed[id(code)]
        if not _placed and _number is not None:
            sys.monitoring.free_tool_id(_number)
            _number = None

    def _take_number() -> int:
        for number in _NUMBERS:
            if sys.monitoring.get_tool(number) is None:
                sys.monitoring.use_tool_id(number, "miniloop")
                return number
        raise RuntimeError("sys.monitoring has six tools already: end one of them")

    def _set_events(code: CodeType) -> None:
        assert _number is not None
        here = _placed.get(id(code), [])
        events = _START if here else 0
        if any(probe.ended is not None for probe in here):
            events |= _RETURN
        sys.monitoring.set_local_events(_number, code, events)

    def unprobed(function: FunctionType) -> FunctionType:
        """The function itself, where a probe has put another one in its place: not here."""
        return function

    def _begun(code: CodeType, offset: int) -> None:
        arguments = sys._getframe(1).f_locals
        for probe in _placed.get(id(code), ()):
            probe.begun(arguments)

    def _ended(code: CodeType, offset: int, result: object) -> None:
        for probe in _placed.get(id(code), ()):
            if probe.ended is not None:
                probe.ended()

else:
    _placed: dict[tuple[type, str], list[Probe]] = {}
    _usual: dict[tuple[type, str], Any] = {}

    def _place(probe: Probe) -> None:
        key = probe.owner, probe.name
        if key not in _placed:
            _usual[key] = vars(probe.owner)[probe.name]
            setattr(probe.owner, probe.name, _probed(_usual[key], _placed.setdefault(key, [])))
        _placed[key].append(probe)

    def _remove(probe: Probe) -> None:
        key = probe.owner, probe.name
        here = _placed.get(key, [])
        if probe not in here:
            return
        here.remove(probe)
        if not here:
            setattr(probe.owner, probe.name, _usual.pop(key))
            del _placed[key]

    def unprobed(function: FunctionType) -> FunctionType:
        """The function itself, where a probe has put another one in its place."""
        if function.__code__ in _probed.__code__.co_consts:
            usual: FunctionType = vars(function)["__wrapped__"]
            return usual
        return function

    def _probed(usual: Callable[..., Any], probes: list[Probe]) -> Callable[..., Any]:
        code = usual.__code__
        names = code.co_varnames[: code.co_argcount]
        defaults = dict(zip(reversed(names), reversed(usual.__defaults__ or ()), strict=False))

        @functools.wraps(usual)
        def method(*args: Any, **kwargs: Any) -> Any:
            arguments = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
            for probe in probes:
                probe.begun(arguments)
            result = usual(*args, **kwargs)
            for probe in probes:
                if probe.ended is not None:
                    probe.ended()
            return result

        return method
