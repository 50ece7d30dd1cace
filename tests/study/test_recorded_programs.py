"""Real programs, recorded, opened in a browser and gone through: each page shows what happened."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from miniloop.study import page, read
from miniloop.study.causes import ROOTS, Story, chain
from tests.browser import Browser
from tests.builds import pure_only
from tests.study.opening import open_recording
from tests.study.recorded import Recorded
from tests.swap.launch import PATIENCE, ROOT, environment

pytestmark = [pure_only, pytest.mark.timeout(120)]

SERVER_UNDER_LOAD = """
    import asyncio
    from aiohttp import ClientSession, web

    async def hello(request):
        await asyncio.sleep(0.001)
        return web.Response(text="hello")

    async def main():
        app = web.Application()
        app.router.add_get("/", hello)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        async with ClientSession() as session:
            async def ask():
                for _ in range(20):
                    async with session.get(f"http://127.0.0.1:{port}/") as answer:
                        assert await answer.text() == "hello"
            await asyncio.gather(*[ask() for _ in range(10)])
        await runner.cleanup()

    asyncio.run(main())
"""

CRAWL = """
    import runpy, sys
    from pathlib import Path
    from crawler.demo.launch import running
    from crawler.demo.site import Site

    site = Site(20, plain=True)
    with running(site) as at:
        site.ordinary(at).write_list(Path("urls.txt"))
        sys.argv = ["crawler", "urls.txt", "-o", "found.txt", "--ca-file", at.ca_file]
        sys.argv += ["--loop", "miniloop"]
        runpy.run_module("crawler", run_name="__main__")
"""

DIES = """
    import asyncio

    async def fails():
        await asyncio.sleep(0.001)
        raise ValueError("no more")

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(fails(), name="fails")
            group.create_task(asyncio.sleep(60), name="waits")

    asyncio.run(main())
"""

IS_KILLED = """
    import asyncio, os, signal

    async def main():
        for _ in range(40):
            await asyncio.sleep(0.005)
        os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(main())
"""

# A program, its exit code, how the recording says that it ended, and a task of it.
PROGRAMS = {
    "tour 1": (ROOT / "docs/tour/01_send_and_yield.py", 0, "returned", "main"),
    "tour 3": (ROOT / "docs/tour/03_futures.py", 0, "returned", "cook"),
    "tour 10": (ROOT / "docs/tour/10_turn_by_turn.py", 0, "returned", "child"),
    "server": (SERVER_UNDER_LOAD, 0, "returned", "RequestHandler.start"),
    "crawl": (CRAWL, 0, "returned", "crawl"),
    "dies": (DIES, 1, "failed: ExceptionGroup", "fails"),
    "killed": (IS_KILLED, -signal.SIGKILL, "cut off", "main"),
}


def record(folder: Path, program: Path | str) -> tuple[Path, int]:
    """Run a program, and give the recording of it and its exit code."""
    if isinstance(program, str):
        (folder / "program.py").write_text(textwrap.dedent(program))
        program = folder / "program.py"
    done = subprocess.run(
        [sys.executable, "-m", "miniloop", "--record", "run.miniloop", str(program)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        timeout=2 * PATIENCE,
    )
    return folder / "run.miniloop", done.returncode


def as_the_page_has_it(told: Recorded, step: int) -> list[int]:
    """The causes of a step, with an entry and the future that it waited for in one sentence."""
    causes: list[int] = []
    for event in chain(told.model, told.steps[step]):
        if not (told.kind(event) == "finished" and causes and told.kind(causes[-1]) == "queued"):
            causes.append(event)
    shown = [*causes[:59], causes[-1]] if len(causes) > 60 else causes
    return shown if told.kind(shown[-1]) in ROOTS else [*shown, shown[-1]]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_recorded_opens_and_steps(name: str, tmp_path: Path, browser: Browser) -> None:
    program, code, ended, task = PROGRAMS[name]
    path, exit_code = record(tmp_path, program)
    assert exit_code == code
    told = Recorded(path)
    assert told.recording.ended.startswith(ended)
    if task is None:
        assert not told.steps, "it makes a loop of its own"
        return
    assert any(task in told.about(step)[0] for step in told.steps)

    page.write(read(path), tmp_path / "page.html")
    open_recording(browser, tmp_path / "page.html", 1)
    for _ in range(5):
        browser.press("ArrowRight")
    browser.press("ArrowLeft")
    assert int(browser.run("return document.getElementById('number').value")) == min(
        5, len(told.steps) - 1
    )
    browser.press("End")
    # Ten steps, from all over the program: the page has the causes that the recording has.
    chosen = [round(part * (len(told.steps) - 1) / 9) for part in range(10)]
    shown = browser.run(
        """return arguments[0].map((step) => {
          study.go(step); study.details.open("why");
          return study.details.links.map((link) => link.event);
        })""",
        chosen,
    )
    assert shown == [as_the_page_has_it(told, step) for step in chosen]
    assert browser.complaints() == []


def test_each_step_of_a_server_under_load_has_a_reason(tmp_path: Path) -> None:
    path, _ = record(tmp_path, SERVER_UNDER_LOAD)
    story = Story(read(path).model())
    roots: dict[str, int] = {}
    for number in range(story.first_step, story.first_step + len(story.steps)):
        last = chain(story.model, story.step(number))[-1]
        kind = story.kind(last)
        roots[kind] = roots.get(kind, 0) + 1
        assert "not recorded" not in story.why(number)[-1], story.why(number)
    assert roots["ready"] > 100
    assert roots["timer due"] > 100
