"""Addresses that a stranger's page must not make us connect to.

A page may link or redirect to ``http://169.254.169.254/``, or to a name that somebody has pointed
there: the crawler stands inside a network that the page's author does not. So each address is
looked at when a name has been resolved, right before the connection is made. What the user named is
as good as said.
"""

import functools
import ipaddress

# How IPv4 addresses are written in IPv6 (RFC 6052, 4291), beside what `ipaddress` knows.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_TRANSLATED = ipaddress.IPv6Network("::ffff:0:0:0/96")
# Networks of IANA's registries that the tables of older Pythons lack in whole or in part.
_SPECIAL = [
    ipaddress.ip_network(network)
    for network in (
        *("192.0.0.0/24", "192.88.99.0/24"),  # for protocols
        *("2001::/23", "100:0:0:1::/64", "3fff::/20", "5f00::/16"),  # the last: segment routing
    )
]


@functools.lru_cache(maxsize=4096)
def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet (IANA's special-purpose registries)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed in _LOCAL_NAT64:
            return False
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if inner is None and (parsed in _NAT64 or parsed in _COMPATIBLE or parsed in _TRANSLATED):
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if parsed.teredo is not None or parsed.is_site_local:
            return False
    if any(parsed in network for network in _SPECIAL):
        return False
    return parsed.is_global and not parsed.is_multicast


class Guard:
    """A *permit* for the client: public addresses, and the hosts that the user named."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def trust(self, host: str) -> None:
        """Allow a host whatever its address is."""
        self._named.add(host)

    def permit(self, host: str, address: str) -> bool:
        """Whether ``host`` may be connected to at ``address``."""
        return is_public(address) or host in self._named
