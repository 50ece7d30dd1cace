"""The same crawl by Scrapy: ``python -m benchmarks.crawlers.with_scrapy URLS FOUND CONCURRENCY``.

A process of its own, since Twisted's reactor runs only once in each. It prints the seconds from the
opening of the spider to its closing, so that starting Python and importing Scrapy are not counted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import scrapy
from scrapy.crawler import CrawlerProcess

from .links import find_links

__all__ = ["main"]


class Links(scrapy.Spider):
    """Fetches the listed URLs and writes down the links."""

    name = "links"

    def __init__(self, urls: str, found: str, **options: Any) -> None:
        super().__init__(**options)
        self.urls = Path(urls)
        self.output = Path(found).open("a", encoding="utf-8")  # noqa: SIM115 - closed by `closed`
        self.output.write("source_url\tparsed_url\n")
        self.began = time.perf_counter()

    async def start(self) -> AsyncIterator[scrapy.Request]:
        """One request for each line of the list."""
        for line in self.urls.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                yield scrapy.Request(line, dont_filter=True)

    def parse(self, response: Any) -> None:
        """Write the links of one page."""
        links = find_links(response.text, response.url)
        self.output.write("".join(f"{response.request.url}\t{link}\n" for link in links))

    def closed(self, reason: str) -> None:
        """Finish the file, and say how long it took."""
        self.output.close()
        if reason != "finished":
            raise RuntimeError(f"Scrapy ended the crawl early: {reason}")
        print(time.perf_counter() - self.began, flush=True)


def main(urls: str, found: str, concurrency: str) -> None:
    """Run the spider, with everything switched off that this crawl has no use for."""
    process = CrawlerProcess(
        {
            "CONCURRENT_REQUESTS": int(concurrency),
            "CONCURRENT_REQUESTS_PER_DOMAIN": int(concurrency),
            "DOWNLOAD_DELAY": 0,
            "ROBOTSTXT_OBEY": False,
            "COOKIES_ENABLED": False,
            "RETRY_ENABLED": False,
            "REDIRECT_ENABLED": False,
            "LOG_ENABLED": False,
            "TELNETCONSOLE_ENABLED": False,
        }
    )
    process.crawl(Links, urls=urls, found=found)
    process.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
