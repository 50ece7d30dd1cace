"""The fields of a head, as a list, and what one of them says when it was sent more than once.

HTTP lets a field be repeated only if its value is a list (RFC 9110, section 5.3): then the lines
may be joined with commas. Servers repeat others as well, and a joined ``Location`` is a bad URL.
So the lines are kept as they came, and the rule is chosen by the field:

    field                                   repeated lines stand for
    Content-Type                            the last that is a type (as browsers have it)
    Content-Length                          their one value; h11 refuses two that differ
    Set-Cookie                              never one value: the first here, all by ``get_all``
    Location, Retry-After, Date, ETag, …    the first; see ``redirects`` for ``Location``
    all others                              the values joined with commas
"""

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar, overload

# Fields with one value, of which the first line counts.
_SINGLE = frozenset(
    {
        "age",
        "content-disposition",
        "content-length",
        "content-location",
        "content-range",
        "date",
        "etag",
        "expires",
        "host",
        "last-modified",
        "location",
        "refresh",
        "retry-after",
        "server",
        "set-cookie",
        "user-agent",
    }
)

# A type and a subtype, and not that of everything (MIME Sniffing standard, section 4.4).
_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_MEDIA_TYPE = re.compile(rb"[ \t]*(?!\*/\*)" + _TOKEN + rb"/" + _TOKEN + rb"[ \t]*(?:[;,]|\Z)")

T = TypeVar("T")


class Headers(Mapping[str, str]):
    """A mapping from lower-case names to values; ``fields`` has every line as it was sent.

    ``index`` has the value, or the list of them, for each name in lower case.

    Bytes beyond ASCII are latin-1 in values, so that ``value.encode("latin-1")`` gives them back.
    A name is looked up in whatever case.
    """

    __slots__ = ("fields", "index")

    def __init__(self, fields: list[tuple[bytes, bytes]]) -> None:
        self.fields = fields
        index: dict[str, bytes | list[bytes]] = {}
        for raw_name, value in fields:
            name = raw_name.decode("latin-1").lower()
            if name not in index:
                index[name] = value
            elif isinstance(before := index[name], list):
                before.append(value)
            else:
                index[name] = [before, value]
        self.index = index

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    @overload
    def get(self, name: str, default: None = None) -> str | None: ...

    @overload
    def get(self, name: str, default: T) -> str | T: ...

    def get(self, name: str, default: object = None) -> object:
        """The value of a field by the rule above, or ``default``."""
        value = self.index.get(name)
        if value is None:
            name = name.lower()
            value = self.index.get(name)
            if value is None:
                return default
        return _one(name, value) if isinstance(value, list) else value.decode("latin-1")

    def __contains__(self, name: object) -> bool:
        return name in self.index or (isinstance(name, str) and name.lower() in self.index)

    def __iter__(self) -> Iterator[str]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        return f"Headers({self.fields!r})"

    def get_all(self, name: str) -> list[str]:
        """The value of each line with this name, in order."""
        value = self.index.get(name.lower(), [])
        values = value if isinstance(value, list) else [value]
        return [line.decode("latin-1") for line in values]


def _one(name: str, values: list[bytes]) -> str:
    if name in _SINGLE:
        return values[0].decode("latin-1")
    if name == "content-type":
        valid = [value for value in values if _MEDIA_TYPE.match(value)]
        return (valid or values)[-1].decode("latin-1")
    return b", ".join(values).decode("latin-1")
