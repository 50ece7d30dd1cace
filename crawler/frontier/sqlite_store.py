"""The store in a file: SQLite, written ahead (WAL), for the processes of one machine.

The kernel has what a transaction wrote before the next begins, so the end of a process, however it
comes, takes nothing back. The end of the machine may take the last transactions, and never half of
one (``synchronous=NORMAL``); the output may then be shorter than the state says, which is told.

What is in the file is in `sqlite_schema`, what each step does to it in `sqlite_tables`.

A step takes some milliseconds at most, and is made on the loop. In a thread it would take several
times as long, for that has to have the interpreter back after each statement, while other processes
wait for the file. What is long is made in a thread: a step of many rows, and moving what was
written ahead into its place in the file, which waits for the disk. Nothing waits for a lock on the
loop: who finds the file in use tries again, a millisecond later.
"""

import asyncio
import contextlib
import math
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

from .reasons import retold
from .sqlite_schema import TABLES, VERSION
from .sqlite_tables import LIST, Tables
from .store import Claimed, Done, Rules

P = ParamSpec("P")
T = TypeVar("T")

# Seconds to wait for another process's transaction; each takes milliseconds.
_PATIENCE = 20.0
# Seconds between two attempts to begin one.
_AGAIN = 0.001
# What a process keeps of the file in memory, at most. The indices of a million URLs have 40 MB.
CACHE_KIB = 64 * 1024
# Bytes of a page of the file. What a crawl changes lies scattered, and each change is written as a
# whole page: SQLite's own 4,096 make it a quarter more.
PAGE = 2048
# A step of so many rows takes a few milliseconds.
SHORT = 5_000
# How many rows a process changes until it moves what was written ahead into its place. A place that
# is written to often is moved once; but what is ahead has to be moved when the crawl ends, too.
CHECKPOINT_ROWS = 50_000
# Who writes meanwhile keeps that from coming to an end, and the file beside this one grows. When it
# has so many pages, writing waits for the end.
MOST_AHEAD = 32_768
_OTHERS = "{} is a database of something else, no state"


class SQLiteStore:
    """A crawl's state in the file ``path``; ``with`` it, in the process that begins the crawl.

    ``output`` is what the crawl writes: a state belongs to one, and to a crawl of certain
    ``terms``, which are text. Without ``resume`` the file must not be there yet; with it, it may
    be. Other processes have a copy, by ``fork``, which they :meth:`reopen`. They are on one
    machine, where it is known who has died; else ``lease`` says after how many seconds of silence.
    """

    def __init__(
        self,
        path: Path,
        output: Path,
        *,
        resume: bool,
        terms: str = "",
        rules: Rules | None = None,
        lease: float = math.inf,
    ) -> None:
        self._path = path
        self._output = str(output.absolute())
        self._resume = resume
        self._terms = terms
        self._rules = rules or Rules()
        self._lease = lease
        self._database: sqlite3.Connection
        self._reader: sqlite3.Connection
        self._mover: sqlite3.Connection
        self._moving = threading.Lock()
        self._moved_at = 0
        self._checkpoint: asyncio.Future[bool] | None = None
        self._tables: Tables
        self._guard: int | None = None
        self._turn: asyncio.Lock | None = None
        self.is_new = False

    def __enter__(self) -> "SQLiteStore":
        if self._path.exists() and not self._path.is_file():
            raise OSError(f"cannot use {self._path} as a state: it is no file")
        new = not self._path.exists() or self._path.stat().st_size == 0
        if not new and not self._resume:
            text = "if it holds a crawl, go on with it by --resume; else name another file"
            raise OSError(f"{self._path} is there already: {text}")
        with contextlib.ExitStack() as stack:
            self._keep_others_out()
            stack.callback(self.close)
            try:
                self.reopen()
                self._begin()
            except sqlite3.Error as error:
                raise retold(f"cannot use {self._path} as a state", error) from error
            stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; somebody else may have the crawl then."""
        self.shut()
        # After the database: to close any descriptor of a file drops all of a process's locks.
        if self._guard is not None:
            os.close(self._guard)
            self._guard = None

    def disown(self) -> None:
        """Forget, in a process that was forked, what the first one has."""
        if self._guard is not None:
            os.close(self._guard)
            self._guard = None

    def reopen(self) -> None:
        """Have connections of this process; those from before must be closed, or not used."""
        self._reader = self._connect()
        # Long transactions run in a thread, one at a time, and so does what moves.
        self._database = self._connect(check_same_thread=False)
        self._database.execute("pragma wal_autocheckpoint = 0")
        self._database.execute("pragma busy_timeout = 0")
        self._mover = self._connect(check_same_thread=False)
        self._moved_at = 0
        self._checkpoint = None
        self._tables = Tables(self._database, self._rules, self._lease)

    def shut(self) -> None:
        """Close the connections before a fork; SQLite's may not be carried into another process."""
        with self._moving:  # a thread may be at it
            for name in ("_database", "_reader", "_mover"):
                with contextlib.suppress(AttributeError):
                    getattr(self, name).close()

    def _connect(self, *, check_same_thread: bool = True) -> sqlite3.Connection:
        database = sqlite3.connect(
            self._path,
            isolation_level=None,
            check_same_thread=check_same_thread,
            timeout=_PATIENCE,
        )
        try:
            database.execute(f"pragma page_size = {PAGE}")
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = normal")
            database.execute("pragma temp_store = memory")
            database.execute(f"pragma cache_size = -{CACHE_KIB}")
        except BaseException:
            database.close()
            raise
        return database

    def _keep_others_out(self) -> None:
        """A lock that no database connection takes, so that workers may share the file."""
        import fcntl  # POSIX only, as the rest of the crawler need not be

        try:
            self._guard = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OSError(f"cannot use {self._path} as a state: {error.strerror}") from error
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._guard)
            self._guard = None
            raise OSError(f"{self._path} is in use by another crawler") from error

    def _begin(self) -> None:
        execute = self._database.execute
        with self._transaction():
            self.is_new = not execute("select 1 from sqlite_master where name = 'crawl'").fetchall()
            if self.is_new:
                if execute("select 1 from sqlite_master").fetchone():
                    raise OSError(_OTHERS.format(self._path))
                for statement in TABLES.split(";"):
                    execute(statement)
                execute(
                    "insert into crawl values (?, ?, 0, ?, 0, 0, ?)",
                    (VERSION, self._output, self._terms, LIST),
                )
            if "version" not in [column[1] for column in execute("pragma table_info(crawl)")]:
                raise OSError(_OTHERS.format(self._path))
            (version,) = execute("select version from crawl").fetchone()
            if version != VERSION:
                age = "an older" if version < VERSION else "a newer"
                text = "go on with that one, or begin anew with another file"
                raise OSError(f"{self._path} is of {age} version of the crawler: {text}")
            output, terms = execute("select output, terms from crawl").fetchone()
            if output != self._output:
                raise OSError(f"{self._path} belongs to the output {output}, not {self._output}")
            if terms != self._terms:
                text = f"{self._path} holds a crawl with {terms}, not with {self._terms}"
                raise OSError(f"{text}: what it left out before would stay left out")
            # Whoever worked on it is no more. Its list is read again, as it may have grown.
            for (worker,) in execute("select id from workers").fetchall():
                self._tables.bury(worker)
            self._tables.take_up()
            execute("update crawl set listed = 0")

    # ---- the interface, see Store ----------------------------------------------------------------

    async def add(self, listed: Sequence[tuple[str, str]]) -> None:
        """Take URLs of the list, each with its line."""
        await self._run_rows(len(listed), self._tables.add, listed)

    async def end_list(self) -> None:
        """Note that there are no more of them."""
        await self._run(lambda: self._database.execute("update crawl set listed = 1"))

    async def join(self) -> int:
        """The number of a new worker."""
        return await self._run(self._tables.join)

    async def claim(
        self, worker: int, most: int, full: Sequence[str] = (), *, more: bool = True
    ) -> Claimed:
        """Up to ``most`` pages, of hosts that are held and of free ones."""
        return await self._run(self._tables.claim, worker, most, frozenset(full), more)

    async def commit(
        self, worker: int, done: Sequence[Done], written: int, counts: Mapping[str, int]
    ) -> None:
        """Make all of this so, or nothing."""
        rows = sum(1 + len(page.links) for page in done)
        await self._run_rows(rows, self._tables.commit, worker, done, written, counts)

    async def release(self, worker: int, hosts: Mapping[str, float]) -> None:
        """Give hosts back."""
        await self._run(self._tables.release, worker, hosts)

    async def leave(self, worker: int) -> None:
        """Give everything back."""
        await self._run(self._tables.bury, worker)

    async def written(self, worker: int) -> int:
        """How long the output was at the last commit."""
        # No transaction, and no thread: what was committed can be read while others write.
        (written,) = self._reader.execute("select written from crawl").fetchone()
        return int(written)

    async def counted(self) -> dict[str, int]:
        """What all commits have counted."""
        # As above; and it can be read also where no transaction can be begun, as the disk is full.
        return dict(self._reader.execute("select name, n from counts"))

    async def _run(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make one transaction."""
        return await self._run_rows(0, step, *args, **kwargs)

    async def _run_rows(
        self, rows: int, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Make one transaction, of about so many rows."""

        def transact() -> T:
            with self._whole():
                return step(*args, **kwargs)

        async def in_turn() -> T:
            if self._turn is None:
                self._turn = asyncio.Lock()
            try:
                async with self._turn:
                    await self._move_if_due()
                    await self._begin_in_turn()
                    if rows <= SHORT:
                        result = transact()
                    else:
                        loop = asyncio.get_running_loop()
                        result = await loop.run_in_executor(None, transact)
            except sqlite3.Error as error:
                raise retold(f"cannot use the state {self._path}", error) from error
            return result

        # Shielded: what has been written to the output is to be in the state, whoever gives up.
        return await asyncio.shield(in_turn())

    async def _begin_in_turn(self) -> None:
        """Begin a transaction when no other process is at one."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _PATIENCE
        while True:
            try:
                self._database.execute("begin immediate")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or loop.time() > give_up:
                    raise
            await asyncio.sleep(_AGAIN)

    async def _move_if_due(self) -> None:
        """Have a thread move what was written ahead; raises what the last time came to."""
        loop, moving = asyncio.get_running_loop(), self._checkpoint
        changes = self._database.total_changes
        if moving is not None and moving.done():
            self._checkpoint = None
            if moving.result():
                await loop.run_in_executor(None, self._move, "restart")
        elif moving is None and changes - self._moved_at >= CHECKPOINT_ROWS:
            self._moved_at = changes
            self._checkpoint = loop.run_in_executor(None, self._move, "passive")

    def _move(self, how: str) -> bool:
        """Returns whether much is left to be moved."""
        with self._moving:
            try:
                row = self._mover.execute(f"pragma wal_checkpoint({how})").fetchone()
            except sqlite3.ProgrammingError:
                return False  # it has been closed: whoever does that last moves all that is left
        return bool(row[1] > MOST_AHEAD)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("begin immediate")
        with self._whole():
            yield

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """The rest of a transaction that has begun: all of it, or nothing."""
        execute = self._database.execute
        try:
            yield
        except BaseException:
            if self._database.in_transaction:
                execute("rollback")
            raise
        execute("commit")
