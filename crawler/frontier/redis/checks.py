"""Whether an engine is set up so that it loses nothing that it has acknowledged."""

from collections.abc import Iterator
from typing import Any

from .address import EngineURL


def check_engine(info: dict[str, Any], fsync: str | None, url: EngineURL) -> Iterator[str]:
    """Yield a warning for each setting that may lose something; raises OSError for what must be."""
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    if int(version.partition(".")[0]) < 7:
        raise OSError(f"{url} is version {version}; 7 or later is needed")
    if info.get("role") == "slave":
        raise OSError(f"{url} is a replica; name its primary")
    replicas = int(info.get("connected_slaves", 0))
    if replicas < url.replicas:
        raise OSError(f"{url} has {replicas} replicas; {url.replicas} are asked for")
    if replicas and not url.replicas:
        yield (
            f"{url}: it has replicas, but is not asked to wait for them: a failover may take the"
            " last moments, and workers that lost something end; say ?replicas=1"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        text = f"maxmemory-policy is {policy}: when its memory is full, pages are lost"
        if info.get("maxmemory"):
            raise OSError(f"{url}: {text}; set noeviction")
        yield f"{url}: {text}; set noeviction"
    if not info.get("aof_enabled"):
        yield (
            f"{url}: appendonly is off: when the engine ends, the crawl is lost; set appendonly yes"
            " and appendfsync always"
        )
    elif fsync is not None and fsync != "always":
        yield (
            f"{url}: appendfsync is {fsync}: a power failure may take the last second, and what was"
            " done in it is done twice; set appendfsync always"
        )
