"""The names of Unix sockets: files, which outlive their sockets, and abstract names, which do not.

Source: unix(7).
"""

from __future__ import annotations

import os
import stat

from miniloop.kernel.report import logger

__all__ = ["is_abstract", "remove_stale_socket"]


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
