"""Hypothesis strategies for what the core works on: values, events, conditions and rules.

``values()`` is what a JSON event can hold, hostile kinds included. ``conditions(leaves)`` builds
conditions of the IR over any values; ``rules()`` writes rules as text, which then go through the
whole front end. ``raw_events(fieldmap)`` makes events of a log's shape, out of the map's own
expressions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from carengine import ir
from carengine.fieldmap import Entry, FieldMap
from carengine.pattern import Pattern


def some(count: int) -> settings:
    """So many examples of a property, or as many as ``CARENGINE_FUZZ`` says."""
    return settings(max_examples=int(os.environ.get("CARENGINE_FUZZ") or count))


# Texts that patterns of the same alphabet have a fair chance to hit.
_WORDS = (
    "",
    "a.exe",
    "A.EXE",
    "b.exe",
    "lsass.dmp",
    "C:\\Windows\\System32\\cmd.exe",
    "c:\\windows\\system32\\CMD.exe",
    "C:\\\\Windows\\\\x.exe",
    "445",
    "0x1bd",
    " 445 ",
    "4.5",
    "-",
    "true",
    "10.0.0.7",
    "fe80::1",
    "FE80:0::0001",
    "2024-05-20T07:41:12.518Z",
    "2024-05-20 07:41:12",
    "1716190872",
    "ſtraße İı",
    "ΑΣ",
    "a\nb",
    "a*b?[c]",
    "\ud800lone",
    "\\",
    "CORP\\ann",
    "SHA1=AA,MD5=BB",
)
PATTERNS = (
    "a.exe",
    "*.exe",
    "?.exe",
    "lsass*.dmp",
    "C:\\Windows\\*\\cmd.exe",
    "*",
    "",
    "445",
    "44*",
    "*[*]*",
    "*\\",
    "10.0.*",
    "*σ",
    "STRASSE",
    "-",
)

texts = st.one_of(
    st.sampled_from(_WORDS),
    st.text(max_size=12),
    st.text("aA.ex\\*?[] 0", max_size=12),
    st.builds(lambda t, n: t * n, st.sampled_from(("a", "\\", "x.exe ")), st.integers(500, 2000)),
)
numbers = st.one_of(
    st.sampled_from([0, 1, 3, 11, 445, 4.5, 445.0, -1, 10**40, 2**5000, 1716190872, -0.0]),
    st.integers(-(2**70), 2**70),
    st.floats(),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)


@lru_cache
def values() -> st.SearchStrategy[Any]:
    """Any value of a JSON event; lists and mappings may be nested."""
    nested = st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(("a", "Image", "#text", "x.y", "")), inner, max_size=2),
        ),
        max_leaves=4,
    )
    return st.one_of(texts, scalars, scalars, nested)


_NETWORKS = ("10.0.0.0/8", "fe80::/10", "::1", "10.0.0.7")
_REGEXES = ("^a", "exe$", r"\\cmd", "[0-9]{3}", "σ", "")
_RELATIONS = tuple(ir.Relation)
_COMPARED = (ir.Type.TEXT, ir.Type.INTEGER, ir.Type.NUMBER, ir.Type.ADDRESS, ir.Type.ANY)


def atoms(leaves: st.SearchStrategy[ir.Value]) -> st.SearchStrategy[ir.Condition]:
    """Conditions without connectives; ``leaves`` are the values they test."""
    patterns = st.lists(
        st.builds(Pattern, st.sampled_from(PATTERNS) | texts, st.booleans()),
        min_size=1,
        max_size=3,
    ).map(tuple)
    constants = st.builds(
        ir.Constant, st.sampled_from([0, 1, 445, 4.5, "a.exe", "445", "10.0.0.7", True, None])
    )
    times = st.sampled_from([ir.Moment(1_716_190_872_518_000), ir.Moment(0)])
    return st.one_of(
        st.builds(ir.Match, leaves, patterns),
        st.builds(ir.Match, leaves, patterns),
        st.builds(ir.Regex, leaves, st.sampled_from(_REGEXES), st.booleans()),
        st.builds(ir.InNetwork, leaves, st.sampled_from(_NETWORKS).map(lambda n: (n,))),
        st.builds(ir.IsNull, leaves),
        st.builds(
            ir.Compare,
            leaves,
            st.sampled_from(_RELATIONS),
            constants | leaves,
            st.sampled_from(_COMPARED),
        ),
        st.builds(
            lambda value, relation, time: ir.Compare(_timed(value), relation, time, ir.Type.TIME),
            leaves,
            st.sampled_from(_RELATIONS),
            times,
        ),
        st.builds(ir.Occurs, leaves, leaves),
        st.builds(ir.RawMatch, patterns),
        st.builds(ir.Truth, st.sampled_from([True, False, None])),
    )


def _timed(value: ir.Value) -> ir.Value:
    match value:
        case ir.Field(name, source):
            return ir.Field(name, source, ir.Type.TIME)
        case ir.Raw(path, empty):
            return ir.Raw(path, empty, ir.Type.TIME)
        case _:
            return value


def connected(inner: st.SearchStrategy[ir.Condition]) -> st.SearchStrategy[ir.Condition]:
    """Conditions built of others."""
    items = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(ir.And, items),
        st.builds(ir.Or, items),
        st.builds(ir.Not, inner),
        st.builds(ir.IsTrue, inner),
    )


def conditions(leaves: st.SearchStrategy[ir.Value]) -> st.SearchStrategy[ir.Condition]:
    """Conditions of every kind but ranks, over these values."""
    return st.recursive(atoms(leaves), connected, max_leaves=8)


# Rules as text

_QUOTED = tuple(f"'{text}'" for text in PATTERNS)
_TEXT_FIELDS = ("exe", "image_path", "command_line", "user", "hostname")
_FILE_FIELDS = ("file_name", "file_path", "image_path", "extension", "hostname")
_FLOW_FIELDS = ("src_ip", "dest_ip", "transport_protocol", "image_path")
_NUMBERS = {"Process": ("pid", "ppid"), "File": ("pid",), "Flow": ("src_port", "dest_port")}
_TEXTS = {"Process": _TEXT_FIELDS, "File": _FILE_FIELDS, "Flow": _FLOW_FIELDS}
_KINDS = {
    "Process": ("Process:Create", "Process:*", "Process:Create,Terminate"),
    "File": ("File:Create", "(File:Create or File:Delete)", "File"),
    "Flow": ("Flow:Start", "Flow:*"),
}


@st.composite
def written_conditions(draw: st.DrawFn, noun: str, depth: int = 2) -> str:
    """A condition as a rule for an object writes it."""
    if depth and draw(st.booleans()):
        inner = written_conditions(noun, depth - 1)
        parts = draw(st.lists(inner, min_size=1, max_size=3))
        joined = draw(st.sampled_from((" and ", " or "))).join(parts)
        return draw(st.sampled_from((f"({joined})", f"not ({joined})")))
    text, other = (draw(st.sampled_from(_TEXTS[noun])) for _ in range(2))
    number = draw(st.sampled_from(_NUMBERS[noun]))
    quoted, second = (draw(st.sampled_from(_QUOTED)) for _ in range(2))
    sign = draw(st.sampled_from(("=", "!=", "<", "<=", ">", ">=")))
    amount = draw(st.sampled_from(("0", "445", "4.5", "'0x1bd'", "'445'")))
    return draw(
        st.sampled_from(
            (
                f"{text} = {quoted}",
                f"{text} != {quoted}",
                f"{text} in [{quoted}, {second}]",
                f"{text} not in [{quoted}, 10.0.0.0/8]",
                f"{text} contains {second}",
                f"{text} does not contain [{quoted}, {second}]",
                f'{text} match "exe$"',
                f"{text} exists",
                f"{text} = null",
                f"{text} != null",
                f"{text} in {other}",
                f"{text} = {other}",
                f"{number} {sign} {amount}",
                f"1 < {number} <= 500",
                f"{number} = '44*'",
                f"time {sign} '2024-05-20T07:41:12.518Z'",
                f"{number} + 1 > 2",
                '"cmd" in raw event',
            )
        )
    )


@st.composite
def rules(draw: st.DrawFn, noun: str | None = None) -> str:
    """The text of a rule without state: searches, filters, assignments, projections, outputs."""
    noun = noun or draw(st.sampled_from(sorted(_KINDS)))
    lines = [f"a = search {draw(st.sampled_from(_KINDS[noun]))}"]
    names = ["a"]
    for number in range(draw(st.integers(1, 3))):
        source = draw(st.sampled_from(names))
        name = f"s{number}"
        lines.append(f"{name} = filter {source} where {draw(written_conditions(noun))}")
        names.append(name)
        if draw(st.integers(0, 3)) == 0:
            field = draw(st.sampled_from(_NUMBERS[noun]))
            lines.append(f"{name}.{field} = {field} + 1")
    if draw(st.integers(0, 3)) == 0:
        lines.append(f"p = from {names[-1]} select hostname, {_TEXTS[noun][0]} as what")
        names.append("p")
    outputs = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    return "\n".join([*lines, "output " + ", ".join(outputs)])


# Events of a log's shape


def raw_paths(value: ir.Value) -> tuple[ir.Raw, ...]:
    """The raw fields that a value of a field map reads."""
    if isinstance(value, ir.Raw):
        return (value,)
    return tuple(raw for inner in ir.operands(value) for raw in raw_paths(inner))


def place(event: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value at the end of a path of keys, unless something else stands in the way."""
    for key in path[:-1]:
        event = event.setdefault(key, {})
        if not isinstance(event, dict):
            return
    event.setdefault(path[-1], value)


def satisfy(event: dict[str, Any], condition: ir.Condition) -> None:
    """Fill an event so that a condition of a map (``recognise``, ``when``) has a good chance to
    hold.

    The first alternative of each ``or`` is taken, the first exact text of each pattern, and
    of a function's arguments the first field.
    """
    match condition:
        case ir.And(items):
            for item in items:
                satisfy(event, item)
        case ir.Or(items) if items:
            satisfy(event, items[0])
        case ir.Not(ir.IsNull(value)):
            _fill(event, value, "x")
        case ir.Match(value, patterns):
            _fill(event, value, patterns[0].text)
        case ir.Compare(value, ir.Relation.EQUAL, ir.Constant(constant)):
            _fill(event, value, constant)


def _fill(event: dict[str, Any], value: ir.Value, wanted: Any) -> None:
    match value:
        case ir.Call("choose", (inner, *pairs)):
            # The key that gives what is wanted; without one the field itself.
            keys = [
                key.value
                for key, chosen in zip(pairs[::2], pairs[1::2], strict=False)
                if isinstance(key, ir.Constant) and chosen == ir.Constant(wanted)
            ]
            _fill(event, inner, keys[0] if keys else wanted)
        case ir.Call("first", (ir.Call("choose") as table, *_)):
            _fill(event, table, wanted)
        case _:
            found = raw_paths(value)
            if found:
                place(event, found[0].path, wanted)


@st.composite
def raw_events(draw: st.DrawFn, fieldmap: FieldMap) -> dict[str, Any]:
    """An event that one of a map's entries most likely fits, with fields of any value."""
    entry: Entry = draw(st.sampled_from(fieldmap.entries))
    event: dict[str, Any] = {}
    # What is more exact comes first: a key keeps the first value it gets.
    satisfy(event, entry.when)
    fields = [raw for value in entry.fields.values() for raw in raw_paths(value)]
    for raw in draw(st.lists(st.sampled_from(fields), max_size=8)) if fields else ():
        place(event, raw.path, draw(values()))
    satisfy(event, fieldmap.recognise)
    if draw(st.integers(0, 9)) == 0:
        key = draw(st.sampled_from(sorted(event)))
        event[key] = draw(values())
    if draw(st.integers(0, 9)) == 0:
        return {"_index": "x", "_source": event}
    return event


def shuffled(condition: ir.Condition, draw: Any) -> ir.Condition:
    """The condition with the items of every ``and`` and ``or`` in another order."""
    match condition:
        case ir.And(items):
            return ir.And(tuple(draw(st.permutations([shuffled(i, draw) for i in items]))))
        case ir.Or(items):
            return ir.Or(tuple(draw(st.permutations([shuffled(i, draw) for i in items]))))
        case ir.Not(item):
            return ir.Not(shuffled(item, draw))
        case ir.IsTrue(item):
            return ir.IsTrue(shuffled(item, draw))
        case _:
            return condition


Event = Mapping[str, Any]
