"""How datagram endpoints are made: addresses, options, sockets that are there already."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from miniloop.net.datagram import DatagramTransport
from tests.net.datagram_protocols import Echo, Endpoint, end, make

Run = Callable[..., Any]


LOCAL = ("127.0.0.1", 0)


# The options of create_datagram_endpoint.


def test_the_transport_tells_of_its_socket(run: Run) -> None:
    async def main() -> None:
        transport, protocol = await make(local_addr=LOCAL)
        assert isinstance(transport, asyncio.Transport)
        sock = transport.get_extra_info("socket")
        assert transport.get_extra_info("sockname") == sock.getsockname()
        assert transport.get_extra_info("peername") is None
        assert transport.get_protocol() is protocol
        other = Endpoint()
        transport.set_protocol(other)
        other.transport = transport
        transport.sendto(b"to myself", sock.getsockname())
        assert (await other.received.get())[0] == b"to myself"
        await end(other)

    run(main)


def test_ours_is_a_datagram_transport() -> None:
    assert issubclass(DatagramTransport, asyncio.DatagramTransport)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_an_endpoint_needs_no_address(run: Run, family: int) -> None:
    async def main() -> None:
        transport, protocol = await make(family=family)
        assert transport.get_extra_info("socket").family == family
        await end(protocol)

    run(main)


def test_an_endpoint_without_addresses_needs_a_family(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="unexpected address family"):
            await make()

    run(main)


def test_both_addresses_may_be_given(run: Run) -> None:
    async def main() -> None:
        _, server = await make(Echo, local_addr=LOCAL)
        address = server.transport.get_extra_info("sockname")
        transport, protocol = await make(local_addr=LOCAL, remote_addr=address)
        transport.sendto(b"both")
        assert await protocol.received.get() == (b"both", address)
        await end(server, protocol)

    run(main)


def test_a_port_can_be_shared(run: Run) -> None:
    async def main() -> None:
        transport, first = await make(local_addr=LOCAL, reuse_port=True)
        address = transport.get_extra_info("sockname")
        _, second = await make(local_addr=address, reuse_port=True)
        with pytest.raises(OSError, match="ddress already in use"):
            await make(local_addr=address)
        await end(first, second)

    run(main)


def test_a_broadcast_endpoint_is_not_connected(run: Run) -> None:
    async def main() -> None:
        server_transport, server = await make(local_addr=LOCAL)
        port = server_transport.get_extra_info("sockname")[1]
        transport, protocol = await make(remote_addr=("127.0.0.1", port), allow_broadcast=True)
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
        assert transport.get_extra_info("peername") is None
        transport.sendto(b"to all")
        assert (await server.received.get())[0] == b"to all"
        with pytest.raises(ValueError, match="Invalid address"):
            transport.sendto(b"to another", ("127.0.0.1", 1))
        await end(server, protocol)

    run(main)


def test_a_socket_can_be_taken_over(run: Run) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(LOCAL)
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect(peer.getsockname())
            transport, protocol = await make(sock=sock)
            assert transport.get_extra_info("peername") == peer.getsockname()
            transport.sendto(b"over a socket")
            assert peer.recv(100) == b"over a socket"
            await end(protocol)
        assert sock.fileno() == -1

    run(main)


def test_a_socket_goes_with_no_other_option(run: Run) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for option in (
                {"local_addr": LOCAL},
                {"remote_addr": ("127.0.0.1", 1)},
                {"family": socket.AF_INET},
                {"proto": 17},
                {"flags": 1},
                {"reuse_port": True},
                {"allow_broadcast": True},
            ):
                with pytest.raises(ValueError, match=f"can not be used.*{next(iter(option))}"):
                    await make(sock=sock, **option)  # type: ignore[arg-type]
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock,
            pytest.raises(ValueError, match=r"ocket was expected, got <socket\.socket"),
        ):
            await make(sock=sock)

    run(main)


@pytest.mark.parametrize("address", ["127.0.0.1", ("127.0.0.1",), ["127.0.0.1", 0], 5])
def test_an_address_is_a_pair(run: Run, address: Any) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="2-tuple is expected"):
            await make(local_addr=address)

    run(main)


def test_addresses_of_different_families_do_not_go_together(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="can not get address information"):
            await make(local_addr=LOCAL, remote_addr=("::1", 1))

    run(main)


def test_an_address_that_cannot_be_bound_is_reported(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(OSError, match="annot assign requested address"):
            await make(local_addr=("192.0.2.1", 0))  # reserved for documentation, RFC 5737

    run(main)


@pytest.mark.parametrize("value", [True, False, None])
def test_reuse_address_is_no_parameter_any_more(run: Run, value: bool | None) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="unexpected keyword argument 'reuse_address'"):
            await make(local_addr=LOCAL, reuse_address=value)

    run(main)


# Unix sockets.


def test_unix_datagrams_are_sent_by_path(run: Run, tmp_path: Path) -> None:
    ours, theirs = str(tmp_path / "ours"), str(tmp_path / "theirs")
    data = os.urandom(150_000)  # longer than any of the internet

    async def main() -> None:
        _, server = await make(Echo, local_addr=theirs, family=socket.AF_UNIX)
        transport, client = await make(local_addr=ours, remote_addr=theirs, family=socket.AF_UNIX)
        transport.sendto(data)
        assert await client.received.get() == (data, theirs)
        assert (await server.received.get())[1] == ours
        await end(server, client)

    run(main)


def test_a_stale_unix_socket_is_replaced(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)

    async def main() -> None:
        _, protocol = await make(local_addr=path, family=socket.AF_UNIX)
        await end(protocol)

    run(main)


def test_what_is_no_socket_is_not_replaced(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("content")

    async def main() -> None:
        with pytest.raises(OSError, match="ddress already in use"):
            await make(local_addr=str(path), family=socket.AF_UNIX)

    run(main)
    assert path.read_text() == "content"


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's own")
def test_an_abstract_name_is_possible(run: Run) -> None:
    name = f"\0miniloop-test-{os.getpid()}"

    async def main() -> None:
        _, server = await make(local_addr=name, family=socket.AF_UNIX)
        transport, client = await make(remote_addr=name, family=socket.AF_UNIX)
        transport.sendto(b"abstract")
        assert (await server.received.get())[0] == b"abstract"
        await end(server, client)

    run(main)


def test_a_unix_address_is_a_string(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="string is expected"):
            await make(local_addr=LOCAL, family=socket.AF_UNIX)

    run(main)
