"""Completion for shells: ``crawler --print-completion bash`` prints what a shell is to load."""

from pathlib import Path

import shtab

from .arguments import Parser
from .page import KINDS

# Values of which others are possible, too.
_USUAL = {"loop": ("miniloop", "asyncio", "uvloop"), "links": tuple(KINDS)}
# Where no word of ours fits, it may be a file: a list of URLs stands where `fetch` may.
_BASH, _BASH_AND_FILES = "complete -o bashdefault -F", "complete -o bashdefault -o default -F"


def completion(parser: Parser, shell: str) -> str:
    """The script for a shell; ``parser`` knows the other commands as well."""
    for each in (parser, *parser.commands.values()):
        for action in each.actions:
            if action.type is Path or action.dest in ("urls", "state"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.dest in _USUAL:
                action.choices = _USUAL[action.dest]
    script: str = shtab.complete(parser, shell)
    return script.replace(_BASH, _BASH_AND_FILES)
