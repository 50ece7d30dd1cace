"""Where the encoding of a page comes from: every route, and which goes before which."""

from __future__ import annotations

import codecs
from collections.abc import Generator

import pytest

from crawler.http import charset


def finish(steps: Generator[None, None, tuple[bytes, str]]) -> tuple[bytes, str]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer: tuple[bytes, str] = end.value
            return answer


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


@pytest.mark.parametrize("space", [900, 1010, 1020, 1024, 100_000])
def test_a_meta_far_into_the_page_makes_us_begin_again(space: int) -> None:
    body = b" " * space + '<p>Москва<meta charset="koi8-r">'.encode("koi8-r")
    assert decode(body, "text/html").strip().startswith("<p>Москва")


@pytest.mark.parametrize(
    "false",
    [
        '<script>"<meta charset=koi8-r>"</script>',
        '<!-- <meta charset="koi8-r"> -->',
        '<p title="> <meta charset=koi8-r>">',
        "<title><meta charset=koi8-r></title>",
    ],
)
def test_what_only_looks_like_a_meta_far_into_the_page_is_none(false: str) -> None:
    assert decode(b" " * 2000 + false.encode() + "Łódź".encode(), "").endswith("Łódź")


@pytest.mark.parametrize(
    "meta",
    [
        '<meta data-charset="koi8-r">',
        '<meta name="x" content="charset=koi8-r">',
        '<meta name="x" content="a" data-x="charset=koi8-r">',
        '<meta title="charset=koi8-r" name=x>',
        '<metadata charset="koi8-r">',
        '<meta charset="koi8-r',
        '<p title="<meta charset=koi8-r>">',
        "<!--><!-- <meta charset=koi8-r> -->",
    ],
)
def test_what_only_looks_like_a_meta_charset_is_none(meta: str) -> None:
    assert decode(meta.encode() + "Łódź".encode(), "").endswith("Łódź")


@pytest.mark.parametrize(
    "meta",
    [
        '<meta name="a>b" charset="koi8-r">',
        "<meta content=\"x > y\" name='>' charset=koi8-r>",
        '<p title="<meta charset=x>"><meta charset=koi8-r>',
        "<!--><meta charset=koi8-r><!-- -->",
        "<meta/charset=koi8-r>",
        "<meta http-equiv=' Content-Type' content='text/html; x=y; charset = \"koi8-r\"'>",
        '<?xml version="1.0" encoding="koi8-r"?><html>',
        "<?xml version='1.0' encoding = 'koi8-r' ?>",
        '<?xml version="1.0" encoding="utf-8"?><meta charset="koi8-r">',
    ],
)
def test_the_page_says_so_in_all_these_ways(meta: str) -> None:
    assert decode(meta.encode() + "Москва".encode("koi8-r"), "").endswith("Москва")


def test_xhtml_goes_by_its_declaration_alone() -> None:
    body = '<?xml version="1.0" encoding="koi8-r"?><meta charset="windows-1251"/>Я'.encode("koi8-r")
    assert finish(charset.utf8_steps(body, "", xml=True))[1] == "koi8-r"
    body = '<meta charset="windows-1251"/>Я'.encode()
    assert finish(charset.utf8_steps(body, "", xml=True))[1] == "utf-8"


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_a_declaration_in_utf_16_says_so_by_its_bytes(codec: str) -> None:
    assert decode('<?xml version="1.0"?>Łódź'.encode(codec), "").endswith("Łódź")


@pytest.mark.parametrize(
    ("content_type", "codec"),
    [
        ('text/html; x="a; charset=koi8-r"', "utf-8"),
        ("text/html; data-charset=koi8-r", "utf-8"),
        ("text/html; charset=koi8-r, text/html", "koi8-r"),
        ("text/html; charset=utf-8, text/html; charset=koi8-r", "koi8-r"),
        ("text/html charset=koi8-r", "koi8-r"),
        ("charset=koi8-r", "koi8-r"),
        ('text/html; charset="koi8-\\r"', "koi8-r"),
    ],
)
def test_the_charset_of_a_field_is_that_of_its_last_type(content_type: str, codec: str) -> None:
    assert charset.decode(b"", content_type).codec == codec


@pytest.mark.parametrize(
    ("label", "body", "text"),
    [
        ("windows-1252", b"\x80\x81\x8d\x9d", "€\x81\x8d\x9d"),
        ("windows-1251", b"\x98\xff", "\x98я"),
        ("windows-1253", b"\x81\xaa\xff", "\x81\ufffd\ufffd"),
        ("windows-874", b"\x81\xa1\xdb", "\x81ก\ufffd"),
        ("koi8-u", b"\xae\xbe\xb4", "\u045e\u040eЄ"),
        ("windows-1255", b"\xca\xd9", "\u05ba\ufffd"),
        ("euc-jp", b"\xad\xa1\xfc\xfc\xa1\xc1\xff\xa9\xa1a", "①\uffe4\uff5e\ufffd\ufffda"),
        ("euc-jp", b"\xf9\xa1\xb4\xc1\x8e\xb1", "纊漢ｱ"),
        ("iso-2022-jp", b"\x1b$B!A", "\uff5e"),
        ("gbk", b"\x80 \xff\x81\x40", "€ \ufffd丂"),
        ("", b"\x81 alone \xe9", "\x81 alone é"),
    ],
)
def test_bytes_outside_a_code_page_are_what_browsers_make_of_them(
    label: str, body: bytes, text: str
) -> None:
    assert decode(body, f"text/html; charset={label}" if label else "") == text


@pytest.mark.parametrize("codec", ["shift_jis", "gb18030", "euc-jp", "utf-16le", "koi8-r", "utf-8"])
def test_a_long_page_is_decoded_in_steps_without_a_seam(codec: str) -> None:
    text = "x" + "表Я" * 100_000 if codec != "koi8-r" else "Я" * 200_001
    body = text.encode(codec)
    content_type = f"text/html; charset={codec}"
    steps = charset.utf8_steps(body + (b"\xff" if codec == "utf-8" else b""), content_type)
    pauses = sum(1 for _ in steps)
    assert pauses >= len(body) // 65536 - 1
    assert decode(body, content_type) == text


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
