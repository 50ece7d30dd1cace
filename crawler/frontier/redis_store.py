"""The store in Redis or Valkey, 7 or later: for workers on any number of machines.

Hosts are spread over *shards*. All keys of a shard have one hash tag, so they live on one node of a
cluster, and each step of a shard is one script (``shard.lua``), made as a whole. What a page leads
to belongs to other shards, and nothing spans those. So a commit puts it into the *outbox* of the
page's shard, in the very step that makes the page done. Then the shards are told, which may be done
twice without harm, and the entry is taken out. If a worker dies in between, whoever has nothing to
do finishes that. The crawl is over when all is done and all outboxes are empty.

A commit of pages of several shards is checked in all of them before it is made in any. Between the
two a worker may be taken for dead: then some of it is so, and the worker learns that it is fenced.
Its output has the others' pages twice with that of those who fetch them again; see
:mod:`crawler.merging`.

The full URL of a page is in the engine until the page is done; then a fingerprint of 10 bytes is
all that remains. Of a billion URLs two have the same one with a probability of 4 in 10 million.
"""

import asyncio
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .hosts import host_of
from .store import LEASE, SHARE, Claimed, Done, Fenced, Page, Rules

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.commands.core import AsyncScript

SHARDS = 16
CONNECTIONS = 8
# Raised when the keys change.
VERSION = 1
_LINES = "\n"
# What can be asked of a crawl; see RedisStore.order.
STOP, PAUSE, GO_ON = "stop", "pause", ""


class RedisStore:
    """A crawl's state at ``redis://[:password@]host[:port][/database]/name``; ``async with`` it.

    ``rediss://`` speaks TLS. ``terms`` are what the crawl is of, as text; the first to come sets
    them. ``part`` is the file that this process writes, if it does. Who only ``looks_on`` takes the
    crawl as it is. Raises OSError.
    """

    def __init__(
        self,
        url: str,
        *,
        resume: bool = True,
        terms: str = "",
        rules: Rules | None = None,
        lease: float = LEASE,
        shards: int = SHARDS,
        part: str = "",
        looks_on: bool = False,
    ) -> None:
        base, _, self._name = url.rpartition("/")
        if not self._name or base.count("/") < 2:
            raise OSError("the state must have a name: redis://host/name")
        self._url = base
        self._resume = resume
        self._terms = terms
        self._rules = rules or Rules()
        self._lease = lease
        self._shards = shards
        self._least = -1
        self._looks_on = looks_on
        self.part = part
        self.is_new = False
        self._redis: Redis
        self._room: asyncio.Semaphore
        self._script: AsyncScript

    async def __aenter__(self) -> "RedisStore":
        from redis import RedisError
        from redis.asyncio import Redis

        # Many steps are made at once, each on a connection of its own; more of them wait here. The
        # client's own blocking pool may wait for ever once somebody who waits was cancelled.
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._redis = Redis.from_url(self._url, decode_responses=True)
        try:
            await self._open()
        except RedisError as error:
            await self._redis.aclose()
            # Its text may have the URL, and that a password.
            raise OSError(f"cannot use the state {self._name!r}: {error}") from None
        except BaseException:
            await self._redis.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._redis.aclose()

    async def _open(self) -> None:
        meta = self._key("meta")
        self.is_new = bool(await self._redis.hsetnx(meta, "version", str(VERSION)))
        if not self.is_new and not self._resume:
            raise OSError(f"{self._name} holds a crawl: go on with it by --resume, or remove it")
        if self._looks_on:
            if self.is_new:
                await self._redis.delete(meta)
                raise OSError(f"there is no crawl of the name {self._name!r}")
            self._terms = str(await self._redis.hget(meta, "terms") or "")
        await self._redis.hsetnx(meta, "terms", self._terms)
        await self._redis.hsetnx(meta, "shards", str(self._shards))
        known: dict[str, str] = dict(await self._redis.hgetall(meta))  # type: ignore[arg-type]
        if known["version"] != str(VERSION):
            raise OSError(f"{self._name} was written by another version of the crawler")
        if known["terms"] != self._terms:
            text = f"{self._name} holds a crawl with {known['terms']}, not with {self._terms}"
            raise OSError(f"{text}: what it left out before would stay left out")
        self._shards = int(known["shards"])
        script = (Path(__file__).parent / "shard.lua").read_text(encoding="utf-8")
        self._script = self._redis.register_script(script)

    async def warnings(self) -> list[str]:
        """What in the settings of the engine would lose a crawl; none if it does not say."""
        from redis import ResponseError

        try:
            found: dict[str, str] = await self._redis.config_get("appendonly", "maxmemory-policy")  # type: ignore[assignment]
        except ResponseError:  # those who rent it out may not let one look
            return []
        texts = []
        if found.get("appendonly") == "no":
            texts.append("appendonly is off: when the engine ends, the crawl is lost")
        if (policy := found.get("maxmemory-policy", "noeviction")) != "noeviction":
            text = f"maxmemory-policy is {policy}: when its memory is full, pages are lost"
            texts.append(f"{text}; set noeviction")
        return texts

    # Nothing is connected before there is a loop, so that nothing has to be done about a fork.

    def shut(self) -> None:
        """Called before a fork."""

    def reopen(self) -> None:
        """Called in each process after it."""

    def disown(self) -> None:
        """Called in those that were forked."""

    # ---- the interface, see Store ----------------------------------------------------------------

    async def add(self, listed: Sequence[tuple[str, str]]) -> None:
        """Take URLs of the list, each with its line."""
        if (place := self._rules.place) is not None:
            places = {place(host_of(url)) for url, _ in listed}
            await self._redis.sadd(self._key("begun"), *places)
        await self._reach([(url, 0, 0, source) for url, source in listed], named=True)

    async def end_list(self) -> None:
        """Note that there are no more of them."""
        await self._redis.hset(self._key("meta"), "listed", "1")

    async def join(self) -> int:
        """The number of a new worker."""
        worker = int(await self._redis.incr(self._key("workers")))
        await self._all("join", worker, self._lease)
        if self.part:
            await self._redis.hset(self._key("parts"), self.part, 0)
        return worker

    async def claim(
        self, worker: int, most: int, full: Sequence[str] = (), *, more: bool = True
    ) -> Claimed:
        """Up to ``most`` pages, of hosts that are held and of others."""
        listed, order = await self._redis.hmget(self._key("meta"), ["listed", "order"])
        looks = await self._look(worker)
        if order:
            return Claimed([], self._least, stop=order == STOP)
        busy, held, living = (sum(look[n] for look in looks) for n in range(3))
        room = -(-busy // max(1, living // self._shards)) - held
        pages: list[Page] = []
        # Each worker begins at another shard, so that they keep out of each other's way.
        for place in range(self._shards):
            shard = (worker + place) % self._shards
            if len(pages) >= most or not looks[shard][0]:
                continue
            hosts = max(0, room) if more else 0
            text, left = self._heard(
                worker,
                await self._step(
                    shard, "claim", worker, self._lease, most - len(pages), hosts, SHARE,
                    json.dumps(list(full)),
                ),
            )  # fmt: skip
            room -= hosts - int(left)
            for page, depth, named in json.loads(text) or ():
                url, source, redirects = json.loads(page)
                pages.append(Page(url, source, depth, redirects, bool(named)))
        hungry = self._key("hungry")
        if more and not pages:
            await self._redis.sadd(hungry, str(worker))
            await self._deliver_all()
        else:
            await self._redis.srem(hungry, str(worker))
        give = 0
        if room < 0 and await self._redis.smembers(hungry) - {str(worker)}:
            give = -room
        over = False
        if not pages and bool(listed):
            over = await self._is_over(worker, looks)
        return Claimed(pages, self._least, over, give)

    async def commit(
        self, worker: int, done: Sequence[Done], written: int, counts: Mapping[str, int]
    ) -> None:
        """Make all of this so, or nothing; but see the top of the module."""
        by_shard: dict[int, list[tuple[str, str, str, float]]] = {}
        for page in done:
            host = host_of(page.url) if page.url else ""
            shard = self._shard(host) if host else worker % self._shards
            entry = ""
            if page.links:
                entry = _LINES.join([f"{page.step} {page.redirects}", *page.links])
            by_shard.setdefault(shard, []).append((_print(page.url), host, entry, page.rest))
        texts = {shard: json.dumps(pages) for shard, pages in by_shard.items()}
        await self._make("check", worker, texts)
        for page in done:
            if page.moved:
                await self._move(page.moved)
        if self.part:
            await self._redis.hset(self._key("parts"), self.part, written)
        await self._make("commit", worker, texts)
        await self._redis.hset(self._key("written"), str(worker), written)
        if counts:
            async with self._redis.pipeline(transaction=False) as pipe:
                for name, n in counts.items():
                    pipe.hincrby(self._key("counts"), name, n)
                await pipe.execute()
        await asyncio.gather(*map(self._deliver, texts))

    async def release(self, worker: int, hosts: Mapping[str, float]) -> None:
        """Give hosts back."""
        for host, rest in hosts.items():
            await self._step(self._shard(host), "release", worker, host, rest)

    async def leave(self, worker: int) -> None:
        """Give everything back."""
        await self._redis.srem(self._key("hungry"), str(worker))
        await self._all("leave", worker)

    async def written(self, worker: int) -> int:
        """How long the worker's output was at its last commit."""
        return int(await self._redis.hget(self._key("written"), str(worker)) or 0)

    async def counted(self) -> dict[str, int]:
        """What all commits have counted."""
        return await self._numbers("counts")

    async def parts(self) -> dict[str, int]:
        """The files that workers have written, and how much of each is whole."""
        return await self._numbers("parts")

    async def order(self, what: str) -> None:
        """Have all workers ``STOP`` when they are done with what they hold, ``PAUSE`` or ``GO_ON``.

        They obey when they next ask for more.
        """
        await self._redis.hset(self._key("meta"), "order", what)

    async def status(self) -> dict[str, int]:
        """How much there is of everything now."""
        shards = await self._all("status")
        names = ("workers", "known", "open", "claimed", "hosts", "held", "outbox")
        numbers = {name: sum(shard[n] for shard in shards) for n, name in enumerate(names)}
        numbers["workers"] = max(shard[0] for shard in shards)
        return numbers

    # ---- how it is done --------------------------------------------------------------------------

    async def _numbers(self, key: str) -> dict[str, int]:
        numbers: dict[str, str] = dict(await self._redis.hgetall(self._key(key)))  # type: ignore[arg-type]
        return {name: int(n) for name, n in numbers.items()}

    def _key(self, name: str) -> str:
        return f"{{{self._name}}}:{name}"

    def _shard(self, host: str) -> int:
        return zlib.crc32(host.encode()) % self._shards

    async def _step(self, shard: int, step: str, *arguments: Any) -> Any:
        from redis import RedisError

        key = f"{{{self._name}:{shard}}}:"
        try:
            async with self._room:
                return await self._script(keys=[key], args=[step, *arguments])
        except RedisError as error:
            raise OSError(f"cannot use the state {self._name!r}: {error}") from None

    async def _all(self, step: str, *arguments: Any) -> list[Any]:
        return await asyncio.gather(
            *(self._step(shard, step, *arguments) for shard in range(self._shards))
        )

    def _heard(self, worker: int, answer: Any) -> Any:
        if not answer:
            raise Fenced(f"worker {worker} was not heard of for {self._lease:g} s")
        return answer

    async def _look(self, worker: int) -> list[list[int]]:
        looks = await self._all("look", worker, self._lease)
        return [list(map(int, self._heard(worker, look))) for look in looks]

    async def _is_over(self, worker: int, looks: list[list[int]]) -> bool:
        """Whether nothing is left; two looks with no step between them see one moment."""
        if any(look[4] or look[5] for look in looks):
            return False
        again = await self._look(worker)
        return [look[4:] for look in again] == [look[4:] for look in looks]

    async def _make(self, step: str, worker: int, texts: Mapping[int, str]) -> None:
        made = await asyncio.gather(
            *(
                self._step(shard, step, worker, self._lease, self._least, text)
                for shard, text in texts.items()
            )
        )
        if not all(made):
            raise Fenced(f"worker {worker} no longer holds what it has fetched")

    async def _deliver_all(self) -> None:
        await asyncio.gather(*map(self._deliver, range(self._shards)))

    async def _deliver(self, shard: int) -> None:
        """Tell the shards what is in the outbox of this one, and what follows from that."""
        while True:
            flat = await self._step(shard, "outbox")
            entries = dict(zip(flat[::2], flat[1::2], strict=True))
            if not entries:
                return
            reached = []
            for entry in entries.values():
                head, *links = entry.split(_LINES)
                depth, step, redirects = map(int, head.split())
                reached += [(link, depth + step, redirects, "") for link in links]
            grown = await self._reach(reached)
            await self._step(shard, "sent", *entries)
            for other in grown - {shard}:
                await self._deliver(other)

    async def _reach(
        self, reached: Sequence[tuple[str, int, int, str]], *, named: bool = False
    ) -> set[int]:
        """Tell the shards of URLs; returns those whose outboxes have more for it."""
        rules = self._rules
        by_shard: dict[int, list[Any]] = {}
        for url, depth, redirects, source in await self._in_place(reached):
            if depth <= rules.depth:
                host = host_of(url)
                text = json.dumps([url, source, redirects])
                item = [_print(url), text, host, depth, named]
                by_shard.setdefault(self._shard(host), []).append(item)
        most = -1 if rules.max_per_host is None else rules.max_per_host
        if rules.max_pages is not None:
            for shard, items in by_shard.items():
                await self._add_some(shard, items, most, rules.max_pages)
            return set(by_shard)
        added = await asyncio.gather(
            *(
                self._step(shard, "add", json.dumps(items), most)
                for shard, items in by_shard.items()
            )
        )
        return {shard for shard, (_, grown) in zip(by_shard, added, strict=True) if grown}

    async def _add_some(self, shard: int, items: list[Any], most: int, in_all: int) -> None:
        """Add as many as may still be asked for: each is counted before, and given back if old."""
        asked = self._key("asked")
        for item in items:
            if await self._redis.incr(asked) > in_all:
                await self._redis.decr(asked)
                await self._step(shard, "add", json.dumps([item]), 0)  # it may be nearer, not new
                continue
            new, _ = await self._step(shard, "add", json.dumps([item]), most)
            if not new:
                await self._redis.decr(asked)

    async def _in_place(
        self, reached: Sequence[tuple[str, int, int, str]]
    ) -> Sequence[tuple[str, int, int, str]]:
        """Those that lie where the crawl has to stay."""
        if (place := self._rules.place) is None or not reached:
            return reached
        places = sorted({place(host_of(item[0])) for item in reached})
        known = await self._redis.smismember(self._key("begun"), places)
        begun = {name for name, there in zip(places, known, strict=True) if there}
        return [item for item in reached if place(host_of(item[0])) in begun]

    async def _move(self, url: str) -> None:
        host = host_of(url)
        if self._rules.place is not None:
            await self._redis.sadd(self._key("begun"), self._rules.place(host))
        await self._step(self._shard(host), "close", _print(url), 0)


def _print(url: str) -> str:
    """The fingerprint of a URL: 80 bits, as text that JSON and Lua take as it is."""
    return hashlib.blake2b(url.encode(), digest_size=10).hexdigest()
