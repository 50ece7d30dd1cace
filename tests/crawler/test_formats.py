"""A record as a line of JSON: what the standard library would write, byte for byte."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from crawler.output.formats import FORMATS
from crawler.output.records import FIELDS, Record
from crawler.page import find_links

texts = st.text(max_size=20) | st.just("http://a/?q=\\") | st.just('a", "b')
# Surrogates are in what was no UTF-8 on a command line, control characters in what a server said.
odd = st.text(st.characters(codec=None), max_size=20)
floats = st.floats(0, 1e12).map(lambda seconds: round(seconds, 6))

records = st.builds(
    Record,
    url=odd,
    depth=st.integers(0, 100),
    time=floats,
    status=st.none() | st.integers(100, 999),
    final_url=texts,
    redirects=st.lists(odd, max_size=3),
    type=odd,
    charset=texts,
    size=st.integers(0),
    decoded_size=st.integers(0),
    seconds=floats,
    timings=st.dictionaries(texts, floats, max_size=3),
    flags=st.lists(odd, max_size=3),
    links=st.lists(
        st.sampled_from(["http://a/", "http://a/?\\", 'http://a/?", "', "http://é/"]), max_size=4
    ),
    error=odd,
    detail=odd,
)


@settings(max_examples=200, deadline=None)
@given(records)
@example(Record(""))
def test_a_line_of_json_is_what_the_standard_library_writes(record: Record) -> None:
    fields = {name: getattr(record, name) for name in FIELDS}
    expected = json.dumps(fields, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    assert FORMATS["jsonl"].write(record) == expected


def test_no_link_holds_what_json_has_to_escape_but_a_backslash_and_a_quote() -> None:
    every = "".join(map(chr, range(0x80)))
    places = [f"/a{mark}b?c{mark}d#e{mark}f" for mark in every]
    hosts = [f"http://u{mark}v:w{mark}x@h{mark}i:8{mark}0/" for mark in every]
    page = "".join(f"<a href='{link}'></a><a href=\"{link}\"></a>" for link in places + hosts)
    for codec in ("utf-8", "iso2022_jp"):
        links = find_links(page, "http://h/", codec)
        assert len(links) > 100
        assert not [link for link in links if any(ord(mark) < 0x20 for mark in link)]
        line = FORMATS["jsonl"].write(Record("http://h/", links=links))
        assert isinstance(line, bytes)
        assert json.loads(line)["links"] == links
