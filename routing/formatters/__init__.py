"""Formatters: what a mapping does to its value, one after the other. Pure, and bounded in size and time."""

from routing.formatters.base import Argument, Formatter, FormatterError
from routing.formatters.chain import FORMATTERS, Chain, Step, apply_chain, compile_chain

__all__ = [
    "FORMATTERS",
    "Argument",
    "Chain",
    "Formatter",
    "FormatterError",
    "Step",
    "apply_chain",
    "compile_chain",
]
