"""The live view on a terminal: what the crawl is at, drawn again a few times a second.

Failures scroll by above it. They are printed with the next drawing and not when they happen: a
drawing costs some milliseconds, and there may be thousands of failures a second. What is done for
each page is to count it.

The drawing is one of the loop's timers, so it also tells how late those are: *loop lag* is how long
a callback had to wait for its turn, at worst, since the drawing before.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .frontier import Job
from .http import HTTPError, Response
from .progress import PlainProgress, silence
from .report import Heaviest

if TYPE_CHECKING:
    from .crawl import Queue
    from .fetching import Visit
    from .summary import Summary

# Seconds between two drawings, and between two looks at the lag.
REDRAWN = 0.4
LOOKED = 0.1
# Drawings that the small picture of the speed shows.
REMEMBERED = 40
SLOWEST = 3
_BLOCKS = "▁▂▃▄▅▆▇█"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Speed:
    """How much more there was at each drawing, as a rate."""

    def __init__(self) -> None:
        self.rates: deque[float] = deque(maxlen=REMEMBERED)
        self._before = 0

    def look(self, now: int, seconds: float) -> None:
        """Take the count as it is now, so many seconds after the look before."""
        self.rates.append((now - self._before) / max(seconds, 1e-6))
        self._before = now

    @property
    def lately(self) -> float:
        """The rate over the last few seconds."""
        recent = list(self.rates)[-8:]
        return sum(recent) / len(recent) if recent else 0.0

    def picture(self) -> str:
        """The rates as a row of blocks."""
        most = max(self.rates, default=0.0)
        if not most:
            return ""
        return "".join(_BLOCKS[int(rate / most * (len(_BLOCKS) - 1))] for rate in self.rates)


class LiveView(PlainProgress):
    """The view; ``with`` it, in a coroutine. It is the observer of a crawl, and its watcher."""

    def __init__(
        self,
        list_name: str,
        total: int | None,
        stream: TextIO | None = None,
        *,
        verbose: bool = False,
    ) -> None:
        super().__init__(list_name, total, stream, verbose=verbose)
        self._console = Console(file=self._stream, highlight=False, soft_wrap=True)
        self._lines: list[str] = []
        self._began = self._drawn = time.perf_counter()
        self._received = 0
        self._pages = Speed()
        self._bytes = Speed()
        self._failures: Counter[str] = Counter()
        self._hosts = Heaviest(500, _Host, lambda host: host.seconds)
        self._queue: Queue | None = None
        self._lag = self._worst_lag = 0.0
        self._looks_at = 0.0
        self._live = Live(
            self,  # and not what it looks like now: what is printed above has it drawn again, too
            console=self._console,
            auto_refresh=False,  # that would be a thread
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "LiveView":
        self._guarded(self._live.start)
        self._looks_at = asyncio.get_running_loop().time()
        self._tick()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._guarded(self._redraw)
        self._guarded(self._live.stop)

    @property
    def watches(self) -> bool:
        """It is to be told what came of each URL."""
        return True

    # ---- what the crawl tells --------------------------------------------------------------------

    def begins(self, queue: "Queue", summary: "Summary") -> None:
        """Remember where to look for what waits."""
        self._queue = queue

    def over(self, visit: "Visit", depth: int) -> None:
        """Note how long a page of a host took."""
        host = self._hosts[visit.job.url.host]
        host.pages += 1
        host.seconds += visit.seconds
        super().over(visit, depth)

    def page(self, job: Job, response: Response, links: int) -> None:
        """Count a page."""
        self._done += 1
        self._links += links
        self._received += response.wire_bytes

    def pages(self, count: int, links: int, received: int) -> None:
        """Count pages that workers have fetched."""
        self._done += count
        self._links += links
        self._received += received

    def failure(self, job: Job, error: HTTPError) -> None:
        """Count a failure, and have it printed."""
        self._failures[error.reason] += 1
        super().failure(job, error)

    def say(self, text: str) -> None:
        """Print one line above the view, soon."""
        self._lines.append(text)

    # ---- drawing ---------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Look how late this is, and draw now and then."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._worst_lag = max(self._worst_lag, now - self._looks_at)
        if time.perf_counter() - self._drawn >= REDRAWN:
            self._guarded(self._redraw)
        self._looks_at = loop.time() + LOOKED
        self._timer = loop.call_at(self._looks_at, self._tick)

    def _redraw(self) -> None:
        now = time.perf_counter()
        self._pages.look(self._done - self._failed, now - self._drawn)
        self._bytes.look(self._received, now - self._drawn)
        self._drawn = now
        self._lag, self._worst_lag = self._worst_lag, 0.0
        lines, self._lines = self._lines, []
        if lines:  # drawing the view again is a part of printing
            self._console.out("\n".join(lines), highlight=False)
        else:
            self._live.refresh()

    def __rich__(self) -> Group:
        """The view as it is now."""
        seconds = time.perf_counter() - self._began
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="dim", no_wrap=True, min_width=len("pages/s"))
        rows.add_column(no_wrap=True, overflow="ellipsis")
        pages = self._done - self._failed
        picture = self._pages.picture() if self._console.encoding.startswith("utf") else ""
        rows.add_row(
            "pages/s",
            Text.assemble((f"{self._pages.lately:,.0f}", "bold"), "  ", (picture, "blue")),
        )
        rows.add_row("pages", f"{pages:,}, {self._links:,} links, {_size(self._received)}")
        rows.add_row("now", self._now())
        if self._failures:
            kinds = self._failures.most_common(5)
            text = ", ".join(f"{reason} {number:,}" for reason, number in kinds)
            rows.add_row("failed", Text.assemble((f"{self._failed:,}", "bold red"), f": {text}"))
        slow = sorted(self._hosts.known.items(), key=lambda item: -item[1].mean)[:SLOWEST]
        if slow:
            text = ", ".join(f"{name} {host.mean:.2f} s" for name, host in slow)
            rows.add_row("slowest", text)
        return Group(self._bar(seconds), rows)

    def _now(self) -> str:
        parts = []
        if self._queue is not None:
            parts = [f"{self._queue.in_work:,} in flight", f"{self._queue.waiting:,} queued"]
        parts += [f"{_size(self._bytes.lately)}/s", f"loop lag {self._lag * 1000:.0f} ms"]
        return ", ".join(parts)

    def _bar(self, seconds: float) -> Table:
        known = self._total
        if known is None and self._queue is not None:
            known = self._done + self._queue.waiting + self._queue.in_work
        text = f"{self._done:,} done"
        if known is not None:
            known = max(known, self._done)
            text = f"{self._done:,} of {known:,}"
            if self._total is None:
                text += " known"
        text += f", {_clock(seconds)}"
        if self._total and self._done and self._done < self._total:
            text += f", {_clock(seconds / self._done * (self._total - self._done))} to go"
        row = Table.grid(padding=(0, 2), expand=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True)
        row.add_row(ProgressBar(total=known, completed=self._done), text)
        return row

    def _guarded(self, do: Callable[[], object]) -> None:
        """Do it, unless nobody looks any more: that is no reason to stop a crawl."""
        try:
            do()
        except OSError:
            silence(self._stream)


class _Host:
    __slots__ = ("pages", "seconds")

    def __init__(self) -> None:
        self.pages = 0
        self.seconds = 0.0

    @property
    def mean(self) -> float:
        return self.seconds / max(self.pages, 1)


def _size(number: float) -> str:
    for unit in _UNITS:
        if number < 1024 or unit == _UNITS[-1]:
            break
        number /= 1024
    return f"{number:,.0f} {unit}" if unit == "B" or number >= 10 else f"{number:,.1f} {unit}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
