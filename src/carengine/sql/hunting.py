"""Rules run as queries in DuckDB, over logs that need not fit in memory.

`SqlHunt` translates each rule for each shape of log that the table holds, runs the queries, and
makes matches of what they find, as a session gives them::

    table ──queries──▶ numbers of events ──the engine, on these events only──▶ matches
                       joins, groups, aggregates ─────────────────────────────▶ matches

What single events decide is looked at once more by the engine: a query that gave another answer
would be named (CE985). Rows of joins, groups and aggregates are taken as the query gives them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve, frozen

from .. import ir
from ..diagnostics import CarError, Diagnostic, Severity, codes
from ..engine import Engine, Match, MatchedEvent, Origin
from ..fieldmap import FieldMap, MapChoice, normalize
from ..languages.event_table import EventTable
from ..languages.lowered import Log
from ..languages.sql.dialects import DIALECTS
from ..languages.sql.plans import SqlPlans
from ..languages.translation import Findings, Query, Untranslatable
from ..languages.writing import translate
from ..rule import Rule
from .growing import quoted

_AT_ONCE = 1_000


@frozen
class QueryMatches:
    """What one query found: the rule, the output, the field map, and how many rows."""

    rule: str
    output: str
    fieldmap: str
    rows: int


class SqlHunt:
    """Rules over a table of events in DuckDB.

    ``table`` is what `carengine.sql.load` made with ``events=True``. ``maps`` are the field maps to
    look for; by default all that the rules can use. After ``run``:

    * ``recognised`` counts the events of each field map, ``unrecognised`` those of none;
    * ``queries`` has what each query found;
    * ``refused`` has, by the rule's id, why it could not be translated for a field map whose events
      are there (CE901): its matches among these events are missing;
    * ``nothing`` has, by the rule's id, why there is nothing of it in these logs (CE904);
    * ``notes`` has where queries are not exact (CE902), ``disagreements`` where a query and the
      engine gave different answers (CE985).
    """

    def __init__(
        self,
        connection: Any,
        rules: Iterable[Rule],
        table: EventTable,
        maps: MapChoice = "auto",
    ) -> None:
        self.connection = connection
        self.table = table
        self.engine = Engine(rules, maps)
        self.recognised: dict[str, int] = {}
        self.unrecognised = 0
        self.queries: list[QueryMatches] = []
        self.refused: dict[str, tuple[Diagnostic, ...]] = {}
        self.nothing: dict[str, tuple[Diagnostic, ...]] = {}
        self.notes: list[Diagnostic] = []
        self.disagreements: list[Diagnostic] = []

    def run(self) -> Iterator[Match]:
        """The matches: first those of single events in the order of the events, then the others in
        the order of the rules. Everything else is known when they are all taken."""
        maps = self._recognise()
        singles: dict[int, set[tuple[str, str]]] = defaultdict(set)
        sure: set[tuple[str, str]] = set()
        several: list[tuple[Rule, ir.Output, Query, str]] = []
        for rule in self.engine.rules:
            outputs = {output.name: output for output in rule.program.outputs}
            for fieldmap, queries in self._translated(rule, maps):
                for query in queries:
                    output = outputs[query.output]
                    if ir.as_stages(output.plan) is None:
                        several.append((rule, output, query, fieldmap.name))
                        continue
                    found = self._numbers(query)
                    for number in found:
                        singles[number].add((rule.id, output.name))
                    sure.add((rule.id, output.name))
                    self.queries.append(
                        QueryMatches(rule.id, output.name, fieldmap.name, len(found))
                    )
        yield from self._of_events(singles, sure)
        for rule, output, query, name in several:
            found_rows = 0
            for match in self._of_rows(rule, output, query, maps):
                found_rows += 1
                yield match
            self.queries.append(QueryMatches(rule.id, output.name, name, found_rows))

    # Shapes and translations

    def _recognise(self) -> tuple[FieldMap, ...]:
        """The maps whose events are in the table; counts them."""
        there: list[FieldMap] = []
        conditions: list[str] = []
        unsure = False
        for fieldmap in self.engine.maps:
            log = Log(fieldmap, table=self.table)
            shape = log.settled(fieldmap.recognise)
            if isinstance(shape, ir.Truth) and shape.value is not True:
                continue
            plans = SqlPlans(DIALECTS["duckdb"], Findings("", "duckdb"), log, self.table.name)
            try:
                condition = plans.over_events().condition(shape)
            except Untranslatable:
                there.append(fieldmap)
                unsure = True
                continue
            number = self._count(condition)
            if number:
                self.recognised[fieldmap.name] = number
                there.append(fieldmap)
                conditions.append(condition)
        some = " OR ".join(f"COALESCE({condition}, FALSE)" for condition in conditions)
        if not unsure:
            self.unrecognised = self._count(f"NOT ({some})") if some else self.table.rows
        return tuple(there)

    def _count(self, condition: str) -> int:
        name = quoted(self.table.name, "duckdb")
        found = self.connection.execute(f"SELECT COUNT(*) FROM {name} WHERE {condition}")
        return int(found.fetchone()[0])

    def _translated(
        self, rule: Rule, maps: tuple[FieldMap, ...]
    ) -> Iterator[tuple[FieldMap, tuple[Query, ...]]]:
        """The queries of a rule: over all maps together, or where that is refused, over each."""
        together = _together(maps)
        choices = [together] if together is not None else []
        nothing: list[Diagnostic] = []
        found = False
        while choices:
            fieldmap = choices.pop(0)
            try:
                made = translate(rule, "duckdb", fieldmap, table=self.table, checked=False)
            except CarError as error:
                errors = [d for d in error.diagnostics if d.severity is Severity.ERROR]
                if all(d.code is codes.NOTHING_TO_TRANSLATE for d in errors):
                    nothing += errors
                elif fieldmap is together and len(maps) > 1:
                    choices = list(maps)
                else:
                    refused = self.refused.get(rule.id, ())
                    self.refused[rule.id] = (*refused, *errors)
                continue
            found = True
            self.notes += [d for d in made.notes if d.code is codes.DIFFERS]
            yield fieldmap, made.queries
        if not found and rule.id not in self.refused:
            self.nothing[rule.id] = tuple(nothing)

    def _numbers(self, query: Query) -> list[int]:
        text = f"SELECT event_id FROM ({query.text}) AS found"
        return [row[0] for row in self.connection.execute(text).fetchall()]

    # Matches of single events

    def _of_events(
        self, singles: Mapping[int, set[tuple[str, str]]], sure: set[tuple[str, str]]
    ) -> Iterator[Match]:
        differing: Counter[tuple[str, str]] = Counter()
        rules = [rule for rule in self.engine.rules if any(rule.id == id_ for id_, _ in sure)]
        session = Engine(rules, self.engine.maps).session() if rules else None
        for number, event, origin in self._events(sorted(singles)):
            assert session is not None
            told: set[tuple[str, str]] = set()
            for match in session.feed(event, origin):
                name = (match.rule.id, match.output)
                if name in sure:
                    told.add(name)
                    yield match
            for name in told ^ singles[number]:
                differing[name] += 1
        for (rule, output), number in sorted(differing.items()):
            message = (
                f"{rule} {output}: the query and the engine differ on {number:,} of the events"
            )
            self.disagreements.append(Diagnostic(codes.SQL_DISAGREES, message, origin=rule))

    def _events(self, numbers: list[int]) -> Iterator[tuple[int, dict[str, Any], Origin]]:
        """Events by their numbers, in order."""
        name = quoted(f"{self.table.name}_source", "duckdb")
        for start in range(0, len(numbers), _AT_ONCE):
            some = ", ".join(map(str, numbers[start : start + _AT_ONCE]))
            text = (
                f"SELECT event_id, event, source, record FROM {name} "
                f"WHERE event_id IN ({some}) ORDER BY event_id"
            )
            for number, event, source, record in self.connection.execute(text).fetchall():
                yield number, json.loads(event), Origin(source, record)

    # Matches of several events

    def _of_rows(
        self, rule: Rule, output: ir.Output, query: Query, maps: tuple[FieldMap, ...]
    ) -> Iterator[Match]:
        cursor = self.connection.cursor()
        try:
            cursor.execute(query.text)
            names = [column[0] for column in cursor.description]
            if "group_number" in names and "event_count" not in names:
                yield from self._of_groups(rule, output, names, cursor.fetchall(), maps)
                return
            times = _times_of(output.plan)
            while rows := cursor.fetchmany(_AT_ONCE):
                for row in rows:
                    cells = dict(zip(names, row, strict=True))
                    yield self._of_row(rule, output, cells, times, maps)
        finally:
            cursor.close()

    def _of_row(
        self,
        rule: Rule,
        output: ir.Output,
        cells: Mapping[str, Any],
        times: frozenset[str],
        maps: tuple[FieldMap, ...],
    ) -> Match:
        events = self._matched(_events_in(cells), maps)
        shown = [column.name for column in _columns_of(output.plan)]
        fields = {name: cells[name] for name in shown if name in cells}
        return Match(rule, output.name, cells["time"], events, fields, {}, times)

    def _of_groups(
        self,
        rule: Rule,
        output: ir.Output,
        names: list[str],
        rows: list[tuple[Any, ...]],
        maps: tuple[FieldMap, ...],
    ) -> Iterator[Match]:
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in rows:
            cells = dict(zip(names, row, strict=True))
            key = tuple(v for n, v in cells.items() if n.startswith("key_") or n == "group_number")
            groups.setdefault(key, []).append(cells)
        group = next((p for p in ir.every_plan((output.plan,)) if isinstance(p, ir.Group)), None)
        wanted = [] if group is None else [key.name for key in group.keys]
        for members in groups.values():
            members.sort(key=lambda c: (c["time"] is None, c["time"] or 0, _events_in(c)))
            numbers = [found for cells in members for found in _events_in(cells)]
            events = self._matched(numbers, maps)
            first = events[0].fields if events else {}
            keys = {name: first.get(name) for name in wanted}
            ends = [cells["time"] for cells in members if cells["time"] is not None]
            yield Match(rule, output.name, max(ends, default=None), events, {}, keys)

    def _matched(
        self, wanted: list[tuple[int, str, str]], maps: tuple[FieldMap, ...]
    ) -> tuple[MatchedEvent, ...]:
        read = {
            number: (event, origin)
            for number, event, origin in self._events(sorted({number for number, _, _ in wanted}))
        }
        made = []
        for number, kind, stream in wanted:
            event, origin = read[number]
            views = normalize(event, maps, sources=True)
            view = next((v for v in views if str(v.kind) == kind), None)
            if view is None:
                named = ir.EventKind(*kind.split("/", 1))
                made.append(MatchedEvent(named, {}, None, event, origin, stream))
            else:
                made.append(MatchedEvent(view.kind, view.fields, view.time, event, origin, stream))
        return tuple(made)


def _together(maps: tuple[FieldMap, ...]) -> FieldMap | None:
    """One map for the events of several, so that joins find pairs whose events are of two maps."""
    if len(maps) < 2:
        return maps[0] if maps else None
    entries = [
        evolve(entry, when=ir.conjunction((one.recognise, entry.when)))
        for one in maps
        for entry in one.entries
    ]
    names = " and ".join(one.name for one in maps)
    return FieldMap(names, "several logs", ir.Truth(True), tuple(entries))


def _events_in(cells: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    """The events that a row is made of: number, kind, and the branch of a join."""
    return [
        (number, cells[f"{stream}kind"], stream.rstrip("."))
        for name, number in cells.items()
        if name.endswith("event_id")
        and number is not None
        and (not (stream := name.removesuffix("event_id")) or stream.endswith("."))
    ]


def _times_of(plan: ir.Plan) -> frozenset[str]:
    return frozenset(c.name for c in _columns_of(plan) if ir.type_of(c.value) is ir.Type.TIME)


def _columns_of(plan: ir.Plan) -> tuple[ir.Column, ...]:
    """The columns that a plan's rows show, if they show their own and not those of events."""
    match plan:
        case ir.Project(_, columns) | ir.Aggregated(_, columns):
            return columns
        case ir.Filter(inner) | ir.Distinct(inner):
            return _columns_of(inner)
        case ir.Difference(left):
            return _columns_of(left)
        case ir.Assign(inner, name, value):
            return (*_columns_of(inner), ir.Column(name, value)) if _columns_of(inner) else ()
        case _:
            return ()
