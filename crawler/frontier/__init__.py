"""What is to be fetched: the list of URLs, read as it is needed."""

from .lines import MAX_LINE
from .parsing import Job, Malformed, parse_line
from .reading import CHUNK, Frontier, count_urls

__all__ = ["CHUNK", "MAX_LINE", "Frontier", "Job", "Malformed", "count_urls", "parse_line"]
