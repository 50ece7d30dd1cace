"""The laws of the house: who may import whom. The checker itself is tested on made-up trees."""

from __future__ import annotations

import asyncio
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

from tests.layering import (
    ASYNCIO_INTERNALS,
    LOOP_INDEPENDENT,
    breaches,
    imports_in,
    private_names_from_elsewhere,
)

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Of a backport, the part of its name that is imported.
CRAWLER_EXTRA = {
    re.split(r"[^\w-]", requirement)[0].replace("-", "_")
    for requirement in PROJECT["optional-dependencies"]["crawler"]
}


def test_this_project_keeps_its_own_laws() -> None:
    found = breaches(ROOT, CRAWLER_EXTRA)
    assert not found, "\n".join(found)


def test_the_loop_uses_of_other_files_only_what_the_contract_declares() -> None:
    found = list(private_names_from_elsewhere(ROOT))
    assert not found, "\n".join(found)


def test_a_private_name_of_another_file_would_be_found(tmp_path: Path) -> None:
    write(tmp_path, "miniloop/kernel/contract.py", "class Loop: _ready: list")
    use = "import asyncio\ndef use(loop): loop._ready, loop.timers._heap, asyncio.tasks._private"
    for file in ("kernel/task.py", "net/stream.py", "system/process.py", "study/waits.py"):
        write(tmp_path, f"miniloop/{file}", use)
    found = ["task.py:2: _heap", "stream.py:2: _heap", "process.py:2: _heap"]
    assert sorted(private_names_from_elsewhere(tmp_path)) == sorted(found)


def test_what_the_crawler_extra_declares_is_what_the_crawler_imports() -> None:
    imported = {found.top for found in imports_in(ROOT, "crawler")}
    assert imported >= CRAWLER_EXTRA, f"never imported: {sorted(CRAWLER_EXTRA - imported)}"


def test_miniloop_itself_depends_on_nothing() -> None:
    assert PROJECT["dependencies"] == []


def test_the_tables_know_every_module_of_this_pythons_asyncio() -> None:
    # A new Python may bring a new module; somebody has to say which kind it is.
    present = {module.name for module in pkgutil.iter_modules(asyncio.__path__)} - {"__main__"}
    assert present <= LOOP_INDEPENDENT | ASYNCIO_INTERNALS
    assert not LOOP_INDEPENDENT & ASYNCIO_INTERNALS


def write(root: Path, file: str, source: str) -> Path:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(source, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("miniloop/kernel/task.py", "import miniloop.net.stream"),
        ("miniloop/kernel/task.py", "from miniloop import loop"),
        ("miniloop/kernel/task.py", "from miniloop import EventLoop"),
        ("miniloop/kernel/task.py", "from ..net import stream"),
        ("miniloop/kernel/task.py", "from .. import system"),
        ("miniloop/kernel/__init__.py", "from ..net.stream import StreamTransport"),
        ("miniloop/kernel/deep/down.py", "from ...loop import EventLoop"),
        ("miniloop/kernel/task.py", "def late():\n    import miniloop.loop"),
        ("miniloop/kernel/task.py", "if TYPE_CHECKING:\n    from miniloop.loop import EventLoop"),
        ("miniloop/kernel/task.py", "import importlib\nimportlib.import_module('miniloop.net')"),
        ("miniloop/kernel/task.py", "__import__('miniloop.system.signals')"),
        ("miniloop/net/tls.py", "from miniloop.system import signals"),
        ("miniloop/net/tls.py", "from miniloop.loop import EventLoop"),
        ("miniloop/system/process.py", "from miniloop.net import pipe"),
        ("miniloop/loop.py", "from miniloop.policy import EventLoopPolicy"),
        ("miniloop/loop.py", "import crawler"),
        ("miniloop/loop.py", "import uvloop"),
        ("miniloop/unheard_of.py", "from miniloop.kernel import task"),
        ("miniloop/net/tls.py", "from asyncio.sslproto import SSLProtocol"),
        ("miniloop/net/tls.py", "from asyncio import sslproto"),
        ("miniloop/net/tls.py", "import asyncio\nasyncio.sslproto.SSLProtocol"),
        ("miniloop/net/tls.py", "import asyncio as aio\naio.selector_events"),
        ("miniloop/loop.py", "import asyncio\nclass L(asyncio.BaseEventLoop): pass"),
        ("miniloop/loop.py", "from asyncio import SelectorEventLoop"),
        ("miniloop/policy.py", "from asyncio.unix_events import DefaultEventLoopPolicy"),
        ("crawler/crawl.py", "import miniloop"),
        ("crawler/http/pool.py", "from miniloop import run"),
        ("crawler/crawl.py", "import importlib\nimportlib.import_module('miniloop')"),
        ("crawler/crawl.py", "import requests"),
        ("crawler/crawl.py", "from asyncio import _set_running_loop"),
        ("crawler/crawl.py", "import asyncio.selector_events"),
        ("crawler/crawl.py", "import benchmarks"),
        ("crawler/http/client.py", "from crawler.page import find_links"),
        ("crawler/page/links.py", "import crawler.frontier.order"),
        ("crawler/frontier/order.py", "from crawler import output"),
    ],
)
def test_a_forbidden_import_is_found_with_its_line(file: str, source: str, tmp_path: Path) -> None:
    found = breaches(write(tmp_path, file, source), {"h11"})
    line = len(source.splitlines())
    assert len(found) == 1
    assert found[0].startswith(f"{file}:{line}: ")


FOR_CHECKERS = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "


@pytest.mark.parametrize(
    "sources",
    [
        {"a": "from miniloop.kernel.b import B", "b": "from miniloop.kernel.a import A"},
        {"a": "from miniloop.kernel import b", "b": FOR_CHECKERS + "from .a import A"},
        {"a": FOR_CHECKERS + "from . import b", "b": FOR_CHECKERS + "from .a import A"},
        {"a": "from .b import B", "b": "def late():\n    from miniloop.kernel import a"},
        {"a": "from .b import B", "b": "from .c import C", "c": FOR_CHECKERS + "from .a import A"},
        {"a": "import miniloop.kernel", "__init__": "from miniloop.kernel.a import A"},
        {"top": "from .a import A", "a": "from .b import B", "b": "from .a import A"},
    ],
)
def test_a_circle_of_imports_is_found_whatever_they_are_for(
    sources: dict[str, str], tmp_path: Path
) -> None:
    for name, source in sources.items():
        write(tmp_path, f"miniloop/kernel/{name}.py", source)
    (found,) = breaches(tmp_path, set())
    assert ": a circle of imports: miniloop/kernel/" in found
    assert set(re.findall(r"(\w+)\.py", found.split("imports: ")[1])) == sources.keys() - {"top"}


def test_an_arrow_that_points_up_in_the_kernel_for_checkers_only_is_found(tmp_path: Path) -> None:
    write(tmp_path, "miniloop/kernel/scheduler.py", "from miniloop.kernel.handle import Handle")
    up = FOR_CHECKERS + "from miniloop.kernel.scheduler import Scheduler"
    write(tmp_path, "miniloop/kernel/handle.py", up)
    (found,) = breaches(tmp_path, set())
    assert found == (
        "miniloop/kernel/handle.py:3: a circle of imports: miniloop/kernel/handle.py"
        " -> miniloop/kernel/scheduler.py -> miniloop/kernel/handle.py"
    )


def test_files_that_meet_again_further_down_are_no_circle(tmp_path: Path) -> None:
    write(tmp_path, "miniloop/kernel/top.py", "from .left import L\nfrom .right import R")
    write(tmp_path, "miniloop/kernel/left.py", FOR_CHECKERS + "from .bottom import B")
    write(tmp_path, "miniloop/kernel/right.py", "from .bottom import B")
    write(tmp_path, "miniloop/kernel/bottom.py", "import miniloop.kernel.bottom")
    assert breaches(tmp_path, set()) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("miniloop/kernel/task.py", "from miniloop.kernel.future import Future"),
        ("miniloop/kernel/task.py", "from . import future\nfrom .future import Future"),
        ("miniloop/net/tls.py", "from miniloop.kernel import handle\nfrom .stream import Stream"),
        ("miniloop/system/process.py", "from ..kernel.future import Future"),
        ("miniloop/loop.py", "from miniloop.net import tls\nfrom miniloop.system import signals"),
        ("miniloop/policy.py", "from miniloop.loop import EventLoop"),
        ("miniloop/__init__.py", "from miniloop.loop import EventLoop\nimport miniloop.policy"),
        ("miniloop/__main__.py", "import miniloop\nimport runpy"),
        ("miniloop/loop.py", "import asyncio, ssl\nasyncio.Protocol\nasyncio.events.Handle"),
        ("miniloop/kernel/task.py", "from asyncio.tasks import _enter_task"),
        ("crawler/loops.py", "import miniloop"),
        ("crawler/crawl.py", "import asyncio, h11\nfrom crawler.http import get\nfrom . import x"),
        ("benchmarks/ablation.py", "import miniloop.kernel.task, asyncio.selector_events, uvloop"),
    ],
)
def test_a_permitted_import_is_let_through(file: str, source: str, tmp_path: Path) -> None:
    assert breaches(write(tmp_path, file, source), {"h11"}) == []
