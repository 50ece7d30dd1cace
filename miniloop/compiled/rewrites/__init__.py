"""The table: what stands in the compiled build in place of what people read, and what it is for.

Each entry is one idea, and taking one out leaves a build that works: the second half of the
ablation does so, and has the figures.

Each file has those of one subject; `ideas` has their names.
"""

from __future__ import annotations

from miniloop.compiled.rewrites.connections import OF_CONNECTIONS
from miniloop.compiled.rewrites.ideas import IDEAS, LATE
from miniloop.compiled.rewrites.sockets import OF_SOCKETS
from miniloop.compiled.rewrites.steps import OF_STEPS
from miniloop.compiled.rewrites.timers import OF_TIMERS
from miniloop.compiled.rewrites.turns import OF_TURNS
from miniloop.compiled.rewrites.types import OF_TYPES
from miniloop.compiled.rewrites.waiting import OF_WAITING
from miniloop.compiled.specialise import Addition, Bases, Rewrite, Slots

__all__ = ["IDEAS", "LATE", "MODULES", "REWRITES"]

# In the order of their imports.
MODULES = (
    "kernel.core",
    "kernel.handle",
    "kernel.timers",
    "kernel.epoll",
    "kernel.poller",
    "kernel.future",
    "kernel.task",
    "kernel.eager",
    "kernel.scheduler",
    "net.write_buffer",
    "net.flow_control",
    "net.burst",
    "net.socket_kind",
    "net.socket_watch",
    "net.ownership",
    "net.unread",
    "net.descriptor_transport",
    "net.stream",
    "net.datagram",
    "net.listener",
)

REWRITES: tuple[Rewrite | Bases | Addition | Slots, ...] = (
    *OF_TYPES,
    *OF_STEPS,
    *OF_WAITING,
    *OF_TIMERS,
    *OF_TURNS,
    *OF_SOCKETS,
    *OF_CONNECTIONS,
)
