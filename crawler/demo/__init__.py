"""A web site to crawl, on this machine and with nothing outside it, and the demonstration of that.

``python -m crawler.demo`` is what ``make demo`` runs; ``python -m crawler.demo.site`` is the site.
"""
