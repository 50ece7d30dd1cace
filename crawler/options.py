"""The options of the command, and what they mean to the parts of a crawl."""

import argparse
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from .arguments import Collect, Parser, Switch, field_value, seconds
from .crawl import Manners
from .fetching import Departures, keep_timings
from .files import DEFAULT_OUTPUT
from .frontier import PER_HOST, Guard, Rules, Scope
from .frontier.hosts import site_of
from .http import Client, Limits, Retry, tls_context
from .http.trace import Trace, chain
from .output import FORMATS, Format, format_for
from .page import DEFAULT_KINDS, KINDS, parse_kinds
from .taping import Taped, keep_exchanges

EXAMPLES = """\
examples:
  crawler urls.txt -o links.tsv                        the links of the pages that a file lists
  crawler https://example.org                          the links of one page
  crawler https://example.org --depth 3 --same-site -o pages.jsonl
                                                       a record of each page up to three links away
  crawler urls.txt --depth 2 -o links.tsv --state crawl.db --resume
                                                       begin, or go on where it was interrupted
  crawler https://example.org --depth 2 -o pages.db --report report.html
                                                       a database, and a page that shows the crawl
  crawler urls.txt -o - --format jsonl -q | jq .url    records to another program

other commands:
  crawler fetch https://example.org -i --timings       print one page; crawler fetch --help
  crawler report pages.db -o report.html               draw a crawl later; crawler report --help

Exit codes: 0 all fetched, 1 some pages failed, 2 bad usage, 3 a file could not be read or written,
130 interrupted by Ctrl-C, 143 by SIGTERM, 141 nobody reads the output any more.
"""


def make_client(
    options: argparse.Namespace,
    tls: ssl.SSLContext,
    guard: Guard,
    form: Format,
    *,
    timings: bool = False,
    departures: Departures | None = None,
) -> Client:
    """The client that fetches the pages; ``timings`` has it keep those whatever is written.

    The ``departures`` are told of the requests that it sends.
    """
    retry = None
    if options.retries:
        # A server that has too much to do is left alone as a whole; see crawler.frontier.order.
        retry = Retry(times=options.retries, statuses=frozenset({502, 504}))
    trace: Trace | None = None
    if form.exchanges:
        trace = keep_exchanges
    elif form.records or timings:
        trace = keep_timings
    return Client(
        limits=_limits(options),
        tls=tls,
        user_agent=options.user_agent,
        cookies=options.cookies,
        proxy=options.proxy,
        proxy_from_environment=True,
        retry=retry,
        # A crawl carries no secrets, and sites do send people back to http.
        downgrade=True,
        permit=None if options.allow_private else guard.permit,
        trace=chain(departures, trace),
        around=Taped if form.exchanges else None,
    )


def tls_of(options: argparse.Namespace) -> ssl.SSLContext:
    """The TLS context; raises OSError for files that are none."""
    if options.key is not None and options.cert is None:
        raise OSError("--key needs the --cert that it is the key of")
    return tls_context(
        ca_file=options.ca_file,
        certificate=options.cert,
        key=options.key,
        verify=not options.insecure,
    )


def scope_of(options: argparse.Namespace) -> Scope:
    """Which links are followed."""
    return Scope(
        depth=options.depth,
        same_host=options.same_host,
        same_site=options.same_site,
        allow=tuple(options.allow),
        deny=tuple(options.deny),
        max_pages=options.max_pages,
        max_per_host=options.max_per_host,
        sitemaps=options.sitemaps,
    )


def rules_of(options: argparse.Namespace) -> Rules:
    """What of that is for the state to see to."""
    place: Callable[[str], str] | None = None
    if options.same_host:
        place = str
    elif options.same_site:
        place = site_of
    return Rules(options.depth, options.max_pages, options.max_per_host, place)


def terms_of(options: argparse.Namespace, output: Path) -> str:
    """What must not change while a crawl is gone on with, in words."""
    words = [f"--format {format_for(output, options.format).name}", f"--depth {options.depth}"]
    words += [f"--links {','.join(sorted(options.links))}"]
    words += ["--same-host"] * options.same_host + ["--same-site"] * options.same_site
    words += [f"--allow {pattern.pattern}" for pattern in options.allow]
    words += [f"--deny {pattern.pattern}" for pattern in options.deny]
    return " ".join(words + ["--sitemaps"] * options.sitemaps)


# How often a page is asked for again whose server is too busy, where links are followed.
_REPEATS = 2


def manners_of(options: argparse.Namespace) -> Manners:
    """How the servers are treated."""
    return Manners(
        per_host=options.per_host,
        delay=options.delay,
        robots=options.user_agent if options.robots else None,
        repeats=max(options.retries, _REPEATS if options.depth else 0),
    )


def urls_of(options: argparse.Namespace) -> Path | list[str]:
    """What is to be crawled: a file, or the URLs that stand on the command line."""
    words: list[str] = options.urls
    if not words:
        return Path("urls.txt")
    if len(words) == 1 and not is_url(words[0]):
        return Path(words[0])
    for word in words:
        if not is_url(word):
            raise OSError(f"name either one list or URLs only; {word!r} has no http:// or https://")
    return words


def is_url(word: str) -> bool:
    """Whether an argument is a URL and not the name of a file."""
    return word.lower().startswith(("http://", "https://"))


def _limits(options: argparse.Namespace) -> Limits:
    usual = Limits()
    return replace(
        usual,
        connections=options.concurrency,
        per_origin=options.per_host,
        connect=min(usual.connect, options.timeout),
        read=min(usual.read, options.timeout),
        total=options.timeout,
        body=options.max_size,
    )


def make_parser(commands: Mapping[str, Parser] | None = None) -> Parser:
    """The parser of the command's arguments; ``commands`` are completed as its first word."""
    parser = Parser(
        prog="crawler",
        description="Fetch pages and write down the links they hold, or all there is to say.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if commands:
        parser.add_commands(commands)
    parser.add_argument(
        "urls",
        nargs="*",
        help="URLs, or one list of them: a URL a line, # starts a comment, - is standard input"
        " (default: urls.txt)",
    )
    _add_output(parser.add_argument_group("what is written"))
    _add_scope(parser.add_argument_group("which links are followed"))
    _add_manners(parser.add_argument_group("how servers are treated"))
    _add_limits(parser.add_argument_group("limits"))
    _add_connection(parser.add_argument_group("connections"))
    _add_command(parser.add_argument_group("the command itself"))
    return parser


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write, - is standard output; a file of that name is replaced"
        f" (default: {DEFAULT_OUTPUT}, and the former one is kept)",
    )
    group.add_argument(
        "--format",
        choices=FORMATS,
        help="tsv: source_url<TAB>parsed_url lines; jsonl, csv, sqlite: a record of each URL;"
        " warc: the requests and replies (default: what the ending of the output says, else tsv)",
    )
    group.add_argument("--append", action=Switch, help="add to the output instead of replacing it")
    group.add_argument(
        "--links",
        type=_kinds,
        default=DEFAULT_KINDS,
        metavar="KINDS",
        help=f"what is taken for a link, of {','.join(KINDS)} (default: a,area)",
    )
    group.add_argument(
        "--summary", type=Path, metavar="FILE", help="write the summary there as well, as JSON"
    )
    group.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="draw what happened on a page, to be opened in a browser",
    )
    group.add_argument(
        "-q", "--quiet", action=Switch, help="say nothing but what stops the command"
    )
    group.add_argument("-v", "--verbose", action=Switch, help="say a line about each page, too")
    group.add_argument(
        "--state",
        type=_place,
        metavar="FILE",
        help="keep there how far the crawl is, so that it can be gone on with whatever happens: a"
        " file, or redis://host/name for several machines",
    )
    group.add_argument(
        "--resume", action=Switch, help="go on with the crawl in --state, if there is one"
    )


def _add_scope(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--depth",
        type=_count,
        default=0,
        metavar="N",
        help="how many links away from the given URLs (default: 0, no link is followed)",
    )
    group.add_argument(
        "--same-host", action=Switch, help="only links to the hosts of the given URLs"
    )
    group.add_argument(
        "--same-site",
        action=Switch,
        help="only links to their sites: example.co.uk with all that ends in it",
    )
    group.add_argument(
        "--allow",
        type=_pattern,
        action=Collect,
        metavar="REGEX",
        help="only links in which one of these is found",
    )
    group.add_argument(
        "--deny",
        type=_pattern,
        action=Collect,
        metavar="REGEX",
        help="no links in which one of these is found",
    )
    group.add_argument(
        "--sitemaps",
        action=Switch,
        help="fetch as well what the sites of the given URLs list in their sitemaps",
    )
    group.add_argument(
        "--max-pages", type=_whole_number, metavar="N", help="ask for this many URLs at most"
    )
    group.add_argument(
        "--max-per-host", type=_whole_number, metavar="N", help="and for this many of one host"
    )


def _add_manners(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--per-host",
        type=_whole_number,
        default=PER_HOST,
        metavar="N",
        help="pages of one host in work at a time (default: %(default)s)",
    )
    group.add_argument(
        "--delay",
        type=_pause,
        default=0.0,
        metavar="S",
        help="seconds between the starts of two pages of a host (default: %(default)g)",
    )
    group.add_argument(
        "--robots",
        action=Switch,
        default=True,
        help="ask robots.txt about links, as is done unless --no-robots; about given URLs it is"
        " never asked",
    )
    group.add_argument(
        "--user-agent",
        type=field_value,
        default="crawler",
        metavar="TEXT",
        help="who to say that we are (default: %(default)s)",
    )
    group.add_argument(
        "--retries",
        type=_count,
        default=0,
        metavar="N",
        help="how often to repeat what failed for a reason that may pass (default: %(default)s;"
        " 2 for servers that are too busy, where links are followed)",
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--concurrency",
        type=_whole_number,
        default=100,
        metavar="N",
        help="pages in work at a time (default: %(default)s)",
    )
    group.add_argument(
        "--workers",
        type=_whole_number,
        default=1,
        metavar="N",
        help="processes that share the hosts among them; each has --concurrency pages in work"
        " (default: %(default)s)",
    )
    group.add_argument(
        "--timeout",
        type=seconds,
        default=30.0,
        metavar="S",
        help="seconds that one page may take, redirects included (default: %(default)g)",
    )
    group.add_argument(
        "--max-size",
        type=_whole_number,
        default=Limits().body,
        metavar="BYTES",
        help="the largest page, decompressed (default: %(default)s)",
    )


def _add_connection(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--loop",
        default="miniloop",
        metavar="NAME",
        help="miniloop, asyncio, uvloop or module:factory (default: %(default)s)",
    )
    group.add_argument(
        "--allow-private",
        action=Switch,
        help="let links and redirects lead to loopback, link-local and private addresses",
    )
    group.add_argument(
        "--ca-file",
        type=Path,
        metavar="FILE",
        help="PEM file of certificates to trust besides those of the system",
    )
    group.add_argument(
        "--cert", type=Path, metavar="FILE", help="PEM file with a certificate to show to servers"
    )
    group.add_argument(
        "--key", type=Path, metavar="FILE", help="PEM file with its key, if that is another file"
    )
    group.add_argument(
        "-k",
        "--insecure",
        action=Switch,
        help="take any certificate: whoever is on the way can then read and change what is sent",
    )
    group.add_argument(
        "--proxy",
        metavar="URL",
        help="http://…, https://… or socks5://… (default: what HTTP_PROXY, HTTPS_PROXY, ALL_PROXY"
        " and NO_PROXY say)",
    )
    group.add_argument(
        "--cookies", action=Switch, help="keep the cookies that sites set, and send them"
    )


def _add_command(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="take options from this file, key = value; flags win (default: crawler.toml, if it"
        " is there)",
    )
    group.add_argument("--no-config", action="store_true", help="take options from no file")
    group.add_argument(
        "--print-completion",
        choices=("bash", "zsh", "tcsh"),
        metavar="SHELL",
        help="print what makes bash, zsh or tcsh complete this command, and end",
    )


def _place(text: str) -> Path | str:
    """Where the state is: a file, or the URL of a crawl in Redis."""
    return text if is_redis(text) else Path(text)


def is_redis(text: str) -> bool:
    """Whether this names a crawl in Redis."""
    return text.startswith(("redis://", "rediss://"))


def _kinds(text: str) -> frozenset[str]:
    try:
        return parse_kinds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


_DIGITS = 15


def _whole_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not text.strip("0"):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    if len(text) > _DIGITS:  # a state has 64 bits for a number, and one in Redis 53
        raise argparse.ArgumentTypeError(f"must have at most {_DIGITS} digits, got {len(text)}")
    return int(text)


def _count(text: str) -> int:
    try:
        return 0 if text == "0" else _whole_number(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(str(error).replace("from 1", "from 0")) from None


def _pause(text: str) -> float:
    return 0.0 if text == "0" else seconds(text)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"no regular expression: {text!r}: {error}") from None
