"""Choosing how a person is told how the crawl goes."""

import os
import sys
from typing import TextIO

from .progress import NoProgress, PlainProgress


def progress(
    list_name: str,
    total: int | None,
    stream: TextIO | None = None,
    *,
    quiet: bool = False,
    verbose: bool = False,
) -> PlainProgress:
    """The live view if ``stream`` (standard error) is a terminal that can, else plain lines."""
    stream = stream or sys.stderr
    if quiet:
        return NoProgress(list_name, total, stream)
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from .live import LiveView  # what draws it takes a while to import

        return LiveView(list_name, total, stream, verbose=verbose)
    return PlainProgress(list_name, total, stream, verbose=verbose)
