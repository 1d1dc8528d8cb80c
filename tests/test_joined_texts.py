"""Functions that put texts together or replace a part, in other languages: what a pattern asks of
what they give, asked of their arguments. Every key, name and pattern with every other."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine import ir
from carengine.evaluate import NoContext, RawRow, holds, value_of
from carengine.fieldmap import find_maps
from carengine.languages.lowered import Log
from carengine.languages.sql.dialects import DIALECTS
from carengine.languages.sql.plans import SqlPlans
from carengine.languages.translation import Findings, Untranslatable
from carengine.languages.two_valued import holds_for
from carengine.languages.two_valued.rewriter import TwoValuedRewriter
from carengine.pattern import Pattern
from carengine.registrynames import ROOTS
from running import DuckDB, Evidence, SQLite
from strategies import some as examples

A, B = ir.Raw(("a",)), ir.Raw(("b",), ("-",))
KEYS = [
    None,
    "",
    "HKLM",
    "hklm\\Run",
    "HKLMX\\Run",
    "HKEY_LOCAL_MACHINE",
    "HKEY_LOCAL_MACHINE\\",
    "hkey_local_machine\\Software\\Run",
    "HKEY_LOCAL_MACHINES\\Run",
    "\\REGISTRY\\MACHINE",
    "\\Registry\\Machine\\Run",
    "\\registry\\MACHINE\\MACHINE\\x",
    "\\REGISTRY\\MACHINERY\\Run",
    "\\REGISTRY\\USER\\S-1\\Run",
    "\\REGIſTRY\\USER\\S-1",
    "REGISTRY\\MACHINE\\Run",
    "HKEY_USERS\\HKLM\\Run",
    "x\\HKEY_USERS\\Run",
    "HKCU\\a?b[*]",
]
NAMES = [None, "", "-", "Run", "x\\Run", "HKLM", "\\", "0"]
PATTERNS = [
    *("", "*", "?", "??*", "\\", "*\\", "\\*", "*\\*", "*\\*\\*", "*?\\?*", "?*?"),
    *("HKLM", "hklm*", "HKLM\\*", "HKLM?Run", "HKLM*Run", "HK*\\Run", "HK*", "H*", "????\\Run"),
    *("*HKLM*", "*HKLM\\Run", "*\\HKLM\\Run", "*M\\R*", "*M?R*", "*LM\\*", "*\\M*"),
    *("HKEY_LOCAL_MACHINE", "HKEY_LOCAL_MACHINE\\*", "HKEY*", "*_MACHINE*", "*MACHINE\\*", "*MACHINE"),
    *("\\REGISTRY\\*", "*\\REGISTRY\\*", "*\\MACHINE\\*", "*Machine*x", "\\*\\*\\Run", "*ISTRY*"),
    *("*\\Run", "*\\run", "*Run", "*Run\\", "*\\Run\\", "*\\Software\\Run", "*Software*", "*\\Run\\*"),
    *("*\\Run\\x\\Run", "*\\x\\*", "*x\\Run", "HKU\\S-1*", "HKU*", "*\\S-?\\*", "HKU\\HKLM\\Run*"),
    *("x\\HKU\\*", "x\\HKEY_USERS\\*", "*\\0", "*\\-", "*-", "HKCU\\a[?]*", "*[?]b[**]", "*[*]*", "a[?]"),
]  # fmt: skip
CALLS = {
    "one field": ir.Call("registry_path", (A,)),
    "no name": ir.Call("registry_path", (A, ir.Constant(None))),
    "two fields": ir.Call("registry_path", (A, B)),
    "one of two fields": ir.Call("registry_path", (ir.Call("first", (B, A)),)),
    "a constant name": ir.Call("registry_path", (A, ir.Constant("Run"))),
    "an account": ir.Call("account", (A, B)),
    "an account whose name is first": ir.Call("account", (B, A)),
}


def events_of(call: ir.Call) -> list[dict[str, str | None]]:
    names = NAMES if "b" in str(call) else [None]
    return [{"a": key, "b": name} for key, name in product(KEYS, names)]


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("cased", [False, True], ids=["any case", "cased"])
def test_every_pattern_over_every_text(call: ir.Call, cased: bool) -> None:
    check(call, PATTERNS, cased)


def check(call: ir.Call, patterns: list[str], cased: bool) -> None:
    events = [{k: v for k, v in event.items() if v is not None} for event in events_of(call)]
    for pattern in patterns:
        rewriter = TwoValuedRewriter(Findings("rule", "target"))
        condition = ir.Match(call, (Pattern(pattern, cased),))
        true, false = rewriter.true_of(condition), rewriter.false_of(condition)
        for event in events:
            verdict = holds(condition, RawRow(event), NoContext())
            assert holds_for(true, event) == (verdict is True), (pattern, event, true)
            assert holds_for(false, event) == (verdict is False), (pattern, event, false)


PIECES = ["*", "?", "\\", "HKLM", "hk", "MACHINE", "REGISTRY", "Run", "_", "[?]", "U", "\\*"]


@examples(60)
@given(
    st.sampled_from(list(CALLS.values())),
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
    st.booleans(),
)
def test_any_pattern_over_every_text(call: ir.Call, pattern: str, cased: bool) -> None:
    check(call, [pattern], cased)


def test_a_pattern_with_too_many_ways_is_refused() -> None:
    rewriter = TwoValuedRewriter(Findings("rule", "target"))
    with pytest.raises(Untranslatable):
        rewriter.true_of(ir.Match(CALLS["two fields"], (Pattern("\\a" * 65),)))


def test_a_pattern_that_asks_nothing_of_the_root_stays_as_it_is() -> None:
    rewriter = TwoValuedRewriter(Findings("rule", "target"))
    for text in ("*\\Run*", "*\\CurrentControlSet\\*", "Software"):
        pattern = (Pattern(text),)
        made = rewriter.true_of(ir.Match(CALLS["one field"], pattern))
        assert made == rewriter.true_of(ir.Match(A, pattern))
    made = rewriter.true_of(ir.Match(CALLS["one field"], (Pattern("HKU\\S*"),)))
    spelled = ("HKU\\S*", "\\REGISTRY\\USER\\S*", "HKEY_USERS\\S*")
    assert made == rewriter.true_of(ir.Match(A, tuple(map(Pattern, spelled))))


@pytest.mark.parametrize("target", ["duckdb", "sqlite"])
def test_sql_gives_what_the_function_gives(target: str) -> None:
    [fieldmap] = find_maps("sysmon.flat")
    assert len({root.count("\\") for root, _ in ROOTS}) > 1
    for call in CALLS.values():
        events = events_of(call)
        findings = Findings("rule", target)
        writer = SqlPlans(DIALECTS[target], findings, Log(fieldmap), "events").over_events()
        sql = writer.value(call).sql
        table = (DuckDB if target == "duckdb" else SQLite)(Evidence(events), ("a", "b"))
        rows = table.query(f"SELECT {sql} AS v FROM events ORDER BY event_id")
        for row, event in zip(rows, events, strict=True):
            if target == "duckdb" or "ſ" not in str(event["a"]):
                assert row["v"] == value_of(call, RawRow(event), NoContext()), (event, sql)
