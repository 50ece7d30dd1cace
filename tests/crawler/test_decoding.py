"""gzip and deflate, in one piece and in many, with a limit."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.http.decoding import (
    ACCEPTED,
    Inflater,
    Overflow,
    brotli,
    decoder,
    zstd,
)

TEXT = b"An event loop waits until something can be done. " * 400


def bare(data: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(data) + machine.flush()


CODED = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "x-gzip": ("x-gzip", gzip.compress(TEXT)),
    "GZIP with spaces": (" GZip ", gzip.compress(TEXT)),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "bare deflate": ("deflate", bare(TEXT)),
    "several gzip members": ("gzip", gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:])),
    "gzip and padding": ("gzip", gzip.compress(TEXT) + bytes(64)),
    "gzip called deflate": ("deflate", gzip.compress(TEXT)),
    "zlib called gzip": ("gzip", zlib.compress(TEXT)),
    "gzip twice": ("gzip, gzip", gzip.compress(gzip.compress(TEXT))),
    "gzip and more names": ("identity, GZIP , utf-8,", gzip.compress(TEXT)),
    "a name that is no coding": ("aws-chunked", TEXT),
}
if brotli is not None:
    CODED["brotli"] = ("br", brotli.compress(TEXT))
    CODED["brotli in gzip"] = ("br, gzip", gzip.compress(brotli.compress(TEXT)))
if zstd is not None:
    frames = zstd.compress(TEXT[:1000]) + zstd.compress(TEXT[1000:])
    skippable = b"\x50\x2a\x4d\x18\x03\0\0\0xyz"
    CODED["zstd"] = ("zstd", zstd.compress(TEXT))
    CODED["zstd in several frames"] = ("zstd", frames[:40] + frames[40:] + skippable)


def make(coding: str, limit: int) -> Inflater:
    found = decoder(coding, limit)
    assert found is not None
    return found


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", CODED)
def test_a_body_is_decoded_in_pieces_of_any_size(name: str, size: int) -> None:
    coding, data = CODED[name]
    inflate = make(coding, len(TEXT))
    pieces = [inflate.feed(data[start : start + size]) for start in range(0, len(data), size)]
    inflate.finish()
    assert b"".join(pieces) == TEXT


LONG = bytes(3_000_000)
SHRUNK = {"gzip": gzip.compress(LONG), "deflate": bare(LONG)}
SHRUNK["gzip, gzip"] = gzip.compress(gzip.compress(LONG))
if brotli is not None:
    SHRUNK["br"] = brotli.compress(LONG)
    SHRUNK["br, br"] = brotli.compress(brotli.compress(LONG))
if zstd is not None:
    SHRUNK["zstd"] = zstd.compress(LONG)


@pytest.mark.parametrize("size", [3, 1_000_000])
@pytest.mark.parametrize("coding", SHRUNK)
def test_much_of_little_is_decoded_whole_and_in_small_pieces(coding: str, size: int) -> None:
    inflate, data = make(coding, len(LONG)), SHRUNK[coding]
    sizes: list[int] = []
    for start in range(0, len(data), size):
        sizes.extend(len(piece) for piece in inflate.pieces(data[start : start + size]))
    inflate.finish()
    assert sum(sizes) == len(LONG)
    assert max(sizes) <= 512 * 1024


@pytest.mark.skipif(brotli is None, reason="brotli is not installed")
def test_what_follows_much_of_little_in_brotli_is_dropped_and_nothing_given_twice() -> None:
    inflate = make("br", len(LONG))
    pieces = list(inflate.pieces(SHRUNK["br"] + b"rubbish"))
    inflate.finish()
    assert b"".join(pieces) == LONG
    assert inflate.flags == {"padded"}


@pytest.mark.parametrize("name", CODED)
def test_one_byte_over_the_limit_is_too_much(name: str) -> None:
    coding, data = CODED[name]
    if name == "a name that is no coding":
        pytest.skip("whoever reads the body counts it")
    with pytest.raises(Overflow):
        make(coding, len(TEXT) - 1).feed(data)


BOMB = bytes(50_000_000)
BOMBS = {"deflate": zlib.compress(BOMB), "gzip, gzip": gzip.compress(gzip.compress(BOMB))}
if brotli is not None:
    BOMBS["br"] = brotli.compress(BOMB, quality=1)
if zstd is not None:
    BOMBS["zstd"] = zstd.compress(BOMB)


@pytest.mark.parametrize("coding", BOMBS)
def test_a_bomb_is_not_unpacked_beyond_the_limit(coding: str) -> None:
    machine = make(coding, 100_000)
    tracemalloc.start()
    try:
        with pytest.raises(Overflow):
            machine.feed(BOMBS[coding])
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_limit_holds_over_all_pieces_and_members_together() -> None:
    inflate = make("gzip", 1500)
    inflate.feed(gzip.compress(bytes(1000)))
    with pytest.raises(Overflow):
        inflate.feed(gzip.compress(bytes(1000)))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_rubbish_is_noticed(coding: str) -> None:
    with pytest.raises(zlib.error):
        make(coding, 100).feed(b"\xff\xff this is not compressed")


@pytest.mark.parametrize("name", [name for name in CODED if name != "a name that is no coding"])
def test_a_stream_that_ends_too_soon_is_noticed(name: str) -> None:
    coding, data = CODED[name]
    inflate = make(coding, len(TEXT))
    cut = data[: len(data) // 4]
    inflate.feed(cut)
    with pytest.raises(zlib.error, match="ends too soon"):
        inflate.finish()


@pytest.mark.parametrize("missing", range(1, 9))
def test_a_gzip_stream_without_its_checksum_is_forgiven_with_a_flag(missing: int) -> None:
    inflate = make("gzip", len(TEXT))
    assert inflate.feed(gzip.compress(TEXT)[:-missing]) == TEXT
    inflate.finish()
    assert inflate.flags == {"cut-short"}


def test_a_wrong_checksum_is_not_forgiven() -> None:
    with pytest.raises(zlib.error, match="incorrect data check"):
        make("gzip", len(TEXT)).feed(gzip.compress(TEXT)[:-8] + b"\1\2\3\4\5\6\7\x08")


@pytest.mark.parametrize("after", [b"\n", b"\n \n\n", b"<!-- cached -->", b"\x1f", bytes(100_000)])
@pytest.mark.parametrize("name", sorted({"gzip", "deflate", "brotli", "zstd"} & CODED.keys()))
@pytest.mark.parametrize("size", [1, 10_000_000])
def test_what_follows_a_stream_is_dropped_with_a_flag(name: str, after: bytes, size: int) -> None:
    coding, data = CODED[name]
    data += after
    inflate = make(coding, len(TEXT))
    pieces = [inflate.feed(data[start : start + size]) for start in range(0, len(data), size)]
    inflate.finish()
    assert b"".join(pieces) == TEXT
    assert inflate.flags == {"padded"}


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip", "deflate", "br", "zstd"])
def test_nothing_odd_leaves_no_flag(coding: str) -> None:
    for name, data in CODED.values():
        if name == coding:
            inflate = make(coding, len(TEXT))
            inflate.feed(data)
            inflate.finish()
            assert inflate.flags <= {"padded"}


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([gzip.compress(b"x"), *[b"\0"] * 300_000], id="padding byte by byte"),
        pytest.param([gzip.compress(b"") * 50_000], id="empty members in one piece"),
        pytest.param([gzip.compress(b"")] * 50_000, id="empty members one by one"),
    ],
)
def test_padding_and_empty_members_take_no_more_time_than_their_length(pieces: list[bytes]) -> None:
    inflate = make("gzip", 1000)
    start = time.process_time()
    for piece in pieces:
        inflate.feed(piece)
    inflate.finish()
    assert time.process_time() - start < 10  # 0.5 s; what is quadratic takes minutes
    assert inflate.flags == {"padded"}


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_no_bytes_at_all_are_an_empty_body(coding: str) -> None:
    make(coding, 100).finish()


def test_one_byte_alone_is_not_a_deflate_stream() -> None:
    inflate = make("deflate", 100)
    inflate.feed(b"x")
    with pytest.raises(zlib.error, match="ends too soon"):
        inflate.finish()


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_a_body_as_it_is_needs_no_decoder(coding: str) -> None:
    assert decoder(coding, 100) is None


@pytest.mark.parametrize("coding", ["utf-8", "none", "text/html", "aws-chunked", "UTF-8, none"])
def test_a_name_that_is_no_coding_is_passed_over_with_a_flag(coding: str) -> None:
    inflate = make(coding, 100)
    assert inflate.feed(b"as it is") == b"as it is"
    inflate.finish()
    assert inflate.flags == {"unknown-coding"}


@pytest.mark.parametrize("coding", ["compress", "gzip, dcz"])
def test_a_coding_that_was_not_asked_for_is_refused_by_name(coding: str) -> None:
    with pytest.raises(ValueError, match=f"must be of gzip, .*got {coding[-3:]}|got compress"):
        decoder(coding, 100)


def test_no_more_than_two_codings_are_undone() -> None:
    with pytest.raises(ValueError, match="at most 2 content codings are undone, got 3"):
        decoder("gzip, deflate, gzip", 100)


def test_all_codings_that_are_announced_are_understood() -> None:
    for coding in ACCEPTED.decode().split(", "):
        assert decoder(coding, 100) is not None


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(CODED)), st.data())
def test_any_damage_is_an_error_or_bounded_output(name: str, data: st.DataObject) -> None:
    coding, body = CODED[name]
    place = data.draw(st.integers(0, len(body) - 1))
    damaged = body[:place] + data.draw(st.binary(max_size=8)) + body[place + 1 :]
    inflate = make(coding, 30_000)
    try:
        out = b"".join(
            inflate.feed(damaged[start : start + 50]) for start in range(0, len(damaged), 50)
        )
        inflate.finish()
    except (zlib.error, Overflow):
        return
    assert len(out) <= 30_000
