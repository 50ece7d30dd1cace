"""What the report shows, gathered URL by URL in a bounded memory."""

import heapq
import itertools
import re
from collections import Counter

from crawler.http.trace import STEPS
from crawler.output import Record

from .bounded import Heaviest, Links
from .histogram import BUCKETS, Histogram, edge
from .timeline import Timeline
from .tree import Tree

# How many of each are kept apart while the crawl goes on, and how many the page shows.
MOST_HOSTS, SHOWN_HOSTS = 2_000, 25
MOST_LINKS, SHOWN_LINKS = 10_000, 20
MOST_TYPES, SHOWN_TYPES = 100, 10
SLOWEST_PAGES = 20
EXAMPLES = 6
# Of one page, so many links are counted. Texts that are longer than these are made by nobody to be
# read: such links are not counted, and the rest is cut.
LINKS_OF_A_PAGE = 1_000
LONGEST_URL = 2_000
LONGEST_TEXT = 300
MOST_REASONS = 200
_SECRET = re.compile(r"(?i)((?:^|=)[a-z0-9+]+://)[^/@?#\s]*@")
# What is no phase of the client's: the wait for the loop, finding the links.
_REST = "rest"


class Host:
    """What came of the pages of a host."""

    def __init__(self) -> None:
        self.pages = 0
        self.failed = 0
        self.received = 0
        self.seconds = Histogram()


class Failure:
    """One kind of failure, and the first few of it."""

    def __init__(self) -> None:
        self.number = 0
        self.examples: list[tuple[str, str]] = []  # URL and detail


class Tally:
    """Add each record once, in the order in which they come."""

    def __init__(self) -> None:
        self.pages = 0
        self.links = 0
        self.received = 0
        self.decoded = 0
        self.left_out = 0
        self.redirected = 0
        self._timeline = Timeline(("pages", "failed", "received"))
        self._phases = {name: Histogram() for name in (*STEPS, _REST)}
        self._seconds = Histogram()
        self._statuses: Counter[int] = Counter()
        self._depths: Counter[int] = Counter()
        self._flags: Counter[str] = Counter()
        self._types = Heaviest(MOST_TYPES, Counter[str], lambda type_: type_["pages"])
        self._hosts = Heaviest(MOST_HOSTS, Host, lambda host: host.seconds.total)
        self._failures: dict[str, Failure] = {}
        self._linked = Links(MOST_LINKS)
        self._tree = Tree()
        self._slowest: list[tuple[float, int, str]] = []
        self._number = itertools.count()
        self._begin, self._end = float("inf"), 0.0

    def add(self, record: Record) -> None:
        """Count a URL."""
        self._begin = min(self._begin, record.time)
        self._end = max(self._end, record.time + record.seconds)
        failed = bool(record.error)
        if record.status is not None:
            self._statuses[record.status] += 1
        if record.error == "robots.txt":
            self.left_out += 1
            return
        moved = not failed and record.status is not None and 300 <= record.status < 400
        if moved:
            self.redirected += 1
        elif failed:
            self._add_failure(record)
        else:
            self._add_page(record)
        self._add_times(record)
        step = self._timeline.at(record.time + record.seconds)
        if not moved:
            self._timeline.add(step, "failed" if failed else "pages")
        self._timeline.add(step, "received", record.size)
        self.received += record.size
        origin, path = _split(record.url)
        host = self._hosts[origin]
        host.received += record.size
        host.seconds.add(record.seconds)
        if failed:
            host.failed += 1
        else:
            host.pages += 1
        if not moved:
            self._tree.add(origin, path, failed, record.size, record.seconds)

    def _add_page(self, record: Record) -> None:
        self.pages += 1
        self.links += len(record.links)
        self.decoded += record.decoded_size
        self._depths[record.depth] += 1
        self._flags.update(record.flags)
        kind = self._types[record.type[:LONGEST_TEXT] or "not said"]
        kind["pages"] += 1
        kind["received"] += record.size
        links = record.links[:LINKS_OF_A_PAGE]
        if sum(map(len, links)) > LONGEST_URL:
            links = [link for link in links if len(link) <= LONGEST_URL]
        self._linked.add(record.url[:LONGEST_URL], links)

    def _add_failure(self, record: Record) -> None:
        reason = record.error
        if reason == "status" and record.status is not None:
            reason = f"status {record.status}"
        failure = self._failures.get(reason)
        if failure is None:
            if len(self._failures) >= MOST_REASONS:
                reason = record.error
            failure = self._failures.setdefault(reason, Failure())
        failure.number += 1
        if len(failure.examples) < EXAMPLES:
            failure.examples.append((record.url[:LONGEST_URL], record.detail[:LONGEST_TEXT]))

    def _add_times(self, record: Record) -> None:
        self._seconds.add(record.seconds)
        rest = record.seconds
        for name, seconds in record.timings.items():
            self._phases[name].add(seconds)
            rest -= seconds
        if record.timings:
            self._phases[_REST].add(max(0.0, rest))
        slow = (record.seconds, next(self._number), record.url[:LONGEST_URL])
        if len(self._slowest) < SLOWEST_PAGES:
            heapq.heappush(self._slowest, slow)
        elif slow > self._slowest[0]:
            heapq.heapreplace(self._slowest, slow)

    @property
    def lasted(self) -> float:
        """Seconds from the begin of the first to the end of the last."""
        return max(0.0, self._end - self._begin)

    @property
    def failed(self) -> int:
        """URLs that could not be fetched."""
        return sum(failure.number for failure in self._failures.values())

    def data(self) -> dict[str, object]:
        """All that the page shows."""
        linked = self._linked
        return {
            "pages": self.pages,
            "failed": self.failed,
            "links": self.links,
            "received": self.received,
            "decoded": self.decoded,
            "leftOut": self.left_out,
            "redirected": self.redirected,
            "timeline": self._timeline.data(),
            "edges": [edge(bucket) for bucket in range(BUCKETS + 1)],
            "seconds": self._seconds.data(),
            "phases": [
                {"name": name, **phase.data()}
                for name, phase in self._phases.items()
                if phase.number
            ],
            "statuses": sorted(self._statuses.items()),
            "depths": sorted(self._depths.items()),
            "flags": self._flags.most_common(),
            "types": [{"type": name, **kind} for name, kind in self._types.heaviest(SHOWN_TYPES)],
            "hosts": [_host(name, host) for name, host in self._hosts.heaviest(SHOWN_HOSTS)],
            "hostsKnown": len(self._hosts.known) + self._hosts.forgotten,
            "slowest": [
                [without_secret(url), seconds]
                for seconds, _, url in sorted(self._slowest, reverse=True)
            ],
            "failures": [
                self._failure(reason, failure)
                for reason, failure in sorted(
                    self._failures.items(), key=lambda item: (-item[1].number, item[0])
                )
            ],
            "linked": [
                [without_secret(url), pages] for url, pages in linked.most_linked(SHOWN_LINKS)
            ],
            "linksForgotten": linked.forgotten,
            "tree": self._tree.data(),
        }

    def _failure(self, reason: str, failure: Failure) -> dict[str, object]:
        return {
            "reason": reason,
            "number": failure.number,
            "examples": [
                {
                    "url": without_secret(url),
                    "detail": detail,
                    "on": without_secret(self._linked.page_with(url)),
                }
                for url, detail in failure.examples
            ],
        }


def without_secret(url: str) -> str:
    """A URL, or an option with one, without name and password: a report is there to be shown."""
    return _SECRET.sub(r"\1…@", url) if "@" in url else url


def _host(name: str, host: Host) -> dict[str, object]:
    return {
        "host": name,
        "pages": host.pages,
        "failed": host.failed,
        "received": host.received,
        "number": host.seconds.number,
        "total": host.seconds.total,
        "p50": host.seconds.at(0.5),
        "p90": host.seconds.at(0.9),
        "longest": host.seconds.longest,
    }


def _split(url: str) -> tuple[str, str]:
    """The origin of a URL, and its path without query and fragment."""
    scheme, _, rest = url.partition("://")
    for mark in "?#":
        rest = rest.partition(mark)[0]
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}", slash + path
