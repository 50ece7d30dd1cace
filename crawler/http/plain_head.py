"""Heads as nearly all servers send them, read at one look.

For a request and the head of its reply h11 takes three times what all else of the client does. So a
reply is looked at here first, and left to h11 unless it is as plain as can be: the whole head is
there, in the form below; and the body has a length, given once, and is there as well, or it comes
in chunks. What is taken here h11 would take too, and for the same
(``tests/crawler/test_plain_heads.py``): nothing is mended, and nothing is guessed.
Why: ``docs/decisions/plain-heads.md``.
"""

import re

from .headers import Headers
from .reply import Reply

_NAME = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]++"  # a token (RFC 9110, section 5.6.2)
_VALUE = rb"[!-~][ -~]*+(?<! )"
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2}) ([ -~]*+)\r\n((?:%b: %b\r\n)++)\r\n" % (_NAME, _VALUE)
)
_FIELDS = re.compile(rb"([^:]++): ([^\r]++)\r\n")
# h11 takes no longer number for a length.
_DIGITS = 20


def read_plain(data: bytes) -> tuple[Reply, bytes] | None:
    """The reply to a GET, and what has come of its body; None if that is for h11 to say."""
    match = _HEAD.match(data)
    if match is None:
        return None
    status, phrase, fields = match.groups()
    headers = Headers(_FIELDS.findall(fields))
    length = headers.index.get("content-length")
    if length is None:
        if headers.index.get("transfer-encoding") != b"chunked":
            return None
    elif isinstance(length, list) or not _is_length(length):
        return None
    reply = Reply(int(status), phrase, b"1.1", headers)
    body = data[match.end() :]
    if length is None:
        return None if reply.length == 0 else (reply, body)
    return (reply, body) if reply.simple and reply.length == len(body) else None


def _is_length(value: bytes) -> bool:
    return value.isdigit() and len(value) <= _DIGITS
