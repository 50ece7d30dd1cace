"""BareSocket: the part of a simulated socket that moves no bytes: names, options and closing.

What an option does is remembered; these few have effect: SO_SNDBUF and SO_RCVBUF (in bytes, not
doubled as on Linux), SO_REUSEPORT, SO_LINGER with a time of zero.
"""

from __future__ import annotations

import errno
import io
import socket
import struct
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from miniloop.kernel.poller import WRITE
from miniloop.testing.network.contract import HANGUP, Address
from miniloop.testing.network.machine import Machine
from miniloop.testing.network.socket_errors import error_of, would_block
from miniloop.testing.network.table import Table
from miniloop.testing.network.tcp import End, Queue
from miniloop.testing.network.udp import Port

__all__ = ["BareSocket"]

_UNBOUND = {socket.AF_INET: ("0.0.0.0", 0), socket.AF_INET6: ("::", 0, 0, 0)}
_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
_FRESH = WRITE | HANGUP  # as Linux says of a socket that was never connected


class BareSocket(socket.socket):
    """Who a simulated socket is; `SimulatedSocket` sends and receives."""

    def __init__(
        self, table: Table, machine: Machine, family: int, kind: int, proto: int = 0
    ) -> None:
        # The constructor of the class above is not called: it would make a real one.
        self._number = -1
        self._io_refs, self._closed = 0, False  # what `makefile` and `with` look at
        kind &= ~(getattr(socket, "SOCK_NONBLOCK", 0) | getattr(socket, "SOCK_CLOEXEC", 0))
        if family not in _UNBOUND:
            raise OSError(
                errno.EAFNOSUPPORT, f"a simulated network has no {_name_of(family)} sockets"
            )
        if kind not in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            raise error_of(errno.ESOCKTNOSUPPORT)
        if machine.is_down:
            raise error_of(errno.ENETDOWN)
        self._table = table
        self._machine = machine
        self._family, self._kind = family, kind
        self._proto = proto or (
            socket.IPPROTO_TCP if kind == socket.SOCK_STREAM else socket.IPPROTO_UDP
        )
        self._timeout: float | None = socket.getdefaulttimeout()
        self._options: dict[tuple[int, int], Any] = {}
        self._local: Address | None = None  # as bound
        self._takes_port = False  # the binding is ours to undo
        self._end: End | None = None
        self._queue: Queue | None = None
        self._port: Port | None = None
        self._number = table.add(self)
        # No part of the network may refer to the socket: one left unclosed must be collected.
        self._changed: Callable[[], object] = partial(table.changed, self._number)
        if kind == socket.SOCK_DGRAM:
            self._port = Port(machine)
            self._port.notify = self._changed

    # What it is.

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return socket.AddressFamily(self._family)

    @property
    def type(self) -> socket.SocketKind:
        """SOCK_STREAM or SOCK_DGRAM."""
        return socket.SocketKind(self._kind)

    @property
    def proto(self) -> int:
        """IPPROTO_TCP or IPPROTO_UDP."""
        return self._proto

    @property
    def timeout(self) -> float | None:
        """As of `settimeout`."""
        return self._timeout

    @property
    def machine(self) -> Machine:
        """Whose socket it is."""
        return self._machine

    def fileno(self) -> int:
        """The number by which the network's poller knows it; -1 once it is closed."""
        return self._number

    def __repr__(self) -> str:
        state = "closed" if self._number < 0 else f"fd={self._number}"
        return (
            f"<{type(self).__name__} {state} on {self._machine.name}, {self.type.name}, "
            f"laddr={self._local_name()}, raddr={self._remote_name()}>"
        )

    def __del__(self, warn: Any = warnings.warn) -> None:
        if self._number >= 0:
            warn(f"unclosed {self!r}", ResourceWarning, source=self)
            self.close()

    def events(self) -> int:
        """What poll(2) would say now, in the bits of epoll."""
        if self._port is not None:
            return self._port.events()
        if self._queue is not None:
            return self._queue.events()
        return _FRESH if self._end is None else self._end.events()

    # Blocking, which is refused.

    def setblocking(self, flag: bool) -> None:
        """As `settimeout(None)` or `settimeout(0)`; only the second is of use."""
        self._timeout = None if flag else 0.0

    def settimeout(self, value: float | None) -> None:
        """Remembered; a call that would wait is refused."""
        if value is not None and value < 0:
            raise ValueError("Timeout value out of range")
        self._timeout = value

    def gettimeout(self) -> float | None:
        """What was set."""
        return self._timeout

    def getblocking(self) -> bool:
        """False if it is non-blocking."""
        return self._timeout != 0

    def _refuse_to_block(self, exc: OSError) -> OSError:
        if self._timeout == 0:
            return exc
        raise io.UnsupportedOperation(
            f"{self!r} would block, and a simulated network cannot: make it non-blocking, and use "
            "the loop's sock_* methods, or streams"
        ) from None

    # Names.

    def bind(self, address: Any, /) -> None:
        """Take a local address and port."""
        machine = self._open()
        if self._local is not None:
            raise error_of(errno.EINVAL)
        host, port = self._checked(address)
        shared = bool(self._options.get((socket.SOL_SOCKET, getattr(socket, "SO_REUSEPORT", -1))))
        port = machine.bind(self._kind, host, port, shared=shared)
        self._takes_port = True
        self._be_named(host, port)

    def _bind_freely(self, towards: str | None = None) -> Address:
        if self._local is None:
            machine = self._open()
            host = _ANY[socket.AddressFamily(self._family)]
            if towards is not None:
                host = machine.own_address(host, towards)
            port = machine.bind(self._kind, host, 0, shared=False)
            self._takes_port = True
            self._be_named(host, port)
        assert self._local is not None
        return self._local

    def _be_named(self, host: str, port: int) -> None:
        self._local = self._named(host, port)
        if self._port is not None:
            self._port.local = self._local
            self._machine.receive_at(host, port, self._port)

    def _named(self, host: str, port: int) -> Address:
        return (host, port) if self._family == socket.AF_INET else (host, port, 0, 0)

    def _checked(self, address: Any) -> tuple[str, int]:
        if not isinstance(address, tuple) or len(address) < 2:
            raise TypeError(f"an address must be (host, port), got {address!r}")
        host, port = address[:2]
        if not isinstance(port, int):
            raise TypeError(f"a port must be an integer, got {port!r}")
        if not 0 <= port <= 65535:
            raise OverflowError("bind(): port must be 0-65535.")
        if host == "":
            host = _ANY[socket.AddressFamily(self._family)]
        elif host == "<broadcast>":
            host = "255.255.255.255"
        try:
            packed = socket.inet_pton(self._family, host)
        except (OSError, TypeError):
            found = self._table.addresses_of(self._machine, host, self._family)
            return found, port
        return socket.inet_ntop(self._family, packed), port

    def getsockname(self) -> Any:
        """The local address."""
        self._open()
        return self._local_name()

    def getpeername(self) -> Any:
        """The remote address. Raises OSError (ENOTCONN) if there is none."""
        self._open()
        end = self._end
        if self._port is not None and self._port.remote is not None:
            return self._port.remote
        if end is None or end.state != "open":
            raise error_of(errno.ENOTCONN)
        return end.remote

    def _local_name(self) -> Address:
        if self._end is not None:
            return self._end.local
        return self._local or _UNBOUND[socket.AddressFamily(self._family)]

    def _remote_name(self) -> Address | None:
        if self._port is not None:
            return self._port.remote
        return None if self._end is None else self._end.remote

    # Options.

    def setsockopt(self, level: int, option: int, value: Any, optlen: int = 0, /) -> None:
        """Remember it: see the top for what has effect."""
        self._open()
        self._options[level, option] = value
        end = self._end
        if end is not None and level == socket.SOL_SOCKET:
            if option == socket.SO_SNDBUF:
                end.send_size = value
            elif option == socket.SO_RCVBUF:
                end.receive_size = value

    def getsockopt(self, level: int, option: int, buflen: int = 0, /) -> Any:
        """What was set; SO_ERROR gives the error that nobody was told, and clears it."""
        self._open()
        value: Any = self._options.get((level, option), 0)
        if level == socket.SOL_SOCKET:
            if option == socket.SO_ERROR:
                kept = self._end or self._port
                value = 0 if kept is None else kept.take_error()
            elif option == socket.SO_TYPE:
                value = self._kind
            elif option == socket.SO_ACCEPTCONN:
                value = int(self._queue is not None)
            elif option == socket.SO_SNDBUF and not value:
                value = 65536 if self._end is None else self._end.send_size
            elif option == socket.SO_RCVBUF and not value:
                value = 65536 if self._end is None else self._end.receive_size
        if not buflen:
            return value
        if isinstance(value, bytes):
            return value[:buflen]
        return struct.pack("=i", int(value)).ljust(buflen, b"\0")[:buflen]

    def get_inheritable(self) -> bool:
        """False: no process can inherit it."""
        return False

    def set_inheritable(self, inheritable: bool) -> None:
        """Refused, unless it asks for nothing."""
        if inheritable:
            raise error_of(errno.EOPNOTSUPP)

    def dup(self) -> NoReturn:
        """Refused: it has no descriptor."""
        raise error_of(errno.EOPNOTSUPP)

    # Ending.

    def shutdown(self, how: int, /) -> None:
        """Finish one direction, or both."""
        self._open()
        end = self._connected()
        if end.state != "open":
            raise error_of(errno.ENOTCONN)
        if how in (socket.SHUT_RD, socket.SHUT_RDWR):
            end.finish_reading()
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            end.finish()

    def close(self) -> None:
        """Give it back. What was written is still sent."""
        number, self._number = self._number, -1
        self._closed = True
        if number < 0:
            return
        self._table.remove(number)
        if self._queue is not None:
            self._machine.stop_listening(self._queue)
        if self._port is not None:
            self._port.close()
        if self._end is not None:
            self._end.close(at_once=self._lingers_not())
        if self._takes_port and self._local is not None and not self._machine.is_down:
            self._machine.unbind(self._kind, *self._local[:2])

    def detach(self) -> int:
        """Refused: there is no descriptor that could live on by itself."""
        raise error_of(errno.EOPNOTSUPP)

    def _lingers_not(self) -> bool:
        linger = self._options.get((socket.SOL_SOCKET, socket.SO_LINGER))
        return linger is not None and struct.unpack("ii", linger) == (1, 0)

    def _open(self) -> Machine:
        if self._number < 0:
            raise error_of(errno.EBADF)
        return self._machine

    def _connected(self) -> End:
        if self._end is None:
            raise error_of(errno.ENOTCONN)
        if self._end.state == "connecting":
            raise self._refuse_to_block(would_block())
        return self._end

    def lose_power(self) -> None:
        """The machine has crashed. A listening socket is closed; others fail when they are used."""
        if self._queue is not None:
            self.close()


def _name_of(family: int) -> str:
    try:
        return socket.AddressFamily(family).name
    except ValueError:
        return f"family {family}"
