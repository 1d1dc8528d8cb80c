"""A query as a rule about the log source of another rule.

A converter writes the conditions of a Sigma rule and says nothing of its log source, and a query
that somebody wrote may do the same. It is then put to the events of the rule's log source, under
the names that the rule has for their fields.
"""

from __future__ import annotations

from importlib import import_module

from attrs import evolve

from .. import ir
from ..languages.reading import QueryReading, as_rule
from ..pattern import Pattern
from ..rule import Rule
from .common_names import names_read
from .kind_conditions import by_kind


def has_names_of(reading: QueryReading, rule: Rule) -> bool:
    """Whether a query has the names that a rule has for the fields of its log source, and asks for
    none by which it would say of which log source an event is."""
    if reading.program is None:
        return False
    asked, known = names_read(reading.program), names_read(rule.program)
    return bool(asked) and asked <= known | _OF_ANY and not asked & (_TELLING - known)


_OF_ANY = frozenset({"Image", "CommandLine", "User", "Computer"})
_TELLING = frozenset({"EventID", "EventCode", "Channel", "Provider_Name", "source", "sourcetype"})


def of_source(reading: QueryReading, rule: Rule, *, any_case: bool) -> Rule | None:
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


def with_values(rule: Rule) -> Rule:
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
