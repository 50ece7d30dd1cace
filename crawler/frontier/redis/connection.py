"""The engine as a store needs it: scripts that are run on one node each, and again if need be.

Every step may be repeated (see ``shard.lua``). So when the connection breaks, or the engine starts
anew or hands over to a replica, the step is simply made again, after a pause that doubles.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

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
    NoScriptError,
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
from .scripts import Script

# What passes by itself: a broken connection, a start, a failover.
PASSING = (
    EngineGone, EngineSilent, BusyLoadingError, ReadOnlyError, ClusterDownError, ClusterError,
    MasterDownError, TryAgainError, OSError,
)  # fmt: skip
# Seconds before the first repetition, and the most; seconds that one answer may take.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
ANSWERS_WITHIN = 20.0
# Seconds that an engine has to come back when a command starts.
STARTS_WITHIN = 3.0
# Connections of one process; steps of different shards are asked for side by side.
CONNECTIONS = 16


class _Refused(OSError):
    """The engine answers, and does not want us."""


class Engine:
    """An engine, for one loop; :meth:`look` at it first."""

    def __init__(self, url: EngineURL, *, patience: float | None = None) -> None:
        self.url = url
        self._patience = url.lease if patience is None else patience
        self._client: Any = None
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._is_cluster = False

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
        if text.startswith("OOM"):
            text = "it is full (maxmemory)"
        return f"cannot use the state {self.url}: {text or type(error).__name__}"

    def _one_node(self) -> Any:
        # Not the client's own blocking pool: in that one may wait for ever once somebody who waits
        # was cancelled.
        return redis.asyncio.Redis(**self._options(), retry=AsyncRetry(NoBackoff(), 0))

    async def close(self) -> None:
        """Close the connections; they are opened again when needed."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def run(
        self,
        script: Script,
        key: str,
        *arguments: Any,
        again: Mapping[int, Any] | None = None,
        patience: float | None = None,
    ) -> Any:
        """Make a step, as often as it takes; raises Fenced, and OSError when patience ends.

        ``again`` has arguments that are others when it is not known whether it was made before.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + (self._patience if patience is None else patience)
        pause = FIRST_PAUSE
        words = list(arguments)
        while True:
            try:
                async with self._room:
                    try:
                        return await self._client.evalsha(script.sha, 1, key, *words)
                    except NoScriptError:  # it has been started anew, or never saw it
                        return await self._client.eval(script.text, 1, key, *words)
            except PASSING as error:
                left = until - loop.time()
                if left <= 0:
                    raise OSError(self.explain(error)) from None
                for index, word in (again or {}).items():
                    words[index] = word
                # At different times: many workers lose their connections at once.
                await asyncio.sleep(min(left, pause * random.uniform(0.5, 1.0)))
                pause = min(2 * pause, LONGEST_PAUSE)
            except ResponseError as error:
                if "FENCED" in str(error):
                    raise Fenced("the worker was taken for dead") from None
                raise OSError(self.explain(error)) from None
            except RedisError as error:
                raise OSError(self.explain(error)) from None
