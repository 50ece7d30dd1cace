"""Tags, attributes and character references: what both the client and the pages need to read."""
