"""Undoing Content-Encoding, piece by piece, with a limit on what comes out.

Rules:

1. A few kilobytes can hold gigabytes of zeros, so all is decoded in pieces of a bounded size, and
   each is counted before the next is made. Where the codings are nested, each layer has the limit.
2. Each byte is fed once. Where a stream ends and what follows is no other stream, the rest is
   dropped unread.
3. Faults of servers that browsers accept are accepted, and the record says so:
   :attr:`Inflater.flags` has ``padded`` (something follows the stream), ``cut-short`` (all is there
   but its checksum) and ``unknown-coding`` (a name in the field that is no coding: the body was
   sent as it is).
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

# Each is a library in C that some Pythons have no build of. What is not there is not asked for.
brotli: Any = None
zstd: Any = None
try:
    import brotli as _brotli

    brotli = _brotli
except ImportError:
    pass
try:
    if sys.version_info >= (3, 14):
        import compression.zstd as _zstd
    else:
        import backports.zstd as _zstd
    zstd = _zstd
except ImportError:
    pass

# What a request may announce in Accept-Encoding, all of which `decoder` understands.
ACCEPTED = b"gzip, deflate" + b", br" * (brotli is not None) + b", zstd" * (zstd is not None)

PADDED = "padded"
CUT_SHORT = "cut-short"
UNKNOWN_CODING = "unknown-coding"

# zlib's name for "expect a gzip header" and "expect no header at all" (zlib.h, inflateInit2).
_GZIP = zlib.MAX_WBITS | 16
_RAW = -zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
# An empty member of gzip is 20 bytes, and a decompressor for each takes a microsecond. No server
# sends as many members as this.
_MAX_MEMBERS = 10_000
# What a frame of zstd may ask for as its window: 8 MiB, as RFC 9659 has it.
_ZSTD_WINDOW_LOG = 23
# How much is asked of a decompressor at a time.
_CHUNK = 256 * 1024
# And what it is given at a time.
_SLICE = 16 * 1024
# What is kept of a body in brotli, to read it once more, on the wire.
_KEPT = 16 * 1024 * 1024
# Nobody compresses a body more often than this.
_MAX_LAYERS = 2


class Overflow(Exception):
    """The decoded body is larger than the limit."""


class DecodeError(zlib.error):
    """The body is not what its Content-Encoding says."""


_TOO_SOON = "the compressed stream ends too soon"


class _Layer(Protocol):
    """One coding. ``pieces`` decodes what has come, a chunk or little more at a time."""

    flags: set[str]

    def pieces(self, data: bytes) -> Iterator[bytes]: ...

    def finish(self) -> None: ...


class Inflater:
    """Decodes one body through one or more codings.

    ``flags`` says what had to be forgiven; it is complete after :meth:`finish`.
    """

    __slots__ = ("_layers", "_left", "flags")

    def __init__(self, layers: list[_Layer], limit: int) -> None:
        self._layers = layers
        self._left = [limit] * len(layers)
        self.flags: set[str] = set()

    def feed(self, data: bytes | bytearray) -> bytes:
        """Decode a piece; raises :class:`Overflow` past the limit and ``zlib.error`` on rubbish."""
        out = list(self.pieces(data))
        return out[0] if len(out) == 1 else b"".join(out)

    def pieces(self, data: bytes | bytearray) -> Iterator[bytes]:
        """The same, of bounded size each, however much comes of it: take all of them."""
        source: Iterator[bytes] = iter((bytes(data),))
        for number in range(len(self._layers)):
            source = self._through(number, source)
        return source

    def _through(self, number: int, source: Iterator[bytes]) -> Iterator[bytes]:
        layer = self._layers[number]
        for data in source:
            for piece in layer.pieces(data):
                self._left[number] -= len(piece)
                if self._left[number] < 0:
                    raise Overflow
                yield piece

    def finish(self) -> None:
        """Say that the body is over; raises ``zlib.error`` if the compressed stream is not."""
        for layer in self._layers:
            layer.finish()
            self.flags |= layer.flags


def decoder(content_encoding: str, limit: int) -> Inflater | None:
    """The decoder for a ``Content-Encoding`` value, or None where the body is sent as it is.

    ``limit`` is in bytes of decoded body. Names that are no coding, such as ``utf-8``, ``none`` or
    ``aws-chunked``, are passed over, with a flag. Raises ``ValueError`` for more codings than
    anyone applies, and for one that was not asked for.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if not names:
        return None
    layers = [_LAYERS[name]() for name in reversed(names) if name in _LAYERS]
    if len(layers) > _MAX_LAYERS:
        raise ValueError(f"at most {_MAX_LAYERS} content codings are undone, got {len(layers)}")
    if not_here := [name for name in names if name in _CODINGS and name not in _LAYERS]:
        accepted = ACCEPTED.decode()
        raise ValueError(f"the content coding must be of {accepted}, got {', '.join(not_here)}")
    made = Inflater(layers, limit)
    if any(name not in _CODINGS for name in names):
        made.flags.add(UNKNOWN_CODING)
    return made


class _Inflate:
    """Gzip or deflate.

    A gzip body may consist of several members (RFC 1952, section 2.2). "deflate" means the zlib
    format (RFC 9110, section 8.4.1.2), yet some servers send the bare deflate stream, and some gzip
    under either name: the first two bytes tell them apart.
    """

    def __init__(self) -> None:
        self.flags: set[str] = set()
        self._head = b""  # not enough to know what it is, at the beginning or after a member
        self._inflate: zlib._Decompress | None = None
        self._gzip = self._over = False
        self._members = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        # In slices, as each member copies what follows it.
        for start in range(0, len(data), _SLICE):
            if self._over:
                self.flags.add(PADDED)
                break
            yield from self._slice(data[start : start + _SLICE])

    def _slice(self, data: bytes) -> Iterator[bytes]:
        while not self._over:
            if self._inflate is None:
                data = self._head + data
                if len(data) < 2:
                    self._head = data
                    break
                self._head = b""
                if not self._begin(data):
                    break
            assert self._inflate is not None
            piece = self._inflate.decompress(data, _CHUNK)
            if piece:
                yield piece
            if not self._inflate.eof:
                data = self._inflate.unconsumed_tail
                if len(piece) < _CHUNK:
                    break
                continue  # there may be more although all was read
            data = self._inflate.unused_data
            self._inflate = None
            self._members += 1
            self._over = not self._gzip
            if self._over and data:
                self.flags.add(PADDED)

    def _begin(self, data: bytes) -> bool:
        """Begin a member, if ``data`` is the beginning of one."""
        gzip = data.startswith(_GZIP_MAGIC)
        if self._members and (not gzip or self._members == _MAX_MEMBERS):
            self.flags.add(PADDED)
            self._over = True
            return False
        self._gzip = gzip
        self._inflate = zlib.decompressobj(_GZIP if gzip else _window(data))
        return True

    def finish(self) -> None:
        if self._inflate is not None:
            if not _lacks_only_its_checksum(self._inflate):
                raise DecodeError(_TOO_SOON)
            self.flags.add(CUT_SHORT)
        elif self._head:
            if not self._members:
                raise DecodeError(_TOO_SOON)
            self.flags.add(PADDED)


def _lacks_only_its_checksum(machine: "zlib._Decompress") -> bool:
    """Whether the data is complete: then whatever bits follow are taken for the checksum."""
    for bits in (b"\x00", b"\xff"):
        trial = machine.copy()
        try:
            trial.decompress(bits * 8)
        except zlib.error as error:
            if "check" not in str(error):
                return False
        else:
            if not trial.eof:
                return False
    return True


class _Brotli:
    """Brotli (RFC 7932).

    The library takes it for an error when anything follows the stream, and then loses what it had
    decoded. So the beginning of what was fed is kept, and read once more.
    """

    def __init__(self) -> None:
        self.flags: set[str] = set()
        self._machine = brotli.Decompressor()
        self._fed: list[bytes] = []
        self._size = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _SLICE):
            if self._machine.is_finished():
                self.flags.add(PADDED)
                break
            wire = data[start : start + _SLICE]
            given = 0
            try:
                for piece in _unbrotli(self._machine, wire):
                    given += len(piece)
                    yield piece
            except brotli.error as error:
                yield from self._last(wire, given, error)
            self._size += len(wire)
            if self._size <= _KEPT:
                self._fed.append(wire)
            else:
                self._fed.clear()

    def _last(self, data: bytes, given: int, error: Exception) -> Iterator[bytes]:
        """Read a piece in which the stream ends before the piece does.

        Of what comes of it, ``given`` bytes have been given already.
        """
        self._machine = brotli.Decompressor()
        if self._size and not self._fed:
            raise DecodeError(f"not brotli: {error}") from error
        for piece in self._fed:
            for _ in _unbrotli(self._machine, piece):
                pass
        try:
            for start in range(len(data)):
                for piece in _unbrotli(self._machine, data[start : start + 1]):
                    yield piece[given:]
                    given = max(0, given - len(piece))
                if self._machine.is_finished():
                    self.flags.add(PADDED)
                    return
        except brotli.error:
            pass  # it is what it seemed to be
        raise DecodeError(f"not brotli: {error}") from error

    def finish(self) -> None:
        if self._size and not self._machine.is_finished():
            raise DecodeError(_TOO_SOON)


def _unbrotli(machine: "brotli.Decompressor", data: bytes) -> Iterator[bytes]:
    """What comes out for ``data``, in pieces of about a chunk."""
    while True:
        piece: bytes = machine.process(data, output_buffer_limit=_CHUNK)
        if piece:
            yield piece
        data = b""
        # That it can take more does not mean that it has given all.
        if machine.is_finished() or (len(piece) < _CHUNK and machine.can_accept_more_data()):
            break


class _Zstd:
    """Zstandard (RFC 8878), one frame or several."""

    def __init__(self) -> None:
        self.flags: set[str] = set()
        self._machine: zstd.ZstdDecompressor | None = None
        self._frames = 0
        self._head = b""
        self._over = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _SLICE):
            if self._over:
                self.flags.add(PADDED)
                break
            yield from self._slice(data[start : start + _SLICE])

    def _slice(self, data: bytes) -> Iterator[bytes]:
        data = self._head + data
        self._head = b""
        while True:
            if self._machine is None:
                if len(data) < len(_ZSTD_MAGIC):
                    self._head = data
                    break
                if self._frames and (self._frames == _MAX_MEMBERS or not _is_zstd(data)):
                    self.flags.add(PADDED)
                    self._over = True
                    break
                options: dict[int, int] = {
                    zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG
                }
                self._machine = zstd.ZstdDecompressor(options=options)
            try:
                piece = self._machine.decompress(data, max_length=_CHUNK)
            except zstd.ZstdError as error:
                raise DecodeError(f"not zstd: {error}") from error
            if piece:
                yield piece
            data = b""
            if self._machine.eof:
                data = self._machine.unused_data
                self._machine = None
                self._frames += 1
                if not data:
                    break
            elif self._machine.needs_input:
                break

    def finish(self) -> None:
        if self._machine is not None or (self._head and not self._frames):
            raise DecodeError(_TOO_SOON)
        if self._head:
            self.flags.add(PADDED)


_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def _is_zstd(data: bytes) -> bool:
    """Whether a frame begins here, one with content or one to be skipped."""
    return data.startswith(_ZSTD_MAGIC) or (data[0] & 0xF0 == 0x50 and data[1:4] == b"\x2a\x4d\x18")


_LAYERS: dict[str, Callable[[], _Layer]] = {
    "gzip": _Inflate,
    "x-gzip": _Inflate,
    "deflate": _Inflate,
}
if brotli is not None:
    _LAYERS["br"] = _Brotli
if zstd is not None:
    _LAYERS["zstd"] = _Zstd
# What the names that are registered and mean something (IANA) are, whether we can undo them or not.
_CODINGS = frozenset({*_LAYERS, "br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi"})


def _window(head: bytes) -> int:
    """Tell the zlib format from a bare deflate stream by its header (RFC 1950, section 2.2)."""
    is_zlib = head[0] & 0x0F == 8 and (head[0] << 8 | head[1]) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else _RAW
