"""Holding rules to their own examples: what must match does, what must not does not.

Every example is a run of its own: its events go through a fresh session of an engine with the one
rule, in their order, and the end of the data is told. A positive example wants at least one match,
a negative one none. ::

    ExampleResult(rule, example, matches=0, events=1, unrecognised=0, passed=False)   ->  CE308
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from ... import ir
from ...datamodel import model
from ...diagnostics import CarError, Diagnostic, Fix, codes, counted, fault
from ...fieldmap import MapChoice, NamedLogSource
from ...rule import Example, Rule
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
    if (matches > 0) is example.match:
        return ExampleResult(rule, example, True, matches)
    wanted = "should match and does not" if example.match else "should not match and does"
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
