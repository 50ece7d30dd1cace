"""A crawler for any asyncio event loop: reads a list of URLs, writes down the links it finds."""
