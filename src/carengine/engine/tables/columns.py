"""Columns of Arrow as lists of the values that JSON has.

A value that stands in many rows is converted once, and the rows share it: text, numbers and times
are read from the dictionary of a column's distinct values. What an Arrow type becomes is in the
table of `carengine.engine.tables`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ...jsontext import DEPTH
from ...pyvalues import plain_event
from ...values import format_time

_ROWS = 10_000
_SIGNS = {1: "b", 2: "h", 4: "i", 8: "q"}
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}


def column_values(array: Any, depth: int = 1) -> list[Any]:
    """The values of a ``pyarrow.Array``; None for what is null or not a number.

    Raises ``ValueError`` for types that are nested deeper than `jsontext.DEPTH`.
    """
    import pyarrow as pa

    if depth > DEPTH:
        raise ValueError(f"a column is nested deeper than {DEPTH} levels")
    kind, is_ = array.type, pa.types
    if isinstance(kind, pa.BaseExtensionType):
        values = column_values(array.storage, depth)
        if kind.extension_name == "arrow.uuid":
            raw = array.storage.to_pylist()
            return [None if one is None else str(uuid.UUID(bytes=one)) for one in raw]
        if kind.extension_name == "arrow.bool8":
            return [None if one is None else bool(one) for one in values]
        return values
    if is_.is_null(kind):
        return [None] * len(array)
    if is_.is_dictionary(kind):
        dictionary, indices = values_in_use(array)
        return _picked(column_values(dictionary, depth), indices)
    if is_.is_run_end_encoded(kind):
        import pyarrow.compute as pc

        return column_values(pc.run_end_decode(array), depth)
    if is_.is_string_view(kind) or is_.is_binary_view(kind):
        text = pa.large_string() if is_.is_string_view(kind) else pa.large_binary()
        return column_values(array.cast(text), depth)
    if is_.is_boolean(kind):
        found: list[Any] = array.to_pylist()
        return found
    if is_.is_floating(kind):
        return [None if one != one else one for one in array.to_pylist()]
    if is_.is_string(kind) or is_.is_large_string(kind):
        return _of_distinct(array)
    if is_.is_integer(kind):
        return _of_distinct(array)
    if is_.is_timestamp(kind):
        return _of_distinct(array)
    if is_.is_struct(kind):
        return _structs(array, depth)
    if is_.is_map(kind):
        return _maps(array, depth)
    if is_.is_list(kind) or is_.is_large_list(kind):
        return _lists(array, depth)
    if is_.is_list_view(kind) or is_.is_large_list_view(kind):
        values = column_values(array.values, depth + 1)
        parts = zip(_integers(array.offsets), _integers(array.sizes), strict=True)
        return _with_nulls(array, [values[start : start + size] for start, size in parts])
    if is_.is_fixed_size_list(kind):
        return _lists(array.cast(pa.large_list(kind.value_field)), depth)
    return _others(array)


def distinct_values(array: Any) -> list[Any]:
    """`column_values` of an array in which no value stands twice: it is not looked for repeated
    ones."""
    import pyarrow as pa

    kind, is_ = array.type, pa.types
    if is_.is_string(kind) or is_.is_large_string(kind):
        return _texts(array)
    if is_.is_integer(kind):
        numbers: list[Any] = array.to_pylist()
        return numbers
    return _times(array) if is_.is_timestamp(kind) else column_values(array)


def values_in_use(array: Any) -> tuple[Any, Any]:
    """The dictionary and the indices of a dictionary array, without the values that no row has
    where these are many: one dictionary may serve many batches."""
    if len(array.dictionary) <= len(array):
        return array.dictionary, array.indices
    encoded = array.indices.dictionary_encode()
    return array.dictionary.take(encoded.dictionary), encoded.indices


def _of_distinct(array: Any) -> list[Any]:
    encoded = array.dictionary_encode()
    return _picked(distinct_values(encoded.dictionary), encoded.indices)


def _picked(values: list[Any], indices: Any) -> list[Any]:
    """The value of each index, and None for those that are null."""
    if indices.null_count:
        # The index of a null is the last of the list.
        indices = indices.cast("int64").fill_null(len(values))
        values = [*values, None]
    return [values[place] for place in _integers(indices)]


def _integers(array: Any) -> Any:
    """The numbers of an array of integers without nulls."""
    width = array.type.bit_width // 8
    sign: Any = _SIGNS[width]
    if str(array.type).startswith("u"):
        sign = sign.upper()
    if not len(array):
        return ()
    numbers = memoryview(array.buffers()[1]).cast("B")
    first = array.offset * width
    return numbers[first : first + len(array) * width].cast(sign)


def _texts(array: Any) -> list[Any]:
    try:
        found: list[Any] = array.to_pylist()
    except UnicodeDecodeError:
        # A producer may put any bytes there.
        import pyarrow as pa

        binary = array.cast(pa.large_binary()).to_pylist()
        return [None if one is None else one.decode("utf-8", "backslashreplace") for one in binary]
    return found


def _times(array: Any) -> list[Any]:
    """Times as ISO 8601 in UTC: Arrow holds those with a zone in UTC; those without are taken as
    UTC."""
    unit = array.type.unit
    numbers = array.cast("int64").to_pylist()
    if unit == "ns":
        return [None if one is None else format_time(one // 1_000) for one in numbers]
    factor = _MICROSECONDS[unit]
    return [None if one is None else format_time(one * factor) for one in numbers]


def _structs(array: Any, depth: int) -> list[Any]:
    names = [array.type.field(place).name for place in range(array.type.num_fields)]
    parts = [column_values(part, depth + 1) for part in array.flatten()]
    rows: Any = zip(*parts, strict=True) if parts else (() for _ in range(len(array)))
    made: list[Any] = [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in rows
    ]
    return _with_nulls(array, made)


def _bounds(array: Any) -> tuple[int, int, Iterator[tuple[int, int]]]:
    """The first and the last offset of lists, and where each begins and ends after the first."""
    offsets = list(_integers(array.offsets))
    first = offsets[0] if offsets else 0
    return first, (offsets[-1] if offsets else 0), pairwise(one - first for one in offsets)


def _lists(array: Any, depth: int) -> list[Any]:
    first, last, bounds = _bounds(array)
    values = column_values(array.values.slice(first, last - first), depth + 1)
    return _with_nulls(array, [values[start:end] for start, end in bounds])


def _maps(array: Any, depth: int) -> list[Any]:
    first, last, bounds = _bounds(array)
    keys = _keys(column_values(array.keys.slice(first, last - first), depth + 1))
    items = column_values(array.items.slice(first, last - first), depth + 1)
    made = [dict(zip(keys[start:end], items[start:end], strict=True)) for start, end in bounds]
    return _with_nulls(array, made)


def _keys(keys: list[Any]) -> list[str]:
    return [
        key if isinstance(key, str) else next(iter(plain_event({_hashable(key): 0})))
        for key in keys
    ]


def _hashable(key: Any) -> Any:
    return str(key) if isinstance(key, dict | list) else key


def _with_nulls(array: Any, made: list[Any]) -> list[Any]:
    if array.null_count:
        valid = array.is_valid().to_pylist()
        return [one if there else None for one, there in zip(made, valid, strict=True)]
    return made


def _others(array: Any) -> list[Any]:
    """Decimals, dates, times of day, durations, bytes and what Arrow may have beside: by what Python
    makes of them."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_time64(kind) and kind.unit == "ns":
        array = array.cast(pa.time64("us"), safe=False)
    elif pa.types.is_duration(kind) and kind.unit == "ns":
        array = array.cast(pa.duration("us"), safe=False)
    made: list[Any] = []
    for begin in range(0, len(array), _ROWS):
        made += plain_event({"": array.slice(begin, _ROWS).to_pylist()})[""]
    return made
