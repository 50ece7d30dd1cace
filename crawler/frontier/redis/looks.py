"""What is seen of all shards together, by the step "peek" of each; see rule 4 of the store."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any


class Look:
    """What one look at all shards has shown."""

    def __init__(self, shards: Sequence[Sequence[Any]]) -> None:
        self.shards = shards
        self.hosts = sum(shard[0] for shard in shards)
        self.held = sum(shard[1] for shard in shards)
        self.open: dict[int, int] = defaultdict(int)
        self.ever: dict[int, int] = defaultdict(int)
        for shard in shards:
            pairs = shard[5]
            for name, n in zip(pairs[::2], pairs[1::2], strict=True):
                levels = self.open if name[:1] == b"o" else self.ever
                levels[int(name[1:])] += int(n)
        self.least = min((depth for depth, n in self.open.items() if n), default=None)

    def ever_above(self, depth: int | None) -> dict[int, int]:
        """How many pages ever came to be at each smaller depth."""
        return {at: n for at, n in self.ever.items() if depth is None or at < depth}
