"""Probes: who is told that a function of the kernel begins, and what is left of it afterwards."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from typing import Any

import pytest

import miniloop
from miniloop.kernel.future import Future
from miniloop.kernel.probes import Probe, place_probes, remove_probes
from miniloop.kernel.task import Task
from tests.builds import pure_only

pytestmark = pure_only


def test_a_probe_is_told_the_arguments_before_the_function_has_done_anything(
    mini: miniloop.EventLoop,
) -> None:
    seen: list[tuple[Any, Any, bool]] = []

    def begun(arguments: Mapping[str, Any]) -> None:
        future = arguments["self"]
        seen.append((future, arguments["result"], future.done()))

    probes = [Probe(Future, "set_result", begun)]
    future = mini.create_future()
    place_probes(probes)
    try:
        future.set_result(7)
    finally:
        remove_probes(probes)
    mini.create_future().set_result(8)
    assert seen == [(future, 7, False)]


def test_default_arguments_are_told_too(mini: miniloop.EventLoop) -> None:
    seen: list[Any] = []
    probes = [Probe(Future, "cancel", lambda arguments: seen.append(arguments["msg"]))]
    place_probes(probes)
    try:
        mini.create_future().cancel()
        mini.create_future().cancel("enough")
        mini.create_future().cancel(msg="now")
    finally:
        remove_probes(probes)
    assert seen == [None, "enough", "now"]


def test_a_probe_is_told_of_the_end_of_an_eager_first_step(mini: miniloop.EventLoop) -> None:
    seen: list[str] = []

    async def quick() -> None:
        seen.append("runs")

    async def main() -> None:
        Task(quick(), loop=mini, eager_start=True)
        seen.append("goes on")

    probes = [
        Probe(Task, "_run_eagerly", lambda _: seen.append("begun"), lambda: seen.append("ended"))
    ]
    place_probes(probes)
    try:
        mini.run_until_complete(main())
    finally:
        remove_probes(probes)
    assert seen == ["begun", "runs", "ended", "goes on"]


def test_two_observers_can_look_at_one_function(mini: miniloop.EventLoop) -> None:
    first: list[object] = []
    second: list[object] = []
    one = [Probe(Future, "set_result", lambda _: first.append(1))]
    other = [Probe(Future, "set_result", lambda _: second.append(1))]
    place_probes(one)
    place_probes(other)
    mini.create_future().set_result(None)
    remove_probes(one)
    mini.create_future().set_result(None)
    remove_probes(other)
    mini.create_future().set_result(None)
    remove_probes(other)  # which are not there any more
    assert (len(first), len(second)) == (1, 2)


def test_the_classes_are_as_before_when_the_probes_are_gone() -> None:
    before = dict(vars(Future)), dict(vars(Task))
    probes = [Probe(Future, "cancel", print), Probe(Task, "cancel", print)]
    place_probes(probes)
    remove_probes(probes)
    assert (dict(vars(Future)), dict(vars(Task))) == before


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with 3.12")
def test_a_traceback_shows_no_probe(mini: miniloop.EventLoop) -> None:
    probes = [Probe(Future, "set_result", lambda _: None)]
    future = mini.create_future()
    future.set_result(None)
    place_probes(probes)
    try:
        future.set_result(None)
    except Exception as error:
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    finally:
        remove_probes(probes)
    assert names == ["test_a_traceback_shows_no_probe", "set_result"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with 3.12")
def test_the_interpreters_place_for_a_tool_is_given_back() -> None:
    def tools() -> list[str | None]:
        return [sys.monitoring.get_tool(number) for number in range(6)]

    before = tools()
    probes = [Probe(Future, "cancel", print)]
    place_probes(probes)
    assert tools().count("miniloop") == 1
    remove_probes(probes)
    assert tools() == before
