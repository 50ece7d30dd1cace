"""What ties a crawl's output to its state, so that another process can go on where it ended.

The state and the output are written by turns: what pages came to goes to the output, and then one
*commit* says which pages those were, what they led to, and how long the output is now. A process
may be killed at any moment. If it was between the two, the output is longer than the last commit
says; whoever writes next cuts it back to there, and these pages are fetched again. So nothing is
lost and nothing is written twice, whatever the order in which pages come.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Journal(Protocol):
    """A place to note what became of URLs; :class:`.shared.SharedFrontier` is one."""

    @property
    def shared(self) -> bool:
        """Whether other processes write to the output, too: each in its :meth:`turn`."""

    @property
    def pending(self) -> bool:
        """Whether there is anything to be committed."""

    @property
    def urgent(self) -> bool:
        """Whether a commit is waited for."""

    def turn(self) -> AbstractAsyncContextManager[int]:
        """Have the output alone; gives how long it was at the last commit, in bytes."""

    def take(self) -> Any:
        """What has been noted since the last call; it goes to :meth:`commit`."""

    async def commit(self, notes: Any, written: int) -> None:
        """Make all of this so, or nothing; raises OSError if that cannot be done."""
