"""What a crawl costs its engine: memory for each URL, pages a second, processor time of each step.

    python docs/decisions/shared_state.py [known URLs] [pages] [--shards N] [--workers N]

It starts a ``redis-server`` of its own. A site is made up: each page has 20 links (or ``--links``),
one of them new. URLs that are over with are put into the engine as a crawl leaves them there,
without doing them one by one. Then some are added that wait, and pages are claimed and committed,
64 at a time, by workers that fetch nothing, each a process.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import socket
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import redis

from crawler.frontier import RedisStore, Rules
from crawler.frontier.hosts import host_of
from crawler.frontier.redis.store import fingerprint
from crawler.frontier.store import Done

HOSTS, BATCH, LOADED_AT_ONCE = 200, 64, 5000
WORDS = ("known", "pages", "shards", "workers", "links")
RULES = Rules(depth=1000)
# A page that is done is its fingerprint, among others in one of 4,096 hashes of its shard.
LOAD = """
local bytes = ARGV[1]
for at = 1, #bytes, 10 do
  local key = 'seen:' .. bytes:sub(at, at) .. bytes:byte(at + 1) % 16
  redis.call('HSET', KEYS[1] .. key, bytes:sub(at + 1, at + 9), 0)
end
redis.call('HINCRBY', KEYS[1] .. 'stat', 'known', #bytes / 10)
"""


def page_url(number: int) -> str:
    """The URL of a page that is made up: 68 bytes and its number."""
    return f"http://host-{number % HOSTS}.example/a/path/as/they/usually/are/in/links?page={number}"


class Meter:
    """What an engine says of its memory and its processor."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)

    def memory(self) -> int:
        """Bytes in use."""
        return int(self._info("memory")["used_memory"])

    def busy(self) -> float:
        """Seconds of processor time that its one thread of commands has taken."""
        now = self._info("cpu")
        return float(now["used_cpu_user_main_thread"] + now["used_cpu_sys_main_thread"])

    def written(self) -> dict[str, int]:
        """Bytes that it has received, sent and written to its file."""
        return {
            "received": int(self._info("stats")["total_net_input_bytes"]),
            "sent": int(self._info("stats")["total_net_output_bytes"]),
            "written": int(self._info("persistence")["aof_current_size"]),
        }

    def _info(self, section: str) -> dict[str, Any]:
        return self.client.info(section)  # type: ignore[return-value]


def load(store: RedisStore, meter: Meter, known: int) -> None:
    """Put URLs into the engine that are over with."""
    step = meter.client.register_script(LOAD)
    waiting: dict[int, bytearray] = defaultdict(bytearray)
    for number in range(known):
        url = page_url(number)
        shard = store._shard_of(host_of(url))
        waiting[shard] += fingerprint(url)
        if len(waiting[shard]) == 10 * LOADED_AT_ONCE:
            step([store._engine.shard_key(shard)], [bytes(waiting.pop(shard))])
    for shard, rest in waiting.items():
        step([store._engine.shard_key(shard)], [bytes(rest)])


async def prepare(url: str, meter: Meter, known: int, waiting: int, shards: int) -> None:
    """Make the state, and print what it costs."""
    async with RedisStore(f"{url}/measured", rules=RULES, shards=shards) as store:
        empty, began = meter.memory(), time.perf_counter()
        load(store, meter, known)
        done = meter.memory()
        print(f"{known:,} URLs are known, put there in {time.perf_counter() - began:,.0f} s:")
        print(f"    {(done - empty) / known:,.1f} bytes for each, {done / 1e6:,.0f} MB in all")
        began, busy = time.perf_counter(), meter.busy()
        for start in range(known, known + waiting, 2000):
            stop = min(known + waiting, start + 2000)
            await store.add([(page_url(number), "") for number in range(start, stop)])
        took, busy = time.perf_counter() - began, meter.busy() - busy
        await store.end_list()
        print(f"add: {waiting / took:,.0f} URLs/s, {busy / waiting * 1e6:,.1f} µs of the engine")
        print(f"    {(meter.memory() - done) / waiting:,.0f} bytes for each that waits")


def work(url: str, known: int, pages: int, first: int, links: int, pipe: Connection) -> None:
    """A worker: what it has done, and what it took."""
    pipe.send(asyncio.run(_work(url, known, pages, first, links)))


async def _work(url: str, known: int, pages: int, first: int, links: int) -> Counter[str]:
    meter, spent = Meter(url), Counter[str]()
    async with RedisStore(f"{url}/measured", rules=RULES) as store:
        await store.end_list()
        worker, done, new = await store.join(), 0, first
        began, own = time.perf_counter(), time.process_time()
        while done < pages:
            before = meter.busy()
            found = (await store.claim(worker, BATCH)).pages
            between = meter.busy()
            batch = []
            for page in found:
                old = [page_url((new * 7 + n * 13) % known) for n in range(links - 1)]
                batch.append(Done(page.url, [*old, page_url(new)]))
                new += 1
            done += len(found)
            middle = meter.busy()
            await store.commit(worker, batch, done, {"pages": len(batch)})
            spent["claim"] += between - before  # type: ignore[assignment]
            spent["commit"] += meter.busy() - middle  # type: ignore[assignment]
        spent["seconds"] = time.perf_counter() - began  # type: ignore[assignment]
        spent["own"] = time.process_time() - own  # type: ignore[assignment]
        spent["pages"] = done
        await store.leave(worker)
    return spent


def measure(url: str, known: int, pages: int, shards: int, workers: int, links: int) -> None:
    """Print what a crawl costs the engine there."""
    meter = Meter(url)
    waiting = max(1000, pages // 4)
    asyncio.run(prepare(url, meter, known, waiting, shards))
    ends, processes = [], []
    busy, began, before = meter.busy(), time.perf_counter(), meter.written()
    for number in range(workers):
        end, other = multiprocessing.Pipe()
        words = (url, known, pages // workers, known + waiting + number * 10**9, links, other)
        processes.append(multiprocessing.Process(target=work, args=words))
        processes[-1].start()
        ends.append(end)
    spent = [end.recv() for end in ends]
    took, busy = time.perf_counter() - began, meter.busy() - busy
    for process in processes:
        process.join()
    done = sum(each["pages"] for each in spent)
    lasted = max(each["seconds"] for each in spent)
    own = sum(each["own"] for each in spent)
    print(f"{workers} workers: {done / lasted:,.0f} pages/s of {links} links, one of them new")
    print(
        f"    the engine is busy for {busy / took:.0%} of the time, {busy / done * 1e6:,.0f} µs a"
    )
    print(
        f"    page, which are {done / busy:,.0f} pages a second for a node that does nothing else"
    )
    bytes_of = {name: (n - before[name]) / done for name, n in meter.written().items()}
    print("    bytes a page: " + ", ".join(f"{n:,.0f} {name}" for name, n in bytes_of.items()))
    if workers == 1:
        claim, commit = (spent[0][name] / done * 1e6 for name in ("claim", "commit"))
        print(f"    claim {claim:,.1f} µs, commit with its links (add, done) {commit:,.1f} µs")
    print(f"    a worker takes {own / done * 1e6:,.0f} µs of processor time a page")


@contextlib.contextmanager
def an_engine(packed: int) -> Iterator[str]:
    """A ``redis-server`` in a folder of its own, which packs hashes of so many fields."""
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        log = Path(folder, "log")
        command += ["--hash-max-listpack-entries", str(packed)]
        command += ["--save", "", "--appendonly", "yes", "--logfile", str(log)]
        engine = subprocess.Popen(command)
        try:
            while not log.exists() or "Ready to accept" not in log.read_text():
                time.sleep(0.01)
            yield f"redis://127.0.0.1:{port}"
        finally:
            engine.terminate()
            engine.wait()


def main() -> None:
    """Start an engine, and measure."""
    parser = argparse.ArgumentParser(description="What a crawl costs its engine.")
    parser.add_argument("known", type=int, nargs="?", default=1000, help="URLs over with")
    parser.add_argument("pages", type=int, nargs="?", default=5000, help="pages to do")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--links", type=int, default=20)
    parser.add_argument("--packed", type=int, default=128, help="hash-max-listpack-entries")
    options = parser.parse_args()
    with an_engine(options.packed) as url:
        measure(url, *(getattr(options, name) for name in WORDS))


if __name__ == "__main__":
    main()
