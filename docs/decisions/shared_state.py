"""What a crawl costs its engine: memory for each URL, pages a second, who is busy meanwhile.

    python docs/decisions/shared_state.py [known URLs] [pages]

It starts a ``redis-server`` of its own. A site is made up: each page has 20 links, one of them new.
First the URLs are added and all but one of them done; then pages are claimed and committed, 64 at
a time, for a worker that fetches nothing.
"""

import asyncio
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis

from crawler.frontier import RedisStore, Rules
from crawler.frontier.store import Done

LINKS, HOSTS, BATCH = 20, 200, 64


def page_url(number: int) -> str:
    """The URL of a page that is made up: 68 bytes and its number."""
    return f"http://host-{number % HOSTS}.example/a/path/as/they/usually/are/in/links?page={number}"


async def measure(url: str, known: int, pages: int) -> None:
    """Print what it costs."""
    client = redis.Redis.from_url(url)

    def memory() -> int:
        return int(client.info("memory")["used_memory"])  # type: ignore[index,arg-type]

    async with RedisStore(f"{url}/measured", rules=Rules(depth=1000)) as store:
        worker = await store.join()
        # Done in the end, and queued while they wait.
        empty = memory()
        for start in range(0, known, 2000):
            urls = [page_url(n) for n in range(start, min(known, start + 2000))]
            await store.add([(each, "") for each in urls])
        queued = memory()
        await store.end_list()
        # One is not done, so that the depth of the others is settled and that of new ones is not.
        await store.claim(worker, 1)
        while found := (await store.claim(worker, 1000)).pages:
            await store.commit(worker, [Done(page.url, []) for page in found], 0, {})
        over = memory()
        print(f"{known:,} URLs: {(queued - empty) / known:,.0f} bytes for each that waits,")
        print(f"    {(over - empty) / known:,.1f} bytes for each that is done")
        await store.add([(page_url(known + n), "") for n in range(1000)])
        next_one, done = known + 1000, 0
        began, busy = time.perf_counter(), client.info("cpu")
        own = resource.getrusage(resource.RUSAGE_SELF)
        while done < pages:
            found = (await store.claim(worker, BATCH)).pages
            batch = []
            for page in found:
                old = [page_url((done * 7 + n * 13) % next_one) for n in range(LINKS - 1)]
                batch.append(Done(page.url, [*old, page_url(next_one)]))
                next_one += 1
                done += 1
            await store.commit(worker, batch, done, {"pages": len(batch)})
        took = time.perf_counter() - began
        after, ours = client.info("cpu"), resource.getrusage(resource.RUSAGE_SELF)
        engine = sum(after[n] - busy[n] for n in ("used_cpu_user", "used_cpu_sys"))  # type: ignore[index]
        mine = ours.ru_utime + ours.ru_stime - own.ru_utime - own.ru_stime
        print(
            f"{done / took:,.0f} pages/s; a page costs the engine {engine / done * 1e6:,.0f} µs of"
        )
        print(f"    processor time, and the worker {mine / done * 1e6:,.0f} µs")
    client.close()


def main() -> None:
    """Start an engine, and measure."""
    known, pages = (int(word) for word in (sys.argv[1:] + ["1000", "5000"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        log = Path(folder, "log")
        command += ["--save", "", "--appendonly", "yes", "--logfile", str(log)]
        engine = subprocess.Popen(command)
        try:
            while not log.exists() or "Ready to accept" not in log.read_text():
                time.sleep(0.01)
            asyncio.run(measure(f"redis://127.0.0.1:{port}", known, pages))
        finally:
            engine.terminate()
            engine.wait()


if __name__ == "__main__":
    main()
