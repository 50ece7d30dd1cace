"""Host names that no resolver takes, told before a URL library spends seconds on them.

A name has 253 characters at most (RFC 1035, section 2.3.4, without the dots at both ends). To turn
one of another script into ASCII takes time that grows with the square of its length: for ten
thousand characters, as a page or a ``Location`` may well hold, a tenth of a second, and for thirty
thousand a whole one.
"""

import re
from urllib.parse import unquote

MAX_HOST = 253

# Where the host of a special URL stands (URL standard): "\\" is "/" there, tabs and line ends do
# not count, and after a scheme any number of slashes will do.
_IGNORED = str.maketrans("", "", "\t\n\r")
_HOST = re.compile(
    r"[\0- ]*+(?:(?:https?|wss?|ftp|file):[/\\]*+|[/\\][/\\]++)([^/\\?#]*+)", re.IGNORECASE
)


def host_is_too_long(reference: str) -> bool:
    """Whether ``reference``, a URL or relative to one, has a host longer than names can be."""
    if len(reference) <= MAX_HOST:
        return False
    match = _HOST.match(reference.translate(_IGNORED))
    if match is None:
        return False
    host = match[1].rpartition("@")[2]
    return len(host) > MAX_HOST and len(unquote(host)) > MAX_HOST
