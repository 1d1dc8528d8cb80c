r"""Expressions written in Lucene's syntax, for the languages of Elasticsearch.

Lucene compares an expression with the whole value; it has no anchors, no groups that do not catch,
and no flags::

    (?:^|[\\/])lsass            (.*[\\/])?lsass.*

https://www.elastic.co/docs/reference/query-languages/query-dsl/regexp-syntax
"""

from __future__ import annotations

import re
from typing import NoReturn

from .. import ir
from .text_writing import portable_body
from .translation import Findings

_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}


def regex_to_lucene(body: str) -> str:
    r"""An expression of ours in Lucene's syntax: every group catches, more signs are special, no
    control has an escape.

    >>> regex_to_lucene("(?:a|b)&")
    '(a|b)\\&'
    """
    made = body.replace("(?:", "(")
    made = re.sub(r"\\([nrtfv\\])", lambda found: _CONTROLS.get(found[1], found[0]), made)
    return re.sub(r'(?<!\\)([~@&<>#"])', r"\\\1", made)


def whole_regex_to_lucene(test: ir.Regex, findings: Findings, *, lower: bool = False) -> str:
    """An expression that is to be found anywhere, as one for the whole value; ``^`` and ``$`` only
    at the ends.

    ``lower`` writes it for a value in small letters. Gives up on what Lucene cannot say.
    """
    if test.multiline:
        _refuse_in_regex("an expression that works line by line", test, findings)
    body = portable_body(test, findings, end="$", word_boundary="\0")
    if "\0" in body:
        _refuse_in_regex("the word boundary \\b", test, findings)
    if lower:
        body = _in_small_letters(body, test, findings)
    several = _alternatives(body)
    if any(part.startswith("^") or part.endswith("$") for part in several):
        # An anchor belongs to its alternative.
        return "|".join(_whole(part, test, findings) for part in several)
    return _whole(body, test, findings)


def _alternatives(body: str) -> list[str]:
    """What stands between the bars of an expression that are in no group.

    >>> _alternatives("^a|(?:b|c)[|]")
    ['^a', '(?:b|c)[|]']
    """
    made, depth = [""], 0
    for piece in re.findall(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", body, re.DOTALL):
        depth += (piece == "(") - (piece == ")")
        if piece == "|" and not depth:
            made.append("")
        else:
            made[-1] += piece
    return made


def _whole(body: str, test: ir.Regex, findings: Findings) -> str:
    """An expression for the whole value, from one to be found in it."""
    head, tail = ".*", ".*"
    opened = re.match(r"\(\?:\^\|((?:\\.|\[[^\]]*\]|[^()\\])+)\)", body)
    if opened:
        head, body = f"(.*{opened[1]})?", body[opened.end() :]
    elif body.startswith("^"):
        head, body = "", body[1:]
    closed = re.search(r"\(\?:((?:\\.|\[[^\]]*\]|[^()\\|])+)\|\$\)$", body)
    if closed:
        tail, body = f"({closed[1]}.*)?", body[: closed.start()]
    elif body.endswith("$") and not body.endswith("\\$"):
        tail, body = "", body[:-1]
    bare = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "", body)
    if "^" in bare or "$" in bare:
        _refuse_in_regex("an anchor inside", test, findings)
    return regex_to_lucene(f"{head}({body}){tail}" if "|" in bare else head + body + tail)


def _refuse_in_regex(what: str, test: ir.Regex, findings: Findings) -> NoReturn:
    findings.refuse(f"{what} in a regular expression", test.span)


_RANGE = re.compile(r"(\\?.)-(\\?.)", re.DOTALL)


def _in_small_letters(body: str, test: ir.Regex, findings: Findings) -> str:
    """An expression that ignores case, for a value that is in small letters."""
    for first, last in _RANGE.findall(
        "".join(re.findall(r"\[(?:\\.|[^\]\\])*\]", body, re.DOTALL))
    ):
        ends = (first[-1], last[-1])
        if ends[0] < "A" <= ends[1] or (ends[0] <= "Z" < ends[1]):
            _refuse_in_regex(f"the range {first}-{last}", test, findings)
    if not body.isascii():
        _refuse_in_regex("a letter outside ASCII, case ignored,", test, findings)
    # Escapes that are letters are those of controls, which are small ones.
    return body.lower()
