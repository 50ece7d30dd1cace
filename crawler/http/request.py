"""One request as it goes out, and the part of it that is the same for all URLs of one origin."""

from collections.abc import AsyncIterator, Callable, Iterable

import h11

from .errors import without_password
from .url import URL

Fields = list[tuple[bytes, bytes]]

# Methods that may be repeated without asking what became of the first time (RFC 9110, 9.2.2).
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
# The longest head of a reply; h11's own limit is 16 KiB, which real cookies exceed.
MAX_HEAD = 64 * 1024


class Content:
    """The body of a request: bytes, or a way to get its pieces.

    ``pieces`` is called for each attempt to send the body, once unless it is ``replayable``.
    ``length`` is in bytes; without it the body is sent in chunks.
    """

    __slots__ = ("_begun", "data", "length", "media_type", "pieces", "replayable")

    def __init__(
        self,
        data: bytes | None = None,
        *,
        pieces: Callable[[], AsyncIterator[bytes]] | None = None,
        length: int | None = None,
        media_type: str | None = None,
        replayable: bool = False,
    ) -> None:
        self.data = data
        self.pieces = pieces
        self.length = length if data is None else len(data)
        self.media_type = media_type
        self.replayable = replayable or data is not None
        self._begun = False

    @property
    def sendable(self) -> bool:
        """Whether the body can still be sent from its beginning."""
        return self.replayable or not self._begun

    def begin(self) -> None:
        """Note that the first piece has been asked for."""
        self._begun = True


class Request:
    """A method, a URL, what is said besides, and perhaps a body.

    ``headers`` are those beyond the client's own; one of the same name takes its place.
    ``proxied`` has the whole URL sent as the target, which is how one asks a proxy.
    """

    __slots__ = ("content", "headers", "method", "proxied", "url")

    def __init__(
        self,
        method: str,
        url: URL,
        headers: Fields | None = None,
        content: Content | None = None,
        *,
        proxied: bool = False,
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.content = content
        self.proxied = proxied

    @property
    def target(self) -> bytes:
        """The request target (RFC 9112, section 3.2)."""
        return self.url.origin.encode() + self.url.target if self.proxied else self.url.target

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again although the server may have acted on it already."""
        return self.method in IDEMPOTENT and (self.content is None or self.content.sendable)

    def says(self, name: bytes, token: bytes) -> bool:
        """Whether a header of its own has ``token``, in small letters, in its list."""
        return _says(self.headers or (), name, token)


def _says(headers: Iterable[tuple[bytes, bytes]], name: bytes, token: bytes) -> bool:
    return any(
        field.lower() == name and token in [part.strip() for part in value.lower().split(b",")]
        for field, value in headers
    )


class RequestTemplate:
    """The part of a request that is the same for all URLs of one origin.

    h11 validates and serialises a request in about 20 µs, most of it for headers that never
    change. So one request for ``/`` is kept, and only its target is exchanged on the way out.
    """

    __slots__ = ("_event", "_headers", "_rest", "closes")

    def __init__(self, url: URL, headers: Fields) -> None:
        self._headers = [(b"Host", url.host_header.encode("ascii")), *headers]
        self._event = h11.Request(method=b"GET", target=b"/", headers=self._headers)
        head = h11.Connection(h11.CLIENT).send(self._event)
        assert head is not None
        self._rest = head[len(b"GET /") :]
        # Whether each request asks the server to close the connection.
        self.closes = _says(headers, b"connection", b"close")

    def plain(self, request: Request) -> bytes | None:
        """The head of ``request`` if it is a GET with nothing of its own but the target."""
        if (
            request.headers is None
            and request.content is None
            and request.method == "GET"
            and request.url.authorization is None
        ):
            return b"GET " + request.target + self._rest
        return None

    def machine(self, request: Request) -> tuple[h11.Connection, bytes]:
        """A state machine that knows of ``request``, and the bytes of that one's head."""
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        head = self.plain(request)
        if head is not None:
            http.send(self._event)
            return http, head
        try:
            event = h11.Request(
                method=request.method, target=request.target, headers=self._fields(request)
            )
            head = http.send(event)
        except h11.LocalProtocolError as error:
            what = without_password(f"{request.method} {request.url}")
            raise ValueError(f"{what}: {error}") from error
        assert head is not None
        return http, head

    def _fields(self, request: Request) -> Fields:
        own = list(request.headers or ())
        names = {name.lower() for name, _ in own}
        content = request.content
        if content is None:
            if request.method in ("POST", "PUT", "PATCH") and b"content-length" not in names:
                own.append((b"Content-Length", b"0"))
        else:
            if content.media_type is not None and b"content-type" not in names:
                own.append((b"Content-Type", content.media_type.encode("latin-1")))
            if content.length is not None:
                own.append((b"Content-Length", b"%d" % content.length))
            else:
                own.append((b"Transfer-Encoding", b"chunked"))
        if request.url.authorization is not None and b"authorization" not in names:
            own.append((b"Authorization", request.url.authorization))
        usual = [field for field in self._headers if field[0].lower() not in names]
        return [*usual, *own]
