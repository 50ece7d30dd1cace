"""A recording under way: which loops are recorded, and where the records go.

`recording(path)` records within a program, `record_program` the whole of one, for `python -m
miniloop --record`. Both are a `Session`, which has the places and the file, and a recorder for each
loop. What ends a program ends the recording: its last line, an exception, SIGTERM. If the process
is ended by something that cannot be caught, the file ends with the last block that was written.

With `last`, only that many turns are kept, in memory, and written at the end or when somebody asks.

A failure of the recorder must not harm the program. If the file cannot be written any more, as when
the disk is full, the recording stops there and the program goes on; `end` raises the error.
"""

from __future__ import annotations

import asyncio
import errno
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter_ns
from typing import Any
from weakref import WeakSet

from miniloop.kernel import COMPILED
from miniloop.loop import EventLoop
from miniloop.study.file import BlockFile, Ring, pack_json, pack_records
from miniloop.study.places import Places
from miniloop.study.probing import probe_for_recorder, stop_probing_for_recorder
from miniloop.study.recorder import Recorder

__all__ = ["Session", "describe_end", "recording"]

# A block of records ends after so many turns at the latest, as a part of those to be kept.
_PARTS = 8

# Files that are being written by this process: two recordings in one file would spoil each other.
_under_way: set[Path] = set()


class Session:
    """Records loops into `path`, from `start` to `end`."""

    def __init__(
        self, path: str | os.PathLike[str], *, last: int | None = None, program: str | None = None
    ) -> None:
        if COMPILED:
            raise RuntimeError(
                "this miniloop is compiled, and only its files of Python can be watched: "
                "set MINILOOP_PURE=1 in the environment"
            )
        if last is not None and last < 1:
            raise ValueError(f"last must be a number of turns, 1 or more, got {last}")
        self.path = Path(path).absolute()
        self.is_page = self.path.suffix in (".html", ".htm")
        self._process = os.getpid()
        self._places = Places()
        self._origin = perf_counter_ns()
        self._recorders: WeakSet[Recorder] = WeakSet()
        self._loops = 0
        self._last = last
        header = {
            "program": " ".join(sys.argv) if program is None else program,
            "python": platform.python_version(),
            "platform": sys.platform,
            "loop": f"miniloop {_version()}",
            "started": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "last": last,
        }
        self.how = "returned"  # how the recording ends, unless `end` is told otherwise
        self._ended = False
        self.failure: OSError | None = None  # why the rest is not written
        self.when_it_fails: Callable[[OSError], object] | None = None
        self._check_path()
        self._ring = None if last is None else Ring(last)
        self._file = None
        if self._ring is None:
            self._file = BlockFile(self._data_path())
            try:
                self._file.add(pack_json(b"H", header))
            except OSError:
                self._file.close()
                raise
        else:
            self._ring.add(pack_json(b"H", header))
        self._real_path = self.path.resolve()
        if self._last is not None or self._data_path().is_file():  # and not a device
            _under_way.add(self._real_path)
        probe_for_recorder()

    def _check_path(self) -> None:
        """Refuse a path that would fail only at the end, when the recording would be lost."""
        if self.path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self.path))
        if self.path.resolve() in _under_way:
            raise FileExistsError(
                f"{self.path} is the file of a recording that is under way: take another name"
            )
        if self.path.exists() and not os.access(self.path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.path))
        folder = self.path.resolve().parent
        if self._last is not None and not os.access(folder, os.W_OK):
            raise PermissionError(f"cannot write {self.path}: its folder is not writable")

    def _data_path(self) -> Path:
        """Where the records go: beside the page that is made of them in the end."""
        return self.path.with_name(self.path.name + ".part") if self.is_page else self.path

    # Loops.

    def record_new_loops(self) -> None:
        """Record every loop that is made from now on, until the end."""
        EventLoop.when_made.append(self.record)

    def record(self, loop: EventLoop) -> Recorder:
        """Record this loop."""
        number, self._loops = self._loops, self._loops + 1

        def write(data: list[int], turns: int, steps: int) -> None:
            self._write(number, data, turns, steps)

        most = None if self._last is None else max(1, self._last // _PARTS)
        recorder = Recorder(loop, self._places, write, origin=self._origin, most_turns=most)
        self._recorders.add(recorder)
        recorder.put_in()
        return recorder

    def _write(self, loop: int, data: list[int], turns: int, steps: int) -> None:
        if self._ended or os.getpid() != self._process:
            return  # a child that was forked: the file is its parent's
        if self.failure is not None:
            return  # nothing behind a block that is cut short could be read
        try:
            self._write_tables()
            block = pack_records(loop, data)
            if self._ring is None:
                assert self._file is not None
                self._file.add(block)
            else:
                self._ring.add_records(block, turns, steps)
        except OSError as error:
            self.failure = error
            if self.when_it_fails is not None:
                self.when_it_fails(error)

    def _write_tables(self) -> None:
        new = self._places.take_new()
        if any(new.values()):
            block = pack_json(b"T", new)
            (self._file or self._ring).add(block)  # type: ignore[union-attr]  # there is one

    # The end.

    def snapshot(self) -> None:
        """Write the last turns now, and go on. Only for a session with `last`.

        Raises OSError if they cannot be written; they are kept all the same.
        """
        if self._ring is not None and os.getpid() == self._process:
            for recorder in list(self._recorders):
                recorder.flush()
            self._write_ring("stopped")

    def end(self, how: str | None = None) -> None:
        """Stop recording and complete the file. Doing it twice does nothing.

        Raises OSError if not all of it could be written.
        """
        how = self.how if how is None else how
        if self._ended or os.getpid() != self._process:
            return
        _under_way.discard(self._real_path)
        if self.record in EventLoop.when_made:
            EventLoop.when_made.remove(self.record)
        for recorder in list(self._recorders):
            recorder.take_out()
        stop_probing_for_recorder()
        self._ended = True
        if self._ring is not None:
            self._write_tables()
            self._write_ring(how)
            return
        assert self._file is not None
        try:
            if self.failure is not None:
                raise self.failure
            self._write_tables()
            self._file.add(pack_json(b"E", self._trailer(how)))
        finally:
            self._file.close()
        self._make_page(self._data_path())

    def _trailer(self, how: str) -> dict[str, Any]:
        dropped = 0 if self._ring is None else self._ring.steps_dropped
        return {"ended": how, "dropped": dropped, "nanoseconds": perf_counter_ns() - self._origin}

    def _write_ring(self, how: str) -> None:
        assert self._ring is not None
        self._ring.write(self._data_path(), pack_json(b"E", self._trailer(how)))
        self._make_page(self._data_path())

    def _make_page(self, data: Path) -> None:
        if self.is_page:
            # Only now, as neither is needed to record.
            from miniloop.study.page import write
            from miniloop.study.reading import read

            try:
                write(read(data), self.path)
            except OSError as error:
                if self.path.is_file():
                    self.path.unlink()  # half a page
                error.filename = f"{self.path} (the recording itself is in {data})"
                raise
            data.unlink()


@contextmanager
def recording(
    path: str | os.PathLike[str],
    *,
    loop: EventLoop | None = None,
    last: int | None = None,
) -> Iterator[Session]:
    """Record a loop of miniloop for as long as the `with` block lasts.

    `path` is the file, which is replaced: a recording, or a page if its name ends in `.html`.
    `loop` is the loop; by default the one that runs, or, if none does, every loop that is made
    within the block. Only the last `last` turns are kept, if that is given.

    Raises TypeError if the running loop is not miniloop's, OSError if the file cannot be written:
    at the beginning of the block or, if the disk is full later on, at its end.
    """
    if loop is None:
        loop = asyncio._get_running_loop()  # type: ignore[assignment]  # told apart below
    if loop is not None and not isinstance(loop, EventLoop):
        raise TypeError(f"only loops of miniloop can be recorded, got {loop!r}")
    if loop is not None and loop.is_closed():
        raise RuntimeError("a loop that is closed cannot be recorded")
    session = Session(path, last=last)
    if loop is None:
        session.record_new_loops()
    else:
        session.record(loop)
    try:
        yield session
    except BaseException as error:
        try:
            session.end(describe_end(error))
        except OSError as failure:
            error.add_note(f"and the recording of it is not whole: {failure}")
        raise
    session.end()


def describe_end(error: BaseException) -> str:
    """How a program ended that has raised this."""
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return "returned"
    text = str(error)
    name = type(error).__qualname__
    return f"failed: {name}: {text}" if text else f"failed: {name}"


def _version() -> str:
    return str(vars(sys.modules[__name__.partition(".")[0]])["__version__"])
