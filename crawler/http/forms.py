"""What a caller gives as a body, turned into bytes: content, JSON, a form, files.

Files are read while they are sent, in threads, so a large one neither fills the memory nor holds
the loop.
"""

import asyncio
import io
import json as json_module
import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlencode

from .request import Content

Field = str | bytes | int | float | bool | None
Form = Mapping[str, Field | Sequence[Field]] | Sequence[tuple[str, Field]]
File = bytes | str | Path | IO[bytes]
# A file, or its name, itself and perhaps its media type. Without a name it is a field.
FileField = File | tuple[str | None, File] | tuple[str | None, File, str]
Files = Mapping[str, FileField] | Sequence[tuple[str, FileField]]
Body = bytes | str | Path | IO[bytes] | AsyncIterable[bytes] | Iterable[bytes]

# What is read of a file at a time.
_PIECE = 64 * 1024


def content_of(
    content: Body | None = None,
    json: Any = None,
    data: Form | bytes | str | None = None,
    files: Files | None = None,
) -> Content | None:
    """The body of a request, or None; raises ValueError if it is given in two ways."""
    if isinstance(data, bytes | str) and content is None:
        content, data = data, None
    given = [name for name, it in (("content", content), ("json", json)) if it is not None]
    if data is not None or files is not None:
        given.append("data or files")
    if len(given) > 1:
        raise ValueError(f"a request has one body, got {' and '.join(given)}")
    assert not isinstance(data, bytes | str)  # then it would be one too many
    if files is not None:
        return _multipart(data or {}, files)
    if data is not None:
        form = urlencode([(name, _text(value)) for name, value in pairs(data)])
        return Content(form.encode("ascii"), media_type="application/x-www-form-urlencoded")
    if json is not None:
        text = json_module.dumps(json, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return Content(text.encode(), media_type="application/json")
    return None if content is None else _raw(content)


def query_of(params: Form | str) -> str:
    """``params`` as they are appended to a URL."""
    if isinstance(params, str):
        return params.removeprefix("?")
    return urlencode([(name, _text(value)) for name, value in pairs(params)])


def pairs(form: Form) -> list[tuple[str, Field]]:
    """Names and values, one pair for each value of a list."""
    items: Iterable[tuple[str, Any]] = form.items() if isinstance(form, Mapping) else form
    flat: list[tuple[str, Field]] = []
    for name, value in items:
        if isinstance(value, list | tuple):
            flat.extend((name, item) for item in value)
        else:
            flat.append((name, value))
    return flat


def _text(value: Field) -> str | bytes:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str | bytes) else str(value)


def _raw(content: Body) -> Content:
    if isinstance(content, bytes | bytearray | memoryview):
        return Content(bytes(content))
    if isinstance(content, str):
        return Content(content.encode(), media_type="text/plain; charset=utf-8")
    if isinstance(content, AsyncIterable):
        return Content(pieces=lambda: aiter(content))
    if isinstance(content, Path) or hasattr(content, "read"):
        source = _Source(cast("Path | IO[bytes]", content))
        return Content(pieces=source.pieces, length=source.length, replayable=source.replayable)
    return Content(pieces=lambda: _each(content))


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


class _Source:
    """One file: bytes, a path or something open for reading bytes.

    ``length`` is in bytes from where it stands; None for a pipe and the like, which can be read
    once.
    """

    def __init__(self, file: File) -> None:
        if isinstance(file, str):
            file = file.encode()
        self._file = file
        self._start = 0
        self.length: int | None = None
        self.replayable = True
        if isinstance(file, bytes):
            self.length = len(file)
        elif isinstance(file, Path):
            self.length = file.stat().st_size
        else:
            try:
                self._start = file.tell()
                self.length = file.seek(0, os.SEEK_END) - self._start
                file.seek(self._start)
            except (OSError, AttributeError, io.UnsupportedOperation):
                self.replayable = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """From the beginning, each time."""
        if isinstance(self._file, bytes):
            yield self._file
        elif isinstance(self._file, Path):
            with await asyncio.to_thread(self._file.open, "rb") as file:
                async for piece in _reading(file):
                    yield piece
        else:
            if self.replayable:
                await asyncio.to_thread(self._file.seek, self._start)
            async for piece in _reading(self._file):
                yield piece


async def _reading(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _PIECE):
        yield piece


def _multipart(data: Form, files: Files) -> Content:
    """``multipart/form-data`` (RFC 7578): the fields, then the files."""
    import secrets

    boundary = secrets.token_hex(16)
    parts: list[tuple[bytes, _Source]] = []
    for name, value in pairs(data):
        text = _text(value)
        encoded = text.encode() if isinstance(text, str) else text
        parts.append((_part_head(boundary, name), _Source(encoded)))
    for name, field in files.items() if isinstance(files, Mapping) else files:
        filename, file, media_type = _file_field(field)
        parts.append((_part_head(boundary, name, filename, media_type), _Source(file)))
    end = f"--{boundary}--\r\n".encode()

    async def pieces() -> AsyncIterator[bytes]:
        for head, source in parts:
            yield head
            async for piece in source.pieces():
                yield piece
            yield b"\r\n"
        yield end

    length: int | None = len(end)
    for head, source in parts:
        if length is None or source.length is None:
            length = None
        else:
            length += len(head) + source.length + 2
    return Content(
        pieces=pieces,
        length=length,
        media_type=f"multipart/form-data; boundary={boundary}",
        replayable=all(source.replayable for _, source in parts),
    )


def _file_field(field: FileField) -> tuple[str | None, File, str | None]:
    if isinstance(field, tuple):
        filename, file = field[0], field[1]
        media_type = field[2] if len(field) == 3 else None
    else:
        file, media_type = field, None
        filename = os.path.basename(
            str(getattr(file, "name", file if isinstance(file, Path) else ""))
        )
        filename = filename or "upload"
    if media_type is None and filename is not None:
        import mimetypes

        media_type = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return filename, file, media_type


def _part_head(
    boundary: str, name: str, filename: str | None = None, media_type: str | None = None
) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'
    if filename is not None:
        head += f'; filename="{_quoted(filename)}"'
    if media_type is not None:
        if not media_type.isprintable():
            raise ValueError(f"a media type must be one line, got {media_type!r}")
        head += f"\r\nContent-Type: {media_type}"
    return f"{head}\r\n\r\n".encode()


def _quoted(text: str) -> str:
    """As the HTML standard has it ("multipart/form-data encoding algorithm")."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
