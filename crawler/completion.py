"""Completion for shells: ``crawler --print-completion bash`` prints what a shell is to load."""

from pathlib import Path

import shtab

from .arguments import Parser


def completion(parser: Parser, shell: str) -> str:
    """The script for a shell; ``parser`` knows the other commands as well."""
    for each in (parser, *parser.commands.values()):
        for action in each.actions:
            if action.type is Path or action.dest == "urls":
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    script: str = shtab.complete(parser, shell)
    return script
