"""The columns of a batch as their distinct values, and which of them each row has.

What is asked of a value is asked once for each distinct one, and a row is looked at as a number::

    Image   ["a.exe", "b.exe", "a.exe", null]   ->   values ["a.exe", "b.exe", None]
                                                     codes  [0, 1, 0, 2]

Places in nested columns are paths of keys, as those that rules read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from typing import Any

from attrs import define, field, frozen

from ...jsontext import json_line
from .columns import column_values, distinct_values, values_in_use

Path = tuple[str, ...]

# Floats are told apart by their bits: 0.0 and -0.0 are other texts.
_BITS = {"halffloat": "int16", "float": "int32", "double": "int64"}


@frozen(eq=False)
class DistinctValues:
    """One place of a batch: its distinct values, null among them as None, and the number of the
    value of each row."""

    values: Sequence[Any]
    codes: Any
    """A ``pyarrow.Int32Array`` without nulls."""


@frozen(eq=False)
class Combination:
    """Several places of a batch together: distinct rows of them, and the number of each row's."""

    paths: tuple[Path, ...]
    rows: Sequence[tuple[Any, ...]]
    codes: Any

    def event(self, number: int) -> dict[str, Any]:
        """The part of an event that these places are, of one distinct row."""
        return part_of_event(self.paths, self.rows[number])


def part_of_event(paths: Iterable[Path], values: Iterable[Any]) -> dict[str, Any]:
    """An event that has these values at these paths; those of None are left out. A path comes after
    those it begins with.

    >>> part_of_event([("a",), ("b", "c")], [None, 1])
    {'b': {'c': 1}}
    """
    event: dict[str, Any] = {}
    for path, value in zip(paths, values, strict=True):
        if value is None:
            continue
        if len(path) == 1:
            event[path[0]] = value
            continue
        inner = event
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = value
    return event


@define(eq=False, slots=False)
class BatchColumns:
    """The columns of a batch, each looked at when it is first asked for.

    ``batch`` is a ``pyarrow.RecordBatch`` as `plain_batch` gives it.
    """

    batch: Any
    names: frozenset[str] = field(init=False)
    _arrays: dict[Path, Any] = field(factory=dict)
    _known: dict[tuple[Path, bool], DistinctValues | None] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.names = frozenset(self.batch.schema.names)

    def array(self, path: Path) -> Any:
        """The array at a path, in which what has no parent is null; None where no row has anything
        there."""
        if path not in self._arrays:
            self._arrays[path] = self._found(path)
        return self._arrays[path]

    def _found(self, path: Path) -> Any:
        import pyarrow as pa

        if len(path) == 1:
            return self.batch.column(path[0]) if path[0] in self.names else None
        parent = self.array(path[:-1])
        if parent is None or not pa.types.is_struct(parent.type):
            return None
        place = parent.type.get_field_index(path[-1])
        return None if place < 0 else parent.flatten()[place]

    @cached_property
    def numbers(self) -> Any:
        """The numbers of the rows, from 0."""
        import pyarrow as pa
        import pyarrow.compute as pc

        ones = pa.nulls(self.batch.num_rows, pa.int32()).fill_null(1)
        return pc.subtract(pc.cumulative_sum(ones), pa.scalar(1, pa.int32()))

    @cached_property
    def flat_places(self) -> tuple[Path, ...]:
        """All places that are no structs."""
        import pyarrow as pa

        waiting: list[Path] = [(name,) for name in self.batch.schema.names]
        found = []
        while waiting:
            path = waiting.pop()
            kind = self.array(path).type
            if pa.types.is_struct(kind):
                waiting += [(*path, kind.field(n).name) for n in range(kind.num_fields)]
            else:
                found.append(path)
        return tuple(found)

    @cached_property
    def all_names(self) -> bytes:
        """The names of all columns and of the members of their structs, as JSON."""
        return json_line(sorted({name for path in self.flat_places for name in path}))

    def members(self, path: Path) -> list[Path]:
        """The places right below a struct whose values are texts or numbers wherever they are not
        null."""
        import pyarrow as pa

        array = self.array(path) if self.place(path) == path else None
        if array is None or not pa.types.is_struct(array.type):
            return []
        kinds = [array.type.field(place) for place in range(array.type.num_fields)]
        is_ = pa.types
        sure = (is_.is_string, is_.is_large_string, is_.is_integer, is_.is_boolean)
        return [(*path, one.name) for one in kinds if any(test(one.type) for test in sure)]

    def texts(self, path: Path) -> Callable[[int, int], bytes] | None:
        """What gives the texts of some rows at a place, one after the other, in UTF-8; None for
        what is no column of texts."""
        import pyarrow as pa

        array = self.array(path)
        if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
            return None
        _, offsets, data = array.buffers()
        if offsets is None or data is None:
            return lambda first, end: b""
        places = memoryview(offsets).cast("i" if pa.types.is_string(array.type) else "q")
        before, texts = array.offset, memoryview(data)
        return lambda first, end: bytes(texts[places[before + first] : places[before + end]])

    def place(self, path: Path) -> Path | None:
        """Where what a path leads to is known by: the path itself, or a column before it that is no
        struct; None where no row has anything there."""
        import pyarrow as pa

        for end in range(1, len(path) + 1):
            array = self.array(path[:end])
            if array is None:
                return None
            if end < len(path) and not pa.types.is_struct(array.type):
                # Text and numbers have nothing below them; lists and maps are one value each.
                return path[:end] if pa.types.is_nested(array.type) else None
        return path

    def places(self, paths: Iterable[Path]) -> tuple[Path, ...]:
        """The places of some paths, each once, a place after those that it is below of."""
        return tuple(sorted({p for path in paths if (p := self.place(path)) is not None}))

    def distinct(self, path: Path, *, whole: bool = False) -> DistinctValues:
        """The values at a place.

        Of a struct it is told that it is there, by an empty mapping; the ``whole`` one where that
        is asked for.
        """
        known = self._known.get((path, whole))
        if known is None:
            known = self._known[path, whole] = _distinct(self.array(path), whole=whole)
            assert known is not None
        return known

    def combined(
        self, paths: Iterable[Path], whole: Collection[Path] = (), rows: Any = None
    ) -> Combination:
        """Some paths together, of all rows or of those of these numbers, in their order."""
        import pyarrow as pa
        import pyarrow.compute as pc

        places = self.places(paths)
        count = self.batch.num_rows if rows is None else len(rows)
        made: list[tuple[Any, ...]] = [()]
        codes = pa.nulls(count, pa.int32()).fill_null(0)
        for path in places:
            one = self.distinct(path, whole=path in whole)
            own = one.codes if rows is None else one.codes.take(rows)
            if len(made) == 1:
                encoded = own.dictionary_encode()
                pairs = [(made[0], code) for code in encoded.dictionary.to_pylist()]
            else:
                size = len(one.values)
                both = pc.add(pc.multiply(codes.cast(pa.int64()), size), own.cast(pa.int64()))
                encoded = both.dictionary_encode()
                pairs = [
                    (made[code // size], code % size) for code in encoded.dictionary.to_pylist()
                ]
            values = one.values
            made = [(*before, values[code]) for before, code in pairs]
            codes = encoded.indices
        return Combination(places, made, codes)


def rows_at(batch: Any, rows: Sequence[int]) -> list[dict[str, Any]]:
    """The events of rows of these numbers."""
    import pyarrow as pa

    return rows_of(batch.take(pa.array(rows, pa.int32())))


def rows_of(batch: Any) -> list[dict[str, Any]]:
    """The events of all rows of a batch: what is null is left out."""
    names = batch.schema.names
    columns = [column_values(column) for column in batch.columns]
    rows: Any = zip(*columns, strict=True) if columns else (() for _ in range(batch.num_rows))
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in rows
    ]


def _distinct(array: Any, *, whole: bool) -> DistinctValues:
    import pyarrow as pa

    kind, is_ = array.type, pa.types
    if is_.is_struct(kind) and not whole:
        codes = array.is_null().cast(pa.int32())
        return DistinctValues(({}, None), codes)
    if isinstance(kind, pa.BaseExtensionType):
        return _encoded(array.storage, lambda found: _extended(kind, found))
    if is_.is_dictionary(kind):
        return _of_dictionary(array)
    if bits := _BITS.get(str(kind)):
        return _encoded(array.view(bits), lambda found: column_values(found.view(kind)))
    if is_.is_null(kind) or is_.is_nested(kind) or is_.is_run_end_encoded(kind):
        return _by_text(column_values(array))
    return _encoded(array, distinct_values)


def _extended(kind: Any, storage: Any) -> list[Any]:
    import pyarrow as pa

    return column_values(pa.ExtensionArray.from_storage(kind, storage))


def _encoded(array: Any, values_of: Callable[[Any], list[Any]]) -> DistinctValues:
    import pyarrow as pa

    try:
        encoded = array.dictionary_encode()
    except pa.ArrowNotImplementedError:
        return _by_text(values_of(array))
    values = values_of(encoded.dictionary)
    return DistinctValues([*values, None], encoded.indices.cast(pa.int32()).fill_null(len(values)))


def _of_dictionary(array: Any) -> DistinctValues:
    """A column that is a dictionary already. It may be one of many more values than a batch has."""
    import pyarrow as pa

    dictionary, indices = values_in_use(array)
    values = column_values(dictionary)
    codes = indices.cast(pa.int64()).fill_null(len(values)).cast(pa.int32())
    return DistinctValues([*values, None], codes)


def _by_text(values: list[Any]) -> DistinctValues:
    """Lists and mappings, told apart as JSON: 1, 1.0 and true are three there."""
    import pyarrow as pa

    numbers: dict[bytes | None, int] = {}
    found: list[Any] = []
    codes = []
    for value in values:
        text = None if value is None else json_line(value)
        number = numbers.get(text)
        if number is None:
            number = numbers[text] = len(found)
            found.append(value)
        codes.append(number)
    return DistinctValues(found, pa.array(codes, pa.int32()))


def plain_batch(batch: Any) -> Any | None:
    """A batch in types that all of Arrow's functions know; None where it has columns whose rows are
    better looked at one by one: mappings with keys of their own, and types nested too deeply."""
    import pyarrow as pa

    arrays, changed = [], False
    for array in batch.columns:
        kind = _plain_type(array.type, 1)
        if kind is None:
            return None
        if kind != array.type:
            array = array.cast(kind)
            changed = True
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names) if changed else batch


# Types that are nested deeper are looked at row by row.
_DEEPEST = 16


def _plain_type(kind: Any, depth: int) -> Any:
    import pyarrow as pa

    is_ = pa.types
    if is_.is_map(kind) or depth > _DEEPEST:
        return None
    if is_.is_string_view(kind):
        return pa.large_string()
    if is_.is_binary_view(kind):
        return pa.large_binary()
    if is_.is_run_end_encoded(kind):
        return _plain_type(kind.value_type, depth + 1)
    if is_.is_struct(kind):
        fields = [kind.field(place) for place in range(kind.num_fields)]
        names = [one.name for one in fields]
        types = [_plain_type(one.type, depth + 1) for one in fields]
        if None in types or len(set(names)) < len(names):
            return None
        return pa.struct([one.with_type(type_) for one, type_ in zip(fields, types, strict=True)])
    return kind


def member_names(kind: Any, name: str) -> Iterable[str]:
    """The name of a column and those of all members of its structs."""
    import pyarrow as pa

    yield name
    if pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            one = kind.field(place)
            yield from member_names(one.type, one.name)
