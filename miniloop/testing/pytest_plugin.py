"""The plugin of pytest: coroutine tests in virtual time, under many schedules.

    @pytest.mark.miniloop                                   # once, in virtual time
    @pytest.mark.miniloop(schedules=500, cancel="worker")   # under many schedules
    async def test_transfer(account): ...

    pytest --miniloop-schedules 5000 --miniloop-seed 7
    pytest --miniloop-replay .miniloop/test_transfer-1a2b3c4d.schedule.json

The mark takes what `explore` and `run` take, and `virtual=False` for the real clock. A test that
has it is run from here, whatever other plugins there are; they have the rest. Its asynchronous
fixtures are made anew for each run, in the loop of that run, and are ended in it. Other fixtures
are made once for all runs of a test, as pytest does it.

When it is collected, such a test is replaced by a function that is not asynchronous, before other
plugins look at it. Without the mark nothing here does anything. A coroutine test of Hypothesis,
below `@given`, is run anew for each example.

A mark that would do nothing is an error. The mark of a class or a module is for its coroutine
tests; the other tests in it are run as usual.
"""

from __future__ import annotations

import argparse
import copy
import functools
import inspect
import warnings
from collections.abc import Callable, Coroutine, Generator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from miniloop.testing.replay_file import ReplayFile

__all__: list[str] = []

MARK = "miniloop"

# What only makes sense for many schedules.
OF_EXPLORE = {
    "schedules",
    "time_limit",
    "strategy",
    "cancel",
    "lateness",
    "most_steps",
    "expect",
    "save",
    "save_to",
}
OF_BOTH = {"seed", "until", "network", "real_io", "patch_time", "debug"}
OF_RUN = {"virtual", "start"}

_REPLAY = pytest.StashKey["ReplayFile"]()
_OURS = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("miniloop", "asyncio programs under many schedules")
    group.addoption(
        "--miniloop-replay", metavar="FILE", help="run just the schedule in FILE, of just its test"
    )
    group.addoption(
        "--miniloop-schedules",
        metavar="N",
        type=_positive,
        help="how many schedules, for every test",
    )
    group.addoption(
        "--miniloop-seed", metavar="N", type=int, help="the seed of all schedules (default: 0)"
    )


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"a whole number, 1 or more, is wanted, got {text!r}")
    return number


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark; read the file that is to be replayed."""
    config.addinivalue_line(
        "markers",
        "miniloop(virtual=True, schedules=None, network=None, ...): run this coroutine test in "
        "virtual time; with schedules, under so many legal orders (see miniloop.testing.explore)",
    )
    path = config.getoption("--miniloop-replay")
    if path:
        from miniloop.testing.replay_file import ReplayFile

        try:
            config.stash[_REPLAY] = ReplayFile.load(path)
        except (OSError, ValueError) as error:
            raise pytest.UsageError(f"--miniloop-replay: {error}") from error


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With a file to replay, leave only its test."""
    file = config.stash.get(_REPLAY, None)
    if file is None:
        return
    chosen = [item for item in items if item.nodeid == file.test]
    if not chosen:
        raise pytest.UsageError(
            f"--miniloop-replay: the file is about {file.test}, which was not collected"
        )
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid != file.test])
    items[:] = chosen


# Collecting: plugins that look at a test of ours after us must not see a coroutine function. As
# this hook is tried last, it is the innermost of all that are wrapped around the collecting.


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem(
    collector: pytest.Collector, name: str, obj: object
) -> Generator[None, Any, Any]:
    """Put a function in the place of a marked coroutine function."""
    result = yield
    for item in result if isinstance(result, list) else [result]:
        if isinstance(item, pytest.Function) and item.get_closest_marker(MARK) is not None:
            if inspect.iscoroutinefunction(item.obj):
                item.obj = _function_for(item, item.obj)
            elif _is_coroutine_below_given(item):
                item.obj = _function_of_given(item, item.obj)
            else:
                continue
            item.stash[_OURS] = True
    return result


def _function_for(
    item: pytest.Function, coroutine_function: Callable[..., Coroutine[Any, Any, Any]]
) -> Callable[..., None]:
    @functools.wraps(coroutine_function)
    def run_under_miniloop(*drawn: Any, **arguments: Any) -> None:
        __tracebackhide__ = True
        _run(item, functools.partial(coroutine_function, *drawn), arguments)

    return run_under_miniloop


def _is_coroutine_below_given(item: pytest.Function) -> bool:
    """Whether it is a coroutine function below Hypothesis' `@given`, which makes it a plain one."""
    of_hypothesis = getattr(item.obj, "hypothesis", None)
    return inspect.iscoroutinefunction(getattr(of_hypothesis, "inner_test", None))


def _function_of_given(item: pytest.Function, given: Callable[..., Any]) -> Callable[..., None]:
    """What `@given` has made, but with the coroutine function run from here."""
    of_hypothesis = given.hypothesis  # type: ignore[attr-defined]  # see above
    run_under_miniloop = _function_for(item, of_hypothesis.inner_test)

    @functools.wraps(given)
    def run_examples(**arguments: Any) -> None:
        __tracebackhide__ = True
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(of_hypothesis, "inner_test", run_under_miniloop)
            given(**arguments)

    # Other plugins see the test of a plain function.
    vars(run_examples)["hypothesis"] = copy.copy(of_hypothesis)
    vars(run_examples)["hypothesis"].inner_test = run_under_miniloop
    return run_examples


def _is_ours(item: Any) -> bool:
    return isinstance(item, pytest.Item) and _OURS in item.stash


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Refuse a mark that does nothing; keep pytest-asyncio from warning of its own mark."""
    __tracebackhide__ = True
    if not _is_ours(item):
        if isinstance(item, pytest.Function):
            _refuse_to_be_ignored(item)
        return (yield)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r"The test .* is marked with '@pytest.mark.asyncio'"
        )
        return (yield)


def _refuse_to_be_ignored(item: pytest.Function) -> None:
    if item.get_closest_marker(MARK) is None:
        return
    if inspect.iscoroutinefunction(item.obj):
        pytest.fail(
            "the mark miniloop does nothing in a TestCase: unittest runs its tests by itself. "
            "For virtual time, set loop_factory = miniloop.testing.virtual_event_loop in an "
            "IsolatedAsyncioTestCase",
            pytrace=False,
        )
    if any(mark.name == MARK for mark in item.own_markers):
        pytest.fail(
            f"the mark miniloop is for coroutine tests, and {item.name} is none: "
            "write 'async def', or take the mark away",
            pytrace=False,
        )


# Fixtures.


class _Deferred:
    """An asynchronous fixture, to be made in each run."""

    def __init__(self, name: str, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
        self.name = name
        self.function = function
        self.arguments = arguments


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: Any
) -> Generator[None, Any, Any]:
    """Put off what is asynchronous until a run begins."""
    if not _is_ours(getattr(request, "_pyfuncitem", None)):
        return (yield)
    function: Any = fixturedef.func
    if not inspect.iscoroutinefunction(function) and not inspect.isasyncgenfunction(function):
        for name in fixturedef.argnames:
            if name != "request" and isinstance(request.getfixturevalue(name), _Deferred):
                pytest.fail(
                    f"fixture {fixturedef.argname!r} asks for {name!r}, which is asynchronous and "
                    "is made anew for each run: make it asynchronous too",
                    pytrace=False,
                )
        return (yield)
    if fixturedef.scope != "function":
        pytest.fail(
            f"fixture {fixturedef.argname!r} is asynchronous and has the scope "
            f"{fixturedef.scope!r}; for a test of miniloop it is made anew for each run, so its "
            "scope must be 'function'",
            pytrace=False,
        )
    if request.instance is not None and "self" in inspect.signature(function).parameters:
        function = functools.partial(function, request.instance)

    def put_off(**arguments: Any) -> _Deferred:
        return _Deferred(fixturedef.argname, function, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixturedef, "func", put_off)
        return (yield)


def _with_fixtures(
    test: Callable[..., Coroutine[Any, Any, Any]], arguments: dict[str, Any]
) -> Callable[[], Coroutine[Any, Any, Any]]:
    """The test, with its asynchronous fixtures made first and ended last."""
    if not any(isinstance(value, _Deferred) for value in arguments.values()):
        return functools.partial(test, **arguments)

    async def run() -> Any:
        made: dict[_Deferred, Any] = {}
        async with AsyncExitStack() as stack:
            ready = {name: await _make(value, made, stack) for name, value in arguments.items()}
            return await test(**ready)

    return run


async def _make(value: Any, made: dict[_Deferred, Any], stack: AsyncExitStack) -> Any:
    if not isinstance(value, _Deferred):
        return value
    if value not in made:
        arguments = {name: await _make(each, made, stack) for name, each in value.arguments.items()}
        if inspect.isasyncgenfunction(_bare(value.function)):
            generator = value.function(**arguments)
            made[value] = await anext(generator)
            stack.push_async_callback(_end, value.name, generator)
        else:
            made[value] = await value.function(**arguments)
    return made[value]


async def _end(name: str, generator: Any) -> None:
    """Run a fixture to its end, as pytest does, whether the test failed or not."""
    try:
        await anext(generator)
    except StopAsyncIteration:
        return
    await generator.aclose()
    raise RuntimeError(f"fixture {name!r} has more than one yield")


def _bare(function: Any) -> Any:
    return function.func if isinstance(function, functools.partial) else function


# Running.


def _run(
    item: pytest.Function,
    test: Callable[..., Coroutine[Any, Any, Any]],
    arguments: dict[str, Any],
) -> None:
    __tracebackhide__ = True
    options = _options(item)
    wanted = item.config.getoption("--miniloop-schedules")
    if wanted is not None and options.get("schedules") is not None:
        options["schedules"] = wanted
    seed = item.config.getoption("--miniloop-seed")
    if seed is not None:
        options["seed"] = seed
    network = options.get("network")
    if isinstance(network, str):
        options["network"] = item._request.getfixturevalue(network)
    elif isinstance(network, type):
        options["network"] = network()
    body = _with_fixtures(test, arguments)
    virtual = options.pop("virtual", True)
    file = item.config.stash.get(_REPLAY, None)
    if file is not None:
        _replay(item, body, file, options)
    elif options.get("schedules") is None:
        from miniloop.testing.running import run

        _refuse(options, OF_EXPLORE - {"schedules"}, "without schedules=")
        options.pop("schedules", None)
        run(body(), clock="virtual" if virtual else "real", **options)
    else:
        from miniloop.testing.exploration import explore
        from miniloop.testing.failure import Failure

        if not virtual:
            pytest.fail(
                "schedules= needs virtual=True: time is a part of a schedule", pytrace=False
            )
        _refuse(options, {"start"}, "with schedules=")
        try:
            explore(body, name=item.nodeid, **options)
        except Failure as failure:
            failure.replayed_by = "pytest --miniloop-replay FILE"
            raise


def _replay(
    item: pytest.Function,
    body: Callable[[], Coroutine[Any, Any, Any]],
    file: ReplayFile,
    options: dict[str, Any],
) -> None:
    __tracebackhide__ = True
    from miniloop.testing import replaying
    from miniloop.testing.exploration import explore
    from miniloop.testing.failure import Failure

    options = {**file.settings, **options, "seed": file.seed}
    options.pop("start", None)
    options["schedules"] = 1
    with replaying.replaying(file):
        try:
            explore(body, name=item.nodeid, **options)
        except Failure as failure:
            failure.note = _differs(replaying.divergence())
            raise
    diverged = replaying.divergence()
    if diverged is not None:
        item.warn(pytest.PytestWarning(_differs(diverged) or ""))


def _differs(diverged: str | None) -> str | None:
    if diverged is None:
        return None
    return f"The program has changed since the schedule was written: {diverged}"


def _options(item: pytest.Function) -> dict[str, Any]:
    """What the marks say, the closest one first."""
    options: dict[str, Any] = {}
    for mark in item.iter_markers(MARK):
        if mark.args:
            pytest.fail("the mark miniloop takes keywords only", pytrace=False)
        options = {**mark.kwargs, **options}
    unknown = set(options) - OF_EXPLORE - OF_BOTH - OF_RUN
    if unknown:
        known = ", ".join(sorted(OF_EXPLORE | OF_BOTH | OF_RUN))
        pytest.fail(
            f"the mark miniloop does not know {', '.join(sorted(unknown))}; it knows {known}",
            pytrace=False,
        )
    return options


def _refuse(options: dict[str, Any], names: set[str], when: str) -> None:
    for name in names & set(options):
        pytest.fail(f"the mark miniloop takes no {name}= {when}", pytrace=False)
