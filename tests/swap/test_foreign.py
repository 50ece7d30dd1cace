"""uvloop and its kin, asked for by name under `python -m miniloop`.

The library of these tests is shaped as uvloop is, and small; uvloop itself is met in the recipes.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.swap.launch import launch, program

pytestmark = pytest.mark.timeout(120)  # each test starts several interpreters

LIBRARY = """
import asyncio

class Inner(asyncio.BaseEventLoop):
    def __init__(self):
        raise AssertionError("this loop was to be replaced")

class Loop(Inner):
    pass

def new_event_loop():
    return Loop()

def run(main, *, loop_factory=new_event_loop, debug=None):
    async def wrapper():
        if not isinstance(asyncio.get_running_loop(), Loop):
            raise TypeError("not a loop of ours")
        return await main
    with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
        return runner.run(wrapper())

def install():
    asyncio.set_event_loop_policy(EventLoopPolicy())

def __getattr__(name):
    if name != "EventLoopPolicy":
        raise AttributeError(name)
    from asyncio import events
    base = getattr(events, "BaseDefaultEventLoopPolicy", None) or events._BaseDefaultEventLoopPolicy
    class EventLoopPolicy(base):
        def _loop_factory(self):
            return new_event_loop()
    globals()["EventLoopPolicy"] = EventLoopPolicy
    return EventLoopPolicy
"""

SAID = "python -m miniloop: the program asks for {}; it gets a miniloop\n"
QUIET = ("-W", "ignore::DeprecationWarning")

ASKED = {
    "run": "uvloop.run(find_kind())",
    "new_event_loop": "kind(loop_factory=uvloop.new_event_loop)",
    "Loop": "kind(loop_factory=uvloop.Loop)",
    "base of Loop": "kind(loop_factory=uvloop.Inner)",  # as uvloop.loop.Loop is
    "install": "(uvloop.EventLoopPolicy, uvloop.install(), kind())[-1]",
    "policy": "(asyncio.set_event_loop_policy(uvloop.EventLoopPolicy()), kind())[1]",
    "subclass": "kind(loop_factory=type('Own', (uvloop.Loop,), {'__module__': 'miniloop.own'}))",
}


def ask(folder: Path, how: str, name: str = "uvloop") -> str:
    library = re.sub(r"\bLoop\b", "RLoop", LIBRARY) if name == "rloop" else LIBRARY
    (folder / f"{name}.py").write_text(library)
    return program(folder, f"import {name} as uvloop\nprint({ASKED[how]})\nprint({ASKED[how]})")


@pytest.mark.parametrize("how", ASKED)
def test_each_way_to_ask_for_uvloop_is_answered_by_a_miniloop(tmp_path: Path, how: str) -> None:
    result = launch(ask(tmp_path, how), cwd=tmp_path, before=QUIET)
    # Said once, though the program asked twice.
    assert (result.stdout, result.stderr) == ("miniloop\nminiloop\n", SAID.format("uvloop"))
    assert result.returncode == 0


@pytest.mark.parametrize("how", ASKED)
def test_strictly_each_of_them_is_an_error(tmp_path: Path, how: str) -> None:
    result = launch("--strict", ask(tmp_path, how), cwd=tmp_path, before=QUIET)
    assert (result.returncode, result.stdout) == (1, "")
    assert "program.py" in result.stderr
    assert (
        "RuntimeError: the program asks for uvloop; --strict allows nothing but miniloop\n"
        in result.stderr
    )


@pytest.mark.parametrize("name", ["winloop", "rloop"])
def test_its_relatives_are_answered_alike(tmp_path: Path, name: str) -> None:
    result = launch(ask(tmp_path, "new_event_loop", name), cwd=tmp_path)
    assert (result.stdout, result.stderr) == ("miniloop\nminiloop\n", SAID.format(name))


def test_a_relative_that_is_a_package_is_answered_alike(tmp_path: Path) -> None:
    package = tmp_path / "zuvloop"
    package.mkdir()
    loop, rest = re.sub(r"\bLoop\b", "EventLoop", LIBRARY).split("def new_event_loop", 1)
    (package / "_loop.py").write_text(loop)
    runner = f"import asyncio\nfrom ._loop import EventLoop\ndef new_event_loop{rest}"
    (package / "_runner.py").write_text(runner)
    (package / "__init__.py").write_text(
        "from ._loop import EventLoop\nfrom ._runner import new_event_loop, run\n"
    )
    source = """
import zuvloop
print(zuvloop.run(find_kind()), kind(loop_factory=zuvloop.new_event_loop))
print(kind(loop_factory=zuvloop.EventLoop))
"""
    result = launch(program(tmp_path, source), cwd=tmp_path)
    assert result.stdout == "miniloop miniloop\nminiloop\n"
    assert result.stderr == SAID.format("zuvloop")


def test_who_only_imports_it_hears_nothing(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text(LIBRARY)
    source = """
import importlib.util
spec = importlib.util.find_spec("uvloop")
print(spec.origin == spec.loader.get_filename("uvloop"))
def lazily():
    import uvloop
    return uvloop
print(lazily().__loader__ is lazily().__spec__.loader, type(lazily().__loader__).__name__)
print(kind())
"""
    result = launch("--strict", program(tmp_path, source), cwd=tmp_path)
    assert (result.stdout, result.stderr) == ("True\nTrue SourceFileLoader\nminiloop\n", "")


def test_without_it_a_program_falls_back_as_it_always_did(tmp_path: Path) -> None:
    source = """
import importlib.util, sys
sys.path.insert(0, '.')
sys.meta_path.insert(1, type("Hide", (), {"find_spec": lambda self, name, *more: hide(name)})())
def hide(name):
    if name == "uvloop":
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
try:
    import uvloop
except ImportError as error:
    print(error.name, kind())
"""
    result = launch("--strict", program(tmp_path, source), cwd=tmp_path)
    assert (result.stdout, result.stderr) == ("uvloop miniloop\n", "")


def test_a_loop_by_that_name_can_be_told_from_one_of_asyncios(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text(LIBRARY)
    source = """
import uvloop
one, other = asyncio.new_event_loop(), uvloop.new_event_loop()
print(isinstance(one, uvloop.Loop), isinstance(other, uvloop.Loop), type(other).__name__)
one.close(); other.close()
"""
    assert launch(program(tmp_path, source), cwd=tmp_path).stdout == "False True Loop\n"
