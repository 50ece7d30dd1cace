"""The host in the text of a URL, and the site that the host belongs to.

The links of a page come as the URL standard serialises them. So the host can be cut out of the
text, for a hundredth of what it costs to parse a URL; most links are never fetched.
"""

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def host_of(href: str) -> str:
    """The host of a serialised http or https URL, in brackets if it is an IPv6 address."""
    start = href.index("//") + 2
    authority = href[start : href.index("/", start)]
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        return host[: host.index("]") + 1]
    return host.partition(":")[0]


@functools.lru_cache(maxsize=4096)
def site_of(host: str) -> str:
    """The part of a host name that somebody registered, as ``example.co.uk``.

    Where there is none, as for an address or a name of one label, it is the host itself. What can
    be registered is in the public suffix list, https://publicsuffix.org/, whose private half (the
    users of ``github.io``) counts as well: two who share such a suffix are strangers.
    """
    host = host.removesuffix(".")
    if host.startswith("[") or host.rpartition(".")[2].isdigit():
        return host
    return _suffixes().privatesuffix(host) or host


@functools.cache
def _suffixes() -> "PublicSuffixList":
    # Loading the list takes a tenth of a second, for which only those pay who ask for it.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
