"""The site in docs/, built by MkDocs: what its pages cannot say by themselves.

`make docs` builds it, `make docs-serve` shows it while one writes. A page in docs/ is plain
Markdown that reads well in a checkout too, and links to files of the repository by their paths.
Here such pages become a site that needs nothing else:

* `hooks.py`: what MkDocs calls while it builds, the table of contents of the rest.
* `pages.py`: pages that are not in docs/: results, changelog, source files that pages link to.
* `links.py`: turns links between files of the repository into links between pages.
* `markers.py`: fills in what a page asks for by a comment: a result, a list.
* `recordings.py`: runs a program under the recorder where a page says how to, and shows it.
* `results.py`: the committed results as tables with bars, which can be sorted.
* `pictures/`: draws docs/images from the code; `python -m website.pictures`.
"""
