"""How a record is written down: as lines of links, as JSON, as a row of a table.

A format is a header for the file and a function from a record to bytes that end a line.
"""

import csv
import io
import json
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from .file import HEADER
from .records import Record

# The names of a record's fields, in the order in which they are written.
FIELDS = tuple(Record.__dataclass_fields__)
_values = attrgetter(*FIELDS)
# Made once: to make one takes longer than to write a record with it.
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


class Format(NamedTuple):
    """``records`` says whether it needs more than the links of the pages that were fetched."""

    name: str
    header: str
    write: Callable[[Record], bytes]
    records: bool


def _links(record: Record) -> bytes:
    """``source_url<TAB>parsed_url`` lines; none for a page without links."""
    separator = f"\n{record.url}\t"
    lines = separator.join(record.links)
    return f"{record.url}\t{lines}\n".encode() if lines else b""


def _json_line(record: Record) -> bytes:
    text = _encode(dict(zip(FIELDS, _values(record), strict=True)))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _csv_row(record: Record) -> bytes:
    """A row (RFC 4180). What is a list is joined with spaces, which no URL holds."""
    values = [_cell(value) for value in _values(record)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: object) -> object:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, dict):
        return " ".join(f"{name}={seconds:.6f}" for name, seconds in value.items())
    # A spreadsheet takes what begins like this for a formula, and the text is a stranger's.
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@")):
        return "'" + value
    return value


FORMATS = {
    "tsv": Format("tsv", HEADER, _links, records=False),
    "jsonl": Format("jsonl", "", _json_line, records=True),
    "csv": Format("csv", ",".join(FIELDS) + "\r\n", _csv_row, records=True),
}
_BY_ENDING = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv"}


def format_for(path: Path, name: str | None = None) -> Format:
    """The format of that name, or else the one that the ending of the path asks for."""
    return FORMATS[name or _BY_ENDING.get(path.suffix.lower(), "tsv")]
