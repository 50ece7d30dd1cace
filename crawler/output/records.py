"""What there is to say about one URL that was asked for."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Record:
    """One URL and what came of it. Sizes are in bytes, times in seconds.

    ``url`` is as the list or the page has it. ``redirects`` are the URLs that redirected on the way
    to ``final_url``; where a page that a link led to is a redirect, ``final_url`` is where it
    points, and has a record of its own. ``size`` is that of the body as it was sent,
    ``decoded_size`` without its content coding. ``timings`` has the seconds of each phase, by the
    names of :mod:`crawler.http.trace`. ``flags`` say what was odd and did no harm. ``error`` is
    empty if there was none.
    """

    url: str
    depth: int = 0
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
