r"""EQL, the event query language, in two dialects.

``eql`` is the language of the ``eql`` package and of Endgame; ``elastic-eql`` is what Elasticsearch
made of it. A rule whose events decide alone is one event query; a join of streams in the order of
time is a sequence::

    any where EventID == 11 and wildcard(TargetFilename, "*\\lsass.dmp", "*/lsass.dmp", "lsass.dmp")
    sequence by Hostname, ProcessId with maxspan=1s [any where …] [any where …]

Comparisons ignore case and know ``*`` (``==`` and ``wildcard`` in the one, ``:`` in the other).
Where a pattern has ``?`` or a literal ``*``, or where a function needs more, it is a regular
expression: the package finds those from the start of the value on, Elasticsearch (Lucene's syntax)
matches the whole value. A comparison with a missing field is null, and so is its negation, so that
every ``not`` stands beside a test that the field is there, or an alternative that it is not.
"""

from __future__ import annotations

import re
from typing import assert_never

from attrs import frozen

from ... import ir
from ...pattern import Any, One, Pattern
from ...regex import (
    NotPortable,
    alternatives,
    network_to_regex,
    pattern_to_regex,
    portable_regex,
    tokens_of,
)
from ..lowered import Log, View, column_name, views_of, why_empty, why_nothing
from ..sequences import Sequence, sequence_of
from ..translation import Findings, Query
from ..two_valued import (
    AllOf,
    AnyOf,
    AtomHolds,
    Const,
    IsPresent,
    Negated,
    TwoValued,
    any_of,
    require_possible,
)
from ..two_valued.rewriter import TwoValuedRewriter

LETTERS = "letters outside ASCII may be compared in another way than carengine's (ſ and s, İ and i)"
SPELLINGS = "numbers are compared as the data holds them; a text that spells a number in another way is not it"
_HEXADECIMAL = re.compile(r"0x[0-9a-f]{1,32}")
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_NUMBER_LIKE = re.compile(r"[-+0-9.*]*[0-9][-+0-9.*]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@frozen
class _Dialect:
    name: str
    lucene: bool


_DIALECTS = {d.name: d for d in (_Dialect("eql", False), _Dialect("elastic-eql", True))}


def query(output: ir.Output, log: Log, target: str, findings: Findings) -> Query:
    """The EQL query of an output."""
    writer = _Writer(_DIALECTS[target], findings)
    stages = ir.as_stages(output.plan)
    if stages is not None:
        views = views_of(stages, log)
        if not views:
            findings.nothing(why_nothing(stages, log))
        if any(view.assigned or view.columns is not None for view in views):
            findings.differs(
                "whole events are returned: fields that a rule adds or selects are not"
            )
        text = writer.event_query(views)
    else:
        reason = why_empty(output.plan, log)
        if reason:
            findings.nothing(reason)
        text = writer.sequence(sequence_of(output.plan, log, findings))
    return Query(output.name, text, tuple(sorted(writer.read)))


def text_of(queries: tuple[Query, ...]) -> str:
    """All queries of a rule, each under its output's name."""
    return "\n".join(f"// {made.output}\n{made.text}\n" for made in queries)


class _Writer:
    def __init__(self, dialect: _Dialect, findings: Findings) -> None:
        self.dialect = dialect
        self.findings = findings
        self.rewriter = TwoValuedRewriter(findings)
        self.read: set[str] = set()

    def event_query(self, views: tuple[View, ...]) -> str:
        """``any where …`` for events of several kinds."""
        condition = any_of(self.rewriter.true_of(view.condition) for view in views)
        require_possible(condition, self.findings)
        return f"any where {self._written(condition, frozenset(), 0)}"

    def sequence(self, found: Sequence) -> str:
        """A sequence of event queries by common keys."""
        self.findings.differs(
            "of several ways to pair the same events a sequence reports one; times that are equal "
            "count in the order of the data"
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

    def _written(self, condition: TwoValued, known: frozenset[ir.Raw], depth: int) -> str:
        match condition:
            case Const(value):
                return "true" if value else "false"
            case AllOf(items):
                there = known | {item.field for item in items if isinstance(item, IsPresent)}
                text = " and ".join(self._written(item, there, depth + 1) for item in items)
                return f"({text})" if depth else text
            case AnyOf(items):
                absent = {
                    item.item.field
                    for item in items
                    if isinstance(item, Negated) and isinstance(item.item, IsPresent)
                }
                text = " or ".join(self._written(item, known | absent, depth + 1) for item in items)
                return f"({text})" if depth else text
            case Negated(IsPresent(field)):
                return f"{self._field(field)} == null"
            case Negated(AtomHolds(atom)):
                missing = [
                    f"{self._field(field)} == null"
                    for field in dict.fromkeys(_fields(atom))
                    if field not in known
                ]
                test = f"not {self._atom(atom)}"
                return f"({' or '.join([*missing, test])})" if missing else test
            case Negated(_):
                raise AssertionError("never stands before single tests only")
            case IsPresent(field):
                return f"{self._field(field)} != null"
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
                field = self._operand(value)
                if self.dialect.lucene and all(_HEXADECIMAL.fullmatch(p.text) for p in patterns):
                    field = f"string({field})"
                return self._match(field, patterns)
            case ir.Regex(value):
                return self._regex(self._operand(value), atom)
            case ir.Compare():
                return self._compare(atom)
            case ir.InNetwork(value, networks):
                return self._networks(self._operand(value), networks, atom)
            case ir.Occurs(needle, haystack):
                self.findings.differs(LETTERS, atom.span)
                a, b = self._operand(needle), self._operand(haystack)
                tilde = "~" if self.dialect.lucene else ""
                return f"stringContains{tilde}({b}, {a})"
            case ir.RawMatch() | ir.RawRegex():
                self.findings.refuse("a search in the text of the raw event", atom.span)
            case _:
                assert_never(atom)

    def _match(self, field: str, patterns: tuple[Pattern, ...]) -> str:
        plain, other = [], []
        for pattern in patterns:
            tokens = tokens_of(pattern)
            text = "".join(t for t in tokens if isinstance(t, str))
            letters = text.upper() != text.lower()
            if letters and not text.isascii():
                self.findings.differs(LETTERS)
            if pattern.cased and letters:
                self.findings.refuse("a comparison that heeds case")
            if any(isinstance(t, One) for t in tokens) or "*" in text or "?" in text:
                other.append(pattern)
            else:
                plain.append("".join("*" if isinstance(t, Any) else str(t) for t in tokens))
        made = []
        if plain:
            made.append(self._one_of(field, plain))
        if other:
            made.append(self._whole(field, alternatives(pattern_to_regex(p) for p in other)))
        return made[0] if len(made) == 1 else f"({' or '.join(made)})"

    def _one_of(self, field: str, texts: list[str]) -> str:
        """That the value is one of some texts with ``*``, case ignored."""
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
            return f"{field} : {several}" if len(texts) == 1 else f"{field} : ({several})"
        if len(texts) == 1:
            return f"{field} == {several}"
        if any("*" in text for text in texts):
            return f"wildcard({field}, {several})"
        return f"{field} in ({several})"

    def _whole(self, field: str, body: str) -> str:
        """That an expression of ours, in which ``.`` takes newlines, matches the whole value."""
        if self.dialect.lucene:
            return f"{field} regex~ {_string(_lucene(body))}"
        return f"match({field}, {_string(body + chr(92) + 'Z')})"

    def _regex(self, field: str, test: ir.Regex) -> str:
        if test.cased:
            self.findings.refuse("a regular expression that heeds case", test.span)
        self.findings.differs(LETTERS, test.span)
        try:
            if self.dialect.lucene:
                if test.multiline:
                    raise NotPortable("an expression that works line by line")
                return f"{field} regex~ {_string(_unanchored(test))}"
            body = portable_regex(
                test.pattern, dotall=test.dotall, multiline=test.multiline, end=r"\Z"
            )
            if test.multiline:
                # Python has flags within an expression; the package sets none for lines.
                body = f"(?m:{body})"
        except NotPortable as problem:
            self.findings.refuse(f"{problem} in a regular expression", test.span)
        if body.startswith("^") and "|" not in body and not test.multiline:
            return f"match({field}, {_string(body[1:])})"
        return f"match({field}, {_string('.*?(?:' + body + ')')})"

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
            return f"{left} == {self._operand(constant)}"
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

    def _networks(self, field: str, networks: tuple[str, ...], test: ir.InNetwork) -> str:
        if self.dialect.lucene:
            return f"cidrMatch({field}, {', '.join(map(_string, networks))})"
        bodies = []
        for network in networks:
            found = network_to_regex(network)
            if found is None:
                self.findings.refuse(f"the network {network}", test.span)
            body, exact = found
            if not exact:
                self.findings.differs(
                    f"addresses in {network} are recognised in their usual spelling (RFC 5952) only",
                    test.span,
                )
            bodies.append(body)
        return self._whole(field, alternatives(bodies))

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


def _fields(atom: ir.Condition) -> list[ir.Raw]:
    return [ir.Raw(value.path) for value in ir.values_of(atom) if isinstance(value, ir.Raw)]


def _string(text: str) -> str:
    """A text in double quotes.

    >>> _string('C:\\\\x "y"')
    '"C:\\\\\\\\x \\\\"y\\\\""'
    """
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(character, character) for character in text) + '"'


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


_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}


def _lucene(body: str) -> str:
    """An expression of ours in Lucene's syntax: every group catches, more signs are special, no
    control has an escape."""
    made = body.replace("(?:", "(")
    made = re.sub(r"\\([nrtfv\\])", lambda found: _CONTROLS.get(found[1], found[0]), made)
    return re.sub(r'(?<!\\)([~@&<>#"])', r"\\\1", made)


def _unanchored(test: ir.Regex) -> str:
    """An expression that is to be found anywhere, as one for the whole value; ``^`` and ``$`` only
    at the ends."""
    body = portable_regex(test.pattern, dotall=test.dotall, end="$", word_boundary="\0")
    if "\0" in body:
        raise NotPortable("the word boundary \\b")
    head, tail = ".*", ".*"
    opened = re.match(r"\(\?:\^\|((?:\\.|\[[^\]]*\]|[^()\\])+)\)", body)
    if opened:
        head, body = f"(.*{opened[1]})?", body[opened.end() :]
    elif body.startswith("^"):
        head, body = "", body[1:]
    closed = re.search(r"\(\?:((?:\\.|\[[^\]]*\]|[^()\\|])+)\|\$\)$", body)
    if closed:
        tail, body = f"({closed[1]}.*)?", body[: closed.start()]
    elif body.endswith("$") and not body.endswith("\\$"):
        tail, body = "", body[:-1]
    bare = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "", body)
    if "^" in bare or "$" in bare:
        raise NotPortable("an anchor inside")
    return _lucene(f"{head}({body}){tail}" if "|" in bare else head + body + tail)
