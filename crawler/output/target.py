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

    async def open(self, *, append: bool, journaled: bool = False) -> None:
        """Open it, and begin anew unless it is to ``append`` to what is there; raises OSError.

        With ``journaled`` what is there stays as it is until :meth:`go_on_at` is called.
        """

    async def go_on_at(self, end: int) -> None:
        """Drop what was written after ``written`` had this value, by whatever process.

        Raises OSError if there is not so much.
        """

    async def write(self, blocks: Sequence[Any]) -> None:
        """Write what the format made of some pages, all of it or, if the process ends, none."""

    async def close(self) -> None:
        """Close it; nothing more is to be written."""
