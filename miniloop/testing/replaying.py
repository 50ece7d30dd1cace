"""What is to be replayed in this process, if anything is: `--replay`, `--miniloop-replay`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from miniloop.testing.replay_file import ReplayFile, first_difference
from miniloop.testing.trace import Trace

__all__ = ["divergence", "note", "replaying", "wanted_for"]

_wanted: ReplayFile | None = None
_is_for_any = False
_divergence: str | None = None
_was_run = False


def want(file: ReplayFile | None, *, for_any: bool = False) -> None:
    """From now on, have `explore` run the schedule of this file and no other.

    `for_any`: whatever the test is called; otherwise only the one that the file names.
    """
    global _wanted, _is_for_any, _divergence, _was_run
    _wanted, _is_for_any, _divergence, _was_run = file, for_any, None, False


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


def note(file: ReplayFile, trace: Trace) -> None:
    """A replay has been run."""
    _restore(first_difference(file.steps, trace.steps), True)


def divergence() -> str | None:
    """Where the last replay differed from what was recorded; None if nowhere."""
    return _divergence
