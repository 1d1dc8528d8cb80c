"""What writers of query languages have in common: all but how a language spells things.

A writer declares how its language connects conditions (`Notation`), and how it spells a field and
each kind of test (`ConditionSpelling`), and hands both to the functions here::

    spelling = ConditionSpelling(
        Notation(" and ", " or ", "not ", "true", "false", "{} != null", "{} == null"),
        field=self._field, match=self._match, regex=self._regex, compare=self._compare, …)
    spelling.write(condition)           'Image != null and not (User == "x" or …)'

``written_output`` takes an output of a program apart: one condition over single events, or a plan
over streams. ``portable_body``, ``networks_regex`` and ``wildcard_text`` say what most languages say
by expressions and wildcards, and refuse or note what they cannot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import assert_never

from attrs import frozen

from .. import ir
from ..diagnostics import Span
from ..pattern import Any, One, Pattern
from ..regex import NotPortable, alternatives, network_to_regex, portable_regex, tokens_of
from .lowered import EntryView, Log, views_of, why_empty, why_nothing
from .retention import note_retention
from .translation import LETTERS, Findings, Query
from .two_valued import (
    AllOf,
    AnyOf,
    AtomHolds,
    Const,
    IsPresent,
    Negated,
    TestedAtom,
    TwoValued,
    any_of,
    require_possible,
)
from .two_valued.rewriter import TwoValuedRewriter

SPELLED_NUMBERS = (
    "a text that spells a number in another way (0x1f, 11.0) may count as another value"
)
WHOLE_EVENTS = "whole events are returned: fields that a rule adds or selects are not"


@frozen
class Notation:
    """How a language connects conditions.

    ``present`` and ``absent`` have ``{}`` where the field stands. ``guarded`` tells that a test of
    a missing field is neither true nor false, so that its negation has to ask for the field.
    """

    conjunction: str
    disjunction: str
    negation: str
    true: str
    false: str
    present: str
    absent: str
    guarded: bool = True


@frozen
class ConditionSpelling:
    """How a language spells a condition: its notation, its fields, and each kind of test.

    ``negated`` spells that a test is not true, where that takes more than the sign of negation.
    """

    notation: Notation
    field: Callable[[ir.Raw], str]
    match: Callable[[ir.Match], str]
    regex: Callable[[ir.Regex], str]
    compare: Callable[[ir.Compare], str]
    network: Callable[[ir.InNetwork], str]
    occurs: Callable[[ir.Occurs], str]
    raw: Callable[[ir.RawMatch | ir.RawRegex], str]
    negated: Callable[[TestedAtom], str] | None = None

    def write(
        self, condition: TwoValued, present: frozenset[ir.Raw] = frozenset(), depth: int = 0
    ) -> str:
        """The condition as text; in parentheses where it has parts and ``depth`` is not 0.

        ``present`` are fields that are known to be there.
        """
        notation = self.notation
        match condition:
            case Const(value):
                return notation.true if value else notation.false
            case AllOf(items):
                return self._connected(
                    notation.conjunction, items, present | present_in(items), depth
                )
            case AnyOf(items):
                # An alternative that a field is absent leaves the others with the field there.
                absent = frozenset(
                    item.item.field
                    for item in items
                    if isinstance(item, Negated) and isinstance(item.item, IsPresent)
                )
                return self._connected(notation.disjunction, items, present | absent, depth)
            case IsPresent(field):
                return notation.present.format(self.field(field))
            case Negated(IsPresent(field)):
                return notation.absent.format(self.field(field))
            case AtomHolds(atom):
                return self.atom(atom)
            case Negated(AtomHolds(atom)):
                missing = [
                    notation.absent.format(self.field(field))
                    for field in dict.fromkeys(_fields(atom))
                    if notation.guarded and field not in present
                ]
                negated = self.negated
                test = f"{notation.negation}{self.atom(atom)}" if negated is None else negated(atom)
                return f"({notation.disjunction.join([*missing, test])})" if missing else test
            case Negated():
                raise AssertionError("Negated stands before single tests only")
            case _:
                assert_never(condition)

    def _connected(
        self, sign: str, items: tuple[TwoValued, ...], present: frozenset[ir.Raw], depth: int
    ) -> str:
        text = sign.join(self.write(item, present, depth + 1) for item in items)
        return f"({text})" if depth else text

    def atom(self, atom: TestedAtom) -> str:
        """A single test as text."""
        match atom:
            case ir.Match():
                return self.match(atom)
            case ir.Regex():
                return self.regex(atom)
            case ir.Compare():
                return self.compare(atom)
            case ir.InNetwork():
                return self.network(atom)
            case ir.Occurs():
                return self.occurs(atom)
            case ir.RawMatch() | ir.RawRegex():
                return self.raw(atom)
            case _:
                assert_never(atom)


def present_in(items: Iterable[TwoValued]) -> frozenset[ir.Raw]:
    """The fields that are there where all items hold."""
    return frozenset(item.field for item in items if isinstance(item, IsPresent))


def _fields(atom: TestedAtom) -> list[ir.Raw]:
    """The fields that a test reads, in the order in which it names them."""
    values = [leaf for value in ir.values_of(atom) for leaf in ir.leaves(value)]
    return [ir.Raw(value.path) for value in values if isinstance(value, ir.Raw)]


# Outputs


def written_output(
    output: ir.Output,
    log: Log,
    findings: Findings,
    events: Callable[[tuple[EntryView, ...]], str],
    streams: Callable[[ir.Plan], str],
) -> str:
    """The query of an output: ``events`` writes one over single events, ``streams`` one over a
    plan that looks at several. Gives up where the log leaves nothing of it."""
    stages = ir.as_stages(output.plan)
    if stages is not None:
        return events(required_views(stages, log, findings))
    reason = why_empty(output.plan, log)
    if reason:
        findings.nothing(reason)
    note_retention(output.plan, findings)
    return streams(output.plan)


def no_streams(findings: Findings) -> Callable[[ir.Plan], str]:
    """What ``written_output`` is given for a language whose queries are about single events."""

    def refuse(plan: ir.Plan) -> str:
        findings.refuse("a rule that looks at several events")

    return refuse


def required_views(
    stages: Iterable[ir.Stage], log: Log, findings: Findings
) -> tuple[EntryView, ...]:
    """The views of stages; gives up where there are none."""
    several = tuple(stages)
    views = views_of(several, log)
    if not views:
        findings.nothing(why_nothing(several, log))
    return views


def condition_of_views(
    views: tuple[EntryView, ...], rewriter: TwoValuedRewriter, findings: Findings
) -> TwoValued:
    """When an event is of one of several views; gives up where none can be."""
    condition = any_of(rewriter.true_of(view.condition) for view in views)
    require_possible(condition, findings)
    return condition


def note_whole_events(views: tuple[EntryView, ...], findings: Findings) -> None:
    """Notes, for a language that returns events only, that fields are added or selected."""
    if any(view.assigned or view.columns is not None for view in views):
        findings.differs(WHOLE_EVENTS)


def titled(queries: tuple[Query, ...], comment: str) -> str:
    """All queries of a rule, each under its output's name. ``comment`` has ``{}`` for the name."""
    return "\n".join(f"{comment.format(made.output)}\n{made.text}\n" for made in queries)


# Texts, patterns, expressions, networks


def double_quoted(text: str, escapes: dict[str, str]) -> str:
    r"""A text in double quotes. ``escapes`` has what stands for signs that cannot stand there.

    >>> double_quoted('a "b"', {'"': '\\"'})
    '"a \\"b\\""'
    """
    return '"' + "".join(escapes.get(character, character) for character in text) + '"'


_NUMBER_LIKE = re.compile(r"[-+]?(0x[0-9a-f]*|[0-9][0-9.]*)")


def looks_like_number(pattern: Pattern) -> bool:
    """Whether a pattern is, or begins like, a number, so that what it tests may be one.

    >>> looks_like_number(Pattern("0x1f")), looks_like_number(Pattern("7*")), looks_like_number(Pattern("7z"))
    (True, True, False)
    """
    text = "".join(token for token in tokens_of(pattern) if isinstance(token, str))
    return _NUMBER_LIKE.fullmatch(text) is not None


def compared_double(test: ir.Compare, findings: Findings) -> int | float | None:
    """The number that a field is compared with, for a language that compares doubles; None where
    it is another field. Refused where it is no number, or where a double has not all its digits."""
    if test.type in (ir.Type.TIME, ir.Type.DURATION):
        findings.refuse("a comparison of times", test.span)
    if not isinstance(test.right, ir.Constant):
        return None
    number = test.right.value
    if isinstance(number, bool) or not isinstance(number, int | float):
        findings.refuse("an order of texts, or an address written differently", test.span)
    if abs(number) >= 1 << 53:
        findings.refuse("a number of more than 53 bits", test.span)
    findings.differs(SPELLED_NUMBERS, test.span)
    return number


def by_case(patterns: Iterable[Pattern]) -> list[tuple[bool, tuple[Pattern, ...]]]:
    """Patterns that ignore case and those that heed it, each group with whether it does."""
    several = tuple(patterns)
    groups = ((cased, tuple(p for p in several if p.cased is cased)) for cased in (False, True))
    return [(cased, group) for cased, group in groups if group]


def note_letters(patterns: Iterable[Pattern], findings: Findings) -> None:
    """Notes that languages do not agree about case outside ASCII."""
    if any(not pattern.text.isascii() for pattern in patterns):
        findings.differs(LETTERS)


def wildcard_text(pattern: Pattern, special: str = "*") -> str | None:
    """The pattern in a language whose one wildcard is ``*``; None where it has ``?``, or one of
    the ``special`` signs as itself.

    >>> wildcard_text(Pattern("a*.exe")), wildcard_text(Pattern("a?")), wildcard_text(Pattern("[*]"))
    ('a*.exe', None, None)
    """
    parts: list[str] = []
    for token in tokens_of(pattern):
        match token:
            case Any():
                parts.append("*")
            case One():
                return None
            case str():
                if not set(special).isdisjoint(token):
                    return None
                parts.append(token)
    return "".join(parts)


def portable_body(
    test: ir.Regex | ir.RawRegex,
    findings: Findings,
    *,
    end: str = r"\z",
    word_boundary: str = r"\b",
    group: str = "(?:",
    lazy: bool = True,
) -> str:
    """A rule's expression in another dialect (see ``portable_regex``); refused where it cannot be."""
    try:
        return portable_regex(
            test.pattern,
            dotall=test.dotall,
            multiline=test.multiline,
            end=end,
            word_boundary=word_boundary,
            group=group,
            lazy=lazy,
        )
    except NotPortable as problem:
        findings.refuse(f"{problem} in a regular expression", test.span)


def networks_regex(networks: tuple[str, ...], findings: Findings, span: Span | None) -> str:
    """An expression for whole texts that are addresses in one of some networks."""
    bodies = []
    for network in networks:
        written = network_to_regex(network)
        if written is None:
            findings.refuse(f"the network {network}", span)
        body, exact = written
        if not exact:
            findings.differs(
                f"addresses in {network} are recognised in their usual spelling (RFC 5952) only",
                span,
            )
        bodies.append(body)
    return alternatives(bodies)
