"""``python -m miniloop``: an unmodified program, its own arguments, exit code and traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SAY_LOOP = """
import asyncio, sys
async def main():
    loop = asyncio.get_running_loop()
    print(type(loop).__module__, sys.argv[1:], __name__, loop.get_debug())
"""
WAYS = {
    "asyncio.run": SAY_LOOP + "asyncio.run(main())",
    "Runner": SAY_LOOP + "with asyncio.Runner() as runner: runner.run(main())",
    "new_event_loop": SAY_LOOP + "loop = asyncio.new_event_loop()\n"
    "loop.run_until_complete(main())\nloop.close()",
    "get_event_loop": SAY_LOOP + "asyncio.set_event_loop(asyncio.new_event_loop())\n"
    "asyncio.get_event_loop().run_until_complete(main())\nasyncio.get_event_loop().close()",
}


def miniloop(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "miniloop", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "script.py"


@pytest.mark.parametrize("way", WAYS)
def test_program_gets_our_loop_however_it_asks(way: str, script: Path) -> None:
    script.write_text(WAYS[way], encoding="utf-8")
    done = miniloop(script, "one", "--two")
    assert done.stdout == "miniloop.loop ['one', '--two'] __main__ False\n", done.stderr


def test_module_is_run_as_python_would(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "package" / "__main__.py").write_text(WAYS["asyncio.run"], encoding="utf-8")
    done = miniloop("-m", "package", "x", cwd=tmp_path)
    assert done.stdout == "miniloop.loop ['x'] __main__ False\n", done.stderr


def test_debug_switches_debug_mode_on(script: Path) -> None:
    script.write_text(WAYS["asyncio.run"], encoding="utf-8")
    assert miniloop("--debug", script).stdout.endswith("True\n")


def test_script_finds_the_modules_beside_it(script: Path) -> None:
    (script.parent / "beside.py").write_text("WORD = 'found'", encoding="utf-8")
    script.write_text("import beside; print(beside.WORD)", encoding="utf-8")
    assert miniloop(script).stdout == "found\n"


def test_exit_code_is_the_programs_own(script: Path) -> None:
    script.write_text("async def main(): raise SystemExit(7)\n", encoding="utf-8")
    with script.open("a", encoding="utf-8") as file:
        file.write("import asyncio; asyncio.run(main())")
    assert miniloop(script).returncode == 7


def test_traceback_leads_to_the_programs_line(script: Path) -> None:
    script.write_text(
        "import asyncio\nasync def main():\n    1 / 0\nasyncio.run(main())\n", encoding="utf-8"
    )
    done = miniloop(script)
    assert done.returncode == 1
    assert f'File "{script}", line 3, in main' in done.stderr
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_interrupt_ends_the_program_as_python_would(script: Path) -> None:
    script.write_text(
        "import asyncio\nasync def main():\n"
        "    try:\n        print('ready', flush=True)\n        await asyncio.sleep(60)\n"
        "    finally:\n        print('cleaned up', flush=True)\n"
        "asyncio.run(main())\n",
        encoding="utf-8",
    )
    with subprocess.Popen(
        [sys.executable, "-m", "miniloop", str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()
    assert stdout == "cleaned up\n"
    assert "KeyboardInterrupt" in stderr
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "nothing to run"),
        (["-m"], "-m wants the name of a module"),
        (["--wrong"], "unknown option --wrong"),
        (["no-such-script.py"], "no such file"),
    ],
)
def test_bad_usage_is_said_and_exits_with_2(arguments: list[str], reason: str) -> None:
    done = miniloop(*arguments)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "usage:" in done.stderr


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_exit_with_0(option: str) -> None:
    done = miniloop(option)
    assert done.returncode == 0
    assert "miniloop" in done.stdout
