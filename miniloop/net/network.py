"""The network: who makes sockets, and who resolves names.

Everything in `net` that needs a new socket asks the loop's `make_socket`, and everything that needs
the addresses of a name asks its `getaddrinfo`. Both, and `getnameinfo`, are answered by the network
that the loop was given (`EventLoop(network=...)`). The usual one, `SystemNetwork`, is that of the
operating system. Another may have its sockets in memory. It is a joint of the loop: debug mode and
task factories leave it alone, and it costs nothing while data are sent or received.

What a socket of another network must be:

* It has the methods of a non-blocking `socket.socket` that are used on it, among them `fileno`,
  `setblocking`, `gettimeout`, `setsockopt`, `getsockname`, `getpeername` and `close`; `connect` and
  `getsockopt` (SO_ERROR, after a `connect` that raised BlockingIOError); `bind`, `listen` and
  `accept`, which gives such a socket; `recv`, `recv_into`, `send`, `sendmsg` and `shutdown`; for
  datagrams `recvfrom`, `recvfrom_into` and `sendto`. What would block raises BlockingIOError. The
  attributes `family`, `type` and `proto` say what it is. It need not derive from `socket.socket`,
  but it can be referred to weakly.
* `fileno` gives a number that no other open socket has, nor any real descriptor, and that fits in a
  C `int`; -1 once it is closed. `1 << 30` and above are safe: processes do not have so many files.
* The loop's poller knows that number: `EventLoop(poller=..., network=...)`. It must know real
  descriptors as well, at least that of the loop's own wake-up. A `SelectorPoller` with a selector
  that knows both is enough.

`sendfile` to such a socket goes by the fall-back: `os.sendfile` does not know the number (EBADF).
A literal such as `127.0.0.1` is its own address, and the network is not asked for it.
Pipes, processes and the files of Unix sockets stay those of the system.

Source: the CPython documentation, `socket`; POSIX getaddrinfo(3).
"""

from __future__ import annotations

import socket
from typing import Any

from miniloop.kernel.contract import CompleteLoop
from miniloop.net import resolver
from miniloop.net.resolver import AddressInfo

__all__ = ["SystemNetwork"]


class SystemNetwork:
    """The network of the operating system."""

    __slots__ = ()

    def make_socket(self, family: int, kind: int, proto: int) -> socket.socket:
        """A new socket. Raises OSError if there can be none."""
        return socket.socket(family=family, type=kind, proto=proto)

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
    ) -> list[AddressInfo]:
        """`socket.getaddrinfo`, without blocking the loop."""
        return await resolver.getaddrinfo(
            loop, host, port, family=family, type=type, proto=proto, flags=flags
        )

    async def getnameinfo(self, loop: CompleteLoop, sockaddr: Any, flags: int) -> tuple[str, str]:
        """`socket.getnameinfo`, without blocking the loop."""
        return await resolver.getnameinfo(loop, sockaddr, flags)
