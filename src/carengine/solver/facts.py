"""What is known of the rows of a plan before a condition is put to them.

``Facts`` answers from the plan and the data model: which fields hold a base name, which may hold
several values, which are always null, which are at least some number. ``context`` gives the
conditions that every row has passed already, with the fields named as the plan's rows name them::

    a = search Process:Create            exe is a base name
    b = filter a where exe = "cmd.exe"   … and every row of b has passed exe = "cmd.exe"
    c = from b select exe as name        … which rows of c call name = "cmd.exe"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import assert_never

from attrs import evolve, field, frozen

from .. import ir
from ..datamodel import DataModel, FieldSpec, model

_MAX_WORLDS = 16


@frozen
class Facts:
    """What is known of the fields of a plan's rows.

    ``world`` is the object that all events are taken to be of; None where it does not matter. With
    ``plain`` values are texts, numbers and the like: no mappings, and no empty texts unless
    ``blank``. ``lists`` are the only native fields, by name, that may hold several values; None
    where nothing is known of them. ``counts`` are native fields, by name, that hold whole numbers.
    """

    plan: ir.Plan
    datamodel: DataModel = field(factory=model)
    world: str | None = None
    plain: bool = False
    blank: bool = False
    lists: frozenset[str] | None = None
    counts: frozenset[str] = frozenset()

    def worlds(self) -> Iterator[Facts]:
        """The same facts for one object after the other, where the rows are events of several."""
        objects = tuple(name for name in _objects(self.plan) if name in self.datamodel.objects)
        if 1 < len(objects) <= _MAX_WORLDS:
            for name in objects:
                yield evolve(self, world=name)
        else:
            yield self

    def always_null(self, value: ir.Value) -> bool:
        """Whether no row has the field."""
        return any(self._is_null(plan, found) for plan, found in self._origins(value))

    def base_name(self, value: ir.Value) -> bool:
        """Whether the field holds the last part of a path."""
        specs = self.specs(value)
        return bool(specs) and all(spec.base_name_of is not None for spec in specs)

    def path_field(self, value: ir.Value) -> str | None:
        """The field that holds the path whose last part this one is."""
        for plan, found in self._origins(value):
            for spec in self._specs(plan, found):
                return spec.base_name_of
        return None

    def specs(self, value: ir.Value) -> list[FieldSpec]:
        """What the data model says of the field, once for each object that its rows can be of."""
        return [spec for plan, found in self._origins(value) for spec in self._specs(plan, found)]

    def several(self, value: ir.Value) -> bool:
        """Whether the field may hold several values at once."""
        origins = list(self._origins(value))
        if not origins:
            # Nothing is known of it: a value of another kind, or a column of a union.
            return self.lists is None or (isinstance(value, ir.Field) and value.name in self.lists)
        return any(
            (isinstance(found, ir.Aggregate) and found.function == "values")
            or not isinstance(found, ir.Field | ir.Aggregate)
            or (isinstance(found, ir.Field) and "." in found.name)
            for _, found in origins
        )

    def never_null(self, value: ir.Value) -> bool:
        """Whether every row has it: a count."""
        return any(_is_count(found) for _, found in self._origins(value))

    def whole(self, value: ir.Value) -> bool:
        """Whether the value has no fraction: a count, or a field that the model says is whole."""
        if isinstance(value, ir.Field) and (
            value.name in self.counts or self.least(value) is not None
        ):
            return True
        specs = self.specs(value)
        return bool(specs) and all(spec.type is ir.Type.INTEGER for spec in specs)

    def least(self, value: ir.Value) -> int | None:
        """A number that the value is never below."""
        for _, found in self._origins(value):
            if _is_count(found):
                assert isinstance(found, ir.Aggregate)
                return 1 if found.value is None else 0
        return None

    def _origins(self, value: ir.Value) -> Iterator[tuple[ir.Plan, ir.Value]]:
        """Where a field of the rows comes from: the plan and the value there.

        Of the native fields of a log source nothing is known: they have no origin.
        """
        if isinstance(value, ir.Field):
            for plan, found in _origin(self.plan, value):
                if self._is_known(plan):
                    yield plan, found

    def _is_known(self, plan: ir.Plan) -> bool:
        if not isinstance(plan, ir.Search):
            return True
        return all(kind.object in self.datamodel.objects for kind in plan.kinds)

    def _specs(self, plan: ir.Plan, value: ir.Value) -> list[FieldSpec]:
        if not isinstance(plan, ir.Search) or not isinstance(value, ir.Field):
            return []
        names = [self.world] if self.world is not None else _objects(plan)
        found = [self.datamodel.objects[name].field(value.name) for name in names]
        return [spec for spec in found if spec is not None]

    def _is_null(self, plan: ir.Plan, value: ir.Value) -> bool:
        match value:
            case ir.Constant(None):
                return True
            case ir.Field() if isinstance(plan, ir.Search):
                return not self._specs(plan, value)
            case _:
                return False


def _is_count(value: ir.Value) -> bool:
    return isinstance(value, ir.Aggregate) and value.function in ("count", "distinct_count")


def _objects(plan: ir.Plan) -> tuple[str, ...]:
    """The objects whose events a plan's rows are; none where rows are made of something else."""
    match plan:
        case ir.Search(kinds):
            return tuple(dict.fromkeys(kind.object for kind in kinds))
        case ir.Filter(inner) | ir.Assign(inner) | ir.Project(inner) | ir.Distinct(inner):
            return _objects(inner)
        case ir.Difference(left):
            return _objects(left)
        case ir.Join() | ir.Group() | ir.Aggregated() | ir.Window() | ir.Union():
            return ()
        case ir.Sequence():
            return ()
        case _:
            assert_never(plan)


def _origin(plan: ir.Plan, wanted: ir.Field) -> Iterator[tuple[ir.Plan, ir.Value]]:
    match plan:
        case ir.Search():
            yield plan, wanted
        case ir.Filter(inner) | ir.Distinct(inner) | ir.Difference(inner):
            yield from _origin(inner, wanted)
        case ir.Assign(inner, name, value) if wanted.source is None:
            if name == wanted.name:
                yield from _origin_of_value(inner, value)
            else:
                yield from _origin(inner, wanted)
        case ir.Project(inner, columns):
            yield from _origin_of_column(inner, columns, wanted)
        case ir.Aggregated(ir.Group((inner,)), columns):
            yield from _origin_of_column(inner, columns, wanted)
        case ir.Group((inner,), keys) if any(key.name == wanted.name for key in keys):
            yield from _origin(inner, wanted)
        case ir.Join(branches) if wanted.source is not None:
            first, _, rest = wanted.source.partition(".")
            for branch in branches:
                # Names of branches may hold dots themselves; then nothing is said.
                if branch.name == first:
                    yield from _origin(branch.plan, evolve(wanted, source=rest or None))
        case ir.Assign() | ir.Join() | ir.Group() | ir.Aggregated() | ir.Window() | ir.Union():
            # Nothing is said of them.
            return
        case ir.Sequence():
            return
        case _:
            assert_never(plan)


def _origin_of_value(plan: ir.Plan, value: ir.Value) -> Iterator[tuple[ir.Plan, ir.Value]]:
    if isinstance(value, ir.Field):
        yield from _origin(plan, value)
    else:
        yield plan, value


def _origin_of_column(
    plan: ir.Plan, columns: tuple[ir.Column, ...], wanted: ir.Field
) -> Iterator[tuple[ir.Plan, ir.Value]]:
    for column in columns:
        if column.name == wanted.name:
            yield from _origin_of_value(plan, column.value)
            return
    if wanted.name == "time":
        yield plan, wanted


# What rows have passed already


def context(plan: ir.Plan) -> tuple[ir.Condition, ...]:
    """Conditions that are true of every row of a plan."""
    match plan:
        case ir.Filter(inner, condition):
            return (*context(inner), condition)
        case ir.Assign(inner, name):
            return tuple(c for c in context(inner) if not _reads(c, name))
        case ir.Distinct(inner) | ir.Difference(inner):
            return context(inner)
        case ir.Project(inner, columns):
            names = {
                column.value.name: column.name
                for column in columns
                if isinstance(column.value, ir.Field) and column.value.source is None
            }
            names.setdefault("time", "time")
            return _renamed(context(inner), names)
        case ir.Aggregated(ir.Group((inner,), keys), columns):
            kept = {key.name for key in keys}
            names = {
                column.value.name: column.name
                for column in columns
                if isinstance(column.value, ir.Field) and column.value.name in kept
            }
            return _renamed(context(inner), names)
        case ir.Join(branches, condition):
            found = [
                ir.rewrite_condition(passed, _under(branch.name))
                for branch in branches
                for passed in context(branch.plan)
                if _movable(passed)
            ]
            return (*found, condition)
        case ir.Aggregated() | ir.Search() | ir.Group() | ir.Window() | ir.Union():
            # Nothing is said of them.
            return ()
        case ir.Sequence():
            return ()
        case _:
            assert_never(plan)


def _reads(condition: ir.Condition, name: str) -> bool:
    return any(f.name == name for f in ir.fields_of(condition)) or not _movable(condition)


def _movable(condition: ir.Condition) -> bool:
    """Whether the condition speaks of nothing but plain fields, so that these can be renamed."""
    return all(
        not isinstance(atom, ir.Rank)
        and not ir.reads_raw_event(atom)
        and all(map(_is_plain, ir.values_of(atom)))
        for atom in ir.atoms(condition)
    )


def _is_plain(value: ir.Value) -> bool:
    return not any(
        isinstance(leaf, ir.Whole | ir.Lookup | ir.Aggregate) for leaf in ir.values_in(value)
    )


def _renamed(
    conditions: tuple[ir.Condition, ...], names: dict[str, str]
) -> tuple[ir.Condition, ...]:
    def change(value: ir.Value) -> ir.Value:
        if isinstance(value, ir.Field):
            return evolve(value, name=names[value.name])
        return value

    return tuple(
        ir.rewrite_condition(condition, change)
        for condition in conditions
        if _movable(condition)
        and all(f.source is None and f.name in names for f in ir.fields_of(condition))
    )


def _under(branch: str) -> Callable[[ir.Value], ir.Value]:
    def change(value: ir.Value) -> ir.Value:
        if isinstance(value, ir.Field):
            source = branch if value.source is None else f"{branch}.{value.source}"
            return evolve(value, source=source)
        return value

    return change
