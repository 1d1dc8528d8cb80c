"""Samples held to account: written to a file, read back by our readers, and run by the engine, by
DuckDB and by the ``eql`` package.

What is asked of a sample is the same everywhere: its match is found by its rule, its near miss is
not. `by_engine` runs all rules at once over all events of a file, so that it also says what each
rule finds among the samples of the others; DuckDB has to find the very same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import Factory, define, frozen

from carengine import Engine, Rule
from carengine.diagnostics import CarError, Severity
from carengine.fieldmap import FieldMap, find_maps
from carengine.languages.writing import Translation, translate
from carengine.readers import read_events
from carengine.verify import RuleSamples, samples
from running import DuckDB, Evidence, run_eql

SAME, TOO_FEW, TOO_MANY = "as it should be", "a match is not found", "a near miss is found"


@frozen
class WrittenSample:
    """A sample of one event, and its place in the file of all samples."""

    rule: str
    match: bool
    place: int


@define
class WrittenSamples:
    """The samples of many rules in one shape: those of one event in a file, the others aside."""

    rules: list[Rule]
    shape: FieldMap
    made: dict[str, RuleSamples]
    single: list[WrittenSample] = Factory(list)
    events: list[Mapping[str, Any]] = Factory(list)

    @property
    def with_both(self) -> int:
        """How many rules have a match and a near miss."""
        return sum(bool(one.matches) and bool(one.near_misses) for one in self.made.values())

    @property
    def lacking(self) -> list[tuple[str, str]]:
        """The rules without one of them, and why."""
        return [(name, "; ".join(one.missing)) for name, one in self.made.items() if one.missing]


def write(rules: Iterable[Rule], shape: str, path: Path) -> WrittenSamples:
    """Samples of rules in a shape, written to a file and read back by our readers."""
    several = list(rules)
    [fieldmap] = find_maps(shape)
    done = WrittenSamples(several, fieldmap, {})
    with path.open("w", encoding="utf-8") as file:
        for rule in several:
            made = samples(rule, shape)
            done.made[rule.id] = made
            for one in made.samples:
                if len(one.events) == 1:
                    file.write(json.dumps(one.events[0]) + "\n")
                    done.single.append(WrittenSample(rule.id, one.match, len(done.single)))
    done.events = [record.event for record in read_events(path)]
    assert len(done.events) == len(done.single)
    return done


Findings = dict[str, set[int]]
"""Of each rule the places of the events that it finds."""


def by_engine(written: WrittenSamples) -> Findings:
    """What the engine finds, with every rule over every event."""
    found: Findings = {rule.id: set() for rule in written.rules}
    places = {id(event): place for place, event in enumerate(written.events)}
    for match in Engine(_stateless(written), written.shape).run(written.events):
        found[match.rule.id].add(places[id(match.events[0].event)])
    return found


def _stateless(written: WrittenSamples) -> list[Rule]:
    return [rule for rule in written.rules if rule.stateless]


def translations(
    written: WrittenSamples, target: str, present: frozenset[str]
) -> tuple[list[Translation], Counter[str]]:
    """The rules of one event as a target has them, and how many it refuses for which reason."""
    made, refused = [], Counter[str]()
    for rule in _stateless(written):
        try:
            made.append(translate(rule, target, written.shape, present=present))
        except CarError as error:
            why = next(d for d in error.diagnostics if d.severity is Severity.ERROR)
            refused[f"{why.code.id}: {why.message}"] += 1
    return made, refused


def in_duckdb(written: WrittenSamples) -> tuple[Findings, Counter[str]]:
    """What our SQL finds in DuckDB, with every query over every event; what is refused, and why."""
    evidence = Evidence(written.events)
    made, refused = translations(written, "duckdb", evidence.present)
    found: Findings = {}
    for several in _together(made):
        table = DuckDB(evidence, sorted({name for one in several for name in one.fields}))
        for one in several:
            for query in one.queries:
                # Winlogbeat's events have a field of that name too, within another.
                numbers = {int(row["event_id"]) for row in table.query(query.text)}
                found.setdefault(one.rule, set()).update(numbers)
    return found, refused


def _together(made: Sequence[Translation]) -> list[list[Translation]]:
    """Queries that one table can serve: DuckDB does not tell columns by the case of their names,
    and of two rules one may read ``payload`` and the other ``Payload``."""
    tables: list[tuple[dict[str, str], list[Translation]]] = []
    for one in made:
        fitting = (
            table
            for table in tables
            if all(table[0].get(name.lower(), name) == name for name in one.fields)
        )
        names, several = next(fitting, ({}, []))
        if not several:
            tables.append((names, several))
        names.update({name.lower(): name for name in one.fields})
        several.append(one)
    return [several for _, several in tables]


def by_eql(written: WrittenSamples) -> tuple[Findings, Counter[str]]:
    """What our EQL finds by the ``eql`` package, each rule over its own samples; what is refused,
    and why."""
    evidence = Evidence(written.events)
    made, refused = translations(written, "eql", evidence.present)
    own: dict[str, list[int]] = {}
    for sample in written.single:
        own.setdefault(sample.rule, []).append(sample.place)
    found: Findings = {}
    for one in made:
        places = own.get(one.rule, [])
        finds = run_eql([one], [written.events[place] for place in places])
        found[one.rule] = {places[row[0]] for counts in finds.values() for row in counts}
    return found, refused


def held(written: WrittenSamples, found: Findings) -> Counter[str]:
    """How many samples of the rules that were run are as they should be, and how many are not."""
    return Counter(
        SAME if (one.place in found[one.rule]) is one.match else TOO_FEW if one.match else TOO_MANY
        for one in written.single
        if one.rule in found
    )


def wrong(written: WrittenSamples, found: Findings) -> list[WrittenSample]:
    """The samples that are not as they should be."""
    return [
        one
        for one in written.single
        if one.rule in found and (one.place in found[one.rule]) is not one.match
    ]


def several_events(
    written: WrittenSamples,
) -> Sequence[tuple[Rule, bool, tuple[Mapping[str, Any], ...]]]:
    """The samples of more than one event, which are run each by itself."""
    by_id = {rule.id: rule for rule in written.rules}
    return [
        (by_id[name], one.match, one.events)
        for name, made in written.made.items()
        for one in made.samples
        if len(one.events) > 1
    ]
