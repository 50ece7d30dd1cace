"""Places: the lines of the program, each with a number.

A frame's place is known by its code and the instruction at which it stands. The two are one number:
a code object holds its instructions in itself, so its address and an offset into them lie within
its own memory, where no other object can be. A code object that has a number is kept alive, so that
no other object gets its address. A step of a task costs one such lookup; a line is worked out once.

Lines of the program and its libraries are shown. The standard library stands between the program
and the loop: a line of it is shown only if there is no line of the program below it. Lines of our
own code are never shown; they only name a callback of ours.
"""

from __future__ import annotations

import asyncio
import linecache
import os
import sysconfig
import threading
from types import CodeType, CoroutineType, FrameType, GeneratorType, TracebackType
from typing import Any

from miniloop.kernel.handle import Handle
from miniloop.kernel.scheduler import Scheduler
from miniloop.kernel.task import Task

__all__ = ["Places"]

# Whose a piece of code is. A leaf is a coroutine of the standard library that awaits no other.
PROGRAM, STANDARD, OURS, ENTRY, LEAF = range(5)

_OUR_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STANDARD_FOLDERS = tuple(
    folder + os.sep for folder in {sysconfig.get_path("stdlib"), os.path.dirname(os.__file__)}
)
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")

# The callers of these did not ask for what is being done.
_ENTRIES = (Task._run.__code__, Handle._run.__code__, Scheduler.run_turns.__code__)
SLEEP = asyncio.sleep.__code__


class Places:
    """The table of places, names and files of a recording. It may be used by several threads."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}  # by the address in the code, see above
        # The same, of the program's lines that await `asyncio.sleep`: `Recorder` looks here first.
        self.sleeps: dict[int, int] = {}
        self._owners: dict[int, int] = {id(code): ENTRY for code in _ENTRIES}
        self._owners |= {id(SLEEP): LEAF}
        self._codes: list[CodeType] = [*_ENTRIES, SLEEP]  # so that the addresses stay theirs
        self._lock = threading.RLock()  # a signal's handler may come in between
        self._files: dict[str, int] = {}
        self._names: dict[str, int] = {}
        # What has been added since somebody has last taken it.
        self._new_places: list[tuple[int, int, str]] = []
        self._new_files: list[dict[str, Any]] = []
        self._new_names: list[str] = []
        self._globals: list[dict[str, Any] | None] = []

    def owner_of(self, code: CodeType) -> int:
        """Whose a piece of code is: PROGRAM, STANDARD, OURS, or ENTRY, which runs an entry."""
        owner = self._owners.get(id(code))
        return self._classify(code) if owner is None else owner

    # Numbers.

    def of_caller(self, frame: FrameType | None) -> int:
        """The line of the program that led to `frame`; of the standard library if there is none."""
        owners = self._owners
        between: FrameType | None = None
        while frame is not None:
            code = frame.f_code
            owner = owners.get(id(code))
            if owner is None:
                owner = self._classify(code)
            if owner == PROGRAM:
                return self.of_frame(frame)
            if owner == ENTRY:
                break
            if owner != OURS and between is None:
                between = frame
            frame = frame.f_back
        return -1 if between is None else self.of_frame(between)

    def of_frame(self, frame: FrameType) -> int:
        """The line at which a frame stands."""
        code = frame.f_code
        number = self._numbers.get(id(code) + frame.f_lasti)
        if number is None:
            number = self._add(id(code) + frame.f_lasti, code, frame.f_lineno or 0, frame.f_globals)
        return number

    def of_coroutine(self, coroutine: Any) -> int:
        """The line of the innermost coroutine of the program which awaits, in this chain."""
        owners = self._owners
        # First go down to the innermost coroutine, and do as little as possible for each: a chain
        # may be long. It mostly ends in the program, at a future or just before `asyncio.sleep`.
        outer, inner = None, coroutine
        if type(inner) is CoroutineType:
            while type(further := inner.cr_await) is CoroutineType:
                outer, inner = inner, further
            owner = owners.get(id(inner.cr_code))
            if slept := owner == LEAF and outer is not None:
                inner = outer
                owner = owners.get(id(inner.cr_code))
            elif type(further) is GeneratorType and owners.get(id(further.gi_code)) != OURS:
                owner = None
            if owner == PROGRAM and (frame := inner.cr_frame) is not None:
                number = self.of_frame(frame)
                if slept:
                    self.sleeps[id(frame.f_code) + frame.f_lasti] = number
                return number
        best: Any = None
        slept = False
        coro: Any = coroutine
        while True:
            if type(coro) is CoroutineType:
                owner = owners.get(id(coro.cr_code))
                if owner is None:
                    owner = self._classify(coro.cr_code)
                if owner == PROGRAM:
                    best = coro
                elif owner != OURS:
                    if best is None:
                        best = coro
                    if owner == LEAF:
                        slept = True
                        break
                coro = coro.cr_await
            elif type(coro) is GeneratorType:
                owner = self.owner_of(coro.gi_code)
                if owner == PROGRAM or (owner == STANDARD and best is None):
                    best = coro
                coro = coro.gi_yieldfrom
            else:
                break
        if best is None:
            return -1
        frame = best.cr_frame if type(best) is CoroutineType else best.gi_frame
        if frame is None:
            return -1
        number = self.of_frame(frame)
        if slept and self.owner_of(frame.f_code) == PROGRAM:
            self.sleeps[id(frame.f_code) + frame.f_lasti] = number
        return number

    def of_failure(self, error: BaseException, trace: TracebackType | None = None) -> int:
        """The line of the program that raised, or through which it came."""
        best = None
        trace = trace or error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            owner = self._owners.get(id(code))
            if owner is None:
                owner = self._classify(code)
            if owner == PROGRAM or (owner in (STANDARD, LEAF) and best is None):
                best = trace
            trace = trace.tb_next
        if best is None:
            return -1
        code, offset = best.tb_frame.f_code, best.tb_lasti
        number = self._numbers.get(id(code) + offset)
        if number is None:
            number = self._add(id(code) + offset, code, best.tb_lineno, best.tb_frame.f_globals)
        return number

    def of_code(self, code: CodeType) -> int:
        """A function as a whole: the line on which it begins."""
        # Instructions stand at even offsets.
        number = self._numbers.get(id(code) + 1)
        if number is None:
            number = self._add(id(code) + 1, code, code.co_firstlineno, None)
        return number

    def of_name(self, name: str) -> int:
        """A name that has no place, as a number from -2 downwards."""
        number = self._names.get(name)
        if number is None:
            with self._lock:
                number = self._names.get(name)
                if number is None:
                    number = self._names[name] = -2 - len(self._names)
                    self._new_names.append(name)
        return number

    # Adding.

    def _classify(self, code: CodeType) -> int:
        path = code.co_filename
        if path.startswith(_OUR_FOLDER):
            owner = OURS
        elif path.startswith("<frozen") or (
            path.startswith(_STANDARD_FOLDERS)
            and not any(folder in path for folder in _PACKAGE_FOLDERS)
        ):
            owner = STANDARD
        else:
            owner = PROGRAM
        with self._lock:
            self._owners[id(code)] = owner
            self._codes.append(code)
        return owner

    def _add(self, key: int, code: CodeType, line: int, space: dict[str, Any] | None) -> int:
        if id(code) not in self._owners:
            self._classify(code)
        with self._lock:
            number = self._numbers.get(key)
            if number is None:
                file = self._file(code, space)
                self._new_places.append((file, line, code.co_qualname))
                number = self._numbers[key] = len(self._numbers)
        return number

    def _file(self, code: CodeType, space: dict[str, Any] | None) -> int:
        path = code.co_filename
        number = self._files.get(path)
        if number is None:
            number = self._files[path] = len(self._files)
            owner = self._owners[id(code)]
            if owner in (OURS, ENTRY):
                kind = "miniloop"
            elif owner != PROGRAM:
                kind = "asyncio" if f"{os.sep}asyncio{os.sep}" in path else "library"
            else:
                kind = "program"
                if any(f"{os.sep}{folder}{os.sep}" in path for folder in _PACKAGE_FOLDERS):
                    kind = "library"
            self._new_files.append({"name": os.path.basename(path), "path": path, "kind": kind})
            self._globals.append(space)
        return number

    # Taking.

    def take_new(self) -> dict[str, Any]:
        """What was added since the last time, with the sources of the files."""
        with self._lock:
            places, self._new_places = self._new_places, []
            names, self._new_names = self._new_names, []
            files, self._new_files = self._new_files, []
            spaces, self._globals = self._globals, []
        for file, space in zip(files, spaces, strict=True):
            file["source"] = "".join(linecache.getlines(file["path"], space)) or None
        return {"files": files, "places": places, "names": names}
