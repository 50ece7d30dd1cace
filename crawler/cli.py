"""The command: ``crawler [urls.txt | URL ...] [-o foundurls.txt]``, also ``python -m crawler``.

``crawler fetch URL`` is a command of its own, see :mod:`crawler.fetch`.

The list and the output may be files, pipes or devices; ``-`` is standard input and output. What the
command says about its work goes to standard error, so that standard output can be data.

Exit codes: 0 all URLs were fetched, 1 some were not, 2 the command cannot be run as it was typed,
3 the list could not be read to its end or the output not be written, 130 interrupted by Ctrl-C (143
by SIGTERM), with all that was found until then in the file, 141 nobody read the output any more.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import ssl
import sys
from collections.abc import Sequence

from .configuration import parse
from .crawl import Watcher, crawl
from .drawing import draw, report
from .drawing import make_parser as make_report_parser
from .fetch import fetch
from .fetch import make_parser as make_fetch_parser
from .files import Files, check_files
from .frontier import Guard, Journal, State, count_urls
from .http import HTTPError
from .http.proxy import Proxies
from .loops import LoopFactory, UnknownLoop, loop_factory
from .memory import keep_freed_memory
from .options import make_client, make_parser, manners_of, scope_of, terms_of, tls_of, urls_of
from .output import format_for
from .progress import say
from .report import Reporter
from .summary import Summary
from .threads import AbandonableThreads
from .view import progress

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
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["fetch"]:
        return fetch(arguments[1:])
    if arguments[:1] == ["report"]:
        return report(arguments[1:])
    parser = make_parser()
    options = parse(parser, arguments)
    if options.print_completion:
        return _print_completion(options.print_completion)
    if options.config is not None and not options.quiet:
        say(f"{parser.prog}: options from {options.config}", sys.stderr)
    with contextlib.ExitStack() as stack:
        try:
            factory = loop_factory(options.loop)
            tls = tls_of(options)
            Proxies(options.proxy, environment=True)  # says now what is wrong with one
            files = check_files(urls_of(options), options.output, options.summary, options.report)
            _allow_sockets(options.concurrency)
            form = format_for(files.output, options.format)
            files.check_form(form)
            state = _state(options, files)
            journal = None if state is None else stack.enter_context(state)
            own_name = options.output is None and (journal is None or not journal.written)
            if own_name and (kept := files.keep_former_output()) is not None:
                say(f"{parser.prog}: the former {files.output} is {kept} now", sys.stderr)
        except (UnknownLoop, OSError, HTTPError) as error:
            say(f"{parser.prog}: error: {error}", sys.stderr)
            return BAD_USAGE
        if options.insecure:
            say(f"{parser.prog}: warning: certificates are not verified (--insecure)", sys.stderr)
        keep_freed_memory()
        try:
            return _run(options, files, factory, tls, journal)
        except KeyboardInterrupt:  # a second Ctrl-C, while the first was being obeyed
            return _SIGNAL_BASE + signal.SIGINT


def _print_completion(shell: str) -> int:
    from .completion import completion  # a need of few

    others = {"fetch": make_fetch_parser(), "report": make_report_parser()}
    print(completion(make_parser(others), shell))
    return ALL_FETCHED


def _state(options: argparse.Namespace, files: Files) -> State | None:
    """The state of the crawl, if it is to have one; raises OSError for what does not go with it."""
    if options.state is None:
        if options.resume:
            raise OSError("--resume needs the --state to go on with")
        return None
    if options.append:
        raise OSError("--append and --state do not go together: --resume adds what is missing")
    if isinstance(files.found, int) or (files.found.exists() and not files.found.is_file()):
        raise OSError(f"with --state the output must be a file, not {files.output}")
    return State(
        options.state, files.output, resume=options.resume, terms=terms_of(options, files.output)
    )


def _run(
    options: argparse.Namespace,
    files: Files,
    factory: LoopFactory,
    tls: ssl.SSLContext,
    journal: Journal | None,
) -> int:
    summary = Summary()
    reporter = None if files.report is None else Reporter()
    resumed = journal is not None and journal.written > 0
    code: int | None = None
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            stopped_by = runner.run(
                _crawl_until_signal(options, files, tls, journal, summary, reporter)
            )
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
    if not options.quiet:
        say("\n".join(summary.lines()), sys.stderr)
    try:
        files.write_summary(summary.json() + "\n")
    except OSError as error:
        say(f"crawler: cannot write the summary: {error}", sys.stderr)
        code = code or BAD_FILE
    if reporter is not None:
        try:
            form = format_for(files.output, options.format)
            draw(reporter, files, summary, form=form, resumed=resumed)
        except OSError as error:
            say(f"crawler: cannot write the report: {error}", sys.stderr)
            code = code or BAD_FILE
    if code is not None:
        return code
    return SOME_FAILED if summary.failed or summary.malformed else ALL_FETCHED


async def _crawl_until_signal(
    options: argparse.Namespace,
    files: Files,
    tls: ssl.SSLContext,
    journal: Journal | None,
    summary: Summary,
    reporter: Reporter | None,
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
    form = format_for(files.output, options.format)
    guard = Guard()
    total = None if options.depth else count_urls(files.urls)
    with progress(files.name, total, quiet=options.quiet, verbose=options.verbose) as observer:
        watchers: list[Watcher] = [observer] if observer.watches else []
        if reporter is not None:
            watchers.append(reporter)
        try:
            timings = reporter is not None
            async with make_client(options, tls, guard, form, timings=timings) as client:
                await crawl(
                    files.urls,
                    files.found,
                    client,
                    observer,
                    concurrency=options.concurrency,
                    append=options.append,
                    kinds=options.links,
                    scope=scope_of(options),
                    manners=manners_of(options),
                    guard=guard,
                    form=form,
                    journal=journal,
                    summary=summary,
                    watchers=watchers,
                )
        except asyncio.CancelledError:
            summary.interrupted = True
            return received[0] if received else signal.SIGINT
    return None


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
