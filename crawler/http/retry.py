"""When a failed request is sent once more, and after how long.

Only what is safe to repeat is: a method that is idempotent (RFC 9110, section 9.2.2) and a body
that can be sent from its beginning. Waiting times double, and a random part of each is left out, so
that many who failed together do not come back together. A server's ``Retry-After`` is obeyed, or,
if it asks for more than we want to wait, the reply stands.

A server that is down should not get twice the load for it: each host has a budget of retries, which
good replies fill up again.
"""

import random
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from .errors import ConnectError, ConnectionLost, FetchTimeout, HTTPError, PoolTimeout, TotalTimeout
from .reply import Reply

# How many hosts' budgets are remembered.
_HOSTS = 4096
# How many good replies give a retry back.
_REPLIES = 10


@dataclass(frozen=True, slots=True)
class Retry:
    """How to repeat. ``times`` is how often after the first time; times are in seconds.

    Before repetition n the wait is a random part of ``wait * 2**(n-1)``, at least half of it, and
    ``longest`` at most. ``statuses`` are replies that count as failures. ``budget`` is how many
    retries a host may have in a row; good replies restore it, ten for each.
    """

    times: int = 2
    wait: float = 0.5
    longest: float = 30.0
    statuses: frozenset[int] = field(default=frozenset({429, 502, 503, 504}))
    budget: int = 20

    def after(self, attempt: int, retry_after: str | None = None) -> float | None:
        """Seconds to wait before repetition number ``attempt``, from 1; None for no repetition."""
        if attempt > self.times:
            return None
        wait = min(self.wait * 2.0 ** (attempt - 1), self.longest) * random.uniform(0.5, 1.0)
        asked = seconds_asked(retry_after)
        if asked is not None:
            if asked > self.longest:
                return None
            wait = max(wait, asked)
        return wait

    def repeats(self, failure: HTTPError | Reply) -> bool:
        """Whether such a failure may be over by the next time."""
        if isinstance(failure, Reply):
            return failure.status in self.statuses
        if isinstance(failure, FetchTimeout):
            return not isinstance(failure, TotalTimeout | PoolTimeout)
        return isinstance(failure, ConnectError | ConnectionLost)


class Budgets:
    """What each host has left."""

    def __init__(self, full: int) -> None:
        self._full = full * _REPLIES
        # Only of hosts that have spent something, in good replies.
        self._left: OrderedDict[str, int] = OrderedDict()

    def spend(self, host: str) -> bool:
        """Take one retry of ``host``; False if there is none left."""
        left = self._left.get(host, self._full)
        if left < _REPLIES:
            return False
        self._left[host] = left - _REPLIES
        self._left.move_to_end(host)
        if len(self._left) > _HOSTS:
            self._left.popitem(last=False)
        return True

    def earn(self, host: str) -> None:
        """Note a good reply."""
        left = self._left.get(host)
        if left is None:
            return
        if left + 1 >= self._full:
            del self._left[host]
        else:
            self._left[host] = left + 1


def seconds_asked(retry_after: str | None) -> float | None:
    """The seconds that ``Retry-After`` says, a number or a date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    import datetime
    import email.utils

    try:
        date = email.utils.parsedate_to_datetime(text)
        if date.tzinfo is None:  # HTTP's dates are in UTC, also those that do not say so
            date = date.replace(tzinfo=datetime.UTC)
        return max(0.0, date.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None  # nonsense says nothing
