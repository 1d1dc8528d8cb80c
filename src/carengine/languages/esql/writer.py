r"""ES|QL, the piped language of Elasticsearch: one ``FROM … | WHERE …`` for each output over single
events.

    FROM logs-*
    | WHERE TO_DOUBLE(EventID) == 11 AND TO_LOWER(TargetFilename) LIKE "*\\\\lsass*.dmp"

ES|QL heeds case, so that small letters are compared with small letters. Products index a field as a
number or as a text; conversions serve both. What a test of a missing field is, is null, and so is
its negation: every ``NOT`` stands beside a test that the field is there, or an alternative that it
is not. Lists of patterns after ``LIKE`` need Elasticsearch 9.1. A rule that looks at several events
is refused.

https://www.elastic.co/docs/reference/query-languages/esql/esql-syntax
"""

from __future__ import annotations

import re

from ... import ir
from ...pattern import Pattern
from ...regex import alternatives, pattern_to_regex
from ..lowered import EntryView, Log, column_name
from ..lucene_writing import regex_to_lucene, whole_regex_to_lucene
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
    titled,
    wildcard_text,
    written_output,
)
from ..translation import LETTERS, Findings, Query
from ..two_valued.rewriter import TwoValuedRewriter

_NOTATION = Notation(" AND ", " OR ", "NOT ", "true", "false", "{} IS NOT NULL", "{} IS NULL")
_NAME = re.compile(r"[A-Za-z_@][A-Za-z0-9_]*(\.[A-Za-z_@][A-Za-z0-9_]*)*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WORDS = frozenset(["and", "false", "in", "is", "like", "not", "null", "or", "rlike", "true", "by"])


def query(output: ir.Output, log: Log, target: str, findings: Findings) -> Query:
    """The ES|QL query of an output."""
    writer = EsqlWriter(findings)

    def events(views: tuple[EntryView, ...]) -> str:
        note_whole_events(views, findings)
        condition = condition_of_views(views, TwoValuedRewriter(findings), findings)
        return f"FROM logs-*\n| WHERE {writer.spelling.write(condition)}"

    text = written_output(output, log, findings, events, no_streams(findings))
    return Query(output.name, text, tuple(sorted(writer.read)))


def text_of(queries: tuple[Query, ...]) -> str:
    """All queries of a rule, each under its output's name."""
    return titled(queries, "// {}")


class EsqlWriter:
    """Writes the conditions of one output. ``read`` are the columns that they read."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.read: set[str] = set()
        self.spelling = ConditionSpelling(
            _NOTATION,
            field=self._field,
            match=self._match,
            regex=self._regex,
            compare=self._compare,
            network=self._network,
            occurs=self._occurs,
            raw=self._raw,
        )

    def _match(self, test: ir.Match) -> str:
        note_letters(test.patterns, self.findings)
        tests: list[str] = []
        for cased, patterns in by_case(test.patterns):
            operand = self._text(test.value, patterns, small=not cased)
            texts: list[str] = []
            wild: list[str] = []
            other: list[Pattern] = []
            for pattern in patterns:
                written = wildcard_text(pattern, special="*?")
                if written is None:
                    other.append(pattern)
                    continue
                written = written if cased else written.lower()
                (wild if "*" in written else texts).append(written)
            if texts:
                tests.append(_one_of(operand, "==", "IN", texts))
            if wild:
                escaped = [text.replace("\\", "\\\\") for text in wild]
                tests.append(_one_of(operand, "LIKE", "LIKE", escaped))
            if other:
                body = regex_to_lucene(alternatives(pattern_to_regex(p) for p in other))
                tests.append(f"{operand} RLIKE {_string(body if cased else body.lower())}")
        return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"

    def _regex(self, test: ir.Regex) -> str:
        if not test.cased:
            self.findings.differs(LETTERS, test.span)
        body = whole_regex_to_lucene(test, self.findings, lower=not test.cased)
        return f"{self._text(test.value, (), small=not test.cased)} RLIKE {_string(body)}"

    def _compare(self, test: ir.Compare) -> str:
        number = compared_double(test, self.findings)
        if number is None:
            if test.relation is not ir.Relation.EQUAL or test.type is not ir.Type.TEXT:
                self.findings.refuse("a comparison of two fields, but equality of texts", test.span)
            self.findings.differs(LETTERS, test.span)
            sides = (self._text(side, (), small=True) for side in (test.left, test.right))
            return " == ".join(sides)
        sign = "==" if test.relation is ir.Relation.EQUAL else test.relation.value
        return f"TO_DOUBLE({self._operand(test.left)}) {sign} {number}"

    def _network(self, test: ir.InNetwork) -> str:
        networks = ", ".join(map(_string, test.networks))
        return f"CIDR_MATCH(TO_IP({self._operand(test.value)}), {networks})"

    def _occurs(self, test: ir.Occurs) -> str:
        self.findings.refuse("the text of one field in that of another", test.span)

    def _raw(self, test: ir.RawMatch | ir.RawRegex) -> str:
        self.findings.refuse("a search in the text of the raw event", test.span)

    def _text(self, value: ir.Value, patterns: tuple[Pattern, ...], *, small: bool) -> str:
        """A field as a text; one that is compared with what looks like a number may be one."""
        text = self._operand(value)
        if any(map(looks_like_number, patterns)):
            text = f"TO_STRING({text})"
        return f"TO_LOWER({text})" if small else text

    def _operand(self, value: ir.Value) -> str:
        if not isinstance(value, ir.Raw):
            self.findings.refuse(f"a comparison with a value of the kind {type(value).__name__}")
        return self._field(value)

    def _field(self, field: ir.Raw) -> str:
        name = column_name(field.path)
        self.read.add(name)
        if _NAME.fullmatch(name) and name.lower() not in _WORDS:
            return name
        if "`" in name or "\n" in name:
            self.findings.refuse(f"a column with the name {name!r}")
        return f"`{name}`"


def _one_of(operand: str, one: str, several: str, texts: list[str]) -> str:
    written = [_string(text) for text in dict.fromkeys(texts)]
    if len(written) == 1:
        return f"{operand} {one} {written[0]}"
    return f"{operand} {several} ({', '.join(written)})"


def _string(text: str) -> str:
    return double_quoted(text, _ESCAPES)
