"""What a caller asks for, and what becomes of it on the way: one object for each call."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from .auth import Auth, as_auth
from .forms import Body, Files, Form, content_of, query_of
from .limits import Limits
from .reply import Reply
from .request import Fields, Request
from .url import URL

Inspect = Callable[[URL, Reply], None]
"""Is called with the URL and the head of the last reply, and may refuse it by raising."""

HeaderFields = Mapping[str, str] | Mapping[bytes, bytes] | Sequence[tuple[str | bytes, str | bytes]]


class Options(TypedDict, total=False):
    """The keywords of :meth:`crawler.http.client.Client.request`.

    ``params``              added to the URL's query; text is added as it is
    ``headers``             take the place of the client's own of the same name
    ``content``             the body: bytes, text, a file or its path, or an iterable of bytes
    ``json``, ``data``, ``files``   the body as JSON, as a form, as a form with files; ``data`` that
                            is no form, but what ``content`` may be, is the body itself
    ``auth``                a pair of name and password, or an ``Auth``
    ``cookies``             sent besides those of the client's jar, to this origin only
    ``timeout``             seconds for all of it, the wait for a connection included
    ``limits``              instead of the client's
    ``follow_redirects``    False returns a redirect as it is; True is the default
    ``inspect``             is called with the URL and the head of the last reply; if it raises an
                            HTTPError the body is not downloaded and the error is raised
    """

    params: Form | str | bytes | None
    headers: HeaderFields | None
    content: Body | None
    json: Any
    data: Form | Body | None
    files: Files | None
    auth: Auth | tuple[str, str] | None
    cookies: Mapping[str, str] | None
    timeout: float | None
    limits: Limits | None
    follow_redirects: bool
    inspect: Inspect | None


_KEYWORDS = Options.__annotations__.keys()


class Call:
    """A request under way: what is sent next, where it has been, and how long it may take.

    ``deadline`` is on the loop's clock; None until the first connection is free. ``bare`` says that
    the request is sent as it is: without cookies, credentials or a proxy.
    """

    __slots__ = (
        "attempts",
        "auth",
        "bare",
        "cookies",
        "deadline",
        "downgrade",
        "follow",
        "inspect",
        "limits",
        "request",
        "urls",
    )

    def __init__(
        self,
        request: Request,
        limits: Limits,
        auth: Auth | None,
        downgrade: bool,
        inspect: Inspect | None,
    ) -> None:
        self.request = request
        self.limits = limits
        self.auth = auth
        self.downgrade = downgrade
        self.inspect = inspect
        self.urls = [request.url]
        self.deadline: float | None = None
        self.attempts = 0
        self.cookies = ""
        self.follow = True
        self.bare = False


def call_of(
    method: str,
    url: str | URL,
    options: Options,
    limits: Limits,
    auth: Auth | None,
    downgrade: bool,
) -> Call:
    """The call that a user's arguments mean; raises InvalidURL, ValueError or TypeError."""
    if not options.keys() <= _KEYWORDS:
        unknown = ", ".join(sorted(options.keys() - _KEYWORDS))
        raise TypeError(f"no keyword of a request: {unknown}; they are {', '.join(_KEYWORDS)}")
    if method.upper() == "CONNECT":
        raise ValueError("CONNECT is for proxies: name one to the client")
    limits = options.get("limits") or limits
    if (seconds := options.get("timeout")) is not None:
        limits = limits.within(seconds)
    auth = as_auth(options.get("auth")) or auth
    call = Call(_request(method, url, options), limits, auth, downgrade, options.get("inspect"))
    call.follow = options.get("follow_redirects", True)
    if cookies := options.get("cookies"):
        call.cookies = _cookies(cookies)
    return call


def _cookies(cookies: Mapping[str, str]) -> str:
    text = "; ".join(f"{name}={value}" for name, value in cookies.items())
    for name, value in cookies.items():
        if _NOT_IN_A_COOKIE.search(f"{name}{value}") or "=" in name:
            raise ValueError(f"a cookie must be latin-1, without ';' and controls, got {name!r}")
    return text


_NOT_IN_A_COOKIE = re.compile(r"[\0-\x1f\x7f;]|[^\0-\xff]")


def _request(method: str, url: str | URL, options: Options) -> Request:
    if not isinstance(url, URL):
        url = URL(url)
    if (params := options.get("params")) and (query := query_of(params)):
        before, mark, fragment = url.href.partition("#")
        joint = "&" if "?" in before else "?"
        if before.endswith(("?", "&")):
            joint = ""
        url = URL(f"{before}{joint}{query}{mark}{fragment}")
    content = content_of(
        options.get("content"), options.get("json"), options.get("data"), options.get("files")
    )
    headers = fields_of(options.get("headers") or ())
    for name, value in list(headers):
        # The body says how it is framed; a caller may know the length of what it will yield, or
        # want chunks where they need not be.
        if name.lower() == b"content-length":
            headers.remove((name, value))
            if not value.isdigit():
                raise ValueError(f"Content-Length must be a number, got {value.decode('latin-1')}")
            if content is not None and content.length is None:
                content.length = int(value)
        elif name.lower() == b"transfer-encoding":
            headers.remove((name, value))
            if value.lower() != b"chunked":
                raise ValueError(f"Transfer-Encoding must be chunked, got {value!r}")
            if content is not None:
                content.length = None
    return Request(method.upper(), url, headers or None, content)


def fields_of(headers: HeaderFields) -> Fields:
    """Names and values as they are sent; raises ValueError for what would break the head."""
    items = headers.items() if isinstance(headers, Mapping) else headers
    fields = []
    for name, value in items:
        try:
            field = _bytes(name, "ascii"), _bytes(value, "latin-1").strip(b" \t")
        except UnicodeEncodeError as error:
            raise ValueError(f"a header must be latin-1, got {name!r}: {value!r}") from error
        except AttributeError as error:
            raise TypeError(f"a header must be text, got {name!r}: {value!r}") from error
        if _TOKEN.fullmatch(field[0]) is None:
            raise ValueError(f"the name of a header must be a token, got {name!r}")
        if any(byte in field[1] for byte in b"\r\n\0"):
            raise ValueError(f"a header must be one line, got {name!r}: {value!r}")
        fields.append(field)
    return fields


_TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")


def _bytes(text: str | bytes, encoding: str) -> bytes:
    return text if isinstance(text, bytes) else text.encode(encoding)
