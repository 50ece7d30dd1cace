"""Whether what was compiled is made from the files that lie here now.

A build is a copy of its sources, and would go on running when they change: after an edit, or a
checkout of another commit, the old code would still run. So a build keeps a record of what it was
made from. If that does not match the files, the build is not used, and a warning says so.

A look at sizes and times is enough as long as nothing was touched. Only where one differs are the
contents compared. The build of a wheel has no record, as nobody edits what is installed.

Invariant: a build that has a record runs only if each of its sources is what it was.

The trap: this is imported before it is known which build runs, so it must not be compiled itself.
"""

from __future__ import annotations

import os

__all__ = ["RECORD", "is_current", "record"]

RECORD = "sources"
"""The name of the record, in the folder of what was built."""


def record(package: str, sources: list[str]) -> str:
    """The text of a record of these files, below the folder `package`."""
    lines = []
    for source in sources:
        path = os.path.join(package, source)
        found = os.stat(path)
        lines.append(f"{found.st_size} {found.st_mtime_ns} {_digest(path)} {source}\n")
    return "".join(lines)


def is_current(package: str, built: str) -> bool:
    """Whether `built` was made from the files below `package` as they are, or has no record."""
    try:
        with open(os.path.join(built, RECORD), encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return True
    for line in lines:
        size, time, digest, source = line.split(" ", 3)
        path = os.path.join(package, source)
        try:
            found = os.stat(path)
            touched = (found.st_size, found.st_mtime_ns) != (int(size), int(time))
            if touched and _digest(path) != digest:
                return False
        except FileNotFoundError:
            return False
    return True


def _digest(path: str) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
