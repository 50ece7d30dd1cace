"""Several processes at one crawl: the same pages, each once, whoever of them dies and when."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from crawler.demo.site import Addresses, Site
from crawler.workers import Reports, _obey
from tests.crawler.scripted import Peer, anchors, asked, serving
from tests.crawler.test_cli import ROOT, command, complaints, run_command, wait_for_finishing
from tests.crawler.test_crawl import links_in


def starting(tmp_path: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The workers of a crawl that is under way, the first process's children."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def ended(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while any(map(alive, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def slowly(peer: Peer) -> None:
    """A script that takes its time for each page."""
    while peer.request():
        time.sleep(0.003)
        peer.reply(anchors("/x"), "Content-Type: text/html")


def never(peer: Peer) -> None:
    """A script that answers the first page of all, and no other."""
    while head := peer.request():
        if head.startswith(b"GET /first"):
            peer.reply(anchors("/x"), "Content-Type: text/html")
        else:
            peer.until_gone()


@pytest.mark.parametrize("loop", ["miniloop", "asyncio"])
def test_two_workers_find_what_one_does_and_count_the_same(
    loop: str, tmp_path: Path, site: Site, at: Addresses
) -> None:
    expected = site.within(at, 30)
    arguments = [f"{at.http}/page/0", "--depth", "30", "--allow", f"^{at.http}/", "--loop", loop]
    done = run_command(
        *arguments, "--workers", "2", "-o", "found.tsv", "--summary", "s.json", cwd=tmp_path
    )
    assert done.returncode == 1, done.stderr
    links = links_in(tmp_path / "found.tsv")
    assert len(links) == len(set(links))
    assert set(links) == expected.links
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["pages"] == expected.pages
    assert summary["links"] == len(links)
    assert summary["failures"] == dict(expected.failures)
    assert summary["disallowed"] == expected.disallowed
    assert done.stderr.count("FAILED") == expected.failures.total()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.tsv", "s.json"]


def test_hosts_are_shared_out_and_each_is_asked_by_one_at_a_time(tmp_path: Path) -> None:
    """Every page says who is being served; nobody else is when a host has room for one page."""
    busy: dict[str, int] = {}
    together: list[str] = []
    most = 0

    def script(peer: Peer) -> None:
        nonlocal most
        while head := peer.request():
            found = re.search(rb"Host: ([^\r]*)", head)
            assert found is not None
            host = found[1].decode()
            busy[host] = busy.get(host, 0) + 1
            if busy[host] > 1:
                together.append(host)
            most = max(most, sum(busy.values()))
            time.sleep(0.002)
            busy[host] -= 1
            peer.reply(anchors("/x"), "Content-Type: text/html")

    with serving(script, host="0.0.0.0") as server:
        names = [f"http://127.0.0.{number}:{server.port}" for number in range(1, 9)]
        (tmp_path / "urls.txt").write_text("\n".join(f"{n}/{k}" for n in names for k in range(20)))
        done = run_command("urls.txt", "--workers", "2", "--per-host", "1", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(server.requests) == 160
    assert not together
    assert most > 1
    assert len(links_in(tmp_path / "foundurls.txt")) == 160


def test_a_worker_that_is_killed_is_told_and_the_others_do_its_work(tmp_path: Path) -> None:
    with serving(slowly, host="0.0.0.0") as server:
        urls = [f"http://127.0.0.{n}:{server.port}/{k}" for n in range(1, 7) for k in range(60)]
        (tmp_path / "urls.txt").write_text("\n".join(urls))
        process = starting(tmp_path, "urls.txt", "--workers", "3", "--per-host", "1")
        found = tmp_path / "foundurls.txt"
        while not found.exists() or found.stat().st_size < 1_000:
            assert process.poll() is None
            time.sleep(0.005)
        victim = workers_of(process)[1]
        os.kill(victim, signal.SIGKILL)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert f"worker 2 (process {victim}) was ended by SIGKILL" in stderr
    assert "pages      360\n" in stderr
    assert sorted(source for source, _ in links_in(found)) == sorted(urls)


def test_when_all_workers_are_gone_the_command_says_how_to_go_on(tmp_path: Path) -> None:
    with serving(never) as server:
        arguments = [server.url, "--workers", "2", "--state", "crawl.db", "-o", "found.tsv"]
        process = starting(tmp_path, *arguments)
        while not server.requests:
            assert process.poll() is None
            time.sleep(0.005)
        for pid in workers_of(process):
            os.kill(pid, signal.SIGKILL)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "no worker has lived to the end; with --state, --resume goes on" in stderr


def test_workers_end_when_the_first_process_is_killed(tmp_path: Path) -> None:
    with serving(never) as server:
        process = starting(tmp_path, server.url, "--workers", "2", "-o", "found.tsv")
        while not server.requests:
            assert process.poll() is None
            time.sleep(0.005)
        workers = workers_of(process)
        process.kill()
        process.communicate()
        assert len(workers) == 2
        assert ended(workers)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_finishes_what_is_in_work_and_leaves_the_rest_in_the_state(
    tmp_path: Path, workers: str
) -> None:
    answers = {f"/{number}": anchors(f"/to/{number}") for number in range(400)}
    gate: list[Peer] = []

    def script(peer: Peer) -> None:
        """Answers nothing before it is told to."""
        while head := peer.request():
            gate.append(peer)
            while not (tmp_path / "open").exists():
                time.sleep(0.005)
            path = head.split(b" ")[1].decode()
            peer.reply(answers[path], "Content-Type: text/html")

    with serving(script) as server:
        urls = [f"{server.url}/{number}" for number in range(400)]
        (tmp_path / "urls.txt").write_text("\n".join(urls))
        arguments = ["urls.txt", "--workers", workers, "--state", "crawl.db", "-o", "found.tsv"]
        process = starting(tmp_path, *arguments, "--summary", "s.json")
        while len(gate) < 8:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        wait_for_finishing(process)
        (tmp_path / "open").touch()
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 130, stderr
        assert complaints(stderr) == ""
        finished = json.loads((tmp_path / "s.json").read_text())["pages"]
        # Workers are told by the first process, and may have begun some more until they hear it.
        assert finished == 8 if workers == "1" else finished >= 8
        assert len(asked(server)) == finished
        assert len(links_in(tmp_path / "found.tsv")) == finished
        done = run_command(*arguments, "--resume", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(asked(server)) == 400
    assert sorted(source for source, _ in links_in(tmp_path / "found.tsv")) == sorted(urls)


@pytest.mark.parametrize("unread", [b"", b"a report"])
def test_a_worker_ends_with_the_first_process_whatever_that_has_left_unread(
    run: Callable[..., Any], unread: bytes
) -> None:
    ours, theirs = socket.socketpair()

    async def work(store: Any, reports: Reports, drain: asyncio.Event, lock: int) -> None:
        theirs.send(unread)
        ours.close()  # as the kernel does with those of a process that is killed
        await asyncio.Event().wait()

    with ours, theirs:
        theirs.setblocking(False)
        obeying = _obey(cast(Any, None), work, Reports(theirs), theirs, 0)
        run(lambda: asyncio.wait_for(obeying, 10))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_and_a_second_ctrl_c_stop_the_workers_at_once(tmp_path: Path, number: int) -> None:
    with serving(never, host="0.0.0.0") as server:
        urls = [f"http://127.0.0.1:{server.port}/first"]
        urls += [f"http://127.0.0.{n}:{server.port}/{k}" for n in range(1, 5) for k in range(3)]
        process = starting(tmp_path, *urls, "--workers", "2", "-o", "found.tsv")
        while not (found := tmp_path / "found.tsv").exists() or found.stat().st_size < 50:
            assert process.poll() is None
            time.sleep(0.005)
        workers = workers_of(process)
        if number == signal.SIGINT:
            process.send_signal(number)
            wait_for_finishing(process)
        sent = time.monotonic()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=20)
        assert time.monotonic() - sent < 5  # a second, on a machine that is not busy
        assert process.returncode == 128 + number, stderr
        assert "pages      1\n" in stderr
        assert len(workers) == 2
        assert ended(workers)


FULL = """
import errno, os, sys
from crawler.cli import main
from crawler.output.file import File

async def write(self, blocks):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

File.write = write
sys.exit(main(sys.argv[1:]))
"""


def test_a_worker_whose_disk_is_full_has_the_command_say_what_to_do(tmp_path: Path) -> None:
    with serving(slowly) as server:
        done = subprocess.run(
            [sys.executable, "-c", FULL, server.url, "--workers", "2", "-o", "found.tsv"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 3
    assert "crawler: make room, and begin again\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_goes_not_together_with_workers_is_told(tmp_path: Path) -> None:
    for arguments in (["-o", "-"], ["--append"]):
        done = run_command("http://127.0.0.1:9/", "--workers", "2", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert "--workers" in done.stderr


def moments(seed: int, count: int) -> Iterator[tuple[bool, int]]:
    """Whether all are killed or one worker, and after how many failures reported."""
    randomly = random.Random(seed)
    for _ in range(count):
        yield randomly.random() < 0.8, randomly.randrange(0, 120)


def killed_and_resumed(
    tmp_path: Path, site: Site, at: Addresses, workers: int, loop: str, kills: int
) -> int:
    """A crawl that is killed again and again, until it is whole; how often it was."""
    expected = site.within(at, 30)
    arguments = [
        f"{at.http}/page/0", "--depth", "30", "--allow", f"^{at.http}/", "--state", "crawl.db",
        "--resume", "-o", "found.tsv", "--loop", loop, "--per-host", "2", "--workers", workers,
    ]  # fmt: skip
    struck = 0
    for whole, lines in [*moments(kills * workers, kills), (True, 1 << 30)]:
        process = starting(tmp_path, *arguments)
        assert process.stderr is not None
        # Not before it has begun, and then some time between two failures that it reports.
        said = list(itertools.islice(process.stderr, lines))
        try:
            victims = workers_of(process)
        except FileNotFoundError:
            victims = []
        if victims and not whole:
            struck += 1
            os.kill(random.Random(lines).choice(victims), signal.SIGKILL)
            _, rest = process.communicate(timeout=60)
            said.append(rest)
        elif lines < 1 << 30:
            process.kill()
            said += process.stderr
        process.stderr.close()
        struck += process.wait() < 0
        assert ended(victims)
        if process.returncode >= 0:
            assert process.returncode in (0, 1)
            assert "pages  " in "".join(said)
            break
    links = links_in(tmp_path / "found.tsv")
    assert len(links) == len(set(links))
    assert set(links) == expected.links
    return struck


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("workers", "loop"), [(1, "miniloop"), (1, "asyncio"), (4, "miniloop")])
def test_kill_9_at_random_moments_changes_nothing(
    tmp_path: Path, site: Site, at: Addresses, workers: int, loop: str
) -> None:
    assert killed_and_resumed(tmp_path, site, at, workers, loop, 6) > 0


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("workers", [1, 4])
def test_kill_9_at_two_hundred_random_moments_changes_nothing(
    tmp_path: Path, site: Site, at: Addresses, workers: int
) -> None:
    struck = 0
    for attempt in range(1000):
        directory = tmp_path / str(attempt)
        directory.mkdir()
        struck += killed_and_resumed(directory, site, at, workers, "miniloop", 5 + attempt % 13)
        if struck >= 200:
            return
    pytest.fail("it ends too soon to be killed")
