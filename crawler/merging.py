"""Many workers' files made one, with each page once.

A worker writes pages before it says that they are done. If it dies between the two, another fetches
them again, and both files have them, each whole: what was being written when a worker died lies
beyond the length that the store has of its file. So the first of several is as good as the others.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from .output import Format


def merge(parts: Sequence[tuple[Path, int]], output: Path, form: str) -> int:
    """Write ``output`` from files and how much of each is whole; returns how many pages it has.

    Raises OSError if a part is missing or shorter than that, or cannot be merged in that format.
    """
    if form not in _READERS:
        raise OSError(f"{form} files cannot be merged: those that can are {', '.join(_READERS)}")
    read, has_header = _READERS[form]
    header = b""
    seen: set[str] = set()
    with output.open("wb") as file:
        for path, length in sorted(parts):
            if not length:
                continue
            if path.stat().st_size < length:
                raise OSError(f"{path} is shorter than the {length:,} bytes that the state says")
            with path.open("rb") as part:
                first = part.readline() if has_header else b""
                if not header:
                    header = first
                    file.write(header)
                elif first != header:
                    raise OSError(f"{path} begins with another line than the others")
                here: set[str] = set()
                for page, text in read(_whole(part, length - len(first))):
                    if page not in seen or page in here:
                        seen.add(page)
                        here.add(page)
                        file.write(text)
    return len(seen)


def can_be_merged(form: Format) -> bool:
    """Whether files of this format can be put together."""
    return form.name in _READERS


def _whole(file: io.BufferedReader, left: int) -> Iterator[bytes]:
    """The lines of a file, as far as they are whole."""
    while left > 0 and (line := file.readline()):
        left -= len(line)
        yield line


def _links(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    for line in lines:
        yield line.partition(b"\t")[0].decode(), line


def _json_lines(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    for line in lines:
        yield json.loads(line)["url"], line


def _csv_rows(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    for row in csv.reader(line.decode() for line in lines):
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerow(row)
        yield row[0], text.getvalue().encode()


_Reader = Callable[[Iterable[bytes]], Iterator[tuple[str, bytes]]]
# How the pages of a file are told apart, and whether it begins with a line about its columns.
_READERS: dict[str, tuple[_Reader, bool]] = {
    "tsv": (_links, True),
    "jsonl": (_json_lines, False),
    "csv": (_csv_rows, True),
}
