"""The pages of routing rules, their versions and translation tables."""

from routing.admin import rules, tables, versions

__all__ = ["rules", "tables", "versions"]
