"""The names of Unix sockets: files, which outlive their sockets, and abstract names, which do not.

Source: unix(7).
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from miniloop.kernel.report import logger

__all__ = ["SocketFile", "is_abstract", "remove_stale_socket"]


def is_abstract(path: str | bytes) -> bool:
    """True for a name in Linux's abstract namespace, which leaves no file."""
    return path[:1] in ("\0", b"\0")


def remove_stale_socket(path: str | bytes) -> None:
    """Make room for a socket file, if what is there is one. Abstract names need no room."""
    if is_abstract(path):
        return
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.remove(path)
    except FileNotFoundError:
        pass
    except OSError as exc:
        # We may be allowed to create a socket here, though not to look.
        logger.error("Unable to check or remove stale UNIX socket %r: %r", path, exc)


class SocketFile(NamedTuple):
    """The file of a bound socket, so that no other is removed in its place."""

    path: str | bytes
    inode: int

    @classmethod
    def at(cls, path: str | bytes) -> SocketFile | None:
        """The file of that name; None if there is none, or the name is abstract."""
        if is_abstract(path):
            return None
        try:
            return cls(path, os.stat(path).st_ino)
        except FileNotFoundError:
            return None  # somebody else has removed it

    def remove(self) -> None:
        """Remove the file if it is still there. What else may go wrong is logged."""
        try:
            if os.stat(self.path).st_ino == self.inode:
                os.unlink(self.path)
        except FileNotFoundError:
            pass
        except OSError as exc:
            logger.error("Unable to clean up listening UNIX socket %r: %s", self.path, exc)
