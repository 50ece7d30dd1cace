"""Which parts of which sites there are, how large, and how much of each failed."""

from collections.abc import Iterator

# How many parts are told apart; what is beyond them is counted where it would have been.
MOST_PARTS = 20_000
DEEPEST = 8
LONGEST_NAME = 80
# And how many of those the page shows, of one part and in all.
SHOWN_OF_ONE = 30
SHOWN = 3_000


class Part:
    """A site, or a folder of one. ``seconds`` and ``received`` (bytes) are sums."""

    __slots__ = ("failed", "pages", "parts", "received", "seconds")

    def __init__(self) -> None:
        self.pages = 0
        self.failed = 0
        self.received = 0
        self.seconds = 0.0
        self.parts: dict[str, Part] = {}

    def add(self, pages: int, failed: int, received: int, seconds: float) -> None:
        """Count pages in it."""
        self.pages += pages
        self.failed += failed
        self.received += received
        self.seconds += seconds

    @property
    def weight(self) -> int:
        """How much of the picture it takes."""
        return self.pages + self.failed


class Tree:
    """All sites."""

    def __init__(self) -> None:
        self.top = Part()
        self._number = 0

    def add(self, origin: str, path: str, failed: bool, received: int, seconds: float) -> None:
        """Count one URL."""
        amounts = (0, 1, received, seconds) if failed else (1, 0, received, seconds)
        part = self.top
        part.add(*amounts)
        for name in self._names(origin, path):
            inner = part.parts.get(name)
            if inner is None:
                if self._number >= MOST_PARTS:
                    return
                self._number += 1
                inner = part.parts[name] = Part()
            part = inner
            part.add(*amounts)

    def data(self) -> dict[str, object]:
        """The largest parts, for the page."""
        room = [SHOWN]

        def shown(name: str, part: Part) -> dict[str, object]:
            inner = sorted(part.parts.items(), key=lambda item: (-item[1].weight, item[0]))
            # What has one part of its own size shows nothing that is not shown by that.
            parts = []
            for each in inner[:SHOWN_OF_ONE]:
                if room[0] <= 0:
                    break
                room[0] -= 1
                parts.append(each)
            more = len(inner) - len(parts)
            return {
                "name": name,
                "pages": part.pages,
                "failed": part.failed,
                "received": part.received,
                "seconds": round(part.seconds, 3),
                "parts": [shown(*each) for each in parts],
                "more": more,
            }

        return shown("", self.top)

    @staticmethod
    def _names(origin: str, path: str) -> Iterator[str]:
        yield origin
        names = path.split("/", DEEPEST)[1:]
        if len(names) == DEEPEST:
            names[-1] = "…"
        last = len(names) - 1
        for at, name in enumerate(names):
            name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
            yield f"/{name}" if at == last else f"/{name}/"
