"""The store of many machines, in Redis or Valkey.

Their client is imported when a crawl needs it: by :mod:`.connection`.
"""
