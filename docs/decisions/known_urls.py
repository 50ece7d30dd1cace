"""What a page costs a state in a file, and the memory, however many URLs are known.

    python docs/decisions/known_urls.py [known URLs ...] [--pages N]
    python docs/decisions/known_urls.py --whole N

A site is made up, and nothing is fetched: pages are claimed and committed, 64 at a time, as a crawl
does it. Each page has 20 links, which lie scattered over all hosts. The first command has so many
URLs known, in a process of its own each, of which most wait; then pages are done that have one new
link each. The second crawls a site of N pages from its first page to its end, and says how it goes.
The processor's time is the one to look at where a machine is busy with other things.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

from crawler.frontier import Rules, SQLiteStore
from crawler.frontier.store import Done, Page

HOSTS, LINKS, BATCH, LISTED_AT_ONCE = 2_000, 20, 64, 1_000
# An odd number, so that each page has another place among all numbers of 32 bits.
SCATTER = 2_654_435_761


def page_url(number: int) -> str:
    """The URL of a page; those of one host are far from each other."""
    place = number * SCATTER & 0xFFFF_FFFF
    return f"http://host-{place % HOSTS}.example/a/path/as/they/are?page={number}"


def number_of(page: Page) -> int:
    """Which page it is."""
    return int(page.url.rpartition("=")[2])


class Watch:
    """How much time has gone by, on the clock and of the processor."""

    def __init__(self) -> None:
        self._clock, self._processor = time.perf_counter(), time.process_time()

    def since(self) -> tuple[float, float]:
        """Seconds since this was asked last."""
        before = self._clock, self._processor
        self._clock, self._processor = time.perf_counter(), time.process_time()
        return self._clock - before[0], self._processor - before[1]


def memory() -> float:
    """The most memory that the process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def known(count: int, pages: int) -> str:
    """Have so many URLs known, then do pages; returns a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.db")
        with SQLiteStore(path, path, resume=True, rules=Rules(depth=1000)) as store:
            watch = Watch()
            for start in range(0, count, LISTED_AT_ONCE):
                stop = min(count, start + LISTED_AT_ONCE)
                await store.add([(page_url(number), "") for number in range(start, stop)])
            added, adding = watch.since()
            worker, done, new = await store.join(), 0, count
            while done < pages:
                batch = []
                for page in (await store.claim(worker, BATCH)).pages:
                    links = [page_url((done * 7919 + n * 104_729) % count) for n in range(1, LINKS)]
                    batch.append(Done(page.url, [*links, page_url(new)]))
                    new += 1
                    done += 1
                await store.commit(worker, batch, done, {"pages": len(batch)})
            took, busy = watch.since()
            size = sum(map(os.path.getsize, (path, f"{path}-wal")))
    return (
        f"| {count:,} | {count / added:,.0f} | {adding / count * 1e6:.0f} µs"
        f" | {done / took:,.0f} | {busy / done * 1e6:.0f} µs | {memory():.0f} MiB"
        f" | {size / 2**20:,.0f} MiB |"
    )


async def whole(count: int) -> None:
    """Crawl a site of so many pages."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.db")
        with SQLiteStore(path, path, resume=True, rules=Rules(depth=1000)) as store:
            await store.add([(page_url(0), "")])
            await store.end_list()
            worker, done, tenth, watch, all_of_it = await store.join(), 0, 1, Watch(), Watch()
            while not (claimed := await store.claim(worker, 4 * BATCH)).over:
                batch = []
                for page in claimed.pages:
                    at = number_of(page)
                    # As a tree, in which each page is found; and some that lie anywhere.
                    below = [number for number in (2 * at + 1, 2 * at + 2) if number < count]
                    others = [(at * 7919 + n * n) % count for n in range(LINKS - len(below))]
                    batch.append(Done(page.url, [page_url(n) for n in (*below, *others)]))
                done += len(batch)
                await store.commit(worker, batch, done, {"pages": len(batch)})
                if done * 10 >= tenth * count:
                    seconds, busy = watch.since()
                    print(
                        f"{done:,} pages: {count / 10 / seconds:,.0f} pages/s,"
                        f" {busy / count * 1e7:.0f} µs of processor time each, {memory():.0f} MiB",
                        flush=True,
                    )
                    tenth = done * 10 // count + 1
            seconds, busy = all_of_it.since()
    print(f"{done:,} pages in {seconds:,.0f} s, of which the processor was busy for {busy:,.0f} s")


def row(count: int, pages: int) -> None:
    """Print a row of the table."""
    print(asyncio.run(known(count, pages)), flush=True)


def main() -> None:
    """Print the table, or how a whole crawl goes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("known", type=int, nargs="*", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--pages", type=int, default=6_400)
    parser.add_argument("--whole", type=int, metavar="N", help="crawl a site of N pages")
    options = parser.parse_args()
    if options.whole:
        asyncio.run(whole(options.whole))
        return
    print("| Known URLs | Added a second | each | Pages a second | each | Memory | Files |")
    print("|---|---|---|---|---|---|---|")
    for count in options.known:
        process = multiprocessing.Process(target=row, args=(count, options.pages))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
