"""What every place that a crawl can write to has in common."""

from collections.abc import Sequence
from typing import Any, Protocol


class Target(Protocol):
    """A file, an archive or a database; :class:`crawler.output.Output` writes to it.

    ``patient`` says that a write ends by itself, soon, whoever reads what was written: a pipe is
    not patient. ``written`` is how much the target holds, in a measure of its own.
    """

    @property
    def patient(self) -> bool:
        """Whether writes end by themselves."""

    @property
    def written(self) -> int:
        """How much there is."""

    async def open(self, *, append: bool, cut_back_to: int | None) -> None:
        """Begin anew, or go on after what is there; raises OSError.

        With ``cut_back_to``, what was written after ``written`` had that value is dropped.
        """

    async def write(self, blocks: Sequence[Any]) -> None:
        """Write what the format made of some pages, all of it or, if the process ends, none."""

    async def close(self) -> None:
        """Close it; nothing more is to be written."""
