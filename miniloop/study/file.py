"""The file of a recording: blocks, one behind the other, each deflated by itself.

A block is a letter, the size of what follows in four bytes (little-endian), and that much deflated
data (zlib). The file begins with a line of text that says what it is.

    H  once, first: JSON, about the program
    T  JSON: places, names and files, with their sources, that the records behind it may refer to
    L  records of one loop: the number of the loop and the size of a number, 4 or 8, in four bytes
       each, then the numbers of `records`
    E  once, last: JSON, how the recording ended

Blocks are only ever appended. So the file can be read even if the program was killed: a block that
was cut short is skipped.

The bytes of the numbers are put into rows before they are deflated, all first ones, all second ones
and so on: most numbers are small, and rows of zeros take no room and no time.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

__all__ = ["BlockFile", "NoRecording", "Ring", "blocks_in", "numbers_of"]

MAGIC = b"miniloop recording 1\n"

# Fast, and a fifth larger than at the best level. The program waits while a block is deflated.
_LEVEL = 1

_HEAD = struct.Struct("<cI")
_LOOP = struct.Struct("<II")


class NoRecording(ValueError):
    """The file is not a recording."""


def pack_json(letter: bytes, value: Any) -> bytes:
    """A block of JSON."""
    return _pack(letter, json.dumps(value, separators=(",", ":")).encode())


def pack_records(loop: int, numbers: list[int]) -> bytes:
    """A block of records."""
    size = 4
    try:
        data = struct.pack(f"<{len(numbers)}i", *numbers)
    except struct.error:  # one needs 8 bytes, which is rare: a sleep of many seconds has ended
        size = 8
        data = struct.pack(f"<{len(numbers)}q", *numbers)
    rows = b"".join(data[row::size] for row in range(size))
    return _pack(b"L", _LOOP.pack(loop, size) + rows)


def _pack(letter: bytes, data: bytes) -> bytes:
    deflated = zlib.compress(data, _LEVEL)
    return _HEAD.pack(letter, len(deflated)) + deflated


def numbers_of(data: bytes) -> tuple[int, tuple[int, ...]]:
    """The loop, and the records, of a block of them."""
    loop, size = _LOOP.unpack_from(data)
    rows = memoryview(data)[_LOOP.size :]
    count = len(rows) // size
    together = bytearray(len(rows))
    for row in range(size):
        together[row::size] = rows[row * count : (row + 1) * count]
    return loop, struct.unpack(f"<{count}{'i' if size == 4 else 'q'}", together)


class BlockFile:
    """Appends blocks to a file. Several threads may do so."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._lock = threading.RLock()  # a signal's handler may come in between
        self._path = path
        self._file: BinaryIO | None = open(path, "wb", buffering=0)  # noqa: SIM115  # see close
        try:
            self._write(MAGIC)
        except OSError:
            self._file.close()
            raise

    def add(self, block: bytes) -> None:
        """Write a block; after `close` nothing is written."""
        with self._lock:
            self._write(block)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        with _named(self._path):
            while self._file is not None and rest:
                rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """No more blocks."""
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                with _named(self._path):
                    file.close()


class Ring:
    """Keeps the blocks of the last turns, for a file that is written when somebody asks for it."""

    def __init__(self, turns: int) -> None:
        self._most_turns = turns
        self._lock = threading.RLock()  # a signal's handler may come in between
        self._always: list[bytes] = []
        self._records: deque[tuple[bytes, int, int]] = deque()
        self._turns = 0
        self.steps_dropped = 0

    def add(self, block: bytes) -> None:
        """Keep a block for ever: what others refer to."""
        with self._lock:
            self._always.append(block)

    def add_records(self, block: bytes, turns: int, steps: int) -> None:
        """Keep a block of records until enough turns came after it."""
        with self._lock:
            self._records.append((block, turns, steps))
            self._turns += turns
            while self._records and self._turns - self._records[0][1] >= self._most_turns:
                _, gone, steps_gone = self._records.popleft()
                self._turns -= gone
                self.steps_dropped += steps_gone

    def write(self, path: str | os.PathLike[str], *last: bytes) -> None:
        """Write what there is, and these blocks behind it. The file is never seen half written.

        Only a file can be replaced by another. A pipe or a device is written to, and the file that
        a symbolic link names is replaced, not the link.
        """
        with self._lock:
            blocks = [*self._always, *(block for block, _, _ in self._records), *last]
        data = b"".join([MAGIC, *blocks])
        path = os.path.realpath(path)
        if os.path.exists(path) and not os.path.isfile(path):
            with _named(path), open(path, "wb") as file:
                file.write(data)
            return
        beside = f"{path}.{os.getpid()}.part"
        try:
            with _named(path), open(beside, "wb") as file:
                file.write(data)
            os.replace(beside, path)
        except OSError:
            with suppress(OSError):
                os.unlink(beside)  # half a file is useless
            raise


@contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Have an error of writing say which file it is about, as one of opening does."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def blocks_in(path: str | os.PathLike[str]) -> Iterator[tuple[str, bytes]]:
    """The letter and the content of each block that is whole.

    Raises OSError, and NoRecording for a file of another kind.
    """
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise NoRecording(
                f"{os.fspath(path)} is not a recording of miniloop, or of another version"
            )
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            letter, size = _HEAD.unpack(head)
            deflated = file.read(size)
            if len(deflated) < size:
                return
            try:
                yield letter.decode("latin-1"), zlib.decompress(deflated)
            except zlib.error:
                return
