"""Web pages of the sandbox systems."""
