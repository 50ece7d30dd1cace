"""What a crawl adds up to."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

_FAILURE = "failure: "


@dataclass(slots=True)
class Summary:
    """Counts of one crawl. ``received`` is in bytes of bodies as sent, ``seconds`` of wall time.

    ``redirected`` counts the redirects of links that were followed, ``disallowed`` the pages that
    robots.txt asks not to fetch.
    """

    pages: int = 0
    links: int = 0
    received: int = 0
    malformed: int = 0
    redirected: int = 0
    disallowed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False
    seconds: float = 0.0
    _started: float = field(default_factory=time.perf_counter)

    @property
    def failed(self) -> int:
        """URLs that were tried and not fetched."""
        return self.failures.total()

    @property
    def done(self) -> int:
        """URLs that are over with, one way or the other."""
        return self.pages + self.failed

    def numbers(self) -> dict[str, int]:
        """All that grows page by page, by name: what a store keeps of it."""
        names = ("pages", "links", "received", "redirected", "disallowed")
        numbers = {name: getattr(self, name) for name in names}
        return numbers | {_FAILURE + reason: n for reason, n in self.failures.items()}

    def add(self, numbers: Mapping[str, int]) -> None:
        """Add what others have counted, by the same names."""
        for name, n in numbers.items():
            if name.startswith(_FAILURE):
                self.failures[name.removeprefix(_FAILURE)] += n
            else:
                setattr(self, name, getattr(self, name) + n)

    def stop_clock(self) -> None:
        """Fix ``seconds`` at the time since the summary was made."""
        self.seconds = time.perf_counter() - self._started

    def elapsed(self) -> float:
        """Seconds since the summary was made."""
        return time.perf_counter() - self._started

    def json(self) -> str:
        """The summary as a JSON object, with the keys of this class's public fields."""
        public = (item.name for item in fields(self) if not item.name.startswith("_"))
        return json.dumps({name: getattr(self, name) for name in public})

    def lines(self) -> list[str]:
        """The summary in words, one fact a line."""
        rate = self.pages / self.seconds if self.seconds else 0.0
        text = [
            f"pages      {self.pages:,}",
            f"links      {self.links:,}",
            f"failures   {self.failed:,}",
            *(f"  {reason:<20} {count:,}" for reason, count in self.failures.most_common()),
            f"received   {self.received:,} bytes",
            f"time       {self.seconds:.2f} s, {rate:,.1f} pages/s",
        ]
        if self.disallowed:
            at = 3 + len(self.failures)
            text.insert(at, f"left out   {self.disallowed:,} that robots.txt asks not to fetch")
        if self.malformed:
            text.insert(3 + len(self.failures), f"malformed  {self.malformed:,} lines of the list")
        if self.interrupted:
            text.insert(0, "interrupted: the counts and the file hold what was done until then")
        return text
