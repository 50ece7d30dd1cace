"""The body of a request, cut into what is written to the stream at a time."""

from collections.abc import AsyncGenerator

from .request import Content

# The write limit holds for each of these; a slow line must be able to take one in that time.
PIECE = 128 * 1024


async def frames(content: Content) -> AsyncGenerator[tuple[bytes, bool], None]:
    """The pieces of ``content``, with their chunk sizes if the length is not known beforehand.

    With each piece comes whether it is the last: a server may reply as soon as it has that one.
    Raises ValueError if the pieces are not as long as they were said to be: the server would wait
    for the rest, or take what is left over for another request.
    """
    sent = 0
    async for piece in _pieces(content):
        if not piece:
            continue  # an empty chunk would be the last one
        sent += len(piece)
        if content.length is None:
            yield b"%x\r\n%b\r\n" % (len(piece), piece), False
        elif sent > content.length:
            raise ValueError(f"the body is longer than its {content.length:,} bytes")
        else:
            yield piece, sent == content.length
    if content.length is None:
        yield b"0\r\n\r\n", True
    elif sent < content.length:
        raise ValueError(f"the body has {sent:,} bytes, {content.length:,} were announced")


async def _pieces(content: Content) -> AsyncGenerator[bytes, None]:
    if content.data is not None:
        for start in range(0, len(content.data), PIECE):
            yield content.data[start : start + PIECE]
        return
    assert content.pieces is not None
    source = content.pieces()
    try:
        async for piece in source:
            for start in range(0, len(piece), PIECE):
                yield piece[start : start + PIECE]
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()
