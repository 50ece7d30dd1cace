"""The other clocks of a program: `time`, `datetime`. They follow the virtual clock if one asks.

Functions that a module has imported by name (`from time import monotonic`) are replaced there too,
in every module of the program and of its libraries. The standard library keeps its own: `threading`
and `queue` measure real waits. In `time` and `datetime` themselves they are replaced as well, so
code that looks them up there, such as `logging`, sees virtual time.

`datetime.datetime` and `datetime.date` are made in C and cannot be changed. They are replaced by
classes derived from them, which make instances of the originals; `isinstance` takes each instance
of an original for one of theirs.
"""

from __future__ import annotations

import datetime
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from miniloop.testing.clock import VirtualClock

__all__ = ["follow"]

_RealDatetime = datetime.datetime
_RealDate = datetime.date
_STEADY = ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")
_DATES = ("time", "time_ns", "gmtime", "localtime", "ctime", "asctime", "strftime")
_NAMES = (*_STEADY, *_DATES, "sleep")
_REAL = {name: getattr(time, name) for name in _NAMES}


class _Plain(type):
    """The class of the stand-ins: what is an instance of the original is one of theirs."""

    original: type

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.__mro__[1])


class _Wall:
    """Virtual time, as the functions of `time` tell it. `offset`: the Unix time at clock zero."""

    def __init__(self, clock: Callable[[], VirtualClock | None], offset: float) -> None:
        self._clock = clock
        self._offset = offset

    def now(self) -> float | None:
        """The time of the run that is going on, since its loop began to count."""
        clock = self._clock()
        return None if clock is None else clock.now

    def functions(self) -> dict[str, Callable[..., Any]]:
        """What stands in for each function."""
        real = _REAL

        def wall() -> float:
            now = self.now()
            return real["time"]() if now is None else self._offset + now

        def steady(name: str) -> Callable[[], float]:
            def clock() -> float:
                now = self.now()
                return real[name]() if now is None else now

            return clock

        def in_nanoseconds(clock: Callable[[], float]) -> Callable[[], int]:
            return lambda: round(clock() * 1e9)

        def sleep(seconds: float) -> None:
            clock = self._clock()
            if clock is None or threading.current_thread() is not threading.main_thread():
                real["sleep"](seconds)
            else:
                clock.now += seconds  # a call that blocks the loop makes everything later

        def of_now(name: str) -> Callable[..., Any]:
            return lambda seconds=None: real[name](wall() if seconds is None else seconds)

        monotonic, perf_counter = steady("monotonic"), steady("perf_counter")
        return {
            "time": wall,
            "time_ns": in_nanoseconds(wall),
            "monotonic": monotonic,
            "monotonic_ns": in_nanoseconds(monotonic),
            "perf_counter": perf_counter,
            "perf_counter_ns": in_nanoseconds(perf_counter),
            "sleep": sleep,
            "gmtime": of_now("gmtime"),
            "localtime": of_now("localtime"),
            "ctime": of_now("ctime"),
            "asctime": lambda t=None: real["asctime"](
                real["localtime"](wall()) if t is None else t
            ),
            "strftime": lambda text, t=None: real["strftime"](
                text, real["localtime"](wall()) if t is None else t
            ),
        }


def _dates(wall: Callable[[], float]) -> dict[str, type]:
    class DatetimeOfTheRun(_RealDatetime, metaclass=_Plain):
        def __new__(cls, *args: Any, **options: Any) -> Any:
            return _RealDatetime(*args, **options)

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return _RealDatetime.fromtimestamp(wall(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return _RealDatetime.fromtimestamp(wall(), datetime.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            return _RealDatetime.fromtimestamp(wall())

    class DateOfTheRun(_RealDate, metaclass=_Plain):
        def __new__(cls, *args: Any, **options: Any) -> Any:
            return _RealDate(*args, **options)

        @classmethod
        def today(cls) -> Any:
            return _RealDate.fromtimestamp(wall())

    for stand_in, original in ((DatetimeOfTheRun, "datetime"), (DateOfTheRun, "date")):
        stand_in.__name__ = stand_in.__qualname__ = original
        stand_in.__module__ = "datetime"
    return {"datetime": DatetimeOfTheRun, "date": DateOfTheRun}


@contextmanager
def follow(
    clock: Callable[[], VirtualClock | None], patch_time: bool | float, start: float = 0.0
) -> Iterator[None]:
    """While this lasts, the clocks of the program tell the time of `clock()`; None: the real one.

    `patch_time` as for `miniloop.testing.run`. `start`: what the virtual clock says first, for
    which the wall clocks say the Unix time `patch_time`.
    """
    if patch_time is False:
        yield
        return
    begin = _REAL["time"]() if patch_time is True else patch_time
    functions = _Wall(clock, begin - start).functions()
    stand_ins: dict[int, Any] = {id(_REAL[name]): new for name, new in functions.items()}
    dates = _dates(functions["time"])
    stand_ins[id(_RealDatetime)] = dates["datetime"]
    stand_ins[id(_RealDate)] = dates["date"]
    undo: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for space in _spaces():
            for name, value in list(space.items()):
                if id(value) in stand_ins:
                    undo.append((space, name, value))
                    space[name] = stand_ins[id(value)]
        yield
    finally:
        for space, name, value in undo:
            space[name] = value


def _spaces() -> Iterator[dict[str, Any]]:
    """The modules of the program and its libraries, and `time` and `datetime` themselves."""
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        at_home = name in ("time", "datetime") or name == "__main__"
        if at_home or (top not in sys.stdlib_module_names and top not in ("miniloop", "_pytest")):
            space = getattr(module, "__dict__", None)
            if isinstance(space, dict):
                yield space
