"""``crawler fetch URL``: print a page as the crawler gets it.

Exit codes: 0 it was fetched, whatever its status, 1 it was not, 2 bad usage, 3 it could not be
written.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .arguments import Parser, field_value, seconds
from .frontier.parsing import advice
from .http import URL, Client, HTTPError, InvalidURL, Limits, tls_context
from .http.proxy import Proxies
from .loops import UnknownLoop, loop_factory
from .progress import say, silence

FETCHED, NOT_FETCHED, BAD_USAGE, NOT_WRITTEN = 0, 1, 2, 3


def fetch(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        factory = loop_factory(options.loop)
        tls = tls_context(ca_file=options.ca_file, verify=not options.insecure)
        Proxies(options.proxy, environment=True)  # says now what is wrong with one
    except (UnknownLoop, OSError, InvalidURL) as error:
        say(f"{parser.prog}: error: {error}", sys.stderr)
        return BAD_USAGE
    try:
        url = URL(options.url)
    except InvalidURL as error:
        text = advice(options.url) or error.detail
        say(f"{parser.prog}: error: {options.url!r} is no URL: {text}", sys.stderr)
        return BAD_USAGE
    if sys.stdout is None:
        say(f"{parser.prog}: cannot write the page: standard output is closed", sys.stderr)
        return NOT_WRITTEN
    if options.insecure:
        say(f"{parser.prog}: warning: the certificate is not verified (--insecure)", sys.stderr)
    steps: list[tuple[str, float]] = []

    def trace(event: str, info: Mapping[str, Any]) -> None:
        if "seconds" in info:
            steps.append((event.partition(".")[0], info["seconds"]))

    async def main() -> None:
        limits = Limits(total=options.timeout)
        client = Client(
            limits=limits, tls=tls, user_agent=options.user_agent, accept="*/*", trace=trace,
            proxy=options.proxy, proxy_from_environment=True,
        )  # fmt: skip
        async with client, client.stream("GET", url) as response:
            if options.headers:
                line = f"HTTP/{response.version} {response.status} {response.phrase}".rstrip()
                fields = b"".join(
                    name + b": " + value + b"\r\n" for name, value in response.headers.fields
                )
                _write(line.encode("latin-1") + b"\r\n" + fields + b"\r\n")
            async for piece in response.pieces():
                _write(piece)

    code = FETCHED
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())
    except HTTPError as error:
        say(f"{parser.prog}: {error}", sys.stderr)
        code = NOT_FETCHED
    except UnknownLoop as error:
        say(f"{parser.prog}: error: {error}", sys.stderr)
        return BAD_USAGE
    except OSError as error:
        silence(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            say(f"{parser.prog}: cannot write the page: {error.strerror}", sys.stderr)
        code = NOT_WRITTEN
    except KeyboardInterrupt:
        code = 130
    if options.timings:
        for name, seconds in steps:
            say(f"{name:<14} {seconds * 1000:9.2f} ms", sys.stderr)
    return code


def _write(data: bytes) -> None:
    """Write to standard output, which may be a pipe that takes a part at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]


def make_parser() -> Parser:
    """The parser of the command's arguments."""
    parser = Parser(
        prog="crawler fetch", description="Print a page, decompressed, as the crawler gets it."
    )
    parser.add_argument("url", help="http://… or https://…")
    parser.add_argument(
        "-i", "--headers", action="store_true", help="print the head of the reply before it"
    )
    parser.add_argument(
        "--timings", action="store_true", help="say how long each step took, on standard error"
    )
    parser.add_argument("--timeout", type=seconds, default=30.0, metavar="S", help="seconds in all")
    parser.add_argument(
        "--user-agent", type=field_value, default="crawler", metavar="TEXT", help="who we are"
    )
    parser.add_argument("--ca-file", metavar="FILE", help="PEM file of certificates to trust")
    parser.add_argument(
        "--proxy",
        metavar="URL",
        help="http://…, https://… or socks5://… (default: HTTP_PROXY …)",
    )
    parser.add_argument("-k", "--insecure", action="store_true", help="take any certificate")
    parser.add_argument(
        "--loop",
        default="miniloop",
        metavar="NAME",
        help="miniloop, asyncio, uvloop or other",
    )
    return parser
