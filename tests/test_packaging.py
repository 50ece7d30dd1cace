"""What is packed is whole: the wheel works alone, and the sdist can be tested."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.timeout(150)

# What somebody does first, with nothing but the loop installed.
SMOKE = """
import asyncio
import miniloop
from miniloop import study, testing
from miniloop.study.page import html

async def main():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    return type(asyncio.get_running_loop()).__module__

assert miniloop.run(main()) == "miniloop.loop"
with study.recording("run"):
    miniloop.run(asyncio.sleep(0))
assert "<script" in html(study.read("run"))
assert testing.run(asyncio.sleep(3600, "an hour")) == "an hour"
print(miniloop.__file__)
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel and the sdist, made without a network by what the environment has."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], ROOT)
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


def run(command: list[str], folder: Path) -> str:
    """Run a command that knows nothing of this checkout; return what it prints."""
    hidden = ("PYTHONPATH", "MINILOOP_COMPILED")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def files_of(package: str) -> set[str]:
    """The files of a package in the checkout."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "built" not in path.parts
    }


def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(
    packed: dict[str, Path],
) -> None:
    with zipfile.ZipFile(packed["wheel"]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == files_of("miniloop") | files_of("crawler")


def test_the_wheel_works_in_an_empty_environment(packed: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    venv.create(empty, symlinks=True)
    python = str(empty / "bin" / "python")
    # A wheel of plain Python is installed by unpacking it; a pip of its own would take seconds.
    where = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], tmp_path)
    with zipfile.ZipFile(packed["wheel"]) as wheel:
        wheel.extractall(where.strip())
    imported = run([python, "-W", "error", "-c", SMOKE], tmp_path)
    assert imported.startswith(str(empty)), imported
    program = "import asyncio; asyncio.run(asyncio.sleep(0)); print('ran')"
    assert run([python, "-m", "miniloop", "-c", program], tmp_path) == "ran\n"
    run([python, "-m", "miniloop", "--record", "run.html", "-c", program], tmp_path)
    assert "<script" in (tmp_path / "run.html").read_text("utf-8")
    version = run([python, "-c", "import miniloop; print(miniloop.__version__)"], tmp_path).strip()
    assert packed["wheel"].name == f"miniloop-{version}-py3-none-any.whl"


def test_the_sdist_can_be_tested(packed: dict[str, Path], tmp_path: Path) -> None:
    with tarfile.open(packed["sdist"]) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    for name in (
        "Makefile",
        "mkdocs.yml",
        "LICENSE",
        "requirements/constraints.txt",
        "docs/index.md",
    ):
        assert (folder / name).is_file(), name
    imported = run([sys.executable, "-c", "import miniloop; print(miniloop.__file__)"], folder)
    assert imported.startswith(str(folder)), imported
    some = ["tests/test_face.py", "tests/test_layering.py", "tests/kernel/test_timers.py"]
    run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *some], folder)
