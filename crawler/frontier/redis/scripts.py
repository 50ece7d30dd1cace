"""The scripts that make the steps, by the names that an engine gives them."""

import hashlib
from importlib import resources


class Script:
    """A script of this package."""

    def __init__(self, name: str) -> None:
        self.text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


SHARD = Script("shard.lua")
CRAWL = Script("crawl.lua")
