"""From host names to addresses, without asking twice.

A crawl opens many connections to one host at the same moment. Each name is asked for once at a
time, whoever else wants it waits for that answer, and answers are kept for a minute. (The resolver
of the operating system does not tell how long they are good for.) Failures are not kept.
"""

import asyncio
import errno
import itertools
import socket
from collections import OrderedDict

Address = tuple[socket.AddressFamily, tuple[str, int]]

# Seconds, and names.
KEPT_FOR = 60.0
KEPT_NAMES = 1024


class Resolver:
    """The addresses of hosts, from the running loop's ``getaddrinfo``."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, int], tuple[float, list[Address]]] = OrderedDict()
        self._asking: dict[tuple[str, int], asyncio.Task[list[Address]]] = {}

    async def resolve(self, host: str, port: int) -> list[Address]:
        """The addresses of ``host``; an address literal is its own address and costs no question.

        The two families take turns (RFC 8305, section 4), each in the system's order. Raises
        OSError or UnicodeError if there is no such name.
        """
        if literal := _literal(host, port):
            return [literal]
        key = host, port
        good_until, addresses = self._answers.get(key, (0.0, []))
        if asyncio.get_running_loop().time() < good_until:
            return addresses
        question = self._asking.get(key)
        if question is None:
            question = self._asking[key] = asyncio.create_task(_ask(host, port))
            question.add_done_callback(lambda asked: self._note(key, asked))
        # Who is cancelled here leaves; the question stands for the others.
        await asyncio.wait({question})
        if question.cancelled():  # whoever waits was not, so it must not look as if
            raise OSError(errno.ECANCELED, "the client was closed")
        return question.result()

    def forget(self, host: str, port: int) -> None:
        """Ask again next time: none of the addresses was any good."""
        self._answers.pop((host, port), None)

    def close(self) -> None:
        """Give up the questions that are still open."""
        for question in self._asking.values():
            question.cancel()

    def _note(self, key: tuple[str, int], question: asyncio.Task[list[Address]]) -> None:
        del self._asking[key]
        if question.cancelled() or question.exception() is not None:
            return
        good_until = asyncio.get_running_loop().time() + KEPT_FOR
        self._answers[key] = good_until, question.result()
        self._answers.move_to_end(key)
        if len(self._answers) > KEPT_NAMES:
            self._answers.popitem(last=False)


async def _ask(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    by_family: dict[socket.AddressFamily, list[Address]] = {}
    for family, _, _, _, name in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        by_family.setdefault(family, []).append((family, name))  # type: ignore[arg-type]
    turns = itertools.zip_longest(*by_family.values())
    return [address for turn in turns for address in turn if address is not None]


def _literal(host: str, port: int) -> Address | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return None
    return family, (host, port)
