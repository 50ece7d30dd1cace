"""The tags of a page that may hold links, found in one pass and without a tree.

Rules, which the tests hold it to:

1. **Linear.** Each byte is looked at a fixed number of times, whatever the page holds. Whoever
   writes a page can make a tree of it quadratic; see docs/decisions/hostile-pages.md.
2. **In small steps.** `scan` yields every few thousand bytes or tags, so that a caller on an event
   loop can let others go first.
3. **In constant memory**, apart from the tags that it hands out.
4. **As the HTML standard's tokenizer** ("Tokenization"), with what the standard's tree builder
   tells it: where text is raw (`<script>`, `<title>`, …), where markup is foreign (SVG, MathML),
   and what is in a `<template>` and so no part of the document.

How it is fast: nearly all tags of a page are of no interest. One regular expression passes over
text and such tags, hundreds at a time, inside the `re` module, and stops at the first tag
that is wanted. Python runs for those alone.

The trap: every repetition in an expression here is possessive (`*+`). That is rule 1: the
expression never tries a second way to read what it has read. One that could backtrack would be the
quadratic tree again, in another place.
"""

import functools
import re
from collections.abc import Generator, Iterable, Sequence
from typing import NamedTuple

from . import foreign
from .foreign import ForeignContent

# A start tag: its name, those of its attributes that were asked for (and perhaps others), and
# whether it is HTML's and not SVG's or MathML's. Names are in lower case; values are bytes, as they
# stand in the page. A plain tuple, as making a named one takes three times as long.
Tag = tuple[bytes, dict[bytes, bytes], bool]

# How far Python code goes, in bytes, before it yields; and how far `re` searches in one call.
_STEP = 8 * 1024
_WINDOW = 128 * 1024
# No shorter than what is searched for, so that no match is lost where two windows meet.
_OVERLAP = 16

# Elements whose text is no markup. <noscript> is not one of them: we run no scripts.
_RAW_TEXT = frozenset(b"script style title textarea xmp iframe noembed noframes".split())
# Those that pages are full of.
_OFTEN = frozenset({b"script", b"style", b"title"})
_SPECIAL = _RAW_TEXT | {b"plaintext", b"svg", b"math", b"template"}
_SPECIAL_ATTRIBUTES = foreign.ATTRIBUTES | {b"shadowrootmode", b"xlink:href"}


def scan(
    page: bytes,
    elements: frozenset[bytes],
    attributes: frozenset[bytes],
    *,
    values_of: frozenset[bytes] = frozenset(),
    xml: bool = False,
) -> Generator[Sequence[Tag | bytes], None, None]:
    """The start tags of ``page`` (UTF-8) that are one of ``elements``, in the order of the page.

    Of each, the ``attributes`` asked for are reported, and perhaps others. With no ``elements`` all
    start tags come. Where one attribute is asked for, of HTML's elements ``values_of`` its value
    alone may be reported, which is quicker. ``xml`` is for XHTML: ``/>`` ends every element, CDATA
    sections are text, and names may have a prefix; errors of XML are overlooked. What is yielded
    are the tags of a step, often none: each is a chance to do other things.
    """
    grammar = _grammar(elements, attributes, values_of or elements, xml)
    values_only = bool(values_of)
    foreign = ForeignContent(xml=xml)
    templates: list[bool] = []  # of each open template: whether it hides what is in it
    hiding = 0
    tags: list[Tag | bytes] = []
    end, position, pause = len(page), 0, _STEP
    while position < end:
        if position >= pause:
            pause = position + _STEP
            yield tags
            tags = []
        if foreign or templates:
            match = grammar.any_tag.match(page, position)
            assert match is not None  # all of it is optional
            position = match.end()
            name, end_name = match.groups()
        else:
            end_name = plain = None
            for match in grammar.wanted_tag.finditer(page, position):
                plain, attribute, value, name = match.groups()
                if plain is None:
                    break
                if not values_only:
                    found = {} if attribute is None else {attribute.lower(): value}
                    tags.append((plain.lower(), found, True))
                elif value is not None:  # as nearly all are
                    tags.append(value)
                if match.end() >= pause:
                    break
            assert match is not None
            position = match.end()
            if plain is not None:
                continue
        if name is None and end_name is None:
            if page[position : position + 1] == b"<":
                text = foreign.inside or xml
                position = yield from _skip_other(grammar, page, position, cdata=text, xml=xml)
            continue  # after many tags of no interest, if there was no "<"
        found, separator, position = yield from _attributes(grammar.attribute, page, position)
        if position > end:
            break  # the page ends inside the tag, which is then none
        if end_name is not None:
            name = end_name.lower()
            if foreign:
                foreign.end(name)
            if name == b"template" and templates and not foreign.inside:
                hiding -= templates.pop()
            continue
        name = name.lower()
        closed = separator.endswith(b"/")
        html = not foreign.start(name, found, closed=closed)
        if (not elements or name in elements) and not hiding:
            tags.append((name, found, html))
        if not html or (xml and closed) or name not in _SPECIAL:
            continue
        if name == b"template":
            templates.append(b"shadowrootmode" not in found)
            hiding += templates[-1]
        elif name == b"plaintext":
            break
        elif name == b"script":
            position = yield from _skip_script(page, position)
        elif name in _RAW_TEXT:
            position = yield from _find(_raw_text_end(name), page, position)
    yield tags


# ---- regular expressions ----------------------------------------------------------------------
#
# What costs here is where the `re` module has to remember a place: at each alternative that it
# enters, each look ahead, each turn of a group. So alternatives begin with a letter, by which the
# module passes over those that cannot be; text and the tag after it are one turn; and the usual
# form of an attribute, name="value", is tried first.

_SPACE = rb"[ \t\n\f\r]*+"
_BETWEEN = rb"[ \t\n\f\r/]*+"
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_TAG_NAME = rb"[a-zA-Z][^ \t\n\f\r/>]*+"
_TAG_NAME_ENDS = rb"(?=[ \t\n\f\r/>])"
_NAME_ENDS = rb"(?=[ \t\n\f\r/>=])"
_NAME = rb"[^ \t\n\f\r/>][^ \t\n\f\r/>=]*+"
# The usual form; then all others. A value that is never closed goes on to the end of the page.
_VALUE = (
    rb"""(?:="(%b[^"]*+)"|"""
    rb"(?:" + _SPACE + rb"=" + _SPACE + rb"""(?:"(%b[^"]*+)(?:"|\Z)|'(%b[^']*+)(?:'|\Z)|(?=>)"""
    rb"""|(%b[^ \t\n\f\r>"'][^ \t\n\f\r>]*+)|\Z))?+)"""
)
_ANY_VALUE = _VALUE % ((b"?:",) * 4)
_THIS_VALUE = _VALUE % ((b"",) * 4)
# More attributes, or tags, than this are read in steps.
_ATTRIBUTES_AT_ONCE = b"{0,64}+"
_TAGS_AT_ONCE = b"{0,250}+"
# So are longer comments, scripts and styles than have this many dashes or "<".
_PIECES_AT_ONCE = b"{0,200}+"
_SHORT_COMMENT = rb"!--(?!-?>)(?:[^-]++|-(?!-!?>))" + _PIECES_AT_ONCE + rb"--!?>"


class _Grammar(NamedTuple):
    """What depends on the elements and attributes that are wanted.

    ``wanted_tag`` passes over text and over tags of no interest; ``any_tag`` over text alone. Both
    end after the name of a start tag, and ``any_tag`` also after that of an end tag. But a start
    tag in which all attributes are written name="value", and one of them is wanted at most, is
    read to its end, if it is one of the ``plain`` ones: these are the first three groups of
    ``wanted_tag``.

    ``attribute`` begins after a name or a value; it ends after the next wanted attribute, or before
    what is none: the ``>``.
    """

    wanted_tag: re.Pattern[bytes]
    any_tag: re.Pattern[bytes]
    attribute: re.Pattern[bytes]


@functools.lru_cache(maxsize=64)
def _grammar(
    elements: frozenset[bytes], attributes: frozenset[bytes], plain: frozenset[bytes], xml: bool
) -> _Grammar:
    prefix = rb"(?:[^ \t\n\f\r/>:!?<]++:)?+" if xml else b""
    any_tag = rb"[^<]*+(?:<(?:%b(%b)|/%b(%b)))?+" % (prefix, _TAG_NAME, prefix, _TAG_NAME)
    wanted_tag = rb"[^<]*+(?:<(?:(?!)()()()|%b(%b)))?+" % (prefix, _TAG_NAME)
    if elements:
        start = _one_of(elements | _SPECIAL) + _TAG_NAME_ENDS
        attributes_of_any = rb"(?:%b%b%b)%b%b>" % (
            *(_BETWEEN, _NAME, _ANY_VALUE, _ATTRIBUTES_AT_ONCE, _BETWEEN),
        )
        boring = rb"(?!%b%b)[a-zA-Z]" % (prefix, start)
        if not xml:
            boring = _begins_none_of(elements | _SPECIAL)
        boring_tag = rb"(?:/[a-zA-Z]|%b)[^ \t\n\f\r/>]*+(?:>|%b)" % (boring, attributes_of_any)
        if not xml:
            raw = b"|".join(_short_raw_text(name, attributes_of_any) for name in _OFTEN - elements)
            boring_tag = rb"(?:%b|%b|%b)" % (boring_tag, _SHORT_COMMENT, raw)
        wanted_tag = rb"(?:[^<]*+<%b)%b[^<]*+(?:<(?:%b%b|%b(%b)))?+" % (
            *(boring_tag, _TAGS_AT_ONCE, prefix, _plain_tag(plain - _SPECIAL, attributes)),
            *(prefix, start),
        )
    wanted = _one_of(attributes | _SPECIAL_ATTRIBUTES) + _NAME_ENDS
    attribute = rb"(?:%b(?!%b)%b%b)%b(%b)(?:(%b)%b)?+" % (
        *(_BETWEEN, wanted, _NAME, _ANY_VALUE, _ATTRIBUTES_AT_ONCE, _BETWEEN),
        *(wanted, _THIS_VALUE),
    )
    return _Grammar(re.compile(wanted_tag), re.compile(any_tag), re.compile(attribute))


def _short_raw_text(name: bytes, attributes: bytes) -> bytes:
    """An element whose text is raw, up to its end tag; but no script with a comment in it."""
    ends = rb"/%b%b" % (_one_of([name]), _TAG_NAME_ENDS)
    stops = ends + rb"|!--" * (name == b"script")
    return rb"%b%b(?:>|%b)(?:[^<]++|<(?!%b))%b(?=<%b)" % (
        *(_one_of([name]), _TAG_NAME_ENDS, attributes, stops, _PIECES_AT_ONCE, ends),
    )


def _plain_tag(elements: frozenset[bytes], attributes: frozenset[bytes]) -> bytes:
    """A whole tag in the usual form; see `_Grammar`."""
    firsts = b"".join(sorted({name[:1] for name in attributes}))
    others = rb"""(?:[ \n]++[^ \t\n\f\r/>="'%b][^ \t\n\f\r/>="']*+="[^"]*+")*+""" % (
        firsts + firsts.upper()
    )
    return rb"""(%b)(?=[ \n>])%b(?:[ \n]++(%b)="([^"]*+)"%b)?+>""" % (
        *(_one_of(elements), others, _one_of(attributes), others),
    )


def _one_of(names: Iterable[bytes]) -> bytes:
    """An expression for some names in upper or lower case; no letter is tried twice."""
    following = _by_first(names)
    branches = [_either_case(first) + _one_of(rest) for first, rest in following.items() if first]
    if not branches:
        return b""
    return rb"(?:%b%b)" % (b"|".join(branches), b"|" if b"" in following else b"")


def _begins_none_of(names: Iterable[bytes]) -> bytes:
    """An expression for the first letter of the name of a tag that is none of ``names``."""
    following = _by_first(names)
    free = bytes(set(_LETTERS) - set(b"".join(following)))
    ours = [
        rb"%b(?!%b%b)" % (_either_case(first), _one_of(rest), _TAG_NAME_ENDS)
        for first, rest in following.items()
    ]
    return rb"(?:[%b%b]|%b)" % (free, free.upper(), b"|".join(ours))


def _by_first(names: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    following: dict[bytes, list[bytes]] = {}
    for name in sorted(names):
        following.setdefault(name[:1], []).append(name[1:])
    return following


def _either_case(letter: bytes) -> bytes:
    return b"[%b%b]" % (letter, letter.upper()) if letter.isalpha() else re.escape(letter)


# ---- parts of a page --------------------------------------------------------------------------

_Steps = Generator[Sequence[Tag | bytes], None, int]
_NO_MARKUP = re.compile(rb"(?:(?:<(?![a-zA-Z/!?])|</>)[^<]*+){1,1000}+")
_MARKUP_END = re.compile(rb">")
_COMMENT_END = re.compile(rb"--!?>")
_XML_COMMENT_END = re.compile(rb"-->")
_CDATA_END = re.compile(rb"\]\]>")
_INSTRUCTION_END = re.compile(rb"\?>")
_DOCTYPE_MARK = re.compile(rb"[\[>]")
_SUBSET_END = re.compile(rb"\][ \t\n\r]{0,8}>")
_SCRIPT_MARK = re.compile(rb"<!--|-->|<(/?)(?i:script)" + _TAG_NAME_ENDS)


@functools.cache
def _raw_text_end(name: bytes) -> re.Pattern[bytes]:
    # The tag is left to be read: it ends before "</".
    return re.compile(rb"(?=</(?i:%b)%b)" % (name, _TAG_NAME_ENDS))


def _attributes(
    expression: re.Pattern[bytes], page: bytes, position: int
) -> Generator[Sequence[Tag | bytes], None, tuple[dict[bytes, bytes], bytes, int]]:
    """The wanted attributes, what stands before the ``>``, and the place after it.

    The place is beyond the end of the page if there is no ``>``.
    """
    found: dict[bytes, bytes] = {}
    pause = position + _STEP
    while True:
        match = expression.match(page, position)
        assert match is not None
        position = match.end()
        separator, name, *values = match.groups()
        if name is not None:
            found.setdefault(name.lower(), next(filter(None, values), b""))
        elif page[position : position + 1] in (b">", b""):
            return found, separator, position + 1
        if position >= pause:
            pause = position + _STEP
            yield ()


def _skip_other(grammar: _Grammar, page: bytes, position: int, *, cdata: bool, xml: bool) -> _Steps:
    """Pass over what begins with ``<`` and is no wanted tag: a comment, a doctype, a long tag."""
    kind = page[position + 1 : position + 2]
    if page.startswith(b"<!--", position):
        inner = position + len("<!--")
        if not xml:
            if page.startswith(b">", inner):
                return inner + 1
            if page.startswith(b"->", inner):
                return inner + 2
        return (yield from _find(_XML_COMMENT_END if xml else _COMMENT_END, page, inner))
    if cdata and page.startswith(b"<![CDATA[", position):
        return (yield from _find(_CDATA_END, page, position))
    if xml and kind == b"!":
        position = yield from _find(_DOCTYPE_MARK, page, position)
        if page[position - 1 : position] != b"[":
            return position
        return (yield from _find(_SUBSET_END, page, position))
    if kind == b"?" and xml:
        return (yield from _find(_INSTRUCTION_END, page, position))
    if text := _NO_MARKUP.match(page, position):
        return text.end()
    after = position + 1 + (kind == b"/")
    if page[after : after + 1].isalpha():
        # A tag with very many attributes. Its name is read as one more, which does no harm.
        _, _, position = yield from _attributes(grammar.attribute, page, after)
        return position
    return (yield from _find(_MARKUP_END, page, after))


def _skip_script(page: bytes, position: int) -> _Steps:
    """To the ``</script`` that ends a script (HTML standard, "script data" states).

    Inside ``<!--`` … ``-->`` a ``<script>`` has an end tag of its own.
    """
    escaped = twice = False
    pause = position + _STEP
    while match := (yield from _search(_SCRIPT_MARK, page, position)):
        position = match.end()
        if match[0] == b"<!--":
            escaped = True
            position -= 2  # its dashes may be those of "-->"
        elif match[0] == b"-->":
            escaped = twice = False
        elif not match[1]:
            twice = escaped
        elif not twice:
            return match.start()
        else:
            twice = False
        if position >= pause:
            pause = position + _STEP
            yield ()
    return len(page)


def _find(expression: re.Pattern[bytes], page: bytes, position: int) -> _Steps:
    """The place after the next match, or the end of the page."""
    match = yield from _search(expression, page, position)
    return len(page) if match is None else match.end()


def _search(
    expression: re.Pattern[bytes], page: bytes, position: int
) -> Generator[Sequence[Tag | bytes], None, re.Match[bytes] | None]:
    while True:
        stop = position + _WINDOW
        match = expression.search(page, position, stop)
        if match is not None or stop >= len(page):
            return match
        position = stop - _OVERLAP
        yield ()
