"""What `carengine.translate` writes, read back and held to the rule.

A query in a language that is read here is compared with what the rule asks of events of one log,
under the log's own names. The notes of the translation, where the query is not exact, are what a
verdict takes for granted; that a text is never empty is made sure of where a note says that the
product does not tell empty texts from missing ones::

    rule ──lowered──▶ condition over the log's fields ─┐
      └──translated──▶ query ──read back──▶ condition ─┴──▶ same, or an event that tells
"""

from __future__ import annotations

from itertools import product
from operator import attrgetter

from attrs import evolve, frozen

from .. import ir
from ..diagnostics import Block, CarError, Source, codes, has_errors
from ..fieldmap import FieldMap
from ..jsontext import json_line
from ..languages.expanded import expanded
from ..languages.lowered import Log, views_of
from ..languages.reading import LANGUAGES, QueryReading, as_rule, read
from ..languages.translation import EMPTY_TEXTS
from ..languages.writing import translate
from ..pattern import Pattern, fold
from ..rule import Rule
from . import assumptions
from .common_names import Subject, subject_of
from .relations import RuleRelation, Verdict, compare_subjects

_STEPS = 1_000_000
_EMPTY = (Pattern(""),)


@frozen
class TranslatedOutput:
    """An output of a rule, its query, and how they compare: ``first`` of the relation is the rule,
    ``second`` the language. The query is empty where none was written."""

    rule: Rule
    output: str
    query: str
    relation: RuleRelation

    @property
    def refused(self) -> bool:
        """Whether the language cannot say it; the relation's reasons tell why."""
        return not self.query


def check_translation(
    rule: Rule, target: str, fieldmap: FieldMap, steps: int = _STEPS
) -> tuple[TranslatedOutput, ...]:
    """The queries of a rule in a language (``esql``, ``kusto``, ``eql``, ``splunk``) for logs of a
    field map, each compared with what the rule asks of events of these logs.

    ``steps`` bounds the work for each. An output is undecided, with the reason, where the language
    cannot say it or is not read.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "cmd.exe" output a')
    >>> from carengine.fieldmap import find_maps
    >>> [made] = check_translation(rule, "kusto", *find_maps("sysmon.flat"))
    >>> made.relation.verdict
    <Verdict.SAME: 'same'>
    """
    return tuple(_checked(rule, output, target, fieldmap, steps) for output in rule.program.outputs)


def _checked(
    rule: Rule, output: ir.Output, target: str, fieldmap: FieldMap, steps: int
) -> TranslatedOutput:
    alone = evolve(rule, program=evolve(rule.program, outputs=(output,)))

    def undecided(query: str, reason: str) -> TranslatedOutput:
        relation = RuleRelation(rule.id, target, Verdict.UNDECIDED, reasons=(reason,))
        return TranslatedOutput(rule, output.name, query, relation)

    if target not in LANGUAGES:
        return undecided("", f"queries of {target} are not read")
    try:
        made = translate(alone, target, fieldmap)
    except CarError as refused:
        errors = [one.message for one in refused.diagnostics if one.code != codes.DIFFERS]
        return undecided("", "; ".join(errors))
    [query] = made.queries
    block = Block.whole(Source(f"<{target} of {rule.id}>", query.text))
    reading = read(block, target, raise_names=False)
    if reading.program is None or has_errors(reading.diagnostics):
        said = next((one.message for one in reading.diagnostics), "it is empty")
        return undecided(query.text, f"the query is not read: {said}")
    stages = ir.as_stages(output.plan)
    asked = ir.as_stages(reading.program.outputs[0].plan)
    if stages is None or asked is None:
        return undecided(query.text, "it looks at several events")
    notes = tuple(dict.fromkeys(n.message for n in made.notes if n.code == codes.DIFFERS))
    meant = expanded(views_of(stages, Log(fieldmap)))
    said_back: ir.Condition = ir.Or(tuple(ir.IsTrue(stage.condition) for stage in asked))
    if any(EMPTY_TEXTS in note for note in notes):
        # What holds of events without an empty text is asked of both.
        notes = (*notes, assumptions.EMPTY_IS_MISSING)
        filled = _filled(meant, said_back)
        ways = [
            # Without the tests of it they are the same for all other events.
            (_without_empty(meant), _without_empty(said_back)),
            (ir.And((*filled, meant)), ir.And((*filled, said_back))),
        ]
    else:
        ways = [(meant, said_back)]
    # Both ways to write an alternative may be the one that is seen to be the same.
    for change, (mine, theirs) in product((_without_guards, _as_it_is), ways):
        first, second = (
            _asking(reading, asked[0].kinds, name, output.name, change(condition))
            for name, condition in ((rule.id, mine), (target, theirs))
        )
        first = evolve(first, taken=(*notes, assumptions.EXPANDED))
        relation = compare_subjects(first, second, steps)
        if relation.verdict is not Verdict.UNDECIDED and not (
            assumptions.EMPTY_IS_MISSING in notes and _with_empty(relation)
        ):
            return TranslatedOutput(rule, output.name, query.text, relation)
    reason = "no proof, and no event was found that tells the query from the rule"
    return undecided(query.text, reason)


def _with_empty(relation: RuleRelation) -> bool:
    """Whether an event that tells the two apart has an empty text."""
    events = [event for witness in relation.witnesses for event in witness.events]
    return any(b'""' in json_line(dict(event)) for event in events)


def _as_it_is(condition: ir.Condition) -> ir.Condition:
    return condition


def _asking(
    reading: QueryReading,
    kinds: tuple[ir.EventKind, ...],
    name: str,
    output: str,
    condition: ir.Condition,
) -> Subject:
    """A condition as a query to be compared."""
    condition = ir.simplify(ir.map_atoms(condition, _in_small_letters))
    plan = ir.Filter(ir.Search(kinds), condition)
    rule = evolve(as_rule(reading, name), program=ir.Program((ir.Output(output, plan),)))
    return evolve(subject_of(rule, reading), lost=(), taken=())


def _in_small_letters(atom: ir.Atom) -> ir.Condition:
    """A test in one spelling of those that mean the same, so that equal tests look equal."""
    match atom:
        case ir.Match(_, patterns):
            folded = (one if one.cased else Pattern(fold(one.text)) for one in patterns)
            return evolve(
                atom, patterns=tuple(sorted(set(folded), key=attrgetter("cased", "text")))
            )
        case _:
            return atom


def _without_guards(condition: ir.Condition) -> ir.Condition:
    """A condition in which no test that is refused has the field's absence beside it: ``f is null
    or not test(f)`` is ``not is_true(test(f))``, since a test of null is unknown."""
    match condition:
        case ir.And(items):
            return ir.And(tuple(map(_without_guards, items)))
        case ir.Not(item):
            return ir.Not(_without_guards(item))
        case ir.IsTrue(item):
            return ir.IsTrue(_without_guards(item))
        case ir.Or(items):
            absent = {
                item.value
                for item in items
                if isinstance(item, ir.IsNull) and isinstance(item.value, ir.Field)
            }
            refused: dict[ir.Condition, ir.Value] = {}
            for item in items:
                field = _refused_of(item)
                if field in absent:
                    refused[item] = field
            kept: list[ir.Condition] = []
            for item in items:
                if item in refused:
                    assert isinstance(item, ir.Not)
                    kept.append(ir.Not(ir.IsTrue(item.item)))
                elif not (isinstance(item, ir.IsNull) and item.value in refused.values()):
                    kept.append(_without_guards(item))
            return ir.Or(tuple(kept))
        case _:
            return condition


def _refused_of(condition: ir.Condition) -> ir.Value | None:
    """The one field of a single test that must not hold, which is unknown where that is null."""
    if not isinstance(condition, ir.Not):
        return None
    test = condition.item.item if isinstance(condition.item, ir.IsTrue) else condition.item
    match test:
        case ir.Match(ir.Field() as field) | ir.Regex(ir.Field() as field):
            return field
        case ir.InNetwork(ir.Field() as field) | ir.Compare(ir.Field() as field, _, ir.Constant()):
            return field
        case _:
            return None


def _without_empty(condition: ir.Condition, *, wanted_true: bool = False) -> ir.Condition:
    """A condition that asks for no empty text; ``wanted_true``: it is asked whether it is true."""
    match condition:
        case ir.And(items) | ir.Or(items):
            parts = tuple(_without_empty(item, wanted_true=wanted_true) for item in items)
            return evolve(condition, items=parts)
        case ir.Not(item):
            return ir.Not(_without_empty(item))
        case ir.IsTrue(item):
            return ir.IsTrue(_without_empty(item, wanted_true=True))
        case ir.Match(_, patterns):
            kept = tuple(one for one in patterns if one.text)
            if not kept and wanted_true:
                return ir.Truth(False)
            return evolve(condition, patterns=kept)
        case _:
            return condition


def _filled(*conditions: ir.Condition) -> tuple[ir.Condition, ...]:
    """That none of the fields that conditions read is an empty text."""
    fields = {
        inner.name
        for condition in conditions
        for atom in ir.atoms(condition)
        for value in ir.values_of(atom)
        for inner in ir.values_in(value)
        if isinstance(inner, ir.Field)
    }
    return tuple(ir.Not(ir.IsTrue(ir.Match(ir.Field(name), _EMPTY))) for name in sorted(fields))
