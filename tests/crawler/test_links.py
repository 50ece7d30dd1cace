"""Which links a page holds, and where they lead."""

from __future__ import annotations

import pytest

from crawler.page import find_links

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
        ('<link rel="next" href="/a">', "http://h/a"),
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
        ("cp1252", "/é#é?é", "http://h/%C3%A9#%C3%A9?%C3%A9"),
        ("iso2022_jp", "?東", "http://h/dir/page?%1B$BEl%1B(B"),
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
