"""Which names somebody can register: the public suffix list, https://publicsuffix.org/.

Its private half (the users of ``github.io``) counts as well: two who share such a suffix are
strangers.
"""

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@functools.lru_cache(maxsize=4096)
def site_of(host: str) -> str:
    """The part of a host name that somebody registered, as ``example.co.uk``.

    Where there is none, as for an address or a name of one label, it is the host itself.
    """
    host = host.removesuffix(".")
    if is_address(host):
        return host
    return _suffixes().privatesuffix(host) or host


def is_public_suffix(name: str) -> bool:
    """Whether strangers share a name, as they do ``co.uk`` and ``github.io``."""
    return not is_address(name) and _suffixes().publicsuffix(name) == name


def is_address(host: str) -> bool:
    """Whether a host of a URL is an IP address."""
    return host.startswith("[") or host.rpartition(".")[2].isdigit()


@functools.cache
def _suffixes() -> "PublicSuffixList":
    # Loading the list takes a tenth of a second, for which only those pay who ask for it.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
