"""What is to be replayed in this process, if anything is: `--replay`, `--miniloop-replay`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from miniloop.testing.replay_file import ReplayFile, first_difference
from miniloop.testing.trace import Trace

__all__ = ["divergence", "note", "replaying", "tell_of_replays", "wanted_for", "was_run"]

_wanted: ReplayFile | None = None
_is_for_any = False
_divergence: str | None = None
_was_run = False
_tell: Callable[[str], object] | None = None


def want(file: ReplayFile | None, *, for_any: bool = False) -> None:
    """From now on, have `explore` run the schedule of this file and no other.

    `for_any`: whatever the test is called; otherwise only the one that the file names.
    """
    global _wanted, _is_for_any, _divergence, _was_run
    _wanted, _is_for_any, _divergence, _was_run = file, for_any, None, False


def tell_of_replays(tell: Callable[[str], object]) -> None:
    """Call this with a sentence when a replay has been run."""
    global _tell
    _tell = tell


@contextmanager
def replaying(file: ReplayFile, *, for_any: bool = True) -> Iterator[None]:
    """While this lasts, `explore` replays the file."""
    before = _wanted, _is_for_any
    want(file, for_any=for_any)
    try:
        yield
    finally:
        kept = _divergence, _was_run
        want(before[0], for_any=before[1])
        _restore(*kept)


def _restore(divergence: str | None, was_run: bool) -> None:
    global _divergence, _was_run
    _divergence, _was_run = divergence, was_run


def wanted_for(test: str) -> ReplayFile | None:
    """The file to replay instead of exploring this test."""
    if _wanted is not None and (_is_for_any or _wanted.test == test):
        return _wanted
    return None


def note(file: ReplayFile, trace: Trace, *, has_passed: bool = False) -> None:
    """A replay has been run, and this test, if it was one, has not failed in it."""
    diverged = first_difference(file.steps, trace.steps)
    _restore(diverged, True)
    if _tell is not None:
        told = "was followed to its end" if diverged is None else f"was left: {diverged}"
        passed = f"; {file.test} does not fail in it" if has_passed else ""
        _tell(f"the schedule {told}{passed}")


def was_run() -> bool:
    """Whether there was a replay."""
    return _was_run


def divergence() -> str | None:
    """Where the last replay differed from what was recorded; None if nowhere."""
    return _divergence
