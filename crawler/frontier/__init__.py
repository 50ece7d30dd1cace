"""What is to be fetched: the list, the links that are followed, whose turn it is, what is kept."""

from .addresses import Guard, is_public
from .frontier import PER_HOST, Frontier
from .journal import Journal
from .lines import MAX_LINE
from .parsing import Job, Malformed, parse_line
from .reading import CHUNK, count_urls
from .robots import Disallowed, Robots
from .scope import Scope
from .sitemaps import Sitemap, read_sitemap
from .state import State

__all__ = [
    "CHUNK",
    "MAX_LINE",
    "PER_HOST",
    "Disallowed",
    "Frontier",
    "Guard",
    "Job",
    "Journal",
    "Malformed",
    "Robots",
    "Scope",
    "Sitemap",
    "State",
    "count_urls",
    "is_public",
    "parse_line",
    "read_sitemap",
]
