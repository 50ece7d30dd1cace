"""Faults by chance: when, what and whom is drawn from the run's seed.

Each fault lasts for a while and is then undone, so that a correct program gets through. What
happened is in `Network.log`; the same seed gives the same faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from miniloop.testing.network.contract import KnownHost, Troubled
from miniloop.testing.network.wire import Wire

__all__ = ["KINDS", "Faults"]

KINDS = ("partition", "cut", "reset", "half-close", "slow reader", "names", "crash")


class Faults:
    """So many faults, `every` so many seconds on average, each for a time between two limits.

    `kinds` are some of KINDS. `hosts` are the names of those that may be struck (default: all but
    `here`). `after` is when the first may come. All times are seconds, and begin with the run.
    """

    def __init__(
        self,
        *,
        kinds: Iterable[str] = KINDS,
        hosts: Iterable[str] | None = None,
        count: int = 1,
        every: float = 1.0,
        lasting: tuple[float, float] = (0.1, 10.0),
        after: float = 0.0,
        slow_rate: float = 10_000.0,
    ) -> None:
        self._kinds = tuple(kinds)
        for kind in self._kinds:
            if kind not in KINDS:
                raise ValueError(
                    f"there is no kind of fault {kind!r}; there are {', '.join(KINDS)}"
                )
        if not self._kinds:
            raise ValueError("faults need at least one kind")
        if not count >= 0:
            raise ValueError(f"count must be 0 or more, got {count!r}")
        if not every > 0:
            raise ValueError(f"every must be more than 0 seconds, got {every!r}")
        if not after >= 0:
            raise ValueError(f"after must be 0 seconds or more, got {after!r}")
        if not 0 <= lasting[0] <= lasting[1]:
            raise ValueError(f"lasting must be two numbers of seconds, in order, got {lasting!r}")
        self._hosts = None if hosts is None else tuple(name.lower() for name in hosts)
        self._count = count
        self._every = every
        self._lasting = lasting
        self._after = after
        self._slow_rate = slow_rate

    def begin(self, network: Troubled, wire: Wire, chance: Random) -> None:
        """Plan the first one of a run."""
        if self._count > 0:
            strike = _Strike(network, wire, chance, self._count)
            self._plan(strike, wire.clock() + self._after)

    def _plan(self, strike: _Strike, start: float) -> None:
        when = start + strike.chance.expovariate(1 / self._every)
        strike.wire.at(when, lambda: self._happen(strike, when))

    def _happen(self, strike: _Strike, now: float) -> None:
        chance = strike.chance
        network = strike.network
        hosts = [
            host
            for host in network.hosts
            if (host is not network.here if self._hosts is None else host.name in self._hosts)
        ]
        if self._hosts is not None and not hosts:
            raise ValueError(f"faults for {', '.join(self._hosts)}: there is no such host")
        kind = chance.choice(self._kinds)
        until = now + chance.uniform(*self._lasting)
        victim = chance.choice(hosts) if hosts else network.here
        others = [host for host in network.hosts if host is not victim]
        other = chance.choice(others) if others else victim
        if kind in ("reset", "half-close"):  # of a connection, if there is one
            connected = [pair for pair in network.connected() if pair[0] in hosts]
            victim, other = chance.choice(connected) if connected else (victim, other)
        undo = self._do(kind, network, victim, other)
        if undo is not None:
            strike.wire.at(until, undo)
        strike.left -= 1
        if strike.left:
            self._plan(strike, now)

    def _do(
        self, kind: str, network: Troubled, victim: KnownHost, other: KnownHost
    ) -> Callable[[], object] | None:
        if kind == "partition":
            network.partition([victim])
            return network.heal
        if kind == "cut":
            network.cut(*((victim, other) if victim is not other else (other, victim)))
            return network.heal
        if kind == "reset":
            network.reset(victim, other)
        elif kind == "half-close":
            network.half_close(victim, other)
        elif kind == "slow reader":
            victim.read_slowly(self._slow_rate)
            return lambda: victim.read_slowly(None)
        elif kind == "names":
            network.fail_names()
            return network.restore_names
        elif not victim.is_down:
            victim.crash()
            return victim.restart
        return None


class _Strike:
    """The faults of one run that are still to come."""

    def __init__(self, network: Troubled, wire: Wire, chance: Random, left: int) -> None:
        self.network, self.wire, self.chance, self.left = network, wire, chance, left
