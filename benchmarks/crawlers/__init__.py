"""The crawlers that ours is compared with, each as well written as we could for the same task.

All of them fetch the same list of URLs with the same number of pages under way, find the links with
the same parser, and write the same ``source_url<TAB>parsed_url`` lines, a page's lines at a time.
What differs is the HTTP client, the way to the file, and for Scrapy everything around them.
"""
