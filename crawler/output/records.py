"""What there is to say about one URL that was asked for."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Exchange:
    """A request and what came of it, as bytes on the connection (inside of TLS).

    ``time`` is when it was sent, in seconds since 1970. ``address`` is the server's, empty where a
    proxy knows it and we do not. ``truncated`` says why the reply is not there to its end, in a
    word of the WARC format; empty if it is.
    """

    url: str
    time: float
    address: str
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    truncated: str = ""


@dataclass(slots=True)
class Record:
    """One URL and what came of it. Sizes are in bytes, times in seconds.

    ``url`` is as the list or the page has it, ``time`` when work on it began, since 1970.
    ``redirects`` are the URLs that redirected on the way to ``final_url``; where a page that a link
    led to is a redirect, ``final_url`` is where it points, and has a record of its own. ``size`` is
    that of the body as it was sent, ``decoded_size`` without its content coding. ``timings`` has
    the seconds of each phase, by the names of :mod:`crawler.http.trace`. ``flags`` say what was odd
    and did no harm. ``error`` is empty if there was none.

    ``exchanges`` are kept for a WARC alone, and are in no other output.
    """

    url: str
    depth: int = 0
    time: float = 0.0
    status: int | None = None
    final_url: str = ""
    redirects: list[str] = field(default_factory=list)
    type: str = ""
    charset: str = ""
    size: int = 0
    decoded_size: int = 0
    seconds: float = 0.0
    timings: dict[str, float] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    error: str = ""
    detail: str = ""
    exchanges: list[Exchange] = field(default_factory=list)


# The names of a record's fields, in the order in which they are written.
FIELDS = tuple(name for name in Record.__dataclass_fields__ if name != "exchanges")


class Block:
    """A record that is put into the form of the output later, in a thread.

    Its length is about what it takes, in bytes.
    """

    __slots__ = ("_size", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        size = 500 + sum(map(len, record.links))
        for exchange in record.exchanges:
            size += len(exchange.sent) + len(exchange.received)
        self._size = size

    def __len__(self) -> int:
        return self._size
