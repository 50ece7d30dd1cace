"""Keeping freed memory, instead of giving it back to the kernel after every page.

Parsing a page takes some hundred kilobytes, which are free again when its links are found. By
default glibc's malloc then shrinks the heap, and the next page has it grown again: about 30 page
faults for each page, a fifth of the crawler's time. What is kept instead is bounded, see below.
"""

import ctypes
import platform

# From <malloc.h>; mallopt(3) describes them. Setting one of them also stops malloc from adjusting
# the other by itself, hence both.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

# Free memory at the top of the heap that may be kept, and the size from which a block gets a
# mapping of its own (the largest that glibc takes); both in bytes.
KEPT = 64 * 1024 * 1024
OWN_MAPPING = 32 * 1024 * 1024


def keep_freed_memory() -> bool:
    """Ask malloc of this process to keep what is freed; False where malloc is not glibc's."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_TRIM_THRESHOLD, KEPT) and mallopt(_M_MMAP_THRESHOLD, OWN_MAPPING))
