"""What a caller gives as a body, turned into bytes: content, JSON, a form, files.

Files are read while they are sent, in threads, so a large one neither fills the memory nor holds
the loop.
"""

import asyncio
import contextlib
import io
import json as json_module
import os
import re
import stat
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, cast
from urllib.parse import urlencode

from .request import Content

Field = str | bytes | int | float | bool | None
_Pair = tuple[str, Field | Sequence[Field]]
Form = Mapping[str, Field | Sequence[Field]] | Sequence[_Pair] | Iterator[_Pair]
File = bytes | str | Path | IO[bytes]
# A file, or its name, itself, and perhaps its media type and further headers of its part. Without a
# name it is a field.
FileField = (
    File
    | tuple[str | None, File]
    | tuple[str | None, File, str | None]
    | tuple[str | None, File, str | None, Mapping[str, str]]
)
Files = Mapping[str, FileField | list[FileField]] | Sequence[tuple[str, FileField]]
Body = bytes | str | Path | IO[bytes] | AsyncIterable[bytes] | Iterable[bytes]

# What is read of a file at a time.
_PIECE = 64 * 1024


def content_of(
    content: Body | None = None,
    json: Any = None,
    data: Form | Body | None = None,
    files: Files | None = None,
) -> Content | None:
    """The body of a request, or None; raises ValueError if it is given in two ways."""
    files = files or None
    if content is None and data is not None and _is_body(data):
        if files is not None:
            raise TypeError("with files, data must be the fields of the form")
        content, data = cast("Body", data), None
    given = [name for name, it in (("content", content), ("json", json)) if it is not None]
    if data is not None or files is not None:
        given.append("data or files")
    if len(given) > 1:
        raise ValueError(f"a request has one body, got {' and '.join(given)}")
    form_data = cast("Form | None", data)  # or it would be one too many
    if files is not None:
        return _multipart(form_data or {}, files)
    if form_data is not None:
        form = urlencode([(name, _text(value)) for name, value in pairs(form_data)])
        return Content(form.encode("ascii"), media_type="application/x-www-form-urlencoded")
    if json is not None:
        text = json_module.dumps(json, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        # Half a surrogate pair has no UTF-8, and is valid JSON as an escape.
        encoded = _LONE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", text).encode()
        return Content(encoded, media_type="application/json")
    return None if content is None else _raw(content)


_LONE = re.compile("[\ud800-\udfff]")


def _is_body(data: object) -> bool:
    """Whether ``data`` is a body as it is, and no form."""
    return (
        isinstance(data, bytes | bytearray | memoryview | str | Path | AsyncIterable)
        or hasattr(data, "read")
        or (isinstance(data, Sequence) and len(data) > 0 and isinstance(data[0], bytes))
    )


def query_of(params: Form | str | bytes) -> str:
    """``params`` as they are appended to a URL."""
    if isinstance(params, bytes):
        params = params.decode("ascii")
    if isinstance(params, str):
        return params.removeprefix("?").replace("#", "%23")
    return urlencode([(name, _text(value)) for name, value in pairs(params)])


def pairs(form: Form) -> list[tuple[str, Field]]:
    """Names and values, one pair for each value of a list or the like."""
    items: Any = form.items() if isinstance(form, Mapping) else form
    flat: list[tuple[str, Field]] = []
    for item in items if isinstance(items, Iterable) else (items,):
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise TypeError(f"a form must be a mapping or pairs, got {form!r:.100}")
        name, value = item
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            flat.append((name, value))
        elif isinstance(value, Mapping):
            raise TypeError(f"the value of {name!r} must not be a mapping, got {value!r:.100}")
        else:
            flat.extend((name, each) for each in value)
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
    if isinstance(content, Mapping) or not isinstance(content, Iterable):
        raise TypeError(f"a body must be bytes, text, a file or pieces, got {content!r:.100}")
    return Content(
        pieces=lambda: _each(content), replayable=not isinstance(content, Iterator | AsyncIterator)
    )


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


class _Source:
    """One file: bytes, a path or something open for reading bytes.

    ``length`` is in bytes from where it stands; None for a pipe and the like, which can be read
    once.
    """

    def __init__(self, given: File) -> None:
        file: Any = given  # others may be given as well, by those who check no types
        if isinstance(file, str):
            file = file.encode()
        elif isinstance(file, bytearray | memoryview):
            file = bytes(file)
        elif not isinstance(file, bytes | Path) and not hasattr(file, "read"):
            raise TypeError(f"a file must be bytes, text, a path or open, got {file!r:.100}")
        if isinstance(file, io.TextIOBase):
            raise TypeError(f"a file must be open for reading bytes, not text: {file!r:.100}")
        self._file: bytes | Path | IO[bytes] = file
        self._start = 0
        self.length: int | None = None
        self.replayable = True
        if isinstance(file, bytes):
            self.length = len(file)
        elif isinstance(file, Path):
            known = file.stat()
            # A pipe, a terminal and the files of /proc have a size of 0 and yet something to read.
            if stat.S_ISREG(known.st_mode) and known.st_size:
                self.length = known.st_size
            else:
                self.replayable = stat.S_ISREG(known.st_mode)
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
                while piece := await asyncio.to_thread(file.read, _PIECE):
                    yield piece
        else:
            if self.replayable:
                await asyncio.to_thread(self._file.seek, self._start)
            while piece := await asyncio.to_thread(self._file.read, _PIECE):
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
    for name, field in _file_fields(files):
        filename, file, media_type, headers = _file_field(field)
        parts.append((_part_head(boundary, name, filename, media_type, headers), _Source(file)))
    end = f"--{boundary}--\r\n".encode()

    async def pieces() -> AsyncIterator[bytes]:
        for head, source in parts:
            yield head
            async with contextlib.aclosing(source.pieces()) as read:
                async for piece in read:
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


def _file_fields(files: Files) -> Iterator[tuple[str, FileField]]:
    """Each file with the name of its field, which several may have."""
    for name, field in files.items() if isinstance(files, Mapping) else files:
        for one in field if isinstance(field, list) else (field,):
            yield name, one


def _file_field(
    field: FileField,
) -> tuple[str | None, File, str | None, Mapping[str, str]]:
    media_type: str | None = None
    headers: Mapping[str, str] = {}
    if isinstance(field, tuple):
        if not 2 <= len(field) <= 4:
            raise TypeError(f"a file has a name, itself, a type and headers, got {field!r:.100}")
        filename, file, *more = cast("tuple[Any, ...]", field)
        media_type = more[0] if more else None
        headers = more[1] if len(more) > 1 else {}
    else:
        file = field
        filename = os.path.basename(
            str(getattr(file, "name", file if isinstance(file, Path) else ""))
        )
        filename = filename or "upload"
    if media_type is None and filename is not None:
        import mimetypes

        media_type = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return filename, file, media_type, headers


def _part_head(
    boundary: str,
    name: str,
    filename: str | None = None,
    media_type: str | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'
    if filename is not None:
        head += f'; filename="{_quoted(filename)}"'
    fields = dict(headers)
    if media_type is not None and "content-type" not in map(str.lower, headers):
        fields = {"Content-Type": media_type, **headers}
    for field, value in fields.items():
        if not f"{field}{value}".isprintable():
            raise ValueError(f"a header must be one line, got {field!r}: {value!r}")
        head += f"\r\n{field}: {value}"
    # A name of a file that is not UTF-8 goes as the bytes that it is.
    return f"{head}\r\n\r\n".encode(errors="surrogateescape")


def _quoted(text: str) -> str:
    """As the HTML standard has it ("multipart/form-data encoding algorithm")."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
