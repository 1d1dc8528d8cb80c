"""What a Sigma rule means, and what it would mean to a peer: an evaluator whose reading can be
turned.

It walks the condition that pySigma parses, over one event, slowly and plainly, and shares no code
with carengine's engine. Turned nowhere, it reads rules as Sigma's specification does and as
carengine should; that it agrees with the engine is checked for every difference that is looked at.
Each `Quirk` turns it in one place to what a peer's documentation or queries say. A difference
between a peer and carengine is explained by a quirk if the evaluator turned so says what the peer
said.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from enum import Enum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from attrs import frozen
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.rule import SigmaRule
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SpecialChars,
)

from carengine import ir
from carengine.evaluate import NoContext, RawRow, holds, value_of
from carengine.fieldmap import Entry, FieldMap
from carengine.rule import Rule

Event = Mapping[str, Any]
Truth = bool | None


class Quirk(Enum):
    """A way in which a peer reads a rule or an event; the value says it in words."""

    NO_LOG_SOURCE = "the log source is ignored, and the rule tried on every event"
    SYSMON_ONLY = "a category is Sysmon's events only (not Security 4688)"
    OWN_NAMES = (
        "fields only by the rule's own names (no `Computer` for `Hostname`, no `Provider_Name`)"
    )
    UNKNOWN = "a missing field makes a comparison unknown, and its negation too (SQL's NULL)"
    STRICT_TYPES = "a number and a text are never equal"
    ANCHORED = "a regular expression has to match from the start of the value"
    MISSING_EQUAL = "two missing fields are equal to each other"
    DOUBLED = "backslashes of a regular expression are doubled (`\\.` looks for a backslash)"
    FIELD_KEYWORDS = "keywords are looked for in each top-level value, not in the whole event"


NONE: frozenset[Quirk] = frozenset()


@frozen(eq=False)
class Reading:
    """A rule as the evaluator has it: pySigma's conditions, and carengine's rule for the log
    source."""

    rule: Rule
    sigma: SigmaRule
    conditions: tuple[Any, ...]
    kinds: frozenset[ir.EventKind]

    @classmethod
    def of(cls, rule: Rule) -> Reading:
        """Read the rule's file once more, however wrong its metadata. Raises pySigma's errors about
        its condition."""
        text = Path(rule.path).read_text(encoding="utf-8")
        sigma = SigmaRule.from_yaml(text, collect_errors=True)
        conditions = tuple(c.parse() for c in sigma.detection.parsed_condition)
        plans = [output.plan for output in rule.program.outputs]
        kinds = frozenset(kind for plan in plans for kind in ir.searched(plan))
        return cls(rule, sigma, conditions, kinds)

    def matches(self, event: Event, shape: FieldMap, quirks: frozenset[Quirk] = NONE) -> bool:
        """Whether the rule matches an event of a shape, read with these quirks."""
        entries = self.entries(event, shape, quirks)
        if not entries and Quirk.NO_LOG_SOURCE in quirks:
            entries = shape.entries[:1]
        return any(self.holds(Walk(event, entry, quirks)) for entry in entries)

    def holds(self, walk: Walk) -> bool:
        """Whether one of the conditions is true of an event that is of the rule's log source."""
        return any(walk.condition(condition) is True for condition in self.conditions)

    def entries(self, event: Event, shape: FieldMap, quirks: frozenset[Quirk]) -> tuple[Entry, ...]:
        """The entries of the shape that the event is one of, and the rule about: one, or none."""
        category = self.sigma.logsource.category is not None
        if Quirk.SYSMON_ONLY in quirks and category and event.get("Channel") == "Security":
            return ()
        row = RawRow(event)
        found = [entry for entry in shape.entries if entry.kind in self.kinds]
        return tuple(entry for entry in found if holds(entry.when, row, NoContext()) is True)


class Walk:
    """One event as one entry of its shape, and how it is read. Fit for any number of rules."""

    def __init__(self, event: Event, entry: Entry, quirks: frozenset[Quirk] = NONE) -> None:
        self.event = event
        self.entry = entry
        self.quirks = quirks
        self._values: dict[str, Any] = {}

    def condition(self, node: Any) -> Truth:
        """Whether a node of pySigma's conditions is true; None only where unknown counts as
        something."""
        match node:
            case ConditionAND():
                return _all([self.condition(inner) for inner in node.args])
            case ConditionOR():
                return _not(_all([_not(self.condition(inner)) for inner in node.args]))
            case ConditionNOT():
                return _not(self.condition(node.args[0]))
            case ConditionFieldEqualsValueExpression():
                found = self.item(node.field, node.value)
            case ConditionValueExpression():
                found = self.keyword(node.value)
            case _:
                raise TypeError(f"{type(node).__name__} in a condition")
        return found if Quirk.UNKNOWN in self.quirks else found is True

    def value(self, name: str) -> Any:
        """The field of this name; None where it is not there."""
        if name not in self._values:
            self._values[name] = self._value(name)
        return self._values[name]

    def _value(self, name: str) -> Any:
        native = self.entry.native
        if Quirk.OWN_NAMES in self.quirks or native is None:
            return self.event.get(name)
        place = native.value(name)
        return None if place is None else value_of(place, RawRow(self.event), NoContext())

    @cached_property
    def serialised(self) -> str:
        """The event as compact JSON with single backslashes: what keywords are looked for in."""
        text = json.dumps(self.event, ensure_ascii=False, separators=(",", ":"))
        return text.replace("\\\\", "\\")

    def item(self, name: str, wanted: Any) -> Truth:
        """Whether a field has what a rule wants of it; None where the field is missing."""
        found = self.value(name)
        match wanted:
            case SigmaNull():
                return found is None
            case SigmaExists(exists=there):
                return (found is not None) is there
            case SigmaFieldReference(field=other) if found is None:
                return Quirk.MISSING_EQUAL in self.quirks and self.value(other) is None
            case SigmaExpansion(values):
                return _not(_all([_not(self.item(name, value)) for value in values]))
        values = found if isinstance(found, list) else [found]
        values = [value for value in values if value is not None and not isinstance(value, dict)]
        if not values:
            return None
        return any(self.one(value, wanted) for value in values)

    def one(self, value: Any, wanted: Any) -> bool:
        """Whether one value of an event fits one value of a rule."""
        strict = Quirk.STRICT_TYPES in self.quirks
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        match wanted:
            case SigmaNumber(number=number):
                if strict:
                    return is_number and value == number
                return _number(value) == number
            case SigmaCompareExpression(number=number, op=operator):
                left = value if is_number else None if strict else _number(value, hexadecimal=True)
                return left is not None and _compared(left, operator, number.number)
            case SigmaBool(boolean=truth):
                if strict:
                    return value is truth
                return _text(value).lower() == ("true" if truth else "false")
            case SigmaString():
                if strict and is_number:
                    return False
                return self.fits(wanted, _text(value))
            case SigmaRegularExpression():
                expression = _regex(wanted, doubled=Quirk.DOUBLED in self.quirks)
                if Quirk.ANCHORED in self.quirks:
                    return expression.match(_text(value)) is not None
                return expression.search(_text(value)) is not None
            case SigmaCIDRExpression(cidr=network):
                return _inside(_text(value), network)
            case SigmaFieldReference(field=name, starts_with=starts, ends_with=ends):
                other = self.value(name)
                if other is None:
                    return False
                left, right = _text(value).lower(), _text(other).lower()
                if starts and ends:
                    return right in left
                if starts or ends:
                    return left.startswith(right) if starts else left.endswith(right)
                return left == right
        raise TypeError(f"{type(wanted).__name__} in an item")

    def fits(self, wanted: SigmaString, text: str) -> bool:
        """Whether a text of an event is one of a rule, wildcards and all."""
        cased = isinstance(wanted, SigmaCasedString)
        return _pattern(wanted, cased).fullmatch(text) is not None

    def keyword(self, wanted: Any) -> bool:
        """Whether a keyword is somewhere in the event."""
        if Quirk.FIELD_KEYWORDS in self.quirks:
            texts = [_text(value) for value in self.event.values() if value is not None]
        else:
            texts = [self.serialised]
        if isinstance(wanted, SigmaNumber):
            return any(str(wanted.number) in text for text in texts)
        if isinstance(wanted, SigmaRegularExpression):
            return any(_regex(wanted).search(text) is not None for text in texts)
        cased = isinstance(wanted, SigmaCasedString)
        return any(_pattern(wanted, cased).search(text) is not None for text in texts)


def _all(truths: list[Truth]) -> Truth:
    if False in truths:
        return False
    return None if None in truths else True


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Any, *, hexadecimal: bool = False) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    text = str(value).strip()
    try:
        if hexadecimal and text.lower().startswith("0x"):
            return int(text, 16)
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    except ValueError:
        return None


def _compared(left: float, operator: CompareOperators, right: float) -> bool:
    match operator:
        case CompareOperators.LT:
            return left < right
        case CompareOperators.LTE:
            return left <= right
        case CompareOperators.GT:
            return left > right
        case CompareOperators.GTE:
            return left >= right
    return left != right


def _inside(text: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(text) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _pattern(wanted: SigmaString, cased: bool) -> re.Pattern[str]:
    return _compiled(tuple(wanted.s), cased)


@lru_cache(maxsize=100_000)
def _compiled(parts: tuple[Any, ...], cased: bool) -> re.Pattern[str]:
    made = ""
    for part in parts:
        match part:
            case SpecialChars.WILDCARD_MULTI:
                made += ".*"
            case SpecialChars.WILDCARD_SINGLE:
                made += "."
            case str():
                made += re.escape(part)
            case _:
                raise TypeError(f"{part} in a text")
    return re.compile(made, re.DOTALL | (0 if cased else re.IGNORECASE))


@lru_cache(maxsize=10_000)
def _expression(text: str, flags: int) -> re.Pattern[str]:
    return re.compile(text, flags)


_FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: re.IGNORECASE,
    SigmaRegularExpressionFlag.MULTILINE: re.MULTILINE,
    SigmaRegularExpressionFlag.DOTALL: re.DOTALL,
}


def _regex(wanted: SigmaRegularExpression, *, doubled: bool = False) -> re.Pattern[str]:
    flags = 0
    for flag in wanted.flags:
        flags |= _FLAGS[flag]
    text = str(wanted.regexp)
    return _expression(text.replace("\\", "\\\\") if doubled else text, flags)
