r"""The detections of a Sigma rule: fields, modifiers and values, as conditions.

A mapping wants all its items, a list one of its elements; an item is a field, its modifiers and one
value or several. pySigma applies the modifiers; its values become our atoms::

    CommandLine|contains|all: [a, b]    And((Match(CommandLine, *a*), Match(CommandLine, *b*)))
    Image|endswith: ['\x.exe', '\y.exe']    Match(Image, *\x.exe or *\y.exe)
    EventID: 4688                       Compare(EventID = 4688)
    User: null                          IsNull(User)
    field|re: ^a.+                      Regex, case heeded unless there is the flag i
    - mimikatz                          RawMatch(*mimikatz*): a keyword, anywhere in the event

Fields are native names (``Image``); which events they are looked for in, and where, is the log
source's business. Text is compared without case unless it is ``cased``. Numbers are compared as
numbers, whether the event has ``4688`` or ``"4688"``; hexadecimal text counts where the rule itself
writes the number so (``0x10``), or compares by size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from copy import copy
from typing import Any

import re2
from attrs import evolve
from sigma.conditions import ConditionAND
from sigma.exceptions import SigmaError, SigmaRegularExpressionError
from sigma.rule import SigmaDetectionItem
from sigma.types import (
    CompareOperators,
    Placeholder,
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
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
    TimestampPart,
)

from ... import ir, yamltext
from ... import pattern as patterns
from ...diagnostics import Code, Diagnostic, Fix, Span, codes
from ...evaluate import regex_of
from ...pattern import Pattern
from ...resolve import with_backslashes
from . import arrays, hayabusa
from .condition import negated
from .document import boolean_of, read_otherwise
from .policy import ITEM_OPTIONS
from .spellings import with_spellings

Placeholders = Dictionary[str, Sequence[str]]
"""The values of placeholders by their names, for ``expand``."""

_MAX_VALUES = 100_000
# Modifiers that take text; a number beside one is read as it is written.
_TEXT_MODIFIERS = frozenset(
    [
        "contains",
        "startswith",
        "endswith",
        "cased",
        "re",
        "windash",
        "base64",
        "base64offset",
        "wide",
        "utf16",
        "utf16le",
        "utf16be",
        "expand",
        "fieldref",
        "cidr",
    ]
)
# How pySigma shows what has no text.
_ADDRESS = re.compile(r"<sigma\.types\.Sigma(\w+) object at 0x[0-9a-f]+>")
# How RE2 says what is wrong.
_BYTES = re.compile(r"\bb'([^']*)'$")
_EXPRESSIONS = "expressions are RE2's: without look-around, backreferences and atomic groups"
# Another name for the same.
_SYNONYMS = {"utf16le": "wide"}

_RELATIONS = {
    CompareOperators.LT: ir.Relation.LESS,
    CompareOperators.LTE: ir.Relation.LESS_EQUAL,
    CompareOperators.GT: ir.Relation.GREATER,
    CompareOperators.GTE: ir.Relation.GREATER_EQUAL,
}
_TIME_PARTS = {part: part.name.lower() for part in TimestampPart}


class _RefusedItemError(Exception):
    """An item that cannot become a condition."""

    def __init__(self, code: Code, message: str, *notes: str) -> None:
        super().__init__(message)
        self.code = code
        self.notes = notes


class DetectionReader:
    """Reads detections; what is wrong is collected in ``found``."""

    def __init__(self, placeholders: Placeholders, *, with_arrays: bool = False) -> None:
        self.placeholders = placeholders
        self.with_arrays = with_arrays
        self.found: list[Diagnostic] = []

    def read(self, node: yamltext.Node) -> ir.Condition:
        """The condition of one detection; after an error, one that is never true."""
        match node:
            case yamltext.Mapping(entries) if entries:
                return _joined(ir.And, [self.item(key, value) for key, value in entries])
            case yamltext.ListNode(items) if items:
                if all(isinstance(item, yamltext.Scalar) for item in items):
                    return self.item(None, node)
                return _joined(ir.Or, [self.read(item) for item in items])
            case yamltext.Scalar():
                return self.item(None, node)
            case _:
                pass
        return self._wrong(codes.BAD_SIGMA, "the detection is empty", node.span)

    def item(self, key: yamltext.Scalar | None, node: yamltext.Node) -> ir.Condition:
        """The condition of one item: a field with its modifiers, or None for keywords, and its
        value or list of values. After an error, one that is never true."""
        place = (key or node).span
        field, *modifiers = key.text.split("|") if key is not None else [""]
        field = hayabusa.native_name(field)
        if key is not None and arrays.selects(field):
            if self.with_arrays:
                return self._of_members(field, key, node)
            message = f"{field} is the name of a field here"
            fix = Fix("for the members of an array, add sigma-version: 3 to the rule")
            self.found.append(Diagnostic(codes.SIGMA_ARRAYS_OFF, message, place, fix=fix))
        modifiers = [m for name in modifiers for m in hayabusa.MODIFIERS.get(name, (name,))]
        values = node.items if isinstance(node, yamltext.ListNode) else (node,)
        if hayabusa.WITH_CASE in modifiers:
            message = "equalsfield compares fields with case; `fieldref` compares them without"
            return self._wrong(codes.SIGMA_UNSUPPORTED, message, place)
        if key is not None and any(map(hayabusa.is_value, values)):
            return self._of_hayabusa(ir.Field(field), key, values)
        if len(values) > _MAX_VALUES:
            return self._wrong(codes.BAD_SIGMA, f"more than {_MAX_VALUES} values", place)
        given = []
        textual = not _TEXT_MODIFIERS.isdisjoint(modifiers)
        hexadecimal = False
        for value in values:
            if not isinstance(value, yamltext.Scalar):
                kind = yamltext.kind_of(value)
                return self._wrong(codes.BAD_SIGMA, f"a value cannot be {kind}", value.span)
            plain = value.value
            if "exists" in modifiers and isinstance(plain, str):
                truth = boolean_of(value)
                plain = plain if truth is None else truth
            if "expand" in modifiers and _LOOKS_LIKE_PLACEHOLDER.search(value.text):
                self.found.append(
                    Diagnostic(
                        codes.SIGMA_ESCAPED_PERCENT,
                        r"\% is a plain percent here, and begins no placeholder",
                        value.span,
                        fix=Fix(r"for a backslash before a placeholder, write \\%"),
                    )
                )
            if not textual and (otherwise := read_otherwise(value)) is not None:
                self.found.append(otherwise)
            if isinstance(plain, int | float) and not isinstance(plain, bool):
                if textual:
                    self.found.append(
                        Diagnostic(
                            codes.SIGMA_NUMBER_AS_TEXT, f"{value.text} is read as text", value.span
                        )
                    )
                    plain = value.text
                hexadecimal = hexadecimal or value.text.lower().startswith(("0x", "+0x", "-0x"))
            given.append(plain)
        try:
            item = self._modified(field, modifiers, given)
            return self._condition(item, modifiers, hexadecimal=hexadecimal, span=place)
        except _RefusedItemError as refusal:
            return self._wrong(refusal.code, str(refusal), place, refusal.notes)
        except SigmaError as error:
            message = _ADDRESS.sub(lambda found: found[1].lower(), str(error))
            expression = isinstance(error, SigmaRegularExpressionError)
            notes = (_EXPRESSIONS, *_as_paths(given)) if expression else ()
            return self._wrong(codes.BAD_SIGMA, _BYTES.sub(r"\1", message), place, notes)
        except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
            # pySigma meets values its modifiers were not made for.
            message = f"the value does not go with its modifiers ({error})"
            return self._wrong(codes.BAD_SIGMA, message, place)

    def _of_members(self, field: str, key: yamltext.Scalar, node: yamltext.Node) -> ir.Condition:
        """A condition on the members of an array: on any, or on none of them."""
        try:
            name, none = arrays.selected(field, node)
        except arrays.ArraySelectorError as error:
            return self._wrong(codes.SIGMA_UNSUPPORTED, str(error), key.span)
        _, bar, modifiers = key.text.partition("|")
        condition = self.item(evolve(key, text=name + bar + modifiers), node)
        return negated(condition) if none else condition

    def _of_hayabusa(
        self, field: ir.Field, key: yamltext.Scalar, values: Sequence[yamltext.Node]
    ) -> ir.Condition:
        """One of several values, of which some are mappings of Hayabusa's."""
        message = f"{key.text} has values as Hayabusa has them"
        self.found.append(Diagnostic(codes.SIGMA_HAYABUSA, message, key.span))
        made: list[ir.Condition] = []
        for value in values:
            if not isinstance(value, yamltext.Mapping):
                made.append(self.item(key, value))
                continue
            parts: list[ir.Condition] = []
            for name, inner in value.entries:
                try:
                    parts.append(self._hayabusa_value(field, key, name.text, inner))
                except hayabusa.HayabusaError as error:
                    return self._wrong(codes.BAD_SIGMA, str(error), inner.span)
                except _RefusedItemError as refusal:
                    return self._wrong(refusal.code, str(refusal), inner.span, refusal.notes)
            made.append(_joined(ir.And, parts))
        return _joined(ir.Or, made)

    def _hayabusa_value(
        self, field: ir.Field, key: yamltext.Scalar, name: str, node: yamltext.Node
    ) -> ir.Condition:
        match name:
            case "value":
                return self.item(key, node)
            case "min_length":
                return hayabusa.longer_than(field, node, key.span)
            case _:
                item = _DetectionItem(field, False, ("", ""), key.span)
                lines = hayabusa.expressions(node, key.span.source.name)
                tests = [item.search(line) for line in lines] or [ir.Truth(False)]
                found = _joined(ir.Or, tests)
                return found if name == "regexes" else negated(found)

    def _wrong(
        self, code: Code, message: str, span: Span, notes: tuple[str, ...] = ()
    ) -> ir.Condition:
        self.found.append(Diagnostic(code, message, span, notes=notes))
        return ir.Truth(False)

    def _modified(
        self, field: str, modifiers: list[str], given: list[yamltext.Value]
    ) -> SigmaDetectionItem:
        """The item with its modifiers applied, those behind ``expand`` to what placeholders stand
        for."""
        names = [_SYNONYMS.get(name, name) for name in modifiers]
        end = names.index("expand") + 1 if "expand" in names else len(names)
        marks: tuple[str, str] | None = None
        if "expand" in names:
            marks = _unused_characters(given)
            given = [_escapes_marked(value, *marks) for value in given]
        item = SigmaDetectionItem.from_mapping(
            "|".join([field, *names[:end]]), given, **ITEM_OPTIONS
        )
        if marks is not None:
            item.value = [_escapes_unmarked(value, *marks, "\\") for value in item.value]
        for plain, number in zip(given, item.original_value or (), strict=True):
            # pySigma keeps large numbers as floats where these differ from them.
            if isinstance(number, SigmaNumber) and isinstance(plain, int):
                number.number = plain
        if end == len(names):
            return item
        rest = SigmaDetectionItem.from_mapping("|".join([field, *names[end:]]), [], **ITEM_OPTIONS)
        rest.value = [filled for value in item.value for filled in self._expanded(value)]
        rest.apply_modifiers()
        if item.value_linking is ConditionAND:
            rest.value_linking = ConditionAND
        rest.negated = rest.negated or item.negated
        return rest

    # From pySigma's values to atoms

    def _condition(
        self, item: SigmaDetectionItem, modifiers: list[str], *, hexadecimal: bool, span: Span
    ) -> ir.Condition:
        if "cased" in modifiers and "fieldref" in modifiers:
            raise _RefusedItemError(
                codes.SIGMA_UNSUPPORTED, "fields are compared without case only"
            )
        edges = _edges(modifiers)
        field = None if item.field is None else ir.Field(item.field)
        reading = _DetectionItem(field, hexadecimal, edges, span)
        values = [v for value in item.value for v in self._expanded(value)]
        if not values:
            if reading.field is None:
                raise _RefusedItemError(codes.BAD_SIGMA, "a keyword needs a value")
            made: ir.Condition = ir.IsNull(reading.field, span)
        elif item.value_linking is ConditionAND:
            made = _joined(ir.And, [reading.spelled([value]) for value in values])
        else:
            made = reading.spelled(values)
        return negated(made) if item.negated else made

    def _expanded(self, value: SigmaType) -> list[SigmaType]:
        """The value with its placeholders filled in: one of these has to match."""
        match value:
            case SigmaExpansion(values):
                return [SigmaExpansion([v for inner in values for v in self._expanded(inner)])]
            case SigmaString() if value.contains_placeholder():
                cased = isinstance(value, SigmaCasedString)
                made = self._filled(value, escape=True)
                return [
                    SigmaExpansion(
                        [SigmaCasedString.from_sigma_string(s) if cased else s for s in made]
                    )
                ]
            case SigmaRegularExpression() if value.contains_placeholder():
                return [
                    SigmaExpansion(
                        [
                            _with_text(value, text)
                            for text in self._filled(value.regexp, escape=False)
                        ]
                    )
                ]
        return [value]

    def _filled(self, text: SigmaString, *, escape: bool) -> list[SigmaString]:
        """A text with each of its placeholders filled in, in all ways; without ``escape`` an
        expression.

        pySigma's own stops at 200 ways.
        """
        made = [SigmaString()]
        for part in text.s:
            ways: list[Any] = [part]
            if isinstance(part, Placeholder):
                ways = [SigmaString(value, escape) for value in self._values_of(part)]
            if len(made) * len(ways) > _MAX_VALUES:
                raise _RefusedItemError(
                    codes.BAD_SIGMA, f"its placeholders come to more than {_MAX_VALUES} values"
                )
            made = [before + way for before in made for way in ways]
        return made

    def _values_of(self, placeholder: Placeholder) -> list[str]:
        found = self.placeholders.get(placeholder.name)
        if found is None:
            raise _RefusedItemError(
                codes.SIGMA_PLACEHOLDER,
                f"the placeholder %{placeholder.name}% has no value",
                f"give it one: --input {placeholder.name}=VALUE, once for each, --placeholders FILE, "
                f"or parameters={{{placeholder.name!r}: ['…', '…']}} in code",
            )
        return list(map(str, found))


class _DetectionItem:
    """The values of one item, which is about one field, or about the whole event where that is
    None."""

    def __init__(
        self, field: ir.Field | None, hexadecimal: bool, edges: tuple[str, str], span: Span
    ) -> None:
        self.field = field
        self.hexadecimal = hexadecimal
        self.edges = edges
        self.span = span

    def spelled(self, values: Sequence[SigmaType]) -> ir.Condition:
        """`any_of`, in all spellings that Windows has for the values."""
        made = self.any_of(values)
        return made if self.field is None else with_spellings(self.field, made)

    def any_of(self, values: Sequence[SigmaType]) -> ir.Condition:
        """The condition that one of the values fits; all patterns among them are one atom."""
        patterns: list[Pattern] = []
        others: list[ir.Condition] = []
        for value in _flat(values):
            made = self._pattern_or_condition(value)
            if isinstance(made, Pattern):
                patterns.append(made)
            else:
                others.append(made)
        if patterns:
            kept = tuple(dict.fromkeys(patterns))
            if self.field is None:
                others.insert(0, ir.RawMatch(kept, self.span))
            else:
                others.insert(0, ir.Match(self.field, kept, self.span))
        return _joined(ir.Or, others)

    def _pattern_or_condition(self, value: SigmaType) -> Pattern | ir.Condition:
        match value:
            case SigmaString():
                return self._text(value)
            case SigmaBool(boolean=truth):
                return self._whole(Pattern("true" if truth else "false"))
            case SigmaRegularExpression():
                return self._regex(value)
            case SigmaTimestampPart() if self.field is not None:
                return self._compare(self._part(value), ir.Relation.EQUAL, value.number)
            case SigmaNumber():
                if self.field is None:
                    return self._whole(Pattern(str(value.number)))
                return self._compare(self.field, ir.Relation.EQUAL, value.number)
            case _:
                pass
        if self.field is None:
            kind = type(value).__name__.removeprefix("Sigma")
            raise _RefusedItemError(codes.BAD_SIGMA, f"a keyword is text, and this is a {kind}")
        match value:
            case SigmaNull():
                return ir.IsNull(self.field, self.span)
            case SigmaExists(exists=wanted):
                # The specification: "this check only verifies the presence of a field, not its value,
                # be it empty or null".
                null = ir.IsNull(ir.Presence(self.field), self.span)
                return ir.Not(null) if wanted else null
            case SigmaCIDRExpression(cidr=network):
                return ir.InNetwork(self.field, (network,), self.span)
            case SigmaCompareExpression():
                number, operator = value.number, value.op
                left: ir.Value = self.field
                if isinstance(number, SigmaTimestampPart):
                    left = self._part(number)
                if operator is CompareOperators.NEQ:
                    return negated(self._compare(left, ir.Relation.EQUAL, number.number))
                return self._compare(left, _RELATIONS[operator], number.number)
            case SigmaFieldReference():
                return self._reference(self.field, value)
            case _:
                pass
        raise _RefusedItemError(
            codes.SIGMA_UNSUPPORTED, f"{type(value).__name__} has no meaning here"
        )

    def _text(self, text: SigmaString) -> Pattern | ir.Condition:
        cased = isinstance(text, SigmaCasedString)
        written = pattern_text(text)
        if written is None:
            # Our patterns have no spelling for it; an expression has.
            expression = "".join(map(_as_expression, text.s))
            edges = ("", "") if self.field is None else (r"\A", r"\z")
            return self._search(edges[0] + expression + edges[1], cased=cased, dotall=True)
        return self._whole(Pattern(written, cased))

    def _whole(self, pattern: Pattern) -> Pattern:
        """The pattern as it is for a field; for a keyword, one that finds it anywhere."""
        return pattern if self.field is not None else Pattern(f"*{pattern.text}*", pattern.cased)

    def _regex(self, value: SigmaRegularExpression) -> ir.Condition:
        flags = value.flags
        expression = str(value.regexp)
        if self.field is not None and any(self.edges):
            expression = f"{self.edges[0]}(?:{expression}){self.edges[1]}"
        return self._search(
            expression,
            cased=SigmaRegularExpressionFlag.IGNORECASE not in flags,
            dotall=SigmaRegularExpressionFlag.DOTALL in flags,
            multiline=SigmaRegularExpressionFlag.MULTILINE in flags,
        )

    def search(self, expression: str) -> ir.Condition:
        """That an expression is found in the field, with case."""
        return self._search(expression, cased=True)

    def _search(
        self, expression: str, *, cased: bool, dotall: bool = False, multiline: bool = False
    ) -> ir.Condition:
        found: ir.Regex | ir.RawRegex
        if self.field is None:
            found = ir.RawRegex(expression, cased, dotall, multiline, self.span)
        else:
            found = ir.Regex(self.field, expression, cased, dotall, multiline, self.span)
        try:
            regex_of(found)
        except re2.error as error:
            # pySigma 1 does not ask RE2.
            reason = _BYTES.sub(r"\1", str(error))
            message = f"RE2 does not take the regular expression {expression}: {reason}"
            notes = (_EXPRESSIONS, *_as_paths([expression]))
            raise _RefusedItemError(codes.BAD_SIGMA, message, *notes) from None
        return found

    def _compare(self, left: ir.Value, relation: ir.Relation, number: int | float) -> ir.Condition:
        by_size = relation is not ir.Relation.EQUAL
        type_ = ir.Type.INTEGER if by_size or self.hexadecimal else ir.Type.ANY
        return ir.Compare(left, relation, ir.Constant(number), type_, self.span)

    def _part(self, number: SigmaTimestampPart) -> ir.Value:
        if self.field is None:
            raise _RefusedItemError(codes.BAD_SIGMA, "a part of a time needs a field")
        part = ir.Constant(_TIME_PARTS[number.timestamp_part])
        return ir.Call("time_part", (self.field, part))

    def _reference(self, field: ir.Field, value: SigmaFieldReference) -> ir.Condition:
        other = ir.Field(value.field)
        match value.starts_with, value.ends_with:
            case False, False:
                return ir.Compare(field, ir.Relation.EQUAL, other, ir.Type.TEXT, self.span)
            case True, True:
                return ir.Occurs(other, field, self.span)
            case starts, _:
                function = "starts_with" if starts else "ends_with"
                return ir.Match(ir.Call(function, (field, other)), (Pattern("true"),), self.span)


# Escapes before percents. pySigma reads `\%` as a backslash and a percent that may begin a
# placeholder; the specification ("Placeholders") has it as a plain percent. For versions before 2, a
# percent after an escaped backslash begins no placeholder either. So characters that are in none of
# the values stand for both while pySigma works.

_ESCAPED_PERCENT = re.compile(r"(?<!\\)((?:\\\\)*)\\%")
_BACKSLASHES = re.compile(r"(?<!\\)(?:\\\\)+(?=%)")
_LOOKS_LIKE_PLACEHOLDER = re.compile(r"(?<!\\)(?:\\\\)*\\%[^\\%]+%(?![^\\%]+%)")


def _unused_characters(given: Sequence[yamltext.Value]) -> tuple[str, str]:
    texts = [value for value in given if isinstance(value, str)]
    private = (chr(code) for code in range(0xE000, 0xF900))
    unused = (c for c in private if not any(c in text for text in texts))
    return next(unused, "\uf8fe"), next(unused, "\uf8ff")


def _escapes_marked(value: yamltext.Value, percent: str, backslash: str) -> yamltext.Value:
    if not isinstance(value, str):
        return value
    value = _ESCAPED_PERCENT.sub(lambda found: found[1] + percent, value)
    return _BACKSLASHES.sub(lambda found: backslash * (len(found[0]) // 2), value)


def _as_paths(values: list[Any]) -> tuple[str, ...]:
    """What is said of expressions that are written as paths are."""
    better = [with_backslashes(value) for value in values if isinstance(value, str)]
    return tuple(
        f"a backslash of a path is written as two in an expression: {one}" for one in better if one
    )


def _escapes_unmarked(value: SigmaType, percent: str, backslash: str, escape: str) -> SigmaType:
    """The value with a percent for each mark of one, and ``escape`` for each of a backslash."""
    match value:
        case SigmaExpansion(values):
            value.values = [_escapes_unmarked(v, percent, backslash, escape) for v in values]
        case SigmaString():
            value.s = [
                part.replace(percent, "%").replace(backslash, escape)
                if isinstance(part, str)
                else part
                for part in value.s
            ]
        case SigmaRegularExpression():
            # Its text is still to be read as a regular expression.
            _escapes_unmarked(value.regexp, percent, backslash, "\\\\")
        case _:
            pass
    return value


def _with_text(expression: SigmaRegularExpression, text: SigmaString) -> SigmaRegularExpression:
    made = copy(expression)
    made.regexp = text
    return made


def _edges(modifiers: Sequence[str]) -> tuple[str, str]:
    """What ties an expression to the start or the end of a value, where modifiers say so.

    pySigma puts ``.*`` at the open ends, for languages in which expressions stand for whole values.
    """
    if "re" not in modifiers:
        return "", ""
    return (r"\A" if "startswith" in modifiers else "", r"\z" if "endswith" in modifiers else "")


def _flat(values: Sequence[SigmaType]) -> list[SigmaType]:
    made: list[SigmaType] = []
    for value in values:
        made += _flat(value.values) if isinstance(value, SigmaExpansion) else [value]
    return made


def _joined(kind: type[ir.And] | type[ir.Or], items: list[ir.Condition]) -> ir.Condition:
    return items[0] if len(items) == 1 else kind(tuple(items))


def pattern_text(text: SigmaString) -> str | None:
    r"""A Sigma text as our pattern, or None where it has no spelling as one.

    Only ``[?]`` with a ``?`` that stands for any character has none: to us it is a literal question
    mark.

    >>> pattern_text(SigmaString(r"C:\\*\what\?"))
    'C:\\*\\what[?]'
    """
    made: list[patterns.Token] = []
    for part in text.s:
        match part:
            case str():
                made.append(part)
            case SpecialChars.WILDCARD_MULTI:
                made.append(patterns.Any())
            case SpecialChars.WILDCARD_SINGLE:
                made.append(patterns.One())
            case _:
                return None
    return patterns.spelled(made)


def _as_expression(part: str | SpecialChars | Placeholder) -> str:
    match part:
        case SpecialChars.WILDCARD_MULTI:
            return ".*"
        case SpecialChars.WILDCARD_SINGLE:
            return "."
        case str():
            return re.sub(r"[^0-9A-Za-z_]", lambda found: rf"\x{{{ord(found[0]):x}}}", part)
        case _:
            return ""
