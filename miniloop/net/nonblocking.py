"""What a system call on a non-blocking descriptor raises when it can do nothing just now.

Source: recv(2), send(2), accept(2), "EAGAIN"; PEP 475 for InterruptedError, which is only raised
if a signal's handler raises it.
"""

from __future__ import annotations

__all__ = ["WOULD_BLOCK"]

WOULD_BLOCK = (BlockingIOError, InterruptedError)
