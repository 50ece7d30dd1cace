"""Commands for a crawl in Redis: see how it goes, stop or pause it, put its parts together.

    crawler status redis://host/name [--watch]
    crawler stop|pause|resume redis://host/name
    crawler merge redis://host/name -o FILE [PART ...]

Exit codes: 0 done, 2 bad usage, 3 the engine or a file could not be used.
"""

import argparse
import asyncio
import contextlib
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from .arguments import Parser
from .frontier import RedisStore
from .frontier.redis.store import GO_ON, PAUSE, STOP
from .merging import merge
from .output import FORMATS, format_for
from .progress import say
from .workers import AnyStore

DONE, BAD_FILE = 0, 3
REMOTE = ("status", "stop", "pause", "resume", "merge")
_ORDERS = {"stop": STOP, "pause": PAUSE, "resume": GO_ON}
WATCHED_EVERY = 1.0


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
        "merge": "Put together what the workers of a crawl in Redis have written, each page once.",
    }
    parser = Parser(prog=f"crawler {command}", description=about[command])
    parser.add_argument("state", metavar="URL", help="redis://host/name, as --state has it")
    if command == "status":
        parser.add_argument("--watch", action="store_true", help="say it again every second")
    if command == "merge":
        parser.add_argument(
            "parts",
            nargs="*",
            type=Path,
            metavar="PART",
            help="the workers' files, if they have been brought here (default: where they were)",
        )
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
        parser.add_argument("--format", choices=[*FORMATS], help="(default: as -o says)")
    return parser


async def _run(command: str, options: argparse.Namespace) -> None:
    async with RedisStore(options.state, looks_on=True) as store:
        if command in _ORDERS:
            await store.order(_ORDERS[command])
        elif command == "merge":
            form = format_for(options.output, options.format)
            given = {path.name: path for path in options.parts}
            parts = [
                (given.get(Path(name).name, Path(name)), length)
                for name, length in (await store.parts()).items()
            ]
            merge(parts, options.output, form.name)
        else:
            while True:
                print(_line(await store.status(), await store.counted()), flush=True)
                if not options.watch:
                    return
                await asyncio.sleep(WATCHED_EVERY)


def _line(now: Mapping[str, int], counts: Mapping[str, int]) -> str:
    waiting = now["open"] - now["claimed"]
    failed = sum(n for name, n in counts.items() if name.startswith("failure: "))
    return (
        f"{now['workers']} workers, {counts.get('pages', 0):,} pages, {failed:,} failed,"
        f" {waiting:,} waiting, {now['claimed']:,} claimed, {now['known']:,} known,"
        f" {now['held']:,} of {now['hosts']:,} hosts held, {now['outbox']:,} to be told"
    )
