"""Where a crawl is kept: ``redis://[user:password@]host[:port]/name``, ``rediss://`` over TLS."""

import os
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEMES = ("redis://", "rediss://")
PORT = 6379
# Among so many shards are the hosts of a new crawl divided; a node of a cluster has some of them.
SHARDS = 8
_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"


@dataclass(frozen=True, slots=True)
class EngineURL:
    """An engine and the name of a crawl there; its text has no password in it.

    ``lease`` is after how many seconds of silence a worker counts as dead, ``ca`` a PEM file with
    the certificates to trust instead of the system's, ``replicas`` how many replicas must have what
    counts.
    """

    host: str
    port: int
    name: str
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    shards: int = SHARDS
    lease: float = 30.0
    ca: str | None = None
    replicas: int = 0

    def __str__(self) -> str:
        scheme = "rediss" if self.tls else "redis"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{self.name}"


def is_engine(text: str) -> bool:
    """Whether this names an engine, and not a file."""
    return text.lower().startswith(SCHEMES)


def parse_engine(text: str) -> EngineURL:
    """Read such a URL; raises ValueError with a text that repeats nothing secret.

    A password may be in ``REDIS_PASSWORD`` in the environment instead, where no list of processes
    shows it.
    """
    try:
        parts = urlsplit(text)
        port = parts.port or PORT
    except ValueError:
        raise ValueError("the engine's URL has a port that is none") from None
    name = parts.path.removeprefix("/")
    if not parts.hostname:
        raise ValueError("the engine's URL names no host: redis://host:6379/name")
    if not name or any(letter not in _NAME for letter in name):
        raise ValueError(
            f"{parts.scheme}://{parts.hostname}:{port}/ must be followed by the crawl's name, of"
            f" letters, digits, '.', '_' and '-'; got {name!r}"
        )
    shards, lease, ca, replicas = SHARDS, 30.0, None, 0
    for key, value in parse_qsl(parts.query):
        if key == "shards" and value.isdigit() and 1 <= int(value) <= 1024:
            shards = int(value)
        elif key == "lease" and _seconds(value) is not None:
            lease = float(value)
        elif key == "ca":
            ca = value
        elif key == "replicas" and value.isdigit() and int(value) < 100:
            replicas = int(value)
        else:
            raise ValueError(
                "after '?' there may be shards=1..1024, lease=SECONDS, replicas=N and ca=FILE,"
                f" joined by '&'; {key!r} is none of these, or its value makes no sense"
            )
    password = unquote(parts.password) if parts.password else os.environ.get("REDIS_PASSWORD")
    return EngineURL(
        parts.hostname,
        port,
        name,
        tls=parts.scheme == "rediss",
        username=unquote(parts.username) if parts.username else None,
        password=password or None,
        shards=shards,
        lease=lease,
        ca=ca,
        replicas=replicas,
    )


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0.05 <= seconds < 86_400 else None
