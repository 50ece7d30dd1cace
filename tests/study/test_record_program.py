"""`python -m miniloop --record FILE`: whole programs, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.builds import pure_only
from tests.study.recorded import Recorded
from tests.swap.launch import PATIENCE, environment, launch, plain

pytestmark = pure_only

TICKING = """
    import asyncio, os, signal, sys

    async def tick():
        while True:
            await asyncio.sleep(0.005)

    async def main():
        ticking = asyncio.create_task(tick(), name="ticking")
        await asyncio.sleep(0.3)
        print("ready", flush=True)
        await asyncio.sleep(60)

    asyncio.run(main())
"""


def write(folder: Path, source: str) -> str:
    (folder / "program.py").write_text(textwrap.dedent(source))
    return "program.py"


def test_a_program_that_returns(tmp_path: Path) -> None:
    name = write(
        tmp_path,
        """
        import asyncio, sys
        async def main():
            await asyncio.sleep(0.001)
            print(sys.argv)
        asyncio.run(main())
        sys.exit(3)
        """,
    )
    done = launch("--record", "run.miniloop", name, "--last", "x", cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("['program.py', '--last', 'x']\n", 3)
    told = Recorded(tmp_path / "run.miniloop")
    assert told.recording.ended == "failed: SystemExit: 3"
    assert told.model["program"] == "program.py --last x"
    assert "main" in [told.about(step)[0] for step in told.steps]


@pytest.mark.parametrize("way", ["-m", "-c", "-"])
def test_modules_code_and_standard_input_are_recorded_too(tmp_path: Path, way: str) -> None:
    source = "import asyncio\nasync def here(): await asyncio.sleep(0)\nasyncio.run(here())\n"
    (tmp_path / "module.py").write_text(source)
    words = {"-m": ["-m", "module"], "-c": ["-c", source], "-": ["-"]}[way]
    done = subprocess.run(
        [sys.executable, "-m", "miniloop", "--record=run", *words],
        cwd=tmp_path,
        env=environment(),
        input=source,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    told = Recorded(tmp_path / "run")
    assert told.recording.ended == "returned"
    assert "here" in [told.about(step)[0] for step in told.steps]


def test_a_program_that_dies_of_an_exception(tmp_path: Path) -> None:
    name = write(
        tmp_path,
        """
        import asyncio
        async def main():
            await asyncio.sleep(0.001)
            raise ValueError("no more")
        asyncio.run(main())
        """,
    )
    recorded, bare = launch("--record", "run", name, cwd=tmp_path), launch(name, cwd=tmp_path)
    assert (recorded.stderr, recorded.returncode) == (bare.stderr, bare.returncode)
    told = Recorded(tmp_path / "run")
    assert told.recording.ended == "failed: ValueError: no more"
    (failed,) = told.events("failed")
    assert told.about(failed)[0].startswith("main")
    assert told.text(failed) == 'raise ValueError("no more")'


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "miniloop", *options, write(folder, TICKING)],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    ("number", "ended"), [(signal.SIGKILL, "cut off"), (signal.SIGTERM, "stopped")]
)
def test_a_program_that_is_killed(tmp_path: Path, number: int, ended: str) -> None:
    with start(tmp_path, "--record", "run") as process:
        process.send_signal(number)
        assert process.wait(PATIENCE) == -number
    told = Recorded(tmp_path / "run")
    assert told.recording.ended == ended
    names = [told.about(step)[0] for step in told.steps]
    assert names.count("ticking") > 5
    assert told.why(told.first_step + names.index(names[-1]))


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="a system without SIGUSR2")
def test_the_last_turns_are_written_on_a_signal_and_the_program_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with start(tmp_path, "--record", "run", "--last", "20") as process:
        assert not path.exists()
        process.send_signal(signal.SIGUSR2)
        while not path.exists():
            os.sched_yield()
            assert process.poll() is None
        told = Recorded(path)
        assert told.recording.ended == "stopped"
        assert 20 <= len(list(told.events("turn"))) <= 25
        assert "ticking" in [told.about(step)[0] for step in told.steps]
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    assert Recorded(path).first_step >= told.first_step


def test_a_program_that_wants_the_signal_for_itself_gets_it(tmp_path: Path) -> None:
    name = write(
        tmp_path,
        """
        import asyncio, os, signal
        async def main():
            loop = asyncio.get_running_loop()
            came = asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, came.set)
            os.kill(os.getpid(), signal.SIGTERM)
            await came.wait()
            print("cleaned up")
        asyncio.run(main())
        """,
    )
    done = launch("--record", "run", name, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("cleaned up\n", 0)
    told = Recorded(tmp_path / "run")
    assert told.recording.ended == "returned"
    assert ("SIGTERM", "", signal.SIGTERM) in told.all_about("signal")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_child_that_was_forked_leaves_the_file_alone(tmp_path: Path) -> None:
    name = write(
        tmp_path,
        """
        import asyncio, os
        async def child(): await asyncio.sleep(0)
        async def main(): await asyncio.sleep(0)
        asyncio.run(main())
        if (number := os.fork()) == 0:
            asyncio.run(child())
        else:
            os.waitpid(number, 0)
        """,
    )
    assert launch("--record", "run", name, cwd=tmp_path).stderr == ""
    told = Recorded(tmp_path / "run")
    assert told.recording.ended == "returned"
    names = {told.about(step)[0] for step in told.steps}
    assert "main" in names
    assert "child" not in names


def test_a_page_is_written_at_once_if_the_name_says_so(tmp_path: Path) -> None:
    assert launch("--record", "run.html", "-c", "pass", cwd=tmp_path).stderr == ""
    assert (tmp_path / "run.html").stat().st_size > 10_000
    assert not (tmp_path / "run.html.part").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--record"], "--record wants the name of a file"),
        (["--record=", "x.py"], "--record wants the name of a file"),
        (["--last", "5", "-c", "pass"], "--last goes with --record"),
        (["--last", "0", "-c", "pass"], "1 or more, got '0'"),
        (["--record", "none/run", "-c", "pass"], "cannot record:"),
        (["--record", "none/run", "--last", "5", "-c", "pass"], "cannot record:"),
        (["--record", ".", "-c", "pass"], "cannot record:"),
        (["--record", ".", "--last", "5", "-c", "pass"], "cannot record:"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    done = launch(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 5  # how to call it, and what was wrong


# No file may be larger than this many bytes: to who writes that is as a disk that is full.
FULL = """
import asyncio, resource, signal, os
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
async def main():
    try:
        for number in range(20_000):
            await asyncio.sleep(0)
    finally:
        print("finally")
asyncio.run(main())
print("after", flush=True)
"""


@pytest.mark.parametrize("name", ["run", "run.html"])
@pytest.mark.parametrize("more", [[], ["--last", "30000"]], ids=["all", "last"])
def test_a_program_goes_on_when_its_recording_cannot_be_written(
    tmp_path: Path, name: str, more: list[str]
) -> None:
    done = launch("--record", name, *more, write(tmp_path, FULL), cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("finally\nafter\n", 0)
    (said,) = done.stderr.splitlines()  # once, and no traceback
    assert said.startswith("miniloop: ")
    assert f"{tmp_path / name}" in said
    left = {path.name for path in tmp_path.iterdir()} - {"program.py"}
    if more:
        assert left == set()  # nothing is left half written
    else:
        (kept,) = left  # what was written until then can be read
        assert Recorded(tmp_path / kept).recording.ended == "cut off"


@pytest.mark.parametrize("by", ["SIGUSR2", "SIGTERM"])
def test_a_signal_does_what_it_does_when_the_recording_cannot_be_written(
    tmp_path: Path, by: str
) -> None:
    source = f"{FULL}\nos.kill(os.getpid(), signal.{by})\nprint('alive', flush=True)"
    done = launch("--record", "run", "--last", "30000", write(tmp_path, source), cwd=tmp_path)
    goes_on = by == "SIGUSR2"
    assert done.stdout.endswith("alive\n" if goes_on else "after\n")
    assert done.returncode == (0 if goes_on else -signal.SIGTERM)
    assert "miniloop: cannot write" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_part_that_cannot_be_written_is_an_error_at_the_end_of_the_part(tmp_path: Path) -> None:
    source = """
        import asyncio, resource
        import miniloop
        from miniloop.study import recording
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        async def main(fails):
            try:
                with recording("run"):
                    for number in range(20_000):
                        await asyncio.sleep(0)
                    print("all of it")
                    if fails:
                        raise LookupError
            except (OSError, LookupError) as error:
                print(type(error).__name__, getattr(error, "__notes__", error))
        miniloop.run(main(False))
        miniloop.run(main(True))
    """
    done = plain(write(tmp_path, source), cwd=tmp_path)
    first, error, second, noted = done.stdout.splitlines()
    assert first == second == "all of it"
    assert error.startswith("OSError")
    assert noted.startswith("LookupError")
    assert "and the recording of it is not whole" in noted
    assert str(tmp_path / "run") in error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
def test_only_a_file_is_replaced_by_the_last_turns(tmp_path: Path) -> None:
    name = write(tmp_path, "import asyncio\nasyncio.run(asyncio.sleep(0))")
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "link").symlink_to("target")
    launch("--record", "link", "--last", "9", name, cwd=tmp_path)
    assert (tmp_path / "link").is_symlink()
    assert Recorded(tmp_path / "target").steps

    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        launch("--record", "pipe", "--last", "9", name, cwd=tmp_path)
        assert (tmp_path / "pipe").is_fifo()
        assert os.read(reading, 9) == b"miniloop "
    finally:
        os.close(reading)


@pytest.mark.skipif(sys.platform != "linux", reason="names need not be of a coding on Linux")
def test_a_program_whose_name_is_in_no_coding_has_a_page(tmp_path: Path) -> None:
    name = os.fsdecode(b"na\xffme.py")
    (tmp_path / name).write_text("import asyncio\nasyncio.run(asyncio.sleep(0))")
    assert launch("--record", "run.html", name, cwd=tmp_path).stderr == ""
    assert "na\\udcffme.py" in (tmp_path / "run.html").read_text("utf-8")


def test_a_terminal_without_the_letters_of_the_program_is_told_all_the_same(tmp_path: Path) -> None:
    source = "import asyncio\nasync def mañana(): pass\nasyncio.run(mañana())\n"
    (tmp_path / "program.py").write_text(source, "utf-8")
    launch("--record", "run", "program.py", cwd=tmp_path)
    narrow = environment(PYTHONIOENCODING="ascii")
    done = plain("-m", "miniloop.study", "turns", "run", cwd=tmp_path, env=narrow)
    assert "task ma\\xf1ana" in done.stdout
    assert done.returncode == 0


def test_a_recording_without_a_step_says_so(tmp_path: Path) -> None:
    launch("--record", "run", "-c", "import nothing_of_this_name", cwd=tmp_path)
    said = study(tmp_path, "turns", "run").stdout
    assert said.startswith("no turn of a loop, ended: failed: ModuleNotFoundError")
    assert "no step was recorded" in study(tmp_path, "why", "run", "1").stderr
    assert study(tmp_path, "perfetto", ".").stderr.count("\n") == 1


def study(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return plain("-m", "miniloop.study", *words, cwd=folder)


def test_what_was_recorded_can_be_looked_at_from_a_terminal(tmp_path: Path) -> None:
    source = "import asyncio\nasync def main():\n    await asyncio.sleep(0.001)\n"
    (tmp_path / "program.py").write_text(f"{source}\nasyncio.run(main())\n")
    launch("--record", "run", "program.py", cwd=tmp_path)
    launch("--record", "again", "program.py", cwd=tmp_path)

    turns = study(tmp_path, "turns", "run").stdout
    assert "turn 1: 1 entry" in turns
    step = next(line for line in turns.splitlines() if "task main at program.py:3" in line)
    number = step.split("ms")[1].split(":")[0].strip()

    why = study(tmp_path, "why", "run", number).stdout.splitlines()
    assert why[0] == f"step {number}: task main ran at program.py:3"
    due = next(line for line in why if line.startswith("  because timer end of sleep was due"))
    assert due.endswith("task main had set it at program.py:3")

    assert "go from 1 to" in study(tmp_path, "why", "run", "9999").stderr
    assert study(tmp_path, "why", "none", "1").returncode == 2
    assert study(tmp_path, "diff", "run", "again").stdout == "every step is the same\n"
    assert study(tmp_path, "show", "run", "-o", "page.html").stdout == "page.html\n"
    assert (tmp_path / "page.html").exists()
    assert "ui.perfetto.dev" in study(tmp_path, "perfetto", "run").stdout
    assert (tmp_path / "run.perfetto.json").exists()
