"""How long things took: counts in buckets that grow by a quarter, from 10 µs to 1,000 s.

What is asked of it later (medians and the like) is right to within an eighth, however many times
were added, and takes a hundred numbers of memory at most.
"""

import math

PER_DECADE = 10
LEAST = 1e-5  # seconds
DECADES = 8
BUCKETS = PER_DECADE * DECADES

_SHIFT = -round(math.log10(LEAST)) * PER_DECADE


def edge(bucket: float) -> float:
    """The least number of seconds that a bucket holds; half a bucket is its middle."""
    return float(10 ** ((bucket - _SHIFT) / PER_DECADE))


class Histogram:
    """Counts of times, in seconds."""

    __slots__ = ("counts", "longest", "number", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.number = 0
        self.total = 0.0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        bucket = 0
        if seconds > LEAST:
            bucket = min(int(math.log10(seconds) * PER_DECADE + _SHIFT), BUCKETS - 1)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.number += 1
        self.total += seconds
        if seconds > self.longest:
            self.longest = seconds

    def at(self, share: float) -> float:
        """The time that this share of them (0 to 1) did not exceed, about."""
        left = share * self.number
        for bucket in sorted(self.counts):
            count = self.counts[bucket]
            if left <= count:
                return min(edge(bucket + left / count), self.longest)
            left -= count
        return self.longest

    def data(self) -> dict[str, object]:
        """What the page shows of it."""
        return {
            "number": self.number,
            "total": self.total,
            "longest": self.longest,
            "p50": self.at(0.5),
            "p90": self.at(0.9),
            "p99": self.at(0.99),
            "counts": sorted(self.counts.items()),
        }
