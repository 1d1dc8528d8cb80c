r"""Kusto's query language, KQL, as Sentinel and Defender have it: one ``TABLE | where …`` for each
output over single events.

    events
    | where EventID == 11 and TargetFilename endswith "\\lsass.dmp"

``events`` stands for the table; ``let events = DeviceFileEvents;`` before the query names it. A text
that is missing is an empty one there, and counts as missing here: no test of it is unknown, and
``not`` of a false one is true.
A number that is missing is null, and so are an order and a test of a network, which stand in
``coalesce(…, false)`` where they are negated. Keys of dynamic columns, which names with dots are,
have the type of their value and are converted. A rule that looks at several events is refused.

https://learn.microsoft.com/kusto/query/datatypes-string-operators
https://learn.microsoft.com/kusto/query/scalar-data-types/null-values
"""

from __future__ import annotations

import ipaddress
import re

from attrs import evolve

from ... import ir
from ...evaluate import NoContext, RawRow, holds
from ...pattern import Any, Pattern
from ...regex import alternatives, pattern_to_regex, tokens_of
from ..lowered import EntryView, Log, column_name
from ..text_writing import (
    ConditionSpelling,
    Notation,
    by_case,
    compared_double,
    condition_of_views,
    double_quoted,
    looks_like_number,
    no_streams,
    note_letters,
    note_whole_events,
    portable_body,
    titled,
    written_output,
)
from ..translation import EMPTY_TEXTS, LETTERS, Findings, Query
from ..two_valued import IsPresent, TestedAtom
from ..two_valued.rewriter import TwoValuedRewriter

_EMPTY_TEXTS = f"Kusto {EMPTY_TEXTS}"
_NOTATION = Notation(
    " and ", " or ", "not", "true", "false", "isnotempty({})", "isempty({})", guarded=False
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WORDS = frozenset(
    [
        "and",
        "or",
        "not",
        "in",
        "has",
        "contains",
        "startswith",
        "endswith",
        "matches",
        "between",
        "true",
        "false",
        "null",
        "where",
        "by",
        "on",
        "let",
    ]
)


def query(output: ir.Output, log: Log, target: str, findings: Findings) -> Query:
    """The KQL query of an output."""
    writer = KustoWriter(findings)

    def events(views: tuple[EntryView, ...]) -> str:
        note_whole_events(views, findings)
        condition = condition_of_views(views, TwoValuedRewriter(findings), findings)
        return f"events\n| where {writer.spelling.write(condition)}"

    text = written_output(output, log, findings, events, no_streams(findings))
    return Query(output.name, text, tuple(sorted(writer.read)))


def text_of(queries: tuple[Query, ...]) -> str:
    """All queries of a rule, each under its output's name."""
    return titled(queries, "// {}")


class KustoWriter:
    """Writes the conditions of one output. ``read`` are the columns that they read."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.read: set[str] = set()
        self.spelling = ConditionSpelling(
            _NOTATION,
            field=self._asked_for,
            match=self._match,
            regex=self._regex,
            compare=self._compare,
            network=self._network,
            occurs=self._occurs,
            raw=self._raw,
            negated=self._negated,
        )

    def _negated(self, test: TestedAtom) -> str:
        """That a test is not true, also where it is null."""
        text = self.spelling.atom(test)
        if isinstance(test, ir.InNetwork) or (
            isinstance(test, ir.Compare) and test.relation is not ir.Relation.EQUAL
        ):
            return f"not(coalesce({_bare(text)}, false))"
        return f"not({_bare(text)})"

    def _asked_for(self, field: ir.Raw) -> str:
        self.findings.differs(_EMPTY_TEXTS)
        return self._column(field)

    def _match(self, test: ir.Match) -> str:
        note_letters(test.patterns, self.findings)
        # An empty text counts as missing, so that no field that is there is one.
        test = evolve(test, patterns=tuple(p for p in test.patterns if p.text))
        if not test.patterns:
            return "false"
        x = self._text(test.value, test.patterns)
        tests: list[str] = []
        for cased, patterns in by_case(test.patterns):
            whole: dict[str, None] = {}
            other: list[Pattern] = []
            for pattern in patterns:
                written = _operator(pattern)
                if written is None:
                    other.append(pattern)
                elif written[0] == "":
                    whole.setdefault(written[1])
                else:
                    tests.append(f"{x} {written[0]}{'_cs' if cased else ''} {_string(written[1])}")
            if len(whole) == 1:
                tests.insert(0, f"{x} {'==' if cased else '=~'} {_string(*whole)}")
            elif whole:
                listed = ", ".join(map(_string, whole))
                tests.insert(0, f"{x} {'in' if cased else 'in~'} ({listed})")
            if other:
                body = alternatives(pattern_to_regex(pattern) for pattern in other)
                flags = "(?s)" if cased else "(?is)"
                tests.append(f"{x} matches regex {_string(f'{flags}^{body}' + chr(92) + 'z')}")
        return self._there(test, " or ".join(tests), several=len(tests) > 1)

    def _regex(self, test: ir.Regex) -> str:
        flags = ("" if test.cased else "i") + "s" + ("m" if test.multiline else "")
        if not test.cased:
            self.findings.differs(LETTERS, test.span)
        body = portable_body(test, self.findings)
        text = f"{self._text(test.value, ())} matches regex {_string(f'(?{flags}){body}')}"
        return self._there(test, text, several=False)

    def _there(self, test: ir.Match | ir.Regex, text: str, *, several: bool) -> str:
        """A test, with the demand that the field is there where an empty text would pass it."""
        field = test.value
        assert isinstance(field, ir.Raw)
        nested: object = ""
        for key in reversed(field.path):
            nested = {key: nested}
        assert isinstance(nested, dict)
        if holds(test, RawRow(nested), NoContext()) is not True:
            return f"({text})" if several else text
        present = self.spelling.write(IsPresent(field))
        return f"({present} and {f'({text})' if several else text})"

    def _compare(self, test: ir.Compare) -> str:
        number = compared_double(test, self.findings)
        if number is None:
            return self._equal_fields(test)
        x = self._column(test.left)
        if test.type is not ir.Type.ANY or "." in x:
            # Some tables have it as a text.
            x = f"todouble({x})"
        sign = "==" if test.relation is ir.Relation.EQUAL else test.relation.value
        return f"{x} {sign} {number}"

    def _equal_fields(self, test: ir.Compare) -> str:
        if test.relation is not ir.Relation.EQUAL or test.type is not ir.Type.TEXT:
            self.findings.refuse("a comparison of two fields, but equality of texts", test.span)
        self.findings.differs(LETTERS, test.span)
        self.findings.differs(_EMPTY_TEXTS, test.span)
        present = f"isnotempty({self._column(test.left)})"
        return f"({present} and {self._text(test.left, ())} =~ {self._text(test.right, ())})"

    def _network(self, test: ir.InNetwork) -> str:
        x = self._text(test.value, ())
        tests = []
        for network in test.networks:
            version = ipaddress.ip_network(network, strict=False).version
            tests.append(f"ipv{version}_is_in_range({x}, {_string(network)})")
        return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"

    def _occurs(self, test: ir.Occurs) -> str:
        self.findings.differs(LETTERS, test.span)
        self.findings.differs(_EMPTY_TEXTS, test.span)
        needle, haystack = self._text(test.needle, ()), self._text(test.haystack, ())
        return f"(isnotempty({self._column(test.needle)}) and {haystack} contains {needle})"

    def _raw(self, test: ir.RawMatch | ir.RawRegex) -> str:
        self.findings.refuse("a search in the text of the raw event", test.span)

    def _text(self, value: ir.Value, patterns: tuple[Pattern, ...]) -> str:
        """A column as a text; one that is compared with what looks like a number may be one."""
        name = self._column(value)
        odd = "." in name or any(map(looks_like_number, patterns))
        return f"tostring({name})" if odd else name

    def _column(self, value: ir.Value) -> str:
        if not isinstance(value, ir.Raw):
            self.findings.refuse(f"a comparison with a value of the kind {type(value).__name__}")
        for key in value.path:
            if not _NAME.fullmatch(key) or key.lower() in _WORDS:
                self.findings.refuse(f"a column with the name {key!r}")
        name = column_name(value.path)
        self.read.add(name)
        return name


def _operator(pattern: Pattern) -> tuple[str, str] | None:
    """The operator that says a pattern, and its text; an empty operator is equality. None where an
    expression has to say it."""
    match tokens_of(pattern):
        case [str(text)]:
            return "", text
        case [Any(), str(text), Any()]:
            return "contains", text
        case [Any(), str(text)]:
            return "endswith", text
        case [str(text), Any()]:
            return "startswith", text
        case _:
            return None


def _bare(text: str) -> str:
    """A test without the brackets around all of it.

    >>> _bare("(a or b)"), _bare("f(a)")
    ('a or b', 'f(a)')
    """
    return text[1:-1] if text.startswith("(") else text


def _string(text: str) -> str:
    return double_quoted(text, _ESCAPES)
