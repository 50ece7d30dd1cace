"""What a crawl leaves behind: lines of links, or a record of each URL, in one file."""

from .file import GATHER_BYTES, HEADER, HIGH_WATER, Output
from .formats import FORMATS, Format, format_for
from .records import Record

__all__ = [
    "FORMATS",
    "GATHER_BYTES",
    "HEADER",
    "HIGH_WATER",
    "Format",
    "Output",
    "Record",
    "format_for",
]
