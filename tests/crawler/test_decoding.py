"""gzip and deflate, in one piece and in many, with a limit."""

from __future__ import annotations

import gzip
import zlib

import pytest

from crawler.http.decoding import Inflater, Overflow, decoder

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
}


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


@pytest.mark.parametrize("name", CODED)
def test_one_byte_over_the_limit_is_too_much(name: str) -> None:
    coding, data = CODED[name]
    with pytest.raises(Overflow):
        make(coding, len(TEXT) - 1).feed(data)


def test_a_bomb_is_not_unpacked_beyond_the_limit() -> None:
    bomb = zlib.compress(bytes(20_000_000))
    machine = make("deflate", 1000)
    with pytest.raises(Overflow):
        machine.feed(bomb)


def test_a_limit_holds_over_all_pieces_and_members_together() -> None:
    inflate = make("gzip", 1500)
    inflate.feed(gzip.compress(bytes(1000)))
    with pytest.raises(Overflow):
        inflate.feed(gzip.compress(bytes(1000)))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_rubbish_is_noticed(coding: str) -> None:
    with pytest.raises(zlib.error):
        make(coding, 100).feed(b"\xff\xff this is not compressed")


@pytest.mark.parametrize("name", ["gzip", "deflate", "bare deflate"])
def test_a_stream_that_ends_too_soon_is_noticed(name: str) -> None:
    coding, data = CODED[name]
    inflate = make(coding, len(TEXT))
    inflate.feed(data[:-5])
    with pytest.raises(zlib.error, match="ends too soon"):
        inflate.finish()


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


@pytest.mark.parametrize("coding", ["br", "compress", "gzip, gzip", "zstd"])
def test_a_coding_that_was_not_asked_for_is_refused_by_name(coding: str) -> None:
    with pytest.raises(ValueError, match=f"must be gzip or deflate, got '{coding}'"):
        decoder(coding, 100)
