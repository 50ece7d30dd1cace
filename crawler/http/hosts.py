"""Which host names are too long, and why a URL is invalid: the URL library tells neither.

It refuses a URL without a reason, and it can spend seconds on a long name before it does.

A name has 253 characters at most (RFC 1035, section 2.3.4, without the dots at both ends). To turn
one of another script into ASCII takes time that grows with the square of its length: for ten
thousand characters, as a page or a ``Location`` may well hold, a tenth of a second, and for thirty
thousand a whole one.
"""

import re
from urllib.parse import unquote

MAX_HOST = 253
MAX_PORT = 65535

# Where the host of a special URL stands (URL standard): "\\" is "/" there, tabs and line ends do
# not count, and after a scheme any number of slashes will do.
_IGNORED = str.maketrans("", "", "\t\n\r")
_HOST = re.compile(
    r"[\0- ]*+(?:(?:https?|wss?|ftp|file):[/\\]*+|[/\\][/\\]++)([^/\\?#]*+)", re.IGNORECASE
)
_PORT = re.compile("[0-9]{1,5}")
_SHOWN = 80  # characters of a host or port that an error shows


def host_is_too_long(reference: str) -> bool:
    """Whether ``reference``, a URL or relative to one, has a host longer than names can be."""
    if len(reference) <= MAX_HOST:
        return False
    host, _ = _host_and_port(reference)
    return host is not None and len(host) > MAX_HOST and len(unquote(host)) > MAX_HOST


def why_invalid(reference: str) -> str:
    """What is wrong with a text that the URL library refused: its port, its host, or all of it."""
    host, port = _host_and_port(reference)
    if host is None or port is None:
        return "not an absolute URL"
    if not host:
        return "no host"
    digits = port.lstrip("0")
    if digits and not (_PORT.fullmatch(digits) and int(digits) <= MAX_PORT):
        return f"the port must be a number from 0 to {MAX_PORT}, got {port[:_SHOWN]!r}"
    return f"not a host name or address: {host[:_SHOWN]!r}"


def _host_and_port(reference: str) -> tuple[str, str] | tuple[None, None]:
    """The two texts as they are written, the port without its colon; None if there is no host part.

    An IPv6 address has its colons in brackets.
    """
    match = _HOST.match(reference.translate(_IGNORED))
    if match is None:
        return None, None
    authority = match[1].rpartition("@")[2]
    begin = (authority.find("]") + 1 or len(authority)) if authority.startswith("[") else 0
    name, _, port = authority[begin:].partition(":")
    return authority[:begin] + name, port
