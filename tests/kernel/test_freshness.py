"""A build that was made from other files is noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import miniloop
from miniloop.kernel.freshness import RECORD, is_current, record


def test_a_file_that_was_touched_is_the_same_and_one_that_was_edited_is_not(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text("a = 1\n")
    (tmp_path / RECORD).write_text(record(str(tmp_path), ["one.py"]))

    def current() -> bool:
        return is_current(str(tmp_path), str(tmp_path))

    assert current()
    os.utime(source, ns=(1, 1))
    assert current()
    source.write_text("a = 2\n")
    assert not current()
    source.unlink()
    assert not current()
    (tmp_path / RECORD).unlink()  # as in a wheel
    assert current()


def test_what_was_compiled_from_other_files_does_not_run(tmp_path: Path) -> None:
    package = tmp_path / "miniloop"
    shutil.copytree(
        Path(miniloop.__file__).parent,
        package,
        ignore=shutil.ignore_patterns("built", "__pycache__", "study", "testing"),
    )
    built = package / "compiled" / "built" / EXTENSION_SUFFIXES[0].split(".")[1]
    built.mkdir(parents=True)
    (built / RECORD).write_text(record(str(package), ["kernel/task.py"]))
    with (package / "kernel" / "task.py").open("a") as file:
        file.write("# edited\n")
    ended = subprocess.run(
        [sys.executable, "-c", "import miniloop; print(miniloop.COMPILED)"],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "MINILOOP_PURE"}
        | {"PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout == "False\n"
    assert "make compiled" in ended.stderr
