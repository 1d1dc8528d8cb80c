"""Queries in other languages, as they were read: the same IR, under the names that the query itself
uses.

A reader turns a text into a ``QueryReading``. Its program searches for events of one kind, ``(language,
"event")``, and its fields are the query's own::

    file where file_name == "lsass*.dmp"
      Filter(Search((EventKind("eql", "event"),)),
             And((Match(Field("event_type"), ("file",)), Match(Field("file_name"), ("lsass*.dmp",)))))

From there it can go two ways. ``native_map`` gives a field map under which the program runs over
events that have these very names. ``raising.raised`` turns the names into CAR's by a field map read
backwards, and the program becomes one like those that pseudocode gives.

What cannot be read is told with its place, and then there is no program: a query without one of its
conditions would be another query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import re2
from attrs import evolve, field, frozen

from .. import ir
from ..diagnostics import Block, Code, Diagnostic, Span, codes, has_errors, ordered
from ..evaluate import regex_of, without_flags
from ..fieldmap import Entry, FieldMap
from ..pattern import Pattern, escape
from ..rule import Metadata, Rule
from ..syntax import parse_program

ACTION = "event"
"""The action of the one kind of event that a native program searches for; its object is the
language."""


@frozen
class QueryReading:
    """A query as it was read: its program, or None, and everything there is to say about it.

    ``raised`` tells that the program is in CAR's names; otherwise it is in the query's own.
    ``maps`` are the field maps that it was raised by, those whose events it can find.
    """

    language: str
    block: Block = field(repr=False)
    program: ir.Program | None
    diagnostics: tuple[Diagnostic, ...] = ()
    raised: bool = False
    maps: tuple[FieldMap, ...] = field(default=(), repr=False)


class Refusal(Exception):  # noqa: N818 - says what happened, and is always caught
    """What a reader raises where it cannot go on; becomes a diagnostic."""

    def __init__(self, code: Code, message: str, span: Span | None, *notes: str) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, span, notes=notes)


def unsupported(what: str, span: Span | None, *notes: str) -> Refusal:
    """The refusal of something that our language does not have."""
    return Refusal(codes.FOREIGN_UNSUPPORTED, what, span, *notes)


def wrong(what: str, span: Span, *notes: str) -> Refusal:
    """The refusal of a text that does not follow its grammar."""
    return Refusal(codes.FOREIGN_SYNTAX, what, span, *notes)


def pattern_text(text: str | None, span: Span) -> str:
    """The text of a pattern. Raises `Refusal` where a reader found that ours have none."""
    if text is None:
        raise unsupported("a wildcard for one character, alone between square brackets", span)
    return text


def regex_test(
    value: ir.Value, text: str, span: Span, *, cased: bool = False, dotall: bool = False
) -> ir.Match | ir.Regex:
    """The test that a regular expression is found in a value. Flags at its beginning count.

    An expression for the whole value that says no more than wildcards can is a `Match` of these.
    Raises `Refusal` for an expression that RE2 does not take.
    """
    test = without_flags(ir.Regex(value, text, cased, dotall, False, span))
    pattern, cased, dotall, multiline = test.pattern, test.cased, test.dotall, test.multiline
    try:
        regex_of(test)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        note = (
            "expressions here have no look-around and no backreferences, so that time stays bounded"
        )
        raise unsupported(f"this regular expression: {reason}", span, note) from None
    wildcards = wildcards_of(pattern) if dotall and not multiline else None
    if wildcards is not None:
        return ir.Match(value, tuple(Pattern(one, cased) for one in wildcards), span)
    if not multiline and _AT_END.search(pattern):
        # The same, and what ours are written with.
        return evolve(test, pattern=f"{pattern[:-2]}$")
    return test


_AT_END = re.compile(r"(?<!\\)(?:\\\\)*\\z\Z")


_MOST_REPEATED = 1000


def length_test(value: ir.Value, relation: ir.Relation, number: object, span: Span) -> ir.Condition:
    """The test that a text has a number of characters.

    Raises `Refusal` for a number that expressions cannot count to.

    >>> length_test(ir.Field("a"), ir.Relation.GREATER, 2, Block.of("").span(0, 0)).pattern
    '^.{3,}\\\\z'
    """
    if not isinstance(number, int) or isinstance(number, bool):
        raise unsupported("a length, but compared with a whole number", span)
    bounds: dict[ir.Relation, tuple[int, int | None]] = {
        ir.Relation.EQUAL: (number, number),
        ir.Relation.LESS: (0, number - 1),
        ir.Relation.LESS_EQUAL: (0, number),
        ir.Relation.GREATER: (number + 1, None),
        ir.Relation.GREATER_EQUAL: (number, None),
    }
    least, most = bounds[relation]
    least = max(least, 0)
    if least > _MOST_REPEATED or (most or 0) > _MOST_REPEATED:
        raise unsupported(f"a length of more than {_MOST_REPEATED} characters", span)
    if most is not None and most < least:
        return ir.Match(value, (), span)
    times = f"{least}," if most is None else f"{least},{most}"
    return ir.Regex(value, rf"^.{{{times}}}\z", True, True, False, span)


_PIECE = re.compile(
    r"(\.\*)|(\.)|\\([^\w\s])|([\w\s%&~`'\"<>,;:=!@#/-]|[^\x00-\x7f])|(\|)", re.ASCII
)


def wildcards_of(expression: str) -> tuple[str, ...] | None:
    r"""The wildcard patterns that together match what an expression for a whole text does, or None.

    The expression is one in which ``.`` takes newlines.

    >>> wildcards_of(r"^(?:.*\\at\.exe|at\.exe)\z")
    ('*\\at.exe', 'at.exe')
    >>> wildcards_of(r"^a+\z") is None
    True
    """
    body = expression
    anchored = ended = False
    while True:
        if body.startswith("^") and not anchored:
            body, anchored = body[1:], True
        elif body.endswith(r"\z") and not ended:
            body, ended = body[:-2], True
        elif body.startswith("(?:") and body.endswith(")") and not body.endswith(r"\)"):
            body = body[3:-1]
        else:
            break
    if not (anchored and ended):
        return None
    made = [""]
    at = 0
    while at < len(body):
        found = _PIECE.match(body, at)
        if found is None or body[found.end() : found.end() + 1] in ("*", "+", "?", "{"):
            return None
        run, one, escaped, plain, bar = found.groups()
        if bar:
            made.append("")
        else:
            made[-1] += "*" if run else "?" if one else escape(escaped or plain)
        at = found.end()
    return tuple(made)


def native_search(language: str) -> ir.Search:
    """The stream of all events, under a language's names."""
    return ir.Search((ir.EventKind(language, ACTION),))


def finished(
    language: str, block: Block, plan: ir.Plan | None, said: list[Diagnostic], name: str = "matches"
) -> QueryReading:
    """The reading of a query whose rows are those of ``plan``; no program where there is an error."""
    diagnostics = ordered(said)
    if plan is None or has_errors(diagnostics):
        return QueryReading(language, block, None, diagnostics)
    span = block.span(0, len(block.text))
    return QueryReading(language, block, ir.Program((ir.Output(name, plan, span),)), diagnostics)


def as_rule(reading: QueryReading, id_: str, title: str = "") -> Rule:
    """The reading as a rule that an engine runs. The reading must have a program."""
    assert reading.program is not None
    nothing = parse_program(Block(reading.block.source, "", range(1))).program
    return Rule(
        id_,
        Metadata(title=title),
        reading.program,
        nothing,
        reading.block,
        diagnostics=reading.diagnostics,
    )


def native_map(reading: QueryReading) -> FieldMap:
    """A field map for events that have the names of the query: every event is one, and every name
    is itself."""
    assert reading.program is not None
    names = dict.fromkeys(
        name for output in reading.program.outputs for name in names_of(output.plan)
    )
    fields: dict[str, ir.Value] = {name: _placed(name) for name in names}
    kind = ir.EventKind(reading.language, ACTION)
    entry = Entry(kind, ir.Truth(True), {"time": _TIME, **fields})
    title = f"Events under the names of a query in {reading.language}"
    return FieldMap(f"{reading.language}_names", title, ir.Truth(True), (entry,))


_TIME = ir.Call(
    "first",
    tuple(ir.Raw((name,)) for name in ("@timestamp", "_time", "UtcTime", "timestamp", "time")),
)


def _placed(name: str) -> ir.Value:
    path = tuple(name.split("."))
    nested = ir.Raw(path)
    return nested if len(path) == 1 else ir.Call("first", (nested, ir.Raw((name,))))


def names_of(plan: ir.Plan) -> Iterator[str]:
    """The names of the fields that a plan reads, with repetition.

    Those of the plans below come first: what a plan adds stands behind the names of what it is
    built on.
    """
    for part in reversed(list(ir.every_plan((plan,)))):
        for value in ir.values_of_plan(part):
            yield from (field.name for field in ir.fields_in(value))
