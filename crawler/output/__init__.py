"""What a crawl leaves behind: lines of links, or a record of each URL, in one file."""

from .formats import FORMATS, HEADER, Format, format_for
from .gathering import GATHER_BYTES, HIGH_WATER, Output
from .records import FIELDS, Exchange, Record

__all__ = [
    "FIELDS",
    "FORMATS",
    "GATHER_BYTES",
    "HEADER",
    "HIGH_WATER",
    "Exchange",
    "Format",
    "Output",
    "Record",
    "format_for",
]
