"""Values that Windows writes in two ways.

Sysmon writes a process's integrity level as a word, and the Security log as the SID of a mandatory
label; shippers turn one into the other. A rule may name either (SigmaHQ's name both since 2024), so
that a condition on the level holds of both spellings where it holds of one::

    IntegrityLevel: 'S-1-16-12288'    →  "S-1-16-12288" or "High"

https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp/81d92bba-d22b-4a8c-908a-554ab29148ab
"""

from __future__ import annotations

from attrs import evolve

from ... import ir
from ...evaluate import NoContext, RawRow, holds
from ...pattern import Pattern

_LEVELS = (
    ("Untrusted", "S-1-16-0"),
    ("Low", "S-1-16-4096"),
    ("Medium", "S-1-16-8192"),
    ("Medium", "S-1-16-8448"),
    ("High", "S-1-16-12288"),
    ("System", "S-1-16-16384"),
)
_FIELDS = frozenset({"integritylevel", "mandatorylabel"})
_NO_CONTEXT = NoContext()


def with_spellings(field: ir.Field, condition: ir.Condition) -> ir.Condition:
    """A condition on one field, which also holds of the other spelling of each value it holds of.

    >>> level = ir.Field("IntegrityLevel")
    >>> found = with_spellings(level, ir.Match(level, (Pattern("High"),)))
    >>> [pattern.text for pattern in found.patterns]
    ['High', 'S-1-16-12288']
    """
    if field.name.replace(" ", "").lower() not in _FIELDS:
        return condition
    texts = dict.fromkeys(text for pair in _LEVELS for text in pair)
    true = {text for text in texts if _holds(field, condition, text)}
    missing = dict.fromkeys(
        other
        for word, sid in _LEVELS
        for text, other in ((word, sid), (sid, word))
        if text in true and other not in true
    )
    if not missing:
        return condition
    more = tuple(map(Pattern, missing))
    if isinstance(condition, ir.Match):
        return evolve(condition, patterns=(*condition.patterns, *more))
    return ir.Or((condition, ir.Match(field, more)))


def _holds(field: ir.Field, condition: ir.Condition, text: str) -> bool:
    fixed = ir.rewrite_condition(
        condition, lambda value: ir.Constant(text) if value == field else value
    )
    return holds(fixed, RawRow({}), _NO_CONTEXT) is True
