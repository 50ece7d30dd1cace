"""A reply's body without its content coding: the decoder, with errors that name the URL."""

import zlib
from collections.abc import Iterator

from .decoding import Inflater, Overflow, decoder
from .errors import DecodingError, TooLarge
from .headers import Headers
from .reply import Reply
from .url import URL


def inflater(url: URL, headers: Headers, max_body: int) -> Inflater | None:
    """The decoder for what the head says, or None where the body is sent as it is."""
    coding = headers.get("content-encoding")
    if coding is None:
        return None
    try:
        return decoder(coding, max_body)
    except ValueError as error:
        raise DecodingError(url.href, str(error)) from error


def decoded(url: URL, inflate: Inflater, data: bytes | bytearray) -> bytes:
    """The next piece."""
    try:
        return inflate.feed(data)
    except Overflow as error:
        raise TooLarge(url.href, "the body is too large when decompressed") from error
    except zlib.error as error:
        raise _undecodable(url, error) from error


def decoded_pieces(url: URL, inflate: Inflater, data: bytes) -> Iterator[bytes]:
    """The same in pieces of a bounded size, for whoever does not keep them all."""
    try:
        yield from inflate.pieces(data)
    except Overflow as error:
        raise TooLarge(url.href, "the body is too large when decompressed") from error
    except zlib.error as error:
        raise _undecodable(url, error) from error


def finish(url: URL, inflate: Inflater, reply: Reply | None = None) -> None:
    """Say that the body is over; a stream that is not is an error.

    What the decoder forgave the server becomes a flag of the reply, if there is one to be told.
    """
    try:
        inflate.finish()
    except zlib.error as error:
        raise _undecodable(url, error) from error
    if reply is not None:
        for flag in sorted(inflate.flags):
            reply.flag(flag)


def decoded_whole(url: URL, inflate: Inflater, data: bytes, reply: Reply) -> bytes:
    """A body that came in one piece."""
    body = decoded(url, inflate, data)
    finish(url, inflate, reply)
    return body


def _undecodable(url: URL, error: zlib.error) -> DecodingError:
    text = str(error)
    if text.startswith("Error "):  # zlib's own: its number, what it did, and what it did not like
        text = f"the body cannot be decompressed: {text.rpartition(': ')[2]}"
    return DecodingError(url.href, text)
