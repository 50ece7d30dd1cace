"""A crawl that commands share by an engine, whoever is killed: the same pages, each once."""

from __future__ import annotations

import itertools
import random
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.crawler.engines import Engine, a_cluster, an_engine, needs_engine
from tests.crawler.scripted import Peer, Server, anchors, serving
from tests.crawler.test_cli import run_command
from tests.crawler.test_crawl import links_in
from tests.crawler.test_report import data_in
from tests.crawler.test_workers import starting

pytestmark = needs_engine
HOSTS, PAGES = 6, 25
_NUMBERS = itertools.count()
# What a command says that gave up, as it should when its lease has run out.
GAVE_UP = re.compile(
    r"cannot go on: (cannot use the state|.*(was not heard of|taken for dead|silent for its lease))"
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with an_engine() as started:
        yield started


class Asked(NamedTuple):
    """A request for a page: whom, for what, when on the clock, and by which command."""

    host: str
    path: str
    at: float
    by: str


# Seconds by which the clock of the kernel's stamps and those of the workers may differ.
RESOLUTION = 0.001
# Linux has no other name for it in Python: a packet's time comes with its bytes.
SO_TIMESTAMPNS = 35


def arrived(peer: Peer) -> float:
    """When the next request came in, by the system's clock; 0 if there is none.

    The kernel says it. On one machine that is when the request was sent, however late a thread of
    this server may be to read it.
    """
    data, notes, _, _ = peer.sock.recvmsg(1, 64, socket.MSG_PEEK)
    if not data:
        return 0.0
    for level, kind, stamp in notes:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("@qq", stamp)
            return float(seconds + nanoseconds / 1e9)
    raise AssertionError("the kernel has not said when it came")


class Web:
    """Some hosts of one server, whose pages lead to each other; it notes who asked them when."""

    def __init__(self, seconds: float, net: str = "127.0.0.") -> None:
        self.seconds = seconds
        self.net = net
        self.asked: list[Asked] = []
        self.together: list[str] = []
        self._busy: Counter[str] = Counter()
        self.port = 0
        self._allowed = 1 << 30
        self._changed = threading.Condition()

    def serve_on(self, server: Server) -> None:
        """Be at this server, whose connections get what its listener is told."""
        self.port = server.port
        server.listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def allow(self, pages: int) -> None:
        """Answer so many requests in all; whoever comes after that waits."""
        with self._changed:
            self._allowed = pages
            self._changed.notify_all()

    def wait_for(self, pages: int) -> None:
        """Until so many have been asked for."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= pages, 60)

    def url(self, host: int, page: int) -> str:
        return f"http://{self.net}{host % HOSTS + 1}:{self.port}/{page % PAGES}"

    def links(self, host: int, page: int) -> list[str]:
        return [
            self.url(host, page + 1),
            self.url(host + 1, 2 * page),
            self.url(host + page, page + 3),
        ]

    def all_links(self) -> set[tuple[str, str]]:
        return {
            (self.url(host, page), link)
            for host in range(HOSTS)
            for page in range(PAGES)
            for link in self.links(host, page)
        }

    def too_soon(self, seconds: float) -> list[tuple[Asked, Asked]]:
        """Requests to one host that came sooner one after the other."""
        last: dict[str, Asked] = {}
        pairs = []
        for each in sorted(self.asked, key=lambda one: one.at):
            before = last.get(each.host)
            if before is not None and each.at - before.at < seconds - RESOLUTION:
                pairs.append((before, each))
            last[each.host] = each
        return pairs

    def script(self, peer: Peer) -> None:
        while now := arrived(peer):
            head = peer.request()
            found = re.match(rb"GET /(\d+|robots\.txt) .*?Host: ([^\r:]*)", head, re.DOTALL)
            agent = re.search(rb"(?i)user-agent: ([^\r]*)", head)
            assert found is not None
            assert agent is not None
            host, path = found[2].decode(), found[1].decode()
            if path == "robots.txt":
                peer.reply(b"User-agent: *\nAllow: /\n", "Content-Type: text/plain")
                continue
            self._busy[host] += 1
            if self._busy[host] > 1:
                self.together.append(host)
            with self._changed:
                self.asked.append(Asked(host, path, now, agent[1].decode()))
                place = len(self.asked)
                self._changed.notify_all()
                self._changed.wait_for(lambda: place <= self._allowed, 60)  # noqa: B023
            time.sleep(self.seconds)
            self._busy[host] -= 1
            number = int(host.rpartition(".")[2]) - 1
            peer.reply(anchors(*self.links(number, int(path))), "Content-Type: text/html")


def crawling(
    tmp_path: Path, web: Web, engine: str, *, delay: float = 0.001
) -> subprocess.Popen[str]:
    return starting(
        tmp_path,
        *(web.url(0, 0), "--depth", "99", "--state", engine, "--resume", "-o", "found.tsv"),
        *("--allow-private", "--per-host", "1", "--delay", str(delay)),
        *("--user-agent", f"worker-{next(_NUMBERS)}"),
    )


def merged(tmp_path: Path, engine: str) -> list[tuple[str, ...]]:
    done = run_command("merge", engine, "-o", "all.tsv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return links_in(tmp_path / "all.tsv")


def crawled(tmp_path: Path, engine: str, workers: int) -> None:
    """Crawl with so many commands, and look at what comes of it."""
    web = Web(0.002)
    with serving(web.script, host="0.0.0.0") as server:
        web.serve_on(server)
        for process in [crawling(tmp_path, web, engine) for _ in range(workers)]:
            _, stderr = process.communicate(timeout=60)
            assert process.returncode == 0, stderr
        assert Counter(merged(tmp_path, engine)) == Counter(web.all_links())
    assert len(web.asked) == HOSTS * PAGES
    assert not web.together


@pytest.mark.timeout(120)
def test_commands_share_a_cluster_and_each_host_is_asked_by_one_at_a_time(tmp_path: Path) -> None:
    with a_cluster() as nodes:
        crawled(tmp_path, nodes[1].url(), 2)
        keys = [int(node.cli("dbsize")) for node in nodes]
        assert all(keys), keys


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_any_number_of_workers_finds_the_same(tmp_path: Path, engine: Engine, workers: int) -> None:
    crawled(tmp_path, engine.url(), workers)
    with a_cluster() as nodes:
        directory = tmp_path / "cluster"
        directory.mkdir()
        crawled(directory, nodes[0].url(), workers)


def killed_and_joined(
    tmp_path: Path, engine: Engine, seed: int, kills: int, *, delay: float = 0.001
) -> int:
    """A crawl whose workers, and whose engine, are killed at random; how often they were.

    Whoever gives up, as one must that was silent for its lease, is started anew.
    """
    randomly = random.Random(seed)
    web = Web(0.01)
    url = engine.url("?lease=2")
    struck = 0

    def begin() -> subprocess.Popen[str]:
        return crawling(tmp_path, web, url, delay=delay)

    def ends(process: subprocess.Popen[str]) -> bool:
        """Whether the crawl is over, which is why a worker ends."""
        _, stderr = process.communicate(timeout=60)
        if process.returncode not in (0, -signal.SIGKILL):
            assert process.returncode == 3, stderr
            assert GAVE_UP.search(stderr), stderr
        return process.returncode == 0

    with serving(web.script, host="0.0.0.0") as server:
        web.serve_on(server)
        workers = [begin() for _ in range(3)]
        for _ in range(kills):
            # Not before some more pages have been asked for than last time.
            goal = len(web.asked) + randomly.randrange(1, 20)
            while len(web.asked) < goal and any(each.poll() is None for each in workers):
                time.sleep(0.005)
            what = randomly.randrange(4)
            if what == 3:
                engine.kill()
                engine.start()
            elif workers[what].poll() is None:
                workers[what].kill()
            else:
                continue
            struck += 1
            ended = [number for number, each in enumerate(workers) if each.poll() is not None]
            if any([ends(workers[number]) for number in ended]):
                break
            for number in ended:
                workers[number] = begin()
        for process in workers:
            ends(process)
        last = begin()
        _, stderr = last.communicate(timeout=60)
        assert last.returncode == 0, stderr
        assert Counter(merged(tmp_path, url)) == Counter(web.all_links())
    assert not web.together
    assert not web.too_soon(delay)
    return struck


@pytest.mark.timeout(120)
def test_kill_9_of_workers_and_of_the_engine_at_random_moments_changes_nothing(
    tmp_path: Path,
) -> None:
    with an_engine() as engine:
        assert killed_and_joined(tmp_path, engine, 3, 6) >= 3


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_kill_9_at_two_hundred_random_moments_changes_nothing(tmp_path: Path) -> None:
    struck = 0
    with an_engine() as engine:
        for seed in range(400):
            directory = tmp_path / str(seed)
            directory.mkdir()
            struck += killed_and_joined(directory, engine, seed, 25, delay=0.3)
            print(f"crawl {seed + 1}: {struck} kills")
            if struck >= 200:
                return
    pytest.fail("it ends too soon to be killed")


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_failovers_of_a_cluster_with_replicas_lose_nothing(tmp_path: Path) -> None:
    def role(node: Engine) -> str:
        return "" if node.process is None else node.cli("info", "replication")

    def wait(what: str, nodes: list[Engine]) -> None:
        deadline = time.monotonic() + 60
        while not any(what in role(node) for node in nodes):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    web = Web(0.01)
    with a_cluster(replicas=1) as nodes, serving(web.script, host="0.0.0.0") as server:
        web.serve_on(server)
        url = nodes[0].url("?replicas=1")
        workers = [crawling(tmp_path, web, url, delay=0.3) for _ in range(3)]
        web.wait_for(10)
        for victim in nodes[1:3]:
            assert "role:master" in role(victim)
            replicas = [node for node in nodes if "role:slave" in role(node)]
            victim.kill()
            wait("role:master", replicas)
            victim.start()
            wait("master_link_status:up", [victim])
        assert any(process.poll() is None for process in workers)
        for process in workers:
            _, stderr = process.communicate(timeout=120)
            assert process.returncode == 0, stderr
        assert Counter(merged(tmp_path, url)) == Counter(web.all_links())
    assert len(web.asked) == HOSTS * PAGES
    assert not web.too_soon(0.3)


@pytest.mark.timeout(120)
def test_a_password_goes_over_tls_and_is_shown_nowhere_and_the_report_is_of_all_workers(
    tmp_path: Path,
) -> None:
    def crawling(number: int) -> subprocess.Popen[str]:
        return starting(
            tmp_path,
            *(web.url(0, 0), "--depth", "99", "--state", url, "--resume", "--allow-private"),
            *("-o", f"found{number}.jsonl", "--per-host", "1", "--verbose"),
            *("--report", f"report{number}.html", "--summary", f"summary{number}.json"),
        )

    with an_engine("--requirepass", "se:cret@1", tls=True) as engine:
        web = Web(0.002)
        place = engine.url().removeprefix("redis://")
        url = f"rediss://:se%3Acret%401@{place}?ca={engine.at / 'ca.pem'}"
        with serving(web.script, host="0.0.0.0") as server:
            web.serve_on(server)
            said = ""
            for process in [crawling(number) for number in range(2)]:
                said += process.communicate(timeout=60)[1]
                assert process.returncode == 0, said
        drawn = run_command("report", url, "-o", "all.html", cwd=tmp_path)
        assert drawn.returncode == 0, drawn.stderr
        wrong = run_command("status", url.replace("se%3Acret%401", "wr0ng"), cwd=tmp_path)
        assert wrong.returncode == 3
        assert "does not take this user and password" in wrong.stderr
        strange = run_command("status", url.partition("?")[0], cwd=tmp_path)
        assert strange.returncode == 3
        assert "certificate verify failed" in strange.stderr
        right = run_command("status", url, cwd=tmp_path)
        assert right.stdout.startswith(f"crawl      rediss://{place}, over\n")
    # Whoever ends first may not know of the last pages of the other.
    pages = {path.name: data_in(path.read_text())["pages"] for path in tmp_path.glob("*.html")}
    assert pages["all.html"] == HOSTS * PAGES
    assert max(pages["report0.html"], pages["report1.html"]) == HOSTS * PAGES
    said += (
        wrong.stderr
        + right.stdout
        + "".join(path.read_text() for path in tmp_path.iterdir() if path.is_file())
    )
    for secret in ("se:cret", "se%3Acret", "wr0ng"):
        assert secret not in said
