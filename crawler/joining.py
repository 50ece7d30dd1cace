"""Parts of a crawl that are no lines of text: archives and databases of several workers made one.

Of a part counts what its worker has committed: so many bytes of an archive, so many pages of a
database. What an earlier part has is left out of the later ones.
"""

import contextlib
import io
import re
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from .frontier.reasons import retold
from .output.database import TABLES, check
from .output.warc import member

Parts = Sequence[tuple[Path, int]]

_CHUNK = 256 * 1024
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d+)")
_TYPE = re.compile(rb"(?im)^warc-type:[ \t]*([^\r\n]*)")
_TARGET = re.compile(rb"(?im)^warc-target-uri:[ \t]*([^\r\n]*)")
# Behind the block of a record.
_END = b"\r\n\r\n"


def join_archives(parts: Parts, output: Path) -> int:
    """Write one WARC file, compressed or not as its name says; returns how many URLs it has.

    One record about the file itself is kept, the first. Raises OSError for a part that is shorter
    than it should be, or no archive.
    """
    plain = output.suffix.lower() == ".warc"
    seen: set[bytes] = set()
    begun = False
    with output.open("wb") as file:
        for path, length in parts:
            here: set[bytes] = set()
            with path.open("rb") as part:
                for record in _records(part, length, path):
                    head = record.partition(_END)[0]
                    kind, target = _TYPE.search(head), _TARGET.search(head)
                    if target is not None:
                        if target[1] in seen and target[1] not in here:
                            continue
                        seen.add(target[1])
                        here.add(target[1])
                    elif kind is not None and kind[1] == b"warcinfo":
                        if begun:
                            continue
                        begun = True
                    file.write(record if plain else member(record))
    return len(seen)


def _records(part: io.BufferedReader, length: int, path: Path) -> Iterator[bytes]:
    """The records of an archive, one after the other."""
    begins = part.peek(2)[:2]
    packed = begins == b"\x1f\x8b"
    whole = _bytes_of_members(part, length, path) if packed else _bytes_of(part, length)
    waiting = bytearray()
    for data in whole:
        waiting += data
        while size := _first(waiting, path):
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        raise OSError(f"{path} ends within a record")


def _first(data: bytearray, path: Path) -> int:
    """How long the record is that this begins with; 0 if it is not whole."""
    end = data.find(_END)
    if end < 0:
        return 0
    found = _LENGTH.search(data, 0, end)
    if found is None or not data.startswith(b"WARC/"):
        raise OSError(f"{path} is no WARC archive")
    size = end + len(_END) + int(found[1]) + len(_END)
    return size if len(data) >= size else 0


def _bytes_of(part: io.BufferedReader, left: int) -> Iterator[bytes]:
    while left > 0 and (data := part.read(min(left, _CHUNK))):
        left -= len(data)
        yield data


def _bytes_of_members(part: io.BufferedReader, length: int, path: Path) -> Iterator[bytes]:
    """What is in gzip members, each a record, as bytes."""
    unpack, between = zlib.decompressobj(zlib.MAX_WBITS + 16), True
    for data in _bytes_of(part, length):
        while data:
            yield unpack.decompress(data)
            data, between = unpack.unused_data, unpack.eof
            if between:
                unpack = zlib.decompressobj(zlib.MAX_WBITS + 16)
    if not between:
        raise OSError(f"{path} ends within a record")


def join_databases(parts: Parts, output: Path) -> int:
    """Write one database; returns how many pages it has. Raises OSError."""
    for ending in ("", "-wal", "-shm", "-journal"):
        Path(f"{output}{ending}").unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(output, isolation_level=None, uri=True)) as joined:
            joined.executescript(TABLES)
            joined.execute("create temp table taken (number integer primary key, page integer)")
            for path, length in parts:
                check(path)
                joined.execute("attach ? as part", (f"{path.absolute().as_uri()}?mode=ro",))
                _add_database(joined, length, path)
                joined.execute("detach part")
            (pages,) = joined.execute("select count(*) from pages").fetchone()
    except sqlite3.Error as error:
        raise retold(f"cannot write {output}", error) from error
    return int(pages)


def _add_database(joined: sqlite3.Connection, length: int, path: Path) -> None:
    execute = joined.execute
    (last,) = execute("select coalesce(max(id), 0) from part.pages").fetchone()
    if last < length:
        raise OSError(f"{path} has {last:,} pages, and the state says {length:,}")
    columns = [row[1] for row in execute("pragma main.table_info(pages)")][1:]
    names = ", ".join(columns)
    execute("begin")
    execute("delete from taken")
    # Numbered on from the last page that is there.
    execute(
        """insert into taken
           select (select coalesce(max(id), 0) from main.pages) + row_number() over (order by id),
                  id
           from part.pages p
           where id <= ? and not exists (select 1 from main.pages m where m.url = p.url)""",
        (length,),
    )
    execute(
        f"""insert into main.pages (id, {names})
            select taken.number, {", ".join(f"p.{name}" for name in columns)}
            from taken join part.pages p on p.id = taken.page order by taken.number"""
    )
    execute(
        """insert into main.links
           select taken.number, l.position, l.url
           from taken join part.links l on l.page = taken.page"""
    )
    execute("commit")
