r"""Wildcards and expressions as Lucene reads them, for the languages of Elasticsearch.

https://www.elastic.co/docs/reference/query-languages/query-dsl/regexp-syntax
"""

from __future__ import annotations

import re

from ..pattern import Any, One, Token, spelled

_WILD: dict[str, Token] = {"*": Any(), "?": One()}
_OPTIONAL = frozenset("~<&@#")


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
    r"""An expression of Lucene's as one of RE2; None where it uses what only Lucene has.

    ``^`` and ``$`` are characters there, and so is a quote.

    >>> regex_of_lucene("a.*b$")
    'a.*b\\$'
    >>> regex_of_lucene("a<1-5>") is None
    True
    """
    made = []
    for piece in re.finditer(r"\\(.)|\[(?:\\.|[^\]\\])*\]|(.)", text, re.DOTALL):
        escaped, plain = piece.groups()
        if escaped is not None and escaped in "<>@#~&\"'":
            made.append(re.escape(escaped))
        elif plain is not None and plain in _OPTIONAL:
            return None
        elif plain is not None and plain in "^$":
            made.append(f"\\{plain}")
        else:
            made.append(piece[0])
    return "".join(made)
