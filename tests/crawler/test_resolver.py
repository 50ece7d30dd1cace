"""Names and addresses: who is asked, how often, and for how long the answer holds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from crawler.http import Client, ConnectError, resolver
from crawler.http.resolver import Resolver
from tests.crawler.scripted import polite, serving

Run = Callable[..., Any]


class Directory:
    """Stands in for ``getaddrinfo`` of the running loop, and counts what it is asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def getaddrinfo(self, host: str, port: int, **options: Any) -> list[Any]:
        self.asked.append(host)
        await self.open.wait()
        if host == "nobody":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in name], 1, 6, "", (name, port)) for name in self.addresses]


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Directory]:
    def install(*addresses: str) -> Directory:
        loop = asyncio.get_running_loop()
        made = Directory(*addresses)
        monkeypatch.setattr(loop, "getaddrinfo", made.getaddrinfo, raising=False)
        return made

    return install


Install = Callable[..., Directory]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_families_take_turns(run: Run, directory: Install) -> None:
    async def main() -> list[str]:
        directory("::1", "::2", "::3", "10.0.0.1")
        return [name[0] for _, name in await Resolver().resolve("x", 1)]

    assert run(main) == ["::1", "10.0.0.1", "::2", "::3"]


def test_a_name_that_many_want_at_once_is_asked_for_once(run: Run, directory: Install) -> None:
    async def main() -> None:
        names = directory("10.0.0.1")
        names.open.clear()
        resolver = Resolver()
        waiting = [asyncio.create_task(resolver.resolve("x", 80)) for _ in range(100)]
        other = asyncio.create_task(resolver.resolve("y", 80))
        await turns()
        names.open.set()
        answers = await asyncio.gather(*waiting, other)
        assert len({tuple(answer) for answer in answers}) == 1
        assert names.asked == ["x", "y"]

    run(main)


def test_an_answer_is_kept_for_a_minute(
    run: Run, directory: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        names = directory("10.0.0.1")
        resolver = Resolver()
        for _ in range(3):
            await resolver.resolve("x", 80)
        assert names.asked == ["x"]
        loop = asyncio.get_running_loop()
        later = loop.time() + 61
        monkeypatch.setattr(loop, "time", lambda: later, raising=False)
        await resolver.resolve("x", 80)
        assert names.asked == ["x", "x"]

    run(main)


def test_a_failure_is_shared_by_those_who_wait_and_not_kept(run: Run, directory: Install) -> None:
    async def main() -> None:
        names = directory()
        resolver = Resolver()
        waiting = [asyncio.create_task(resolver.resolve("nobody", 80)) for _ in range(3)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in results} == {socket.gaierror}
        assert names.asked == ["nobody"]
        with pytest.raises(socket.gaierror):
            await resolver.resolve("nobody", 80)
        assert names.asked == ["nobody"] * 2

    run(main)


def test_who_gives_up_does_not_take_the_question_along(run: Run, directory: Install) -> None:
    async def main() -> None:
        names = directory("10.0.0.1")
        names.open.clear()
        resolver = Resolver()
        first, second = (asyncio.create_task(resolver.resolve("x", 80)) for _ in range(2))
        await turns()
        first.cancel()
        await turns()
        assert first.cancelled()
        names.open.set()
        assert len(await second) == 1
        assert names.asked == ["x"]

    run(main)


def test_a_failure_that_nobody_waits_for_any_more_makes_no_noise(
    run: Run, directory: Install
) -> None:
    async def main() -> None:
        noise: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
        names = directory()
        names.open.clear()
        resolver = Resolver()
        asking = asyncio.create_task(resolver.resolve("nobody", 80))
        await turns()
        asking.cancel()
        await turns()
        names.open.set()
        await turns()
        assert not resolver._asking
        assert noise == []

    run(main)


def test_a_resolver_that_is_closed_leaves_no_question_open(run: Run, directory: Install) -> None:
    async def main() -> None:
        names = directory("10.0.0.1")
        names.open.clear()
        resolver = Resolver()
        asking = asyncio.create_task(resolver.resolve("x", 80))
        await turns()
        resolver.close()
        # Who asked was not cancelled, and must not look as if.
        with pytest.raises(OSError, match="the client was closed"):
            await asking
        await turns()
        assert not resolver._asking

    run(main)


def test_the_names_that_are_kept_are_bounded(
    run: Run, directory: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        names = directory("10.0.0.1")
        monkeypatch.setattr(resolver, "KEPT_NAMES", 10)
        kept = Resolver()
        for number in range(30):
            await kept.resolve(f"host-{number}", 80)
        assert len(kept._answers) == 10
        await kept.resolve("host-29", 80)
        assert len(names.asked) == 30
        await kept.resolve("host-0", 80)
        assert len(names.asked) == 31

    run(main)


def test_a_name_none_of_whose_addresses_answers_is_asked_for_again(
    run: Run, directory: Install
) -> None:
    async def main() -> None:
        names = directory("127.0.0.1")
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            url = f"http://moved.test:{sock.getsockname()[1]}/"
            async with Client() as client:
                for _ in range(2):
                    with pytest.raises(Exception, match="refused"):
                        await client.get(url)
        assert names.asked == ["moved.test"] * 2

    run(main)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_address_literals_are_not_asked_for(run: Run, directory: Install, address: str) -> None:
    if ":" in address and not socket.has_ipv6:
        pytest.skip("no IPv6 here")

    async def main(url: str) -> bytes:
        names = directory()
        async with Client() as client:
            body = (await client.get(url)).body
        assert names.asked == []
        return body

    with serving(polite, host=address) as server:
        host = f"[{address}]" if ":" in address else address
        assert run(main, f"http://{host}:{server.port}/") == b"hello"


def test_an_address_that_is_not_permitted_is_not_connected_to(run: Run, directory: Install) -> None:
    asked: list[tuple[str, str]] = []

    def permit(host: str, address: str) -> bool:
        asked.append((host, address))
        return address != "127.0.0.1"

    async def main(url: str) -> None:
        directory("10.0.0.1", "127.0.0.1")
        async with Client(permit=permit) as client:
            with pytest.raises(ConnectError, match="which must not be connected to"):
                await client.get(url)
            directory("127.0.0.1")
            with pytest.raises(ConnectError, match="which must not be connected to"):
                await client.get(url.replace("127.0.0.1", "inside.test"))

    with serving(polite) as server:
        run(main, server.url)
    assert asked == [("127.0.0.1", "127.0.0.1"), ("inside.test", "127.0.0.1")]
    assert server.connections == 0
