"""Breaks a running installation on purpose and counts what becomes of every message."""
