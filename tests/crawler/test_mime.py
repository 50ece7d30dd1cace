"""What a Content-Type says: the cases of the Fetch and MIME Sniffing standards, and of servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.http.mime import content_type, is_html, is_xhtml, may_be_html


@pytest.mark.parametrize(
    ("field", "essence", "charset"),
    [
        ("text/html", "text/html", None),
        ("text/html;", "text/html", None),
        (" TEXT/HTML ; CHARSET=UTF-8", "text/html", "UTF-8"),
        ('text/html;charset="utf-8"', "text/html", "utf-8"),
        ('text/html;charset="a\\"b"x;charset=c', "text/html", 'a"b'),
        ("text/html;x=1;charset=a;charset=b", "text/html", "a"),
        ('text/html;x="a;charset=b";charset=c', "text/html", "c"),
        ("text/plain, text/html", "text/html", None),
        ("text/html, text/plain", "text/plain", None),
        ("text/html;charset=a, text/html", "text/html", "a"),
        ("text/html;charset=a, text/html;charset=b", "text/html", "b"),
        ("text/html;charset=a, text/plain", "text/plain", None),
        ("text/html, */*", "text/html", None),
        ("*/*, text/html", "text/html", None),
        ("text/html, html", "text/html", None),
        ('text/html;x="a, b";charset=c, x', "text/html", "c"),
    ],
)
def test_the_last_valid_type_counts(field: str, essence: str, charset: str | None) -> None:
    assert content_type(field) == (essence, charset)


@pytest.mark.parametrize(
    "field", ["", ",", "html", "text/", "/html", "charset=utf-8", "text/html charset=utf-8", "*/*"]
)
def test_what_is_no_type_counts_as_none(field: str) -> None:
    assert content_type(field) is None
    assert is_html(field) is None


@pytest.mark.parametrize(
    ("field", "html"),
    [
        ("text/html", True),
        ("application/xhtml+xml; charset=utf-8", True),
        ("application/vnd.wap.xhtml+xml", True),
        ("unknown/unknown", None),
        ("application/unknown", None),
        ("text/plain", False),
        ("application/xml", False),
        ("image/png", False),
    ],
)
def test_html_is_told_from_the_rest(field: str, html: bool | None) -> None:
    assert is_html(field) is html
    assert is_xhtml(field) is ("xhtml" in field)


@pytest.mark.parametrize(
    ("body", "html"),
    [
        (b"", True),
        (b"<a href=x>", True),
        (b"plain text \x1b", True),
        ("Łódź".encode("utf-16"), True),
        (b"GIF89a\x01\x00", False),
        (b"%PDF-1.7", False),
        (b"a" * 1445 + b"\0", True),
    ],
)
def test_a_body_without_a_type_is_looked_at(body: bytes, html: bool) -> None:
    assert may_be_html(body) is html


@given(st.text(alphabet='text/html;,="\\ charset*', max_size=60))
def test_any_field_is_read(field: str) -> None:
    is_html(field)
