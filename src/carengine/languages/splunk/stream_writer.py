"""Splunk's language for plans that look at more than one event: ``join``, ``streamstats``,
``stats``, ``dedup``.

See ``splunk``. CAR's fields are made with ``eval`` right behind each search, so that everything
that follows is in their names.
"""

from __future__ import annotations

from typing import assert_never

from attrs import frozen

from ... import ir
from ..lowered import EntryView
from ..reads import fields_of_plan
from ..text_writing import required_views
from ..translation import LETTERS
from .texts import listed_name, quoted, seconds
from .writer import NUMERIC, SPELLINGS, TIME, SplunkWriter


@frozen
class StreamLines:
    """The lines of a stream so far, and the names of its columns."""

    lines: tuple[str, ...]
    columns: tuple[str, ...]


class StreamWriter:
    """Writes plans that look at more than one event."""

    def __init__(self, writer: SplunkWriter) -> None:
        self.writer = writer
        self.findings = writer.findings

    def of(self, plan: ir.Plan) -> list[str]:
        """The lines of a plan."""
        return list(self._stream(plan, tuple(fields_of_plan(plan))).lines)

    def _stream(self, plan: ir.Plan, wanted: tuple[ir.Field, ...]) -> StreamLines:
        stages = ir.as_stages(plan)
        if stages is not None:
            return self._searched(stages, wanted)
        match plan:
            case ir.Filter(inner, condition, span):
                return self._filtered(inner, condition, wanted, span)
            case ir.Aggregated(group, columns):
                return self._aggregated(group, columns, wanted)
            case ir.Group():
                return self._grouped(plan, wanted)[0]
            case ir.Join():
                return self._joined(plan, wanted)
            case ir.Project(inner, columns):
                source = self._stream(inner, wanted)
                made = ", ".join(f"{quoted(c.name)}={self.writer.value(c.value)}" for c in columns)
                names = tuple(c.name for c in columns)
                table = f"| table _time {' '.join(map(listed_name, names))}"
                return StreamLines((*source.lines, f"| eval {made}", table), names)
            case ir.Assign(inner, name, value):
                source = self._stream(inner, wanted)
                line = f"| eval {quoted(name)}={self.writer.value(value)}"
                return StreamLines((*source.lines, line), (*source.columns, name))
            case ir.Difference(span=span):
                self.findings.refuse("a difference of two streams", span)
            case ir.Distinct(inner, value):
                source = self._stream(inner, wanted)
                name = value.name
                lines = (
                    f"| eval distinct_key=lower({quoted(name)})",
                    "| sort 0 _time",
                    "| dedup distinct_key",
                )
                return StreamLines((*source.lines, *lines), source.columns)
            case ir.Search() | ir.Window() | ir.Sequence() | ir.Union():
                self.findings.refuse(f"the operation {type(plan).__name__} of streams with state")
            case _:
                assert_never(plan)

    def _searched(self, stages: tuple[ir.Stage, ...], wanted: tuple[ir.Field, ...]) -> StreamLines:
        views = required_views(stages, self.writer.log, self.findings)
        lines = self.writer.search(views)
        made = []
        names = []
        for field in dict.fromkeys(ir.Field(f.name, None, f.type) for f in wanted):
            if field.name == "time" or field.name in names:
                continue
            cells: list[tuple[EntryView, ir.Value | None]] = []
            for view in views:
                assigned = dict(view.assigned).get(field.name)
                value = assigned if assigned is not None else view.entry.value(field)
                cells.append(
                    (view, None if value is None else self.writer.log.settled_value(value))
                )
            if all(value in (None, ir.Constant(None)) for _, value in cells):
                continue
            names.append(field.name)
            made.append(f"{quoted(field.name)}={self.writer.by_view(cells)}")
        if made:
            lines.append(f"| eval {', '.join(made)}")
        return StreamLines(tuple(lines), tuple(names))

    def _filtered(
        self,
        inner: ir.Plan,
        condition: ir.Condition,
        wanted: tuple[ir.Field, ...],
        span: object,
    ) -> StreamLines:
        source = self._stream(inner, wanted)
        condition = ir.rewrite_condition(condition, _as_column)
        truth = self.writer.rewriter.true_of(condition)
        text = self.writer.expressions.write(truth)
        return StreamLines((*source.lines, f"| where {text}"), source.columns)

    def _grouped(
        self, group: ir.Group, wanted: tuple[ir.Field, ...]
    ) -> tuple[StreamLines, list[str]]:
        stages: list[ir.Stage] = []
        for plan in group.plans:
            found = ir.as_stages(plan)
            if found is None:
                self.findings.refuse("a group of rows that are more than single events", group.span)
            stages += found
        source = self._searched(tuple(stages), (*wanted, *group.keys))
        keys = [f"key_{number}" for number in range(1, len(group.keys) + 1)]
        evals = ", ".join(
            f"{key}=lower({quoted(f.name)})" for key, f in zip(keys, group.keys, strict=True)
        )
        present = " AND ".join(f"isnotnull({key})" for key in keys)
        by = " ".join(keys)
        lines = [*source.lines, f"| eval {evals}", f"| where {present}", f"| sort 0 {by} _time"]
        self.findings.differs(TIME)
        self.findings.differs(SPELLINGS, group.span)
        if group.within is None:
            lines.append("| eval group_number=0")
        else:
            lines += [
                f"| streamstats current=f window=1 last(_time) AS previous BY {by}",
                f"| eval begins=if(isnull(previous) OR _time - previous > {seconds(group.within)}, 1, 0)",
                f"| streamstats sum(begins) AS group_number BY {by}",
            ]
        return StreamLines(tuple(lines), source.columns), keys

    def _aggregated(
        self, group: ir.Group, columns: tuple[ir.Column, ...], wanted: tuple[ir.Field, ...]
    ) -> StreamLines:
        source, keys = self._grouped(group, wanted)
        stats: list[str] = []
        evals: list[str] = []
        for column in columns:
            match column.value:
                case ir.Field(name):
                    stats.append(f"first({listed_name(name)}) AS {listed_name(column.name)}")
                case ir.Aggregate() as wanted_one:
                    made, before = self._aggregate(wanted_one, column.name)
                    evals += before
                    stats.append(f"{made} AS {listed_name(column.name)}")
                case _:
                    self.findings.refuse("an expression over aggregates", group.span)
        lines = list(source.lines)
        if evals:
            lines.append(f"| eval {', '.join(evals)}")
        stats.append("max(_time) AS _time")
        lines.append(f"| stats {', '.join(stats)} BY {' '.join([*keys, 'group_number'])}")
        return StreamLines(tuple(lines), tuple(column.name for column in columns))

    def _aggregate(self, wanted: ir.Aggregate, name: str) -> tuple[str, list[str]]:
        """An aggregate of ``stats``, and the fields to make for it."""
        if wanted.value is None:
            return "count", []
        if not isinstance(wanted.value, ir.Field):
            self.findings.refuse("an aggregate of an expression")
        field = "_time" if wanted.value.name == "time" else listed_name(wanted.value.name)
        match wanted.function:
            case "distinct_count":
                self.findings.differs(LETTERS)
                own = f"folded_{name}"
                return f"dc({own})", [f"{own}=lower({quoted(wanted.value.name)})"]
            case "values":
                self.findings.differs(
                    "values are sorted, and spellings that differ in case are several"
                )
                return f"values({field})", []
            case "count" | "min" | "max" | "sum":
                return f"{wanted.function}({field})", []
            case "average":
                return f"avg({field})", []
            case "standard_deviation":
                return f"stdev({field})", []
            case function:
                self.findings.refuse(f"the aggregate {function}")

    def _joined(self, join: ir.Join, wanted: tuple[ir.Field, ...]) -> StreamLines:
        names = [branch.name for branch in join.branches]
        items = join.condition.items if isinstance(join.condition, ir.And) else (join.condition,)
        pairs: dict[str, list[tuple[ir.Field, ir.Field]]] = {name: [] for name in names[1:]}
        rest: list[ir.Condition] = []
        for item in items:
            match item:
                case ir.Compare(
                    ir.Field(_, str() as s) as a,
                    ir.Relation.EQUAL,
                    ir.Field(_, str() as t) as b,
                    type_,
                ) if (
                    s in names
                    and t in names
                    and s != t
                    and type_ not in (ir.Type.TIME, ir.Type.ANY)
                ):
                    first, second = sorted((a, b), key=lambda f: names.index(f.source or ""))
                    pairs[second.source or ""].append((first, second))
                case _:
                    rest.append(item)
        self.findings.differs(
            "a subsearch of join is cut off at Splunk's limit (50,000 events)", join.span
        )
        lines: list[str] = []
        for branch in join.branches:
            if ir.as_stages(branch.plan) is None and not isinstance(branch.plan, ir.Aggregated):
                self.findings.refuse(
                    f"a join with {branch.name}, which has state itself", join.span
                )
            inner = tuple(ir.Field(f.name, None, f.type) for f in wanted)
            source = self._stream(branch.plan, inner)
            evals = [f"{quoted(branch.name + '.time')}=_time"]
            evals += [f"{quoted(f'{branch.name}.{n}')}={quoted(n)}" for n in source.columns]
            own = [*source.lines, f"| eval {', '.join(evals)}"]
            if not lines:
                lines = [*own, f"| fields {branch.name}.*"]
                continue
            found = pairs[branch.name]
            if not found:
                self.findings.refuse("a join without equal fields", join.span)
            keys = [f"join_{branch.name}_{n}" for n in range(1, len(found) + 1)]
            outer = ", ".join(
                f"{quoted(k)}={self._join_key(a)}" for k, (a, _) in zip(keys, found, strict=True)
            )
            inside = ", ".join(
                f"{quoted(k)}={self._join_key(b)}" for k, (_, b) in zip(keys, found, strict=True)
            )
            shown = " ".join([f"{branch.name}.*", *map(listed_name, keys)])
            lines.append(f"| eval {outer}")
            lines.append(f"| join type=inner max=0 {' '.join(map(listed_name, keys))} [")
            lines += [f"    {line}" for line in (*own, f"| eval {inside}", f"| fields {shown}")]
            lines.append("  ]")
        if rest:
            condition = ir.rewrite_condition(ir.conjunction(tuple(rest)), _as_column)
            truth = self.writer.rewriter.true_of(condition)
            lines.append(f"| where {self.writer.expressions.write(truth)}")
        times = ", ".join(quoted(f"{name}.time") for name in names)
        lines.append(f"| eval _time=max({times})")
        return StreamLines(tuple(lines), ())

    def _join_key(self, field: ir.Field) -> str:
        name = quoted(f"{field.source}.{field.name}")
        if field.type in NUMERIC:
            self.findings.differs(SPELLINGS)
            return f"coalesce(tonumber({name}), lower({name}))"
        self.findings.differs(LETTERS)
        return f"lower({name})"


def _as_column(value: ir.Value) -> ir.Value:
    """A column of a stream, as formulas know fields."""
    if isinstance(value, ir.Field):
        name = value.name if value.source is None else f"{value.source}.{value.name}"
        return ir.Raw(("_time" if name == "time" else name,), (), _untimed(value.type))
    return value


def _untimed(type_: ir.Type) -> ir.Type:
    return ir.Type.ANY if type_ is ir.Type.TIME else type_
