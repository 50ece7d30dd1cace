"""What is to be fetched: the list, the links that are followed, whose turn it is, what is kept."""

from .addresses import Guard, is_public
from .frontier import PER_HOST, Frontier
from .journal import Journal
from .lines import MAX_LINE
from .memory_store import MemoryStore
from .parsing import Job, Malformed, parse_line
from .reading import CHUNK, count_urls
from .redis.store import RedisStore
from .robots import Disallowed, Robots
from .scope import Scope
from .shared import SharedFrontier, feed
from .sitemaps import Sitemap, read_sitemap
from .sqlite_store import SQLiteStore
from .store import Fenced, Rules, Store

__all__ = [
    "CHUNK",
    "MAX_LINE",
    "PER_HOST",
    "Disallowed",
    "Fenced",
    "Frontier",
    "Guard",
    "Job",
    "Journal",
    "Malformed",
    "MemoryStore",
    "RedisStore",
    "Robots",
    "Rules",
    "SQLiteStore",
    "Scope",
    "SharedFrontier",
    "Sitemap",
    "Store",
    "count_urls",
    "feed",
    "is_public",
    "parse_line",
    "read_sitemap",
]
