"""Every place where asyncio and its tests make a loop, a task or a future, and what to put there.

Rules:

1. It happens once, in a process of its own, before the test module is imported: test classes look
   up ``tasks._CTask`` and the like while their bodies run.
2. ``CTask`` and ``CFuture`` in the name of a test class mean ours. The standard library's PyTask
   and PyFuture stay what they are, so the classes of ``test_tasks`` pair ours with ours, ours
   with a stranger and a stranger with ours. The pairs with the C classes, which ours displaced,
   are added: ``CTask_StockFuture_Tests`` and ``StockTask_CFuture_Tests``.
3. A test may replace a global of an asyncio module (``asyncio.base_events.logger``, ``.socket``) to
   see what the loop does with it. Where a module of ours holds the very same object under the same
   name, or has its own version of it, it is replaced there, too, for as long.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import sys
import types
import unittest
from typing import Any
from unittest import mock

from tests.conformance.subject import Subject

# The loops, which base_events to unix_events build on one another, as tests and policies name them.
LOOP_NAMES = {
    "asyncio": ("BaseEventLoop", "SelectorEventLoop", "EventLoop"),
    "asyncio.base_events": ("BaseEventLoop",),
    "asyncio.unix_events": ("_UnixSelectorEventLoop", "SelectorEventLoop", "EventLoop"),
}

# Modules of asyncio that a foreign loop has its own versions of.
REPLACED_MODULES = {
    "asyncio.base_events",
    "asyncio.selector_events",
    "asyncio.unix_events",
    "asyncio.base_subprocess",
    "asyncio.sslproto",
    "asyncio.staggered",
    "asyncio.constants",
    "asyncio.coroutines",
}

# Tests of what a Handle, a TimerHandle or a policy does, which name the class of asyncio.
NAMED_CLASSES = {
    ("test_events", "HandleTests"): ("Handle", "TimerHandle"),
    ("test_events", "TimerTests"): ("Handle", "TimerHandle"),
    ("test_events", "PolicyTests"): ("DefaultEventLoopPolicy",),
    ("test_unix_events", "PolicyTests"): ("DefaultEventLoopPolicy",),
}


def import_with(subject: Subject, package: str, name: str) -> types.ModuleType:
    """Import a test module with ``subject`` in place; raises what the import raises."""
    if subject.is_control:
        return importlib.import_module(f"{package}.{name}")
    # The tests' own loop derives from asyncio's: it must exist before asyncio's is taken away.
    test_utils = importlib.import_module("test.test_asyncio.utils")
    c_task, c_future = asyncio.Task, asyncio.Future
    _adapt_test_case(subject, test_utils)
    _replace_loops(subject)
    _replace_classes(subject)
    if subject.package is not None:
        _follow_patches(subject.package, subject.aliases, subject.unfollowed)
    module = importlib.import_module(f"{package}.{name}")
    _replace_named_classes(subject, name, module)
    for (module_name, class_name), patcher in subject.variants.items():
        if module_name == name and hasattr(module, class_name):
            patcher(getattr(module, class_name))
    if name == "test_tasks" and subject.task is not None:
        _add_pairs(subject, module, c_task, c_future)
    if subject.prologue and hasattr(module, "assert_python_ok"):
        _carry_into_children(subject.prologue, module)
    return module


def uses_named_class(case: unittest.TestCase) -> bool:
    """Whether the test is about a class of ours that needs no loop to be made."""
    return getattr(type(case), "conformance_names_our_class", False)


def _replace_loops(subject: Subject) -> None:
    for module_name, names in LOOP_NAMES.items():
        module = sys.modules[module_name]
        for name in names:
            if hasattr(module, name):
                setattr(module, name, subject.loop_class)
    selector_events: Any = asyncio.selector_events
    selector_events.BaseSelectorEventLoop = (
        subject.loop_class_without_sendfile or subject.loop_class
    )
    # new_event_loop(), run() and Runner all ask the policy, and the policy asks this.
    unix_events: Any = asyncio.unix_events
    unix_events._UnixDefaultEventLoopPolicy._loop_factory = subject.loop_class


def _replace_classes(subject: Subject) -> None:
    modules: dict[str, Any] = {"tasks": asyncio.tasks, "futures": asyncio.futures}
    if subject.task is not None:
        modules["tasks"]._CTask = subject.task
    if subject.future is not None:
        modules["futures"]._CFuture = subject.future


def _adapt_test_case(subject: Subject, test_utils: Any) -> None:
    if subject.test_loop is not None:
        test_utils.TestLoop = subject.test_loop
    asyncios_own: Any = asyncio.BaseEventLoop
    close_asyncios_own = test_utils.TestCase.close_loop

    def close_loop(loop: Any) -> None:
        # The original waits for the default executor by way of a private attribute of the loop.
        if isinstance(loop, asyncios_own) or hasattr(loop, "_default_executor"):
            close_asyncios_own(loop)
        elif not loop.is_closed():
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    test_utils.TestCase.close_loop = staticmethod(close_loop)


def _replace_named_classes(subject: Subject, name: str, module: types.ModuleType) -> None:
    ours = {
        "Handle": subject.handle,
        "TimerHandle": subject.timer_handle,
        "DefaultEventLoopPolicy": subject.policy,
    }
    for (module_name, class_name), replaced in NAMED_CLASSES.items():
        if module_name != name or not hasattr(module, class_name):
            continue
        case = getattr(module, class_name)
        for attribute in replaced:
            if ours[attribute] is not None:
                # From CPython 3.14 on the tests take the policy, which is deprecated, from utils.
                tools = sys.modules["test.test_asyncio.utils"]
                owner = tools if hasattr(tools, attribute) else asyncio
                # As a decorator of a class it wraps each test of it.
                mock.patch.object(owner, attribute, ours[attribute])(case)
                case.conformance_names_our_class = True


def _add_pairs(subject: Subject, module: Any, c_task: type[Any], c_future: type[Any]) -> None:
    for class_name, task, future in (
        ("CTask_StockFuture_Tests", subject.task, c_future),
        ("StockTask_CFuture_Tests", c_task, subject.future),
    ):
        bases = (module.BaseTaskTests, module.test_utils.TestCase)
        namespace = {"Task": task, "Future": future, "__module__": module.__name__}
        for tool in ("all_tasks", "current_task"):
            # From CPython 3.14 on each class says which of the two implementations it asks.
            if hasattr(asyncio.tasks, f"_c_{tool}"):
                namespace[tool] = staticmethod(getattr(asyncio.tasks, f"_c_{tool}"))
        setattr(module, class_name, type(class_name, bases, namespace))


def _carry_into_children(prologue: str, module: Any) -> None:
    """Have ``assert_python_ok("-c", code)`` run the code with our loop put in."""
    run = module.assert_python_ok

    def run_with_our_loop(*arguments: str, **environment: str) -> Any:
        changed = list(arguments)
        if "-c" in changed:
            code = changed.index("-c") + 1
            changed[code] = prologue + changed[code]
        return run(*changed, **environment)

    module.assert_python_ok = run_with_our_loop


def _follow_patches(package: str, aliases: dict[str, str], unfollowed: set[str]) -> None:
    """Rule 3: what ``mock.patch`` does to an asyncio module, do to the modules of ``package``."""
    patcher: Any = mock._patch
    enter, leave = patcher.__enter__, patcher.__exit__
    undo: dict[int, list[tuple[types.ModuleType, str, object]]] = {}

    @functools.wraps(enter)
    def enter_and_follow(self: Any) -> Any:
        result = enter(self)
        target = self.target
        if isinstance(target, types.ModuleType) and target.__name__ in REPLACED_MODULES:
            alias = aliases.get(self.attribute, self.attribute)
            undo[id(self)] = [
                (module, alias, vars(module)[alias])
                for module in _modules_of(package)
                if module.__name__ not in unfollowed
                and alias in vars(module)
                and (alias != self.attribute or vars(module)[alias] is self.temp_original)
            ]
            for module, name, _ in undo[id(self)]:
                setattr(module, name, getattr(target, self.attribute))
        return result

    @functools.wraps(leave)
    def leave_and_follow(self: Any, *exception: Any) -> Any:
        for module, name, original in undo.pop(id(self), ()):
            setattr(module, name, original)
        return leave(self, *exception)

    patcher.__enter__, patcher.__exit__ = enter_and_follow, leave_and_follow


def _modules_of(package: str) -> list[types.ModuleType]:
    return [
        module
        for name, module in list(sys.modules.items())
        if name == package or name.startswith(package + ".")
    ]
