"""The exercises of the tour: right solutions pass, wrong ones are told in words what is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from miniloop.study.__main__ import main
from miniloop.study.check import command, marks, threads, trial
from miniloop.study.check.catalogue import EXERCISES

ROOT = Path(__file__).parent.parent.parent
SOLUTIONS = Path(__file__).parent / "solutions"

# Starts children and waits for any that is left: not in the process of the tests.
OF_ITS_OWN = 9
# A wrong server may hang for ever, with its sockets; and what a child leaves is not ours either.
MAY_LEAVE_SOMETHING = {5, OF_ITS_OWN}
IMPATIENT = """
import os, sys
from pathlib import Path
from miniloop.study.check import descriptors, trial
descriptors.PATIENCE = 1.0
code = trial.main(int(sys.argv[1]), Path(sys.argv[2]))
sys.stdout.flush()
os._exit(code)
"""


def solution(number: int) -> Path:
    return SOLUTIONS / f"exercise_{number:02}.py"


@pytest.fixture
def attempt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Gives the trial a wrong solution, and returns what it says of the first thing wrong."""

    def attempt(number: int, *changes: tuple[str, str]) -> str:
        text = solution(number).read_text(encoding="utf-8")
        for right, wrong in changes:
            assert text.count(right) >= 1, right
            text = text.replace(right, wrong)
        path = tmp_path / "attempt.py"
        path.write_text(text, encoding="utf-8")
        if number in MAY_LEAVE_SOMETHING:
            done = subprocess.run(
                [sys.executable, "-c", IMPATIENT, str(number), str(path)],
                capture_output=True,
                text=True,
                check=False,
                cwd=ROOT,
            )
            code, said = done.returncode, done.stdout
            assert not done.stderr
        else:
            code, said = trial.main(number, path), capsys.readouterr().out
        assert code == 1
        assert said.count("\nno   ") + said.startswith("no   ") == 1
        return said.partition("no   ")[2]

    return attempt


@pytest.mark.parametrize("number", sorted(set(EXERCISES) - {OF_ITS_OWN}))
def test_a_right_solution_passes(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert trial.main(number, solution(number)) == 0, capsys.readouterr().out
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "Right, all of it."
    assert [line[:5] for line in said[:-1]] == ["yes  "] * len(EXERCISES[number].checks)


def test_the_command_holds_the_trial_in_a_process_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "miniloop.study", "check", "9", str(solution(9))],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Right, all of it." in done.stdout
    assert not done.stderr


@pytest.mark.parametrize("number", sorted(set(EXERCISES) - {OF_ITS_OWN}))
def test_a_beginning_is_told_what_is_missing(
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "begun.py"
    assert main(["check", str(number), str(path), "--begin"]) == 0
    assert f"check {number}" in path.read_text(encoding="utf-8")
    capsys.readouterr()
    monkeypatch.setattr(marks, "PATIENCE", 1.5)  # seconds; it uses up all of it
    assert trial.main(number, path) == 1
    assert "no   " in capsys.readouterr().out


def test_the_command_knows_all_exercises() -> None:
    assert set(EXERCISES) == set(range(1, command.STEPS + 1))


def test_nothing_that_was_written_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.py"
    path.write_text("precious")
    assert main(["check", "1", str(path), "--begin"]) == 2
    assert "exists" in capsys.readouterr().err
    assert path.read_text() == "precious"


def test_without_a_file_it_says_how_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", "4"]) == 2
    assert "check 4 --begin" in capsys.readouterr().err


def test_one_that_never_ends_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "endless.py"
    path.write_text("while True: pass\n")
    monkeypatch.setattr(command, "PATIENCE", 0.3)
    assert main(["check", "1", str(path)]) == 1
    assert "has not ended" in capsys.readouterr().out


def test_what_fails_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "failing.py"
    path.write_text("def drive(coroutine, answer):\n    return 1 / 0\n")
    assert trial.main(1, path) == 1
    assert "ZeroDivisionError: division by zero (line 2 of failing.py)" in capsys.readouterr().out
    path.write_text("def drive(:\n")
    assert trial.main(1, path) == 1
    assert "does not load: " in capsys.readouterr().out
    path.write_text("")
    assert trial.main(1, path) == 1
    assert "nothing to call by the name `drive`" in capsys.readouterr().out


ALL_TASKS = "tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]"
ONE_BY_ONE = """tasks = []
    for coroutine in coroutines:
        tasks.append(asyncio.create_task(coroutine))
        await tasks[-1]"""

# The exercise, what is wrong with the solution, a word of what the student is told, the changes.
WRONG: list[tuple[int, str, str, tuple[tuple[str, str], ...]]] = [
    (
        1,
        "the answer is not sent",
        "what the coroutine was told",
        (("answer(question)", "(answer(question), None)[1]"),),
    ),
    (
        1,
        "what answer raises comes out",
        "look at `throw`",
        (("except Exception", "except OSError"),),
    ),
    (2, "one is run to its end first", "run to its end", (("ready.append(", "ready.appendleft("),)),
    (2, "a failure ends all", "left behind", (("except Exception", "except OSError"),)),
    (2, "results in the order of ends", "the results", (("[number] = stop", "[-1] = stop"),)),
    (3, "one waits for the other", "Make all tasks", ((ALL_TASKS, ONE_BY_ONE),)),
    (3, "gather of nothing waits", "everybody waits", ((" if tasks else []", ""),)),
    (
        3,
        "the ready-made gather",
        "do without it",
        (("return await over", "return await asyncio.gather(*tasks)"),),
    ),
    (
        3,
        "the failure waits for the others",
        "raised it after",
        (("if task.exc", "if not left and (task := tasks[len(tasks) // 3]).exc"),),
    ),
    (
        4,
        "a pace that drifts",
        "until a deadline",
        (("start + number * seconds - loop.time()", "seconds"),),
    ),
    (4, "a call at the start", "came at once", (("range(1, times + 1)", "range(times)"),)),
    (4, "one call too many", "one more", (("range(1, times + 1)", "range(1, times + 2)"),)),
    (
        5,
        "what is not sent is lost",
        "sends much and reads late",
        (("= unsent[fd][sent:]", '= b""'),),
    ),
    (
        5,
        "a client blocks all",
        "and then nothing",
        (("client.setblocking(False)", "client.recv(1)"),),
    ),
    (5, "a poll that does not wait", "of the processor", (("epoll.poll()", "epoll.poll(0)"),)),
    (
        5,
        "connections are left open",
        "still open",
        (
            ("close(client)", "kept.append(clients[client])"),
            ("import socket", "import socket\nkept = []"),
        ),
    ),
    (
        6,
        "the thread finishes the future",
        "Non-thread-safe",
        (("loop.call_soon_threadsafe(settle, ", "settle("),),
    ),
    (6, "no thread", "in the thread of the loop", (("work).start()", "work).run()"),)),
    (
        6,
        "it joins the thread",
        "a `join`",
        (
            (
                "threading.Thread(target=work).start()",
                "t = threading.Thread(target=work); t.start(); t.join()",
            ),
        ),
    ),
    (6, "a late result disturbs", "InvalidStateError", (("if not future.done():", "if True:"),)),
    (7, "the timer is left", "timer is still there", (("self.timer.cancel()", "pass"),)),
    (7, "the request is left", "request to cancel is left", (("self.task.uncancel()", "0"),)),
    (
        7,
        "all cancellation is its own",
        "wanted CancelledError",
        (("if self.struck:", "if kind:"), ("left <= self.before and ", "")),
    ),
    (
        7,
        "it forgets that others may ask too",
        "in the turn of the deadline",
        (("left <= self.before and ", ""),),
    ),
    (
        8,
        "it does not listen",
        "KiB wait in memory",
        (("_writing(self):\n        self.may_write = False", "_writing(self):\n        pass"),),
    ),
    (8, "it does not go on", "resume_writing", (("True\n        self.go_on()", "True"),)),
    (8, "it does not close", "was not closed", (("self.transport.close()", "pass"),)),
    (9, "it kills at once", "asked to end", (("in child.terminate, ", "in child.kill, "),)),
    (10, "a turn is not an entry", "turn by turn", (("len(self))", "1)"),)),
    (10, "the loop stays open", "still open", (("loop.close()", "pass"),)),
]


@pytest.mark.parametrize(
    ("number", "words", "changes"),
    [
        pytest.param(number, words, changes, id=f"{number}: {name}")
        for number, name, words, changes in WRONG
    ],
)
def test_what_is_wrong_is_said_in_words(
    number: int,
    words: str,
    changes: tuple[tuple[str, str], ...],
    attempt: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 2.0)
    monkeypatch.setattr(marks, "PATIENCE", 1.5)  # seconds; the wrong ones use up all of it
    assert words in attempt(number, *changes)
