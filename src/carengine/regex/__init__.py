"""Regular expressions in RE2's syntax: one parser, and what is made of its trees.

``syntax`` is the parser and the tree. ``automaton`` makes automata for reasoning, ``literals`` the
texts that every match contains, ``portable`` the spelling in other dialects.
"""

from . import automaton, literals
from .automaton import FOLDED_ASCII, OTHER, Searcher, searcher
from .portable import (
    NotPortable,
    alternatives,
    escape_regex,
    network_to_regex,
    pattern_to_regex,
    portable_regex,
    tokens_of,
)
from .samples import sample_texts
from .syntax import ParsedRegex, RegexError, parse_regex

__all__ = [
    "FOLDED_ASCII",
    "OTHER",
    "NotPortable",
    "ParsedRegex",
    "RegexError",
    "Searcher",
    "alternatives",
    "automaton",
    "escape_regex",
    "literals",
    "network_to_regex",
    "parse_regex",
    "pattern_to_regex",
    "portable_regex",
    "sample_texts",
    "searcher",
    "tokens_of",
]
