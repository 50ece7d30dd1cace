"""Links that are written in a notation of their own: header fields, refreshes, source sets."""

import re
from collections.abc import Iterator

_TARGET = re.compile(r"[ \t,]*+<([^>]*+)>")
# The parameters of a link, up to the comma that ends them; a comma in quotes does not.
_PARAMETERS = re.compile(r"""(?:[^",]|"(?:[^"\\]|\\.)*+(?:"|\Z))*+,?""", re.DOTALL)
_REFRESH = re.compile(
    r"""[ \t\n\f\r]*+(?:[0-9]++[0-9.]*+|\.[0-9.]*+)"""
    r"""(?:[ \t\n\f\r]*+[;,]|[ \t\n\f\r])[ \t\n\f\r]*+"""
    r"""(?:[uU][rR][lL][ \t\n\f\r]*+=[ \t\n\f\r]*+)?+(?:"([^"]*+)|'([^']*+)|([^"'].*))""",
    re.DOTALL,
)
_SOURCE = re.compile(r"[ \t\n\f\r,]*+([^ \t\n\f\r]++)")
_DESCRIPTORS = re.compile(r"(?:[^,(]|\([^)]*+(?:\)|\Z))*+")


def link_targets(field: str) -> Iterator[str]:
    """The targets of a ``Link`` field, ``<a>; rel=next, <b>; rel=prev`` (RFC 8288, section 3)."""
    position = 0
    while match := _TARGET.match(field, position):
        yield match[1].strip(" \t")
        after = _PARAMETERS.match(field, match.end())
        assert after is not None  # all of it is optional
        position = after.end()


def refresh_target(text: str) -> Iterator[str]:
    """The URL of ``5; url=/there``, if there is one.

    It stands in ``<meta http-equiv=refresh>`` and in the ``Refresh`` field, and both are read alike
    (HTML standard, "shared declarative refresh steps").
    """
    match = _REFRESH.match(text)
    if match is not None:
        yield next(target for target in match.groups() if target is not None)


def source_set(text: str) -> Iterator[str]:
    """The URLs of ``a.png 1x, b.png 2x`` (HTML standard, "parsing a srcset attribute")."""
    position = 0
    while match := _SOURCE.match(text, position):
        url = match[1]
        position = match.end()
        if url.endswith(","):
            url = url.rstrip(",")
        else:
            after = _DESCRIPTORS.match(text, position)
            assert after is not None  # all of it is optional
            position = after.end()
        yield url
