"""asyncio's own loop, by each of its names, under `python -m miniloop`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.swap.launch import launch, program

pytestmark = pytest.mark.timeout(120)  # each test starts several interpreters

since_3_12 = pytest.mark.skipif(sys.version_info < (3, 12), reason="from Python 3.12 on")
since_3_13 = pytest.mark.skipif(sys.version_info < (3, 13), reason="from Python 3.13 on")


@pytest.mark.parametrize(
    "get",
    [
        "print(asyncio.run(find_kind()))",
        pytest.param(
            "print(asyncio.run(find_kind(), loop_factory=asyncio.new_event_loop))", marks=since_3_12
        ),
        "print(kind())",
        "print(kind(loop_factory=asyncio.new_event_loop))",
        "print(kind(loop_factory=asyncio.SelectorEventLoop))",
        "print(kind(loop_factory=asyncio.unix_events._UnixSelectorEventLoop))",
        "from asyncio.unix_events import SelectorEventLoop as Loop; print(kind(loop_factory=Loop))",
        pytest.param("print(kind(loop_factory=asyncio.EventLoop))", marks=since_3_13),
        "loop = asyncio.get_event_loop_policy().new_event_loop(); "
        "print(loop.run_until_complete(find_kind())); loop.close()",
        "asyncio.set_event_loop(asyncio.new_event_loop()); loop = asyncio.get_event_loop(); "
        "print(loop.run_until_complete(find_kind())); loop.close()",
    ],
)
def test_however_a_program_gets_its_loop_it_gets_a_miniloop(tmp_path: Path, get: str) -> None:
    quiet = ("-W", "ignore::DeprecationWarning")  # policies are, from Python 3.14 on
    result = launch(program(tmp_path, get), cwd=tmp_path, before=quiet)
    assert (result.stdout, result.stderr, result.returncode) == ("miniloop\n", "", 0)


def test_a_policy_of_the_programs_own_makes_miniloops(tmp_path: Path) -> None:
    # As tornado and Jupyter have them: derived from the default one, or the default one again.
    source = """
class Policy(asyncio.DefaultEventLoopPolicy):
    pass
for policy in (Policy(), asyncio.DefaultEventLoopPolicy(), None):
    asyncio.set_event_loop_policy(policy)
    print(kind())
"""
    result = launch(
        program(tmp_path, source), cwd=tmp_path, before=("-W", "ignore::DeprecationWarning")
    )
    assert result.stdout == "miniloop\n" * 3


def test_the_loop_waits_with_the_selector_that_it_is_given(tmp_path: Path) -> None:
    source = """
import selectors
class Counting(selectors.SelectSelector):
    calls = 0
    def select(self, timeout=None):
        self.calls += 1
        return super().select(timeout)
selector = Counting()
print(kind(loop_factory=lambda: asyncio.SelectorEventLoop(selector)), selector.calls > 0)
"""
    assert launch(program(tmp_path, source), cwd=tmp_path).stdout == "miniloop True\n"


def test_what_is_an_instance_and_what_a_subclass_is_as_before(tmp_path: Path) -> None:
    source = """
import selectors
class Own(asyncio.SelectorEventLoop):
    def __init__(self):
        super().__init__(selectors.SelectSelector())
        self.started = []
    def call_soon(self, callback, *args, context=None):
        self.started.append(callback)
        return super().call_soon(callback, *args, context=context)
one = asyncio.new_event_loop()
print(isinstance(one, asyncio.SelectorEventLoop), isinstance(one, asyncio.AbstractEventLoop))
print(type(one) is asyncio.SelectorEventLoop, isinstance(one, Own), isinstance(3, type(one)))
print(issubclass(Own, asyncio.SelectorEventLoop), issubclass(asyncio.SelectorEventLoop, Own))
one.close()
with asyncio.Runner(loop_factory=Own) as runner:
    loop = runner.get_loop()
    loop.call_soon(list)
    runner.run(find_kind())
    print(isinstance(loop, Own), isinstance(loop, asyncio.SelectorEventLoop), list in loop.started)
    print(Own.__mro__[2].__module__)
print(hasattr(asyncio, 'ProactorEventLoop'))
"""
    result = launch(program(tmp_path, source), cwd=tmp_path)
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "True True",
        "True False False",
        "True False",
        "True True True",
        "miniloop.loop",
        "False",
    ]


INSIDER = """
class Insider(asyncio.SelectorEventLoop):
    turns = 0
    def _run_once(self):
        Insider.turns += 1
        super()._run_once()
class Mixed:
    def _process_events(self, events):
        Mixed.seen = True
        super()._process_events(events)
class Both(Mixed, asyncio.SelectorEventLoop):
    pass
print(kind(loop_factory=Insider), Insider.turns > 0)
print(kind(loop_factory=Both), Mixed.seen)
with asyncio.Runner(loop_factory=Insider) as runner:
    loop = runner.get_loop()
    print(isinstance(loop, asyncio.SelectorEventLoop), issubclass(Both, asyncio.SelectorEventLoop))
"""


def test_a_subclass_that_overrides_what_is_private_keeps_asyncios_loop(tmp_path: Path) -> None:
    result = launch(program(tmp_path, INSIDER), cwd=tmp_path)
    assert result.stdout == "__main__ True\n__main__ True\nTrue True\n"
    assert result.stderr.splitlines() == [
        "python -m miniloop: __main__.Insider overrides _run_once of asyncio's loop; "
        "it keeps that loop",
        "python -m miniloop: __main__.Both overrides _process_events of asyncio's loop; "
        "it keeps that loop",
    ]


def test_a_subclass_of_a_subclass_is_told_that_its_private_method_is_never_called(
    tmp_path: Path,
) -> None:
    source = """
class Own(asyncio.SelectorEventLoop):
    pass
class Further(Own):
    def _run_once(self):
        raise AssertionError
kind(loop_factory=Further)
"""
    result = launch(program(tmp_path, source), cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr == (
        "python -m miniloop: __main__.Further overrides _run_once of asyncio's loop; "
        "miniloop does not call that\n"
    )


def test_strictly_such_a_subclass_is_an_error(tmp_path: Path) -> None:
    result = launch("--strict", program(tmp_path, INSIDER), cwd=tmp_path)
    assert result.returncode == 1
    assert "class Insider(asyncio.SelectorEventLoop)" in result.stderr
    assert result.stderr.endswith("; --strict allows nothing but miniloop\n")


def test_test_cases_get_a_miniloop(tmp_path: Path) -> None:
    source = """
import unittest
class Test(unittest.IsolatedAsyncioTestCase):
    async def test_kind(self):
        self.assertEqual(await find_kind(), "miniloop")
unittest.main()
"""
    result = launch(program(tmp_path, source), cwd=tmp_path)
    assert (result.returncode, "OK" in result.stderr) == (0, True)
