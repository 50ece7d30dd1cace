"""A crawl as it is seen from outside: how far it is, who works on it, and whether it may go on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

# How many hosts with the longest queues are shown, of how many that are looked at in each shard.
LONGEST, LOOKED_AT = 5, 50


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A living worker; it has not been heard for ``silent`` seconds, and is dead at ``lease``.

    ``held`` is its hosts, ``hungry`` that it has nothing to do, ``obeys`` whether it knows that the
    crawl is stopped or paused.
    """

    number: int
    about: str
    pages: int
    held: int
    silent: float
    lease: float
    hungry: bool
    obeys: bool


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """A shard: how many URLs are known, wait and are claimed, and how many hosts have some of them.

    ``free`` hosts have URLs waiting and no owner, ``ready`` ones may be asked at once, the first of
    them for ``lag`` seconds. ``retold`` are pages whose links are to be told again.
    """

    known: int
    waiting: int
    claimed: int
    hosts: int
    free: int
    ready: int
    lag: float
    retold: int


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """An engine: bytes in use and allowed (0: no limit), seconds that an answer took.

    ``behind`` is how many bytes the replica has yet to get that is furthest behind, of the node in
    the URL.
    """

    memory: int
    limit: int
    answered: float
    replicas: int
    behind: int


@dataclass(frozen=True, slots=True)
class Status:
    """A crawl at the engine's time ``at``, in seconds since 1970.

    ``mode`` is what was asked for, or "over" or "going on". ``feeders`` read a list, and ``dying``
    are dead workers whose hosts are not all free again.
    """

    url: str
    at: float
    mode: str
    counts: Mapping[str, int]
    workers: Sequence[WorkerStatus]
    shards: Sequence[ShardStatus]
    longest: Sequence[tuple[str, int]]
    outputs: Mapping[str, int]
    feeders: int
    dying: int
    engine: EngineStatus

    def total(self, name: str) -> int:
        """Of all shards."""
        return sum(getattr(shard, name) for shard in self.shards)

    @property
    def done(self) -> int:
        """URLs that are over with."""
        return self.total("known") - self.total("waiting") - self.total("claimed")

    @property
    def failures(self) -> dict[str, int]:
        """URLs that could not be fetched, by reason, the most frequent first."""
        found = {
            name.removeprefix("failure: "): n
            for name, n in self.counts.items()
            if name.startswith("failure: ")
        }
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def rates(self, before: "Status") -> dict[int, float]:
        """Pages a second of each worker since then."""
        seconds = self.at - before.at
        pages = {worker.number: worker.pages for worker in before.workers}
        return {
            worker.number: (worker.pages - pages.get(worker.number, 0)) / seconds if seconds else 0
            for worker in self.workers
        }

    def json(self, before: "Status") -> dict[str, Any]:
        """All of it, with the rates since then."""
        rates = self.rates(before)
        fields = asdict(self)
        for worker in fields["workers"]:
            worker["pages_per_second"] = round(rates[worker["number"]], 2)
        names = ("known", "waiting", "claimed", "hosts", "free", "ready", "retold")
        return {
            **fields,
            **{name: self.total(name) for name in names},
            "done": self.done,
            "failures": self.failures,
            "lag": max((shard.lag for shard in self.shards), default=0.0),
            "pages_per_second": round(sum(rates.values()), 2),
        }


def status_of(
    url: str, crawl: Sequence[Any], shards: Sequence[Sequence[Any]], engine: EngineStatus
) -> Status:
    """What the steps "status" of a crawl and of its shards have told."""
    at, fields, workers, about, pages, outputs, counts, hungry, dying, feeders, obey = crawl
    crawl_fields, abouts, by_worker = mapping(fields), mapping(about), numbers(pages)
    names = [name.decode() for name in workers[::2]]
    alive = []
    for index, (name, until) in enumerate(zip(names, workers[1::2], strict=True)):
        lease, _, text = abouts.get(name, "0").partition(" ")
        alive.append(
            WorkerStatus(
                int(name),
                text,
                by_worker.get(name, 0),
                sum(shard[3][index] for shard in shards),
                max(0.0, float(at) + float(lease) - float(until)),
                float(lease),
                name.encode() in hungry,
                name.encode() in obey,
            )
        )
    queues = [(host.decode(), n) for shard in shards for host, n in shard[4]]
    is_over = (
        bool(crawl_fields.get("listed"))
        and not feeders
        and not any(shard[5] or shard[6] for shard in shards)
    )
    return Status(
        url,
        float(at),
        crawl_fields.get("mode") or ("over" if is_over else "going on"),
        numbers(counts),
        alive,
        [_shard(shard) for shard in shards],
        sorted(queues, key=lambda item: -item[1])[:LONGEST],
        numbers(outputs),
        feeders,
        len(dying),
        engine,
    )


def _shard(told: Sequence[Any]) -> ShardStatus:
    stat = numbers(told[0])
    return ShardStatus(
        known=stat.get("known", 0),
        waiting=stat.get("waiting", 0),
        claimed=stat.get("claimed", 0),
        hosts=stat.get("hosts", 0),
        free=told[1],
        ready=told[2],
        lag=float(told[7]),
        retold=told[6],
    )


def mapping(pairs: Sequence[bytes]) -> dict[str, str]:
    """What a hash has, as text."""
    texts = [text.decode() for text in pairs]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def numbers(pairs: Sequence[bytes]) -> dict[str, int]:
    """What a hash has whose values are whole numbers."""
    return {name: int(n) for name, n in mapping(pairs).items()}
