"""The plugin of pytest, in a pytest of its own, beside those of pytest-asyncio and anyio."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TESTS = """
import asyncio
import random
import pytest
import pytest_asyncio
import unittest
from hypothesis import HealthCheck, given, settings, strategies
from tests.builds import pure_only

pytestmark = pure_only

made = []

@pytest.fixture
async def account():
    await asyncio.sleep(0)
    account = {"n": 0}
    made.append(account)
    yield account
    await asyncio.sleep(0)
    account["closed"] = True

@pytest.fixture
async def same_account(account):
    return account

@pytest_asyncio.fixture
async def theirs():
    return "theirs"

@pytest.fixture(scope="module")
async def of_the_module():
    return 1

@pytest.fixture
def made_once(account):
    return account

class Lock:
    async def __aenter__(self): pass
    async def __aexit__(self, *error): pass

async def two_increments(account, lock):
    async def increment(after):
        for _ in range(after):
            await asyncio.sleep(0)
        async with lock:
            value = account["n"]
            await asyncio.sleep(0)
            account["n"] = value + 1
    await asyncio.gather(increment(0), increment(4))
    assert account["n"] == 2

@pytest.mark.miniloop(schedules=200)
async def test_lost_update(account, same_account, tmp_path):
    assert account is same_account and tmp_path.exists()
    await two_increments(account, Lock())

@pytest.mark.miniloop(schedules=50)
async def test_locked(account, theirs):
    assert theirs == "theirs"
    await two_increments(account, asyncio.Lock())

def test_fixtures_were_made_and_ended_in_each_run():
    assert len(made) > 55
    assert all(account["closed"] for account in made)

@pytest.mark.miniloop
async def test_virtual_hour():
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop().time() == 3600

@pytest.mark.miniloop(virtual=False)
async def test_real_clock():
    assert asyncio.get_running_loop().time() > 0

@pytest.mark.asyncio
async def test_of_pytest_asyncio():
    assert "miniloop" not in type(asyncio.get_running_loop()).__module__

@pytest.mark.asyncio
@pytest.mark.miniloop
async def test_marked_for_both():
    await asyncio.sleep(60)

@pytest.mark.anyio
async def test_of_anyio(anyio_backend):
    assert "miniloop" not in type(asyncio.get_running_loop()).__module__

@pytest.mark.anyio
@pytest.mark.miniloop(schedules=3)
async def test_marked_for_anyio_too(account):
    await asyncio.sleep(60)

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.parametrize("seconds", [1, 2])
@pytest.mark.miniloop
async def test_parameters(seconds):
    await asyncio.sleep(seconds)

@pytest.mark.miniloop(schedules=5)
class TestInAClass:
    @pytest.fixture
    async def one(self):
        return 1

    async def test_method(self, one):
        assert one == 1

    def test_plain(self):
        pass

@pytest.mark.miniloop(schedules=3)
@settings(
    max_examples=5,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # it is made for each example
)
@given(strategies.integers(1, 9))
async def test_drawn(same_account, seconds):
    await asyncio.sleep(seconds)
    assert asyncio.get_running_loop().time() == seconds and same_account is made[-1]

@pytest.mark.miniloop
@settings(max_examples=50, database=None, deadline=None)
@given(seconds=strategies.integers(0, 1000))
async def test_drawn_and_wrong(seconds):
    await asyncio.sleep(seconds)
    assert asyncio.get_running_loop().time() < 17

@pytest.mark.miniloop
def test_marked_by_mistake(): ...

@pytest.mark.miniloop
class TestOfUnittest(unittest.IsolatedAsyncioTestCase):
    async def test_it(self): ...
    def test_plain(self): ...

@pytest.mark.miniloop
async def test_wide_fixture(of_the_module): ...

@pytest.mark.miniloop
async def test_plain_fixture_of_an_asynchronous_one(made_once): ...

@pytest.mark.miniloop(speed=3)
async def test_bad_mark(): ...

@pytest.mark.miniloop(cancel="anywhere")
async def test_mark_that_needs_schedules(): ...

@pytest.mark.miniloop(schedules=3, virtual=False)
async def test_schedules_of_the_real_clock(): ...
"""

PASS = {
    "test_locked",
    "test_fixtures_were_made_and_ended_in_each_run",
    "test_virtual_hour",
    "test_real_clock",
    "test_of_pytest_asyncio",
    "test_marked_for_both",
    "test_of_anyio",
    "test_marked_for_anyio_too",
    "test_parameters[1]",
    "test_parameters[2]",
    "TestInAClass::test_method",
    "TestInAClass::test_plain",
    "TestOfUnittest::test_plain",
    "test_drawn",
}


def run_pytest(folder: Path, *arguments: str, mode: str = "strict") -> str:
    (folder / "pytest.ini").write_text(
        f"[pytest]\nasyncio_default_fixture_loop_scope=function\nasyncio_mode={mode}\n"
    )
    installed = any(each.name == "miniloop" for each in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "miniloop.testing.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", *plugin, "-W", "error", "-rA", "--strict-markers"]
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    return run.stdout + run.stderr


def outcomes(output: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for word, name in re.findall(r"^(PASSED|FAILED|ERROR) test_it\.py::(\S+)", output, re.M):
        found.setdefault(word, set()).add(name)
    return found


@pytest.mark.timeout(200)
@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_marked_tests_are_ours_and_others_are_not(tmp_path: Path, mode: str) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    output = run_pytest(tmp_path, mode=mode)
    found = outcomes(output)
    assert found["PASSED"] == PASS, output
    assert found["ERROR"] == {
        "test_wide_fixture",
        "test_plain_fixture_of_an_asynchronous_one",
    }
    assert found["FAILED"] == {
        "test_lost_update",
        "test_bad_mark",
        "test_mark_that_needs_schedules",
        "test_schedules_of_the_real_clock",
        "test_marked_by_mistake",
        "TestOfUnittest::test_it",
        "test_drawn_and_wrong",
    }
    assert "is for coroutine tests, and test_marked_by_mistake is none" in output
    assert "does nothing in a TestCase" in output
    assert "seconds=17," in output
    assert "`increment` was held back" in output
    assert "assert 1 == 2" in output
    assert "does not know speed" in output
    assert "its scope must be 'function'" in output
    (file,) = (tmp_path / ".miniloop").glob("*.schedule.json")
    assert f"Replay: .miniloop/{file.name}  (pytest --miniloop-replay FILE)" in output
    assert "in pytest_runtest_call" not in output  # the plugin's own lines tell nobody anything
    assert "yield" not in output
    if mode == "strict":
        replayed = run_pytest(tmp_path, "--miniloop-replay", str(file))
        assert outcomes(replayed) == {"FAILED": {"test_lost_update"}}
        assert "fails in schedule 1 " in replayed
        (tmp_path / "test_it.py").write_text(TESTS.replace("increment(4)", "increment(2)"))
        changed = run_pytest(tmp_path, "--miniloop-replay", str(file), "-W", "default")
        assert "The program has changed since the schedule was written: step " in changed


@pytest.mark.timeout(100)
def test_options_say_how_many_and_which(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import asyncio, random, pytest\nseen = []\n"
        "@pytest.mark.miniloop(schedules=9)\n"
        "async def test_it():\n"
        "    seen.append(random.random())\n"
        "    await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))\n"
        "def test_then():\n"
        "    assert len(seen) == 17\n"
        "    assert set(seen) == {random.Random(7).random()}\n"
    )
    output = run_pytest(tmp_path, "--miniloop-schedules=17", "--miniloop-seed=7")
    assert outcomes(output) == {"PASSED": {"test_it", "test_then"}}, output


def test_the_plugin_loads_nothing_before_somebody_asks_for_it() -> None:
    code = (
        "import sys, miniloop.testing.pytest_plugin\n"
        "assert not [name for name in sys.modules if name.startswith('miniloop.testing.e')]\n"
        "assert 'miniloop.testing.loop' not in sys.modules\n"
        "assert 'miniloop.study' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


def test_a_file_that_is_none_is_bad_usage(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    assert "--miniloop-replay: " in run_pytest(tmp_path, "--miniloop-replay", "nowhere")
