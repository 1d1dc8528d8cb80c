r"""Splunk's search language.

A rule whose events decide alone is a search, and behind it a ``where`` for what search terms cannot
say::

    search EventID=11 Image="C:\\Windows\\*\\taskmgr.exe"
    | where match(TargetFilename, "(?is)(?:^|[\\\\/])lsass[^\\\\/]*\\.dmp$")

Search terms ignore case and know ``*``; ``where`` has regular expressions, other fields,
arithmetic. ``NOT field="x"`` is true of events without the field, as ``Negated`` is; in
``where``, null is guarded against by name.

Groups are ``streamstats`` (a new one where an event is too far behind the last with the same keys)
and ``stats``, joins are ``join`` with the equal fields as keys and a ``where`` for the rest. IsPresent,
CAR's fields are made with ``eval``; the event's time is Splunk's ``_time``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import assert_never

from ... import ir
from ...pattern import Any, One, Pattern
from ...regex import NotPortable, alternatives, pattern_to_regex, portable_regex, tokens_of
from .. import map_functions
from ..lowered import Log, View, column_name, views_of, why_empty, why_nothing
from ..translation import Findings, Query
from ..two_valued import (
    AllOf,
    AnyOf,
    AtomHolds,
    Const,
    IsPresent,
    Negated,
    TwoValued,
    all_of,
    any_of,
    require_possible,
)
from ..two_valued.rewriter import TwoValuedRewriter
from .texts import constant_text, listed_name, quoted, seconds, string

LETTERS = "letters outside ASCII may be compared in another way than carengine's (ſ and s, İ and i)"
SPELLINGS = "a text that spells a number in another way (11.0, 0x001f) is not equal to it, and only decimals have an order"
TIME = "the event's time is Splunk's _time"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
NUMERIC = (ir.Type.INTEGER, ir.Type.NUMBER, ir.Type.TIME, ir.Type.DURATION)


def query(output: ir.Output, log: Log, target: str, findings: Findings) -> Query:
    """The search of an output."""
    writer = Writer(findings, log)
    stages = ir.as_stages(output.plan)
    if stages is not None:
        lines = writer.search(views_in(stages, log, findings))
        lines += writer.selected(views_in(stages, log, findings))
    else:
        reason = why_empty(output.plan, log)
        if reason:
            findings.nothing(reason)
        from .stream_writer import Pipeline

        lines = Pipeline(writer).of(output.plan)
    return Query(output.name, "\n".join(lines), tuple(sorted(writer.read)))


def text_of(queries: tuple[Query, ...]) -> str:
    """All searches of a rule, each under its output's name as a comment."""
    return "\n".join(f"`comment({made.output})`\n{made.text}\n" for made in queries)


def views_in(stages: Iterable[ir.Stage], log: Log, findings: Findings) -> tuple[View, ...]:
    """The views of stages; refuses where there are none."""
    several = tuple(stages)
    views = views_of(several, log)
    if not views:
        findings.nothing(why_nothing(several, log))
    return views


class Writer:
    """Writes conditions as search terms and as expressions of ``where``."""

    def __init__(self, findings: Findings, log: Log) -> None:
        self.findings = findings
        self.log = log
        self.rewriter = TwoValuedRewriter(findings, map_functions.SPL_COMPARES)
        self.read: set[str] = set()

    def search(self, views: tuple[View, ...]) -> list[str]:
        """The lines of a search for events of several kinds."""
        condition = any_of(self.rewriter.true_of(view.condition) for view in views)
        require_possible(condition, self.findings)
        items = condition.items if isinstance(condition, AllOf) else (condition,)
        terms = [item for item in items if _is_term(item)]
        rest = [item for item in items if not _is_term(item)]
        lines = ["search " + (" ".join(self.term(item, 1) for item in terms) or "*")]
        if rest:
            known = frozenset(_known(terms))
            lines.append(f"| where {self.expression(all_of(rest), known, 0)}")
        return lines

    def selected(self, views: tuple[View, ...]) -> list[str]:
        """``eval`` and ``table`` for the fields that a rule adds or selects."""
        if not any(view.assigned or view.columns is not None for view in views):
            return []
        names = tuple(dict.fromkeys(name for view in views for name, _ in view.assigned))
        made = []
        for name in names:
            cells = [(view, dict(view.assigned).get(name)) for view in views]
            made.append(f"{quoted(name)}={self.by_view(cells)}")
        lines = [f"| eval {', '.join(made)}"] if made else []
        if all(view.columns is not None for view in views):
            columns = dict.fromkeys(name for view in views for name in view.columns or ())
            lines.append(
                f"| table _time {' '.join(listed_name(name) for name in columns)}".rstrip()
            )
        return lines

    def by_view(self, cells: list[tuple[View, ir.Value | None]]) -> str:
        """A value that differs by the kind of the event."""
        written = [
            (view, "null()" if value is None else self.value(value)) for view, value in cells
        ]
        if len({text for _, text in written}) == 1:
            return written[0][1]
        cases = []
        for view, text in written:
            admitted = self.rewriter.true_of(self.log.admission(view.entry))
            cases.append(f"{self.expression(admitted, frozenset(), 1)}, {text}")
        return f"case({', '.join(cases)})"

    # Search terms

    def term(self, condition: TwoValued, depth: int) -> str:
        """A condition as search terms; it has to be one that they can say."""
        match condition:
            case Const(value):
                return "*" if value else "NOT *"
            case AllOf(items):
                text = " ".join(self.term(item, depth + 1) for item in items)
                return f"({text})" if depth else text
            case AnyOf(items):
                text = " OR ".join(self.term(item, depth + 1) for item in items)
                return f"({text})" if depth else text
            case Negated(item):
                return f"NOT {self.term(item, depth + 1)}"
            case IsPresent(field):
                return f"{self._term_field(field)}=*"
            case AtomHolds(ir.Match(ir.Raw() as field, patterns)):
                name = self._term_field(field)
                texts = [string(_wildcards(pattern)) for pattern in patterns]
                self._letters(patterns)
                if len(texts) == 1:
                    return f"{name}={texts[0]}"
                return f"{name} IN ({', '.join(texts)})"
            case AtomHolds(ir.Compare(ir.Raw() as field, relation, ir.Constant(number), span=span)):
                self.findings.differs(SPELLINGS, span)
                return f"{self._term_field(field)}{relation.value}{number}"
            case AtomHolds():
                raise AssertionError("asked for what search terms cannot say")
            case _:
                assert_never(condition)

    def _term_field(self, field: ir.Raw) -> str:
        name = column_name(field.path)
        self.read.add(name)
        return listed_name(name)

    def _letters(self, patterns: Iterable[Pattern]) -> None:
        if any(not pattern.text.isascii() for pattern in patterns):
            self.findings.differs(LETTERS)

    # Expressions

    def expression(self, condition: TwoValued, known: frozenset[ir.Raw], depth: int) -> str:
        """A condition as an expression of ``where`` or ``eval``; ``known`` are fields that are there."""
        match condition:
            case Const(value):
                return "true()" if value else "false()"
            case AllOf(items):
                there = known | _known(items)
                text = " AND ".join(self.expression(item, there, depth + 1) for item in items)
                return f"({text})" if depth else text
            case AnyOf(items):
                absent = frozenset(
                    item.item.field
                    for item in items
                    if isinstance(item, Negated) and isinstance(item.item, IsPresent)
                )
                text = " OR ".join(
                    self.expression(item, known | absent, depth + 1) for item in items
                )
                return f"({text})" if depth else text
            case Negated(IsPresent(field)):
                return f"isnull({self._field(field)})"
            case Negated(AtomHolds(atom)):
                missing = [
                    f"isnull({self._field(field)})"
                    for field in dict.fromkeys(_fields(atom))
                    if field not in known
                ]
                test = f"NOT {self._atom(atom)}"
                return f"({' OR '.join([*missing, test])})" if missing else test
            case Negated(_):
                raise AssertionError("never stands before single tests only")
            case IsPresent(field):
                return f"isnotnull({self._field(field)})"
            case AtomHolds(atom):
                return self._atom(atom)
            case _:
                assert_never(condition)

    def _atom(
        self,
        atom: ir.Match
        | ir.Regex
        | ir.Compare
        | ir.InNetwork
        | ir.Occurs
        | ir.RawMatch
        | ir.RawRegex,
    ) -> str:
        match atom:
            case ir.Match(value, patterns):
                return self._match(self.value(value), patterns)
            case ir.Regex():
                return self._regex(self.value(atom.value), atom)
            case ir.RawRegex():
                self.findings.differs("the raw event is its text as Splunk keeps it", atom.span)
                return self._regex("_raw", atom)
            case ir.InNetwork(value, networks):
                tests = [f"cidrmatch({string(net)}, {self.value(value)})" for net in networks]
                return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"
            case ir.Compare():
                return self._compare(atom)
            case ir.Occurs(needle, haystack, span):
                self.findings.differs(LETTERS, span)
                a, b = f"lower({self.value(needle)})", f"lower({self.value(haystack)})"
                return f'({a}="" OR mvcount(split({b}, {a})) > 1)'
            case ir.RawMatch(patterns, span):
                self.findings.differs("the raw event is its text as Splunk keeps it", span)
                return self._match("_raw", patterns)
            case _:
                assert_never(atom)

    def _match(self, x: str, patterns: tuple[Pattern, ...]) -> str:
        self._letters(patterns)
        tests = []
        for cased in (False, True):
            chosen = [pattern for pattern in patterns if pattern.cased == cased]
            if chosen:
                flags = "(?s)" if cased else "(?is)"
                body = alternatives(pattern_to_regex(pattern) for pattern in chosen)
                tests.append(f"match({x}, {string(f'{flags}^{body}' + chr(92) + 'z')})")
        return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"

    def _regex(self, x: str, test: ir.Regex | ir.RawRegex) -> str:
        flags = ("" if test.cased else "i") + "s" + ("m" if test.multiline else "")
        try:
            body = portable_regex(test.pattern, dotall=test.dotall, multiline=test.multiline)
        except NotPortable as problem:
            self.findings.refuse(f"{problem} in a regular expression", test.span)
        if not test.cased:
            self.findings.differs(LETTERS, test.span)
        return f"match({x}, {string(f'(?{flags}){body}')})"

    def _compare(self, test: ir.Compare) -> str:
        left, right = self.value(test.left), self.value(test.right)
        sign = test.relation.value
        fixed = isinstance(test.right, ir.Constant | ir.Moment | ir.Duration)
        if test.type in (ir.Type.TIME, ir.Type.DURATION):
            if any(isinstance(v, ir.Raw) and not _is_number(v) for v in (test.left, test.right)):
                self.findings.refuse("a comparison of times that are fields of the log", test.span)
            return f"{left} {sign} {right}"
        if test.type in NUMERIC or (fixed and _is_number(test.right)):
            self.findings.differs(SPELLINGS, test.span)
            sides = [
                x if _is_number(v) else f"tonumber({x})"
                for v, x in ((test.left, left), (test.right, right))
            ]
            return f"{sides[0]} {sign} {sides[1]}"
        if test.relation is not ir.Relation.EQUAL:
            self.findings.refuse("an order of texts", test.span)
        self.findings.differs(LETTERS, test.span)
        return f"lower({left}) = lower({right})"

    # Values

    def value(self, value: ir.Value) -> str:
        """A value as an expression of ``eval``."""
        match value:
            case ir.Raw(_, empty):
                x = self._field(value)
                for text in empty:
                    x = f"nullif({x}, {string(text)})"
                return x
            case ir.Field("time", None):
                self.findings.differs(TIME)
                return "_time"
            case ir.Field(name, source):
                return quoted(name if source is None else f"{source}.{name}")
            case ir.Constant(constant):
                return constant_text(constant)
            case ir.Moment(microseconds) | ir.Duration(microseconds):
                return seconds(microseconds)
            case ir.Now():
                return "now()"
            case ir.Arithmetic(sign, left, right):
                sides = [
                    x if _is_number(v) else f"tonumber({x})"
                    for v, x in ((left, self.value(left)), (right, self.value(right)))
                ]
                return f"({sides[0]} {sign} {sides[1]})"
            case ir.Call():
                return map_functions.in_spl(self, value)
            case ir.Aggregate() | ir.Whole() | ir.Lookup() | ir.Parameter():
                self.findings.refuse(f"a value of the kind {type(value).__name__} here")
            case _:
                assert_never(value)

    def _field(self, field: ir.Raw) -> str:
        name = column_name(field.path)
        self.read.add(name)
        return quoted(name)


def _is_term(condition: TwoValued) -> bool:
    """Whether search terms can say a condition."""
    match condition:
        case Const() | IsPresent():
            return True
        case AllOf(items) | AnyOf(items):
            return all(map(_is_term, items))
        case Negated(item):
            return _is_term(item)
        case AtomHolds(ir.Match(ir.Raw(), patterns)):
            return all(_is_wildcard(pattern) for pattern in patterns)
        case AtomHolds(ir.Compare(ir.Raw(), _, ir.Constant(number))):
            return isinstance(number, int | float) and not isinstance(number, bool)
        case _:
            return False


def _is_wildcard(pattern: Pattern) -> bool:
    tokens = tokens_of(pattern)
    text = "".join(token for token in tokens if isinstance(token, str))
    if pattern.cased and text.upper() != text.lower():
        return False
    if _NUMBER.fullmatch(text) and tokens == (text,):
        # A search compares it as a number.
        return False
    return "*" not in text and not any(isinstance(token, One) for token in tokens)


def _wildcards(pattern: Pattern) -> str:
    return "".join("*" if isinstance(t, Any) else str(t) for t in tokens_of(pattern))


def _known(items: Iterable[TwoValued]) -> frozenset[ir.Raw]:
    """The fields that have to be there."""
    return frozenset(item.field for item in items if isinstance(item, IsPresent))


def _fields(atom: ir.Condition) -> list[ir.Raw]:
    found: list[ir.Raw] = []
    work = list(ir.values_of(atom))
    while work:
        value = work.pop(0)
        if isinstance(value, ir.Raw):
            found.append(ir.Raw(value.path))
        work += ir.operands(value)
    return found


def _is_number(value: ir.Value) -> bool:
    match value:
        case ir.Constant(number):
            return isinstance(number, int | float) and not isinstance(number, bool)
        case ir.Moment() | ir.Duration() | ir.Now() | ir.Arithmetic() | ir.Field("time"):
            return True
        case ir.Raw(("_time",)):
            return True
        case ir.Raw(path):
            return path[-1].endswith(".time")
        case _:
            return False
