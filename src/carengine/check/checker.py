"""All checks of a rule, and of all rules of a set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from attrs import evolve

from .. import ir
from ..diagnostics import Block, Diagnostic, Fix, Span, codes, fault, ordered
from ..rule import Rule
from ..solver.texts import Budget
from ..syntax import ast
from ..syntax.walking import tests_in
from .analytics import check_analytics
from .conditions import check_condition
from .parts import part_of, parts_of
from .slips import check_connectives, check_slips, check_tests, without_consequences
from .streams import check_names, check_plans
from .writing import check_writing


def check_rule(rule: Rule) -> tuple[Diagnostic, ...]:
    """What is doubtful about a rule: warnings and notes, sorted by place. Nothing is raised.

    Findings about a rule that was made in code have no place; their ``origin`` is the rule's path.
    A fix has edits only where the source is literally what was parsed, so that they can be applied
    to it.

    >>> from carengine import parse_rule
    >>> rule = parse_rule('a = search Process where exe = "a*" and exe = "b*" output a')
    >>> [finding.code.id for finding in check_rule(rule)]
    ['CE701']
    """
    try:
        return _checked(rule)
    except Exception as error:
        return (fault(f"the check of {rule.id}", error, _first_of(rule), rule.path),)


def _first_of(rule: Rule) -> Span | None:
    return rule.block.span(0, 0) if rule.block.text else None


def _checked(rule: Rule) -> tuple[Diagnostic, ...]:
    budget = Budget()
    found: list[Diagnostic] = []
    lists = {} if rule.syntax is None else _lists(rule.syntax)
    inputs = {one.name for one in rule.metadata.inputs if one.current == ()}
    for clause in rule.clauses:
        part = parts_of(clause.expression, clause.condition, lists)
        given = frozenset(_tests_of_inputs(clause.expression, inputs))
        slips = check_slips(part, clause.expression, clause.rows, lists)
        doubtful = [
            item
            for item in check_condition(part, clause.rows, budget)
            if item.code is not codes.NEVER_TRUE or item.span not in given
        ]
        found += without_consequences(doubtful, slips)
        found += slips
        found += check_connectives(clause.expression)
        found += check_writing(clause.expression, clause.condition, lists)
    sigma = None if rule.clauses or rule.syntax is not None else _sigma_findings(rule, budget)
    if sigma is not None:
        found += sigma
    elif not rule.clauses:
        for rows, condition in _conditions(rule.program):
            slips = check_tests(condition, rows)
            reasoned = check_condition(part_of(condition), rows, budget)
            found += without_consequences(reasoned, slips)
            found += slips
    if rule.syntax is not None:
        found += check_names(rule.syntax)
    found += check_plans(rule.program, _place(rule.block))
    found += check_analytics(rule, _first_of(rule))
    found = [item if item.span else evolve(item, origin=rule.path) for item in found]
    if not _is_literal(rule.block):
        found = [_without_edits(item) for item in found]
    return ordered(found)


def _sigma_findings(rule: Rule, budget: Budget) -> list[Diagnostic] | None:
    """What is doubtful about the conditions of a Sigma rule, in its own words; None for others."""
    if not rule.path.lower().endswith((".yml", ".yaml")):
        return None
    try:
        # It stands on the extra `sigma`; without it, such a rule comes from a compiled engine.
        from .sigma.logic import check_logic
    except ImportError:
        return None
    return check_logic(rule, budget)


def check_rules(rules: Iterable[Rule]) -> tuple[Diagnostic, ...]:
    """What is doubtful about the rules of a set (or any rules), sorted by file and place.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where pid = 1 and pid = 2 output a')
    >>> [found.code.id for found in check_rules([rule])]
    ['CE701']
    """
    return ordered(finding for rule in rules for finding in check_rule(rule))


def _tests_of_inputs(expression: ast.Expression, inputs: set[str]) -> Iterator[Span]:
    """The places of the tests with an input that is an empty list: nothing is in it until somebody
    puts something there, which is what it is for."""
    for test in tests_in(expression):
        match test:
            case ast.InExpression(_, ast.FieldPath((name,))) if name in inputs:
                yield test.span
            case _:
                pass


def _lists(program: ast.SyntaxTree) -> dict[str, ast.ListExpression]:
    """The lists that have names."""
    return {
        statement.name.text: statement.value
        for statement in program.statements
        if isinstance(statement, ast.DefineStatement)
        and isinstance(statement.value, ast.ListExpression)
    }


def _conditions(program: ir.Program) -> list[tuple[ir.Plan, ir.Condition]]:
    """The conditions of a program of which no text is known, each once."""
    found: dict[tuple[ir.Plan, ir.Condition], None] = {}
    for plan in ir.every_plan(output.plan for output in program.outputs):
        match plan:
            case ir.Filter(inner, condition):
                found.setdefault((inner, condition))
            case ir.Join(_, condition):
                found.setdefault((evolve(plan, condition=ir.Truth(True)), condition))
            case ir.Window():
                # Its condition is on aggregates, of which no more is known than their names.
                continue
            case ir.Search() | ir.Assign() | ir.Group() | ir.Project() | ir.Aggregated():
                continue
            case ir.Sequence():
                continue
            case ir.Difference() | ir.Distinct() | ir.Union():
                continue
            case _:
                assert_never(plan)
    return list(found)


def _place(block: Block) -> Span:
    return block.span(0, len(block.text))


def _is_literal(block: Block) -> bool:
    """Whether the block's text stands in its source character by character, indentation aside."""
    text, source, offsets = block.text, block.source.text, block.offsets
    if isinstance(offsets, range) and offsets.step == 1:
        return source[offsets.start : offsets.start + len(text)] == text
    last = -1
    for character, offset in zip(text, offsets, strict=False):
        if offset <= last or source[offset : offset + 1] != character:
            return False
        last = offset
    return True


def _without_edits(item: Diagnostic) -> Diagnostic:
    if item.fix is None or not item.fix.edits:
        return item
    return evolve(item, fix=Fix(item.fix.message))
