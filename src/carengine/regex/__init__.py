"""Regular expressions in RE2's syntax: one parser, and what is made of its trees.

``syntax`` is the parser and the tree. ``automaton`` makes automata for reasoning, ``literals`` the
texts that every match contains, ``portable`` the spelling in other dialects.
"""

from . import automaton, literals, portable
from .syntax import Expression, RegexError, parse

__all__ = ["Expression", "RegexError", "automaton", "literals", "parse", "portable"]
