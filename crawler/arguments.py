"""What the command's parser has beyond the standard library's: options that a file can set.

An option is a flag on the command line and a key in ``crawler.toml`` (:mod:`.configuration`). What
the file says becomes the option's default, so the flag wins; for that each switch can be turned off
as well, and an option that may be given several times begins anew on the command line.

What several commands ask of a value stands here too.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any


class Parser(argparse.ArgumentParser):
    """A parser whose options can be looked through.

    ``commands`` are parsers of words that may stand first. The command line is looked at for those
    before it is parsed; they are here to be completed.
    """

    commands: "Mapping[str, Parser]" = MappingProxyType({})

    def add_commands(self, commands: "Mapping[str, Parser]") -> None:
        """Have these words complete; the parser is of no other use then."""
        words = self.add_subparsers()
        self.commands = {
            name: words.add_parser(
                name, parents=[command], add_help=False, help=command.description
            )
            for name, command in commands.items()
        }

    @property
    def actions(self) -> Sequence[argparse.Action]:
        """Its options and arguments, in the order in which they were added."""
        return tuple(self._actions)


class Switch(argparse.Action):
    """``--name`` and ``--no-name``."""

    def __init__(
        self,
        option_strings: Sequence[str],
        dest: str,
        default: bool = False,
        help: str | None = None,
        **options: Any,
    ) -> None:
        off = [f"--no-{name[2:]}" for name in option_strings if name.startswith("--")]
        super().__init__([*option_strings, *off], dest, nargs=0, default=default, help=help)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Set it as the option's name says."""
        assert option_string is not None
        setattr(namespace, self.dest, not option_string.startswith("--no-"))

    def format_usage(self) -> str:
        """What stands for it in the usage line."""
        return self.option_strings[0]


class Collect(argparse.Action):
    """An option that may be given several times: a list of its values."""

    def __init__(
        self,
        option_strings: Sequence[str],
        dest: str,
        type: Callable[[str], Any] | None = None,
        metavar: str | None = None,
        help: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(option_strings, dest, type=type, default=[], metavar=metavar, help=help)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Add one; the first takes the place of what is there by default."""
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if before is self.default else [*before, values])


def field_value(text: str) -> str:
    """A text that can stand in a header field, for an option's ``type``."""
    if not text.isascii() or not text.isprintable() or not text.strip():
        raise argparse.ArgumentTypeError(f"must be printable ASCII, got {text!r}")
    return text.strip()


def seconds(text: str) -> float:
    """A time above none and short of for ever, for an option's ``type``."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return number
