"""How a record is written down: as lines of links, as JSON, as a row of a table, as an archive.

A format is a target (:mod:`.target`) and a function from a record to what that target writes.
"""

import csv
import io
from collections.abc import Callable, Sized
from json.encoder import encode_basestring as _json_text
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from .file import File
from .records import FIELDS, Block, Record
from .target import Target

HEADER = "source_url\tparsed_url\n"

_values = attrgetter(*FIELDS)


class Format(NamedTuple):
    """``records`` says whether it needs more than the links of the pages that were fetched.

    ``exchanges`` says whether it needs the bytes of requests and replies as well, ``only_files``
    whether it cannot be written to a pipe. ``check`` raises OSError if what is in a file is nothing
    that one can add to.
    """

    name: str
    target: Callable[[Path | int], Target]
    write: Callable[[Record], Sized]
    records: bool = True
    exchanges: bool = False
    only_files: bool = False
    check: Callable[[Path], None] = lambda path: None


def _links(record: Record) -> bytes:
    """``source_url<TAB>parsed_url`` lines; none for a page without links."""
    separator = f"\n{record.url}\t"
    lines = separator.join(record.links)
    return f"{record.url}\t{lines}\n".encode() if lines else b""


def _json_line(record: Record) -> bytes:
    """An object of all fields, as :mod:`json` writes it, put together in less time."""
    status = "null" if record.status is None else record.status
    timings = [f"{_json_text(name)}: {seconds!r}" for name, seconds in record.timings.items()]
    text = (
        f'{{"url": {_json_text(record.url)}, "depth": {record.depth}, "time": {record.time!r}, '
        f'"status": {status}, "final_url": {_json_text(record.final_url)}, '
        f'"redirects": {_json_list(record.redirects)}, "type": {_json_text(record.type)}, '
        f'"charset": {_json_text(record.charset)}, "size": {record.size}, '
        f'"decoded_size": {record.decoded_size}, "seconds": {record.seconds!r}, '
        f'"timings": {{{", ".join(timings)}}}, "flags": {_json_list(record.flags)}, '
        f'"links": {_json_urls(record.links)}, "error": {_json_text(record.error)}, '
        f'"detail": {_json_text(record.detail)}}}\n'
    )
    return text.encode("utf-8", "backslashreplace")


def _json_list(texts: list[str]) -> str:
    return f"[{', '.join(map(_json_text, texts))}]" if texts else "[]"


def _json_urls(urls: list[str]) -> str:
    """The same for links: the URL standard leaves no control character in them."""
    joined = '", "'.join(urls)
    if "\\" in joined or joined.count('"') != 2 * len(urls) - 2:
        return _json_list(urls)
    return f'["{joined}"]'


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


def _lines_below(header: str) -> Callable[[Path | int], Target]:
    return lambda path: File(path, header.encode())


def _database(path: Path | int) -> Target:
    from .database import Database  # each of these two is of use to few crawls

    return Database(path)


def _archive(path: Path | int) -> Target:
    from .warc import Archive

    return Archive(path)


def _check_database(path: Path) -> None:
    from .database import check

    check(path)


def _check_archive(path: Path) -> None:
    with path.open("rb") as file:
        begins = file.read(5)
    if begins and not begins.startswith((b"\x1f\x8b", b"WARC/")):
        raise OSError(f"{path} is no WARC archive that one can add to")


FORMATS = {
    "tsv": Format("tsv", _lines_below(HEADER), _links, records=False),
    "jsonl": Format("jsonl", File, _json_line),
    "csv": Format("csv", _lines_below(",".join(FIELDS) + "\r\n"), _csv_row),
    "sqlite": Format("sqlite", _database, Block, only_files=True, check=_check_database),
    "warc": Format("warc", _archive, Block, exchanges=True, check=_check_archive),
}
_BY_ENDING = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".warc": "warc",
}


def format_for(path: Path, name: str | None = None) -> Format:
    """The format of that name, or else the one that the ending of the path asks for."""
    ending = path.name.lower().removesuffix(".gz")
    return FORMATS[name or _BY_ENDING.get(Path(ending).suffix, "tsv")]
