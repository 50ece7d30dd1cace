"""One page that shows what a crawl did: ``--report report.html``, or ``crawler report FILE``."""

from .page import About, render
from .tally import Tally, without_secret
from .watching import Reporter

__all__ = ["About", "Reporter", "Tally", "render", "without_secret"]
