"""One page that shows what a crawl did: ``--report report.html``, or ``crawler report FILE``."""

from .bounded import Heaviest
from .page import About, render
from .tally import Tally, without_secret
from .watching import Reporter

__all__ = ["About", "Heaviest", "Reporter", "Tally", "render", "without_secret"]
