"""Which names somebody can register: the public suffix list, https://publicsuffix.org/.

Its private half (the users of ``github.io``) counts as well: two who share such a suffix are
strangers.
"""

import asyncio
import functools
import threading
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


def load() -> None:
    """Load the list, if nobody has."""
    with _loading:
        _suffixes()


async def load_beside() -> None:
    """The same in a thread, so that the loop goes on."""
    if not _suffixes.cache_info().currsize:
        await asyncio.to_thread(load)


_loading = threading.Lock()


@functools.cache
def _suffixes() -> "PublicSuffixList":
    # This takes 30 ms of processor time, and on a busy machine a tenth of a second: only those pay
    # who ask for it, and a program with a loop calls one of the above before.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
