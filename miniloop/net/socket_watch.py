"""What is known of a socket that is used by `sock_*` methods, and what is guessed.

It is a file of its own because the compiled build makes a type of C of it. `sock` uses it.
"""

from __future__ import annotations

from miniloop.kernel.poller import Watch

__all__ = ["MOST_SKIPPED", "SocketWatch"]

# How many sends in a row may pass without the guess that the answer is there: see guess_reply. A
# server that is wrong every time pays for one futile read in 64.
MOST_SKIPPED = 63


class SocketWatch(Watch):
    """What is known of a socket that is used by `sock_*` methods, and what is guessed."""

    __slots__ = ("guesses_skipped", "guesses_to_skip", "guessing", "short_read_drains")

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.guessing = False  # `drained` was cleared by a guess, and nobody has read since
        self.guesses_skipped = 0
        self.guesses_to_skip = 0
        # True if a read that brings less than asked for has emptied the buffer: see `sock`.
        self.short_read_drains = False

    def guess_reply(self) -> None:
        """Something was sent: assume that the answer is there, if that was true lately.

        A client of a server on the same machine mostly finds the answer when it tries to read; a
        server that has answered hardly ever finds the next request. So each wrong guess doubles the
        number of sends that pass before the next guess, and a right guess resets it.
        """
        if self.guesses_skipped < self.guesses_to_skip:
            self.guesses_skipped += 1
        else:
            self.drained = False
            self.guessing = True

    def settle_guess(self, right: bool) -> None:
        """The read that followed a guess found something, or found nothing."""
        self.guessing = False
        self.guesses_skipped = 0
        self.guesses_to_skip = 0 if right else min(2 * self.guesses_to_skip + 1, MOST_SKIPPED)
