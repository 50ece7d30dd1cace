"""How a TLS connection begins, or fails to."""

from __future__ import annotations

import asyncio
import gc
import math
import socket
import ssl
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from miniloop.net.tls import TLSProtocol
from tests.conftest import LOOPS
from tests.net import certificates
from tests.net.blocking_peer import listening, receive_exactly, tls_server
from tests.net.recording_protocol import Recorder

Run = Callable[..., Any]

ON_MINILOOP = pytest.mark.parametrize("loop_factory", [miniloop.new_event_loop], ids=["miniloop"])


def answer(sock: ssl.SSLSocket) -> None:
    """Say hello, and wait until the peer is done."""
    sock.sendall(b"hello")
    assert sock.recv(100) == b""


async def connect(address: tuple[str, int], **options: Any) -> tuple[Any, Recorder]:
    options.setdefault("ssl", certificates.client_context())
    options.setdefault("server_hostname", "localhost")
    return await asyncio.get_running_loop().create_connection(Recorder, *address, **options)


async def serve(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
    context: ssl.SSLContext,
    **options: Any,
) -> tuple[asyncio.Server, tuple[str, int]]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context, **options)
    return server, server.sockets[0].getsockname()


def test_extra_info_has_every_documented_key(run: Run) -> None:
    context = certificates.client_context()

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address, ssl=context)
        names = dict(transport.get_extra_info("peercert")["subjectAltName"][:1])
        assert names == {"DNS": "localhost"}
        cipher, version, bits = transport.get_extra_info("cipher")
        assert (version, bits) == ("TLSv1.3", 256)
        assert cipher.startswith("TLS_")
        assert transport.get_extra_info("compression") is None
        assert transport.get_extra_info("compression", "default") is None
        assert transport.get_extra_info("sslcontext") is context
        assert isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)
        assert transport.get_extra_info("peername") == address
        sock = transport.get_extra_info("socket")
        assert sock.getpeername() == address
        assert transport.get_extra_info("sockname") == sock.getsockname()
        assert transport.get_extra_info("no such key", "default") == "default"
        await protocol.received(5)
        transport.close()
        assert await protocol.lost is None

    with listening(tls_server(certificates.server_context(), answer)) as address:
        run(main, address)


def test_after_the_end_tls_still_knows_its_own_and_the_socket_is_gone(run: Run) -> None:
    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        await protocol.received(5)
        transport.close()
        await protocol.lost
        assert transport.get_extra_info("cipher") is not None
        assert transport.get_extra_info("peercert") is not None
        assert transport.get_extra_info("socket", "gone") == "gone"

    with listening(tls_server(certificates.server_context(), answer)) as address:
        run(main, address)


def test_the_server_name_is_sent_and_a_context_may_be_chosen_by_it(run: Run) -> None:
    asked: list[str | None] = []
    chosen = certificates.server_context()
    first = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates.STRANGER.issue_cert("elsewhere").configure_cert(first)

    def choose(sock: Any, name: str | None, _: object) -> None:
        asked.append(name)
        sock.context = chosen

    first.sni_callback = choose

    async def main() -> None:
        server, address = await serve(lambda reader, writer: writer.close(), first)
        async with server:
            _, protocol = await connect(address)
            assert await protocol.lost is None

    run(main)
    assert asked == ["localhost"]


@pytest.mark.parametrize(
    ("offered", "agreed"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["x"], None)]
)
def test_the_application_protocol_is_agreed(
    run: Run, offered: list[str], agreed: str | None
) -> None:
    seen = []

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        writer.close()

    async def main() -> None:
        server_context = certificates.server_context()
        server_context.set_alpn_protocols(["h2", "http/1.1"])
        context = certificates.client_context()
        context.set_alpn_protocols(offered)
        server, address = await serve(handle, server_context)
        async with server:
            transport, protocol = await connect(address, ssl=context)
            seen.append(transport.get_extra_info("ssl_object").selected_alpn_protocol())
            await protocol.lost

    run(main)
    assert seen == [agreed, agreed]


def test_the_server_sees_the_clients_certificate(run: Run) -> None:
    seen = []

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peercert")["subjectAltName"])
        writer.close()

    async def main() -> None:
        server, address = await serve(handle, certificates.server_context(wants_certificate=True))
        async with server:
            context = certificates.client_context(shows_certificate=True)
            _, protocol = await connect(address, ssl=context)
            assert await protocol.lost is None

    run(main)
    assert seen == [(("email", "client@example.org"),)]


# asyncio closes the connection before the alert that OpenSSL has written for the peer is sent.
@ON_MINILOOP
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_without_certificate_is_told_why_it_is_refused(
    run: Run, version: ssl.TLSVersion
) -> None:
    served = []

    async def connect_and_wait(address: tuple[str, int]) -> None:
        # With TLS 1.3 the client is done before the server has seen what it lacks.
        _, protocol = await connect(address)
        raise await protocol.lost or AssertionError("not refused")

    async def main() -> None:
        server_context = certificates.server_context(wants_certificate=True)
        server_context.maximum_version = version
        server, address = await serve(lambda *_: served.append(1), server_context)
        async with server:
            with pytest.raises(ssl.SSLError, match=r"(?i)certificate.required|handshake.failure"):
                await connect_and_wait(address)

    run(main)
    assert not served


def test_a_certificate_of_a_strangers_authority_is_refused(run: Run) -> None:
    def refused(sock: socket.socket) -> None:
        with pytest.raises(OSError, match=r"."):
            tls_server(certificates.server_context(), answer)(sock)

    async def main(address: tuple[str, int]) -> None:
        context = certificates.client_context(authority=certificates.STRANGER)
        with pytest.raises(ssl.SSLCertVerificationError, match="CERTIFICATE_VERIFY_FAILED"):
            await connect(address, ssl=context)

    with listening(refused) as address:
        run(main, address)


# asyncio does so from CPython 3.14.10 on.
@ON_MINILOOP
def test_a_refused_handshake_leaves_nothing_to_the_garbage_collector(run: Run) -> None:
    contexts = []

    def refused(sock: socket.socket) -> None:
        with pytest.raises(OSError, match=r"."):
            tls_server(certificates.server_context(), answer)(sock)

    async def main(address: tuple[str, int]) -> None:
        context = certificates.client_context(authority=certificates.STRANGER)
        contexts.append(weakref.ref(context))
        try:
            await connect(address, ssl=context)
        except ssl.SSLCertVerificationError:
            del context
        else:
            pytest.fail("it was not refused")
        await asyncio.sleep(0)
        assert contexts[0]() is None

    gc.collect()
    gc.disable()
    try:
        with listening(refused) as address:
            run(main, address)
    finally:
        gc.enable()


def test_a_certificate_for_another_name_is_refused(run: Run) -> None:
    def refused(sock: socket.socket) -> None:
        with pytest.raises(OSError, match=r"."):
            tls_server(certificates.server_context(), answer)(sock)

    async def main(address: tuple[str, int]) -> None:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'example.org'"):
            await connect(address, server_hostname="example.org")

    with listening(refused) as address:
        run(main, address)


# asyncio closes the connection before the alert that OpenSSL has written for the peer is sent.
@ON_MINILOOP
def test_a_server_whose_certificate_is_refused_is_told_so(run: Run) -> None:
    def refused(sock: socket.socket) -> None:
        with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca"):
            tls_server(certificates.server_context(), answer)(sock)

    async def main(address: tuple[str, int]) -> None:
        context = certificates.client_context(authority=certificates.STRANGER)
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(address, ssl=context)

    with listening(refused) as address:
        run(main, address)


def test_versions_that_have_nothing_in_common_are_no_agreement(run: Run) -> None:
    def refused(sock: socket.socket) -> None:
        context = certificates.server_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(OSError, match=r"."):
            tls_server(context, answer)(sock)

    async def main(address: tuple[str, int]) -> None:
        context = certificates.client_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with pytest.raises(ssl.SSLError):
            await connect(address, ssl=context)

    with listening(refused) as address:
        run(main, address)


def test_a_peer_that_does_not_speak_tls_is_an_ssl_error(run: Run) -> None:
    def speak_http(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        while sock.recv(1000):
            pass

    async def main(address: tuple[str, int]) -> None:
        with pytest.raises(ssl.SSLError, match=r"(?i)wrong.version.number"):
            await connect(address)

    with listening(speak_http) as address:
        run(main, address)


def test_a_peer_that_hangs_up_in_the_handshake_is_a_connection_reset(run: Run) -> None:
    async def main(address: tuple[str, int]) -> None:
        with pytest.raises(ConnectionResetError):
            await connect(address)

    with listening(lambda sock: sock.recv(10_000)) as address:
        run(main, address)


def test_a_handshake_that_takes_too_long_is_aborted(run: Run) -> None:
    def say_nothing(sock: socket.socket) -> None:
        while sock.recv(10_000):
            pass

    async def main(address: tuple[str, int]) -> None:
        with pytest.raises(ConnectionAbortedError, match=r"SSL handshake .*is taking longer"):
            await connect(address, ssl_handshake_timeout=0.05)

    with listening(say_nothing) as address:
        run(main, address)


def test_a_client_that_never_says_hello_is_dropped_by_the_server(run: Run) -> None:
    made = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: made.append(Recorder()) or made[0],
            "127.0.0.1",
            0,
            ssl=certificates.server_context(),
            ssl_handshake_timeout=0.05,
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b""
            writer.close()

    run(main)
    assert made[0].calls == []


def test_a_cancelled_handshake_closes_the_socket(run: Run) -> None:
    ended = []

    def wait_for_end(sock: socket.socket) -> None:
        while sock.recv(10_000):
            pass
        ended.append(True)

    async def main(address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connect(address)
        # Nothing is reported behind the caller's back.
        loop.set_exception_handler(lambda _, context: pytest.fail(str(context)))
        await asyncio.sleep(0)

    with listening(wait_for_end) as address:
        run(main, address)
    assert ended


def test_a_client_may_use_the_systems_certificates(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address, ssl=True)
        assert transport.get_extra_info("sslcontext").verify_mode is ssl.CERT_REQUIRED
        transport.close()
        await protocol.lost

    with certificates.AUTHORITY.cert_pem.tempfile() as path:
        monkeypatch.setenv("SSL_CERT_FILE", path)
        with listening(tls_server(certificates.server_context(), answer)) as address:
            run(main, address)


def test_without_a_server_name_only_the_authority_is_checked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address, ssl=True, server_hostname="")
        context = transport.get_extra_info("sslcontext")
        assert not context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
        await protocol.received(5)
        transport.close()
        assert await protocol.lost is None

    with certificates.AUTHORITY.cert_pem.tempfile() as path:
        monkeypatch.setenv("SSL_CERT_FILE", path)
        with listening(tls_server(certificates.server_context(), answer)) as address:
            run(main, address)


def test_an_sslobject_class_may_resume_an_earlier_session(run: Run) -> None:
    # Neither create_connection nor start_tls takes a session; the context's class of objects is
    # the way in that both loops have.
    sessions: list[ssl.SSLSession] = []

    class Resuming(ssl.SSLObject):
        @classmethod
        def _create(cls, *args: Any, **kwargs: Any) -> Any:
            kwargs["session"] = sessions[-1] if sessions else None
            return super()._create(*args, **kwargs)  # type: ignore[misc]

    reused = []

    def serve_twice(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"x")
        reused.append(sock.session_reused)
        assert sock.recv(100) == b""

    async def main(address: tuple[str, int]) -> None:
        context = certificates.client_context()
        context.sslobject_class = Resuming
        for _ in range(2):
            transport, protocol = await connect(address, ssl=context)
            await protocol.received(1)  # after the ticket, which the session is from
            sessions.append(transport.get_extra_info("ssl_object").session)
            transport.close()
            await protocol.lost

    server = tls_server(certificates.server_context(), serve_twice)
    with listening(server, connections=2) as address:
        run(main, address)
    assert reused == [False, True]


@ON_MINILOOP
def test_a_session_may_be_given_to_the_protocol(run: Run) -> None:
    reused = []

    def serve_twice(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"x")
        reused.append(sock.session_reused)
        assert sock.recv(100) == b""

    async def main(address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        context = certificates.client_context()
        session = None
        for _ in range(2):
            recorder = Recorder()
            agreed = loop.create_future()
            tls = TLSProtocol(
                loop, recorder, context, agreed, server_hostname="localhost", session=session
            )
            await loop.create_connection(lambda tls=tls: tls, *address)  # type: ignore[misc]
            await agreed
            await recorder.received(1)
            session = recorder.transport.get_extra_info("ssl_object").session
            recorder.transport.close()
            await recorder.lost

    server = tls_server(certificates.server_context(), serve_twice)
    with listening(server, connections=2) as address:
        run(main, address)
    assert reused == [False, True]


@pytest.mark.parametrize("what", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize(
    ("timeout", "loop_factory"),
    [
        *[(timeout, factory) for timeout in (0, -1) for factory in LOOPS.values()],
        (math.nan, miniloop.new_event_loop),  # a deadline that is never due, nor ever past
    ],
)
def test_timeouts_must_be_positive(run: Run, what: str, timeout: float) -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        with here, there, pytest.raises(ValueError, match=f"{what} .* positive number"):
            await asyncio.get_running_loop().create_connection(
                Recorder,
                sock=here,
                ssl=certificates.client_context(),
                server_hostname="localhost",
                **{what: timeout},
            )

    run(main)


@pytest.mark.parametrize("what", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
def test_timeouts_mean_nothing_without_tls(run: Run, what: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(ValueError, match=f"{what} is only meaningful with ssl"):
            await loop.create_connection(Recorder, "127.0.0.1", 9, **{what: 1})

    run(main)


def test_a_server_needs_a_context(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="ssl argument must be an SSLContext"):
            await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=True)

    run(main)


@ON_MINILOOP
def test_what_is_no_context_is_named(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(TypeError, match=r"must be an ssl\.SSLContext or True, got 'tls'"):
            TLSProtocol(loop, Recorder(), "tls", None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"needs an ssl\.SSLContext with its certificate"):
            TLSProtocol(loop, Recorder(), True, None, server_side=True)

    run(main)


def test_the_first_request_may_be_written_in_connection_made(run: Run) -> None:
    class Eager(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.write(b"first")

    def check(sock: ssl.SSLSocket) -> None:
        assert receive_exactly(sock, 5) == b"first"
        assert sock.recv(100) == b""

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await asyncio.get_running_loop().create_connection(
            Eager, *address, ssl=certificates.client_context(), server_hostname="localhost"
        )
        transport.close()
        assert await protocol.lost is None

    with listening(tls_server(certificates.server_context(), check)) as address:
        run(main, address)


def test_data_that_come_with_the_end_of_the_handshake_are_delivered(run: Run) -> None:
    # The server speaks first, so its data may come in the same segment as its last handshake word.
    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        assert await protocol.received(5) == b"hello"
        transport.close()
        assert await protocol.lost is None

    with listening(tls_server(certificates.server_context(), answer)) as address:
        run(main, address)
