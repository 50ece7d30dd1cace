"""Workers in network namespaces of their own, of which one loses the network for a while.

This needs root, and ``ip`` (Debian's package iproute2).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crawler.engines import an_engine, needs_engine
from tests.crawler.scripted import serving
from tests.crawler.test_cli import ROOT, command
from tests.crawler.test_engine import GAVE_UP, HOSTS, PAGES, Web, merged

NET = "10.213.77."
IP = shutil.which("ip")
pytestmark = [
    needs_engine,
    pytest.mark.soak,
    pytest.mark.timeout(0),
    pytest.mark.skipif(IP is None or os.geteuid() != 0, reason="needs root, and iproute2"),
]


def ip(*words: str) -> None:
    assert IP is not None
    subprocess.run([IP, *words], check=True, capture_output=True)


@contextlib.contextmanager
def namespaces(count: int) -> Iterator[list[str]]:
    """Namespaces behind one bridge; the link of each is called as it is, with a v before it."""
    bridge = f"b{os.getpid()}"
    names = [f"n{os.getpid()}x{number}" for number in range(count)]
    with contextlib.ExitStack() as stack:
        ip("link", "add", bridge, "type", "bridge")
        stack.callback(ip, "link", "del", bridge)
        for host in range(1, HOSTS + 1):
            ip("addr", "add", f"{NET}{host}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number, name in enumerate(names):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
            ip("link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"v{name}", "master", bridge, "up")
            ip("-n", name, "addr", "add", f"{NET}{100 + number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield names


def test_a_worker_that_was_cut_off_is_fenced_and_nothing_is_there_twice(tmp_path: Path) -> None:
    def crawling(name: str) -> subprocess.Popen[str]:
        assert IP is not None
        words = command(
            *(web.url(0, 0), "--depth", "99", "--state", url, "--resume", "-o", "found.tsv"),
            *("--allow-private", "--per-host", "1", "--delay", "0.3", "--user-agent", name),
        )
        return subprocess.Popen(
            [IP, "netns", "exec", name, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    web = Web(0.002, NET)
    settings = ("--bind", "0.0.0.0", "--protected-mode", "no")
    with (
        namespaces(2) as names,
        an_engine(*settings) as engine,
        serving(web.script, host="0.0.0.0") as server,
    ):
        web.serve_on(server)
        url = engine.url("?lease=2").replace("127.0.0.", NET)
        workers = {name: crawling(name) for name in names}
        # Until both have hosts: then the second is cut off.
        lost, other = names
        for pages in itertools.count(1):
            web.wait_for(pages)
            if {each.by for each in web.asked} == set(names):
                break
        ip("link", "set", f"v{lost}", "down")
        cut = time.time()
        before = list(web.asked)
        held = {each.host for each in before if each.by == lost}
        held -= {each.host for each in before if each.by == other}
        # The other has its hosts after the lease; then the network comes back.
        for pages in itertools.count(len(before)):
            web.wait_for(pages)
            taken = [each for each in web.asked if each.by == other and each.host in held]
            if taken:
                break
        assert taken[0].at - cut > 1.5
        ip("link", "set", f"v{lost}", "up")
        _, stderr = workers[lost].communicate(timeout=60)
        assert workers[lost].returncode == 3, stderr
        # It gave up by itself, unless a commit was under way, which the engine has refused.
        assert GAVE_UP.search(stderr), stderr
        _, stderr = workers[other].communicate(timeout=120)
        assert workers[other].returncode == 0, stderr
        assert Counter(merged(tmp_path, url.replace(NET, "127.0.0."))) == Counter(web.all_links())
    assert not [each for each in web.asked if each.by == lost and each.at > taken[0].at]
    assert not web.together
    assert not web.too_soon(0.3)
    # Only what it had in work, or had not yet told, is asked for again.
    assert len(web.asked) <= HOSTS * PAGES + 2 * len(held)
