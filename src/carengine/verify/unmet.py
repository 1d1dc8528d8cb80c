"""Published programs that run, and find nothing of what they are about.

A block of pseudocode can be right as a program, and ask for what no log says, so that it never
matches. It is held to the positive examples of a rule for the same analytic that is known to work::

    CAR-2013-05-003    0 of 3    application_protocol = "smb.write"    true of no event in them

What is said was run: how many examples the program finds, and which of its tests no event fulfils.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from .. import ir
from ..engine import Engine
from ..engine.report import maps_of_examples
from ..evaluate import NoContext, holds
from ..fieldmap import CarRow, unwrap, view
from ..ir_text import condition_text
from ..rule import Example, Rule, RuleSet

_NO_CONTEXT = NoContext()


@frozen
class UnmetProgram:
    """A program that finds none of the ``examples`` of a rule; ``tests`` are those of its tests
    that are true of no event in them, as the program has them."""

    rule: Rule
    examples: int
    tests: tuple[str, ...]


def unmet_programs(published: Iterable[Rule], working: RuleSet) -> Iterator[UnmetProgram]:
    """The published programs that find no positive example of the working rule for their analytic
    (``ID`` for ``ID`` and for ``ID.1``).

    >>> import carengine
    >>> text = 'a = search File:Create where file_name = "x" and image_path = "y" output a'
    >>> rule = carengine.parse_rule(text, name="CAR-2019-08-001")
    >>> [one] = unmet_programs([rule], carengine.load_rules(carengine.shipped_rules("car")))
    >>> one.examples > 2, one.tests
    (True, ('file_name = "x"', 'image_path = "y"'))
    """
    for rule in published:
        known = working.get(rule.id) or working.get(rule.id.rpartition(".")[0])
        if known is None:
            continue
        examples = [one for one in known.examples if one.match]
        if examples and not any(_finds(rule, example) for example in examples):
            yield UnmetProgram(rule, len(examples), tuple(_unmet(rule, examples)))


def _engine(rule: Rule, example: Example) -> Engine:
    maps = maps_of_examples(rule) if example.fieldmap == "auto" else example.fieldmap
    return Engine([rule], maps)


def _finds(rule: Rule, example: Example) -> bool:
    return next(iter(_engine(rule, example).run(example.events)), None) is not None


def _unmet(rule: Rule, examples: Iterable[Example]) -> Iterator[str]:
    """The tests that must hold and are true of no event in the examples, each once."""
    rows = []
    for example in examples:
        engine = _engine(rule, example)
        for event in example.events:
            inner = unwrap(event)
            rows += [
                CarRow(view(event, inner, one.entry)) for one in engine.classify(inner).classes
            ]
    told: set[str] = set()
    for plan in ir.every_plan(output.plan for output in rule.program.outputs):
        condition = ir.condition_of(plan)
        if condition is None or isinstance(plan, ir.Join):
            continue
        items = condition.items if isinstance(condition, ir.And) else (condition,)
        for item in items:
            if not ir.is_stateless(item) or any(
                holds(item, row, _NO_CONTEXT) is True for row in rows
            ):
                continue
            text = condition_text(item, most=3)
            if text not in told:
                told.add(text)
                yield text


def unmet_section(published: Iterable[Rule], working: RuleSet) -> str:
    """A section of a page on published programs, as Markdown."""
    found = list(unmet_programs(published, working))
    lines = [
        "## Blocks that run and find nothing of what they are about",
        "",
        "Each block that executes was run over the positive examples of the rule that ships for",
        "the same analytic. These find none of them. The tests that are true of no event in the",
        "examples are named; where there is none, it is how the streams are put together.",
        "",
        "| block | examples of the shipped rule | tests that no event fulfils |",
        "| --- | --- | --- |",
    ]
    for one in sorted(found, key=lambda one: one.rule.id):
        tests = "<br>".join(f"`{text}`".replace("|", "\\|") for text in one.tests) or "–"
        lines.append(f"| {one.rule.id} {one.rule.title} | 0 of {one.examples} | {tests} |")
    return "\n".join(lines) + "\n"
