"""The report's figures, their common style, and the registry of all of them."""
