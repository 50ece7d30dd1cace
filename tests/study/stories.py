"""Models of recordings, written down event by event, for tests of what shows them.

A `Story` has a verb for each kind of event. It decides nothing: what is told is what happened.
"""

from __future__ import annotations

from itertools import count
from typing import Any

KINDS = (
    "turn begun suspended ended queued|timer set|timer due|timer cancelled|swept|wait|woke|ready|"
    "finished|cancel|handed|thread busy|thread idle|created|failed|signal|watched|unwatched|unseen"
)
NAMES = [*KINDS.partition("|")[0].split(), *KINDS.partition("|")[2].split("|")]
MS = 1_000_000
MANY = 100_000  # steps, of the longest story


class Story:
    """A recording in the making. Times are nanoseconds; `now` goes on by a microsecond an event."""

    def __init__(self, program: str) -> None:
        self.now = 0
        self.files: list[dict[str, Any]] = []
        self.places: list[list[Any]] = []
        self.strings: list[str] = []
        self.things: dict[str, list[Any]] = {
            name: [] for name in ("kind", "name", "repr", "place", "parent", "born")
        }
        self.columns: dict[str, list[int]] = {
            name: [] for name in ("kind", "time", "thing", "other", "place", "cause", "extra")
        }
        self.queued_by: dict[int, int] = {}
        self.begun: dict[int, int] = {}
        self.running = -1
        self.program = program
        self.ended = "returned"
        self.dropped = 0

    # What there is.

    def file(self, name: str, source: str | None, kind: str = "program") -> int:
        self.files.append({"name": name, "path": f"/x/{name}", "kind": kind, "source": source})
        return len(self.files) - 1

    def at(self, file: int, line: int, function: str) -> int:
        place = [file, line, function]
        if place not in self.places:
            self.places.append(place)
        return self.places.index(place)

    def string(self, text: str) -> int:
        if text not in self.strings[-50:]:
            self.strings.append(text)
        return len(self.strings) - 1 - self.strings[::-1].index(text)

    def thing(self, kind: str, name: str, place: int = -1, parent: int = -1) -> int:
        for column, value in (
            ("kind", kind),
            ("name", self.string(name)),
            ("repr", -1),
            ("place", place),
            ("parent", parent),
            ("born", len(self.columns["kind"])),
        ):
            self.things[column].append(value)
        return len(self.things["kind"]) - 1

    # What happened.

    def tell(
        self,
        kind: str,
        thing: int = -1,
        other: int = -1,
        place: int = -1,
        cause: int = -1,
        extra: int = 0,
    ) -> int:
        values = (NAMES.index(kind), self.now, thing, other, place, cause, extra)
        for column, value in zip(self.columns.values(), values, strict=True):
            column.append(value)
        self.now += 1000
        return len(self.columns["kind"]) - 1

    def here(self, cause: int = -1) -> int:
        return self.begun[self.running] if cause < 0 and self.running >= 0 else cause

    def queue(self, entry: int, place: int = -1, cause: int = -1) -> None:
        self.queued_by[entry] = self.tell("queued", entry, self.running, place, self.here(cause))

    def create(self, name: str, place: int, creator_place: int) -> int:
        task = self.thing("task", name, place, self.running)
        self.tell("created", task, self.running, creator_place, self.here())
        self.queue(task, creator_place)
        return task

    def begin(self, entry: int, place: int) -> int:
        self.running = entry
        cause = self.queued_by.pop(entry, -1)
        self.begun[entry] = self.tell("begun", entry, -1, place, cause)
        return self.begun[entry]

    def suspend(self, on: int, place: int) -> None:
        task, self.running = self.running, -1
        self.tell("suspended", task, on, place, self.begun[task])

    def end(self, how: int = 0, place: int = -1) -> None:
        entry, self.running = self.running, -1
        self.tell("ended", entry, -1, place, self.begun[entry], how)

    def finish(self, future: int, how: int = 0, place: int = -1, cause: int = -1) -> int:
        return self.tell("finished", future, self.running, place, self.here(cause), how)

    def timer(self, name: str, delay: int, place: int) -> int:
        timer = self.thing("timer", name, place, self.running)
        self.tell("timer set", timer, self.running, place, self.here(), self.now + delay)
        return timer

    def sleep(self, asked: int, slept: int) -> None:
        wait = self.tell("wait", extra=asked)
        self.now += slept
        self.tell("woke", cause=wait, extra=slept)

    def model(self) -> dict[str, Any]:
        return {
            "format": 1,
            "program": self.program,
            "python": "3.13.0",
            "platform": "linux",
            "loop": "miniloop 0.1",
            "started": "2026-01-01T00:00:00Z",
            "ended": self.ended,
            "dropped": self.dropped,
            "files": self.files,
            "places": self.places,
            "strings": self.strings,
            "things": self.things,
            "events": self.columns,
            "kinds": NAMES,
        }


KITCHEN = """\
import asyncio
import time


async def boil(name, seconds):
    await asyncio.sleep(seconds)
    return f"{name} is ready"


async def burn():
    time.sleep(0.25)
    raise ValueError("too hot")


async def main():
    rice = asyncio.create_task(boil("rice", 0.02), name="rice")
    tea = asyncio.create_task(boil("tea", 0.01), name="tea")
    oven = asyncio.create_task(burn(), name="oven")
    bell = loop.call_later(60, ring)
    reader, writer = await asyncio.open_connection("127.0.0.1", 8080)
    line = await reader.readline()
    bell.cancel()
    await rice
    print(line, tea.result())


asyncio.run(main())
"""


def kitchen() -> Story:
    """A main task and three others: a socket, timers, a late one, a failure that nobody saw."""
    story = Story("kitchen.py")
    app = story.file("kitchen.py", KITCHEN)
    at = story.at
    main_at = at(app, 15, "main")
    main = story.thing("task", "main", main_at)
    story.tell("created", main, -1, at(app, 26, "<module>"))
    story.queue(main, at(app, 26, "<module>"))
    story.tell("turn", extra=1)
    story.begin(main, main_at)
    rice = story.create("rice", at(app, 5, "boil"), at(app, 16, "main"))
    tea = story.create("tea", at(app, 5, "boil"), at(app, 17, "main"))
    oven = story.create("oven", at(app, 10, "burn"), at(app, 18, "main"))
    bell = story.timer("ring", 60_000 * MS, at(app, 19, "main"))
    socket = story.thing("descriptor", "socket 7 ('127.0.0.1', 8080)", at(app, 20, "main"), main)
    line = story.thing("future", "readline", at(app, 21, "main"), main)
    transport = story.thing("handle", "StreamTransport._read_ready", at(app, 20, "main"), main)
    story.tell("watched", socket, transport, at(app, 20, "main"), story.here(), 1)
    story.suspend(line, at(app, 21, "main"))

    story.tell("turn", extra=3)
    naps = {}
    timers = {}
    for task, delay in ((rice, 20), (tea, 10)):
        story.begin(task, at(app, 5, "boil"))
        naps[task] = story.thing("future", "sleep", at(app, 6, "boil"), task)
        timers[task] = story.timer("set_result_unless_cancelled", delay * MS, at(app, 6, "boil"))
        story.suspend(naps[task], at(app, 6, "boil"))
    story.begin(oven, at(app, 10, "burn"))
    story.now += 250 * MS
    story.finish(oven, 1, at(app, 12, "burn"))
    story.end(1, at(app, 12, "burn"))

    story.sleep(0, 3000)
    ready = story.tell("ready", socket, transport, extra=1)
    story.queue(transport, cause=ready)
    for task in (tea, rice):
        timer = timers[task]
        due = story.tell("timer due", timer, extra=240 * MS if task == tea else 230 * MS)
        story.queue(timer, cause=due)
    story.tell("turn", extra=3)
    story.begin(transport, -1)
    story.finish(line)
    story.queue(main, cause=len(story.columns["kind"]) - 1)
    story.end()
    for task in (tea, rice):
        story.begin(timers[task], at(app, 6, "boil"))
        story.finish(naps[task])
        story.queue(task, cause=len(story.columns["kind"]) - 1)
        story.end()
    story.tell("turn", extra=3)
    story.begin(main, at(app, 21, "main"))
    story.tell("timer cancelled", bell, main, at(app, 22, "main"), story.here())
    story.suspend(rice, at(app, 23, "main"))
    story.begin(tea, at(app, 6, "boil"))
    story.finish(tea)
    story.end()
    story.begin(rice, at(app, 6, "boil"))
    done = story.finish(rice)
    story.queue(main, cause=done)
    story.end()
    story.tell("swept", bell)
    story.tell("turn", extra=1)
    story.begin(main, at(app, 23, "main"))
    story.tell("unwatched", socket, transport, at(app, 24, "main"), story.here(), 1)
    story.finish(main)
    story.end()
    story.tell("unseen", oven, extra=story.string("ValueError: too hot"))
    return story


def odds() -> Story:
    """What the kitchen has not: a thread, a signal, a cancellation, an eager task, a failure."""
    story = Story("odds.py")
    story.dropped = 100
    app = story.file("odds.py", "import asyncio\n" * 20)
    at = story.at
    main = story.thing("task", "main", at(app, 1, "main"))
    story.queue(main, at(app, 20, "<module>"))
    story.tell("turn", extra=1)
    story.begin(main, at(app, 1, "main"))
    eager = story.thing("task", "eager", at(app, 7, "eager"), main)
    made = story.tell("created", eager, main, at(app, 2, "main"), story.here())
    story.queued_by[eager] = made  # it was not queued, but its begin has this cause
    story.begin(eager, at(app, 7, "eager"))
    story.suspend(-1, at(app, 8, "eager"))
    story.running = eager
    story.queue(eager, at(app, 8, "eager"), story.begun[eager])
    story.running = main
    thread = story.thing("thread", "worker 1")
    story.tell("thread busy", thread, extra=1)
    story.tell("cancel", eager, main, at(app, 3, "main"), story.here())
    story.suspend(story.thing("future", "Future", -1, main), at(app, 4, "main"))
    story.tell("turn", extra=1)
    story.begin(eager, at(app, 8, "eager"))
    story.finish(eager, 2)
    story.end(2, at(app, 8, "eager"))
    story.sleep(-1, 5 * MS)
    callback = story.thing("handle", "answer", at(app, 9, "answer"))
    handed = story.tell("handed", callback, thread, at(app, 10, "work"))
    story.queue(callback, at(app, 10, "work"), handed)
    story.tell("thread idle", thread, extra=0)
    signal = story.thing("signal", "SIGTERM")
    came = story.tell("signal", signal, extra=15)
    handler = story.thing("handle", "on_term", at(app, 11, "on_term"))
    story.queue(handler, -1, came)
    story.tell("turn", extra=2)
    story.begin(callback, at(app, 9, "answer"))
    story.tell("failed", callback, extra=story.string("KeyError: 'x'"))
    story.end(1, at(app, 9, "answer"))
    story.begin(handler, at(app, 11, "on_term"))
    story.end()
    story.ended = "cut off"
    return story


LONG = """\
import asyncio


async def worker(number, queue):
    while True:
        item = await queue.get()
        await asyncio.sleep(item)


async def main():
    queue = asyncio.Queue()
    workers = [asyncio.create_task(worker(n, queue)) for n in range(200)]
    await asyncio.gather(*workers)


asyncio.run(main())
"""


def long(steps: int, tasks: int = 200) -> Story:
    """So many steps: workers that sleep in turns, each waked by its timer."""
    story = Story("long.py")
    app = story.file("long.py", LONG)
    created, resumed, asleep = (
        story.at(app, 12, "main"),
        story.at(app, 6, "worker"),
        story.at(app, 7, "worker"),
    )
    main = story.thing("task", "main", created)
    story.queue(main, story.at(app, 16, "<module>"))
    story.tell("turn", extra=1)
    story.begin(main, story.at(app, 10, "main"))
    workers = [story.create(f"worker-{n}", resumed, created) for n in range(tasks)]
    story.suspend(story.thing("future", "gather", story.at(app, 13, "main"), main), asleep)
    ran = count(1)
    naps: dict[int, int] = {}
    timers: list[int] = []
    while next(ran) < steps:
        batch = workers if not naps else []
        due, timers = timers[:10], timers[10:]
        if due:
            story.sleep(MS, MS)
        for timer in due:
            story.queue(timer, cause=story.tell("timer due", timer, extra=1000))
        story.tell("turn", extra=len(batch) + len(due))
        wakened = []
        for timer in due:
            story.begin(timer, asleep)
            task = naps.pop(timer)
            story.queue(task, cause=story.finish(story.things["parent"][timer]))
            wakened.append(task)
            story.end()
            next(ran)
        if wakened:
            story.tell("turn", extra=len(wakened))
        for task in batch or wakened:
            story.begin(task, resumed)
            nap = story.thing("future", "sleep", asleep, task)
            timer = story.timer("set_result", 3 * MS, asleep)
            story.things["parent"][timer] = nap
            naps[timer] = task
            timers.append(timer)
            story.suspend(nap, asleep)
            next(ran)
    story.ended = "cut off"
    return story
