"""The host in the text of a URL.

The links of a page come as the URL standard serialises them. So the host can be cut out of the
text, for a hundredth of what it costs to parse a URL; most links are never fetched.
"""

from crawler.http.suffixes import site_of

__all__ = ["host_of", "site_of"]


def host_of(href: str) -> str:
    """The host of a serialised http or https URL, in brackets if it is an IPv6 address."""
    start = href.index("//") + 2
    authority = href[start : href.index("/", start)]
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        return host[: host.index("]") + 1]
    return host.partition(":")[0]
