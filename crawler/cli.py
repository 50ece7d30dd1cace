"""The command: ``crawler [urls.txt] [-o foundurls.txt]``, also ``python -m crawler``.

Exit codes: 0 all URLs were fetched, 1 some were not, 2 the command cannot be run as it was typed,
130 interrupted by Ctrl-C (143 by SIGTERM), with all that was found until then in the file.
"""

import argparse
import asyncio
import signal
import ssl
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from .crawl import crawl
from .frontier import count_urls
from .http import Client, Limits
from .loops import LoopFactory, UnknownLoop, loop_factory
from .memory import keep_freed_memory
from .progress import progress
from .summary import Summary

ALL_FETCHED, SOME_FAILED, BAD_USAGE = 0, 1, 2
MAX_THREADS = 128
# Files that are open besides one socket for each page in work: a loop's own, the list, the output,
# standard streams, second attempts at a connection.
OTHER_FILES = 64
_SIGNAL_BASE = 128  # a shell reports death by signal N as 128 + N


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        factory = loop_factory(options.loop)
        tls = _tls_context(options.ca_file)
        _check_files(options.urls, options.output)
        _allow_sockets(options.concurrency)
    except (UnknownLoop, OSError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return BAD_USAGE
    keep_freed_memory()
    try:
        return _run(options, factory, tls)
    except KeyboardInterrupt:  # a second Ctrl-C, while the first was being obeyed
        return _SIGNAL_BASE + signal.SIGINT


def _run(options: argparse.Namespace, factory: LoopFactory, tls: ssl.SSLContext) -> int:
    summary = Summary()
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            stopped_by = runner.run(_crawl_until_signal(options, tls, summary))
    except* OSError as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        print(f"crawler: the crawl cannot go on: {first}", file=sys.stderr)
        stopped_by = None
        summary.failures["output"] += 1
    print("\n".join(summary.lines()), flush=True)
    if options.summary is not None:
        options.summary.write_text(summary.json(), encoding="utf-8")
    if stopped_by is not None:
        return _SIGNAL_BASE + stopped_by
    return SOME_FAILED if summary.failed or summary.malformed else ALL_FETCHED


async def _crawl_until_signal(
    options: argparse.Namespace, tls: ssl.SSLContext, summary: Summary
) -> int | None:
    """Crawl; returns the signal that ended it early, or None."""
    task = asyncio.current_task()
    assert task is not None
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        loop.remove_signal_handler(number)  # the next one has its usual, immediate effect
        task.cancel()

    loop = asyncio.get_running_loop()
    # Names are resolved in threads, a page's name at a time: with the usual handful of threads a
    # list of many hosts would wait for those. They are started as they are needed.
    loop.set_default_executor(ThreadPoolExecutor(min(options.concurrency + 1, MAX_THREADS)))
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # not POSIX: there the Runner turns Ctrl-C into cancel()
            break
    with progress(str(options.urls), count_urls(options.urls)) as observer:
        try:
            async with Client(limits=_limits(options), tls=tls) as client:
                await crawl(
                    options.urls,
                    options.output,
                    client,
                    observer,
                    concurrency=options.concurrency,
                    summary=summary,
                )
        except asyncio.CancelledError:
            summary.interrupted = True
            return received[0] if received else signal.SIGINT
    return None


def _limits(options: argparse.Namespace) -> Limits:
    usual = Limits()
    return replace(
        usual,
        connections=options.concurrency,
        per_origin=options.per_host or options.concurrency,
        connect=min(usual.connect, options.timeout),
        read=min(usual.read, options.timeout),
        total=options.timeout,
        body=options.max_size,
    )


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one too
            raise OSError(f"cannot read certificates from {ca_file}: {error}") from error
    return context


def _check_files(urls: Path, output: Path) -> None:
    """Raise OSError, in words, for a list that cannot be read or an output that makes no sense."""
    try:
        urls.open("rb").close()
    except OSError as error:
        raise OSError(f"cannot read the list of URLs {urls}: {error.strerror}") from error
    if output.exists() and output.samefile(urls):
        raise OSError(f"the output {output} is the list of URLs itself")
    try:
        output.open("ab").close()
    except OSError as error:
        raise OSError(f"cannot write {output}: {error.strerror}") from error


def _allow_sockets(concurrency: int) -> None:
    """See to it that the process may open a socket for every page in work."""
    if sys.platform == "win32":
        return  # no such limit
    import resource

    needed = concurrency + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise OSError(
            f"--concurrency may be {hard - OTHER_FILES} at most, as this system allows a process"
            f" {hard} open files (ulimit -Hn); got {concurrency}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="crawler",
        description="Fetch the pages listed in a file and write down the links they hold.",
        epilog="Exit codes: 0 all fetched, 1 some failed, 2 bad usage, 130 interrupted.",
    )
    parser.add_argument(
        "urls",
        nargs="?",
        type=Path,
        default=Path("urls.txt"),
        help="the list: one URL a line, # starts a comment (default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("foundurls.txt"),
        metavar="FILE",
        help="where to write source_url<TAB>parsed_url lines (default: %(default)s)",
    )
    parser.add_argument(
        "--loop",
        default="miniloop",
        metavar="NAME",
        help="miniloop, asyncio, uvloop or module:factory (default: %(default)s)",
    )
    parser.add_argument(
        "--concurrency",
        type=_whole_number,
        default=100,
        metavar="N",
        help="pages in work at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--per-host",
        type=_whole_number,
        metavar="N",
        help="connections to one host at a time (default: as many as --concurrency)",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="seconds that one page may take, redirects included (default: %(default)g)",
    )
    parser.add_argument(
        "--max-size",
        type=_whole_number,
        default=Limits().body,
        metavar="BYTES",
        help="the largest page, decompressed (default: %(default)s)",
    )
    parser.add_argument(
        "--summary",
        type=Path,
        metavar="FILE",
        help="write the summary there as well, as JSON",
    )
    parser.add_argument(
        "--ca-file",
        type=Path,
        metavar="FILE",
        help="PEM file of certificates to trust besides those of the system",
    )
    return parser


def _whole_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return seconds
