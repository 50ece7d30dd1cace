"""Bytes in and out: connections, servers, TLS, datagrams, pipes, bare sockets and names."""

from miniloop.kernel import built as _built

__path__[:0] = _built("net")
