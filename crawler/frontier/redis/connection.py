"""The engine as a store needs it: scripts that are run on one node each, and again if need be.

Every step may be repeated (see ``shard.lua``). So when the connection breaks, or the engine starts
anew or hands over to a replica, the step is simply made again, after a pause that doubles.

An engine may also come back with less than it had acknowledged. A process that has lost something
by that must not go on: it would wait for pages that the engine believes to be in its hands. So it
numbers its writing steps at each key, one at a time, and the scripts look whether the last is
there. By the number they also know a step that is made again, and refuse one that comes too late.

What is asked of several shards in one turn of the loop goes to the engine in one message, and its
answers come back in one: a message costs both sides more than most steps do. In a cluster each step
is a message of its own.
"""

import asyncio
import math
import random
import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import redis.asyncio
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ClusterError,
    MasterDownError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import (
    ConnectionError as EngineGone,
)
from redis.exceptions import (
    TimeoutError as EngineSilent,
)

from crawler.frontier.store import Fenced

from .address import EngineURL
from .scripts import Script, Steps
from .status import EngineStatus

# What passes by itself: a broken connection, a start, a failover.
PASSING = (
    EngineGone, EngineSilent, BusyLoadingError, ReadOnlyError, ClusterDownError, ClusterError,
    MasterDownError, TryAgainError, OSError,
)  # fmt: skip
# Seconds before the first repetition, and the most; seconds that one answer may take.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
ANSWERS_WITHIN = 20.0
# Seconds between two complaints that the engine is full.
FULL_SAID_EVERY = 60.0
# Seconds that an engine has to come back when a command starts.
STARTS_WITHIN = 3.0
# Milliseconds that replicas have for one answer.
REPLICAS_WITHIN = 1000
# Steps that change nothing, of which none can be lost.
READS = frozenset({"peek", "relinks", "status", "known", "written"})
# Connections of one process; steps of different shards are asked for side by side.
CONNECTIONS = 16
_REPLICA = re.compile(r"slave\d+")


class _Refused(OSError):
    """The engine answers, and does not want us."""


class Lost(Fenced):
    """The engine has come back without something that this process did."""


class Engine:
    """An engine, for one loop; :meth:`look` at it first.

    ``say`` is told what a user should know.
    """

    def __init__(
        self,
        url: EngineURL,
        *,
        patience: float | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.url = url
        self._say = say
        self._said_full = -math.inf
        self._patience = url.lease if patience is None else patience
        self._client: Any = None
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._is_cluster = False
        self._own_name = secrets.token_hex(4)
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._begun: dict[str, int] = defaultdict(int)
        self._acknowledged: dict[str, int] = defaultdict(int)
        self._direct: dict[tuple[str, int], Any] = {}
        self._asked: list[_Asked] = []
        self._messages: set[asyncio.Task[None]] = set()

    def shard_key(self, number: int) -> str:
        """What the names of a shard's keys begin with."""
        return f"crawl:{{{self.url.name}:{number}}}:"

    @property
    def crawl_key(self) -> str:
        """What the names of the keys begin with that the crawl has once."""
        return f"crawl:{{{self.url.name}}}:"

    def _options(self) -> dict[str, Any]:
        url = self.url
        options: dict[str, Any] = {
            "host": url.host,
            "port": url.port,
            "username": url.username,
            "password": url.password,
            "socket_timeout": ANSWERS_WITHIN,
            "socket_connect_timeout": min(ANSWERS_WITHIN, 5.0),
        }
        if url.tls:
            options |= {"ssl": True, "ssl_check_hostname": True}
            if url.ca is not None:
                options["ssl_ca_certs"] = url.ca
        return options

    async def look(self) -> dict[str, Any]:
        """Connect, and have what the engine says of itself; raises OSError.

        It may just be starting anew, so a connection that is refused is tried again for a while.
        """
        until = asyncio.get_running_loop().time() + STARTS_WITHIN
        while True:
            try:
                return await self._look()
            except OSError as error:
                if isinstance(error, _Refused) or asyncio.get_running_loop().time() >= until:
                    raise
            await asyncio.sleep(FIRST_PAUSE)

    async def _look(self) -> dict[str, Any]:
        client = self._one_node()
        try:
            info: dict[str, Any] = await client.info("everything")
            if info.get("cluster_enabled"):
                await client.aclose()
                client = AsyncRedisCluster(**self._options())
                await client.initialize()
                self._is_cluster = True
        except (RedisError, OSError) as error:
            await client.aclose()
            if not isinstance(error, PASSING) or isinstance(error, AuthenticationError):
                raise _Refused(self.explain(error)) from None
            raise OSError(self.explain(error)) from None
        self._client = client
        return info

    async def status(self, answered: float) -> EngineStatus:
        """How it is itself, as far as it tells; ``answered`` is how long an answer took."""
        try:
            memory, node = await self._client.info("memory"), await self._one_info("replication")
        except RedisError as error:
            raise OSError(self.explain(error)) from None
        # A cluster answers node by node.
        nodes = [memory] if "used_memory" in memory else list(memory.values())
        replicas = [value for name, value in node.items() if _REPLICA.fullmatch(name)]
        written = int(node.get("master_repl_offset", 0))
        return EngineStatus(
            sum(int(each["used_memory"]) for each in nodes),
            sum(int(each.get("maxmemory", 0)) for each in nodes),
            answered,
            len(replicas),
            max((written - int(each["offset"]) for each in replicas), default=0),
        )

    async def _one_info(self, section: str) -> dict[str, Any]:
        client = self._one_node()
        try:
            info: dict[str, Any] = await client.info(section)
        finally:
            await client.aclose()
        return info

    async def setting(self, name: str) -> str | None:
        """A setting of the engine; None if it does not tell."""
        try:
            found = await self._client.config_get(name)
        except RedisError:  # managed engines keep that to themselves
            return None
        value = found.get(name)
        return None if value is None else str(value)

    def explain(self, error: BaseException) -> str:
        """What is wrong, with no secret in it."""
        if isinstance(error, AuthenticationError | AuthorizationError):
            return f"cannot use the state {self.url}: it does not take this user and password"
        text = str(error)
        if self.url.password:
            text = text.replace(self.url.password, "***")
        return f"cannot use the state {self.url}: {text or type(error).__name__}"

    def _one_node(self) -> Any:
        # Not the client's own blocking pool: in that one may wait for ever once somebody who waits
        # was cancelled.
        return redis.asyncio.Redis(**self._options(), retry=AsyncRetry(NoBackoff(), 0))

    async def close(self) -> None:
        """Close the connections; they are opened again when needed."""
        # At once, with their connections: nothing that lies in one may be sent later.
        messages = [*self._messages]
        for message in messages:
            message.cancel()
        await asyncio.gather(*messages, return_exceptions=True)
        client, self._client = self._client, None
        direct, self._direct = self._direct, {}
        for each in [*direct.values(), *([] if client is None else [client])]:
            await each.aclose()

    async def run(
        self,
        steps: Steps,
        key: str,
        step: str,
        *arguments: Any,
        patience: float | None = None,
    ) -> Any:
        """Make a step, as often as it takes; raises Fenced, and OSError when patience ends."""
        script = steps.script(step)
        if step in READS:
            name = f"{step} {self._own_name} {self._acknowledged[key]}"
            return await self._run(script, key, [name, *arguments], patience)
        async with self._turns[key]:
            self._begun[key] = number = self._begun[key] + 1
            name = f"{step} {self._own_name} {self._acknowledged[key]} {number}"
            answer = await self._run(script, key, [name, *arguments], patience)
            self._acknowledged[key] = number
            return answer

    async def _run(
        self,
        script: Script,
        key: str,
        words: list[Any],
        patience: float | None,
    ) -> Any:
        attempts = self._attempts(patience)
        while True:
            try:
                try:
                    if not self._is_cluster:
                        return await self._ask(script.sha, key, words)
                    async with self._room:
                        return await self._client.evalsha(script.sha, 1, key, *words)
                except NoScriptError:  # it has been started anew, or never saw it
                    async with self._room:
                        return await self._client.eval(script.text, 1, key, *words)
            except PASSING as error:
                await attempts.failed(error)
            except OutOfMemoryError:
                await self._wait_for_room()
                attempts = self._attempts(patience)
            except ResponseError as error:
                if "FENCED" in str(error):
                    raise Fenced("the worker was taken for dead") from None
                if "LOST" in str(error):
                    raise Lost(f"{self.url} has lost what it had acknowledged") from None
                raise OSError(self.explain(error)) from None
            except RedisError as error:
                raise OSError(self.explain(error)) from None

    async def _ask(self, sha: str, key: str, words: list[Any]) -> Any:
        """Ask for a step, together with others that are asked for in this turn of the loop."""
        answer = asyncio.get_running_loop().create_future()
        self._asked.append(_Asked(sha, key, words, answer))
        if len(self._asked) == 1:
            message = asyncio.create_task(self._send())
            self._messages.add(message)
            message.add_done_callback(self._messages.discard)
        return await answer

    async def _send(self) -> None:
        """Send what has been asked for, and hand out the answers."""
        asked, self._asked = self._asked, []
        message = asyncio.current_task()
        assert message is not None
        waiting = len(asked)

        def answered(answer: asyncio.Future[Any]) -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting and answer.cancelled():
                message.cancel()  # nobody waits for it any more; this drops its connection

        for each in asked:
            each.answer.add_done_callback(answered)
        try:
            async with self._room:
                pipeline = self._client.pipeline(transaction=False)
                for each in asked:
                    pipeline.evalsha(each.sha, 1, each.key, *each.words)
                answers = await pipeline.execute(raise_on_error=False)
        except asyncio.CancelledError:
            for each in asked:
                each.answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001  (it is that of all who have asked)
            answers = [error] * len(asked)
        for each, found in zip(asked, answers, strict=True):
            if each.answer.done():
                continue
            if isinstance(found, Exception):
                each.answer.set_exception(found)
            else:
                each.answer.set_result(found)

    async def _wait_for_room(self) -> None:
        """Wait for a while: whoever knows the engine may give it more memory.

        The worker keeps its lease meanwhile, and fetches no more than its output has room for.
        """
        now = asyncio.get_running_loop().time()
        if now - self._said_full >= FULL_SAID_EVERY:
            self._said_full = now
            self._say(f"{self.url} is full (maxmemory): waiting for room")
        await asyncio.sleep(LONGEST_PAUSE * random.uniform(0.5, 1.0))

    def _attempts(self, patience: float | None) -> "_Attempts":
        return _Attempts(self.explain, self._patience if patience is None else patience)

    async def settle(self, keys: Iterable[str]) -> None:
        """Wait until as many replicas as the URL says have all that was written at these keys."""
        if not self.url.replicas:
            return
        nodes = {self._node_of(key): key for key in keys}
        await asyncio.gather(*(self._settle(key) for key in nodes.values()))

    def _node_of(self, key: str) -> tuple[str, int]:
        if not self._is_cluster:
            return self.url.host, self.url.port
        node = self._client.get_node_from_key(key)
        return node.host, node.port

    async def _settle(self, key: str) -> None:
        attempts = self._attempts(None)
        while True:
            try:
                # A connection waits for what it has written itself, and all that was before that.
                place = self._node_of(key)
                if place not in self._direct:
                    self._direct[place] = redis.asyncio.Redis(
                        **self._options() | {"host": place[0], "port": place[1]},
                        single_connection_client=True,
                        retry=AsyncRetry(NoBackoff(), 0),
                    )
                client = self._direct[place]
                await client.set(f"{key}by:{self._own_name}.settled", 1, ex=86_400)
                found = await client.wait(self.url.replicas, REPLICAS_WITHIN)
                if found >= self.url.replicas:
                    return
                text = f"{found} of {self.url.replicas} replicas have what was written"
                await attempts.failed(EngineSilent(text))
            except MovedError as error:
                await attempts.failed(error)
                await self._client.nodes_manager.initialize()
            except PASSING as error:
                await attempts.failed(error)
            except RedisError as error:
                raise OSError(self.explain(error)) from None


class _Asked(NamedTuple):
    """A step that is asked for, and the future of its answer."""

    sha: str
    key: str
    words: list[Any]
    answer: asyncio.Future[Any]


class _Attempts:
    """The patience of one step, and the pauses between its attempts."""

    def __init__(self, explain: Callable[[BaseException], str], patience: float) -> None:
        self._explain = explain
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + patience
        self._pause = FIRST_PAUSE

    async def failed(self, error: Exception) -> None:
        """Wait before the next attempt; raises OSError when there shall be none."""
        left = self._until - self._loop.time()
        if left <= 0:
            raise OSError(self._explain(error)) from None
        # At different times: many workers lose their connections at once.
        await asyncio.sleep(min(left, self._pause * random.uniform(0.5, 1.0)))
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
