"""The differences that are meant: each by its name, and each in docs/differences.md.

A recogniser is given a program, one entry of the notes that differs, and what each loop noted. It
says whether this is that difference and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.differential.io.program import Program
from tests.differential.io.world import Notes

__all__ = ["KNOWN", "ROWS", "Case", "names_of"]


# What asyncio raises when it has forgotten its own parts.
WRONG = ("AttributeError", "TypeError", "KeyError", "InvalidStateError")

MARKS = ("pause_writing", "resume_writing")

# A reader with less room than this pauses after the first read; a Unix socket does not hold as many
# bytes as MUCH.
LITTLE = 64 * 1024
MUCH = 200_000

# What the hooks of a protocol note.
ACTS = ("close", "abort", "pause_reading", "resume_reading", "writes", "write_eof")


@dataclass
class Case:
    """One entry that differs."""

    program: Program
    who: str
    expected: list[Any]  # by asyncio
    found: list[Any]  # by miniloop
    all_expected: Notes
    all_found: Notes

    def does(self, *names: str) -> bool:
        """Whether the program has one of these steps."""
        return any(step[0] in names for step in self.program.steps)

    def without(self, *calls: str) -> bool:
        """Whether both are the same once these are left out."""
        return [note for note in self.expected if note[0] not in calls] == [
            note for note in self.found if note[0] not in calls
        ]

    def heard_the_same(self) -> bool:
        """Whether a peer received the same bytes, however it ended."""
        heard = [
            [note[1][:2] for note in notes if note[0] == "in all"]
            for notes in (self.expected, self.found)
        ]
        return heard[0] == heard[1]

    def late_data(self) -> tuple[str, ...]:
        """Data that came while reading was paused, if it ever was, are lost with the connection."""
        hooks = self.program.options.get("hooks", {})
        paused = self.does("pause") or any("pause_reading" in acts for acts in hooks.values())
        return ("data",) if paused else ()

    def pauses_at_once(self) -> bool:
        """A reader with little room stops what comes, and then the peer hangs up."""
        options, steps = self.program.options, self.program.steps
        little = self.program.kind == "reading" and options["limit"] < LITTLE
        return little and ("peer", "hang_up") in steps

    def total(self, call: str) -> tuple[int, int]:
        """How often this one noted that in all, on asyncio and on miniloop."""
        expected, found = (
            sum(
                note[0] == call
                for (_, who), told in notes.items()
                if who == self.who
                for note in told
            )
            for notes in (self.all_expected, self.all_found)
        )
        return expected, found


def in_all(notes: Notes, text: str) -> bool:
    """Whether it is anywhere in the notes."""
    return text in repr(notes)


def unread_is_dropped(case: Case) -> bool:
    """With data unread asyncio's `close` resets the connection; here it is read and dropped."""
    return (
        case.who == "peer"
        and ("Reset" in repr(case.expected) or in_all(case.all_expected, "Reset"))
        and "Reset" not in repr(case.found)
    ) or (
        (
            case.who.startswith("task read")
            and (case.does("close", "wait_closed") or ("peer", "reset") in case.program.steps)
        )
        or (case.who == "peer" and case.without("cannot send", "cannot finish"))
        # A reader that has enough leaves the peer with what it could not send.
        or (case.program.kind == "reading" and case.who == "peer" and case.heard_the_same())
        or ("close" in case.program.options.get("hooks", {}).get("get_buffer", ()))
    )


def unix_pair_has_a_peer(case: Case) -> bool:
    """A datagram socket of a pair is connected, though its peer has no name."""
    return (
        case.program.kind == "datagrams"
        and case.program.options["family"] == "unix"
        and in_all(case.all_expected, "Fatal write error on datagram transport', 'TypeError")
    )


def start_tls_ends(case: Case) -> bool:
    """A `start_tls` that fails ends the connection and itself; asyncio may wait for ever."""
    return case.does("start_tls") and (
        case.who == "handler"
        or case.without("data")
        or (case.who == "peer" and not in_all(case.all_found, "'upgraded'"))
        or (case.who.startswith("task start_tls") and not case.program.options.get("tls"))
        or in_all(case.all_expected, "'pending'")
        or case.without("connection_lost")
    )


def closed_transports_answer(case: Case) -> bool:
    """asyncio's transports forget their parts when they are closed, and stumble over that."""
    pairs = zip(case.expected, case.found, strict=False)
    return len(case.expected) == len(case.found) and all(
        left == right or str(left[1]) in WRONG for left, right in pairs
    )


def nobody_waits_for_ever(case: Case) -> bool:
    """asyncio leaves somebody waiting, or something unclosed."""
    if case.who == "warnings":
        return all(warning in case.expected for warning in case.found)
    ended = [note for note in case.expected if note[0] == "pending"]
    return case.who.startswith("task") and (
        bool(ended) or (not case.expected and in_all(case.all_expected, "'pending'"))
    )


def is_tls(case: Case) -> bool:
    return bool(case.program.options.get("tls")) or case.does("start_tls")


def tls_marks(case: Case) -> bool:
    """TLS pauses and resumes its protocol by its own count of bytes."""
    return is_tls(case) and (
        case.without(*MARKS, "eof_received") or case.who.startswith("task drain")
    )


def end_told_once(case: Case) -> bool:
    """The end is told once, and not after the connection was closed."""
    return case.without("eof_received", *ACTS) and (
        is_tls(case) or not case.total("eof_received")[0] or case.total("eof_received")[1] == 1
    )


def tls_ending(case: Case) -> bool:
    """When the connection below is gone, TLS says so at once, and why."""
    return is_tls(case) and (
        (
            case.without("connection_lost", "eof_received", *MARKS, *ACTS, *case.late_data())
            and case.total("connection_lost")[1] == 1
        )
        or (case.who == "peer" and "told the end" in repr(case.found))
        or (case.who == "peer" and bool(case.late_data()))
        or (case.pauses_at_once() and (told_earlier(case) or told_broken(case)))
    )


def told_earlier(case: Case) -> bool:
    """Who waits for the end is told of it in an earlier step, and of no other."""
    before, after = case.total("ended")
    return case.who.startswith("task wait_closed") and before == after == 1


def told_broken(case: Case) -> bool:
    """Who reads is told that the connection broke, as it does without TLS."""
    return case.who.startswith("task read") and case.found == [["ended", "BrokenPipeError"]]


def errors_of_asyncio(case: Case) -> bool:
    """What goes wrong inside of asyncio is reported to the handler."""
    rest = [note for note in case.expected if note[1] not in WRONG]
    return case.who == "handler" and rest == case.found


def tls_after_close(case: Case) -> bool:
    """What comes after `close` is dropped; asyncio makes an error of it, and cuts the rest off."""
    return is_tls(case) and in_all(case.all_expected, "SSLError(EPERM)")


def tls_reason(case: Case) -> bool:
    """A peer that is refused is told why."""
    return (
        case.who == "peer"
        and case.program.options.get("trusts") is False
        and "SSLError" in repr(case.found)
    )


def tls_does_not_read(case: Case) -> bool:
    """A closed transport does not say that it reads."""
    told = case.expected, case.found
    return is_tls(case) and told in (
        ([["is_reading", True]], [["is_reading", False]]),
        ([["is_closing", False]], [["is_closing", True]]),
    )


def before_an_end(case: Case) -> bool:
    """How much a protocol was given before it put an end to it depends on how it was cut up."""
    if case.pauses_at_once():
        # asyncio takes 256 KiB at once, so that the peer comes to its end and hangs up sooner.
        sent = [step[2] for step in case.program.steps if step[:2] == ("peer", "send")]
        return case.who.startswith(("peer", "task drain")) and max(sent, default=0) > MUCH
    return "data_received" in case.program.options.get("hooks", {}) and (
        case.without("data", *ACTS) or case.who == "peer"
    )


def lines_count(case: Case) -> bool:
    """Some releases of asyncio do not tell of a buffer that `writelines` has filled."""
    calls = (*MARKS, *ACTS)
    return case.does("writelines") and (
        case.without(*calls)
        or case.without("connection_lost", *calls)  # of one that is gone they are told later
    )


def broken_transfers(case: Case) -> bool:
    """Who waits for a connection that breaks is told so; in which words, depends on who tries."""
    errors = ("ConnectionError", "BrokenPipeError", "ConnectionResetError")
    if not case.who.startswith("task") or not len(case.expected) == len(case.found) == 1:
        return False
    expected, found = str(case.expected[0][1]), str(case.found[0][1])
    return found.startswith(errors) and (
        expected.startswith(errors) or (case.who.startswith("task sendfile") and expected.isdigit())
    )


def each_endpoint_reports(case: Case) -> bool:
    """A `connection_made` that raises is reported in words of the transport."""
    return case.who == "handler" and [note[1] for note in case.expected] == [
        note[1] for note in case.found
    ]


KNOWN: dict[str, Callable[[Case], bool]] = {
    "a broken connection is told": broken_transfers,
    "the end is told once": end_told_once,
    "TLS: a lost connection is told at once": tls_ending,
    "asyncio's own errors": errors_of_asyncio,
    "a closed transport may be used": closed_transports_answer,
    "nobody waits for ever": nobody_waits_for_ever,
    "TLS: marks": tls_marks,
    "TLS: what comes after close is dropped": tls_after_close,
    "TLS: a peer that is refused is told why": tls_reason,
    "TLS: a closed transport does not read": tls_does_not_read,
    "how much comes before an end": before_an_end,
    "writelines counts": lines_count,
    "errors are reported in other words": each_endpoint_reports,
    "what is unread is dropped": unread_is_dropped,
    "a datagram socket of a pair has a peer": unix_pair_has_a_peer,
    "a handshake that fails ends the connection": start_tls_ends,
}

# How the row about each begins in docs/differences.md.
ROWS = {
    "a broken connection is told": "A `sendfile` whose last write finds",
    "the end is told once": "The end of a stream is told once",
    "TLS: a lost connection is told at once": "A connection that is lost is told of",
    "asyncio's own errors": "A closed transport may be asked, and used without effect",
    "a closed transport may be used": "A closed transport may be asked, and used without effect",
    "nobody waits for ever": "A handshake by `start_tls` that fails ends",
    "TLS: marks": "A protocol is paused when something waits",
    "TLS: what comes after close is dropped": "What comes after `close` is dropped",
    "TLS: a peer that is refused is told why": "A peer that is refused is told why",
    "TLS: a closed transport does not read": "A transport that is closed does not read",
    "how much comes before an end": "How a stream is cut up into calls of `data_received`",
    "writelines counts": "`writelines` pauses the protocol when it has filled the buffer",
    "errors are reported in other words": "What the exception handler is told is worded",
    "what is unread is dropped": "What is unread when a transport closes is dropped",
    "a datagram socket of a pair has a peer": "An endpoint on a pair of Unix sockets",
    "a handshake that fails ends the connection": "A handshake by `start_tls` that fails ends",
}


def names_of(case: Case) -> list[str]:
    """The known differences that explain it; none if it is a new one."""
    return [name for name, explains in KNOWN.items() if explains(case)]
