r"""EQL, the event query language, in two dialects.

``eql`` is the language of the ``eql`` package and of Endgame; ``elastic-eql`` is what Elasticsearch
made of it. A rule whose events decide alone is one event query; a join of streams in the order of
time is a sequence::

    any where EventID == 11 and wildcard(TargetFilename, "*\\lsass.dmp", "*/lsass.dmp", "lsass.dmp")
    sequence by Hostname, ProcessId with maxspan=1s [any where …] [any where …]

Comparisons ignore case and know ``*`` (``==`` and ``wildcard`` in the one, ``:`` in the other).
With case there are ``like`` and ``regex`` in Elasticsearch; the package has but Python's group
``(?-i:…)``, which sets aside its ignoring of case within an expression.
Where a pattern has ``?`` or a literal ``*``, or where a function needs more, it is a regular
expression: the package finds those from the start of the value on, Elasticsearch (Lucene's syntax)
matches the whole value. A comparison with a missing field is null, and so is its negation, so that
every ``not`` stands beside a test that the field is there, or an alternative that it is not.
"""

from __future__ import annotations

import re

from attrs import frozen

from ... import ir
from ...pattern import Pattern
from ...regex import alternatives, pattern_to_regex, tokens_of
from ..lowered import EntryView, Log, column_name
from ..lucene_writing import regex_to_lucene, whole_regex_to_lucene
from ..sequences import EventSequence, sequence_of
from ..text_writing import (
    ConditionSpelling,
    Notation,
    condition_of_views,
    double_quoted,
    networks_regex,
    note_whole_events,
    portable_body,
    titled,
    wildcard_text,
    written_output,
)
from ..translation import LETTERS, Findings, Query
from ..two_valued.rewriter import TwoValuedRewriter

SPELLINGS = "numbers are compared as the data holds them; a text that spells a number in another way is not it"
_HEXADECIMAL = re.compile(r"0x[0-9a-f]{1,32}")
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_NUMBER_LIKE = re.compile(r"[-+0-9.*]*[0-9][-+0-9.*]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@frozen
class EqlTarget:
    """One of the two: whether it has Lucene's expressions, as Elasticsearch has."""

    name: str
    lucene: bool


_DIALECTS = {d.name: d for d in (EqlTarget("eql", False), EqlTarget("elastic-eql", True))}


def query(output: ir.Output, log: Log, target: str, findings: Findings) -> Query:
    """The EQL query of an output."""
    writer = EqlWriter(_DIALECTS[target], findings)

    def events(views: tuple[EntryView, ...]) -> str:
        note_whole_events(views, findings)
        return writer.event_query(views)

    def streams(plan: ir.Plan) -> str:
        return writer.sequence(sequence_of(plan, log, findings))

    text = written_output(output, log, findings, events, streams)
    return Query(output.name, text, tuple(sorted(writer.read)))


def text_of(queries: tuple[Query, ...]) -> str:
    """All queries of a rule, each under its output's name."""
    return titled(queries, "// {}")


_NOTATION = Notation(" and ", " or ", "not ", "true", "false", "{} != null", "{} == null")


class EqlWriter:
    """Writes the event queries and sequences of one output in a dialect of EQL."""

    def __init__(self, dialect: EqlTarget, findings: Findings) -> None:
        self.dialect = dialect
        self.findings = findings
        self.rewriter = TwoValuedRewriter(findings)
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

    def event_query(self, views: tuple[EntryView, ...]) -> str:
        """``any where …`` for events of several kinds."""
        condition = condition_of_views(views, self.rewriter, self.findings)
        return f"any where {self.spelling.write(condition)}"

    def sequence(self, found: EventSequence) -> str:
        """A sequence of event queries by common keys."""
        bound = "" if found.span is None else "; a distance of just maxspan is within it"
        self.findings.differs(
            "of several ways to pair the same events a sequence reports one; times that are equal "
            f"count in the order of the data{bound}"
        )
        keys = ", ".join(self._field(key) for key in found.steps[0].keys)
        same = all(step.keys == found.steps[0].keys for step in found.steps)
        head = "sequence" + (f" by {keys}" if keys and same else "")
        if found.span is not None:
            head += f" with maxspan={_duration(found.span)}"
        lines = [head]
        for step in found.steps:
            by = "" if same else f" by {', '.join(self._field(key) for key in step.keys)}"
            lines.append(f"  [{self.event_query(step.views)}]{by}")
        return "\n".join(lines)

    # TwoValuedRewriter

    # Tests

    def _match(self, test: ir.Match) -> str:
        field = self._operand(test.value)
        if self.dialect.lucene and all(_HEXADECIMAL.fullmatch(p.text) for p in test.patterns):
            field = f"string({field})"
        tests = []
        for cased in (False, True):
            several = [p for p in test.patterns if (p.cased and _has_letters(p)) is cased]
            if not cased and not all(p.text.isascii() for p in several if _has_letters(p)):
                self.findings.differs(LETTERS)
            texts = [(p, wildcard_text(p, special="*?")) for p in several]
            # The package compares texts with case in expressions alone.
            apart = cased and not self.dialect.lucene
            plain = [text for _, text in texts if text is not None and not apart]
            other = [p for p, text in texts if text is None or apart]
            if plain:
                tests.append(self._one_of(field, plain, cased=cased))
            if other:
                body = alternatives(pattern_to_regex(p) for p in other)
                tests.append(self._whole(field, body, cased=cased))
        return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"

    def _one_of(self, field: str, texts: list[str], *, cased: bool = False) -> str:
        """That the value is one of some texts with ``*``; ``cased`` with case, which Elasticsearch
        can."""
        several = ", ".join(map(_string, texts))
        if not self.dialect.lucene:
            # The package tells 1 and "1" apart, and data has the one or the other.
            numbers = [text for text in texts if _WHOLE_NUMBER.fullmatch(text)]
            if any(text not in numbers and _NUMBER_LIKE.fullmatch(text) for text in texts):
                self.findings.differs("a value that is a number in the data has no text to match")
            if numbers:
                tests = [f"{field} in ({', '.join([*numbers, *map(_string, numbers)])})"]
                others = [text for text in texts if text not in numbers]
                if others:
                    tests.append(self._one_of(field, others))
                return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"
        if self.dialect.lucene:
            word = "like" if cased else ":"
            return f"{field} {word} {several if len(texts) == 1 else f'({several})'}"
        if len(texts) == 1:
            return f"{field} == {several}"
        if any("*" in text for text in texts):
            return f"wildcard({field}, {several})"
        return f"{field} in ({several})"

    def _whole(self, field: str, body: str, *, cased: bool = False) -> str:
        """That an expression of ours, in which ``.`` takes newlines, matches the whole value."""
        if self.dialect.lucene:
            return f"{field} {_regex_word(cased)} {_string(regex_to_lucene(body))}"
        return f"match({field}, {_string(_in_case(body + chr(92) + 'Z', cased))})"

    def _regex(self, test: ir.Regex) -> str:
        field = self._operand(test.value)
        if not test.cased:
            self.findings.differs(LETTERS, test.span)
        if self.dialect.lucene:
            body = whole_regex_to_lucene(test, self.findings)
            return f"{field} {_regex_word(test.cased)} {_string(body)}"
        body = portable_body(test, self.findings, end=r"\Z")
        if test.multiline:
            # Python has flags within an expression; the package sets none for lines.
            body = f"(?m:{body})"
        if body.startswith("^") and "|" not in body and not test.multiline:
            body = body[1:]
        else:
            body = f".*?(?:{body})"
        return f"match({field}, {_string(_in_case(body, test.cased))})"

    def _compare(self, test: ir.Compare) -> str:
        if test.type in (ir.Type.TIME, ir.Type.DURATION):
            self.findings.refuse("a comparison of times", test.span)
        left = self._operand(test.left)
        constant = test.right
        if not isinstance(constant, ir.Constant):
            if test.relation is not ir.Relation.EQUAL:
                self.findings.refuse("an order between two fields", test.span)
            if self.dialect.lucene:
                self.findings.refuse("equality of two fields with case ignored", test.span)
            self.findings.differs(SPELLINGS, test.span)
            # As texts: to the package a number and a text have no comparison, not even a false one.
            return f"string({left}) == string({self._operand(constant)})"
        number = constant.value
        if isinstance(number, bool) or not isinstance(number, int | float):
            self.findings.refuse("an order of texts, or an address written differently", test.span)
        self.findings.differs(SPELLINGS, test.span)
        if test.relation is not ir.Relation.EQUAL:
            if self.dialect.lucene:
                return f"{left} {test.relation.value} {number}"
            return f"number({left}) {test.relation.value} {number}"
        if self.dialect.lucene:
            # An index has a number as a number or as text, and takes a comparison with the other
            # for an error.
            typed = test.type in (ir.Type.INTEGER, ir.Type.NUMBER)
            return f"{f'string({left})' if typed else left} : {_string(str(number))}"
        return f"({left} == {number} or {left} == {_string(str(number))})"

    def _network(self, test: ir.InNetwork) -> str:
        field = self._operand(test.value)
        if self.dialect.lucene:
            return f"cidrMatch({field}, {', '.join(map(_string, test.networks))})"
        return self._whole(field, networks_regex(test.networks, self.findings, test.span))

    def _occurs(self, test: ir.Occurs) -> str:
        self.findings.differs(LETTERS, test.span)
        needle, haystack = self._operand(test.needle), self._operand(test.haystack)
        tilde = "~" if self.dialect.lucene else ""
        return f"stringContains{tilde}({haystack}, {needle})"

    def _raw(self, test: ir.RawMatch | ir.RawRegex) -> str:
        self.findings.refuse("a search in the text of the raw event", test.span)

    def _operand(self, value: ir.Value) -> str:
        match value:
            case ir.Raw():
                return self._field(value)
            case _:
                self.findings.refuse(
                    f"a comparison with a value of the kind {type(value).__name__}"
                )

    def _field(self, field: ir.Raw) -> str:
        self.read.add(column_name(field.path))
        return ".".join(
            key if _NAME.fullmatch(key) and key not in _WORDS else f"`{key}`" for key in field.path
        )


_WORDS = frozenset(
    [
        "and",
        "any",
        "by",
        "const",
        "false",
        "in",
        "join",
        "macro",
        "not",
        "null",
        "of",
        "or",
        "sequence",
        "true",
        "until",
        "where",
        "with",
        "as",
        "sample",
    ]
)


def _has_letters(pattern: Pattern) -> bool:
    """Whether a pattern has letters in which case can differ."""
    text = "".join(t for t in tokens_of(pattern) if isinstance(t, str))
    return text.upper() != text.lower()


def _regex_word(cased: bool) -> str:
    return "regex" if cased else "regex~"


def _in_case(body: str, cased: bool) -> str:
    """An expression for the package, which ignores case wherever an expression does not set it
    otherwise: with Python's flag for a group."""
    return f"(?-i:{body})" if cased else body


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _string(text: str) -> str:
    """A text in double quotes.

    >>> _string('C:\\\\x "y"')
    '"C:\\\\\\\\x \\\\"y\\\\""'
    """
    return double_quoted(text, _ESCAPES)


def _duration(microseconds: int) -> str:
    for unit, size in (
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("m", 60_000_000),
        ("s", 1_000_000),
    ):
        if microseconds % size == 0:
            return f"{microseconds // size}{unit}"
    return f"{-(-microseconds // 1000)}ms"
