"""Where programs come from: a seed, and menus of what may be done, how often, and with what."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.differential.io.program import Program, Step

__all__ = ["KINDS", "program_of_seed"]

# How often each kind comes. Processes take real time.
KINDS = {"streams": 12, "reading": 6, "datagrams": 3, "pipes": 3, "sockets": 6, "processes": 1}

SMALL = (0, 1, 5, 100, 5000)
LARGE = (70_000, 300_000, 1_000_000)
KINDS_OF_BYTES = ("bytes", "bytes", "bytes", "bytearray", "view")

CALLS = ("connection_made", "data_received", "eof_received", "connection_lost", "pause_writing",
         "resume_writing", "get_buffer")  # fmt: skip
ACTS = ("raise", "close", "abort", "pause_reading", "resume_reading", "write", "write_eof")

LONG_LINE = "12345678901\n"  # longer than the shortest limit

COMMANDS = (
    "exit 3",
    "echo hello; exit 0",
    "cat",
    "cat; exit 5",
    "head -c 100000 /dev/zero; echo done >&2",
    "read line; echo \"$line\"",
    "kill -9 $$",
    "exec 0<&-; sleep 0.01; exit 1",
    "exec sleep 30",
)  # fmt: skip


class Choices:
    """What is drawn from the seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed

    def one_of(self, *things: Any) -> Any:
        return self.random.choice(things)

    def once_in(self, times: int) -> bool:
        return self.random.randrange(times) == 0

    def size(self) -> int:
        sizes = LARGE if self.once_in(4) else SMALL
        return int(self.one_of(*sizes))

    def pieces(self) -> tuple[int, ...]:
        """Sizes for `writelines`; with empty ones asyncio waits for room that nothing needs."""
        return tuple(self.size() or 1 for _ in range(self.one_of(1, 2, 3)))

    def steps(self, menu: dict[Callable[[], Step], int], most: int = 9) -> tuple[Step, ...]:
        makers, weights = list(menu), list(menu.values())
        count = self.random.randint(1, most)
        return tuple(make() for make in self.random.choices(makers, weights, k=count))

    def hooks(self, *, tls: bool = False) -> dict[str, tuple[str, ...]]:
        hooks = {}
        if tls:
            # When TLS tells of its end and of full buffers is its own affair: see `known`.
            for call in ("connection_made", "data_received", "connection_lost"):
                if self.once_in(4):
                    hooks[call] = (self.one_of("pause_reading", "resume_reading", "write"),)
            return hooks
        for _ in range(self.one_of(0, 0, 1, 1, 2)):
            call = self.one_of(*CALLS)
            # How often data come is each loop's own affair.
            count = 1 if call == "data_received" else self.one_of(1, 1, 2)
            hooks[call] = tuple(self.one_of(*ACTS) for _ in range(count))
        if self.once_in(3):
            hooks["keep open"] = ("yes",)
        return hooks

    # What each kind is made of.

    def program(self) -> Program:
        kind = self.random.choices(list(KINDS), list(KINDS.values()))[0]
        options, steps = getattr(self, kind)()
        if kind in ("reading", "pipes", "sockets", "datagrams") or self.once_in(2):
            settles = not self.once_in(6)
        else:
            settles = True
        if not settles and not options.get("tls"):
            # All at once, but for what would make chance decide.
            options |= {"settles": False, "hooks": {}}
            steps = tuple(step for step in steps if not self.is_chance(step))
        if {"pause_writing", "resume_writing"} & set(options.get("hooks", ())):
            # asyncio does not tell of what `writelines` has filled.
            steps = tuple(step for step in steps if step[0] != "writelines")
        return Program(kind, options, steps, self.seed)

    @staticmethod
    def without_dawdling(steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """How much of a file goes into a full buffer depends on how it was cut up."""
        if not any(step[0] == "sendfile" for step in steps):
            return steps
        return tuple(step for step in steps if step[:2] != ("peer", "dawdle"))

    @staticmethod
    def is_chance(step: Step) -> bool:
        ends = step[0] == "peer" and step[1] in ("reset", "hang_up")
        return ends or step[0] in ("sendfile", "start_tls", "peer_closes", "cancel", "abort",
                                  "close", "wait_closed")  # fmt: skip

    def peer_menu(self) -> dict[Callable[[], Step], int]:
        return {
            lambda: ("peer", "send", self.size()): 4,
            lambda: ("peer", "finish"): 1,
            lambda: ("peer", "hang_up"): 1,
            lambda: ("peer", "reset"): 1,
            lambda: ("peer", "dawdle", self.one_of(0, 0, 1000, None, None)): 2,
        }

    def stream_menu(self) -> dict[Callable[[], Step], int]:
        return {
            lambda: ("write", self.size(), self.one_of(*KINDS_OF_BYTES, "text")): 4,
            lambda: ("writelines", self.pieces()): 1,
            lambda: ("write_eof",): 1,
            lambda: ("close",): 1,
            lambda: ("abort",): 1,
            lambda: ("pause",): 1,
            lambda: ("resume",): 1,
            lambda: ("limits", *self.one_of((0, None), (1000, 100), (None, None), (5, 9))): 1,
            lambda: ("ask", self.one_of("is_closing", "is_reading", "can_write_eof")): 1,
            lambda: ("protocol",): 1,
            lambda: ("cancel", self.one_of("sendfile", "start_tls", "connect")): 1,
            **self.peer_menu(),
        }

    def streams(self) -> tuple[dict[str, Any], tuple[Step, ...]]:
        options = {
            "family": self.one_of("tcp", "unix"),
            "how": self.one_of("connected", "accepted", "server"),
        }
        if self.once_in(2):
            options["buffered"] = True
        menu = self.stream_menu()
        tls = self.one_of("none", "none", "from the start", "later")
        options["hooks"] = self.hooks(tls=tls != "none")
        if tls != "none":
            # With a high-water mark of 0 asyncio's TLS is never content.
            menu = {make: weight for make, weight in menu.items() if make()[0] != "limits"}
        if tls == "from the start":
            options["tls"] = True
            if options["how"] == "connected" and self.once_in(6):
                options["trusts"] = False
        elif tls == "later":
            menu[lambda: ("start_tls", self.one_of(True, False))] = 1
        menu[
            lambda: ("sendfile", self.size(), self.one_of(0, 0, 3), self.one_of(None, 5, 90000))
        ] = 1
        if options["how"] == "server":
            menu[lambda: ("server", self.one_of("close", "is_serving", "close_clients"))] = 1
        return options, self.without_dawdling(self.steps(menu))

    def reading(self) -> tuple[dict[str, Any], tuple[Step, ...]]:
        options = {"family": self.one_of("tcp", "unix"), "limit": self.one_of(10, 5000, 65536)}
        if self.once_in(4):
            options["tls"] = True
        menu: dict[Callable[[], Step], int] = {
            lambda: ("read", *self.one_of(("read", -1), ("read", 7), ("readline", None),
                                          ("readexactly", 6), ("readuntil", b";"))): 5,
            lambda: ("peer", "send_line", self.one_of("abc\n", "d;e;", "no end", LONG_LINE)): 4,
            lambda: ("cancel", self.one_of("read", "drain")): 2,
            lambda: ("write", self.size(), "bytes"): 2,
            lambda: ("drain",): 2,
            lambda: ("write_eof",): 1,
            lambda: ("close",): 1,
            lambda: ("wait_closed",): 1,
            lambda: ("at_eof",): 1,
            **self.peer_menu(),
        }  # fmt: skip
        return options, self.steps(menu, 12)

    def datagrams(self) -> tuple[dict[str, Any], tuple[Step, ...]]:
        options = {
            "family": self.one_of("udp", "udp", "unix"),
            "connected": self.once_in(2),
            "hooks": {
                self.one_of("connection_made", "datagram_received", "error_received"): (
                    self.one_of("raise", "close", "abort"),
                )
            }
            if self.once_in(3)
            else {},
        }
        size = (0, 1, 100, 9000, 60_000, 70_000)
        menu: dict[Callable[[], Step], int] = {
            lambda: ("sendto", self.one_of(*size), self.one_of("bytes", "bytearray", "text"),
                     self.one_of("peer", "peer", "none", "nobody")): 5,
            lambda: ("peer_sends", self.one_of(*size[:5])): 5,
            lambda: ("peer_closes",): 1,
            lambda: ("on", self.one_of("close", "abort")): 1,
            lambda: ("ask", self.one_of("is_closing", "get_write_buffer_size")): 1,
        }  # fmt: skip
        return options, self.steps(menu)

    def pipes(self) -> tuple[dict[str, Any], tuple[Step, ...]]:
        options = {"end": self.one_of("read", "write"), "hooks": self.hooks(), "family": "pipe"}
        if options["end"] == "read":
            menu: dict[Callable[[], Step], int] = {
                lambda: ("pause",): 1,
                lambda: ("resume",): 1,
                lambda: ("close",): 1,
                lambda: ("ask", "is_closing"): 1,
                lambda: ("peer", "send", self.size()): 4,
                lambda: ("peer", "hang_up"): 1,
            }
        else:
            menu = {
                lambda: ("write", self.size(), self.one_of(*KINDS_OF_BYTES)): 4,
                lambda: ("write_eof",): 1,
                lambda: ("close",): 1,
                lambda: ("abort",): 1,
                lambda: ("limits", *self.one_of((0, None), (1000, 100))): 1,
                lambda: ("peer", "dawdle", self.one_of(0, 1000, None)): 2,
                lambda: ("peer", "hang_up"): 1,
            }
        return options, self.steps(menu)

    def sockets(self) -> tuple[dict[str, Any], tuple[Step, ...]]:
        menu: dict[Callable[[], Step], int] = {
            lambda: ("recv", self.one_of(0, 1, 1000, 100_000)): 4,
            lambda: ("recv_into", self.one_of(1, 1000)): 2,
            lambda: ("sendall", self.size(), self.one_of(*KINDS_OF_BYTES)): 4,
            lambda: ("sendfile", self.size(), self.one_of(0, 3), self.one_of(None, 5)): 1,
            lambda: ("connect", self.one_of("listener", "nobody", "nonsense")): 1,
            lambda: ("accept",): 1,
            lambda: ("dial",): 1,
            lambda: ("watch", self.one_of("read", "write")): 1,
            lambda: ("unwatch", self.one_of("read", "write")): 1,
            lambda: ("cancel", self.one_of("recv", "sendall", "accept", "sendfile")): 2,
            lambda: ("shutdown", self.one_of(0, 1, 2)): 1,
            **self.peer_menu(),
        }
        steps = self.without_dawdling(self.steps(menu, 12))
        return {"family": self.one_of("tcp", "unix")}, steps

    def processes(self) -> tuple[dict[str, Any], tuple[Step, ...]]:
        options = {
            "command": self.one_of(*COMMANDS),
            "stdin": self.once_in(2),
            "stderr": self.once_in(2),
            "settles": False,  # how soon a child does something is no loop's affair
        }
        steps: list[Step] = []
        if options["command"] == "exec sleep 30":
            steps.append(("signal", self.one_of("kill", "terminate")))
        first = self.one_of(
            ("communicate", self.one_of(None, 0, 100, 300_000)), ("wait",), ("wait",)
        )
        steps.append(first)
        return options, tuple(steps)


def program_of_seed(seed: int) -> Program:
    """The program of this number, always the same."""
    return Choices(seed).program()
