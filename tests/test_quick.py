"""The plain expressions of field maps: read without the grammar, and as the grammar reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import carengine.fieldmap
from carengine import yamltext
from carengine.diagnostics import Block, Source, Span, codes
from carengine.syntax import ast, quick
from carengine.syntax.parser import _grammatical

MAPS = Path(carengine.fieldmap.__file__).parent / "maps"


def shown(node: Any) -> Any:
    """A tree with its spans, to compare."""
    match node:
        case Span():
            return node.start, node.end
        case tuple():
            return tuple(map(shown, node))
        case _ if attrs.has(type(node)):
            names = [field.name for field in attrs.fields(type(node))]
            return type(node).__name__, tuple(shown(getattr(node, name)) for name in names)
        case _:
            return type(node), node


def agrees(text: str) -> ast.Expression | None:
    """Holds the quick reading of a text to the grammar's."""
    block = Block.of(text)
    read = quick.read(block)
    if read is not None:
        expected, found = _grammatical(block)
        assert not found, text
        assert shown(read) == shown(expected), text
    return read


PLAIN = [
    "Image",
    "`@timestamp`",
    "@timestamp",
    "Event.System.`#text`",
    "a.b.c",
    "basename(Image)",
    "f(a, g(b, 'c', -1), 2.5, null, true)",
    'choose(EventType, "INFO", null, EventType)',
    "EventID = 1",
    "EventID == 1 and Channel != 'x''y'",
    'a = "x" or b exists and not c = null',
    '(a = "x" or b exists) and c in ["x", 2, d]',
    "not (a exists)",
    "not not a exists",
    "a not in ['x']",
    "a in b",
    "x <= 3",
    "((a))",
    "a in []",
    " a = 1 ",
    "f()",
    "a = (b = c)",
]
LEFT = [
    "",
    "a + 1",
    "a < b < c",
    "a = 1 day",
    "a in 10.0.0.0/8",
    "a in [10.0.0.0/8]",
    "a in [fe80::/10]",
    "time < now",
    "contains = 1",
    "in = 1",
    "not = 1",
    "null.x = 1",
    "a contains 'x'",
    "a match 'x'",
    "a = 'x",
    "a = “x”",
    "a & b",
    "a b",
    "a in [1,]",
    "f(*)",
    "a # why",
    "x" * 20_000,
    "(" * 50 + "a" + ")" * 50,
    "not " * 50 + "a exists",
    "`a``b`",
    "1.2.3.4",
    "a = 1and b = 2",
]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_expressions_are_read(text: str) -> None:
    assert agrees(text) is not None


@pytest.mark.parametrize("text", LEFT)
def test_others_are_left_to_the_grammar(text: str) -> None:
    assert agrees(text) is None


def _scalars(node: yamltext.Node) -> list[yamltext.Scalar]:
    match node:
        case yamltext.Scalar():
            return [node]
        case yamltext.ListNode(items):
            return [found for item in items for found in _scalars(item)]
        case yamltext.Mapping(entries):
            return [found for _, item in entries for found in _scalars(item)]


@pytest.mark.parametrize("path", sorted(MAPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_maps(path: Path) -> None:
    root = yamltext.load_yaml(
        Block.whole(Source(path.name, path.read_text(encoding="utf-8"))), codes.BAD_MAP
    )
    texts = {node.text for node in _scalars(root) if isinstance(node.value, str)}
    # Titles and descriptions are no expressions, and are read or left alike.
    for text in texts:
        agrees(text)


_PIECES = st.sampled_from(
    [
        *("a", "b.c", "`x y`", "@t", "1", "2.5", "-3", '"x"', "'y''z'", "null", "true", "now"),
        *("(", ")", "[", "]", ",", ".", "=", "==", "!=", "<", ">=", "-", "f(", "1 s", "10.0.0.0/8"),
        *("and", "or", "not", "in", "exists", "contains", "match", "of", "top 3", "raw event"),
        *(" ", "\n", "#", "*", ":", "ſ", "ä"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_PIECES, max_size=12), st.booleans())
def test_any_text(pieces: list[str], spaced: bool) -> None:
    agrees((" " if spaced else "").join(pieces))


def _expressions(depth: int = 3) -> st.SearchStrategy[str]:
    atoms = st.sampled_from(["a", "b.c", "`x y`", "1", "'y'", "null", "f(a)", "g(a, 'x', 1)"])
    lists = st.lists(atoms, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    tests = st.one_of(
        st.tuples(atoms, st.sampled_from([" = ", " != ", "<", " == "]), atoms).map("".join),
        st.tuples(atoms, st.sampled_from([" in ", " not in "]), lists).map("".join),
        atoms.map(lambda atom: f"{atom} exists"),
    )
    return st.recursive(
        tests,
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map(" and ".join),
            st.lists(inner, min_size=2, max_size=3).map(" or ".join),
            inner.map(lambda text: f"not ({text})"),
            inner.map(lambda text: f"({text})"),
        ),
        max_leaves=6,
    )


@settings(max_examples=100, deadline=None)
@given(_expressions())
def test_conditions_as_maps_have_them(text: str) -> None:
    assert agrees(text) is not None
