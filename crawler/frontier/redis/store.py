"""The store in an engine, Redis or Valkey: for the workers of many machines.

The rules, beside those of :mod:`crawler.frontier.store`:

1. A host belongs to a shard, with all that is known of its pages. A shard's keys have one hash tag,
   so they are on one node of a cluster, and a step of a shard is one script, which nothing
   interrupts. See ``shard.lua`` for what is where, and ``crawl.lua`` for what a crawl has once.
2. A commit reaches over several shards, in four steps. *Prepare*: in the shards of its pages, if
   all of them are the worker's. *Add*: the links go to their shards, where those that are known are
   no matter. *Decide*: in one place, together with the length of the output. From here on it
   counts. *Finish*: the pages are done. A worker may die between any two of them. Whoever buries it
   forbids it to decide, asks what it had decided last, and finishes just that in each shard.
3. Time is the engine's. Nothing depends on the clocks of the workers.
4. Shards are looked at one after the other while others change them. So what is said of the whole
   (that the crawl is over, up to which depth nothing changes any more) is said after two looks: at
   neither was a page open there, and none came to be there in between.
"""

import asyncio
import hashlib
import os
import socket
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from crawler.frontier.hosts import host_of
from crawler.frontier.store import Claimed, Done, Fenced, Page, Rules, share_of

from .address import parse_engine
from .checks import check_engine
from .looks import Look
from .scripts import CRAWL, SHARD
from .status import LOOKED_AT, Status, numbers, status_of

if TYPE_CHECKING:
    from .connection import Engine

VERSION = 1
# How many links one step takes, and how many hosts or pages; so that a step is short.
LINKS_AT_ONCE = 400
PAGES_AT_ONCE = 50
# In which part of its lease a worker begins pages; the rest is for those to come to an end.
BEGINS_WITHIN = 0.9
_LIST = -1
# What can be asked of a crawl; see RedisStore.order.
STOP, PAUSE, GO_ON = "stop", "pause", ""
# What begins packed links: whether they are as deep as the page.
_SAME_DEPTH, _DEEPER = b"0", b"1"


class RedisStore:
    """A crawl's state at ``redis://[:password@]host[:port]/name``; ``async with`` it.

    ``rediss://`` speaks TLS; see :mod:`.address` for all of it. ``terms`` are what the crawl is of,
    as text; the first to come sets them. ``part`` is the file that this process writes, if it does.
    Who only ``looks_on`` takes the crawl as it is. ``delay`` is how long a host is left alone that
    a dead worker held, in seconds. ``say`` is told what a user should know. Raises OSError.
    """

    def __init__(
        self,
        url: str,
        *,
        resume: bool = True,
        terms: str = "",
        rules: Rules | None = None,
        lease: float | None = None,
        shards: int | None = None,
        part: str = "",
        delay: float = 0.0,
        looks_on: bool = False,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        try:
            parsed = parse_engine(url)
        except ValueError as error:
            raise OSError(str(error)) from None
        self._text = url
        self._url = replace(parsed, lease=lease or parsed.lease, shards=shards or parsed.shards)
        self._resume = resume
        self._rules = rules or Rules()
        # What is more than may be asked for is not kept, as it would be in the engine's memory.
        self._terms = " ".join(filter(None, [terms, self._rules.bounds]))
        self._delay = delay
        self._looks_on = looks_on
        self._say = say
        self.part = part
        self._shards = self._url.shards
        # Whether this process reads a list: then the crawl is not over before it has been read.
        self._feeds = not looks_on
        self._feeder = 0
        self._batches: dict[int, int] = {}
        self._requests = 0
        self._hungry: dict[int, bool] = {}
        self._heard: dict[int, float] = {}
        self._look: Look | None = None
        self._least = _LIST
        self._committing: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._engine: Engine
        self._warnings: list[str] = []
        self.is_new = False

    async def __aenter__(self) -> "RedisStore":
        from .connection import Engine  # most crawls need no engine

        self._engine = Engine(self._url, say=self._say)
        info = await self._engine.look()
        try:
            fsync = await self._engine.setting("appendfsync")
            self._warnings = list(check_engine(info, fsync, self._url))
            await self._open()
        except BaseException:
            await self._engine.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._engine.close()

    async def _open(self) -> None:
        if self._looks_on:
            version, terms, shards = await self._crawl("known")
            if version is None:
                raise OSError(f"there is no crawl of the name {self._url.name!r}")
            self._terms = terms.decode()
        else:
            version, terms, shards, new = await self._crawl(
                "begin", VERSION, self._terms, self._shards
            )
            self.is_new = bool(new)
        name = self._url.name
        if not self.is_new and not self._resume:
            raise OSError(f"{name} holds a crawl: go on with it by --resume, or remove it")
        if int(version) != VERSION:
            raise OSError(f"{name} was written by another version of the crawler")
        if terms.decode() != self._terms:
            text = f"{name} holds a crawl with {terms.decode()}, not with {self._terms}"
            raise OSError(f"{text}: what it left out before would stay left out")
        self._shards = int(shards)
        if self._feeds:
            self._feeder = await self._crawl("feed", self._url.lease)

    @property
    def name(self) -> str:
        """The URL of the crawl, with no secret in it."""
        return str(self._url)

    async def warnings(self) -> list[str]:
        """What in the settings of the engine may lose a crawl."""
        return self._warnings

    # Nothing is connected before there is a loop, so that little has to be done about a fork.

    def shut(self) -> None:
        """Called before a fork."""

    def reopen(self) -> None:
        """Called in each process after it."""

    def disown(self) -> None:
        """Called in those that were forked: the first process reads the list."""
        self._feeds = False

    # ---- the interface, see Store ----------------------------------------------------------------

    async def add(self, listed: Sequence[tuple[str, str]]) -> None:
        """Take URLs of the list, each with its line."""
        await self._crawl("feeding", self._feeder, self._url.lease)
        adding = asyncio.create_task(self._add_listed(listed))
        try:
            # The engine may be slow, or full, and nobody is to think that the list is at its end.
            while not (await asyncio.wait({adding}, timeout=self._url.lease / 3))[0]:
                await self._crawl("feeding", self._feeder, self._url.lease)
        finally:
            adding.cancel()
        adding.result()

    async def end_list(self) -> None:
        """Note that there are no more of them."""
        await self._crawl("fed", self._feeder)

    async def join(self) -> int:
        """The number of a new worker."""
        about = f"{self._url.lease:g} {socket.gethostname()}, process {os.getpid()}"
        worker = int(await self._crawl("join", self._url.lease, about, self.part))
        self._heard[worker] = asyncio.get_running_loop().time()
        return worker

    async def claim(
        self, worker: int, most: int, full: Sequence[str] = (), *, more: bool = True
    ) -> Claimed:
        """Up to ``most`` pages, of hosts that are held and of free ones."""
        heard = await self._hear(worker)
        living, hungry, listed, mode = heard[:4]
        for dead, batch in zip(heard[4::2], heard[5::2], strict=True):
            await self._bury(int(dead), int(batch))
        lease = self._url.lease
        until, ends = (self._heard[worker] + part * lease for part in (BEGINS_WITHIN, 1))
        look = await self._look_around(worker, bool(listed))
        if any(shard[4] for shard in look.shards):
            await self._tell_again(look)
        over = self._least > self._rules.depth
        if mode:
            return Claimed([], self._least, stop=mode == STOP.encode(), until=until, ends=ends)
        pages: list[Page] = []
        room = -(-look.hosts // max(1, int(living))) - look.held
        if most > 0:
            pages = await self._take(worker, most, full, room if more else 0, look)
        is_hungry = more and not pages
        if self._hungry.get(worker, False) != is_hungry:
            await self._crawl("hungry", worker, int(is_hungry))
            self._hungry[worker] = is_hungry
        give = -room if room < 0 and hungry else 0
        return Claimed(pages, self._least, over and not pages, give, until=until, ends=ends)

    async def commit(
        self, worker: int, done: Sequence[Done], written: int, counts: Mapping[str, int]
    ) -> None:
        """Make all of this so, or nothing."""
        # Shielded: what has been written to the output is to be in the state, whoever gives up.
        await asyncio.shield(self._commit(worker, done, written, counts))

    async def release(self, worker: int, hosts: Mapping[str, float]) -> None:
        """Give hosts back."""
        by_shard: dict[int, list[Any]] = defaultdict(list)
        for host, rest in hosts.items():
            by_shard[self._shard_of(host)] += [host, rest]
        await self._each(by_shard, "release", worker, size=2 * PAGES_AT_ONCE)

    async def leave(self, worker: int) -> None:
        """Give everything back."""
        batch = await self._crawl("fence", worker)
        await self._bury(worker, int(batch))

    async def written(self, worker: int) -> int:
        """How long the worker's output was at its last commit."""
        return int(await self._crawl("written", worker))

    async def counted(self) -> dict[str, int]:
        """What all commits have counted."""
        return numbers((await self._crawl("status"))[6])

    # ---- looking on ------------------------------------------------------------------------------

    def looking_on(self) -> "RedisStore":
        """The same crawl for one who looks on."""
        return RedisStore(self._text, looks_on=True)

    async def parts(self) -> dict[str, int]:
        """The files that workers have written, and how much of each counts."""
        return numbers((await self._crawl("status"))[5])

    async def order(self, what: str) -> None:
        """Have all workers ``STOP`` when they are done with what they hold, ``PAUSE`` or ``GO_ON``.

        They obey when they next ask for more.
        """
        await self._crawl("mode", what)

    async def status(self) -> Status:
        """Look at all of it."""
        began = asyncio.get_running_loop().time()
        crawl = await self._crawl("status")
        answered = asyncio.get_running_loop().time() - began
        workers = [int(worker) for worker in crawl[2][::2]]
        shards = await asyncio.gather(
            *(self._shard(n, "status", LOOKED_AT, *workers) for n in range(self._shards))
        )
        engine = await self._engine.status(answered)
        return status_of(str(self._url), crawl, shards, engine)

    # ---- workers ---------------------------------------------------------------------------------

    async def _hear(self, worker: int) -> Any:
        loop = asyncio.get_running_loop()
        # Whoever has not been heard of for so long has lost what it held, and must not go on.
        left = self._url.lease - self._silent(worker)
        began = loop.time()
        try:
            heard = await self._crawl(
                "hear", worker, self._url.lease, self._feeder, patience=max(0.0, left)
            )
        except Fenced as error:
            if type(error) is not Fenced:  # it says more
                raise
            raise Fenced(f"worker {worker} was not heard of for {self._url.lease:g} s") from None
        self._heard[worker] = began
        return heard

    def _silent(self, worker: int) -> float:
        """For how many seconds a worker was not heard of; 0 if it has not spoken yet."""
        now = asyncio.get_running_loop().time()
        return now - self._heard.get(worker, now)

    async def _bury(self, worker: int, batch: int) -> None:
        for number in range(self._shards):
            while await self._shard(number, "bury", worker, batch, self._delay, PAGES_AT_ONCE):
                pass
        await self._crawl("buried", worker)

    # ---- claim -----------------------------------------------------------------------------------

    async def _peek(self, worker: int) -> Look:
        steps = [self._shard(n, "peek", worker, self._least) for n in range(self._shards)]
        return Look(await asyncio.gather(*steps))

    async def _look_around(self, worker: int, listed: bool) -> Look:
        """Look at all shards, a second time if that may show that something is settled."""
        look, before = await self._peek(worker), self._look
        if listed:
            for _ in range(2):
                depth = look.least
                least = self._rules.depth + 1 if depth is None else depth
                if least <= self._least:
                    break
                if (
                    before is not None
                    and (before.least is None or before.least >= least)
                    and before.ever_above(depth) == look.ever_above(depth)
                ):
                    self._least = least
                    break
                before, look = look, await self._peek(worker)
        # A look before the lists were read to their ends settles nothing.
        self._look = look if listed else None
        return look

    async def _take(
        self, worker: int, most: int, full: Sequence[str], room: int, look: Look
    ) -> list[Page]:
        pages: list[Page] = []
        self._requests += 1
        held, free = (sum(int(shard[place]) for shard in look.shards) for place in (3, 2))
        share = share_of(most, held + min(max(0, room), free))
        # What is held comes first, in all shards, then what is free; never the same shard first.
        order = [(self._requests + n) % self._shards for n in range(self._shards)]
        for new in (False, True):
            for number in order:
                shard, left = look.shards[number], most - len(pages)
                if left <= 0 or (room <= 0 if new else not shard[3]) or (new and not shard[2]):
                    continue
                request = f"{os.getpid()}.{self._requests}.{int(new)}"
                words = ["take", worker, left, room if new else 0, share, request]
                rows = await self._shard(number, *words, *full)
                pages += [
                    Page(url.decode(), source.decode(), depth, int(redirects), named == b"1")
                    for url, source, depth, redirects, named in rows
                ]
                if new:
                    room -= len({host_of(row[0].decode()) for row in rows})
        return pages

    # ---- commit ----------------------------------------------------------------------------------

    async def _commit(
        self, worker: int, done: Sequence[Done], written: int, counts: Mapping[str, int]
    ) -> None:
        async with self._committing[worker]:
            batch = self._batches[worker] = self._batches.get(worker, 0) + 1
            # Else the step that decides is soon enough to be heard of.
            if self._silent(worker) > self._url.lease / 8:
                await self._hear(worker)
            depths = await self._prepare(worker, batch, [page for page in done if page.url])
            found: list[tuple[str, str, int, int, str]] = []
            for page in done:
                depth = depths[page.url] if page.url else 0
                if page.moved:
                    found.append(("m", page.moved, depth, 0, ""))
                found += [("f", link, depth + page.step, page.redirects, "") for link in page.links]
            await self._settle(await self._reach(found))
            words = [word for pair in counts.items() for word in pair]
            await self._crawl("decide", worker, self._url.lease, batch, self.part, written, *words)
            await self._engine.settle([self._engine.crawl_key])
            by_shard: dict[int, list[Any]] = defaultdict(list)
            for url in depths:
                by_shard[self._shard_of(host_of(url))] += [fingerprint(url), host_of(url)]
            await self._each(by_shard, "finish", worker, batch, self._least, size=2 * PAGES_AT_ONCE)

    async def _prepare(self, worker: int, batch: int, done: Sequence[Done]) -> dict[str, int]:
        """Have the shards note what is to come; returns the pages' depths."""
        by_shard: dict[int, list[Done]] = defaultdict(list)
        for page in done:
            by_shard[self._shard_of(host_of(page.url))].append(page)

        async def prepare(number: int, pages: list[Done]) -> dict[str, int]:
            depths: dict[str, int] = {}
            for some in _cut(pages, PAGES_AT_ONCE):
                words: list[Any] = []
                for page in some:
                    step = _DEEPER if page.step else _SAME_DEPTH
                    links = step + zlib.compress("\n".join(page.links).encode(), 1)
                    words += [fingerprint(page.url), host_of(page.url), page.rest, links]
                answer = await self._shard(number, "prepare", worker, batch, *words)
                depths |= dict(zip((page.url for page in some), answer, strict=True))
            return depths

        result: dict[str, int] = {}
        for each in await asyncio.gather(*(prepare(*item) for item in by_shard.items())):
            result |= each
        return result

    async def _reach(self, found: Iterable[tuple[str, str, int, int, str]]) -> Iterable[int]:
        """Tell the shards what was found: kind, URL, depth, redirects and source of each.

        Returns which shards.
        """
        place = self._rules.place
        best: dict[tuple[str, str], tuple[int, int, str]] = {}
        for kind, url, depth, redirects, source in found:
            if depth <= self._rules.depth and (
                (kind, url) not in best or depth < best[kind, url][0]
            ):
                best[kind, url] = (depth, redirects, source)
        by_shard: dict[int, list[list[Any]]] = defaultdict(list)
        # Where the crawl belongs is said before what that decides.
        for (kind, url), (depth, redirects, source) in sorted(
            best.items(), key=lambda item: (item[0][0] != "m", item[1][0])
        ):
            host = host_of(url)
            words = [kind, fingerprint(url), url, host, depth, redirects, source]
            by_shard[self._shard_of(host)].append([*words, place(host) if place else ""])

        async def add(number: int, rows: list[list[Any]]) -> None:
            for some in _cut(rows, LINKS_AT_ONCE):
                await self._add(number, some)

        await asyncio.gather(*(add(*item) for item in by_shard.items()))
        return by_shard

    async def _settle(self, shards: Iterable[int]) -> None:
        await self._engine.settle([self._engine.shard_key(number) for number in shards])

    async def _add_listed(self, listed: Sequence[tuple[str, str]]) -> None:
        await self._settle(await self._reach(("l", url, 0, 0, source) for url, source in listed))

    async def _add(self, number: int, rows: list[list[Any]]) -> None:
        per_host = -1 if self._rules.max_per_host is None else self._rules.max_per_host
        words = [word for row in rows for word in row]
        most = self._rules.max_pages
        if most is None:
            await self._shard(number, "add", -1, per_host, *words)
            return
        # What is reserved and not needed is given back; should this end in between, there will be
        # fewer pages than might be.
        room = int(await self._crawl("reserve", most, len(rows)))
        used = int(await self._shard(number, "add", room, per_host, *words))
        if used < room:
            await self._crawl("unused", room - used)

    async def _tell_again(self, look: Look) -> None:
        """Tell the links of pages that are done and turned out to be nearer."""
        for number, shard in enumerate(look.shards):
            if not shard[4]:
                continue
            rows = await self._shard(number, "relinks", PAGES_AT_ONCE)
            found: list[tuple[str, str, int, int, str]] = []
            told: list[Any] = []
            for mark, depth, packed in rows:
                step = 0 if packed[:1] == _SAME_DEPTH else 1
                links = zlib.decompress(packed[1:]).decode()
                found += [("f", link, depth + step, 0, "") for link in links.split("\n") if link]
                told += [mark, depth]
            await self._settle(await self._reach(found))
            await self._shard(number, "relinked", self._least, *told)

    # ---- shards ----------------------------------------------------------------------------------

    def _shard_of(self, host: str) -> int:
        # Where a crawl stays at certain sites, a site is in one shard with all its hosts.
        place = self._rules.place
        name = host if place is None else place(host)
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest()) % self._shards

    async def _shard(self, number: int, *words: Any) -> Any:
        return await self._engine.run(SHARD, self._engine.shard_key(number), *words)

    async def _crawl(self, *words: Any, patience: float | None = None) -> Any:
        return await self._engine.run(CRAWL, self._engine.crawl_key, *words, patience=patience)

    async def _each(self, by_shard: Mapping[int, list[Any]], *words: Any, size: int) -> None:
        """Make a step in each of these shards, with their parts, in pieces of a certain size."""

        async def make(number: int, part: list[Any]) -> None:
            for some in _cut(part, size):
                await self._shard(number, *words, *some)

        await asyncio.gather(*(make(*item) for item in by_shard.items()))


def fingerprint(url: str) -> bytes:
    """What stands for a URL among those that are known: 80 bits.

    Of a billion URLs two are the same with a probability of one in 2.4 million.
    """
    return hashlib.blake2b(url.encode(), digest_size=10).digest()


def _cut(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
