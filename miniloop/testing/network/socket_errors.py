"""The errors of a simulated socket: as exceptions, and kept until the program is told."""

from __future__ import annotations

import errno
import os

__all__ = ["PendingError", "error_of", "would_block"]


def error_of(number: int) -> OSError:
    """The exception that the `socket` module raises for an errno."""
    return OSError(number, os.strerror(number))


def would_block() -> OSError:
    """What a non-blocking call raises that cannot do anything now."""
    return error_of(errno.EAGAIN)


class PendingError:
    """What a kernel keeps in SO_ERROR: an error of a socket that the program was not told yet."""

    def __init__(self) -> None:
        self.error = 0  # an errno

    def take_error(self) -> int:
        """The errno that nobody has been told yet, or 0."""
        error, self.error = self.error, 0
        return error

    def raise_error(self) -> None:
        """Raise it, if there is one."""
        if self.error:
            raise error_of(self.take_error())
