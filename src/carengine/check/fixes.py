"""Putting the edits of findings into the text they are about."""

from __future__ import annotations

from collections.abc import Iterable

from ..diagnostics import Diagnostic, Edit, Fix


def apply_fixes(source_text: str, diagnostics: Iterable[Diagnostic], safe_only: bool = True) -> str:
    """The text with the fixes of its findings put in.

    Only edits whose source is this text are used; with ``safe_only`` only those that keep the
    meaning. A fix is put in whole or not at all: one that overlaps an earlier one (in the order of
    the text) is left for the next round, when the text has been checked again.

    >>> from carengine import parse_rule
    >>> from carengine.check import check_rule
    >>> text = 'a = search Process where exe contains "*x*" output a'
    >>> apply_fixes(text, check_rule(parse_rule(text)))
    'a = search Process where exe contains "x" output a'
    """
    return applied_fixes(source_text, diagnostics, safe_only)[0]


def applied_fixes(
    source_text: str, diagnostics: Iterable[Diagnostic], safe_only: bool = True
) -> tuple[str, tuple[Diagnostic, ...]]:
    """What `apply_fixes` gives, and the findings whose fixes were put in."""
    chosen: dict[tuple[int, int], Edit] = {}
    applied: dict[Fix, Diagnostic] = {}
    for item in diagnostics:
        fix = item.fix
        if fix is None or fix in applied or not fix.edits or (safe_only and not fix.safe):
            continue
        if any(edit.span.source.text != source_text for edit in fix.edits):
            continue
        if any(_overlap(edit, other) for edit in fix.edits for other in chosen.values()):
            continue
        applied[fix] = item
        chosen.update({(edit.span.start, edit.span.end): edit for edit in fix.edits})
    for start, end in sorted(chosen, reverse=True):
        source_text = source_text[:start] + chosen[start, end].text + source_text[end:]
    return source_text, tuple(applied.values())


def _overlap(one: Edit, other: Edit) -> bool:
    """Whether two edits touch the same characters, or insert at the same place."""
    a, b = one.span, other.span
    if a.start == a.end or b.start == b.end:
        return a.start <= b.end and b.start <= a.end
    return a.start < b.end and b.start < a.end
