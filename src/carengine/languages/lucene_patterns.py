r"""Wildcards and expressions as Lucene reads them, for the languages of Elasticsearch.

https://www.elastic.co/docs/reference/query-languages/query-dsl/regexp-syntax
"""

from __future__ import annotations

import re

from ..pattern import Any, One, Token, spelled

_WILD: dict[str, Token] = {"*": Any(), "?": One()}
_OPTIONAL = frozenset('~<&@#"{}[]\\')


def wildcards_of_lucene(text: str) -> str | None:
    r"""A pattern with ``*``, ``?`` and backslashes before characters that mean themselves, as ours;
    None where ours have no spelling for it (`pattern.spelled`).

    >>> wildcards_of_lucene(r"a*\?\\b")
    'a*[?]\\b'
    """
    made: list[Token] = []
    for piece in re.finditer(r"\\(.)|([*?])|([^\\*?]+)|\\", text, re.DOTALL):
        escaped, wild, plain = piece.groups()
        made.append(_WILD[wild] if wild else escaped or plain or "\\")
    return spelled(made)


def regex_of_lucene(text: str) -> str | None:
    r"""An expression of Lucene's as one of RE2; None where it uses what only Lucene has, or what
    Lucene refuses.

    ``^`` and ``$`` are characters there. So is what repeats where nothing stands before it, as in
    ``(?:``, which opens a group that begins with ``?:``.

    https://lucene.apache.org/core/9_12_0/core/org/apache/lucene/util/automaton/RegExp.html

    >>> regex_of_lucene("a.*b$")
    'a.*b\\$'
    >>> regex_of_lucene("(?:a|b)")
    '(\\?:a|b)'
    >>> regex_of_lucene("a<1-5>") is None, regex_of_lucene("a+?") is None
    (True, True)
    """
    made = []
    begins, repeated = True, False
    for piece in _PIECES.finditer(text):
        escaped, listed, bounds, plain = piece.groups()
        opens = repeats = False
        if escaped is not None:
            if escaped.isalnum() and escaped not in "dDsSwW":
                return None
            made.append(piece[0] if escaped in "dDsSwW" else re.escape(escaped))
        elif listed is not None:
            if not listed.strip("^") or _IN_CLASS.search(listed):
                return None
            made.append(piece[0])
        elif bounds is not None or plain in "*+?":
            if begins:
                made.append(re.escape(piece[0]) if bounds is None else rf"\{piece[0]}")
            elif repeated:
                # What repeats is repeated, and no longer one that takes little.
                return None
            else:
                made.append(piece[0])
                repeats = True
        elif plain in _OPTIONAL:
            return None
        else:
            made.append(f"\\{plain}" if plain in "^$" else plain)
            opens = plain in "(|"
        begins, repeated = opens, repeats
    return "".join(made)


_PIECES = re.compile(r"\\(.)|\[((?:\\.|[^\]\\])*)\]|(\{\d+(?:,\d*)?\})|(.)", re.DOTALL)
# Shorthands and names of classes, of which versions make different things.
_IN_CLASS = re.compile(r"\\\w|\[:|&&")
