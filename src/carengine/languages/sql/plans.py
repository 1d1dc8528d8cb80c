"""Whole programs as SQL: every stream a common table expression, every output one query.

The data is one table (``events`` unless told otherwise), one row an event::

    event_id    any type, different for every event
    raw         text: the event as compact JSON; only where a rule asks ``in raw event``
    "Image" …   text or NULL: one column a raw field, named by its path (``winlog.event_data.Image``)

For events that are in CAR's names (the ``car`` map) the columns are ``object``, ``action`` and
CAR's fields.

An output whose events decide alone is one ``SELECT`` with one ``WHERE``. Otherwise each search
becomes a relation with the columns ``event_id``, ``kind``, ``time`` and the CAR fields that the
program reads, and each statement a relation on those before it::

    join        FROM a CROSS JOIN b WHERE …       columns "a.event_id", "a.hostname", "b.event_id", …
    group       a row for each event, with the group's number: a new one begins where ``LAG(time)`` is too far back
    aggregates  GROUP BY keys and number
    difference  ROW_NUMBER() = 1 for each combination of values, and NOT EXISTS in the other
    rank        RANK() over the counts;  lookup: LEFT JOIN on the keys

Rows of one time are in the order of their ``event_id``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from attrs import define, evolve, field

from ... import ir
from ..lowered import EntryView, Log, views_of, why_empty
from ..reads import atoms_of_plan, fields_of_plan, with_clock
from ..retention import note_retention
from ..translation import Findings, Query
from .dialects import SqlDialect
from .event_columns import EventColumns
from .expressions import SqlWriter
from .relations import (
    Key,
    SqlColumn,
    SqlRelation,
    aggregates_in,
    cell,
    events_query,
    lookups_in,
    lookups_of,
    type_in,
)
from .values import Form, SqlExpression

_TIES = "rows of one time are taken in the order of their event_id"
_NUMERIC = (ir.Type.INTEGER, ir.Type.NUMBER, ir.Type.TIME, ir.Type.DURATION)


@define
class SqlPlans:
    """The relations of one query, in the order in which they are made."""

    dialect: SqlDialect
    findings: Findings
    log: Log
    table: str
    events: EventColumns = field(init=False)
    made: dict[str, str] = field(factory=dict)
    known: dict[ir.Plan, SqlRelation] = field(factory=dict)
    needed: tuple[ir.Field, ...] = ()
    raw: bool = False

    def __attrs_post_init__(self) -> None:
        self.events = EventColumns(self.dialect, self.findings, self.log)

    # Writers

    def over_events(self) -> SqlWriter:
        """A writer of expressions over the table's own columns."""

        def column(leaf: ir.Raw | ir.Field) -> SqlExpression:
            assert isinstance(leaf, ir.Raw)
            return self.events.texts(leaf)

        with_lists = self.log.table is not None and any(c.lists for c in self.log.table.columns)
        return SqlWriter(
            *(self.dialect, self.findings, column, self._outside, self._rank),
            *(self.events.raw, self.events, with_lists),
        )

    def over(self, relation: SqlRelation, alias: str | None = None) -> SqlWriter:
        """A writer of expressions over a relation's columns."""
        prefix = f"{alias or self.over_events().name(relation.name)}."

        def column(leaf: ir.Raw | ir.Field) -> SqlExpression:
            assert isinstance(leaf, ir.Field)
            return self._column(relation, leaf, prefix)

        def outside(value: ir.Value) -> SqlExpression:
            if isinstance(value, ir.Lookup):
                return self._lookup(value, relation, prefix)
            return self._outside(value)

        def raw() -> str:
            found = relation.columns.get((None, "raw event"))
            if found is None:
                self.findings.refuse("the raw text of a row that is no single event")
            return prefix + writer.name(found.name)

        writer = SqlWriter(
            self.dialect, self.findings, column, outside, self._rank, raw, self.events
        )
        return writer

    def _column(self, relation: SqlRelation, leaf: ir.Field, prefix: str) -> SqlExpression:
        quoted = self.over_events().name
        found = relation.columns.get((leaf.source, leaf.name))
        if found is not None:
            return SqlExpression(prefix + quoted(found.name), found.form, found.whole)
        if leaf.name == "time" and leaf.source is None:
            return SqlExpression(f"{prefix}{quoted('time')}", Form.TIME, True)
        return SqlExpression("NULL", fixed=True)

    # Relations

    def relation(self, plan: ir.Plan) -> SqlRelation:
        """The relation of a plan; made once."""
        found = self.known.get(plan)
        if found is None:
            found = self.known[plan] = self._relation(plan)
        return found

    def _add(self, hint: str, sql: str) -> str:
        name = hint
        number = 1
        while name in self.made or name == self.table:
            number += 1
            name = f"{hint}_{number}"
        self.made[name] = sql
        return name

    def _relation(self, plan: ir.Plan) -> SqlRelation:
        match plan:
            case ir.Search():
                return self._stages(ir.as_stages(plan) or (), "searched")
            case ir.Filter(inner, condition):
                source = self.relation(inner)
                joins, writer = self._with_lookups(source, lookups_of(condition))
                where = writer.condition(condition)
                return self._derived(source, f"{joins} WHERE {where}", "filtered")
            case ir.Assign(inner, name, value):
                return self._assign(self.relation(inner), name, value)
            case ir.Project(inner, columns):
                return self._project(self.relation(inner), columns)
            case ir.Join():
                return self._join(plan)
            case ir.Group():
                return self._group(plan, ())
            case ir.Aggregated():
                return self._aggregated(plan)
            case ir.Difference():
                return self._difference(plan)
            case ir.Distinct(inner, value):
                return self._first_of_each(self.relation(inner), (value,), None)
            case ir.Union(plans):
                return self._union([self.relation(part) for part in plans])
            case ir.Window() | ir.Sequence():
                self.findings.refuse(f"the operation {type(plan).__name__}")
            case _:
                assert_never(plan)

    def _derived(self, source: SqlRelation, rest: str, hint: str) -> SqlRelation:
        quoted = self.over_events().name(source.name)
        name = self._add(hint, f"SELECT {quoted}.* FROM {quoted}{rest}")
        return evolve(source, name=name)

    # Searches

    def _stages(self, stages: Iterable[ir.Stage], hint: str) -> SqlRelation:
        """The events of a search under CAR's names: a ``SELECT`` for each entry of the map."""
        views = views_of(stages, self.log)
        writer = self.over_events()
        quoted = writer.name
        wanted = [f for f in self.needed if f.name != "time" and f.source is None]
        parts = []
        for view in views:
            cells = [
                f"{quoted('event_id')} AS {quoted('event_id')}",
                f"{writer.literal(str(view.kind))} AS {quoted('kind')}",
                f"{self._time_text(view, writer)} AS {quoted('time text')}",
            ]
            if self.raw:
                cells.append(f"{writer.raw()} AS {quoted('raw event')}")
            for wanted_field in wanted:
                found = self._field(view, wanted_field, writer)
                cells.append(f"{found} AS {quoted(wanted_field.name)}")
            where = writer.condition(view.condition)
            parts.append(f"SELECT {', '.join(cells)} FROM {quoted(self.table)} WHERE {where}")
        if parts:
            told = self._add("read", " UNION ALL ".join(parts))
            names = ("event_id", "kind", *(f.name for f in wanted))
            cells = [quoted(name) for name in (*names, *(["raw event"] if self.raw else []))]
            time = f"{writer.time(quoted('time text'))} AS {quoted('time')}"
            parts = [f"SELECT {', '.join([*cells, time])} FROM {quoted(told)}"]
        else:
            # The column itself, so that it has the type that other streams have it in.
            empty = [f"{quoted('event_id')} AS {quoted('event_id')}"]
            cells = ["kind", *(["raw event"] if self.raw else [])]
            empty += [f"CAST(NULL AS {self.dialect.text}) AS {quoted(n)}" for n in cells]
            empty += [f"CAST(NULL AS {self.dialect.integer}) AS {quoted('time')}"]
            empty += [f"CAST(NULL AS {self._sql_type(f)}) AS {quoted(f.name)}" for f in wanted]
            parts = [f"SELECT {', '.join(empty)} FROM {quoted(self.table)} WHERE FALSE"]
        columns: dict[Key, SqlColumn] = {
            (None, "time"): SqlColumn("time", Form.TIME, True, ir.Type.TIME)
        }
        for f in wanted:
            timed = f.type is ir.Type.TIME
            columns[None, f.name] = SqlColumn(
                f.name, Form.TIME if timed else Form.TEXT, timed, f.type
            )
        if self.raw:
            columns[None, "raw event"] = SqlColumn("raw event")
        return SqlRelation(
            self._add(hint, " UNION ALL ".join(parts)), columns, ("event_id", "kind")
        )

    def _sql_type(self, wanted: ir.Field) -> str:
        return self.dialect.integer if wanted.type is ir.Type.TIME else self.dialect.text

    def _time_text(self, view: EntryView, writer: SqlWriter) -> str:
        """The text that the event's time is read from: read once, further on, it is not repeated."""
        value = view.entry.value(ir.Field("time"))
        found = None if value is None else writer.shown(self.log.settled_value(value))
        if found is None or found.null:
            return f"CAST(NULL AS {self.dialect.text})"
        return writer.text(found)

    def _field(self, view: EntryView, wanted: ir.Field, writer: SqlWriter) -> str:
        value = view.entry.value(wanted)
        found = None if value is None else writer.shown(self.log.settled_value(value))
        if found is None or found.null:
            return f"CAST(NULL AS {self._sql_type(wanted)})"
        return found.sql if found.form is Form.TIME else writer.text(found)

    # One row from one row

    def _assign(self, source: SqlRelation, name: str, value: ir.Value) -> SqlRelation:
        joins, writer = self._with_lookups(source, lookups_in(value))
        made = writer.value(value)
        quoted = writer.name
        alias = quoted(source.name)
        kept = [
            f"{alias}.{quoted(column)}"
            for column in (*self._plain_columns(source),)
            if column != name
        ]
        cells = ", ".join([*kept, f"{cell(made, writer)} AS {quoted(name)}"])
        columns = dict(source.columns)
        columns[None, name] = SqlColumn(name, made.form, made.whole, type_in(value, source))
        named = self._add("assigned", f"SELECT {cells} FROM {alias}{joins}")
        return evolve(source, name=named, columns=columns)

    def _plain_columns(self, relation: SqlRelation) -> tuple[str, ...]:
        names = [*relation.ids, "time", *(c.name for c in relation.columns.values())]
        return tuple(dict.fromkeys([*names, *relation.group]))

    def _project(self, source: SqlRelation, columns: tuple[ir.Column, ...]) -> SqlRelation:
        lookups = [found for column in columns for found in lookups_in(column.value)]
        joins, writer = self._with_lookups(source, lookups)
        quoted = writer.name
        alias = quoted(source.name)
        own = {column.name for column in columns}
        kept = [f"{alias}.{quoted(name)}" for name in source.ids]
        made: dict[Key, SqlColumn] = {}
        cells = []
        if "time" not in own:
            kept.append(f"{alias}.{quoted('time')}")
            made[None, "time"] = SqlColumn("time", Form.TIME, True, ir.Type.TIME)
        for column in columns:
            found = writer.value(column.value)
            # A row's own time stays under its name whatever else is selected as it.
            if column.name == "time" and column.value != ir.Field("time", None, ir.Type.TIME):
                self.findings.refuse("a column called time that is not the row's time")
            cells.append(f"{cell(found, writer)} AS {quoted(column.name)}")
            made[None, column.name] = SqlColumn(
                column.name, found.form, found.whole, type_in(column.value, source)
            )
        named = self._add("projected", f"SELECT {', '.join([*kept, *cells])} FROM {alias}{joins}")
        shown = tuple(column.name for column in columns)
        return SqlRelation(named, made, source.ids, (), shown)

    # Joins

    def _join(self, join: ir.Join) -> SqlRelation:
        quoted = self.over_events().name
        columns: dict[Key, SqlColumn] = {}
        cells: list[str] = []
        ids: list[str] = []
        times: list[str] = []
        tables: list[str] = []
        where: dict[Key, SqlExpression] = {}
        for branch in join.branches:
            source = self.relation(branch.plan)
            alias = quoted(branch.name)
            tables.append(f"{quoted(source.name)} AS {alias}")
            times.append(f"{alias}.{quoted('time')}")
            for name in source.ids:
                ids.append(f"{branch.name}.{name}")
                cells.append(f"{alias}.{quoted(name)} AS {quoted(ids[-1])}")
            inner = {**source.columns}
            inner.setdefault((None, "time"), SqlColumn("time", Form.TIME, True, ir.Type.TIME))
            for (of, name), column in inner.items():
                key = (branch.name if of is None else f"{branch.name}.{of}", name)
                full = f"{key[0]}.{name}"
                sql = f"{alias}.{quoted(column.name)}"
                where[key] = SqlExpression(sql, column.form, column.whole)
                columns[key] = evolve(column, name=full)
                cells.append(f"{sql} AS {quoted(full)}")
        cells.append(f"{self._latest(times)} AS {quoted('time')}")

        def column_of(leaf: ir.Raw | ir.Field) -> SqlExpression:
            assert isinstance(leaf, ir.Field)
            if leaf.name == "time" and leaf.source is None:
                return SqlExpression(self._latest(times), Form.TIME, True)
            return where.get((leaf.source, leaf.name), SqlExpression("NULL", fixed=True))

        def raw() -> str:
            self.findings.refuse("the raw text of joined events", join.span)

        if lookups_of(join.condition):
            self.findings.refuse("a count of another stream in the condition of a join", join.span)
        writer = SqlWriter(
            *(self.dialect, self.findings, column_of, self._outside, self._rank, raw, self.events)
        )
        condition = writer.condition(join.condition)
        sql = f"SELECT {', '.join(cells)} FROM {' CROSS JOIN '.join(tables)} WHERE {condition}"
        return SqlRelation(self._add("joined", sql), columns, tuple(ids))

    def _latest(self, times: list[str]) -> str:
        """The last of the times that are there; ``GREATEST`` is NULL in some products as soon as
        one is."""
        if len(times) == 1:
            return times[0]
        padded = [
            "COALESCE(" + ", ".join([time, *(t for t in times if t != time)]) + ")"
            for time in times
        ]
        return f"{self.dialect.greatest}({', '.join(padded)})"

    # Groups

    def _group(self, group: ir.Group, values: tuple[ir.Value, ...]) -> SqlRelation:
        """A row for each row of the plans, with its group; ``values`` are marked where they come
        first in theirs."""
        sources = [self.relation(plan) for plan in group.plans]
        source = sources[0] if len(sources) == 1 else self._union(sources)
        writer = self.over(source)
        quoted = writer.name
        order = f"{quoted('time')} ASC NULLS LAST, {quoted(source.ids[0])}"
        keys = []
        cells = [f"{quoted(source.name)}.*"]
        for number, wanted in enumerate(group.keys, 1):
            found = writer.value(wanted)
            keys.append(f"key_{number}")
            cells.append(f"{writer.key(found, wanted.type)} AS {quoted(keys[-1])}")
        keyed = self._add("keyed", f"SELECT {', '.join(cells)} FROM {quoted(source.name)}")
        present = " AND ".join(f"{quoted(key)} IS NOT NULL" for key in keys)
        by = ", ".join(quoted(key) for key in keys)
        if group.within is None:
            numbered = self._add(
                "numbered",
                f"SELECT *, 0 AS {quoted('group_number')} FROM {quoted(keyed)} WHERE {present}",
            )
        else:
            step = (
                f"CASE WHEN {quoted('time')} - LAG({quoted('time')}) OVER "
                f"(PARTITION BY {by} ORDER BY {order}) <= {group.within} THEN 0 ELSE 1 END"
            )
            stepped = self._add(
                "stepped",
                f"SELECT *, {step} AS {quoted('step')} FROM {quoted(keyed)} "
                f"WHERE {present} AND {quoted('time')} IS NOT NULL",
            )
            total = (
                f"SUM({quoted('step')}) OVER (PARTITION BY {by} ORDER BY {order} "
                "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
            )
            numbered = self._add(
                "numbered",
                f"SELECT *, {total} AS {quoted('group_number')} FROM {quoted(stepped)}",
            )
        self.findings.differs(_TIES, group.span)
        columns = dict(source.columns)
        inner = self.over(evolve(source, name=numbered))
        whole_group = f"PARTITION BY {by}, {quoted('group_number')}"
        cells = [f"{quoted(numbered)}.*"]
        for number, wanted in enumerate(group.keys, 1):
            found = inner.value(wanted)
            name = f"first_key_{number}"
            cells.append(
                f"FIRST_VALUE({found.sql}) OVER ({whole_group} ORDER BY {order}) AS {quoted(name)}"
            )
            old = columns.get((wanted.source, wanted.name), SqlColumn(wanted.name))
            columns[None, f"\0{wanted.name}"] = evolve(old, name=name)
        for number, value in enumerate(values, 1):
            found = inner.value(value)
            key = inner.key(found, ir.type_of(value))
            cells.append(
                f"ROW_NUMBER() OVER ({whole_group}, {key} ORDER BY {order}) "
                f"AS {quoted(f'occurrence_{number}')}"
            )
        cells.append(
            f"MAX({quoted(numbered)}.{quoted('time')}) OVER ({whole_group}) AS {quoted('group_time')}"
        )
        named = self._add("grouped", f"SELECT {', '.join(cells)} FROM {quoted(numbered)}")
        return SqlRelation(named, columns, source.ids, (*keys, "group_number"))

    def _aggregated(self, plan: ir.Aggregated) -> SqlRelation:
        collected = tuple(
            dict.fromkeys(
                a.value
                for column in plan.columns
                for a in aggregates_in(column.value)
                if a.function == "values" and a.value is not None
            )
        )
        source = self._group(plan.group, collected)
        quoted = self.over_events().name
        alias = quoted(source.name)
        inner = self.over(source)
        by = ", ".join(f"{alias}.{quoted(name)}" for name in source.group)

        def column_of(leaf: ir.Raw | ir.Field) -> SqlExpression:
            assert isinstance(leaf, ir.Field)
            first = source.columns.get((None, f"\0{leaf.name}"))
            if first is not None and any(key.name == leaf.name for key in plan.group.keys):
                made = f"MIN({alias}.{quoted(first.name)})"
                return SqlExpression(made, first.form, first.whole)
            if leaf.name == "time":
                return SqlExpression(f"MAX({alias}.{quoted('time')})", Form.TIME, True)
            return SqlExpression("NULL", fixed=True)

        def outside(value: ir.Value) -> SqlExpression:
            if isinstance(value, ir.Aggregate):
                return self._aggregate(value, inner, collected)
            return self._outside(value)

        writer = SqlWriter(
            *(self.dialect, self.findings, column_of, outside, self._rank, inner.raw, self.events)
        )
        made: dict[Key, SqlColumn] = {}
        cells = []
        for column in plan.columns:
            found = writer.value(column.value)
            cells.append(f"{cell(found, writer)} AS {quoted(column.name)}")
            made[None, column.name] = SqlColumn(
                column.name, found.form, found.whole, type_in(column.value, source)
            )
        if (None, "time") not in made:
            cells.append(f"MAX({alias}.{quoted('time')}) AS {quoted('time')}")
            made[None, "time"] = SqlColumn("time", Form.TIME, True, ir.Type.TIME)
        cells.append(f"MIN({alias}.{quoted('time')}) AS {quoted('group_begin')}")
        keys = tuple(name for name in source.group if name != "group_number")
        cells += [f"{alias}.{quoted(name)} AS {quoted(name)}" for name in source.group]
        cells.append(f"COUNT(*) AS {quoted('event_count')}")
        sql = f"SELECT {', '.join(cells)} FROM {alias} GROUP BY {by}"
        shown = tuple(column.name for column in plan.columns)
        ids = (*source.group, "event_count")
        return SqlRelation(self._add("aggregated", sql), made, ids, keys, shown)

    def _aggregate(
        self, wanted: ir.Aggregate, w: SqlWriter, collected: tuple[ir.Value, ...] = ()
    ) -> SqlExpression:
        function = wanted.function
        if wanted.value is None:
            return SqlExpression("COUNT(*)", Form.NUMBER, True)
        found = w.value(wanted.value)
        type_ = ir.type_of(wanted.value)
        match function:
            case "count":
                return SqlExpression(f"COUNT({found.sql})", Form.NUMBER, True)
            case "distinct_count":
                return SqlExpression(f"COUNT(DISTINCT {w.key(found, type_)})", Form.NUMBER, True)
            case "min" | "max":
                if found.form is Form.TEXT and type_ not in _NUMERIC:
                    self.findings.refuse(f"the {function} of texts")
                number = w.number(found, type_)
                form = found.form if found.form is not Form.TEXT else Form.NUMBER
                return SqlExpression(f"{function.upper()}({number})", form, found.whole)
            case "sum" | "average":
                number = w.number(found, type_)
                name = "SUM" if function == "sum" else "AVG"
                return SqlExpression(f"{name}({number})", Form.NUMBER)
            case "standard_deviation":
                if self.dialect.name == "sqlite":
                    self.findings.refuse("standard_deviation")
                number = w.number(found, type_)
                return SqlExpression(f"{self.dialect.deviation}({number})", Form.NUMBER)
            case "values":
                if wanted.value not in collected:
                    self.findings.refuse("the values of a whole stream")
                name = w.name(f"occurrence_{collected.index(wanted.value) + 1}")
                if not self.dialect.ordered_lists:
                    self.findings.differs("the elements of values are in no certain order")
                when = f"{found.sql} IS NOT NULL AND {name} = 1"
                return SqlExpression(
                    self.dialect.collect(found.sql, w.name("time"), when), Form.LIST
                )
            case _:
                self.findings.refuse(f"the aggregate {function}")

    # Rows compared with rows

    def _difference(self, difference: ir.Difference) -> SqlRelation:
        return self._first_of_each(
            self.relation(difference.left), difference.fields, self.relation(difference.right)
        )

    def _first_of_each(
        self, source: SqlRelation, fields: tuple[ir.Field, ...], other: SqlRelation | None
    ) -> SqlRelation:
        """The first row with each combination of values, unless all are null or ``other`` has it."""
        writer = self.over(source)
        quoted = writer.name
        keys = [f"compared_{number}" for number in range(1, len(fields) + 1)]
        cells = [
            f"{writer.key(writer.value(f), f.type)} AS {quoted(key)}"
            for f, key in zip(fields, keys, strict=True)
        ]
        left = self._add(
            "compared",
            f"SELECT {quoted(source.name)}.*, {', '.join(cells)} FROM {quoted(source.name)}",
        )
        by = ", ".join(map(quoted, keys))
        first_id = quoted(source.ids[0])
        self.findings.differs(_TIES)
        numbered = self._add(
            "occurrences",
            f"SELECT *, ROW_NUMBER() OVER (PARTITION BY {by} ORDER BY {quoted('time')} NULLS LAST, "
            f"{first_id}) AS {quoted('occurrence')} FROM {quoted(left)}",
        )
        alias = quoted(numbered)
        tests = [
            f"{alias}.{quoted('occurrence')} = 1",
            "(" + " OR ".join(f"{alias}.{quoted(key)} IS NOT NULL" for key in keys) + ")",
        ]
        if other is not None:
            theirs = self.over(other)
            cells = [
                f"{theirs.key(theirs.value(f), f.type)} AS {quoted(key)}"
                for f, key in zip(fields, keys, strict=True)
            ]
            right = self._add("subtracted", f"SELECT {', '.join(cells)} FROM {quoted(other.name)}")
            same = " AND ".join(
                self.dialect.same(f"{quoted(right)}.{quoted(key)}", f"{alias}.{quoted(key)}")
                for key in keys
            )
            tests.append(f"NOT EXISTS (SELECT 1 FROM {quoted(right)} WHERE {same})")
        sql = f"SELECT * FROM {alias} WHERE {' AND '.join(tests)}"
        return evolve(source, name=self._add("distinct_rows", sql))

    def _union(self, sources: list[SqlRelation]) -> SqlRelation:
        quoted = self.over_events().name
        ids = tuple(dict.fromkeys(name for source in sources for name in source.ids))
        columns: dict[Key, SqlColumn] = {}
        for source in sources:
            for key, column in source.columns.items():
                known = columns.setdefault(key, column)
                if known.form is not column.form:
                    self.findings.refuse(f"streams together whose {key[1]} are of different kinds")
        names = tuple(dict.fromkeys([*ids, "time", *(c.name for c in columns.values())]))
        parts = []
        for source in sources:
            own = self._plain_columns(source)
            cells = [
                quoted(name)
                if name in own
                else f"CAST(NULL AS {self.dialect.text}) AS {quoted(name)}"
                for name in names
            ]
            parts.append(f"SELECT {', '.join(cells)} FROM {quoted(source.name)}")
        word = self.dialect.union
        return SqlRelation(self._add("together", word.join(parts)), columns, ids)

    def _with_lookups(
        self, source: SqlRelation, lookups: Iterable[ir.Lookup]
    ) -> tuple[str, SqlWriter]:
        """What joins the groups that are looked up to a relation, and a writer for both."""
        writer = self.over(source)
        quoted = writer.name
        joins = []
        for lookup in dict.fromkeys(lookups):
            if lookup.plan.group.within is not None:
                self.findings.refuse("looking up one of several groups in time")
            groups = self.relation(lookup.plan)
            alias = quoted(f"of_{groups.name}")
            tests = [
                f"{alias}.{quoted(key)} = {writer.key(writer.value(own), theirs.type)}"
                for key, own, theirs in zip(
                    groups.group, lookup.keys, lookup.plan.group.keys, strict=True
                )
            ]
            join = f" LEFT JOIN {quoted(groups.name)} AS {alias} ON {' AND '.join(tests)}"
            if join not in joins:
                joins.append(join)
        return "".join(joins), writer

    def _lookup(self, lookup: ir.Lookup, relation: SqlRelation, prefix: str) -> SqlExpression:
        groups = self.relation(lookup.plan)
        quoted = self.over_events().name
        found = groups.columns.get((None, lookup.column))
        if found is None:
            return SqlExpression("NULL", fixed=True)
        sql = f"{quoted(f'of_{groups.name}')}.{quoted(found.name)}"
        return SqlExpression(sql, found.form, found.whole)

    def _rank(self, rank: ir.Rank, writer: SqlWriter) -> str:
        source = self.relation(rank.plan)
        inner = self.over(source)
        quoted = inner.name
        counted = self._add(
            "counted",
            f"SELECT {inner.key(inner.value(rank.of), rank.of.type)} AS {quoted('value')}, "
            f"COUNT(*) AS {quoted('rows')} FROM {quoted(source.name)} GROUP BY 1",
        )
        direction = "ASC" if rank.bottom else "DESC"
        ranked = self._add(
            "ranked",
            f"SELECT {quoted('value')}, RANK() OVER (ORDER BY {quoted('rows')} {direction}) "
            f"AS {quoted('place')} FROM {quoted(counted)} WHERE {quoted('value')} IS NOT NULL",
        )
        found = writer.value(rank.value)
        key = writer.key(found, rank.of.type)
        return (
            f"CASE WHEN {found.sql} IS NOT NULL THEN {key} IN (SELECT {quoted('value')} FROM "
            f"{quoted(ranked)} WHERE {quoted('place')} <= {rank.count}) END"
        )

    def _outside(self, value: ir.Value) -> SqlExpression:
        quoted = self.over_events().name
        match value:
            case ir.Now():
                return SqlExpression(
                    f"(SELECT {quoted('now')} FROM {quoted(self._clock())})", Form.TIME, True
                )
            case ir.Whole(aggregate, plan):
                source = self.relation(plan)
                found = self._aggregate(aggregate, self.over(source))
                return evolve(found, sql=f"(SELECT {found.sql} FROM {quoted(source.name)})")
            case ir.Parameter(name):
                self.findings.refuse(f"the unbound parameter {name}")
            case _:
                self.findings.refuse(f"the value {type(value).__name__}")

    def _clock(self) -> str:
        """The reference time: that of the last event of any kind that the log can hold."""
        if "clock" not in self.made:
            kinds = tuple(sorted(set(self.log.fieldmap.kinds())))
            views = views_of((ir.Stage(kinds, ir.Truth(True)),), self.log)
            writer = self.over_events()
            quoted = writer.name
            parts = [
                f"SELECT {self._time_text(view, writer)} AS {quoted('time text')} "
                f"FROM {quoted(self.table)} WHERE {writer.condition(view.condition)}"
                for view in views
            ]
            inner = " UNION ALL ".join(parts)
            self.made["clock"] = (
                f"SELECT MAX({writer.time(quoted('time text'))}) AS {quoted('now')} "
                f"FROM ({inner}) AS {quoted('times')}"
            )
        return "clock"

    # Outputs

    def query(self, output: ir.Output) -> Query:
        """The query of an output."""
        reason = why_empty(output.plan, self.log)
        if reason:
            self.findings.nothing(reason)
        stages = ir.as_stages(output.plan)
        if stages is not None and not with_clock(output.plan):
            text = events_query(views_of(stages, self.log), self.over_events(), self.table)
            return Query(output.name, text, tuple(sorted(self.events.read)))
        note_retention(output.plan, self.findings)
        self.needed = tuple(fields_of_plan(output.plan))
        self.raw = any(isinstance(a, ir.RawMatch | ir.RawRegex) for a in atoms_of_plan(output.plan))
        relation = self.relation(output.plan)
        quoted = self.over_events().name
        if relation.values:
            shown = [*relation.values, *relation.ids, "time"]
        else:
            shown = [*relation.ids, "time", *(c.name for c in relation.columns.values())]
        if relation.group and not relation.values:
            shown += [*relation.group]
        hidden = {"raw event"}
        cells = [quoted(name) for name in dict.fromkeys(shown) if name not in hidden]
        parts = ", ".join(f"{quoted(name)} AS ({sql})" for name, sql in self.made.items())
        text = f"WITH {parts} SELECT {', '.join(cells)} FROM {quoted(relation.name)}"
        return Query(output.name, text, tuple(sorted(self.events.read)))
