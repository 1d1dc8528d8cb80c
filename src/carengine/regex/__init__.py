"""Regular expressions in RE2's syntax: one parser, and what is made of its trees.

``syntax`` is the parser and the tree. ``automaton`` makes automata for reasoning, ``literals`` the
texts that every match contains, ``portable`` the spelling in other dialects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand
from . import automaton, literals

if TYPE_CHECKING:
    from .automaton import (
        ASCII_IN_CASE,
        FOLDED_ASCII,
        LIKE_ASCII,
        OTHER,
        Searcher,
        searcher,
    )
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
else:
    __getattr__ = names_on_demand(
        globals(),
        automaton="ASCII_IN_CASE FOLDED_ASCII LIKE_ASCII OTHER Searcher searcher",
        portable=(
            "NotPortable alternatives escape_regex network_to_regex pattern_to_regex "
            "portable_regex tokens_of"
        ),
        samples="sample_texts",
        syntax="ParsedRegex RegexError parse_regex",
    )

__all__ = [
    "ASCII_IN_CASE",
    "FOLDED_ASCII",
    "LIKE_ASCII",
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
