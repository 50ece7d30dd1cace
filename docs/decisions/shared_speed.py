"""What a crawl gains by two workers on one state, and where the processor's time goes.

    python docs/decisions/shared_speed.py redis [pages] [--rounds N]
    python docs/decisions/shared_speed.py sqlite [pages] [--rounds N]

nginx serves files, each page with 60 links, as so many hosts. One worker crawls them, and two do,
by turns, in as many rounds as one asks for, each with a state that is new. In Redis each worker is
a command of its own, as on machines of their own; in SQLite the two are those of ``--workers 2``.

The processor's time is what the system says of the processes, so it means something on a machine
that is busy, too. What the commands take to start, and to end, is told apart from what a page
takes: it is measured by crawls of one page.
"""

import argparse
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LINKS = 60
SETTINGS = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 4096; }}
http {{
  access_log off; default_type text/html; keepalive_requests 1000000;
  sendfile on; open_file_cache max=100000; open_file_cache_valid 1h;
  server {{ listen 0.0.0.0:{port} backlog=4096; root {folder}/site; }}
}}
"""


@dataclass(frozen=True)
class Crawled:
    """One crawl: its seconds, its pages, and the processor time of the processes, in seconds."""

    seconds: float
    pages: int
    workers: float
    engine: float
    site: float

    @property
    def rate(self) -> float:
        """Pages a second."""
        return self.pages / self.seconds


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def write_site(folder: Path, pages: int, links: int) -> None:
    """Write the pages of a host; they lead to each other."""
    folder.mkdir()
    numbers, text = random.Random(1), "Words that nobody reads. " * 300
    for page in range(pages):
        to = [page + 1, *(numbers.randrange(pages) for _ in range(links - 1))]
        found = "".join(f'<p><a href="/{number % pages}">{text[:200]}</a>' for number in to)
        (folder / str(page)).write_text(f"<!doctype html><title>{page}</title>{found}{text}")


@contextlib.contextmanager
def running(*command: object) -> Iterator[int]:
    """A server, in a process of its own."""
    process = subprocess.Popen([str(word) for word in command], stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    """Until somebody listens there."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)


def taken(pid: int) -> float:
    """Seconds of processor time of a process and its living children; 0 for none."""
    if not pid:
        return 0.0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(taken(int(child)) for child in children)


class Measure:
    """Crawls of a site, with a state in Redis at a port, or in a file if there is no port."""

    def __init__(self, folder: Path, site: int, engine: int, port: int, loop: str) -> None:
        self._folder = folder
        self._site = site
        self._engine = engine
        self._port = port
        self._loop = loop
        self._crawls = 0

    def crawl(self, urls: Sequence[str], workers: int, *, depth: int = 999) -> Crawled:
        """Crawl with so many workers and a new state."""
        self._crawls += 1
        command = [sys.executable, "-m", "crawler", *urls, "--depth", str(depth), "--same-host"]
        command += ["--allow-private", "--no-robots", "--loop", self._loop, "-q", "--resume"]
        if self._port:
            command += ["--state", f"redis://127.0.0.1:{self._port}/speed{self._crawls}"]
            commands = workers
        else:
            command += ["--state", f"{self._crawls}.db", "--workers", str(workers)]
            commands = 1
        names = [f"{self._crawls}-{number}" for number in range(commands)]
        before, children = self._taken(), os.times()
        processes = [
            subprocess.Popen(
                [*command, "-o", f"{name}.tsv", "--summary", f"{name}.json"],
                cwd=self._folder,
                stderr=subprocess.DEVNULL,
            )
            for name in names
        ]
        for process in processes:
            if process.wait():
                raise SystemExit(f"a crawl ended with {process.returncode}")
        now, after = os.times(), self._taken()
        summaries = [json.loads((self._folder / f"{name}.json").read_text()) for name in names]
        return Crawled(
            max(float(summary["seconds"]) for summary in summaries),
            sum(int(summary["pages"]) for summary in summaries),
            now.children_user + now.children_system
            - children.children_user - children.children_system,
            after[0] - before[0],
            after[1] - before[1],
        )  # fmt: skip

    def _taken(self) -> tuple[float, float]:
        return taken(self._engine), taken(self._site)


def tell(workers: int, crawls: Sequence[Crawled], start: Crawled) -> None:
    """Print what crawls by so many workers came to."""
    pages = sum(each.pages for each in crawls)

    def a_page(name: str, beside: float = 0.0) -> float:
        seconds: float = sum(getattr(each, name) - beside for each in crawls)
        return seconds / pages * 1e6

    own, engine, site = a_page("workers", start.workers), a_page("engine"), a_page("site")
    print(
        f"{workers} worker{'s'[: workers > 1]}: {crawls[0].pages:,} pages,"
        f" {statistics.median(each.rate for each in crawls):,.0f} pages/s; µs of processor time a"
        f" page: workers {own:,.0f}, engine {engine:,.0f} ({engine / (own + engine):.1%} of both),"
        f" site {site:,.0f}; beside that, {start.workers:.2f} s to start and end"
    )


@contextlib.contextmanager
def an_engine(kind: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Redis: the number of its process, and its port; zeros for SQLite, which has none."""
    if kind == "sqlite":
        yield 0, 0
        return
    port = free_port()
    words = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", folder]
    with running(*words, "--save", "", "--appendonly", "yes", "--logfile", folder / "log") as pid:
        wait_for(port)
        yield pid, port


def main() -> None:
    """Serve, crawl and tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("state", choices=["redis", "sqlite"])
    parser.add_argument("pages", type=int, nargs="?", default=20_000, help="in all")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--hosts", type=int, default=16)
    parser.add_argument("--links", type=int, default=LINKS, help="of a page")
    parser.add_argument("--loop", default="miniloop")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # nginx serves as another user
        write_site(folder / "site", arguments.pages // arguments.hosts, arguments.links)
        port = free_port()
        (folder / "nginx.conf").write_text(SETTINGS.format(folder=folder, port=port))
        site = stack.enter_context(running("nginx", "-p", folder, "-c", folder / "nginx.conf"))
        wait_for(port)
        engine = stack.enter_context(an_engine(arguments.state, folder))
        measure = Measure(folder, site, *engine, arguments.loop)
        urls = [f"http://127.0.0.{number + 1}:{port}/0" for number in range(arguments.hosts)]
        starts = {workers: measure.crawl(urls[:1], workers, depth=0) for workers in (1, 2)}
        crawls: dict[int, list[Crawled]] = {1: [], 2: []}
        for turn in range(arguments.rounds):
            for workers in (1, 2) if turn % 2 == 0 else (2, 1):
                crawls[workers].append(measure.crawl(urls, workers))
        for workers, done in crawls.items():
            tell(workers, done, starts[workers])
        ratios = [two.rate / one.rate for one, two in zip(*crawls.values(), strict=True)]
        print(
            f"{arguments.state}: two workers are {statistics.median(ratios):.2f} times as fast as"
            f" one ({min(ratios):.2f}-{max(ratios):.2f} in {arguments.rounds} rounds)"
        )


if __name__ == "__main__":
    main()
