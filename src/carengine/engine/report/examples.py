"""Holding rules to their own examples: what must match does, what must not does not.

Every example is a run of its own: its events go through a fresh session of an engine with the one
rule, in their order, and the end of the data is told. A positive example wants at least one match,
or as many as it says; a negative one none. ::

    ExampleResult(rule, example, matches=0, events=1, unrecognised=0, passed=False)   ->  CE308
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import evolve, frozen

from ... import ir
from ...datamodel import model
from ...diagnostics import CarError, Diagnostic, Fix, codes, counted, fault
from ...fieldmap import MapChoice, NamedLogSource
from ...rule import Draft, Example, InputValue, Rule, RuleSet, from_drafts, input_text
from ..engine import Engine


@frozen
class ExampleResult:
    """How an example came out.

    ``findings`` say what went wrong.

    >>> import carengine
    >>> rule = carengine.load_rule(carengine.shipped_rules() / "CAR-2019-08-001.car")
    >>> [result.rule.id for result in carengine.run_examples([rule]) if not result.passed]
    []
    """

    rule: Rule
    example: Example
    passed: bool
    matches: int = 0
    findings: tuple[Diagnostic, ...] = ()


def run_examples(rules: Iterable[Rule]) -> Iterator[ExampleResult]:
    """The outcome of every example of every rule, in their order.

    >>> import carengine
    >>> rules = carengine.load_rules(carengine.shipped_rules())
    >>> {result.passed for result in run_examples([rules.get("CAR-2019-08-001")])}
    {True}
    """
    for rule in rules:
        engines: dict[str, Engine | CarError] = {}
        for example in rule.examples:
            name = example.fieldmap
            if name not in engines:
                try:
                    maps = maps_of_examples(rule) if name == "auto" else name
                    engines[name] = Engine([rule], maps)
                except CarError as error:
                    engines[name] = error
                except Exception as error:
                    said = fault(f"the compiling of {rule.id}", error, example.span)
                    engines[name] = CarError([said])
            try:
                yield _run(rule, example, engines[name])
            except Exception as error:
                broken = fault(f"the example {example.name!r} of {rule.id}", error, example.span)
                yield ExampleResult(rule, example, False, 0, (broken,))


def run_input_examples(rules: Iterable[Rule]) -> Iterator[ExampleResult]:
    """For every input that says which example shows it: the outcome of that example with the
    changed value, which must be the other way round.

    >>> import carengine
    >>> event = "{object: process, action: create, pid: 3}"
    >>> text = f'''---
    ... inputs: [{{name: limit, default: 5, changed: 2, example: three}}]
    ... examples: [{{name: three, match: false, events: [{event}]}}]
    ... ---
    ... input limit
    ... a = search Process:Create where pid > limit
    ... output a
    ... '''
    >>> [(one.example.name, one.passed) for one in run_input_examples([carengine.parse_rule(text)])]
    [('three, with limit = 2', True)]
    """
    for rule in rules:
        for one in rule.metadata.inputs:
            if one.changed is None and not one.shown_by:
                continue
            named = [example for example in rule.examples if example.name == one.shown_by]
            title = f"{one.shown_by}, with {one.name} = {input_text(one.changed or '')}"
            missing = Example(title, False, ())
            if not named or one.changed is None or rule.syntax is None:
                message = (
                    f"the input {one.name} of {rule.id} is shown by no example: it names "
                    f"{one.shown_by!r}, and wants another value (`changed`)"
                )
                yield ExampleResult(rule, missing, False, 0, (_finding(missing, rule, message),))
                continue
            turned = evolve(named[0], name=title, match=not named[0].match, matches=None)
            changed = _with_value(rule, one.name, one.changed, turned)
            if len(changed) != 1:
                message = f"{rule.id} cannot be used with {one.name} = {input_text(one.changed)}"
                found = (_finding(turned, rule, message), *changed.diagnostics)
                yield ExampleResult(rule, turned, False, 0, found)
                continue
            yield from run_examples(changed)


def _with_value(rule: Rule, name: str, value: InputValue, example: Example) -> RuleSet:
    """The rule with another value for an input, and one example."""
    inputs = tuple(
        evolve(one, value=value) if one.name == name else evolve(one, value=None)
        for one in rule.metadata.inputs
    )
    about = evolve(rule.metadata, inputs=inputs)
    draft = Draft(rule.id, about, rule.syntax, rule.block, examples=(example,))
    return from_drafts([draft])


def maps_of_examples(rule: Rule) -> MapChoice:
    """The field maps that read the events of a rule's examples.

    Events of a Sigma rule may have the names that the rule has for fields: where no field map knows
    their shape, they are events of the rule's own log source.

    >>> import carengine
    >>> maps_of_examples(carengine.parse_rule("a = search Process:Create output a"))
    ('auto',)
    """
    kinds = {kind for output in rule.program.outputs for kind in ir.searched(output.plan)}
    native = sorted(kind for kind in kinds if kind.object not in model().objects)
    _, *inner = rule.metadata.data.split("/")
    service = inner[1] if len(inner) == 2 else ""
    return ("auto", *(NamedLogSource(kind.object, kind.action, service) for kind in native))


def _run(rule: Rule, example: Example, engine: Engine | CarError) -> ExampleResult:
    if isinstance(engine, CarError):
        reason = engine.diagnostics[0].message
        message = f"the example {example.name!r} of {rule.id} cannot be run: {reason}"
        return ExampleResult(rule, example, False, 0, (_finding(example, rule, message),))
    session = engine.session()
    matches = 0
    for event in example.events:
        matches += len(session.feed(event))
    matches += len(session.flush())
    right = matches == example.matches if example.matches else (matches > 0) is example.match
    if right:
        return ExampleResult(rule, example, True, matches)
    wanted = "should match and does not" if example.match else "should not match and does"
    if matches and example.matches:
        wanted = f"should give {counted(example.matches, 'match', 'matches')} and gives {matches:,}"
    message = f"the example {example.name!r} of {rule.id} {wanted}"
    notes = []
    if session.stats.unrecognised:
        unknown, events = session.stats.unrecognised, session.stats.events
        notes.append(
            f"no field map recognises the shape of {unknown:,} of {counted(events, 'event')} in it"
        )
    return ExampleResult(
        rule, example, False, matches, (_finding(example, rule, message, tuple(notes)),)
    )


def _finding(example: Example, rule: Rule, message: str, notes: tuple[str, ...] = ()) -> Diagnostic:
    return Diagnostic(
        codes.EXAMPLE_FAILED,
        message,
        example.span,
        notes=notes,
        fix=Fix("`carengine explain` shows which condition decides"),
        origin=rule.path,
    )
