"""One page that shows what a crawl did: ``--report report.html``, or ``crawler report FILE``."""

from .page import About, render
from .tally import Tally
from .watching import Reporter

__all__ = ["About", "Reporter", "Tally", "render"]
