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
from ..languages.reading import LANGUAGES, as_rule, read
from ..rule import Rule
from . import assumptions
from .changes import by_itself
from .common_names import subject_of
from .own_source import of_source, with_values
from .relations import RuleRelation, Verdict, compare_subjects

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
    made = of_source(reading, rule, any_case=any_case)
    if made is None:
        return _undecided(rule, name, text, "the query looks at several events")
    taken = (assumptions.OWN_SOURCE, *((assumptions.ANY_CASE,) if any_case else ()))
    mine = evolve(subject_of(with_values(rule)), taken=taken)
    # Where the data lies is no part of what is compared: the log source is.
    asked = subject_of(made, reading)
    near = tuple(text for text in asked.taken if f"({codes.FOREIGN_NEAR.id})" in text)
    query = evolve(asked, taken=near)
    relation = compare_subjects(mine, query, steps)
    return Conversion(rule, text, evolve(relation, first=rule.id, second=name))


def _undecided(rule: Rule, name: str, query: str, reason: str) -> Conversion:
    relation = RuleRelation(rule.id, name, Verdict.UNDECIDED, reasons=(reason,))
    return Conversion(rule, query, relation)
