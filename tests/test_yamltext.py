"""YAML with positions: types, places of characters, limits, hostile texts."""

from __future__ import annotations

import datetime
import doctest
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from carengine import yamltext
from carengine.diagnostics import Block, CarError, Source, codes
from carengine.yamltext import (
    ListNode,
    Mapping,
    Node,
    Scalar,
    YamlLimits,
    kind_of,
    load_yaml,
    plain,
)

SHARED = Path(__file__).parents[1].parent / "shared"
LOADERS = [yaml.SafeLoader] + ([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])


def load(text: str) -> Node:
    return load_yaml(Block.of(text, "x.yaml"), codes.BAD_FRONT_MATTER)


def refusal(text: str, **limits: int) -> CarError:
    with pytest.raises(CarError) as caught:
        load_yaml(Block.of(text, "x.yaml"), codes.BAD_FRONT_MATTER, limits=YamlLimits(**limits))
    return caught.value


def scalars(node: Node) -> Iterator[Scalar]:
    match node:
        case Scalar():
            yield node
        case ListNode(items):
            for item in items:
                yield from scalars(item)
        case Mapping(entries):
            for key, value in entries:
                yield key
                yield from scalars(value)


@pytest.fixture(params=LOADERS, ids=lambda loader: loader.__name__)
def _each_loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamltext, "_LOADER", request.param)


def reference(text: str) -> Any:
    """What PyYAML makes of a text, with the loader in use: the two differ about tabs."""
    return yaml.load(text, Loader=yamltext._LOADER)


each_loader = pytest.mark.usefixtures("_each_loader")

# Values


@each_loader
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing\n", None),
        ("~", None),
        ("x", "x"),
        ("'1'", "1"),
        ("1", 1),
        ("-1_000", -1000),
        ("0x1F", 31),
        ("017", 15),
        ("0b101", 5),
        ("0x_", "0x_"),
        ("018", "018"),
        ("1.10", 1.1),
        ("-.inf", float("-inf")),
        ("1e3", "1e3"),  # YAML 1.1 wants a point
        ("9" * 5000, "9" * 5000),  # more digits than Python reads
        ("yes", True),
        ("Off", False),
        ("nO", "nO"),
        ("12:30", "12:30"),
        ("2019-08-01", "2019-08-01"),
        ("2019-08-01 10:00:00", "2019-08-01 10:00:00"),
        ("<<: 1", {"<<": 1}),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!int '1'", 1),
        ("!!float 1", 1.0),
        ("!!map {}", {}),
        ("a: &anchor 1", {"a": 1}),
        ("a:\n- b: [1, {c: d}]\n-\n", {"a": [{"b": [1, {"c": "d"}]}, None]}),
        ("--- a\n...\n", "a"),
        ("\ufeffa: b", {"a": "b"}),
        ("a: |\r\n  x\r\n  y\r\n", {"a": "x\ny\n"}),
    ],
)
def test_values(text: str, value: Any) -> None:
    read = plain(load(text))
    assert read == value
    assert type(read) is type(value)


def test_numbers_keep_their_text() -> None:
    node = load("v: 1.10")
    assert isinstance(node, Mapping)
    version = node.get("v")
    assert isinstance(version, Scalar)
    assert (version.value, version.text, version.text_block.span(2, 4).text) == (1.1, "1.10", "10")
    assert node.get("w") is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{}", "a mapping"),
        ("[]", "a list"),
        ("", "nothing"),
        ("yes", "true or false"),
        ("1.5", "a number"),
        ("a", "text"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    assert kind_of(load(text)) == kind


_PLAIN = st.text(alphabet="0123456789+-._abcdefxonNyYeEfsltru:~ ", max_size=8)


@given(_PLAIN)
def test_plain_scalars_have_the_types_of_pyyaml(text: str) -> None:
    try:
        expected = reference(f"k: {text}\n")
    except (yaml.YAMLError, ValueError):
        return
    value = plain(load(f"k: {text}\n"))
    if isinstance(expected, dict) and set(expected) == {"k"}:
        expected, value = expected["k"], value["k"]
        if isinstance(expected, datetime.date) or re.search("[0-9]:[0-9]", text):
            assert isinstance(value, str)
            return
    assert value == expected or value != value  # or both not a number
    assert type(value) is type(expected)


# Spans


def test_spans() -> None:
    text = "a: 'x y'  # c\nb:\n  - 1\n  - {c: d }\n\ne: |\n  x\n\n  y\n\n# end\nf: >-\n  z\n"
    node = load(text)
    assert isinstance(node, Mapping)
    assert [value.span.text for _, value in node.entries] == [
        "'x y'",
        "- 1\n  - {c: d }",
        "|\n  x\n\n  y",
        ">-\n  z",
    ]
    assert [key.span.line for key, _ in node.entries] == [1, 2, 6, 12]
    assert node.span.text == text.strip()


def test_spans_of_a_text_inside_another() -> None:
    source = Source("x.car", "---\nid: 'A'\n---\ncode\n")
    node = load_yaml(Block(source, source.text[4:12], range(4, 13)), codes.BAD_FRONT_MATTER)
    assert isinstance(node, Mapping)
    value = node.get("id")
    assert isinstance(value, Scalar)
    assert (value.span.line, value.span.column, value.span.text) == (2, 5, "'A'")
    assert value.text_block.span(0, 1).column == 6


# The places of characters


def exactly_placed(block: Block, escapes: str = "") -> bool:
    """Every character stands where the block says: itself, a folded break, or the start of an
    escape."""
    source = block.source.text
    return all(
        source[at] == character
        or (character == " " and source[at] in "\n\r\x85")
        or (character == "\n" and source[at] in "\r\x85")
        or source[at] in escapes
        for character, at in zip(block.text, block.offsets, strict=False)
    )


@each_loader
@pytest.mark.parametrize(
    ("text", "value", "offsets"),
    [
        ("k: abc", "abc", [3, 4, 5, 6]),
        ("k: 'a''b'", "a'b", [4, 5, 7, 8]),
        ("k: ''", "", [4]),
        ('k: "a\\n\\x41\\u00e9b"', "a\nAéb", [4, 5, 7, 11, 17, 18]),
        ('k: "a\\\n   b"', "ab", [4, 10, 11]),
        ('k: "a\\\n\n  \\ b"', "a\n b", [4, 7, 10, 12, 13]),
        ("k: 'a  \n  b\n\n  c'", "a b\nc", [4, 7, 10, 12, 15, 16]),
        ("k: a\n  b", "a b", [3, 4, 7, 8]),
        ("k: |\n  a\n\n    b\n", "a\n\n  b\n", [7, 8, 9, 12, 13, 14, 15, 16]),
        ("k: |-  # c\n  a\n\nj: 1", "a", [13, 14]),
        ("k: |+\n  a\n\n", "a\n\n", [8, 9, 10, 11]),
        ("k: |2\n    a\n", "  a\n", [8, 9, 10, 11, 12]),
        ("k: |\n  a", "a", [7, 8]),
        ("k: |\r\n  a\r\n  b\r\n", "a\nb\n", [8, 10, 13, 15, 16]),
        ("k: >\n  a\n  b\n\n  c\n   d\n  e\nj: 1", "a b\nc\n d\ne\n",
         [7, 8, 11, 13, 16, 17, 20, 21, 22, 25, 26, 27]),
        ("k: >\n\n  a\n", "\na\n", [5, 8, 9, 10]),
    ],
)  # fmt: skip
def test_places(text: str, value: str, offsets: list[int]) -> None:
    node = load(text)
    assert isinstance(node, Mapping)
    scalar = node.get("k")
    assert isinstance(scalar, Scalar)
    assert scalar.text_block.text == value == scalar.value
    assert list(scalar.text_block.offsets) == offsets


_TEXT = st.text(
    alphabet=st.sampled_from("ab'\"\\: #-*é\u2028\U0001f600\n\n \t,[]{}|>%@")
    | st.characters(codec="utf-8"),
    max_size=40,
)


@each_loader
@settings(max_examples=60, suppress_health_check=[], deadline=None)
@given(st.data())
def test_every_character_has_its_place_in_every_style(data: st.DataObject) -> None:
    # The fixture that picks the loader holds for all examples of a test.
    text = data.draw(_TEXT)
    style = data.draw(st.sampled_from(["", "'", '"', "|", ">"]))
    width = data.draw(st.sampled_from([10, 80, 10_000]))
    unicode = data.draw(st.booleans())
    document = yaml.dump(
        [{"k": text}, "after"], default_style=style, width=width, allow_unicode=unicode
    )
    try:
        expected = reference(document)[0]["k"]
    except yaml.YAMLError:
        return  # PyYAML writes some texts that it does not read
    scalar = next(item for item in scalars(load(document)) if item.value == "k")
    value = list(scalars(load(document)))[1]
    assert scalar.text == "k"
    block = value.text_block
    assert block.text == expected == value.value
    assert len(block.offsets) == len(block.text) + 1
    assert list(block.offsets) == sorted(block.offsets)
    assert exactly_placed(block, escapes="'\\")


_LINES = st.lists(
    st.sampled_from(["", "a", "  b", " ", "   ", "\tc", "d e ", "# f", "- g"]), max_size=7
)


@each_loader
@settings(deadline=None)
@given(_LINES, st.sampled_from("|>"), st.sampled_from(["", "-", "+", "2", "2-", "+2"]),
       st.sampled_from(["\n", "\r\n"]), st.booleans())  # fmt: skip
def test_block_scalars_written_by_hand(
    lines: list[str], style: str, header: str, end: str, more: bool
) -> None:
    text = end.join([f"k: {style}{header}", *(f"  {line}" for line in lines)] + ["j: 1"] * more)
    try:
        expected = reference(text)
    except yaml.YAMLError:
        refusal(text)
        return
    node = load(text)
    assert plain(node) == expected
    for scalar in scalars(node):
        assert exactly_placed(scalar.text_block)
        assert list(scalar.text_block.offsets) == sorted(scalar.text_block.offsets)


@given(st.text(alphabet="ab:-?|>[]{}&*!#'\"%@,\\ \n\t\r\x85", max_size=60))
@settings(deadline=None, max_examples=200)
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        node = load(text)
    except CarError:
        assert all(item.span and item.code.id == "CE302" for item in refusal(text).diagnostics)
        return
    for scalar in scalars(node):
        assert len(scalar.text_block.offsets) == len(scalar.text) + 1
        assert max(scalar.text_block.offsets) <= len(text)


@each_loader
def test_published_analytics_are_placed_exactly() -> None:
    files = sorted((SHARED / "car" / "analytics").glob("*.yaml"))
    if not files:
        pytest.skip("the published analytics are not here")
    for path in files[::4]:
        node = load(path.read_text(encoding="utf-8"))
        for scalar in scalars(node):
            assert exactly_placed(scalar.text_block, escapes="'\\"), (path.name, scalar)


# What is refused


@each_loader
@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: b: c", 1, 5, "mapping values"),
        ("a: 1\n\tb: 2", 2, 1, ""),
        ("a: [1", 1, 6, "expected"),
        ("a: 'x", 1, 6, "unexpected end of stream"),
        ("a: *x", 1, 4, "alias *x"),
        ("a: &x 1\nb: *x", 2, 4, "alias *x"),
        ("b:\n  a: 1\n  a: 2", 3, 3, '"a" is there twice'),
        ("1: a\n0x1: b", 2, 1, "is there twice"),
        ("? [a]\n: 1", 1, 3, "a key is a list"),
        ("a: !!python/object:os.system x", 1, 4, "python/object"),
        ("a: !!set {}", 1, 4, "set"),
        ("a: !x {}", 1, 4, "!x"),
        ("a: !!int x", 1, 4, "is not of its tag"),
        ("a: !!null 1", 1, 4, "is not of its tag"),
        ("a\n--- b", 2, 1, "second document"),
        ("a: \x00", 1, 4, "U+0000"),
        ("é: \ud800", 1, 4, "U+D800"),
    ],
)
def test_refusals(text: str, line: int, column: int, words: str) -> None:
    [found, *_] = refusal(text).diagnostics
    assert found.span is not None
    assert words in found.message
    assert (found.span.line, found.span.column) == (line, column)


def test_all_that_is_wrong_is_told() -> None:
    error = refusal("a: 1\na: 2\nb: *x\nc: !y z\nd: [")
    assert [item.span and item.span.line for item in error.diagnostics] == [2, 3, 4, 5]
    assert error.diagnostics[0].labels[0].span.line == 1


@pytest.mark.parametrize(
    ("text", "limits", "words"),
    [
        ("[" * 100_000, {}, "64 levels"),
        ("- " * 100_000, {}, "64 levels"),
        ("{a: " * 100_000, {}, "64 levels"),
        ("[[[]]]", {"depth": 2}, "2 levels"),
        ("[1, 2, 3]", {"nodes": 3}, "3 values"),
        ("abc", {"characters": 2}, "2 characters"),
        ("- *a\n" * 10_000, {}, "too many things"),
        ("a: &a [1,1]\nb: &b [*a,*a]\nc: [*b,*b]", {}, "alias"),
    ],
    ids=lambda value: value[:6] if isinstance(value, str) else "",
)
def test_hostile_texts(text: str, limits: dict[str, int], words: str) -> None:
    messages = [item.message for item in refusal(text, **limits).diagnostics]
    assert any(words in message for message in messages), messages


def test_the_depth_that_libyaml_stops_at_is_told_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """As libyaml 0.2.6 says it, whichever is installed: it looks ahead, and stops before we have
    counted to 64."""

    def stops(text: str, Loader: Any) -> Iterator[Any]:  # noqa: N803 (PyYAML's name)
        mark = yaml.Mark("", 1000, 0, 1000, None, 0)
        raise yaml.scanner.ScannerError(
            "while increasing flow level", mark, "exceeded maximum nesting depth", mark
        )
        yield

    monkeypatch.setattr(yaml, "parse", stops)
    [found] = refusal("[" * 2000).diagnostics
    assert found.message == "nested more than 64 levels deep"
    assert found.span is not None
    assert found.span.column == 1001
    [found] = refusal("[" * 2000, depth=5000).diagnostics
    assert found.message == "nested more than 1000 levels deep"


def test_the_examples_in_the_text() -> None:
    assert doctest.testmod(yamltext).failed == 0
