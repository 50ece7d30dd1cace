"""The command: ``crawler [urls.txt] [-o foundurls.txt]``, also ``python -m crawler``.

The list and the output may be files, pipes or devices; ``-`` is standard input and output. What the
command says about its work goes to standard error, so that standard output can be data.

Exit codes: 0 all URLs were fetched, 1 some were not, 2 the command cannot be run as it was typed,
3 the list could not be read to its end or the output not be written, 130 interrupted by Ctrl-C (143
by SIGTERM), with all that was found until then in the file, 141 nobody read the output any more.
"""

import argparse
import asyncio
import os
import signal
import ssl
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .crawl import crawl
from .files import DEFAULT_OUTPUT, Files, check_files
from .frontier import count_urls
from .http import Client, HTTPError, Limits, Retry, tls_context
from .http.proxy import Proxies
from .loops import LoopFactory, UnknownLoop, loop_factory
from .memory import keep_freed_memory
from .progress import progress, say
from .summary import Summary
from .threads import AbandonableThreads

ALL_FETCHED, SOME_FAILED, BAD_USAGE, BAD_FILE = 0, 1, 2, 3
MAX_THREADS = 128
# Files that are open besides one socket for each page in work: a loop's own, the list, the output,
# standard streams, second attempts at a connection.
OTHER_FILES = 64
_SIGNAL_BASE = 128  # a shell reports death by signal N as 128 + N


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    if sys.stderr is None:  # closed by whoever started us
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        factory = loop_factory(options.loop)
        tls = _tls_context(options)
        Proxies(options.proxy, environment=True)  # says now what is wrong with one
        files = check_files(options.urls, options.output, options.summary)
        _allow_sockets(options.concurrency)
        if options.output is None and (kept := files.keep_former_output()) is not None:
            say(f"{parser.prog}: the former {files.output} is {kept} now", sys.stderr)
    except (UnknownLoop, OSError, HTTPError) as error:
        say(f"{parser.prog}: error: {error}", sys.stderr)
        return BAD_USAGE
    if options.insecure:
        say(f"{parser.prog}: warning: certificates are not verified (--insecure)", sys.stderr)
    keep_freed_memory()
    try:
        return _run(options, files, factory, tls)
    except KeyboardInterrupt:  # a second Ctrl-C, while the first was being obeyed
        return _SIGNAL_BASE + signal.SIGINT


def _run(
    options: argparse.Namespace, files: Files, factory: LoopFactory, tls: ssl.SSLContext
) -> int:
    summary = Summary()
    code: int | None = None
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            stopped_by = runner.run(_crawl_until_signal(options, files, tls, summary))
            if stopped_by is not None:
                code = _SIGNAL_BASE + stopped_by
    except* BrokenPipeError:
        code = _SIGNAL_BASE + signal.SIGPIPE  # as for "| head", which has read all that it wants
    except* OSError as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        say(f"crawler: the crawl cannot go on: {first}", sys.stderr)
        code = BAD_FILE
    say("\n".join(summary.lines()), sys.stderr)
    try:
        files.write_summary(summary.json() + "\n")
    except OSError as error:
        say(f"crawler: cannot write the summary: {error}", sys.stderr)
        code = code or BAD_FILE
    if code is not None:
        return code
    return SOME_FAILED if summary.failed or summary.malformed else ALL_FETCHED


async def _crawl_until_signal(
    options: argparse.Namespace, files: Files, tls: ssl.SSLContext, summary: Summary
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
    # list of many hosts would wait for those.
    loop.set_default_executor(AbandonableThreads(min(options.concurrency + 2, MAX_THREADS)))
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # not POSIX: there the Runner turns Ctrl-C into cancel()
            break
    with progress(str(options.urls), count_urls(files.urls)) as observer:
        try:
            async with _client(options, tls) as client:
                await crawl(
                    files.urls,
                    files.found,
                    client,
                    observer,
                    concurrency=options.concurrency,
                    append=options.append,
                    summary=summary,
                )
        except asyncio.CancelledError:
            summary.interrupted = True
            return received[0] if received else signal.SIGINT
    return None


def _client(options: argparse.Namespace, tls: ssl.SSLContext) -> Client:
    return Client(
        limits=_limits(options),
        tls=tls,
        user_agent=options.user_agent,
        cookies=options.cookies,
        proxy=options.proxy,
        proxy_from_environment=True,
        retry=Retry(times=options.retries) if options.retries else None,
        # A crawl carries no secrets, and sites do send people back to http.
        downgrade=True,
    )


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


def _tls_context(options: argparse.Namespace) -> ssl.SSLContext:
    return tls_context(
        ca_file=options.ca_file,
        certificate=options.cert,
        key=options.key,
        verify=not options.insecure,
    )


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
        epilog="Exit codes: 0 all fetched, 1 some failed, 2 bad usage, 3 a file failed,"
        " 130 interrupted.",
    )
    parser.add_argument(
        "urls",
        nargs="?",
        type=Path,
        default=Path("urls.txt"),
        help="the list: one URL a line, # starts a comment, - is standard input"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write source_url<TAB>parsed_url lines, - is standard output; a file of that"
        f" name is replaced (default: {DEFAULT_OUTPUT}, and the former one is kept)",
    )
    parser.add_argument(
        "--append", action="store_true", help="add to the output instead of replacing it"
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
    parser.add_argument(
        "--cert", type=Path, metavar="FILE", help="PEM file with a certificate to show to servers"
    )
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="PEM file with its key, if that is another file"
    )
    parser.add_argument(
        "-k",
        "--insecure",
        action="store_true",
        help="take any certificate: whoever is on the way can then read and change what is sent",
    )
    parser.add_argument(
        "--proxy",
        metavar="URL",
        help="http://… or socks5://… (default: what HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY"
        " say)",
    )
    parser.add_argument(
        "--retries",
        type=_count,
        default=0,
        metavar="N",
        help="how often to repeat what failed for a reason that may pass (default: %(default)s)",
    )
    parser.add_argument(
        "--cookies", action="store_true", help="keep the cookies that sites set, and send them"
    )
    parser.add_argument(
        "--user-agent",
        type=_field_value,
        default="crawler",
        metavar="TEXT",
        help="who to say that we are (default: %(default)s)",
    )
    return parser


def _whole_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    return 0 if text == "0" else _whole_number(text)


def _field_value(text: str) -> str:
    if not text.isascii() or not text.isprintable() or not text.strip():
        raise argparse.ArgumentTypeError(f"must be printable ASCII, got {text!r}")
    return text.strip()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return seconds
