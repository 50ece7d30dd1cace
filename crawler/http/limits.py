"""How long a request may take and how much may come of it."""

from dataclasses import dataclass, fields, replace

from .redirects import MAX_REDIRECTS


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Times are in seconds, ``body`` in bytes; ``math.inf`` is no limit.

    ``total`` covers one request with its redirects and retries, from the moment a connection is
    free for it; ``pool`` the wait for that moment. ``connect`` covers one connection with name
    resolution, proxy and TLS, ``tls`` its handshake alone. ``write`` holds each time that the
    server lets us wait with a piece of a request, ``read`` each time with a piece of a reply.

    ``body`` holds on the wire and after decompression.
    """

    connections: int = 100
    per_origin: int = 100
    connect: float = 10.0
    tls: float = 8.0
    write: float = 20.0
    read: float = 20.0
    pool: float | None = None
    total: float = 60.0
    keep_alive: float = 15.0
    body: int = 10 * 1024 * 1024
    redirects: int = MAX_REDIRECTS

    def __post_init__(self) -> None:
        """Raise TypeError for what is no number, ValueError for one that makes no sense."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "pool":
                continue
            if not isinstance(value, int | float):
                text = f"{field.name} must be a number (math.inf is no limit), got {value!r}"
                raise TypeError(text)
            least = 1 if field.name in ("connections", "per_origin") else 0
            if not value >= least:
                raise ValueError(f"{field.name} must be {least} or more, got {value!r}")

    def within(self, seconds: float) -> "Limits":
        """These limits for a request that may take ``seconds`` in all."""
        if not isinstance(seconds, int | float):
            raise TypeError(f"a timeout must be a number of seconds, or limits, got {seconds!r}")
        return replace(
            self,
            total=seconds,
            connect=min(self.connect, seconds),
            tls=min(self.tls, seconds),
            write=min(self.write, seconds),
            read=min(self.read, seconds),
            pool=seconds if self.pool is None else min(self.pool, seconds),
        )
