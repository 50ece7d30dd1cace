"""python -m miniloop: any program, unchanged, with its own arguments, exit code and tracebacks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import miniloop

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.timeout(120)  # interpreters are slow to start on a busy machine

KIND = """
import asyncio
async def kind():
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]
"""


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONASYNCIODEBUG"}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def miniloop_command(
    *arguments: str, cwd: Path, **options: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "miniloop", *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=50,
        **options,
    )


def run_script(tmp_path: Path, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "program.py").write_text(source)
    return miniloop_command("program.py", *arguments, cwd=tmp_path)


def test_a_script_has_its_own_arguments(tmp_path: Path) -> None:
    result = run_script(
        tmp_path, "import sys; print(sys.argv)", "one", "--debug", "-m", "--", "two"
    )
    assert result.stdout == "['program.py', 'one', '--debug', '-m', '--', 'two']\n"


def test_a_script_is_main_and_finds_its_neighbours_and_not_ours(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "neighbour.py").write_text("name = 'found'")
    (tmp_path / "below" / "program.py").write_text(
        "import sys, neighbour; print(__name__, __file__, neighbour.name, sys.path[0])"
    )
    script = os.path.join("below", "program.py")
    result = miniloop_command(script, cwd=tmp_path)
    assert result.stdout == f"__main__ {tmp_path / script} found {tmp_path / 'below'}\n"


def test_a_module_is_run_as_python_does(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(
        f"{KIND}\nimport sys\nprint(__name__, sys.argv[1:], asyncio.run(kind()))"
    )
    result = miniloop_command("-m", "package", "one", "-m", "two", cwd=tmp_path)
    assert result.stderr == ""
    assert result.stdout == "__main__ ['one', '-m', 'two'] miniloop\n"


@pytest.mark.parametrize(
    ("ending", "code"),
    [("sys.exit(3)", 3), ("sys.exit()", 0), ("sys.exit('gone')", 1), ("1 / 0", 1), ("pass", 0)],
)
def test_the_exit_code_is_the_programs(tmp_path: Path, ending: str, code: int) -> None:
    inside = f"import asyncio, sys\nasync def main():\n    {ending}\nasyncio.run(main())"
    assert run_script(tmp_path, inside).returncode == code
    assert run_script(tmp_path, f"import sys\n{ending}").returncode == code


def test_a_traceback_shows_the_programs_lines(tmp_path: Path) -> None:
    source = "import asyncio\nasync def main():\n    raise LookupError('lost')\nasyncio.run(main())"
    result = run_script(tmp_path, source)
    assert result.returncode == 1
    assert "program.py\", line 3, in main\n    raise LookupError('lost')\n" in result.stderr
    assert 'program.py", line 4, in <module>\n    asyncio.run(main())\n' in result.stderr
    assert result.stderr.endswith("LookupError: lost\n")


def test_a_syntax_error_is_shown_where_it_is(tmp_path: Path) -> None:
    result = run_script(tmp_path, "this is no Python")
    assert result.returncode == 1
    assert 'program.py", line 1\n' in result.stderr
    assert "SyntaxError" in result.stderr


@pytest.mark.parametrize(("options", "expected"), [([], "False"), (["--debug"], "True")])
def test_debug_mode_can_be_asked_for(tmp_path: Path, options: list[str], expected: str) -> None:
    (tmp_path / "program.py").write_text(
        "import asyncio\n"
        "async def main():\n"
        "    print(asyncio.get_running_loop().get_debug())\n"
        "asyncio.run(main())"
    )
    assert miniloop_command(*options, "program.py", cwd=tmp_path).stdout == f"{expected}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to run"),
        (["--debug"], "nothing to run"),
        (["--strict", "-v"], "nothing to run"),
        (["-m"], "-m wants the name of a module"),
        (["-c"], "-c wants code"),
        (["-X", "dev", "x.py"], "unknown option -X"),
        (["--nonsense", "x.py"], "unknown option --nonsense"),
        (["missing.py"], "can't open file 'missing.py'"),
    ],
)
def test_bad_usage_is_explained(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = miniloop_command(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert result.stderr.startswith("usage: python -m miniloop")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_printed(tmp_path: Path, option: str) -> None:
    result = miniloop_command(option, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.startswith("usage: python -m miniloop")


def test_the_version_is_printed(tmp_path: Path) -> None:
    result = miniloop_command("--version", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.startswith(f"miniloop {miniloop.__version__} on Python 3.")


def test_a_script_may_follow_two_dashes(tmp_path: Path) -> None:
    (tmp_path / "-program.py").write_text("print('ran')")
    assert miniloop_command("--", "-program.py", cwd=tmp_path).stdout == "ran\n"


@pytest.mark.parametrize("caught", [True, False])
def test_ctrl_c_ends_a_program_as_it_would_without_us(tmp_path: Path, caught: bool) -> None:
    (tmp_path / "program.py").write_text(
        "import asyncio, sys\n"
        "async def main():\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        await asyncio.sleep(3600)\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
        "try:\n"
        "    asyncio.run(main())\n"
        "except KeyboardInterrupt:\n"
        f"    {'sys.exit(7)' if caught else 'raise'}\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "miniloop", "program.py"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert out == "cleaned up\n"
    if caught:
        assert process.returncode == 7
        assert err == ""
    else:
        assert process.returncode == -signal.SIGINT
        assert err.rstrip().endswith("KeyboardInterrupt")
