"""Why a file could not be used, in words: what the system and SQLite say, for one who crawls."""

import errno
import sqlite3

# By the beginning of the name that SQLite has for it (https://www.sqlite.org/rescode.html).
_SQLITE = {
    "SQLITE_FULL": "no space is left",
    "SQLITE_NOTADB": "it is no SQLite database",
    "SQLITE_CORRUPT": "it is a damaged SQLite database",
    "SQLITE_BUSY": "another program keeps it locked",
    "SQLITE_LOCKED": "another program keeps it locked",
    "SQLITE_READONLY": "it may not be written to",
    "SQLITE_PERM": "it may not be used",
    "SQLITE_CANTOPEN": "it cannot be opened",
    "SQLITE_IOERR": "the disk reports an error",
    "SQLITE_TOOBIG": "something is too large for a row of it",
}
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def reason(error: BaseException) -> str:
    """What to say of ``error``; a file that it names is named."""
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", "")
        return next((text for start, text in _SQLITE.items() if name.startswith(start)), str(error))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)


def retold(what: str, error: OSError | sqlite3.Error) -> OSError:
    """An error that says ``what`` failed and why, of the same kind as ``error``."""
    text = f"{what}: {reason(error)}"
    if isinstance(error, sqlite3.Error):
        full = getattr(error, "sqlite_errorname", "").startswith("SQLITE_FULL")
        return OSError(errno.ENOSPC, text) if full else OSError(text)
    why = error.strerror or str(error)
    return OSError(text) if error.errno is None else OSError(error.errno, f"{what}: {why}")
