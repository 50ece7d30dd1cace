"""Bytes in and out: one file for each thing a user can name."""

from miniloop.kernel import built as _built

__path__[:0] = _built("net")
