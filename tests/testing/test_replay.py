"""A failing schedule is written into a small file, and can be run again."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from miniloop.testing import (
    Departure,
    Failure,
    Schedule,
    find_failure,
    replay,
    run_schedule,
)
from miniloop.testing.replay_file import ReplayFile
from tests.builds import pure_only
from tests.testing import programs

pytestmark = pure_only

ROOT = Path(__file__).parents[2]


@pytest.fixture
def failure(tmp_path: Path) -> Failure:
    found = find_failure(programs.lost_update, save_to=tmp_path)
    assert found is not None
    assert found.replay_file is not None
    return found


def test_a_file_replays_the_failure(failure: Failure) -> None:
    assert failure.replay_file is not None
    again = replay(failure.replay_file, programs.lost_update)
    assert isinstance(again.error, AssertionError)
    assert again.diverged is None
    assert again.story == failure.story


def test_a_file_is_small_and_has_no_address_and_no_line(failure: Failure) -> None:
    assert failure.replay_file is not None
    text = failure.replay_file.read_text()
    assert len(text) < 2000
    assert "0x" not in text
    assert "programs.py" not in text


def test_a_changed_program_has_its_first_differing_step_named(failure: Failure) -> None:
    async def changed() -> None:
        async def increment(after: int) -> None:
            await programs.turns(after)

        await asyncio.gather(increment(0), increment(7), *(programs.turns(10) for _ in range(4)))

    assert failure.replay_file is not None
    again = replay(failure.replay_file, changed)
    assert again.error is None
    assert again.diverged is not None
    assert again.diverged.startswith("step ")
    assert "differs" in again.diverged


def test_a_program_without_the_task_goes_on_in_fifo(failure: Failure) -> None:
    assert failure.replay_file is not None
    again = replay(failure.replay_file, programs.correct)
    assert again.error is None
    assert again.diverged is not None


def test_a_schedule_made_by_hand_can_be_run() -> None:
    held = Schedule([Departure("hold", "increment", 2, 27)])
    with pytest.raises(AssertionError):
        run_schedule(programs.lost_update, held)
    run_schedule(programs.lost_update, Schedule())


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"miniloop": "", "format": 99}', '{"miniloop": "", "format": 1}']
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(ValueError, match="cannot be replayed"):
        ReplayFile.load(path)


def test_what_was_saved_is_loaded(failure: Failure) -> None:
    assert failure.replay_file is not None
    file = ReplayFile.load(failure.replay_file)
    assert file.schedule == failure.schedule
    assert file.test == "tests.testing.programs:lost_update"
    assert json.loads(failure.replay_file.read_text())["format"] == 1
    assert file.steps[0] == ("test", ("test",))


def test_a_timer_is_called_after_who_sleeps_and_not_after_who_ran_before(tmp_path: Path) -> None:
    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        await asyncio.sleep(2)

    async def main() -> None:
        await asyncio.gather(sleeper(1), sleeper(2))
        raise ValueError

    failure = find_failure(main, save_to=tmp_path)
    assert failure is not None
    assert failure.replay_file is not None
    timers = [who for who, _ in ReplayFile.load(failure.replay_file).steps if "timer" in who]
    assert timers == [
        "timer 1 of sleeper",
        "timer 1 of sleeper#2",
        "timer 2 of sleeper",
        "timer 2 of sleeper#2",
    ]


SCRIPT = """
import asyncio, sys
from miniloop.testing import explore

async def main():
    n = 0
    async def increment(after):
        nonlocal n
        for _ in range(after):
            await asyncio.sleep(0)
        value = n
        await asyncio.sleep(0)
        n = value + 1
    await asyncio.gather(increment(0), increment(AFTER))
    assert n == 2, "lost"

if sys.argv[1:] == ["explore"]:
    explore(main, save_to="replays")
else:
    asyncio.run(main())
    print("passed")
"""


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_whole_program_follows_a_file(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("AFTER", "4"))
    assert "Failure" in python(tmp_path, "script.py", "explore").stderr
    (file,) = (tmp_path / "replays").glob("*.schedule.json")
    assert python(tmp_path, "-m", "miniloop", "script.py").stdout == "passed\n"
    run = python(tmp_path, "-m", "miniloop", "--replay", str(file), "script.py")
    assert run.returncode == 1
    assert "AssertionError: lost" in run.stderr
    assert "followed to its end" in run.stderr
    again = python(tmp_path, "-m", "miniloop", f"--replay={file}", "script.py", "explore")
    assert "fails in schedule 1 " in again.stderr
    assert "miniloop: the schedule was followed to its end\n" in again.stderr
    script.write_text(SCRIPT.replace("AFTER", "3"))
    changed = python(tmp_path, "-m", "miniloop", "--replay", str(file), "script.py")
    assert "miniloop: the schedule was left: step " in changed.stderr
    script.write_text(SCRIPT.replace("n = value + 1", "n += 1").replace("AFTER", "3"))
    mended = python(tmp_path, "-m", "miniloop", "--replay", str(file), "script.py", "explore")
    assert mended.returncode == 0
    assert "was left: step " in mended.stderr
    assert "__main__:main does not fail in it" in mended.stderr
    other = python(tmp_path, "-m", "miniloop", "--replay", str(file), "-c", "pass")
    assert "it is one of __main__:main, which this program has not run" in other.stderr


def test_a_file_that_is_not_there_is_bad_usage(tmp_path: Path) -> None:
    run = python(tmp_path, "-m", "miniloop", "--replay", "nowhere", "-c", "pass")
    assert run.returncode == 2
    assert "nowhere" in run.stderr
