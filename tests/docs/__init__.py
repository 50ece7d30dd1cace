"""What the site in docs/ says: it can be built, it leads somewhere, and what it says is so."""
