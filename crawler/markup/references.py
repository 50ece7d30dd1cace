"""Character references in the value of an attribute: ``&amp;``, ``&#47;``, ``&eacute``.

In an attribute the HTML standard ("Named character reference state") is more careful than in text:
a name without its semicolon counts only if neither a letter, a digit nor ``=`` follows it, so that
``?a=1&copy=2`` stays what its author meant.
"""

import re
from html.entities import html5

# The digits are bounded: beyond seven significant ones there is no character.
_REFERENCE = re.compile(
    r"&(?:#(?:[xX]([0-9a-fA-F]++)|([0-9]++));?|([A-Za-z][A-Za-z0-9]*+)(;?)(=?))"
)
_REPLACEMENT = "\ufffd"
_MAX_DIGITS = 7
# What the numbers 128 to 159 mean, where they mean something: the characters of windows-1252.
_C1 = {
    byte: bytes([byte]).decode("cp1252")
    for byte in range(0x80, 0xA0)
    if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}


def attribute_text(raw: bytes) -> str:
    """The value of an attribute as text: UTF-8 decoded, character references replaced."""
    text = raw.decode("utf-8", "replace")
    if "\0" in text:
        text = text.replace("\0", _REPLACEMENT)
    if "&" in text:
        if text.count("&") == text.count("&amp;"):  # as nearly always
            return text.replace("&amp;", "&")
        text = _REFERENCE.sub(_character, text)
    return text


def _character(match: re.Match[str]) -> str:
    hexadecimal, decimal, name, semicolon, equals = match.groups()
    if name is not None:
        if semicolon:
            return html5.get(name + ";", match[0]) + equals
        return match[0] if equals else html5.get(name, match[0])
    digits, radix = (hexadecimal, 16) if hexadecimal else (decimal, 10)
    digits = digits.lstrip("0")
    if not digits or len(digits) > _MAX_DIGITS:
        return _REPLACEMENT
    number = int(digits, radix)
    if number in _C1:
        return _C1[number]
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        return _REPLACEMENT
    return chr(number)
