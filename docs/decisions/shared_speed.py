"""What a crawl gains by more workers on one engine, and which share of the processor that costs.

    python docs/decisions/shared_speed.py [pages] [--hosts N] [--loop NAME]

nginx serves files, each page with 20 links, as so many hosts; a ``redis-server`` keeps the state.
One worker crawls them, then two, four as well if there are processors for them. What nginx, the
engine and the workers take of the processor is told apart, by what the system says of their
processes.
"""

import argparse
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LINKS = 20
SETTINGS = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 4096; }}
http {{
  access_log off; default_type text/html; keepalive_requests 100000;
  server {{ listen 0.0.0.0:{port}; root {folder}/site; }}
}}
"""


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def write_site(folder: Path, pages: int) -> None:
    """Write the pages of a host; they lead to each other."""
    folder.mkdir()
    numbers, text = random.Random(1), "Words that nobody reads. " * 300
    for page in range(pages):
        to = [page + 1, *(numbers.randrange(pages) for _ in range(LINKS - 1))]
        links = "".join(f'<p><a href="/{number % pages}">{text[:200]}</a>' for number in to)
        (folder / str(page)).write_text(f"<!doctype html><title>{page}</title>{links}{text}")


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
    """Seconds of processor time of a process and its living children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(taken(int(child)) for child in children)


def crawl(folder: Path, state: str, workers: int, options: list[str]) -> tuple[float, int, float]:
    """Crawl with so many commands; returns seconds, pages, and the commands' processor time."""
    command = [sys.executable, "-m", "crawler", *options, "--state", state, "--resume", "-q"]
    before = os.times()
    processes = [
        subprocess.Popen(
            [*command, "-o", f"{workers}-{number}.tsv", "--summary", f"{workers}-{number}.json"],
            cwd=folder,
        )
        for number in range(workers)
    ]
    for process in processes:
        process.wait()
    after = os.times()
    summaries = [
        json.loads((folder / f"{workers}-{number}.json").read_text()) for number in range(workers)
    ]
    took = max(summary["seconds"] for summary in summaries)
    pages = sum(summary["pages"] for summary in summaries)
    own = after.children_user + after.children_system - before.children_user
    return took, pages, own - before.children_system


def main() -> None:
    """Serve, crawl and tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pages", type=int, nargs="?", default=4000, help="in all")
    parser.add_argument("--hosts", type=int, default=16)
    parser.add_argument("--loop", default="miniloop")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx serves as another user
        write_site(folder / "site", arguments.pages // arguments.hosts)
        port, engine_port = free_port(), free_port()
        (folder / "nginx.conf").write_text(SETTINGS.format(folder=folder, port=port))
        engine = ["redis-server", "--port", engine_port, "--bind", "127.0.0.1", "--dir", folder]
        engine += ["--save", "", "--appendonly", "yes", "--logfile", folder / "log"]
        with (
            running("nginx", "-p", folder, "-c", folder / "nginx.conf") as web,
            running(*engine) as redis,
        ):
            wait_for(port)
            wait_for(engine_port)
            urls = [f"http://127.0.0.{number + 1}:{port}/0" for number in range(arguments.hosts)]
            options = [*urls, "--depth", "999", "--same-host", "--allow-private", "--no-robots"]
            options += ["--loop", arguments.loop]
            first = 0.0
            for workers in (1, 2, 4):
                if workers > max(2, (os.cpu_count() or 1) - 2):
                    break
                served, kept = taken(web), taken(redis)
                state = f"redis://127.0.0.1:{engine_port}/speed{workers}"
                took, pages, own = crawl(folder, state, workers, options)
                served, kept = taken(web) - served, taken(redis) - kept
                rate = pages / took
                first = first or rate
                print(
                    f"{workers} workers: {pages:,} pages, {rate:,.0f} pages/s,"
                    f" {rate / first:.2f} times one worker's; processor time of the engine"
                    f" {kept / (kept + own):.1%}, {kept / pages * 1e6:,.0f} µs a page, of the"
                    f" workers {own / pages * 1e6:,.0f} µs, of nginx {served / pages * 1e6:,.0f} µs"
                )


if __name__ == "__main__":
    main()
