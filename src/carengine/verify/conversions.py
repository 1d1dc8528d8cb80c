"""Sigma rules that a backend of pySigma converts, held to the query that comes out.

A converter is wrong without anyone noticing. ``check_conversion`` has the backend write the query,
reads it back, and compares it with the rule as any two rules are compared::

    relation = check_conversion(rule, backend("splunk"))
    relation.verdict        Verdict.SAME: the query finds what the rule finds, as is proved

Without a pipeline a backend writes the conditions of a rule and says nothing of its log source:
then the events are taken to be those of the rule's log source, and the fields to have the names
that the rule has for them. With a pipeline both are put into CAR's names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

from attrs import evolve, frozen

from .. import ir
from ..diagnostics import Block, CarError, Diagnostic, Source, codes, has_errors
from ..languages.reading import LANGUAGES, QueryReading, as_rule, read
from ..pattern import Pattern
from ..rule import Rule
from . import assumptions
from .changes import by_itself
from .kind_conditions import by_kind
from .relations import RuleRelation, Verdict, compare_subjects, subject_of

_READ_AS = {"splunk": "splunk", "lucene": "lucene", "esql": "esql", "kusto": "kusto", "eql": "eql"}
"""The language that a backend writes, for those that are read back."""

_STEPS = 1_000_000


@frozen
class Conversion:
    """How a rule's query compares with the rule. ``query`` is what the backend wrote, empty where
    it wrote nothing."""

    rule: Rule
    query: str
    relation: RuleRelation


def backend(name: str, pipelines: Sequence[str] = ()) -> Any:
    """A backend of pySigma by its name, whose queries are read back. Raises `CarError` where there
    is none."""
    if name not in _READ_AS or _READ_AS[name] not in LANGUAGES:
        message = f"the queries of the backend {name} are not read"
        notes = (f"read are those of {', '.join(_READ_AS)}",)
        raise CarError([Diagnostic(codes.UNKNOWN_TARGET, message, notes=notes)])
    try:
        backends = import_module("carengine.languages.sigma.backends")
    except ImportError as error:
        message = f"pySigma cannot be imported: {error}"
        raise CarError([Diagnostic(codes.SIGMA_NOT_INSTALLED, message)]) from None
    return backends.Backend(name, tuple(pipelines))


def check_conversions(
    rules: Iterable[Rule], made_by: Any, steps: int = _STEPS, *, any_case: bool = False
) -> Iterator[Conversion]:
    """The conversions of Sigma rules by a backend, each compared with its rule.

    ``any_case`` takes the fields of the product to be indexed so that case makes no difference.
    """
    for rule in rules:
        if rule.syntax is None:
            yield check_conversion(rule, made_by, steps, any_case=any_case)


def check_conversion(
    rule: Rule, made_by: Any, steps: int = _STEPS, *, any_case: bool = False
) -> Conversion:
    """A Sigma rule and the query that a backend writes for it, compared. ``made_by`` is what
    `backend` gives."""
    rule = by_itself(rule)
    name = made_by.name
    if not rule.program.outputs or ir.as_stages(rule.program.outputs[0].plan) is None:
        return _undecided(rule, name, "", "correlations are not converted here")
    try:
        queries = made_by.queries(rule.block.text)
    except Exception as problem:
        return _undecided(rule, name, "", f"the backend refuses the rule: {problem}")
    text = "\n".join(queries)
    block = Block.whole(Source(f"<{name} of {rule.id}>", text))
    if len(queries) != 1:
        return _undecided(rule, name, text, f"the backend writes {len(queries)} queries")
    reading = read(block, _READ_AS[name], raise_names=False)
    if reading.program is None or has_errors(reading.diagnostics):
        said = next((one.message for one in reading.diagnostics), "it is empty")
        return _undecided(rule, name, text, f"the query is not read: {said}")
    if made_by.pipelines:
        query = subject_of(as_rule(reading, name), reading)
        relation = compare_subjects(subject_of(rule), query, steps)
        return Conversion(rule, text, evolve(relation, first=rule.id, second=name))
    made = _of_source(reading, rule, any_case=any_case)
    if made is None:
        return _undecided(rule, name, text, "the query looks at several events")
    taken = (assumptions.OWN_SOURCE, *((assumptions.ANY_CASE,) if any_case else ()))
    mine = evolve(subject_of(_with_values(rule)), taken=taken)
    # Where the data lies is no part of what is compared: the log source is.
    query = evolve(subject_of(made, reading), taken=())
    relation = compare_subjects(mine, query, steps)
    return Conversion(rule, text, evolve(relation, first=rule.id, second=name))


def _undecided(rule: Rule, name: str, query: str, reason: str) -> Conversion:
    relation = RuleRelation(rule.id, name, Verdict.UNDECIDED, reasons=(reason,))
    return Conversion(rule, query, relation)


def _of_source(reading: QueryReading, rule: Rule, *, any_case: bool) -> Rule | None:
    """A query as a rule about the log source of the rule that it was made of; None where it looks
    at several events."""
    asked = by_kind(reading.program) if reading.program is not None else None
    wanted = by_kind(rule.program)
    if asked is None or wanted is None:
        return None
    condition = ir.simplify(ir.Or(tuple(asked.values())))
    service = [
        atom
        for atom in dict.fromkeys(a for c in wanted.values() for a in ir.atoms(c))
        if ir.Field(ir.SERVICE) in ir.values_of(atom)
    ]
    # The service that a rule names beside the category belongs to its log source.
    whole = ir.conjunction((*service, condition))
    if any_case:
        whole = ir.map_atoms(whole, _without_case)
    whole = ir.map_atoms(whole, _in_all_spellings)
    plan = ir.Filter(ir.Search(tuple(wanted)), _present(whole))
    program = ir.Program((ir.Output(rule.program.outputs[0].name, plan),))
    return evolve(as_rule(reading, rule.id), program=program)


def _without_case(atom: ir.Atom) -> ir.Condition:
    match atom:
        case ir.Match(_, patterns):
            return evolve(atom, patterns=tuple(Pattern(one.text) for one in patterns))
        case _:
            # An expression is looked for with its case whatever the index does.
            return atom


def _in_all_spellings(atom: ir.Atom) -> ir.Condition:
    """A test of what Windows writes in two ways, as Sigma rules are read: of both."""
    match atom:
        case ir.Match(ir.Field() as of):
            spellings = import_module("carengine.languages.sigma.spellings")
            made: ir.Condition = spellings.with_spellings(of, atom)
            return made
        case _:
            return atom


def _with_values(rule: Rule) -> Rule:
    """A rule for which a field that is there is one that is not null."""
    outputs = []
    for output in rule.program.outputs:
        stages = ir.as_stages(output.plan) or ()
        parts = tuple(
            ir.Filter(ir.Search(stage.kinds), _present(stage.condition)) for stage in stages
        )
        outputs.append(evolve(output, plan=parts[0] if len(parts) == 1 else ir.Union(parts)))
    return evolve(rule, program=evolve(rule.program, outputs=tuple(outputs)))


def _present(condition: ir.Condition) -> ir.Condition:
    def change(value: ir.Value) -> ir.Value:
        return value.of if isinstance(value, ir.Presence) else value

    return ir.rewrite_operands(condition, change)
