"""ES|QL and KQL as they are written: our readers of these languages, which know what a missing field,
case and wildcards mean there, read them as what the rule says.

A property compares truth on events; for the rules of SigmaHQ each query is proved to ask for the
same events as the rule's condition over the log's own fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.diagnostics import Block, CarError
from carengine.evaluate import NoContext, RawRow, holds
from carengine.fieldmap import find_maps
from carengine.languages.esql.writer import EsqlWriter
from carengine.languages.kusto.writer import KustoWriter
from carengine.languages.reading import read
from carengine.languages.splunk.writer import as_terms
from carengine.languages.text_writing import ConditionSpelling
from carengine.languages.translation import Findings, Untranslatable
from carengine.languages.two_valued import Const, holds_for
from carengine.languages.two_valued.rewriter import TwoValuedRewriter
from carengine.languages.writing import translate
from carengine.pattern import Pattern
from carengine.verify import Verdict, assumptions, check_translation, translations
from strategies import some
from test_translations_run import NAMES, conditions, words

SHARED = Path(__file__).parents[1].parent / "shared"
WRITERS: dict[str, Callable[[Findings], EsqlWriter | KustoWriter]] = {
    "esql": EsqlWriter,
    "kusto": KustoWriter,
}
each_target = pytest.mark.parametrize("target", list(WRITERS))
_NUMBER = re.compile(r"[-+]?[0-9a-fx._einE+-]*", re.IGNORECASE)


def own_fields(condition: ir.Condition) -> ir.Condition:
    """A condition under a query's own names as one over the fields of a raw event."""

    def change(value: ir.Value) -> ir.Value:
        match value:
            case ir.Field(name, _, type_):
                return ir.Raw(tuple(name.split(".")), (), type_)
            case _:
                return value

    return ir.rewrite_operands(condition, change)


def read_condition(target: str, text: str) -> ir.Condition:
    query = f"FROM logs-* | WHERE {text}" if target == "esql" else f"events | where {text}"
    reading = read(Block.of(query), target, raise_names=False)
    assert reading.program is not None, (text, [d.message for d in reading.diagnostics])
    plan = reading.program.outputs[0].plan
    assert isinstance(plan, ir.Filter)
    return own_fields(plan.condition)


def event_of(text: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, text))


@each_target
@settings(some(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    conditions(regexes=True),
    # An empty text is a missing one to Kusto, and letters outside ASCII have notes of their own.
    st.lists(event_of(words(ascii_only=True).filter(bool)), min_size=4, max_size=8),
)
def test_what_is_written_is_read_as_what_was_meant(
    target: str, condition: ir.Condition, events: list[Mapping[str, Any]]
) -> None:
    findings = Findings("rule", target)
    writer = WRITERS[target](findings)
    try:
        formula = TwoValuedRewriter(findings).true_of(condition)
        text = writer.spelling.write(formula)
    except Untranslatable:
        return
    if isinstance(formula, Const):
        return
    back = read_condition(target, text)
    notes = " ".join(note.message for note in findings.found)
    for event in events:
        if "another way" in notes and any(_NUMBER.fullmatch(value) for value in event.values()):
            continue
        wanted = holds(condition, RawRow(event), NoContext()) is True
        assert (holds(back, RawRow(event), NoContext()) is True) is wanted, (event, text)


def test_case_and_kinds_of_patterns() -> None:
    """Each way to say a pattern, as the products have it."""
    table = {
        ("CMD.exe",): ('TO_LOWER(a) == "cmd.exe"', 'a =~ "CMD.exe"'),
        ("x", "y"): ('TO_LOWER(a) IN ("x", "y")', 'a in~ ("x", "y")'),
        (r"*\cmd.exe",): (r'TO_LOWER(a) LIKE "*\\\\cmd.exe"', r'a endswith "\\cmd.exe"'),
        ("*a*b*",): ('TO_LOWER(a) LIKE "*a*b*"', r'a matches regex "(?is)^.*a.*b.*\\z"'),
        ("a?c",): ('TO_LOWER(a) RLIKE "a.c"', r'a matches regex "(?is)^a.c\\z"'),
        ("0x1f",): ('TO_LOWER(TO_STRING(a)) == "0x1f"', 'tostring(a) =~ "0x1f"'),
        ("*A*", "*b"): (
            'TO_LOWER(a) LIKE ("*a*", "*b")',
            '(a contains "A" or a endswith "b")',
        ),
    }
    for patterns, (esql, kusto) in table.items():
        test = ir.Match(ir.Raw(("a",)), tuple(map(Pattern, patterns)))
        for target, wanted in (("esql", esql), ("kusto", kusto)):
            assert WRITERS[target](Findings("", target)).spelling.atom(test) == wanted


@pytest.mark.parametrize(
    ("condition", "esql", "kusto"),
    [
        (
            ir.Not(ir.Match(ir.Raw(("a",)), (Pattern("x*"),))),
            'a IS NOT NULL AND NOT TO_LOWER(a) LIKE "x*"',
            'isnotempty(a) and not(a startswith "x")',
        ),
        (
            ir.Not(ir.IsTrue(ir.InNetwork(ir.Raw(("a",)), ("10.0.0.0/8",)))),
            '(a IS NULL OR NOT CIDR_MATCH(TO_IP(a), "10.0.0.0/8"))',
            'not(coalesce(ipv4_is_in_range(a, "10.0.0.0/8"), false))',
        ),
        (ir.IsNull(ir.Raw(("a", "b"))), "a.b IS NULL", "isempty(a.b)"),
        (
            ir.Regex(ir.Raw(("a",)), r"^[A-Z]:\\Temp"),
            r'TO_LOWER(a) RLIKE "[a-z]:\\\\temp.*"',
            r'a matches regex "(?is)^[A-Z]:\\\\Temp"',
        ),
    ],
)
def test_missing_fields(condition: ir.Condition, esql: str, kusto: str) -> None:
    for target, wanted in (("esql", esql), ("kusto", kusto)):
        findings = Findings("", target)
        formula = TwoValuedRewriter(findings).true_of(condition)
        assert WRITERS[target](findings).spelling.write(formula) == wanted


@each_target
def test_what_cannot_be_said_is_refused(target: str) -> None:
    spelling: ConditionSpelling = WRITERS[target](Findings("", target)).spelling
    for test in (
        ir.Compare(ir.Raw(("a",)), ir.Relation.LESS, ir.Raw(("b",)), ir.Type.NUMBER),
        ir.Compare(ir.Raw(("a",)), ir.Relation.EQUAL, ir.Constant(1 << 60), ir.Type.NUMBER),
        ir.Compare(ir.Raw(("a",)), ir.Relation.LESS, ir.Moment(5), ir.Type.TIME),
        ir.RawMatch((Pattern("x"),)),
    ):
        with pytest.raises(Untranslatable):
            spelling.atom(test)


@each_target
def test_rules_over_several_events_are_refused(target: str) -> None:
    rule = carengine.load_rules(carengine.shipped_rules()).get("CAR-2013-05-009")
    assert rule is not None
    with pytest.raises(CarError) as caught:
        translate(rule, target, "sysmon.flat")
    assert "CE901" in {said.code.id for said in caught.value.diagnostics}


[SYSMON] = find_maps("sysmon.flat")
PROVED: dict[str, tuple[str, str]] = {
    # What is asked, and what the proof about Kusto's query takes for granted.
    "a missing field": ("parent_exe = null", "no field holds an empty text"),
    "a refused test": ('exe != "cmd.exe"', "no field holds an empty text"),
    "an expression": ('command_line match "a+b"', "letters outside ASCII"),
    "numbers": ("pid > 5", ""),
}


@each_target
@pytest.mark.parametrize("case", PROVED)
def test_what_is_written_is_proved(target: str, case: str) -> None:
    asked, assumed = PROVED[case]
    rule = carengine.parse_rule(f"a = search Process:Create where {asked} output a")
    [made] = check_translation(rule, target, SYSMON)
    assert made.relation.verdict is Verdict.SAME
    assert any(text == assumptions.EXPANDED for text in made.relation.assumptions)
    if target == "kusto":
        assert any(assumed in text for text in made.relation.assumptions)


@each_target
def test_a_query_that_is_wrong_is_told(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another rule's query in the place of the right one."""
    wrong, rule = (
        carengine.parse_rule(f'a = search Process:Create where exe = "{exe}" output a')
        for exe in ("b.exe", "a.exe")
    )
    other = translate(wrong, target, "sysmon.flat")
    monkeypatch.setattr(translations, "translate", lambda *_: other)
    [made] = check_translation(rule, target, SYSMON)
    assert made.relation.verdict is Verdict.DISJOINT
    assert {witness.finder for witness in made.relation.witnesses} == {"a", "b"}


def test_what_is_not_proved_says_why() -> None:
    rule = carengine.parse_rule('a = search Process:Create where "x" in raw event output a')
    [made] = check_translation(rule, "kusto", SYSMON)
    assert made.refused
    assert "a search in the text of the raw event" in made.relation.reasons[0]
    [made] = check_translation(rule, "trino", SYSMON)
    assert made.relation.reasons == ("queries of trino are not read",)


@settings(some(150), deadline=None)
@given(conditions(regexes=True), st.lists(event_of(words(ascii_only=True)), min_size=4, max_size=8))
def test_search_terms_hold_wherever_the_condition_does(
    condition: ir.Condition, events: list[dict[str, str]]
) -> None:
    try:
        formula = TwoValuedRewriter(Findings("", "")).true_of(condition)
    except Untranslatable:
        return
    wide = as_terms(formula)
    for event in events:
        assert holds_for(wide, event) or not holds_for(formula, event)
