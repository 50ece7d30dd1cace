"""Network: several hosts in one process, and everything that can go wrong between them.

    network = Network(latency=0.010, jitter=0.005)
    server, client = network.host("server"), network.host("client")

    async def main():
        server.start(serve)
        reply = await client.run(ask("server", 8080))
        network.partition([server], [client])
        ...

    miniloop.testing.run(main(), network=network)

Programs use the loop as usual: `create_connection`, `create_server`, datagram endpoints, streams,
TLS, `sock_*`, `getaddrinfo`. A task that belongs to no host runs on a machine of its own,
`network.here`.

What is decided by chance is drawn from the run's seed alone, and everything happens in one order:
the same program with the same seed does the same.

One object serves many runs. Hosts, names, links and planned faults stay; all else begins anew.
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from miniloop.kernel.contract import CompleteLoop
from miniloop.kernel.poller import Watch
from miniloop.testing.network.faults import Faults
from miniloop.testing.network.host import Host, current_host
from miniloop.testing.network.machine import Machine
from miniloop.testing.network.names import Names
from miniloop.testing.network.simulated_socket import SimulatedSocket
from miniloop.testing.network.socket_module import simulated_sockets
from miniloop.testing.network.table import FIRST_NUMBER, Table
from miniloop.testing.network.tasks import OrderedTasks
from miniloop.testing.network.wire import LOOPBACK, Link, Road, Wire

__all__ = ["Network"]

_PARTITION = "partition"
_DOWN = "down"


class Network:
    """Hosts, links between them, names for them, and faults.

    `latency` and `jitter` are seconds, `bandwidth` is bytes a second; these and the probabilities
    `loss`, `duplicates` and `reordering` (of datagrams) hold between any two hosts, unless `link`
    says otherwise: see `Link`. `dns_delay` is how many seconds a look-up takes. `faults` strike by
    chance: see `Faults`.
    """

    def __init__(
        self,
        *,
        latency: float = 0.001,
        jitter: float = 0.0,
        bandwidth: float | None = None,
        loss: float = 0.0,
        duplicates: float = 0.0,
        reordering: float = 0.0,
        dns_delay: float = 0.0,
        faults: Faults | None = None,
    ) -> None:
        self._link = Link(latency, jitter, bandwidth, loss, duplicates, reordering)
        self._links: dict[tuple[str, str], Link] = {}
        self._dns_delay = dns_delay
        self._faults = faults
        self._hosts: dict[str, Host] = {}
        self._by_address: dict[str, Host] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._planned: list[tuple[float, Callable[..., object], tuple[Any, ...]]] = []
        self._running: contextlib.ExitStack | None = None
        self._loop: CompleteLoop | None = None
        self._begun = 0.0  # what the clock said
        self.log: list[tuple[float, str]] = []
        self._renew(random.Random(0))
        self.here = self.host("here")

    def _renew(self, chance: random.Random) -> None:
        self.log = []
        self._wire = Wire(chance)
        self._roads: dict[tuple[str, str], Road] = {}
        self._resolver = Names(self._wire, self._names, self._dns_delay)
        self._table = Table(self._resolver.first_address)
        for host in self._hosts.values():
            host.forget()
            host.begin(self._machine(host))

    def _machine(self, host: Host) -> Machine:
        return Machine(host.name, host.addresses, self._wire, self._machine_at, self._road)

    # Building.

    def host(self, name: str, *addresses: str) -> Host:
        """The host of that name, made if need be. Without addresses it is given one, 10.0.0.N."""
        name = name.lower()
        if name in self._hosts:
            known = self._hosts[name]
            if addresses and known.addresses != addresses:
                raise ValueError(f"host {name!r} has the addresses {known.addresses} already")
            return known
        if not addresses:
            number = len(self._hosts) + 1
            addresses = (f"10.0.{number >> 8}.{number & 255}",)
        addresses = tuple(map(_canonical, addresses))
        for address in addresses:
            if address in self._by_address:
                raise ValueError(f"{address} belongs to {self._by_address[address]!r} already")
        host = self._hosts[name] = Host(name, addresses, self._switch, self.note)
        self._by_address |= dict.fromkeys(addresses, host)
        self._names[name] = addresses
        host.begin(self._machine(host))
        return host

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All hosts, in the order in which they were made; `here` is the first."""
        return tuple(self._hosts.values())

    def name(self, name: str, *targets: str | Host) -> None:
        """Have a name stand for the addresses of hosts, or for these addresses."""
        addresses: list[str] = []
        for target in targets:
            if isinstance(target, Host):
                addresses += target.addresses
            else:
                addresses.append(_canonical(target))
        self._names[name.rstrip(".").lower()] = tuple(addresses)

    def link(
        self, one: Host | str, other: Host | str, *, both: bool = True, **changes: Any
    ) -> None:
        """Say how `other` is reached from `one`, and back if `both`: the arguments of `Link`."""
        a, b = self._named(one).name, self._named(other).name
        for way in ((a, b), (b, a)) if both else ((a, b),):
            self._links[way] = replace(self._links.get(way, self._link), **changes)
            if way in self._roads:
                self._roads[way].link = self._links[way]

    def at(self, seconds: float, call: Callable[..., object], *args: Any) -> None:
        """Have `call(*args)` happen so long after the begin of each run, or of the one that runs.

        It is called by the network, in no task: to let a fault happen, not to run a program.
        """
        if self._running is None:
            self._planned.append((seconds, call, args))
        else:
            self._wire.at(self._begun + seconds, lambda: call(*args))

    def _named(self, host: Host | str) -> Host:
        name = host.name if isinstance(host, Host) else host.lower()
        found = self._hosts.get(name)
        if found is None or (isinstance(host, Host) and found is not host):
            raise ValueError(f"there is no host {name!r} in this network")
        return found

    # Faults.

    def partition(self, *groups: Iterable[Host | str]) -> None:
        """Cut the ways between hosts of different groups. One group: between it and all others."""
        sides = [[self._named(host) for host in group] for group in groups]
        if len(sides) == 1:
            sides.append([host for host in self._hosts.values() if host not in sides[0]])
        for side in sides:
            for other in sides:
                if side is not other:
                    self._cut(side, other)
        self.note("partition: " + " | ".join(", ".join(h.name for h in side) for side in sides))

    def cut(self, source: Host | str, target: Host | str) -> None:
        """Let nothing through from one host to another; the way back stays."""
        a, b = self._named(source), self._named(target)
        self._cut([a], [b])
        self.note(f"cut: {a.name} -> {b.name}")

    def _cut(self, sources: Iterable[Host], targets: Iterable[Host]) -> None:
        for source in sources:
            for target in targets:
                if source is not target:
                    self._road_between(source.name, target.name).cut(_PARTITION)

    def heal(self) -> None:
        """Let everything through again; what was sent meanwhile is sent again, as TCP does."""
        self.note("heal")
        for road in list(self._roads.values()):
            road.mend(_PARTITION)

    def reset(self, one: Host | str, other: Host | str) -> int:
        """Break all connections between two hosts, as a firewall does that restarts.

        Returns how many there were. Both sides are told, by ECONNRESET.
        """
        a, b = self._named(one), self._named(other)
        ends = self._ends(a, b)
        for end in ends:
            assert end.peer is not None
            end.peer.was_reset()
            end.was_reset()
        self.note(f"reset: {a.name} - {b.name}, connections: {len(ends)}")
        return len(ends)

    def half_close(self, source: Host | str, target: Host | str) -> int:
        """Have `target` hear that `source` has finished sending, on all connections between them.

        `source` knows nothing of it. Returns how many connections there were.
        """
        a, b = self._named(source), self._named(target)
        ends = self._ends(b, a)
        for end in ends:
            end.hear_end()
        self.note(f"half-close: {a.name} -> {b.name}, connections: {len(ends)}")
        return len(ends)

    def connected(self) -> list[tuple[Host, Host]]:
        """The pairs of different hosts between which there are connections, both ways round."""
        return [
            (one, other)
            for one in self._hosts.values()
            for other in self._hosts.values()
            if one is not other and self._ends(one, other)
        ]

    def _ends(self, at: Host, towards: Host) -> list[Any]:
        assert at.machine is not None
        assert towards.machine is not None
        return [
            end
            for end in list(at.machine.ends.values())
            if end.peer is not None and end.peer.machine is towards.machine
        ]

    def fail_names(self, name: str = "", error: int = socket.EAI_AGAIN) -> None:
        """Have look-ups of a name fail with this error of getaddrinfo; of all names if empty."""
        self._resolver.fail(name, error)
        self.note(f"names fail: {name or 'all'}")

    def restore_names(self, name: str = "") -> None:
        """Have them succeed again."""
        self._resolver.succeed(name)
        self.note(f"names are back: {name or 'all'}")

    def delay_names(self, seconds: float, name: str = "") -> None:
        """Have look-ups take so many seconds; of all names if `name` is empty."""
        self._resolver.delay(name, seconds)
        self.note(f"names take {seconds:g} s: {name or 'all'}")

    def note(self, what: str) -> None:
        """Write a line into `log`, with the seconds since the run began."""
        self.log.append((self._wire.clock() - self._begun, what))

    def _switch(self, host: Host, on: bool) -> None:
        others = [other.name for other in self._hosts.values() if other is not host]
        if on:
            host.begin(self._machine(host))
            self.note(f"restart: {host.name}")
        else:
            machine = host.machine
            assert machine is not None
            machine.lose_power()
            for sock in self._table.of(machine):
                sock.lose_power()
            self.note(f"crash: {host.name}")
        for other in others:
            for way in ((host.name, other), (other, host.name)):
                road = self._road_between(*way)
                if on:
                    road.mend(_DOWN)
                else:
                    road.cut(_DOWN)
        if not on and self._loop is not None:
            host.cancel_tasks(list(self._loop.tasks))

    # For the machines.

    def _machine_at(self, address: str) -> Machine | None:
        host = self._by_address.get(address)
        return None if host is None else host.machine

    def _road(self, source: Machine, target: Machine) -> Road:
        return self._road_between(source.name, target.name)

    def _road_between(self, source: str, target: str) -> Road:
        way = source, target
        road = self._roads.get(way)
        if road is None:
            link = LOOPBACK if source == target else self._links.get(way, self._link)
            road = self._roads[way] = Road(self._wire, link)
        return road

    def _own_machine(self) -> Machine:
        host = current_host()
        if host is None or self._hosts.get(host.name) is not host:
            host = self.here
        assert host.machine is not None
        return host.machine

    # For the loop: see miniloop/net/network.py.

    def make_socket(self, family: int, kind: int, proto: int) -> socket.socket:
        """A socket of the host that the running task belongs to."""
        return SimulatedSocket(self._table, self._own_machine(), family, kind, proto)

    async def getaddrinfo(
        self,
        loop: CompleteLoop,
        host: Any,
        port: Any,
        *,
        family: int,
        type: int,
        proto: int,
        flags: int,
    ) -> list[Any]:
        """As `socket.getaddrinfo`, of the names that this network knows."""
        machine = self._own_machine()
        return await self._resolver.look_up(
            loop, machine, host, port, family=family, kind=type, proto=proto, flags=flags
        )

    async def getnameinfo(self, loop: CompleteLoop, sockaddr: Any, flags: int) -> tuple[str, str]:
        """As `socket.getnameinfo`."""
        return self._resolver.name_of(sockaddr, flags)

    # For the run: see `miniloop.testing.run`.

    def begin(self, loop: CompleteLoop, clock: Callable[[], float], seed: int) -> None:
        """A run begins on this loop: be as new."""
        if self._running is not None:
            raise RuntimeError("this network is in use: one network serves one run at a time")
        self._renew(random.Random(seed))
        self._wire.clock = clock
        self._begun = clock()
        self._loop = loop
        loop.tasks = OrderedTasks(loop.tasks)
        for when, call, args in self._planned:
            self._wire.at(self._begun + when, lambda call=call, args=args: call(*args))  # type: ignore[misc]
        if self._faults is not None:
            # Their own chance: what a program sends does not change which faults it meets.
            self._faults.begin(self, self._wire, random.Random(f"faults {seed}"))
        self._running = contextlib.ExitStack()
        self._running.enter_context(
            simulated_sockets(loop, self.make_socket, self._find, lambda: self._own_machine().name)
        )

    def _find(self, host: Any, port: Any, **what: int) -> list[Any]:
        return self._resolver.find(self._own_machine(), host, port, **what)

    def end(self) -> None:
        """The run is over."""
        running, self._running, self._loop = self._running, None, None
        if running is not None:
            running.close()

    def next_event(self) -> float | None:
        """When the next packet arrives, or whatever else happens by itself (seconds)."""
        return self._wire.next_arrival()

    def advance(self, now: float) -> None:
        """Let all happen that is due."""
        self._wire.run_due()

    def events(self, watches: Mapping[int, Watch]) -> Iterable[tuple[int, int]]:
        """Which of our sockets are ready, of those that are watched, and for what."""
        return self._table.events(watches)

    def owns(self, fd: int) -> bool:
        """Whether it is the number of a simulated socket."""
        return fd >= FIRST_NUMBER

    def changed(self, watch: Watch) -> None:
        """Somebody's interest in one of ours has changed."""
        self._table.changed(watch.fd)


def _canonical(address: str) -> str:
    """An address in its usual form. Raises ValueError if it is none."""
    return str(ipaddress.ip_address(address))
