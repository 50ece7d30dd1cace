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


def merge(parts: Sequence[tuple[Path, int]], output: Path, form: str) -> int:
    """Write ``output`` from files and how much of each is whole; returns how many pages it has.

    Raises OSError if a part is missing or shorter than that, or is of another format. Of an archive
    or a text counts so much in bytes, of a database so many pages.
    """
    for path, length in parts:
        if length and output.exists() and output.samefile(path):
            raise OSError(f"{output} is itself one of the parts")
        if length and form != "sqlite" and path.stat().st_size < length:
            raise OSError(f"{path} is shorter than the {length:,} bytes that the state says")
    parts = [(path, length) for path, length in sorted(parts) if length]
    if form in ("warc", "sqlite"):
        from .joining import join_archives, join_databases  # of use to few crawls

        return join_archives(parts, output) if form == "warc" else join_databases(parts, output)
    read, has_header = _READERS[form]
    header = b""
    seen: set[str] = set()
    with output.open("wb") as file:
        for path, length in parts:
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
