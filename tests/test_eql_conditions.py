"""Conditions as EQL, with case heeded and ignored: run by the ``eql`` package over hostile values,
and read back by our readers of both dialects."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carengine import ir
from carengine.diagnostics import Block
from carengine.engine import Engine
from carengine.evaluate import NoContext, RawRow, holds
from carengine.languages.eql.reader import read, read_elastic
from carengine.languages.eql.writer import EqlTarget, EqlWriter
from carengine.languages.reading import as_rule, native_map
from carengine.languages.translation import Findings, Query, Translation, Untranslatable
from carengine.pattern import Pattern
from running import run_eql
from strategies import some as examples

A = ir.Raw(("a",))
# None ends in a newline: the package's wildcards take it for the end.
VALUES = [
    *("", "a", "A", "aA", "a.exe", "A.EXE", "xa.exe", "a.exe ", "\na.exe", "a\nb", "A\nB"),
    *("C:\\A\\b.exe", "c:\\a\\B.EXE", 'a"b', "a*b", "A*B", "a?b", "a(b", "(?-i:a)", "[a]", "a]"),
    *("\\", "\\\\", "a\\", "%a%", "1", "1a", "\tA"),
]
PATTERNS = [
    *("a", "A", "*a*", "*A*", "a.exe", "*.exe", "*.EXE", "?.exe", "a?b", "A[*]b", "a[*]b", "*"),
    *(
        "",
        "?",
        "*\\B.*",
        "*\\b.*",
        'a"*',
        "*(*",
        "[[]a]",
        "(?-i:a)",
        "1",
        "1*",
        "*\n*",
        "\\",
        "a\\",
    ),
]
REGEXES = [
    *("a", "^a", "a$", "^A$", r"\.exe$", r"\.EXE\z", "^(?:a|B)", "a|B", "[a-z]B", "[^a]", r"\\[aA]"),
    *("(a)(b)?", "^a|^B", "a.b", "a{2}", r"\(", r"[(]b", r"[]a]", "", r"\ba\b", r"\S", "a*?B"),
]  # fmt: skip


def conditions() -> Iterable[ir.Condition]:
    for cased in (False, True):
        for text in PATTERNS:
            yield ir.Match(A, (Pattern(text, cased), Pattern("x")))
        for text in REGEXES:
            for multiline in (False, True):
                yield ir.Regex(A, text, cased, True, multiline)
            yield ir.Regex(A, text, cased, False, False)
    for one, other in zip(PATTERNS, reversed(PATTERNS), strict=True):
        yield ir.Match(A, (Pattern(one, True), Pattern(other, False)))


def written(condition: ir.Condition, target: str) -> tuple[str, bool] | None:
    """The query of a condition and of its opposite's; None where it is refused. And whether letters
    outside ASCII are said to be compared in another way."""
    findings = Findings("rule", target)
    writer = EqlWriter(EqlTarget(target, target != "eql"), findings)
    try:
        text = writer.spelling.write(writer.rewriter.true_of(condition))
    except Untranslatable:
        return None
    return f"any where {text}", any("outside ASCII" in one.message for one in findings.found)


def by_package(texts: list[str], events: list[dict[str, Any]]) -> list[set[int]]:
    queries = tuple(Query(str(number), text) for number, text in enumerate(texts))
    found = run_eql([Translation("rule", "eql", "m", queries, "")], events)
    return [{row[0] for row in found["rule", query.output]} for query in queries]


def read_back(text: str, target: str, events: list[dict[str, Any]]) -> set[int]:
    reading = read(Block.of(text)) if target == "eql" else read_elastic(Block.of(text))
    assert reading.program is not None, (text, reading.diagnostics)
    engine = Engine([as_rule(reading, "back")], fieldmap=native_map(reading))
    places = {id(event): place for place, event in enumerate(events)}
    return {places[id(match.events[0].event)] for match in engine.run(events)}


def wanted(condition: ir.Condition, events: list[dict[str, Any]]) -> set[int]:
    return {
        place
        for place, event in enumerate(events)
        if holds(condition, RawRow(event), NoContext()) is True
    }


def test_every_condition_over_every_value() -> None:
    events = [{"a": value} for value in VALUES] + [{}]
    several = [one for each in conditions() for one in (each, ir.Not(each))]
    made = [(one, written(one, "eql")) for one in several]
    said = [(condition, text[0]) for condition, text in made if text is not None]
    assert len(said) > 0.95 * len(several)
    for (condition, text), found in zip(
        said, by_package([t for _, t in said], events), strict=True
    ):
        assert found == wanted(condition, events), text


@pytest.mark.parametrize("target", ["eql", "elastic-eql"])
def test_every_condition_read_back(target: str) -> None:
    events = [{"a": value} for value in VALUES]
    read_again = 0
    for condition in conditions():
        text = written(condition, target)
        if text is not None:
            assert read_back(text[0], target, events) == wanted(condition, events), text
            read_again += 1
    assert read_again > 100


LETTERS = st.text("aAbB\\.*?()[]^$|\"'\n-iſK1", max_size=8)


@settings(examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(LETTERS, st.booleans()), min_size=1, max_size=3),
    st.lists(LETTERS, min_size=1, max_size=8),
)
def test_any_pattern_over_any_value(patterns: list[tuple[str, bool]], values: list[str]) -> None:
    condition = ir.Match(A, tuple(Pattern(text, cased) for text, cased in patterns))
    events = [{"a": value} for value in values]
    text = written(condition, "eql")
    assert text is not None
    for found in (*by_package([text[0]], events), read_back(text[0], "eql", events)):
        odd = found ^ wanted(condition, events)
        assert all(text[1] and not values[place].isascii() for place in odd), text


def test_how_case_is_written() -> None:
    cased = ir.Match(A, (Pattern("*\\Ab*", True), Pattern("x?", True)))
    expression = ir.Regex(A, "^aB|c", True, True)
    assert [written(one, target) for target in ("eql", "elastic-eql") for one in (cased, expression)] == [
        ('any where match(a, "(?-i:(?:.*\\\\\\\\Ab.*|x.)\\\\Z)")', False),
        ('any where match(a, "(?-i:.*?(?:^aB|c))")', False),
        ('any where (a like "*\\\\Ab*" or a regex "x.")', False),
        ('any where a regex "aB.*|.*c.*"', False),
    ]  # fmt: skip


def test_two_fields_of_any_types_have_a_comparison() -> None:
    """A text and a number are different, not incomparable."""
    same = ir.Compare(A, ir.Relation.EQUAL, ir.Raw(("b",)), ir.Type.TEXT)
    values: list[Any] = [1, "1", "a", "A", "b", True, "true", None]
    events = [{"a": a, "b": b} for a, b in product(values, values)]
    for condition in (same, ir.Not(same)):
        text = written(condition, "eql")
        assert text is not None
        assert by_package([text[0]], events) == [wanted(condition, events)], text
        assert read_back(text[0], "eql", events) == wanted(condition, events)
