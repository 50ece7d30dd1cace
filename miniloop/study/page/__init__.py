"""The page of a recording: one HTML file that shows what a loop did, step by step.

The file needs nothing else: no network, no server. The style, the modules and the recording are in
it; a policy in its head forbids it to load anything. What is shown is what was recorded, never a
model of a loop.

* `writing.py`: puts the file together.
* `files/`: what is put together: the page, its style, and ES modules. `app.js` is the first; each
  begins with what it does.
"""

from __future__ import annotations

from miniloop.study.page.writing import HasModel, html, write

__all__ = ["HasModel", "html", "write"]
