"""The processes that a program starts run on miniloop as it does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from miniloop.swap.environment import INHERITED
from tests.swap.launch import ROOT, environment, launch, plain, program

pytestmark = pytest.mark.timeout(120)  # each test starts several interpreters

ASK = "import asyncio; print(type(asyncio.new_event_loop()).__module__.partition('.')[0])"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("form", ["script", "-m", "-"])
def test_children_of_multiprocessing_inherit(tmp_path: Path, method: str, form: str) -> None:
    if form == "-" and method != "fork":
        pytest.skip("a main module without a file cannot be imported by a child")
    source = f"""
import multiprocessing, concurrent.futures
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        print(pool.submit(kind).result(), pool.submit(__import__("os").getpid).result() > 0)
    queue = context.SimpleQueue()
    process = context.Process(target=queue.put, args=("put",))
    process.start()
    print(queue.get())
    process.join()
"""
    name = program(tmp_path, source)
    words = {"script": [name], "-m": ["-m", "program"], "-": ["-"]}[form]
    text = (tmp_path / name).read_text() if form == "-" else ""
    result = launch(*words, cwd=tmp_path, text=text, before=("-W", "ignore::DeprecationWarning"))
    assert (result.stdout, result.stderr) == ("miniloop True\nput\n", "")


@pytest.mark.parametrize(
    "start",
    [
        "subprocess.run([sys.executable, '-c', ASK])",
        "subprocess.run([sys.executable, '-P', '-s', '-c', ASK])",
        "subprocess.run([sys.executable, 'ask.py'])",
        "subprocess.run([sys.executable, '-c', f'import subprocess, sys; {again}'])",
        "subprocess.run(f'{sys.executable} ask.py', shell=True)",
        "os.system(f'{sys.executable} ask.py')",
        "os.execv(sys.executable, [sys.executable, 'ask.py'])",
        "os.waitpid(os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, 'ask.py']), 0)",
        "os.waitpid(os.fork() or (print(kind(), flush=True), os._exit(0)), 0)",
        "asyncio.run(in_a_coroutine())",
        "subprocess.run([sys.executable, '-m', 'miniloop', 'ask.py'])",
        "subprocess.run([sys.executable, 'ask.py'], env=OTHER)",
        "os.execve(sys.executable, [sys.executable, 'ask.py'], OTHER)",
        "os.waitpid(os.spawnve(os.P_NOWAIT, sys.executable, [sys.executable, 'ask.py'], OTHER), 0)",
        "os.waitpid(os.posix_spawn(sys.executable, [sys.executable, 'ask.py'], OTHER), 0)",
        "subprocess.run([sys.executable, '-c', 'import asyncio, os, subprocess, sys; ' + again[:-1]"
        ' + \', env={**os.environ, "PYTHONPATH": "/other"})\'])',
    ],
)
def test_other_children_inherit(tmp_path: Path, start: str) -> None:
    (tmp_path / "ask.py").write_text(ASK)
    source = f"""
import os, subprocess, sys
ASK = {ASK!r}
OTHER = {{**os.environ, "PYTHONPATH": "/other"}}
again = "subprocess.run([sys.executable, 'ask.py'])"
async def in_a_coroutine():
    process = await asyncio.create_subprocess_exec(sys.executable, "ask.py")
    await process.wait()
{start}
"""
    before = ("-W", "ignore::DeprecationWarning")
    result = launch(program(tmp_path, source), cwd=tmp_path, before=before)
    assert (result.stdout, result.stderr) == ("miniloop\n", "")


def test_a_child_is_what_it_would_be_without_us(tmp_path: Path) -> None:
    source = """
import asyncio, asyncio.events, importlib, sys
print(sys.path, 'sitecustomize' in sys.modules, type(asyncio.__loader__).__name__)
print(asyncio.__spec__.loader is asyncio.__loader__, asyncio.events.__name__)
"""
    expected = plain("-c", source, cwd=tmp_path).stdout
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {source!r}])"
    result = launch("-c", parent, cwd=tmp_path)
    assert (result.stdout, result.stderr) == (expected, "")


def test_a_child_that_has_no_use_for_asyncio_does_not_load_it(tmp_path: Path) -> None:
    child = (
        "import sys; print(any(name.startswith(('asyncio', 'miniloop')) for name in sys.modules))"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert launch("-c", parent, cwd=tmp_path).stdout == "False\n"


@pytest.mark.parametrize("fault", ["", "1 / 0"])
def test_a_sitecustomize_of_the_programs_own_is_run_as_well(tmp_path: Path, fault: str) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(f"import sys\nsys.was_here = __file__\n{fault}\n")
    child = f"import sys; print(sys.was_here, 'sitecustomize' in sys.modules); {ASK}"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    env = environment(PYTHONPATH=os.pathsep.join([str(ROOT), str(own)]))
    result = launch("-c", parent, cwd=tmp_path, env=env)
    assert result.stdout == f"{own / 'sitecustomize.py'} {not fault}\nminiloop\n"
    # Once in the parent and once in the child, as without us.
    assert result.stderr.count("ZeroDivisionError") == (2 if fault else 0)


def test_our_package_is_found_wherever_the_child_is_and_whatever_is_called_so(
    tmp_path: Path,
) -> None:
    (tmp_path / "miniloop.py").write_text("raise AssertionError('the other one')")
    child = f"{ASK}; import miniloop; print(miniloop.__file__)"
    parent = (
        "import os, subprocess, sys; os.environ['PYTHONPATH'] = "
        "os.environ['PYTHONPATH'].split(os.pathsep)[0]; "
        f"subprocess.run([sys.executable, '-c', {child!r}])"
    )
    result = launch("-c", f"import os; os.chdir({str(tmp_path)!r}); {parent}", cwd=ROOT)
    assert result.stdout == f"miniloop\n{ROOT / 'miniloop' / '__init__.py'}\n"


def test_a_child_may_use_uvloop_lazily_too(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text(
        "import asyncio\nclass Loop(asyncio.AbstractEventLoop):\n    pass\n"
        "def new_event_loop():\n    return Loop()\n"
    )
    child = "import uvloop; print(type(uvloop.new_event_loop()).__module__.partition('.')[0])"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    result = launch("-c", parent, cwd=tmp_path)
    assert result.stdout == "miniloop\n"
    assert result.stderr == "python -m miniloop: the program asks for uvloop; it gets a miniloop\n"
    strictly = launch("--strict", "-c", parent, cwd=tmp_path)
    assert "--strict allows nothing but miniloop" in strictly.stderr


@pytest.mark.parametrize("options", [("-E",), ("-I",), ("-S",)])
def test_where_children_cannot_inherit_one_line_says_so(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    # These options keep the interpreter from PYTHONPATH, and so from a checkout.
    find = f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); "
    find += "sys.argv[1:1] = ['-c']; runpy.run_module('miniloop', run_name='__main__')"
    if options != ("-I",):
        find = find.replace("runpy.run_module", "sys.path.insert(0, ''); runpy.run_module")
    result = plain(*options, "-c", find, f"{ASK}", cwd=tmp_path)
    assert result.stdout == "miniloop\n"
    assert result.stderr == (
        "python -m miniloop: with -E, -I or -S, interpreters that the program starts keep their "
        "own loops\n"
    )


def older_interpreters() -> list[str]:
    """Pythons of this machine that are too old for miniloop; a name may be a shim that fails."""
    names = ["python2", *(f"python3.{minor}" for minor in range(11))]
    paths = [path for name in names if (path := shutil.which(name))]
    return [*paths, *map(str, Path(sys.base_prefix).parent.glob("[23].*/bin/python"))]


def test_an_older_interpreter_is_left_alone(tmp_path: Path) -> None:
    child = "import sys; print(sys.version_info[:2] < (3, 11), 'sitecustomize' in sys.modules)"
    ran = 0
    for python in older_interpreters():
        expected = subprocess.run([python, "-c", child], capture_output=True, text=True)
        if "True" not in expected.stdout:
            continue
        parent = f"import subprocess; subprocess.run([{python!r}, '-c', {child!r}])"
        result = launch("-c", parent, cwd=tmp_path)
        assert (result.stdout, result.stderr) == (expected.stdout, expected.stderr)
        ran += 1
    if not ran:
        pytest.skip("no Python before 3.11 on this machine")


def test_the_folder_for_children_holds_nothing_else() -> None:
    # It stands first in every child's path, if only until the child has started.
    # Beside it may lie what a Python has compiled of it: Python 2 has no folder for that.
    compiled = {"__pycache__", "sitecustomize.pyc"}
    assert set(os.listdir(INHERITED)) - compiled == {"sitecustomize.py"}
