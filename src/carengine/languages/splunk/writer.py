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
from typing import assert_never

from ... import ir
from ...pattern import Pattern, escape
from ...regex import alternatives, literals, pattern_to_regex
from .. import map_functions
from ..lowered import EntryView, Log, column_name
from ..text_writing import (
    ConditionSpelling,
    Notation,
    condition_of_views,
    note_letters,
    portable_body,
    present_in,
    titled,
    wildcard_text,
    written_output,
)
from ..translation import LETTERS, Findings, Query
from ..two_valued import (
    AllOf,
    AnyOf,
    AtomHolds,
    Const,
    IsPresent,
    Negated,
    TestedAtom,
    TwoValued,
    all_of,
    any_of,
)
from ..two_valued.rewriter import TwoValuedRewriter
from .texts import constant_text, listed_name, quoted, seconds, string

SPELLINGS = "a text that spells a number in another way (11.0, 0x001f) is not equal to it, and only decimals have an order"
SAID_SHAPE = (
    "events are of the map's shape where their channel or source says so; with --whole-shape "
    "(recognise=True) the search asks for all of the shape"
)
TIME = "the event's time is Splunk's _time"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
NUMERIC = (ir.Type.INTEGER, ir.Type.NUMBER, ir.Type.TIME, ir.Type.DURATION)


def query(output: ir.Output, log: Log, target: str, findings: Findings) -> Query:
    """The search of an output."""
    writer = SplunkWriter(findings, log)
    if log.recognise and log.shape not in (None, log.fieldmap.recognise):
        findings.differs(SAID_SHAPE)

    def events(views: tuple[EntryView, ...]) -> str:
        return "\n".join([*writer.search(views), *writer.selected(views)])

    def streams(plan: ir.Plan) -> str:
        from .stream_writer import StreamWriter

        return "\n".join(StreamWriter(writer).of(plan))

    text = written_output(output, log, findings, events, streams)
    return Query(output.name, text, tuple(sorted(writer.read)))


def text_of(queries: tuple[Query, ...]) -> str:
    """All searches of a rule, each under its output's name as a comment."""
    return titled(queries, "`comment({})`")


_TERMS = Notation(" ", " OR ", "NOT ", "*", "NOT *", "{}=*", "NOT {}=*", guarded=False)
_EXPRESSIONS = Notation(" AND ", " OR ", "NOT ", "true()", "false()", "isnotnull({})", "isnull({})")


class SplunkWriter:
    """Writes conditions as search terms and as expressions of ``where``."""

    def __init__(self, findings: Findings, log: Log) -> None:
        self.findings = findings
        self.log = log
        self.rewriter = TwoValuedRewriter(findings, map_functions.SPL_COMPARES)
        self.read: set[str] = set()
        self.terms = ConditionSpelling(
            _TERMS,
            field=self._term_field,
            match=self._match_term,
            regex=_no_term,
            compare=self._compare_term,
            network=_no_term,
            occurs=_no_term,
            raw=_no_term,
        )
        self.expressions = ConditionSpelling(
            _EXPRESSIONS,
            field=self._field,
            match=lambda test: self._match(self.value(test.value), test.patterns),
            regex=lambda test: self._regex(self.value(test.value), test),
            compare=self._compare,
            network=self._network,
            occurs=self._occurs,
            raw=self._raw,
        )

    def search(self, views: tuple[EntryView, ...]) -> list[str]:
        """The lines of a search for events of several kinds."""
        condition = condition_of_views(views, self.rewriter, self.findings)
        items = condition.items if isinstance(condition, AllOf) else (condition,)
        terms = [item for item in items if _is_term(item)]
        rest = [item for item in items if not _is_term(item)]
        # Search terms are looked up in an index, and `where` reads every event that they leave.
        asked = [*terms, *_parts(as_terms(all_of(rest)))]
        asked = list(dict.fromkeys(item for item in asked if item != Const(True)))
        lines = ["search " + (" ".join(self.terms.write(item, depth=1) for item in asked) or "*")]
        if rest:
            lines.append(f"| where {self.expressions.write(all_of(rest), present_in(terms))}")
        return lines

    def selected(self, views: tuple[EntryView, ...]) -> list[str]:
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

    def by_view(self, cells: list[tuple[EntryView, ir.Value | None]]) -> str:
        """A value that differs by the kind of the event."""
        written = [
            (view, "null()" if value is None else self.value(value)) for view, value in cells
        ]
        if len({text for _, text in written}) == 1:
            return written[0][1]
        cases = []
        for view, text in written:
            admitted = self.rewriter.true_of(self.log.admission(view.entry))
            cases.append(f"{self.expressions.write(admitted, depth=1)}, {text}")
        return f"case({', '.join(cases)})"

    # Search terms

    def _match_term(self, test: ir.Match) -> str:
        name = self._term_field(test.value)
        texts = [string(wildcard_text(pattern) or "") for pattern in test.patterns]
        note_letters(test.patterns, self.findings)
        if len(texts) == 1:
            return f"{name}={texts[0]}"
        return f"{name} IN ({', '.join(texts)})"

    def _compare_term(self, test: ir.Compare) -> str:
        self.findings.differs(SPELLINGS, test.span)
        number = test.right.value if isinstance(test.right, ir.Constant) else None
        return f"{self._term_field(test.left)}{test.relation.value}{number}"

    def _term_field(self, field: ir.Value) -> str:
        assert isinstance(field, ir.Raw), "search terms test fields"
        name = column_name(field.path)
        self.read.add(name)
        return listed_name(name)

    # Expressions

    def _network(self, test: ir.InNetwork) -> str:
        x = self.value(test.value)
        tests = [f"cidrmatch({string(network)}, {x})" for network in test.networks]
        return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"

    def _occurs(self, test: ir.Occurs) -> str:
        self.findings.differs(LETTERS, test.span)
        a, b = f"lower({self.value(test.needle)})", f"lower({self.value(test.haystack)})"
        return f'({a}="" OR mvcount(split({b}, {a})) > 1)'

    def _raw(self, test: ir.RawMatch | ir.RawRegex) -> str:
        self.findings.differs("the raw event is its text as Splunk keeps it", test.span)
        if isinstance(test, ir.RawMatch):
            return self._match("_raw", test.patterns)
        return self._regex("_raw", test)

    def _match(self, x: str, patterns: tuple[Pattern, ...]) -> str:
        note_letters(patterns, self.findings)
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
        body = portable_body(test, self.findings)
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
            case ir.Presence() | ir.Aggregate() | ir.Whole() | ir.Lookup() | ir.Parameter():
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


def _parts(condition: TwoValued) -> tuple[TwoValued, ...]:
    return condition.items if isinstance(condition, AllOf) else (condition,)


def as_terms(condition: TwoValued) -> TwoValued:
    """What search terms can say of a condition: true wherever it is. Which fields are absent or
    there is left out, since no index knows."""
    match condition:
        case AllOf(items):
            return all_of(map(as_terms, items))
        case AnyOf(items):
            return any_of(map(as_terms, items))
        case AtomHolds(ir.Regex(ir.Raw() as field) as test):
            required = literals.of_regex(test)
            if required is None:
                return Const(True)
            return as_terms(AtomHolds(ir.Match(field, tuple(map(_within, required)))))
        case AtomHolds(ir.Match(ir.Raw() as field, patterns)):
            wide = tuple(_uncased_wildcard(pattern) for pattern in patterns)
            known = tuple(pattern for pattern in wide if pattern is not None)
            return AtomHolds(ir.Match(field, known)) if len(known) == len(wide) else Const(True)
        case AtomHolds(ir.Compare(_, ir.Relation.EQUAL)) if _is_term(condition):
            return condition
        case _:
            return Const(True)


def _within(text: str) -> Pattern:
    return Pattern(f"*{escape(text)}*")


def _uncased_wildcard(pattern: Pattern) -> Pattern | None:
    """A wildcard that matches what a pattern matches, and more; None where it would say nothing."""
    for wide in (Pattern(pattern.text), literals.of_pattern(pattern)):
        if isinstance(wide, str):
            wide = _within(wide)
        if wide is not None and _is_wildcard(wide) and wide.text.strip("*"):
            return wide
    return None


def _is_wildcard(pattern: Pattern) -> bool:
    text = wildcard_text(pattern)
    if text is None or (pattern.cased and text.upper() != text.lower()):
        return False
    # A search compares it as a number.
    return not _NUMBER.fullmatch(text)


def _no_term(test: TestedAtom) -> str:
    raise AssertionError(f"search terms cannot say {test}")


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
