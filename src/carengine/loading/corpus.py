"""What became of a corpus: of each block of pseudocode whether it executes, what had to be
repaired, why not.

The page is Markdown, one row a block, in the order of the ids::

    | block | executes | repairs | mistakes |
    | --- | --- | --- | --- |
    | CAR-2013-02-003 Processes Spawning cmd.exe | as published | | |
    | CAR-2013-02-008 Simultaneous Logins on a Host | after repairs | CE605 comma repaired | … |
    | CAR-2020-08-001 … | refused | | CE691: __some_regex__ is a placeholder … |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from attrs import frozen

from ..diagnostics import Diagnostic, Severity, codes, ordered
from ..lenient import REPAIRS
from ..rule.model import Refused, Rule, RuleSet

Mistakes = Callable[[Rule], Iterable[Diagnostic]]
"""Finds the logical mistakes in a rule."""

_HEAD = """# The published corpus

Every block of pseudocode in the CAR analytics that MITRE published, and what became of it. A block
executes as it was published, or after repairs that are named, or it is refused with the reason.
What the codes mean is in [diagnostics.md](diagnostics.md). Mistakes are what the checker finds in
the program as it was read: it executes, and can still not be what its author meant.

This page is generated (`make docs`, or `carengine corpus RULES`).
"""


@frozen
class CorpusRow:
    """A block: whether it executes, which repairs it took and how often, and what else there is to
    say."""

    id: str
    title: str
    result: str
    repairs: tuple[tuple[str, int], ...] = ()
    said: tuple[str, ...] = ()


def corpus_report(rules: RuleSet, mistakes: Mistakes = lambda _rule: ()) -> str:
    """The page on the rules of a set that was read leniently, as Markdown.

    ``mistakes`` is the checker, or anything else that finds mistakes in a rule.
    """
    rows = report_rows(rules, mistakes)
    counts = Counter(row.result for row in rows)
    without = sorted(item.id for item in rules.refused if _has_none(item))
    lines = [
        _HEAD,
        f"**{len(rows)} blocks**: {counts['as published']} execute as published, "
        f"{counts['after repairs']} after repairs, {counts['refused']} are refused.\n",
        "| block | executes | repairs | mistakes and reasons |",
        "| --- | --- | --- | --- |",
    ]
    lines += [_line(row) for row in rows]
    repairs: Counter[str] = Counter()
    blocks: Counter[str] = Counter()
    for row in rows:
        repairs.update(dict(row.repairs))
        blocks.update(code for code, _ in row.repairs)
    if repairs:
        lines += [
            "\n## Repairs\n",
            "| code | what | blocks | places |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| {code} | {codes.ALL[code].title} | {blocks[code]} | {repairs[code]} |"
            for code in sorted(repairs)
        ]
    if without:
        lines += [
            "\n## Analytics without pseudocode\n",
            f"{len(without)} analytics publish none (CE305): {', '.join(without)}.",
        ]
    return "\n".join(lines) + "\n"


def report_rows(rules: RuleSet, mistakes: Mistakes = lambda _rule: ()) -> tuple[CorpusRow, ...]:
    """The rows of the page, sorted by id."""
    rows = [_used(rule, mistakes) for rule in rules]
    rows += [_refused(item) for item in rules.refused if not _has_none(item)]
    return tuple(sorted(rows, key=lambda row: row.id))


def _has_none(item: Refused) -> bool:
    return any(found.code is codes.NO_PSEUDOCODE for found in item.diagnostics)


def _counted(found: Iterable[Diagnostic]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(x.code.id for x in found if x.code.id in REPAIRS).items()))


def _used(rule: Rule, mistakes: Mistakes) -> CorpusRow:
    repairs = _counted(rule.diagnostics)
    found = [item for item in ordered(mistakes(rule)) if item.severity is not Severity.NOTE]
    said = tuple(dict.fromkeys(f"{item.code.id}: {item.message}" for item in found))
    result = "after repairs" if repairs else "as published"
    return CorpusRow(rule.id, rule.title, result, repairs, said)


def _refused(item: Refused) -> CorpusRow:
    errors = [found for found in item.diagnostics if found.severity is Severity.ERROR]
    said = tuple(dict.fromkeys(f"{found.code.id}: {found.message}" for found in errors))
    return CorpusRow(item.id, item.title, "refused", _counted(item.diagnostics), said)


def _line(row: CorpusRow) -> str:
    repairs = "<br>".join(
        f"{code} {codes.ALL[code].title}" + (f" (×{count})" if count > 1 else "")
        for code, count in row.repairs
    )
    cells = (f"{row.id} {row.title}".strip(), row.result, repairs, "<br>".join(row.said))
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """The text as a cell of a table; what stands in backquotes is code, and only its bars are
    escaped."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    parts[::2] = [part.replace("*", "\\*") for part in parts[::2]]
    return "`".join(parts)
