"""Commands for a crawl in Redis: see how it goes, stop or pause it, put its parts together.

    crawler status redis://host/name [--watch] [--json]
    crawler stop|pause|resume redis://host/name
    crawler merge redis://host/name -o FILE [PART ...]
    crawler report redis://host/name -o FILE [PART ...]

Exit codes: 0 done, 2 bad usage, 3 the engine or a file could not be used.
"""

import argparse
import asyncio
import contextlib
import json
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from .arguments import Parser
from .drawing import tally_of
from .frontier import RedisStore
from .frontier.redis.status import EngineStatus, Status, WorkerStatus
from .frontier.redis.store import GO_ON, PAUSE, STOP
from .merging import merge
from .output import FORMATS, format_for
from .progress import say
from .report import About, render
from .workers import AnyStore

DONE, BAD_FILE = 0, 3
REMOTE = ("status", "stop", "pause", "resume", "merge", "report")
_ORDERS = {"stop": STOP, "pause": PAUSE, "resume": GO_ON}
# Seconds between two looks at a crawl; how many workers and shards are shown one by one.
WATCHED_EVERY, SHOWN = 1.0, 20


def part_of(output: Path) -> Path:
    """A name for the file of one worker that nobody else has, on whatever machine."""
    return Path(f"{output.absolute()}.{socket.gethostname()}-{secrets.token_hex(4)}")


@contextlib.asynccontextmanager
async def connected(store: AnyStore, *, warns: bool = False) -> AsyncIterator[None]:
    """A store that this loop can use; ``warns`` of settings that are no good."""
    if isinstance(store, RedisStore):
        async with store:
            if warns:
                for text in await store.warnings():
                    say(f"crawler: warning: {text}", sys.stderr)
            yield
    else:
        yield


def remote(arguments: Sequence[str]) -> int:
    """Run one of these commands and return its exit code."""
    # Intermixed: the parts of `merge` stand behind the name of what is made of them.
    options = make_parser(arguments[0]).parse_intermixed_args(arguments[1:])
    try:
        asyncio.run(_run(arguments[0], options))
    except OSError as error:
        say(f"crawler {arguments[0]}: {error}", sys.stderr)
        return BAD_FILE
    except KeyboardInterrupt:  # how one ends --watch
        pass
    return DONE


def make_parser(command: str) -> Parser:
    """The parser of a command's arguments."""
    about = {
        "status": "Say how a crawl in Redis goes.",
        "stop": "Have all workers of a crawl in Redis finish what they are at, and end.",
        "pause": "Have all workers of a crawl in Redis begin nothing more.",
        "resume": "Have the workers of a crawl in Redis go on, or allow others to after a stop.",
        "report": "Draw what all workers of a crawl in Redis have written as records, in one page.",
        "merge": "Put together what the workers of a crawl in Redis have written, each page once.",
    }
    parser = Parser(prog=f"crawler {command}", description=about[command])
    parser.add_argument("state", metavar="URL", help="redis://host/name, as --state has it")
    if command == "status":
        parser.add_argument("--watch", action="store_true", help="say it again every second")
        parser.add_argument("--json", action="store_true", help="say it as a JSON object on a line")
    if command in ("merge", "report"):
        parser.add_argument(
            "parts",
            nargs="*",
            type=Path,
            metavar="PART",
            help="the workers' files, if they have been brought here (default: where they were)",
        )
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    if command == "merge":
        parser.add_argument("--format", choices=[*FORMATS], help="(default: as -o says)")
    return parser


async def _run(command: str, options: argparse.Namespace) -> None:
    async with RedisStore(options.state, looks_on=True) as store:
        if command in _ORDERS:
            await store.order(_ORDERS[command])
        elif command == "merge":
            form = format_for(options.output, options.format)
            merge(_brought(await store.parts(), options.parts), options.output, form.name)
        elif command == "report":
            tally, notes = tally_of(_brought(await store.parts(), options.parts), "jsonl")
            about = About(f"the crawl {store.name}", took=tally.lasted, note=" ".join(notes))
            options.output.write_text(render(tally, about), encoding="utf-8")
        else:
            await _show(store, watch=options.watch, as_json=options.json)


async def parts_of(store: RedisStore) -> list[tuple[Path, int]]:
    """The files that the workers of a crawl have written, and how much of each counts."""
    async with store.looking_on() as looking:
        return _brought(await looking.parts(), ())


def _brought(parts: Mapping[str, int], given: Sequence[Path]) -> list[tuple[Path, int]]:
    """Files where they were written, or as they were brought here, under the same names."""
    here = {path.name: path for path in given}
    return [(here.get(Path(name).name, Path(name)), length) for name, length in parts.items()]


async def _show(store: RedisStore, *, watch: bool, as_json: bool) -> None:
    before = await store.status()
    while True:
        # Two looks make a rate, where there is one.
        if before.workers or watch:
            await asyncio.sleep(WATCHED_EVERY)
        now = await store.status()
        if as_json:
            print(json.dumps(now.json(before)), flush=True)
        else:
            if watch and sys.stdout.isatty():
                print("\x1b[H\x1b[J", end="")
            print("\n".join(_lines(now, before)), flush=True)
        if not watch or (now.mode == "over" and not now.workers):
            return
        before = now


def _lines(now: Status, before: Status) -> list[str]:
    """The state of a crawl in words; rates are those since ``before``."""
    rates = now.rates(before)
    total = now.total
    lag = max((shard.lag for shard in now.shards), default=0.0)
    text = [
        f"crawl      {now.url}, {now.mode}",
        f"URLs       {total('known'):,} known, {now.done:,} done, {total('waiting'):,} waiting,"
        f" {total('claimed'):,} claimed, {total('retold'):,} to be told again",
        f"pages      {now.counts.get('pages', 0):,}, {sum(rates.values()):,.1f} pages/s",
        f"links      {now.counts.get('links', 0):,}",
        f"failures   {sum(now.failures.values()):,}",
        *(f"  {reason:<20} {n:,}" for reason, n in now.failures.items()),
        f"hosts      {total('hosts'):,} with pages to do, {total('free'):,} of them free,"
        f" {total('ready'):,} of those ready, the first for {lag:.1f} s",
        _engine(now.engine),
        f"workers    {len(now.workers)}"
        + f", {now.feeders} reading a list" * bool(now.feeders)
        + f", {now.dying} being buried" * bool(now.dying),
        *(_worker(worker, rates[worker.number], now.mode) for worker in now.workers[:SHOWN]),
    ]
    text += [f"  and {len(now.workers) - SHOWN} more"] * (len(now.workers) > SHOWN)
    waiting = " ".join(f"{n}:{shard.waiting:,}" for n, shard in enumerate(now.shards[:SHOWN]))
    text.append(f"shards     {waiting}" + " ..." * (len(now.shards) > SHOWN))
    return [*text, *(f"  {waiting:,} wait at {host}" for host, waiting in now.longest)]


def _engine(engine: EngineStatus) -> str:
    limit = f" of {engine.limit / 1e6:,.0f}" if engine.limit else ""
    milliseconds = engine.answered * 1000
    text = f"engine     {engine.memory / 1e6:,.1f}{limit} MB, answers in {milliseconds:.1f} ms"
    if engine.replicas:
        text += f", {engine.replicas} replicas, {engine.behind:,} bytes behind"
    return text


def _worker(worker: WorkerStatus, rate: float, mode: str) -> str:
    return (
        f"  {worker.number:<6} {worker.about}: {worker.pages:,} pages, {rate:,.1f}/s,"
        f" {worker.held:,} hosts, heard {worker.silent:.1f} s ago of {worker.lease:g}"
        + f", {mode}" * worker.obeys
        + ", has nothing to do" * worker.hungry
    )
