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
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .configuration import parse, placed
from .crawl import Observer, Watcher, crawl
from .drawing import can_be_drawn, draw, report
from .drawing import make_parser as make_report_parser
from .fetch import fetch
from .fetch import make_parser as make_fetch_parser
from .fetching import Departures
from .files import Files, check_files
from .frontier import (
    Fenced,
    Guard,
    Malformed,
    RedisStore,
    SharedFrontier,
    SQLiteStore,
    count_urls,
    feed,
)
from .frontier.reasons import NO_SPACE, reason
from .frontier.shared import LAST_LOOK, LAST_LOOK_AT_FILE
from .http import HTTPError, suffixes
from .http.proxy import Proxies
from .loops import LoopFactory, UnknownLoop, loop_factory
from .memory import keep_freed_memory
from .options import (
    is_redis,
    make_client,
    make_parser,
    manners_of,
    rules_of,
    scope_of,
    terms_of,
    tls_of,
    urls_of,
)
from .output import format_for
from .progress import PlainProgress, say, silence
from .remote import REMOTE, connected, part_of, parts_of, remote
from .remote import make_parser as make_remote_parser
from .report import Reporter
from .summary import Summary
from .threads import AbandonableThreads
from .view import progress
from .workers import AnyStore, Crew, Reports, Worker, forked

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
    if arguments and arguments[0] in REMOTE and any(map(is_redis, arguments[1:])):
        return remote(arguments)
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
            state_file = options.state if isinstance(options.state, Path) else None
            files = check_files(
                urls_of(options), options.output, options.summary, options.report, state_file,
                apart=isinstance(options.state, str),
            )  # fmt: skip
            _allow_sockets(options.concurrency)
            form = format_for(files.output, options.format)
            goes_on = options.append or options.state is not None or options.workers > 1
            files.check_form(form, goes_on=goes_on)
            store = _state(options, files, stack)
            if isinstance(store, SQLiteStore):
                stack.enter_context(store)
            own_name = options.output is None and (store is None or store.is_new)
            if own_name and (kept := files.keep_former_output()) is not None:
                say(f"{parser.prog}: the former {files.output} is {kept} now", sys.stderr)
        except (UnknownLoop, OSError, HTTPError) as error:
            say(f"{parser.prog}: error: {placed(reason(error), options)}", sys.stderr)
            return BAD_USAGE
        if options.insecure:
            say(f"{parser.prog}: warning: certificates are not verified (--insecure)", sys.stderr)
        keep_freed_memory()
        try:
            return _run(Task(options, files, tls, store), factory)
        except KeyboardInterrupt:  # a second Ctrl-C, while the first was being obeyed
            return _SIGNAL_BASE + signal.SIGINT
        except UnknownLoop as error:
            say(f"{parser.prog}: error: {placed(str(error), options)}", sys.stderr)
            return BAD_USAGE


def _print_completion(shell: str) -> int:
    from .completion import completion  # a need of few

    others = {name: make_remote_parser(name) for name in REMOTE}
    others |= {"fetch": make_fetch_parser(), "report": make_report_parser()}
    try:
        print(completion(make_parser(others), shell), flush=True)
    except OSError as error:
        silence(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return _SIGNAL_BASE + signal.SIGPIPE
        say(f"crawler: cannot write the completion: {error.strerror}", sys.stderr)
        return BAD_FILE
    return ALL_FETCHED


def _state(
    options: argparse.Namespace, files: Files, stack: contextlib.ExitStack
) -> AnyStore | None:
    """The state of the crawl, if it is to have one; raises OSError for what does not go with it."""
    path, option = options.state, "--state"
    if path is None:
        if options.resume:
            raise OSError("--resume needs the --state to go on with")
        if options.workers == 1:
            return None
        option = "--workers"
        path = Path(stack.enter_context(tempfile.TemporaryDirectory()), "state.db")
    if options.append:
        raise OSError(f"--append and {option} do not go together: --resume adds what is missing")
    if isinstance(files.found, int) or (files.found.exists() and not files.found.is_file()):
        raise OSError(f"with {option} the output must be a file, not {files.output}")
    if isinstance(path, str):
        if options.report is not None:
            form = format_for(files.output, options.format)
            if not can_be_drawn(form):
                raise OSError("--report with a state in Redis needs records, as -o pages.jsonl")
        terms, rules = terms_of(options, files.output), rules_of(options)
        return RedisStore(
            path,
            resume=options.resume,
            terms=terms,
            rules=rules,
            delay=options.delay,
            say=lambda text: say(f"crawler: warning: {text}", sys.stderr),
        )
    drawn = options.report is None or can_be_drawn(format_for(files.output, options.format))
    if options.workers > 1 and not drawn:
        raise OSError("--report with --workers needs records, as -o pages.jsonl or pages.db")
    return SQLiteStore(
        path,
        files.output,
        resume=options.resume,
        terms=terms_of(options, files.output),
        rules=rules_of(options),
    )


class Task(NamedTuple):
    """A crawl as the command line asks for it."""

    options: argparse.Namespace
    files: Files
    tls: ssl.SSLContext
    store: AnyStore | None


def _run(task: Task, factory: LoopFactory) -> int:
    options, files = task.options, task.files
    if options.same_site:
        suffixes.load()  # before there is a loop, and once for all workers
    summary = Summary()
    reporter = None if files.report is None else Reporter()
    partly = options.workers > 1 or (task.store is not None and not task.store.is_new)
    code: int | None = None
    try:
        if options.workers > 1:
            assert task.store is not None
            work = partial(_work, task)
            with (
                forked(options.workers, task.store, factory, work) as workers,
                asyncio.Runner(loop_factory=factory) as runner,
            ):
                stopped_by = runner.run(_lead(task, workers, summary))
        else:
            with asyncio.Runner(loop_factory=factory) as runner:
                stopped_by = runner.run(_crawl_until_signal(task, summary, reporter))
        if stopped_by is not None:
            code = _SIGNAL_BASE + stopped_by
    except* BrokenPipeError:
        code = _SIGNAL_BASE + signal.SIGPIPE  # as for "| head", which has read all that it wants
    except* (OSError, Fenced) as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        say(f"crawler: the crawl cannot go on: {reason(first)}", sys.stderr)
        if isinstance(first, OSError) and first.errno in NO_SPACE:
            go_on = "repeat the command with --resume" if options.state else "begin again"
            say(f"crawler: make room, and {go_on}", sys.stderr)
        code = BAD_FILE
    if not options.quiet:
        say("\n".join(summary.lines()), sys.stderr)
    try:
        files.write_summary(summary.json() + "\n")
    except OSError as error:
        say(f"crawler: cannot write the summary {options.summary}: {reason(error)}", sys.stderr)
        code = code or BAD_FILE
    if reporter is not None:
        try:
            form = format_for(files.output, options.format)
            parts = None
            if isinstance(task.store, RedisStore):
                parts = asyncio.run(parts_of(task.store))
            draw(reporter, files, summary, form=form, partly=partly, parts=parts)
        except OSError as error:
            say(f"crawler: cannot write the report {options.report}: {reason(error)}", sys.stderr)
            code = code or BAD_FILE
    if code is not None:
        return code
    return SOME_FAILED if summary.failed or summary.malformed else ALL_FETCHED


async def _crawl_until_signal(
    task: Task, summary: Summary, reporter: Reporter | None
) -> int | None:
    """Crawl in this process; returns the signal that ended it early, or None."""
    options, files = task.options, task.files
    drain = asyncio.Event()
    total = None if options.depth else count_urls(files.urls)
    with progress(files.name, total, quiet=options.quiet, verbose=options.verbose) as observer:
        watchers: list[Watcher] = [observer] if observer.watches else []
        if reporter is not None:
            watchers.append(reporter)
        signals = Signals(drain, observer.say)
        try:
            if task.store is None:
                await _crawl(task, observer, summary, drain, watchers)
            else:
                await _crawl_from_state(task, task.store, observer, summary, drain, watchers)
        except asyncio.CancelledError:
            pass
        finally:
            signals.forget()
    summary.interrupted = signals.received is not None
    return signals.received


async def _crawl_from_state(
    task: Task,
    store: AnyStore,
    observer: PlainProgress,
    summary: Summary,
    drain: asyncio.Event,
    watchers: Sequence[Watcher],
) -> None:
    def malformed(line: Malformed) -> None:
        summary.malformed += 1
        observer.malformed(line)

    async with connected(store, warns=True), asyncio.TaskGroup() as group:
        sitemaps = task.options.sitemaps
        feeding = group.create_task(feed(store, task.files.urls, malformed, sitemaps=sitemaps))
        await _crawl(task, observer, summary, drain, watchers, store)
        feeding.cancel()


async def _work(
    task: Task, store: AnyStore, reports: Reports, drain: asyncio.Event, lock: int
) -> None:
    """What a worker does, in a process of its own."""
    watchers = [reports] if task.options.verbose else []
    summary = Summary()
    own_part = isinstance(store, RedisStore)
    async with connected(store):
        await _crawl(
            task, reports, summary, drain, watchers, store,
            lock=None if own_part else lock, joined=reports.joined,
        )  # fmt: skip


async def _lead(task: Task, workers: Sequence[Worker], summary: Summary) -> int | None:
    """What the first process does when there are workers; returns as _crawl_until_signal does."""
    options, files = task.options, task.files
    assert task.store is not None
    _use_threads(1)
    drain = asyncio.Event()
    total = None if options.depth else count_urls(files.urls)
    with progress(files.name, total, quiet=options.quiet, verbose=options.verbose) as observer:
        crew = Crew(workers, task.store, observer)
        signals = Signals(drain, observer.say, crew.drain)
        try:
            async with connected(task.store, warns=True):
                await crew.run(files.urls, summary, sitemaps=options.sitemaps, draining=drain)
        except asyncio.CancelledError:
            pass
        finally:
            signals.forget()
    summary.interrupted = signals.received is not None
    return signals.received


async def _crawl(
    task: Task,
    observer: Observer,
    summary: Summary,
    drain: asyncio.Event,
    watchers: Sequence[Watcher],
    store: AnyStore | None = None,
    *,
    lock: int | None = None,
    joined: Callable[[int], None] = lambda worker: None,
) -> None:
    options, files = task.options, task.files
    _use_threads(options.concurrency)
    form = format_for(files.output, options.format)
    guard, scope, manners = Guard(), scope_of(options), manners_of(options)
    shared = None
    found = files.found
    if isinstance(store, RedisStore):  # its workers may be anywhere: each has a file of its own
        found = part_of(files.output)
        store.part = str(found)
    if store is not None:
        shared = SharedFrontier(
            store,
            scope,
            per_host=manners.per_host,
            delay=manners.delay,
            repeats=manners.repeats,
            lock=lock,
            trust=guard.trust,
            counts=summary.numbers,
            joined=joined,
            last_look=LAST_LOOK_AT_FILE if isinstance(store, SQLiteStore) else LAST_LOOK,
        )
    timings = any(watcher.records for watcher in watchers)
    departures = Departures() if manners.delay else None
    async with make_client(
        options, task.tls, guard, form, timings=timings, departures=departures
    ) as client:
        await crawl(
            files.urls,
            found,
            client,
            observer,
            concurrency=options.concurrency,
            append=options.append,
            kinds=options.links,
            scope=scope,
            manners=manners,
            guard=guard,
            form=form,
            shared=shared,
            drain=drain,
            summary=summary,
            watchers=watchers,
            departures=departures,
        )


class Signals:
    """What signals do to the task that makes this: SIGINT once drains, twice stops, SIGTERM stops.

    ``received`` is the last one.
    """

    def __init__(
        self,
        drain: asyncio.Event,
        tell: Callable[[str], None],
        on_drain: Callable[[], None] = lambda: None,
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._drain = drain
        self._on_drain = on_drain
        self._tell = tell
        self.received: int | None = None
        self._loop = asyncio.get_running_loop()
        self._handled: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._loop.add_signal_handler(number, self._handle, number)
            except NotImplementedError:  # not POSIX: the Runner turns Ctrl-C into cancel()
                break
            self._handled.append(number)

    def forget(self) -> None:
        """Leave signals to others again."""
        for number in self._handled:
            self._loop.remove_signal_handler(number)

    def _handle(self, number: int) -> None:
        self.received = number
        if number == signal.SIGINT and not self._drain.is_set():
            self._tell("finishing the pages in work; Ctrl-C once more stops at once")
            self._drain.set()
            self._on_drain()
            return
        self._loop.remove_signal_handler(number)  # the next one has its usual, immediate effect
        self._handled.remove(number)
        self._task.cancel()


def _use_threads(concurrency: int) -> None:
    # Names are resolved in threads, a page's name at a time: with the usual handful of threads a
    # list of many hosts would wait for those.
    threads = AbandonableThreads(min(concurrency + 2, MAX_THREADS))
    asyncio.get_running_loop().set_default_executor(threads)


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
