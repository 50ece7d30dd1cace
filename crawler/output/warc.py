"""A crawl as a WARC archive (ISO 28500, version 1.1): the requests and the replies, as they went.

Each record is a gzip member of its own, so that readers can jump to it, unless the file's name
ends in ``.warc``. The first says who wrote the file. Then each exchange is a ``response``, with the
bytes of the reply as the server sent them, chunks and all, and the ``request`` that asked for it.
What is left out, because readers could not cope or nobody should know:

* interim replies (1xx), and replies whose head did not come to its end,
* credentials for a proxy, in requests.

The digest of the payload is left out where the body has chunks: those who check it do not agree on
whether it is of the body with its chunks or without.
"""

import asyncio
import io
import platform
import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from .file import File
from .records import Block, Exchange

_HEAD_ENDS = re.compile(rb"\r?\n\r?\n")
_INTERIM = re.compile(rb"HTTP/\d\.\d +1(?!01)\d\d\b")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding[ \t]*:[^\r\n]*chunked")
_PROXY_SECRET = re.compile(rb"(?im)^proxy-authorization:[^\r\n]*\r\n")


class Archive:
    """A :class:`.target.Target` in a WARC file; ``written`` is the file's length in bytes."""

    def __init__(self, path: Path | int) -> None:
        plain = isinstance(path, Path) and path.suffix.lower() == ".warc"
        self._records = _Records(compressed=not plain)
        self._file = File(path)

    @property
    def patient(self) -> bool:
        """Whether writes end by themselves; see :class:`.target.Target`."""
        return self._file.patient

    @property
    def written(self) -> int:
        """How long the file is; see :class:`.target.Target`."""
        return self._file.written

    async def open(self, *, append: bool, journaled: bool = False) -> None:
        """Open it; see :class:`.target.Target`."""
        await self._file.open(append=append, journaled=journaled)
        if not journaled:
            try:
                await self._begin()
            except BaseException:
                await self._file.close()
                raise

    async def go_on_at(self, end: int) -> None:
        """Cut it back to this length; see :class:`.target.Target`."""
        await self._file.go_on_at(end)
        if not end:
            await self._begin()

    async def write(self, blocks: Sequence[Block]) -> None:
        """Compress and write, off the loop; see :class:`.target.Target`."""
        loop = asyncio.get_running_loop()
        exchanges = [exchange for block in blocks for exchange in block.record.exchanges]
        data = await loop.run_in_executor(None, lambda: [*self._records.of(exchanges)])
        await self._file.write(data)

    async def close(self) -> None:
        """Close it; see :class:`.target.Target`."""
        await self._file.close()

    async def _begin(self) -> None:
        path = self._file.path
        await self._file.write([self._records.about(path.name if isinstance(path, Path) else "")])


class _Head(StatusAndHeaders):  # type: ignore[misc]
    """The head of a message as it was sent, to the letter."""

    def __init__(self, head: bytes) -> None:
        super().__init__("", [])
        self.headers_buff = head

    def __bool__(self) -> bool:
        return True

    def compute_headers_buffer(self, header_filter: object = None) -> None:
        """Leave it as it is."""


class _Writer(WARCWriter):  # type: ignore[misc]
    def ensure_digest(
        self, record: ArcWarcRecord, block: bool = True, payload: bool = True
    ) -> None:
        """Add the digests that are wanted."""
        if record.rec_type == "request" or (
            record.rec_type == "response" and _CHUNKED.search(record.http_headers.headers_buff)
        ):
            payload = False
        super().ensure_digest(record, block, payload)


class _Records:
    """Makes WARC records, as bytes."""

    def __init__(self, *, compressed: bool) -> None:
        self._compressed = compressed
        self._made = io.BytesIO()
        self._writer = _Writer(self._made, gzip=False, warc_version="1.1")

    def about(self, name: str) -> bytes:
        """The record that begins a file."""
        about = {
            "software": f"miniloop crawler (Python {platform.python_version()})",
            "format": "WARC File Format 1.1",
            "conformsTo": "http://iipc.github.io/warc-specifications/specifications/warc-format/"
            "warc-1.1/",
        }
        return self._bytes_of(self._writer.create_warcinfo_record(name, about))

    def of(self, exchanges: Sequence[Exchange]) -> Iterator[bytes]:
        """The records of exchanges."""
        for exchange in exchanges:
            received = bytes(exchange.received)
            while _INTERIM.match(received) and (end := _HEAD_ENDS.search(received)) is not None:
                received = received[end.end() :]
            end = _HEAD_ENDS.search(received)
            if end is None:
                continue
            common = {
                "WARC-Date": datetime.fromtimestamp(exchange.time, UTC).strftime(
                    "%Y-%m-%dT%H:%M:%S.%fZ"
                )
            }
            if exchange.address:
                common["WARC-IP-Address"] = exchange.address
            fields = dict(common)
            if exchange.truncated:
                fields["WARC-Truncated"] = exchange.truncated
            head, body = received[: end.end()], received[end.end() :]
            response = self._record(exchange.url, "response", head, body, fields)
            fields = {**common, "WARC-Concurrent-To": response.rec_headers["WARC-Record-ID"]}
            sent = _PROXY_SECRET.sub(b"", bytes(exchange.sent))
            end = _HEAD_ENDS.search(sent)
            at = len(sent) if end is None else end.end()
            yield self._bytes_of(response)
            request = self._record(exchange.url, "request", sent[:at], sent[at:], fields)
            yield self._bytes_of(request)

    def _record(
        self, url: str, kind: str, head: bytes, body: bytes, fields: dict[str, str]
    ) -> ArcWarcRecord:
        return self._writer.create_warc_record(
            url, kind, payload=io.BytesIO(body), length=len(body), http_headers=_Head(head),
            warc_headers_dict=fields,
        )  # fmt: skip

    def _bytes_of(self, record: ArcWarcRecord) -> bytes:
        self._made.seek(0)
        self._made.truncate()
        self._writer.write_record(record)
        data = self._made.getvalue()
        if not self._compressed:
            return data
        return member(data)


def member(record: bytes) -> bytes:
    """A record as a gzip member of its own."""
    # The writer's own compression is at its slowest, for a few percent of the size.
    packing = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS + 16)
    return packing.compress(record) + packing.flush()
