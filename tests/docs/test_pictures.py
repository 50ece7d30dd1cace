"""The pictures say what the code does, now."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Set
from xml.etree import ElementTree

import pytest

from miniloop.net.tls_states import TRANSITIONS, Event, State
from tests.layering import BELOW
from website.pictures import arrows, states, system_calls
from website.pictures.__main__ import IMAGES, PICTURES


@pytest.mark.parametrize("name", PICTURES)
def test_a_committed_picture_is_the_one_that_is_drawn(name: str) -> None:
    drawn = PICTURES[name]()
    assert (IMAGES / name).read_text("utf-8") == drawn, "make pictures draws it again"
    root = ElementTree.fromstring(drawn)
    title, description, *_ = root
    assert title.text
    assert description.text


def test_the_picture_of_tls_has_every_way_of_the_table() -> None:
    ways = {(way.start, way.why, way.end) for way in states.tls().ways}
    wanted = {
        (state.value, event.name.lower().replace("_", " "), end.value)
        for state in State
        for event in Event
        if (end := TRANSITIONS[state].get(event)) is not None
    }
    assert ways == wanted


def test_a_task_was_seen_to_do_all_that_a_task_does() -> None:
    ways = {(way.start, way.end) for way in states.task().ways}
    assert ways == {
        ("ready", "running"),
        ("running", "waiting"),
        ("running", "ready"),
        ("waiting", "ready"),
        ("running", "done"),
    }


def test_a_transport_was_seen_to_be_told_all_that_a_protocol_is_told() -> None:
    told = {way.why for way in states.transport().ways}
    assert told == {
        *("connection_made", "data_received", "eof_received"),
        *("pause_writing", "resume_writing", "connection_lost"),
    }


def test_arrows_that_are_left_out_follow_from_those_that_are_drawn() -> None:
    drawn: dict[str, set[str]] = {part: set() for part in BELOW}
    for part, other in arrows.needed(BELOW):
        drawn[part].add(other)

    def reached(table: Mapping[str, Set[str]], part: str) -> set[str]:
        return {*table[part], *(far for near in table[part] for far in reached(table, near))}

    assert {p: reached(drawn, p) for p in BELOW} == {p: reached(BELOW, p) for p in BELOW}
    rank = arrows.ranks(BELOW)
    assert all(rank[part] > rank[other] for part, others in drawn.items() for other in others)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.timeout(200)
@pytest.mark.parametrize("loop", system_calls.LOOPS)
def test_an_echo_asks_of_the_kernel_what_the_picture_says(loop: str) -> None:
    way = "sock_recv and sock_sendall"
    counted = json.loads(system_calls.COUNTED.read_text("utf-8"))["calls"][way][loop]
    try:
        found = system_calls.count(loop, way)
    except subprocess.CalledProcessError as error:
        if b"Operation not permitted" in error.stderr or b"not permitted" in error.stderr:
            pytest.skip("strace may not look at processes here")
        raise
    # A busy machine lets a message come early now and then, which saves a visit.
    assert found == pytest.approx(counted, abs=0.25), sys.version
