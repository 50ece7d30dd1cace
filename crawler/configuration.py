"""Options in a file, ``crawler.toml``: what one would type each time.

    urls = ["https://example.org"]
    depth = 3
    same-site = true
    output = "pages.jsonl"
    deny = ["/login", "[?]sort="]

The keys are the names of the options. The file of the current directory is read if there is one,
``--config FILE`` names another, ``--no-config`` none. Flags win. What is wrong is said with the
file, the line and the key, all of it at once.
"""

import argparse
import difflib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .arguments import Collect, Parser, Switch

USUAL = Path("crawler.toml")
# What makes no sense in a file: one says these to the command, now.
_NOT_IN_FILES = {"help", "config", "no-config", "print-completion"}
_WHERE = re.compile(r"(?s)(.*) \(at (?:line (\d+), column (\d+)|end of document)\)")
_KEY = re.compile(r"""\s*(["']?)([\w-]+)\1\s*=""")


class BadConfiguration(Exception):
    """A file of options that cannot be used; the message has a line for each reason."""


def parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the command line and of the file; exits as argparse does."""
    options = parser.parse_args(arguments)
    options.written = {}
    path: Path | None = options.config
    if path is None and not options.no_config and USUAL.exists():
        path = USUAL
    if path is None or options.no_config:
        return options
    written: dict[str, str] = {}
    try:
        values = read(path, parser, written)
    except BadConfiguration as error:
        parser.error(str(error))
    parser.set_defaults(**values)
    options = parser.parse_args(arguments)
    options.config = path
    options.written = {
        where: (name, values[name])
        for name, where in written.items()
        if getattr(options, name) == values[name]
    }
    return options


def placed(message: str, options: argparse.Namespace) -> str:
    """An error that was found later, with the line of the file that it is about, if there is one.

    It is about an option that it names, or whose value it names.
    """
    for where, (name, value) in options.written.items():
        told = [f"--{name.replace('_', '-')}"]
        told += map(str, value if isinstance(value, list) else [value])
        if isinstance(value, int | float):
            del told[1:]  # a number may stand there for other reasons
        if any(re.search(rf"(?<![\w-]){re.escape(text)}(?![\w-])", message) for text in told):
            return f"{where}: {message}"
    return message


def read(path: Path, parser: Parser, written: dict[str, str] | None = None) -> dict[str, Any]:
    """What a file sets, by the names that the parser's results have; raises BadConfiguration.

    ``written`` gets where each of them stands: file, line and key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows put a mark first
        keys = tomllib.loads(text)
    except OSError as error:
        raise BadConfiguration(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadConfiguration(f"{path} is not UTF-8: {error.reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise BadConfiguration(f"{path}{_syntax(str(error), text)}") from error
    actions = {_key(action): action for action in parser.actions}
    actions = {key: action for key, action in actions.items() if key not in _NOT_IN_FILES}
    values: dict[str, Any] = {}
    complaints = []
    for key, value in keys.items():
        where = f"{path}:{_line(text, key)}: {key}"
        action = actions.get(key)
        if action is None:
            complaint = _unknown(key, value, actions)
        else:
            try:
                values[action.dest] = _value(action, value)
                if written is not None:
                    written[action.dest] = where
                continue
            except argparse.ArgumentTypeError as error:
                complaint = str(error)
        complaints.append(f"{where}: {complaint}")
    if complaints:
        raise BadConfiguration("\n".join(complaints))
    return values


def _syntax(error: str, text: str) -> str:
    """What tomllib says: with the line, and the key that stands there or before."""
    found = _WHERE.fullmatch(error)
    if found is None:
        return f": {error}"
    what, line, column = found.groups()
    lines = text.splitlines()[: None if line is None else int(line)]
    keys = [key[2] for each in lines if (key := _KEY.match(each))]
    said = [f":{line or max(1, len(lines))}", *keys[-1:], what]
    return ": ".join(said) + (f", column {column}" if column else "")


def _key(action: argparse.Action) -> str:
    """What an option is called in a file: its long name, without the dashes."""
    for name in action.option_strings:
        if name.startswith("--"):
            return name[2:]
    return action.dest


def _unknown(key: str, value: object, actions: dict[str, argparse.Action]) -> str:
    if isinstance(value, dict):
        return "there are no tables in this file, only lines of key = value"
    text = "there is no such option"
    if near := difflib.get_close_matches(key.replace("_", "-"), actions, 1):
        text += f"; did you mean {near[0]}?"
    return text


def _value(action: argparse.Action, value: object) -> object:
    """The value as the command line would give it; raises ArgumentTypeError."""
    if isinstance(action, Switch) or action.nargs == 0:
        if not isinstance(value, bool):
            raise argparse.ArgumentTypeError(f"must be true or false, got {_shown(value)}")
        return value
    several = isinstance(action, Collect) or action.nargs == "*"
    if several or (isinstance(value, list) and action.dest == "links"):
        words = [_word(each) for each in (value if isinstance(value, list) else [value])]
        if several:
            return [_converted(action, word) for word in words]
        return _converted(action, ",".join(words))
    return _converted(action, _word(value))


def _word(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise argparse.ArgumentTypeError(f"must be a text or a number, got {_shown(value)}")
    if isinstance(value, str) and "\0" in value:  # what no command line can hold, and no path
        raise argparse.ArgumentTypeError(f"must have no NUL, got {_shown(value)}")
    return str(value)


def _converted(action: argparse.Action, word: str) -> object:
    if callable(action.type):
        try:
            value: object = action.type(word)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"got {word!r}: {error}") from error
        return value
    if action.choices is not None and word not in action.choices:
        names = ", ".join(map(str, action.choices))
        raise argparse.ArgumentTypeError(f"must be one of {names}, got {word!r}")
    return word


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "a table" if isinstance(value, dict) else repr(value)


_LONG_STRING = re.compile(r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'', re.DOTALL)


def _line(text: str, key: str) -> int:
    """The number of the line that has a key."""
    text = _LONG_STRING.sub(lambda string: "\n" * string[0].count("\n"), text)
    quoted = re.escape(key)
    pattern = re.compile(rf"""\s*(?:\[+\s*(["']?){quoted}\1\s*[.\]]|(["']?){quoted}\2\s*[.=])""")
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.match(line):
            return number
    return 1
