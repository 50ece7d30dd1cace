"""Which links a page holds, and where they lead."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from crawler.page import PageLinks, Resolved, find_links, link_steps, parse_kinds, resolving
from crawler.page.headers import link_targets, refresh_target

PAGE = "http://h/dir/page"


@pytest.mark.parametrize(
    ("reference", "link"),
    [
        ("/a", "http://h/a"),
        ("a", "http://h/dir/a"),
        ("../a", "http://h/a"),
        ("?a=1", "http://h/dir/page?a=1"),
        ("#a", "http://h/dir/page#a"),
        ("", "http://h/dir/page"),
        ("//other/a", "http://other/a"),
        ("https://other/a", "https://other/a"),
        ("HTTP://OTHER/a", "http://other/a"),
        ("  /a\n", "http://h/a"),
        ("/a b", "http://h/a%20b"),
        ("/a\tb\nc", "http://h/abc"),
        ("/ä", "http://h/%C3%A4"),
        ("\\\\other\\a", "http://other/a"),
        ("http://bücher.example", "http://xn--bcher-kva.example/"),
    ],
)
def test_a_reference_becomes_an_absolute_url(reference: str, link: str) -> None:
    assert find_links(f'<a href="{reference}">x</a>', PAGE) == [link]


@pytest.mark.parametrize(
    "reference",
    [
        "javascript:void(0)",
        "JavaScript:alert(1)",
        " java\nscript:alert(1)",
        "mailto:a@example.com",
        "tel:+4912345",
        "data:text/html,x",
        "ftp://h/a",
        "file:///etc/passwd",
        "about:blank",
        "http://",
        "http://[",
        "http://a b/",
        "http://h:99999/",
    ],
)
def test_what_is_no_web_address_is_left_out(reference: str) -> None:
    assert find_links(f'<a href="{reference}">x</a><a href="/y">', PAGE) == ["http://h/y"]


@pytest.mark.parametrize(
    ("markup", "link"),
    [
        ('<a href="/a?b=1&amp;c=2">', "http://h/a?b=1&c=2"),
        ('<a href="/a?b=1&c=2">', "http://h/a?b=1&c=2"),
        ('<a href="&#x2F;a&#47;b">', "http://h/a/b"),
        ('<a href="/caf&eacute;">', "http://h/caf%C3%A9"),
        ("<A HREF='/a'>", "http://h/a"),
        ("<a href=/a>", "http://h/a"),
        ("<a class=x\nhref\n=\n/a id=y>", "http://h/a"),
        ('<a href="/a" href="/b">', "http://h/a"),
        ("<a href>", "http://h/dir/page"),
        ('<link rel="next" href="/a">', None),
        ('<a title="<a href=/b>" href="/a">', "http://h/a"),
        ("<a title='x > y <a href=/b>' href=/a>", "http://h/a"),
        ('<div title="a > b <a href=/b>"><a href="/a">', "http://h/a"),
        ("<a href = '/a' >", "http://h/a"),
        ('<a href="/a?x=1&copy=2&lt;&notit;">', "http://h/a?x=1&copy=2%3C&notit;"),
        (
            '<a href="/&#x110000;&#xD800;&#0;&#99999999999999999999;">',
            "http://h/" + 4 * "%EF%BF%BD",
        ),
        ("<script><!--<script></script><a href=/b></script>--></script><a href=/a>", "http://h/a"),
        ("<template><a href=/b></template><a href=/a>", "http://h/a"),
        ("<template shadowrootmode=open><a href=/a></template>", "http://h/a"),
        ("<iframe><a href=/b></iframe><a href=/a>", "http://h/a"),
        ("<plaintext><a href=/b>", None),
        ("<![CDATA[<a href=/b>]]><a href=/a>", "http://h/a"),
        ("<?php <a href=/b> ?><a href=/a>", "http://h/a"),
        ("<a href='/a", None),
        ('<map><area href="/a"></map>', "http://h/a"),
        ('<svg><a href="/a"></svg>', "http://h/a"),
        ('<noscript><a href="/a"></noscript>', "http://h/a"),
        ('<table><a href="/a"><tr>', "http://h/a"),
        ('<p><a href="/a"', None),
        ('<!-- <a href="/a"> -->', None),
        ('<script>"<a href=/a>"</script>', None),
        ('<textarea><a href="/a"></textarea>', None),
        ('<title><a href="/a"></title>', None),
        ('<style><a href="/a"></style>', None),
        ('<a data-href="/a" xhref="/b">', None),
        ("href=/a", None),
    ],
)
def test_markup_is_read_as_a_browser_reads_it(markup: str, link: str | None) -> None:
    assert find_links(markup, PAGE) == ([] if link is None else [link])


@pytest.mark.parametrize(
    ("markup", "links"),
    [
        ('<a href="/a"><svg><use xlink:href="#icon"></use></svg><a href="/b">', ["/a", "/b"]),
        ('<svg><a xlink:href="/a"></a></svg>', ["/a"]),
        ('<svg><a xlink:href="/a" href="/b"></a></svg>', ["/b"]),
        ('<a xlink:href="/a">', []),
        ('<svg><base href="/wrong/"></base></svg><a href="a">', ["/dir/a"]),
        (
            '<svg><foreignObject><base href="/right/"></foreignObject></svg><a href="a">',
            ["/right/a"],
        ),
        ("<svg><title><a href=/a></title></svg>", ["/a"]),
        ("<svg><style><a href=/a></style></svg>", ["/a"]),
        ("<svg><script/><a href=/a></svg>", ["/a"]),
        ("<svg><![CDATA[<a href=/b>]]></svg><a href=/a>", ["/a"]),
        ("<svg><path><p><title><a href=/b></title><a href=/a>", ["/a"]),
        ("<div><svg><path></div><title><a href=/b></title><a href=/a>", ["/a"]),
        ("<math><mi><title><a href=/b></title></mi></math><a href=/a>", ["/a"]),
        ("<svg/><title><a href=/b></title><a href=/a>", ["/a"]),
    ],
)
def test_svg_and_mathml_are_told_from_html(markup: str, links: list[str]) -> None:
    assert find_links(markup, PAGE) == [f"http://h{link}" for link in links]


XHTML = '<html xmlns="http://www.w3.org/1999/xhtml"><head><script src="x"/><title/></head><body>'


@pytest.mark.parametrize(
    ("markup", "links"),
    [
        ('<a href="/a">x</a>', ["/a"]),
        ('<textarea/><iframe src="/x"/><a href="/a"/>', ["/a"]),
        ("<![CDATA[<a href='/b'>]]><a href='/a'/>", ["/a"]),
        (
            "<script>//<![CDATA[\nif (a < b) x = '<a href=\"/b\">';\n//]]></script><a href='/a'/>",
            ["/a"],
        ),
        ('<html:a href="/a"/>', ["/a"]),
        ('<svg:svg><svg:base href="/w/"/><svg:a xlink:href="a"/></svg:svg>', ["/dir/a"]),
        ('<?x <a href="/b"> ?><a href="/a"/>', ["/a"]),
        ('<a href="/a?x=1&amp;y=2"/>', ["/a?x=1&y=2"]),
        ('<!DOCTYPE html [<!ENTITY x "<a href=\'/b\'>">]><a href="/a"/>', ["/a"]),
        ("<a href='/a'> & <", ["/a"]),
    ],
)
def test_xhtml_is_read_as_xml_and_its_errors_are_overlooked(markup: str, links: list[str]) -> None:
    found = find_links(XHTML + markup, PAGE, xml=True)
    assert found == [f"http://h{link}" for link in links]


EVERYTHING = """
<base target=x><link rel=next href=/link><meta http-equiv=Refresh content="3; URL='/refresh'">
<a href=/a></a><map><area href=/area></map><iframe src=/iframe></iframe>
<form action=/form><button formaction=/button></button><input type=image src=/input></form>
<img src=/img srcset="/img1 1x, /img,2 2x,/img3 (a, b) 3x, /img4"><video src=/video></video>
<object data=/object></object><div href=/div></div><svg><use href=/use></use></svg>
"""


@pytest.mark.parametrize(
    ("kinds", "links"),
    [
        ("a,area", ["/a", "/area"]),
        ("link", ["/link"]),
        ("refresh", ["/refresh"]),
        ("iframe", ["/iframe"]),
        ("form", ["/form", "/button"]),
        ("src", ["/input", "/img", "/video", "/object"]),
        ("srcset", ["/img1", "/img,2", "/img3", "/img4"]),
        ("href", ["/link", "/a", "/area", "/div", "/use"]),
        ("A , iframe,", ["/a", "/iframe"]),
    ],
)
def test_what_counts_as_a_link_can_be_chosen(kinds: str, links: list[str]) -> None:
    found = find_links(EVERYTHING, PAGE, kinds=parse_kinds(kinds))
    assert found == [f"http://h{link}" for link in links]


def test_frames_hold_links_where_they_are_asked_for() -> None:
    page = "<frameset><frame src=/a><frame src=/b></frameset>"
    assert find_links(page, PAGE, kinds=parse_kinds("frame")) == ["http://h/a", "http://h/b"]


@pytest.mark.parametrize(
    ("kinds", "message"), [("a,b", "links must be of a, area, .*; got b"), (" ,", "at least one")]
)
def test_a_kind_of_link_that_is_unknown_is_refused(kinds: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_kinds(kinds)


@pytest.mark.parametrize(
    ("field", "targets"),
    [
        ("</a>; rel=next", ["/a"]),
        ('</a>; title="x, <y>; z", </b>;rel=prev', ["/a", "/b"]),
        ('<a,b;c>; title="\\"", <>', ["a,b;c", ""]),
        ("</a", []),
        ("/a; rel=next", []),
        ('</a>; title="never closed, </b>', ["/a"]),
    ],
)
def test_a_link_field_is_read_as_its_rfc_says(field: str, targets: list[str]) -> None:
    assert list(link_targets(field)) == targets


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("0; url=/a", ["/a"]),
        ("5", []),
        ("5;/a", ["/a"]),
        ("5 /a", ["/a"]),
        (" 1.5 , URL = '/a' x", ["/a"]),
        ('0;url="/a', ["/a"]),
        (".;url=/a b", ["/a b"]),
        ("x;url=/a", []),
        ("5x;url=/a", []),
        ("0;urls=/a", ["urls=/a"]),
    ],
)
def test_a_refresh_is_read_as_the_html_standard_says(text: str, targets: list[str]) -> None:
    assert list(refresh_target(text)) == targets


def test_the_credentials_of_the_page_are_not_passed_on() -> None:
    page = '<a href="a"><a href=""><a href="//h/b"><a href="http://x:y@h/c">'
    assert find_links(page, "http://user:secret@h/dir/") == [
        "http://h/dir/a",
        "http://h/dir/",
        "http://h/b",
        "http://x:y@h/c",
    ]


def test_each_link_is_given_once_and_in_the_order_of_the_page() -> None:
    page = '<a href="/b"><a href="/a"><a href="../b"><a href="http://H:80/a"><a href="/c">'
    assert find_links(page, PAGE) == ["http://h/b", "http://h/a", "http://h/c"]


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("/other/", "http://h/other/a"),
        ("other/", "http://h/dir/other/a"),
        ("https://elsewhere/x/y", "https://elsewhere/x/a"),
        ("//elsewhere", "http://elsewhere/a"),
        ("http://[", "http://h/dir/a"),
        ("data:text/plain,x", "http://h/dir/a"),
        ("javascript:x", "http://h/dir/a"),
        ("ftp://f/", None),
    ],
)
def test_references_are_resolved_against_the_base_element(base: str, link: str | None) -> None:
    found = find_links(f'<base href="{base}"><a href="a">', PAGE)
    assert found == ([] if link is None else [link])


def test_only_the_first_base_with_an_href_counts_and_it_is_no_link_itself() -> None:
    page = '<a href="1"><base target="x"><base href="/first/"><base href="/second/"><a href="2">'
    assert find_links(page, PAGE) == ["http://h/first/1", "http://h/first/2"]


@pytest.mark.parametrize(
    ("codec", "reference", "link"),
    [
        ("cp1252", "/é?é#é", "http://h/%C3%A9?%E9#%C3%A9"),
        ("koi8-r", "?q=Я&amp;r=1%20+2", "http://h/dir/page?q=%F1&r=1%20+2"),
        ("cp932", "?表", "http://h/dir/page?%95\\"),
        ("cp1252", "?Я", "http://h/dir/page?%26%231071%3B"),
        ("cp1252", "?\x81é", "http://h/dir/page?%81%E9"),
        ("koi8-r", "?\x81", "http://h/dir/page?%26%23129%3B"),
        ("cp1252", "/é#é?é", "http://h/%C3%A9#%C3%A9?%C3%A9"),
        (
            "euc_jp",
            "?①\uff5e漢ｱ∫é纊",
            "http://h/dir/page?%AD%A1%A1%C1%B4%C1%8E%B1%A2%E9%26%23233%3B%F9%A1",
        ),
        ("iso2022_jp", "?東", "http://h/dir/page?%1B$BEl%1B(B"),
        ("iso2022_jp", "?\u6b63#x", "http://h/dir/page?%1B$B@5%1B(B#x"),
        ("iso2022_jp", "?\u3043#x", "http://h/dir/page?%1B$B$%23%1B(B#x"),
        ("utf-8", "?é", "http://h/dir/page?%C3%A9"),
        ("utf-16-le", "?é", "http://h/dir/page?%C3%A9"),
    ],
)
def test_a_query_is_in_the_encoding_of_the_page(codec: str, reference: str, link: str) -> None:
    assert find_links(f'<a href="{reference}">', PAGE, codec) == [link]


@pytest.mark.parametrize("page", ["", "\0", "just text", "<", "<a", "</html>", "\ud7ff\ufffd"])
def test_a_page_without_links_has_none(page: str) -> None:
    assert find_links(page, PAGE) == []


def test_a_page_nested_ten_thousand_deep_is_no_problem() -> None:
    assert find_links("<div>" * 10_000 + '<a href="/a">', PAGE) == ["http://h/a"]


def run(steps: Generator[None, None, PageLinks]) -> PageLinks:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: PageLinks = end.value
            return found


REFERENCES = ["/a", "a", "//x/a", "/\t/x/a", "/?é", "http:a", "http://x/é", "https://x", "/a&amp;b"]


@pytest.mark.parametrize("room", [0, 5, 1_000])
def test_what_other_pages_have_taught_changes_no_link(
    monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(resolving, "MAX_RESOLVED", room)
    resolved = Resolved()
    page = "".join(f'<a href="{reference}">' for reference in REFERENCES)
    elsewhere = '<base href="http://user@base/">' + page
    asked = [
        (html, url, codec)
        for _ in range(2)
        for url in (
            "http://h/dir/page",
            "http://h/page",
            "https://h/",
            "http://user@h/",
            "http://i/",
        )
        for html, codec in ((page, "utf-8"), (page, "cp1252"), (elsewhere, "utf-8"))
    ]
    for html, url, codec in asked:
        steps = link_steps(html.encode(), url, codec, resolved=resolved)
        assert run(steps).links == find_links(html, url, codec)
