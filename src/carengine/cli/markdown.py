"""What commands say of rules, in Markdown for a comment on a pull request.

Everything in it may be from a rule or an event, written by anyone: texts are escaped, so that they
are neither marks, nor HTML, nor mentions of people, and the whole is cut to what a comment may
hold, with a line that says how much was left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from ..diagnostics import Diagnostic, Severity, counted, visible

MOST_CHARACTERS = 60_000
"""GitHub refuses a comment of more than 65,536 characters."""

_MARKS = re.compile(r"([\\`*_\[\]#|~@$]|:(?=//)|^[-+])")


def escaped(text: str) -> str:
    r"""A text on one line that Markdown shows as it is.

    >>> escaped("a|b <i> @team")
    'a\\|b &lt;i&gt; \\@team'
    """
    one = visible(" ".join(text.split()))
    plain = one.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(r"\\\1", plain)


def code(text: str) -> str:
    """A text on one line as code, also within a table.

    >>> code("a`b|c")
    "`a'b¦c`"
    """
    one = visible(" ".join(text.split()))
    return f"`{one.replace('`', chr(39)).replace('|', '¦') or ' '}`"


def html_text(text: str) -> str:
    """A text on one line within an HTML element.

    >>> html_text("a <b>")
    'a &lt;b&gt;'
    """
    one = visible(" ".join(text.split()))
    return one.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table whose cells are Markdown.

    >>> table(["a", "b"], [["1", "2"]])
    ['| a | b |', '| --- | --- |', '| 1 | 2 |']
    """
    lines = [list(header), ["---"] * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def document(lines: Sequence[str], most: int = MOST_CHARACTERS) -> str:
    """Lines as one text, without those for which a comment has no room.

    It is cut before a line at which no element is open.

    >>> print(document(["a", "b" * 50, "c"], most=20))
    a
    <BLANKLINE>
    Left out here: 2 lines. The formats text and json have them.
    <BLANKLINE>
    """
    size = depth = 0
    end = len(lines)
    whole = 0
    for place, line in enumerate(lines):
        if depth == 0:
            whole = place
        size += len(line) + 1
        if size > most:
            end = whole
            break
        depth += line.startswith("<details>") - line.startswith("</details>")
    left = len(lines) - end
    note = ["", f"Left out here: {counted(left, 'line')}. The formats text and json have them."]
    return "\n".join([*lines[:end], *(note if left else ()), ""])


_GRAVEST = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


def findings_document(usable: int, refused: int, found: Sequence[Diagnostic]) -> str:
    """What ``check`` has to say, the gravest first."""
    counts = Counter(item.severity for item in found)
    told = ", ".join(
        counted(counts[severity], severity.value) for severity in _GRAVEST if counts[severity]
    )
    lines = ["### What is wrong with the rules", ""]
    lines += [
        f"{counted(usable + refused, 'rule')}, {refused:,} of them cannot be used; "
        f"{told or 'nothing is wrong'}."
    ]
    for severity in _GRAVEST:
        chosen = [item for item in found if item.severity is severity]
        if not chosen:
            continue
        lines += ["", *_opened(f"{counted(len(chosen), severity.value)}", severity)]
        lines += table(["where", "code", "what"], map(_row, chosen))
        lines += [] if severity is Severity.ERROR else ["", "</details>"]
    return document(lines)


def _opened(title: str, severity: Severity) -> list[str]:
    if severity is Severity.ERROR:
        return []
    return [f"<details><summary>{title}</summary>", ""]


def _row(item: Diagnostic) -> list[str]:
    place = item.where or item.origin
    fix = f" Fix: {item.fix.message}" if item.fix is not None else ""
    return [code(place), item.code.id, escaped(f"{item.message}.{fix}")]


def examples_document(
    told: Sequence[str], failures: Sequence[tuple[str, str, Sequence[Diagnostic]]]
) -> str:
    """What ``test`` has to say: sentences with numbers, and what failed, each as the rule, the
    example and why."""
    lines = ["### The examples of the rules", ""]
    lines += [f"{escaped(one)}  " for one in told]
    if failures:
        rows = (
            [escaped(rule), escaped(name), escaped("; ".join(item.message for item in why))]
            for rule, name, why in failures
        )
        lines += ["", *table(["rule", "failed", "why"], rows)]
    return document(lines)
