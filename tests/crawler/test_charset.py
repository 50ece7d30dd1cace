"""Where the encoding of a page comes from: every route, and which goes before which."""

from __future__ import annotations

import codecs

import pytest

from crawler.http import charset


def decode(body: bytes, content_type: str) -> str:
    return charset.decode(body, content_type).text


def test_the_header_says_so() -> None:
    assert decode("Москва".encode("cp1251"), "text/html; charset=windows-1251") == "Москва"


@pytest.mark.parametrize(
    "content_type",
    [
        'text/html;charset="koi8-r"',
        "text/html; Charset = KOI8-R",
        "text/html; charset='koi8-r'; x=y",
        "text/html; x=y;charset=koi8-r",
    ],
)
def test_the_header_is_read_in_all_its_spellings(content_type: str) -> None:
    assert decode("Харьков".encode("koi8-r"), content_type) == "Харьков"


@pytest.mark.parametrize(
    ("mark", "codec"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_a_byte_order_mark_says_so_and_is_not_part_of_the_text(mark: bytes, codec: str) -> None:
    assert decode(mark + "Αθήνα".encode(codec), "text/html") == "Αθήνα"


def test_a_byte_order_mark_beats_the_header_and_the_meta() -> None:
    body = codecs.BOM_UTF8 + '<meta charset="koi8-r">Αθήνα'.encode()
    assert decode(body, "text/html; charset=windows-1251").endswith("Αθήνα")


def test_the_header_beats_the_meta() -> None:
    body = '<meta charset="koi8-r">Москва'.encode("cp1251")
    assert decode(body, "text/html; charset=windows-1251").endswith("Москва")


@pytest.mark.parametrize(
    "meta",
    [
        '<meta charset="shift_jis">',
        "<META CHARSET=shift_jis>",
        "<meta charset='Shift_JIS'/>",
        '<meta http-equiv="Content-Type" content="text/html; charset=shift_jis">',
        "<meta content='text/html;charset=sjis' http-equiv=content-type>",
        '<!-- <meta charset="koi8-r"> --><meta charset="shift_jis">',
        '<meta name="viewport" content="width=1"><meta charset="shift_jis">',
        '<meta charset="no-such-thing"><meta charset="shift_jis">',
    ],
)
def test_a_meta_element_says_so(meta: str) -> None:
    assert decode(meta.encode() + "東京".encode("cp932"), "text/html").endswith("東京")


def test_a_meta_beyond_the_first_1024_bytes_is_not_looked_for() -> None:
    body = b" " * 1024 + b'<meta charset="koi8-r">' + "Łódź".encode()
    assert decode(body, "text/html").endswith("Łódź")


def test_a_meta_inside_a_comment_that_never_ends_is_not_looked_at() -> None:
    body = b'<!-- <meta charset="koi8-r">' + "Łódź".encode()
    assert decode(body, "").endswith("Łódź")


def test_a_meta_that_claims_utf_16_means_utf_8() -> None:
    assert decode('<meta charset="utf-16le">Łódź'.encode(), "").endswith("Łódź")


def test_an_unknown_label_in_the_header_counts_as_none() -> None:
    assert decode('<meta charset="koi8-r">Я'.encode("koi8-r"), "text/html; charset=x-klingon")[
        -1
    ] == ("Я")


def test_without_a_label_valid_utf_8_is_utf_8() -> None:
    assert decode("Łódź".encode(), "") == "Łódź"


def test_without_a_label_other_bytes_are_windows_1252() -> None:
    assert decode("Málaga 5 €".encode("cp1252"), "") == "Málaga 5 €"


@pytest.mark.parametrize(
    ("label", "text", "codec"),
    [
        ("iso-8859-1", "5 €", "cp1252"),
        ("latin1", "5 €", "cp1252"),
        ("us-ascii", "“é”", "cp1252"),
        ("shift_jis", "①", "cp932"),
        ("euc-kr", "똠", "cp949"),
        ("gb2312", "€", "gb18030"),
        ("x-user-defined", "€", "cp1252"),
        ("iso-8859-9", "€", "cp1254"),
    ],
)
def test_labels_mean_what_the_encoding_standard_says(label: str, text: str, codec: str) -> None:
    assert decode(text.encode(codec), f"text/html; charset={label}") == text


@pytest.mark.parametrize("label", ["hz-gb-2312", "iso-2022-kr"])
def test_encodings_that_the_standard_replaces_are_never_used(label: str) -> None:
    assert decode(b"~{<script>~}", f"text/html; charset={label}") == "~{<script>~}"


def test_bytes_that_are_invalid_in_the_encoding_are_replaced() -> None:
    assert decode(b"a\xffb", "text/html; charset=utf-8") == "a\ufffdb"


def test_half_a_character_at_the_end_is_replaced() -> None:
    assert decode(codecs.BOM_UTF16_LE + b"a\0b", "") == "a\ufffd"
