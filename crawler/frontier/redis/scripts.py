"""The scripts that make the steps, by the names that an engine gives them."""

import hashlib
from importlib import resources


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


class Script:
    """A script of this package; ``grows`` says whether it may be refused by an engine that is full.

    Such an engine refuses a script before it has changed anything, or not at all.
    """

    def __init__(self, name: str, *, grows: bool) -> None:
        text = _read("step.lua") + _read(name)
        self.text = text if grows else f"#!lua flags=allow-oom\n{text}"
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


# The steps by which a crawl grows. All others are made even where there is no room: those that
# make some, and the little that keeps workers alive.
GROWING = frozenset({"add", "begin"})


class Steps:
    """The scripts for the steps of a shard, or of the crawl."""

    def __init__(self, name: str) -> None:
        self._growing = Script(name, grows=True)
        self._others = Script(name, grows=False)

    def script(self, step: str) -> Script:
        """The one that makes this step."""
        return self._growing if step in GROWING else self._others


SHARD = Steps("shard.lua")
CRAWL = Steps("crawl.lua")
