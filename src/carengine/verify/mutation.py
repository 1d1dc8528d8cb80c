"""Which parts of a rule would no example miss?

A *mutant* is a rule with one small change: a condition is gone, an alternative, a key, a bound; a
wildcard, a relation, a number is another one. The rule's examples *kill* a mutant when one of them
no longer comes out as it says. A mutant that lives says that nothing tests that part::

    exe = "vssadmin.exe" and command_line = "*delete*"      example: vssadmin.exe delete shadows

    without exe = "vssadmin.exe"             lives: the example does not notice
    without command_line = "*delete*"        lives
    exe = "xvssadmin.exe"                    killed

A mutant that means the same as the rule cannot be killed; it is `EQUIVALENT` where that is proved.
For each one that lives there is the event that would tell, where one is found: as an example, it
kills the mutant.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, assert_never

from attrs import evolve, frozen

from .. import ir
from ..engine.report import run_examples
from ..ir import Relation
from ..ir_text import condition_text
from ..pattern import Pattern
from ..rule import Example, Rule
from .counterexamples import loosened
from .kind_conditions import place_of
from .relations import Verdict, compare_rules
from .replay import Witness

MOST_MUTANTS = 200
_MOST_PATTERNS = 100
_STEPS = 500_000


class MutantOutcome(enum.Enum):
    """What became of a mutant."""

    KILLED = "killed"
    LIVES = "lives"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


@frozen
class Mutant:
    """A rule with one change, which ``change`` says."""

    change: str
    rule: Rule


@frozen
class MutantResult:
    """What became of a mutant.

    ``witness`` has the event that tells it from the rule, where it lives and one was found; its
    ``finder`` is ``a`` where the rule finds it, ``b`` where the mutant does. ``matches`` is how
    many matches the rule has there, where it is only their number that tells.
    """

    mutant: Mutant
    outcome: MutantOutcome
    witness: Witness | None = None
    matches: int | None = None

    @property
    def example(self) -> Example | None:
        """The witness as an example that kills the mutant."""
        if self.witness is None:
            return None
        name = f"notices: {self.mutant.change}"
        found = self.witness.finder == "a" or self.matches is not None
        events, fieldmap = self.witness.events, self.witness.fieldmap
        return Example(name, found, events, fieldmap, matches=self.matches)

    def as_json(self) -> dict[str, Any]:
        """The result as plain data."""
        made: dict[str, Any] = {
            "mutant": self.mutant.change,
            "outcome": self.outcome.value,
        }
        example = self.example
        if example is not None:
            made["example"] = {
                "name": example.name,
                "match": example.match,
                **({} if example.matches is None else {"matches": example.matches}),
                "fieldmap": example.fieldmap,
                "events": [dict(event) for event in example.events],
            }
        return made


def mutant_results(rule: Rule, steps: int = _STEPS) -> Iterator[MutantResult]:
    """What the rule's examples do to each of its mutants. ``steps`` bounds the comparison of one
    that lives.

    A rule whose own examples do not come out as they say kills nothing: its mutants are all left
    alive.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> [(one.mutant.change, one.outcome.value) for one in mutant_results(rule)]
    [('without exe = "x.exe"', 'lives')]
    """
    right = all(result.passed for result in run_examples([rule]))
    for mutant in mutants(rule):
        if right and not all(result.passed for result in run_examples([mutant.rule])):
            yield MutantResult(mutant, MutantOutcome.KILLED)
            continue
        relation = compare_rules(rule, mutant.rule, steps)
        if relation.verdict is Verdict.SAME:
            yield MutantResult(mutant, MutantOutcome.EQUIVALENT)
            continue
        told = next((one for one in relation.witnesses if one.finder in ("a", "b")), None)
        lives = told is not None or relation.verdict is not Verdict.UNDECIDED
        outcome = MutantOutcome.LIVES if lives else MutantOutcome.UNDECIDED
        number = None if told is None else _number_that_tells(rule, mutant.rule, told)
        yield MutantResult(mutant, outcome, told, number)


def _number_that_tells(rule: Rule, mutant: Rule, witness: Witness) -> int | None:
    """How many matches the rule has on a witness, where its mutant has others, but has some."""
    shown = (Example("", True, witness.events, witness.fieldmap),)
    own, other = (
        next(run_examples([evolve(one, examples=shown)])).matches for one in (rule, mutant)
    )
    return own if own and other and own != other else None


def mutants(rule: Rule, most: int = MOST_MUTANTS) -> Iterator[Mutant]:
    """The mutants of a rule, each once, at most so many.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where ppid < 5 output a')
    >>> [one.change for one in mutants(rule)]
    ['without ppid < 5', 'ppid <= 5 for ppid < 5', 'ppid < 6 for ppid < 5']
    """
    seen = {rule.program}
    count = 0
    for place, output in enumerate(rule.program.outputs):
        for change, plan in _changed_plans(output.plan):
            # A stream that is used twice is written once: it changes wherever it stands.
            old, new = _difference(output.plan, plan)
            outputs = tuple(
                evolve(one, plan=_throughout(plan if number == place else one.plan, old, new))
                for number, one in enumerate(rule.program.outputs)
            )
            program = evolve(rule.program, outputs=outputs)
            if program in seen:
                continue
            seen.add(program)
            count += 1
            if count > most:
                return
            yield Mutant(change, evolve(rule, program=program))


def _difference(plan: ir.Plan, changed: ir.Plan) -> tuple[ir.Plan, ir.Plan]:
    """The innermost part in which a plan was changed, and what it was changed to."""
    while True:
        before, after = ir.plans_below(plan), ir.plans_below(changed)
        if type(plan) is not type(changed) or len(before) != len(after):
            return plan, changed
        inner = iter(after)
        if ir.map_plans(plan, lambda _, inner=inner: next(inner)) != changed:  # type: ignore[misc]
            return plan, changed
        pairs = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        if len(pairs) != 1:
            return plan, changed
        plan, changed = pairs[0]


def _throughout(plan: ir.Plan, old: ir.Plan, new: ir.Plan) -> ir.Plan:
    """A plan with another part wherever one stands, in the streams that values look at too."""
    if plan == old:
        return new

    def value_of(value: ir.Value) -> ir.Value:
        match value:
            case ir.Whole(plan=looked_at):
                return evolve(value, plan=_throughout(looked_at, old, new))
            case ir.Lookup(plan=looked_at):
                counted = _throughout(looked_at, old, new)
                assert isinstance(counted, ir.Aggregated), "a lookup is among counted groups"
                return evolve(value, plan=counted)
            case _:
                return value

    def atom_of(atom: ir.Atom) -> ir.Condition:
        return (
            evolve(atom, plan=_throughout(atom.plan, old, new))
            if isinstance(atom, ir.Rank)
            else atom
        )

    made = ir.map_plans(plan, lambda below: _throughout(below, old, new))
    match made:
        case ir.Filter(_, condition) | ir.Join(_, condition):
            whole = ir.map_atoms(ir.rewrite_condition(condition, value_of), atom_of)
            return evolve(made, condition=whole)
        case ir.Project(_, columns) | ir.Aggregated(_, columns):
            several = tuple(
                evolve(column, value=ir.rewrite_value(column.value, value_of)) for column in columns
            )
            return evolve(made, columns=several)
        case ir.Assign(_, _, value):
            return evolve(made, value=ir.rewrite_value(value, value_of))
        case _:
            return made


def _changed_plans(plan: ir.Plan) -> Iterator[tuple[str, ir.Plan]]:
    for part, span, changed in loosened(plan):
        text = "" if span is None else " ".join(span.text.split())
        yield f"without {_text(part) if part is not None else text}", changed
    yield from _elsewhere(plan)


def _elsewhere(plan: ir.Plan) -> Iterator[tuple[str, ir.Plan]]:
    """The plan with one change other than a condition that is gone, in all ways."""
    match plan:
        case ir.Filter(_, condition) | ir.Join(_, condition):
            for change, made in _variants(condition):
                yield change, evolve(plan, condition=made)
        case ir.Group(within=int() as within) if within > 1:
            yield "half the time of the group", evolve(plan, within=within // 2)
            yield "twice the time of the group", evolve(plan, within=within * 2)
        case _:
            pass
    inner = ir.plans_below(plan)
    for number, below in enumerate(inner):
        for change, made_plan in _elsewhere(below):
            yield change, _with_part(plan, number, made_plan)


def _with_part(plan: ir.Plan, number: int, part: ir.Plan) -> ir.Plan:
    """The plan with another plan in the place of one of those below it."""
    count = -1

    def change(below: ir.Plan) -> ir.Plan:
        nonlocal count
        count += 1
        return part if count == number else below

    return ir.map_plans(plan, change)


def _variants(condition: ir.Condition) -> Iterator[tuple[str, ir.Condition]]:
    match condition:
        case ir.And(items):
            for place, item in enumerate(items):
                for change, made in _variants(item):
                    yield change, ir.simplify(ir.And((*items[:place], made, *items[place + 1 :])))
        case ir.Or(items):
            for place, item in enumerate(items):
                fewer = (*items[:place], *items[place + 1 :])
                yield f"without {_text(item)}", ir.simplify(ir.Or(fewer))
                for change, made in _variants(item):
                    yield change, ir.simplify(ir.Or((*items[:place], made, *items[place + 1 :])))
        case ir.Not(item):
            for change, made in _variants(item):
                yield f"not: {change}", ir.simplify(ir.Not(made))
            if isinstance(item, ir.And):
                for part in item.items:
                    rest = tuple(one for one in item.items if one is not part)
                    change = f"not: without {_text(part)}"
                    yield change, ir.simplify(ir.Not(ir.conjunction(rest)))
        case ir.Match(_, patterns):
            for place, pattern in enumerate(patterns[:_MOST_PATTERNS] if patterns[1:] else ()):
                less = evolve(condition, patterns=(*patterns[:place], *patterns[place + 1 :]))
                yield f"without {_shown(pattern)} in {_text(condition)}", less
            if not patterns[1:]:
                for other in _other_patterns(patterns[0]):
                    made_match = evolve(condition, patterns=(other,), span=None)
                    yield f"{_text(made_match)} for {_text(condition)}", made_match
        case ir.Compare(_, relation, right):
            for changed in (_RELATIONS.get(relation), None):
                if changed is not None:
                    compared = evolve(condition, relation=changed, span=None)
                    yield f"{_text(compared)} for {_text(condition)}", compared
            if isinstance(right, ir.Constant) and type(right.value) is int:
                more = evolve(condition, right=evolve(right, value=right.value + 1), span=None)
                yield f"{_text(more)} for {_text(condition)}", more
        case ir.IsTrue(item):
            for change, made in _variants(item):
                yield change, ir.simplify(ir.IsTrue(made))
        case (
            ir.IsNull()
            | ir.Regex()
            | ir.InNetwork()
            | ir.RawMatch()
            | ir.RawRegex()
            | ir.Occurs()
            | ir.Rank()
            | ir.Truth()
        ):
            # They are there or not, which is a mutant of what they stand in.
            return
        case _:
            assert_never(condition)


_RELATIONS = {
    Relation.LESS: Relation.LESS_EQUAL,
    Relation.LESS_EQUAL: Relation.LESS,
    Relation.GREATER: Relation.GREATER_EQUAL,
    Relation.GREATER_EQUAL: Relation.GREATER,
}


def _other_patterns(pattern: Pattern) -> Iterator[Pattern]:
    """The pattern with one wildcard less at an end."""
    text = pattern.text
    if len(text) > 1 and text.startswith("*"):
        yield Pattern(text[1:], pattern.cased)
    if len(text) > 1 and text.endswith("*") and not text.endswith("\\*"):
        yield Pattern(text[:-1], pattern.cased)


def _shown(pattern: Pattern) -> str:
    return f'"{pattern.text}"'


def _text(condition: ir.Condition) -> str:
    """A condition as the rule has it, or in the language of rules."""
    span = place_of(condition)
    written = "" if span is None else " ".join(span.text.split())
    return written if written and len(written) <= 100 else condition_text(condition, most=3)
