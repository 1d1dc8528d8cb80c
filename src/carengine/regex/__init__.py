"""Regular expressions in RE2's syntax: one parser, and what is made of its trees.

``automaton`` makes automata for reasoning, ``literals`` the texts that every match contains,
``portable`` the spelling in other dialects.
"""
