"""One crawl over several machines: commands that share a state in a real ``redis-server``."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from crawler.demo.site import Addresses, Site
from crawler.frontier import RedisStore, Rules
from crawler.frontier.redis import connection
from crawler.frontier.store import Done
from crawler.merging import merge
from crawler.remote import BAD_FILE, remote
from tests.crawler.scripted import serving
from tests.crawler.test_cli import run_command
from tests.crawler.test_crawl import links_in
from tests.crawler.test_workers import slowly, starting
from tests.ecosystem import daemons


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with daemons.redis() as url:
        yield url


def merged(tmp_path: Path, state: str) -> list[tuple[str, ...]]:
    done = run_command("merge", state, "-o", "all.tsv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return links_in(tmp_path / "all.tsv")


@pytest.mark.timeout(120)
def test_two_commands_crawl_one_site_together(
    tmp_path: Path, engine: str, site: Site, at: Addresses
) -> None:
    expected = site.within(at, 30)
    state = f"{engine}/together"
    arguments = [
        f"{at.http}/page/0", "--depth", "30", "--allow", f"^{at.http}/", "--state", state,
        "--resume", "-o", "found.tsv",
    ]  # fmt: skip
    both = [starting(tmp_path, *arguments), starting(tmp_path, *arguments, "--workers", "2")]
    for process in both:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode in (0, 1), stderr
        assert "Traceback" not in stderr
        assert "warning: redis://127.0.0.1:" in stderr
        assert "appendonly is off" in stderr
    # Each worker has a file of its own, and there is none that nobody writes to.
    assert len([*tmp_path.glob("found.tsv.*")]) == 3
    assert not (tmp_path / "found.tsv").exists()
    links = merged(tmp_path, state)
    assert len(links) == len(set(links))
    assert set(links) == expected.links
    status = run_command("status", state, "--watch", cwd=tmp_path)
    assert status.stdout.startswith(f"crawl      {state}, over\n")
    assert f"pages      {expected.pages:,}, 0.0 pages/s\n" in status.stdout
    assert f"failures   {expected.failures.total():,}\n" in status.stdout
    assert " 0 waiting, 0 claimed, 0 to be told again\n" in status.stdout
    assert "workers    0\n" in status.stdout


def test_parts_may_be_named_after_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STARTS_WITHIN", 0.1)
    # Nobody listens there: so far it comes only if the command is taken as it was typed.
    nobody = "redis://127.0.0.1:1/crawl"
    assert remote(["merge", nobody, "-o", str(tmp_path / "all.tsv"), "one", "two"]) == BAD_FILE


@pytest.mark.timeout(120)
def test_what_a_killed_machine_held_is_done_by_others_and_each_page_is_there_once(
    tmp_path: Path, engine: str
) -> None:
    state = f"{engine}/killed"
    with serving(slowly, host="0.0.0.0") as server:
        urls = [f"http://127.0.0.{n}:{server.port}/{k}" for n in range(1, 7) for k in range(40)]
        (tmp_path / "urls.txt").write_text("\n".join(urls))
        arguments = ["urls.txt", "--state", state, "--resume", "-o", "found.tsv"]
        doomed = starting(tmp_path, *arguments, "--per-host", "1")
        while len(server.requests) < 60:
            assert doomed.poll() is None
            time.sleep(0.005)
        doomed.kill()
        doomed.communicate()

        async def bury() -> None:
            """Half a minute later, in short."""
            async with RedisStore(state, looks_on=True) as store:
                await store.leave(1)

        asyncio.run(bury())
        done = run_command(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(server.requests) < 2 * len(urls)
    assert sorted(source for source, _ in merged(tmp_path, state)) == sorted(urls)


def now(state: str, tmp_path: Path) -> dict[str, Any]:
    """What ``crawler status --json`` says."""
    found: dict[str, Any] = json.loads(run_command("status", state, "--json", cwd=tmp_path).stdout)
    return found


@pytest.mark.timeout(120)
def test_a_crawl_is_paused_looked_at_gone_on_with_and_stopped_from_elsewhere(
    tmp_path: Path, engine: str
) -> None:
    state = f"{engine}/told"
    with serving(slowly) as server:
        urls = [f"{server.url}/{k}" for k in range(3000)]
        (tmp_path / "urls.txt").write_text("\n".join(urls))
        arguments = ["urls.txt", "--state", state, "-o", "found.tsv", "--per-host", "1"]
        process = starting(tmp_path, *arguments)
        while not server.requests:
            assert process.poll() is None
            time.sleep(0.005)
        assert run_command("pause", state, cwd=tmp_path).returncode == 0
        while now(state, tmp_path)["claimed"]:  # what it holds is done
            assert process.poll() is None
        before, paused = len(server.requests), now(state, tmp_path)
        assert paused["mode"] == "pause"
        assert paused["waiting"] + paused["done"] == paused["known"] <= len(urls)
        assert sum(shard["waiting"] for shard in paused["shards"]) == paused["waiting"]
        assert paused["longest"] == [["127.0.0.1", paused["waiting"]]]
        [worker] = paused["workers"]
        assert worker["obeys"]
        assert worker["pages"] == paused["counts"]["pages"] == before < len(urls)
        assert worker["silent"] < worker["lease"] == 30
        assert run_command("resume", state, cwd=tmp_path).returncode == 0
        while len(server.requests) == before:
            assert process.poll() is None
            time.sleep(0.005)
        assert run_command("stop", state, cwd=tmp_path).returncode == 0
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 0, stderr
        assert len(server.requests) < len(urls)


def test_the_engine_is_told_of_when_it_is_not_there_and_no_password_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with RedisStore("redis://:secret@127.0.0.1:1/x"):
            pass

    monkeypatch.setattr(connection, "STARTS_WITHIN", 0.1)
    with pytest.raises(OSError, match=r"the state redis://127\.0\.0\.1:1/x: ") as raised:
        asyncio.run(main())
    assert "secret" not in str(raised.value)


def test_an_engine_that_keeps_nothing_or_drops_keys_is_warned_of(engine: str) -> None:
    async def warnings(name: str) -> list[str]:
        async with RedisStore(f"{engine}/{name}") as store:
            return await store.warnings()

    with redis.Redis.from_url(engine) as client:
        for option, value, text in [
            ("appendfsync", "always", "appendonly is off"),
            ("appendonly", "yes", ""),
            ("appendfsync", "everysec", "appendfsync is everysec"),
            ("appendfsync", "always", ""),
            ("maxmemory-policy", "allkeys-lru", "maxmemory-policy is allkeys-lru"),
            ("maxmemory-policy", "noeviction", ""),
            ("appendonly", "no", "appendonly is off"),
        ]:
            client.config_set(option, value)
            told = asyncio.run(warnings(f"warned-{option}-{value}"))
            assert text in "".join(told)
            assert len(told) == bool(text)
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(OSError, match="maxmemory-policy is allkeys-lru"):
            asyncio.run(warnings("refused"))
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "0")


def test_another_crawl_is_not_gone_on_with(tmp_path: Path, engine: str) -> None:
    async def main() -> None:
        async with RedisStore(f"{engine}/terms", terms="--depth 1"):
            pass
        with pytest.raises(OSError, match="holds a crawl with --depth 1, not with --depth 2"):
            await RedisStore(f"{engine}/terms", terms="--depth 2").__aenter__()
        with pytest.raises(OSError, match="go on with it by --resume"):
            await RedisStore(f"{engine}/terms", resume=False).__aenter__()
        with pytest.raises(OSError, match="there is no crawl of the name 'none'"):
            await RedisStore(f"{engine}/none", looks_on=True).__aenter__()

    asyncio.run(main())


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("step", ["prepare", "add", "decide", "finish"])
def test_a_commit_counts_from_its_decision_on_wherever_its_worker_dies(
    engine: str, step: str
) -> None:
    class Dying(RedisStore):
        commits = False

        async def _shard(self, number: int, *words: Any) -> Any:
            if self.commits and words[0] == step:
                raise Killed
            return await super()._shard(number, *words)

        async def _crawl(self, *words: Any, patience: float | None = None) -> Any:
            if self.commits and words[0] == step:
                raise Killed
            return await super()._crawl(*words, patience=patience)

    async def one_dies() -> None:
        async with Dying(f"{engine}/dies-{step}", rules=Rules(depth=5), part="one") as store:
            await store.add([("http://a/", "a")])
            await store.end_list()
            one = await store.join()
            await store.claim(one, 9)
            store.commits = True
            done = Done("http://a/", ["http://b/", "http://c/"])
            with pytest.raises(Killed):
                await store.commit(one, [done], 77, {"pages": 1})
            store.commits = False
            await store.leave(one)

    async def another() -> None:
        async with RedisStore(f"{engine}/dies-{step}", rules=Rules(depth=5)) as store:
            await store.end_list()
            two = await store.join()
            claimed = await store.claim(two, 9)
            assert not claimed.over
            expected = {"prepare": ["a"], "add": ["a"], "decide": ["a", "b", "c"]}
            hosts = expected.get(step, ["b", "c"])
            assert sorted(page.url for page in claimed.pages) == [f"http://{h}/" for h in hosts]
            counts = step == "finish"
            assert await store.parts() == {"one": 77 if counts else 0}
            assert await store.counted() == ({"pages": 1} if counts else {})

    asyncio.run(one_dies())
    asyncio.run(another())


@pytest.mark.parametrize(
    ("form", "header", "rows"),
    [
        ("tsv", "source_url\tparsed_url\n", ["a\t1\n", "a\t2\n", "b\t3\n"]),
        ("jsonl", "", ['{"url": "a"}\n', '{"url": "b"}\n']),
        ("csv", "url,links\r\n", ["a,\r\n", 'b,"x, y"\r\n']),
    ],
)
def test_parts_are_merged_with_each_page_once_and_without_what_is_not_whole(
    tmp_path: Path, form: str, header: str, rows: list[str]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    whole = header + "".join(rows)
    one.write_text(whole + "half of a li", newline="")
    two.write_text(header + rows[-1] + "c, not whole", newline="")
    parts = [(one, len(whole)), (two, len(header) + len(rows[-1])), (tmp_path / "none", 0)]
    assert merge(parts, tmp_path / "all", form) == 2
    assert (tmp_path / "all").read_bytes().decode() == whole
    with pytest.raises(OSError, match="is shorter than"):
        merge([(one, 1000)], tmp_path / "all", form)


def test_what_is_asked_of_all_shards_goes_in_one_message(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[int] = []
    send = connection.Engine._send

    async def sent(self: connection.Engine) -> None:
        messages.append(len(self._asked))
        await send(self)

    monkeypatch.setattr(connection.Engine, "_send", sent)

    async def main() -> None:
        async with RedisStore(f"{engine}/messages", rules=Rules(depth=5), shards=8) as store:
            worker = await store.join()
            messages.clear()
            await store.claim(worker, 9)
            assert messages[:2] == [1, 8]  # heard of, and a look at each shard
            # Nobody waits for an answer any more: its connection is dropped, and others go on.
            asking = asyncio.create_task(store.claim(worker, 9))
            while len(messages) < 4:
                await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await store.add([("http://a/", "a")])
            assert [page.url for page in (await store.claim(worker, 9)).pages] == ["http://a/"]

    asyncio.run(main())
