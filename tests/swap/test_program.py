"""A program under `python -m miniloop` is what it is under `python`: each runs under both."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.swap.launch import PATIENCE, environment, launch, plain

pytestmark = pytest.mark.timeout(120)  # each test starts several interpreters

WHO_AM_I = """
import sys, __main__
print(__name__, sys.argv, sys.path[0])
print(globals().get("__file__"), __spec__ and __spec__.name, __package__, __doc__)
print(type(__loader__).__name__, sorted(globals()), __main__.__dict__ is globals())
"""


def same(folder: Path, *words: str, text: str = "", before: tuple[str, ...] = ()) -> str:
    """What a program does under both; fails if that is not the same."""
    one = plain(*before, *words, cwd=folder, text=text)
    other = launch(*words, cwd=folder, text=text, before=before)
    assert (other.stdout, other.stderr, other.returncode) == (
        one.stdout,
        one.stderr,
        one.returncode,
    )
    return one.stdout + one.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a program in each of the forms that python runs."""
    inner = tmp_path / "inner"
    package = inner / "package"
    package.mkdir(parents=True)
    for path in (inner / "script.py", package / "__main__.py", package / "part.py"):
        path.write_text(WHO_AM_I)
    (package / "__init__.py").write_text("")
    with zipfile.ZipFile(tmp_path / "program.zip", "w") as archive:
        archive.writestr("__main__.py", WHO_AM_I)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("inner/script.py", "one", "-m", "--", "--debug", "two"),
        ("inner/package", "one"),
        ("program.zip", "one"),
        ("-m", "inner.package", "one", "-c"),
        ("-m", "inner.package.part"),
        ("-minner.package.part", "one"),
        ("-m", "inner.missing"),
        ("-m", "missing"),
        ("-c", WHO_AM_I, "one", "-m", "two"),
        ("-c" + WHO_AM_I,),
        ("-", "one", "-"),
    ],
    ids=lambda words: " ".join(words)[:24].strip(),
)
@pytest.mark.parametrize("before", [(), ("-P",)], ids=["", "-P"])
def test_a_program_sees_itself_as_ever(
    folder: Path, words: tuple[str, ...], before: tuple[str, ...]
) -> None:
    assert same(folder, *words, text=WHO_AM_I, before=before)


def test_a_compiled_script_is_run(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "compileall", "-qb", "inner"], cwd=folder, check=True)
    assert "__main__" in same(folder, "inner/script.pyc", "one")


ENDINGS = {
    "fails": "1 / 0",
    "fails below": "def below():\n    raise LookupError('lost')\nbelow()",
    "fails in a coroutine": "import asyncio\nasync def main():\n    1 / 0\nasyncio.run(main())",
    "has a cause": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise OSError from e",
    "fails in a group": "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])",
    "is no Python": "x = (1,\ny y\n",
    "exits": "import sys; sys.exit(3)",
    "exits with a message": "import sys; sys.exit('gone')",
    "ends": "pass",
    "is interrupted": "raise KeyboardInterrupt",
    "has a hook": "import sys\nsys.excepthook = lambda k, v, t: print(k, v, t.tb_lineno)\n1 / 0",
    "warns": "import warnings; warnings.warn('beware')",
    "exits late": "import atexit, __main__\ng = globals()\n"
    "atexit.register(lambda: print(__main__.__dict__ is g))",
    "has a late thread": "import threading, time, sys\ndone = threading.Event()\n"
    "def late():\n    threading.main_thread().join()\n    print(sys.modules['__main__'].done)\n"
    "done = 'late'\nthreading.Thread(target=late).start()",
}


# A traceback of asyncio's own shows lines of asyncio's, and below them ours: the first lines count.
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("form", ["script", "-m", "-c", "-"])
def test_a_program_ends_as_ever(tmp_path: Path, ending: str, form: str) -> None:
    source = ENDINGS[ending]
    (tmp_path / "program.py").write_text(source)
    words = {"script": ["program.py"], "-m": ["-m", "program"], "-c": ["-c", source], "-": ["-"]}
    text = source if form == "-" else ""
    if ending == "fails in a coroutine":
        one = plain(*words[form], cwd=tmp_path, text=text)
        other = launch(*words[form], cwd=tmp_path, text=text)
        assert other.returncode == one.returncode == 1
        assert other.stderr.splitlines()[:4] == one.stderr.splitlines()[:4]
        assert other.stderr.splitlines()[-1] == one.stderr.splitlines()[-1]
    else:
        same(tmp_path, *words[form], text=text)


def test_the_interpreters_own_options_hold(tmp_path: Path) -> None:
    source = (
        "import sys, warnings\nprint(sys.flags.dev_mode, sys.flags.utf8_mode, sys.warnoptions)\n"
        "print(sys._xoptions)\nwarnings.warn('beware', DeprecationWarning)"
    )
    before = ("-X", "dev", "-X", "utf8", "-W", "error::DeprecationWarning")
    assert "DeprecationWarning: beware" in same(tmp_path, "-c", source, before=before)


def test_the_debugger_runs_a_program(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("one = 1\ntwo = 2\nprint('end', one + two)\n")
    said = same(tmp_path, "-m", "pdb", "program.py", text="next\nnext\np one\ncontinue\nquit\n")
    assert "end 3" in said


def test_the_debugger_runs_a_program_on_us(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("one = 1\nprint('end', one)\n")
    words = ("-m", "pdb", "-m", "miniloop", "program.py")
    assert "end 1" in plain(*words, cwd=tmp_path, text="continue\nquit\n").stdout


def test_coverage_sees_the_lines_of_a_program(tmp_path: Path) -> None:
    pytest.importorskip("coverage")
    (tmp_path / "program.py").write_text("import asyncio\nasyncio.run(asyncio.sleep(0))\n")
    for words in (
        ("-m", "coverage", "run", "-m", "miniloop", "program.py"),
        ("-m", "miniloop", "-m", "coverage", "run", "program.py"),
    ):
        assert plain(*words, cwd=tmp_path).returncode == 0
        shown = plain("-m", "coverage", "report", "--include=program.py", cwd=tmp_path)
        assert "100%" in shown.stdout
        (tmp_path / ".coverage").unlink()


def test_a_conversation_goes_on_after_the_program(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("word = 'kept'\n")
    done = launch("program.py", cwd=tmp_path, before=("-i",), text="print(word * 2)\n")
    assert "keptkept" in done.stdout


def test_a_terminal_may_be_standard_input(tmp_path: Path) -> None:
    here, there = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "miniloop", "-"],
        cwd=tmp_path,
        env=environment(),
        stdin=there,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(there)
        os.write(
            here, b"import asyncio; print(type(asyncio.new_event_loop()).__module__[:8])\n\x04"
        )
        out, _ = process.communicate(timeout=PATIENCE)
        os.close(here)
    assert "miniloop" in out


def test_a_script_is_found_by_a_link_and_finds_what_lies_beside_it(folder: Path) -> None:
    (folder / "inner" / "neighbour.py").write_text("")
    (folder / "inner" / "linked.py").write_text(f"import neighbour\n{WHO_AM_I}")
    (folder / "links").mkdir()
    (folder / "links" / "script.py").symlink_to(folder / "inner" / "linked.py")
    (folder / "linked").symlink_to(folder / "inner")
    for script in ("links/script.py", "linked/linked.py", "./inner/linked.py", "inner/package/"):
        assert "Error" not in same(folder, script)


def test_a_program_may_be_started_where_the_folder_is_gone(folder: Path) -> None:
    (folder / "gone").mkdir()
    command = 'cd gone && rmdir ../gone && "$0" -m miniloop -m calendar 2024 1'
    result = subprocess.run(
        ["sh", "-c", command, sys.executable],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "January 2024" in result.stdout


def test_tests_may_be_run_with_warnings_as_errors(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
    words = ("-m", "pytest", "-p", "no:asyncio", "-p", "no:cacheprovider", "-W", "error")
    assert launch(*words, cwd=tmp_path).returncode == 0
