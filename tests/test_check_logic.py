"""The checker's reasoning, held to the reference evaluator.

What is called impossible must be impossible for every event of a small world that is gone through
in full, and what is called certain must hold in all of it. The tables say what has to be found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
import re2
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from carengine import evaluate, ir
from carengine.evaluate import NoContext, as_time, holds, regex_of
from carengine.ir import Goal, Relation, Type
from carengine.pattern import Pattern
from carengine.regex import searcher
from carengine.solver.facts import Facts
from carengine.solver.satisfiability import can_be
from carengine.solver.texts import Budget, Texts, is_empty

TEXTS = ["".join(t) for n in range(4) for t in itertools.product("ab\\", repeat=n)] + ["é", "1"]
VALUE = ir.Field("value")

pieces = st.sampled_from(["a", "b", "\\", "*", "?", "A", "ab", "é"])
patterns = st.lists(pieces, max_size=4).map(lambda parts: Pattern("".join(parts)))
expressions = st.recursive(
    st.sampled_from(
        ["a", "b", ".", "^", "$", r"\b", r"\B", "[ab]", "[^a]", r"\w", r"\\", "(?i:A)"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        inner.map(lambda x: f"(?:{x})*"),
        inner.map(lambda x: f"(?:{x})?"),
        inner.map(lambda x: f"({x}){{1,2}}"),
    ),
    max_leaves=5,
)
tests = st.one_of(
    st.lists(patterns, min_size=1, max_size=2).map(lambda found: ir.Match(VALUE, tuple(found))),
    st.builds(ir.Regex, st.just(VALUE), expressions, dotall=st.booleans(), multiline=st.booleans()),
    st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "::1/128"]).map(
        lambda net: ir.InNetwork(VALUE, (net,))
    ),
)
sets_of_tests = st.frozensets(tests, max_size=3)


@settings(max_examples=400, deadline=None)
@given(sets_of_tests, sets_of_tests, st.booleans())
def test_a_set_of_texts_that_is_called_empty_is_empty(
    passes: frozenset[ir.Match], fails: frozenset[ir.Match], base_name: bool
) -> None:
    if not is_empty(Texts(passes, fails, base_name), Budget()):
        return
    for text in [*TEXTS, "\n", "a\n", "10.1.2.3", "::1"]:
        if base_name and "\\" in text:
            continue
        assert not (
            all(evaluate.test_value(test, text) for test in passes)
            and not any(evaluate.test_value(test, text) for test in fails)
        ), text


@settings(max_examples=400, deadline=None)
@given(expressions, st.booleans(), st.booleans(), st.text("ab\\é \n_", max_size=5))
def test_the_automaton_of_an_expression_finds_what_re2_finds(
    pattern: str, dotall: bool, multiline: bool, text: str
) -> None:
    test = ir.Regex(VALUE, pattern, dotall=dotall, multiline=multiline)
    reader = searcher(test)
    assert reader is not None
    state = reader.start
    for character in text:
        state = reader.step(state, character)
    assert reader.accepts(state) == (regex_of(test).search(text) is not None)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\pL",
        "é",
        "[^\u00e9]",
        r"\x{e9}",
        "(?-i:a)",
        "a{400}b{400}",
        r"[\x80-\xff]",
        "(" * 60 + ")" * 60,
    ],
)
def test_expressions_that_are_not_reasoned_about(pattern: str) -> None:
    re2.compile(pattern)
    assert searcher(ir.Regex(VALUE, pattern)) is None


@pytest.mark.parametrize(
    ("passes", "fails", "empty"),
    [
        (["a*", "b*"], [], True),
        (["a*", "*b"], [], False),
        (["x.exe"], ["*.exe"], True),
        (["*.exe"], ["x.exe"], False),
        (["*.exe"], ["*exe"], True),
        (["a?"], ["a*"], True),
        (["a*"], ["a?", "a", "a??*"], True),
        (["a*"], ["a?", "a", "a???*"], False),
        (["*a*", "*b*", "*c*", "*d*", "*e*"], ["*ab*"], False),
        (["*a*", "?"], ["a"], True),
        (["?*"], ["*"], True),
        ([], ["*"], True),
        ([], ["?*"], False),
        ([], ["?*", ""], True),
        (["É"], ["é"], True),
        (["[*]*"], ["[*]*"], True),
        (["*"], ["[*]"], False),
    ],
)
def test_emptiness(passes: list[str], fails: list[str], empty: bool) -> None:
    def matches(texts: list[str]) -> frozenset[ir.Match | ir.Regex | ir.InNetwork]:
        return frozenset(ir.Match(VALUE, (Pattern(text),)) for text in texts)

    assert is_empty(Texts(matches(passes), matches(fails)), Budget()) is empty


def test_a_search_that_costs_too_much_says_nothing() -> None:
    """Sixteen letters in fewer than fourteen places: true, and too long to prove."""
    letters = frozenset(ir.Match(VALUE, (Pattern(f"*{c}*"),)) for c in "abcdefghijklmnop")
    long = frozenset((ir.Match(VALUE, (Pattern("?" * 14 + "*"),)),))
    budget = Budget(400_000)
    assert is_empty(Texts(letters, long), budget) is None
    assert is_empty(Texts(letters), budget) is False


# Conditions

EXE = ir.Field("exe", None, Type.TEXT)
LINE = ir.Field("command_line", None, Type.TEXT)
PID = ir.Field("pid", None, Type.INTEGER)
PPID = ir.Field("ppid", None, Type.INTEGER)
TIME = ir.Field("time", None, Type.TIME)
PROCESS = ir.Search((ir.EventKind("process", "create"),))
DAY = 86_400_000_000

short = st.sampled_from(["a", "b", "*", "a*", "*b", "a\\b", "?", "ab", "*a*"]).map(Pattern)
orders = st.sampled_from(list(Relation))
numeric = st.builds(
    ir.Compare,
    st.just(PID),
    orders,
    st.one_of(st.sampled_from([1, 2, 2.5, 3]).map(ir.Constant), st.just(PPID)),
    st.just(Type.INTEGER),
)
timed = st.builds(
    ir.Compare,
    st.just(TIME),
    orders,
    st.sampled_from([-1, 0, 1]).map(
        lambda days: ir.Arithmetic("+", ir.Now(), ir.Duration(days * DAY))
    ),
    st.just(Type.TIME),
)
atoms: st.SearchStrategy[ir.Condition] = st.one_of(
    st.builds(ir.Match, st.sampled_from([EXE, LINE]), st.tuples(short)),
    st.builds(ir.Match, st.just(EXE), st.tuples(short, short)),
    st.builds(ir.Regex, st.just(LINE), st.sampled_from(["^a", "b$", "a.*b", "$a", r"\\"])),
    numeric,
    timed,
    st.sampled_from([EXE, PID, TIME]).map(ir.IsNull),
    st.sampled_from([EXE, PID]).map(lambda field: ir.IsNull(ir.Presence(field))),
    st.sampled_from([Relation.EQUAL, Relation.LESS]).map(
        lambda relation: ir.Compare(EXE, relation, LINE, Type.TEXT)
    ),
    st.just(ir.Compare(LINE, Relation.LESS, EXE, Type.TEXT)),
    st.just(ir.Occurs(EXE, LINE)),
    st.booleans().map(ir.Truth),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda items: ir.And(tuple(items))),
        st.lists(inner, min_size=2, max_size=3).map(lambda items: ir.Or(tuple(items))),
        inner.map(ir.Not),
        inner.map(ir.IsTrue),
    ),
    max_leaves=6,
)


@frozen
class Event:
    """A process event with few fields."""

    fields: dict[str, object]

    def field(self, wanted: ir.Field) -> object:
        value = self.fields.get(wanted.name)
        return as_time(value) if wanted.type is Type.TIME else value

    def raw(self, path: tuple[str, ...]) -> object:
        return None

    def has_field(self, wanted: ir.Field) -> bool:
        return wanted.name in self.fields

    def has_raw(self, path: tuple[str, ...]) -> bool:
        return False

    def text(self) -> str:
        return ""


class Noon(NoContext):
    """The reference time is day 20,000."""

    def now(self) -> int:
        return 20_000 * DAY


def world(condition: ir.Condition) -> list[Event]:
    """Every event with these values in the fields that the condition reads."""
    texts: list[object] = [None, "", "a", "b", "ab", "A", "aa", "ba", "x"]
    values: dict[str, list[object]] = {
        "exe": texts,
        "command_line": [*texts, "a\\b", "\\"],
        "pid": [None, 0, 1, "2", 3, "0x3", "none"],
        "ppid": [None, 1, 2, 4],
        "time": [None, *(20_000 * DAY + hours * DAY // 2 for hours in (-3, -2, -1, 0, 1, 2, 3))],
    }
    read = sorted({field.name for field in ir.fields_of(condition)})
    made = [
        Event(dict(zip(read, chosen, strict=True)))
        for chosen in itertools.product(*(values[name] for name in read))
    ]
    if any(isinstance(v, ir.Presence) for a in ir.atoms(condition) for v in ir.values_of(a)):
        # What is null may be there or not.
        made += [
            Event({k: v for k, v in event.fields.items() if v is not None})
            for event in made
            if None in event.fields.values()
        ]
    return made


OUTCOMES: dict[Goal, tuple[bool | None, ...]] = {
    Goal.TRUE: (True,),
    Goal.FALSE: (False,),
    Goal.NOT_TRUE: (False, None),
    Goal.NOT_FALSE: (True, None),
}


@settings(max_examples=300, deadline=None)
@given(conditions, st.sampled_from(list(OUTCOMES)))
def test_what_is_called_impossible_never_happens(condition: ir.Condition, goal: Goal) -> None:
    if can_be([(condition, goal)], Facts(PROCESS), Budget()) is not False:
        return
    for event in world(condition):
        assert holds(condition, event, Noon()) not in OUTCOMES[goal], event


def test_what_is_not_there_has_no_value() -> None:
    absent = ir.IsNull(ir.Presence(EXE))
    there, null = ir.Not(absent), ir.IsNull(EXE)
    for parts, possible in (
        ((absent, matches(EXE, "a")), False),
        ((absent, ir.Not(null)), False),
        ((absent, there), False),
        ((absent, null), True),
        ((there, null), True),
        ((there, matches(EXE, "a")), True),
    ):
        wishes = [(part, Goal.TRUE) for part in parts]
        assert can_be(wishes, Facts(PROCESS), Budget()) is possible


def compare(field: ir.Field, relation: str, value: ir.Value) -> ir.Compare:
    return ir.Compare(field, Relation(relation), value, field.type)


def matches(field: ir.Field, *texts: str) -> ir.Match:
    return ir.Match(field, tuple(map(Pattern, texts)))


def ago(days: int) -> ir.Value:
    return ir.Arithmetic("-", ir.Now(), ir.Duration(days * DAY))


@pytest.mark.parametrize(
    "condition",
    [
        ir.And((matches(EXE, "a*"), matches(EXE, "b*"))),
        ir.And((matches(EXE, "a.exe"), ir.Not(matches(EXE, "*.exe")))),
        ir.And((matches(LINE, "a"), ir.Regex(LINE, "^b"))),
        ir.And((ir.Regex(LINE, "^b"), ir.Not(matches(LINE, "b*")))),
        ir.And((ir.Regex(LINE, "^b"), ir.Regex(LINE, "^[a-]"))),
        ir.And((compare(TIME, "<", ago(1)), compare(TIME, ">", ago(1)))),
        ir.And((compare(TIME, ">", ir.Now()), compare(TIME, "<", ago(1)))),
        ir.And((compare(PID, ">", ir.Constant(10)), compare(PID, "<", ir.Constant(5)))),
        ir.And((compare(PID, ">", ir.Constant(10)), compare(PID, "<", ir.Constant(11)))),
        ir.And((compare(PID, "=", ir.Constant(1)), compare(PID, "=", ir.Constant(2)))),
        ir.And((compare(PID, "=", PPID), compare(PID, "<", PPID))),
        ir.And(
            (
                compare(PID, "<=", ir.Constant(1)),
                compare(PID, ">=", ir.Constant(1)),
                ir.Not(compare(PID, "=", ir.Constant(1))),
            )
        ),
        ir.And((matches(PID, "q*"), compare(PID, ">", ir.Constant(5)))),
        ir.And((ir.IsNull(EXE), matches(EXE, "*"))),
        ir.And((ir.IsNull(EXE), ir.Not(matches(EXE, "a")))),
        ir.Not(ir.Or((matches(EXE, "a"), ir.Not(matches(EXE, "a"))))),
        ir.And(
            (
                ir.Compare(EXE, Relation.EQUAL, LINE, Type.TEXT),
                matches(EXE, "a"),
                matches(LINE, "b"),
            )
        ),
        ir.And((ir.Or((matches(EXE, "a"), matches(EXE, "b"))), matches(EXE, "c"))),
        ir.Not(ir.Compare(EXE, Relation.EQUAL, EXE, Type.TEXT)),
        ir.Compare(PID, Relation.LESS, PID, Type.INTEGER),
        matches(EXE, "c:\\x.exe"),
        ir.Regex(EXE, r"\\x"),
        ir.Regex(LINE, "$a"),
        ir.Regex(LINE, "a^"),
        matches(ir.Field("dest_ip"), "*"),
        ir.IsTrue(ir.And((ir.IsNull(EXE), matches(EXE, "*")))),
    ],
)
def test_planted_contradictions_are_found(condition: ir.Condition) -> None:
    assert can_be([(condition, Goal.TRUE)], Facts(PROCESS), Budget()) is False


def test_a_field_with_several_values_can_be_two_things_at_once() -> None:
    group = ir.Group((PROCESS,), (ir.Field("hostname", None, Type.TEXT),))
    rows = ir.Aggregated(group, (ir.Column("names", ir.Aggregate("values", EXE)),))
    names = ir.Field("names")
    both = ir.And((matches(names, "a"), matches(names, "b")))
    assert can_be([(both, Goal.TRUE)], Facts(rows), Budget())
    inside = ir.And((matches(names, "a.exe"), ir.Not(matches(names, "*.exe"))))
    assert can_be([(inside, Goal.TRUE)], Facts(rows), Budget()) is False


def test_hard_questions_end() -> None:
    fields = [
        ir.Field(name, None, Type.TEXT) for name in ("exe", "user", "command_line", "hostname")
    ]
    several = tuple(
        ir.Or(tuple(matches(field, f"*{i}*{j}*") for field in fields for j in range(4)))
        for i in range(60)
    )
    parity = ir.And((*several, *(ir.Not(matches(field, "*1*")) for field in fields)))
    budget = Budget(300_000)
    assert can_be([(parity, Goal.TRUE)], Facts(PROCESS), budget) in (True, None, False)


def contained(texts: Iterable[str], *, cased: bool = False) -> ir.Match:
    return ir.Match(ir.Raw(()), tuple(Pattern(f"*{text}*", cased) for text in texts))


HASHES = [f"MD5={n:032X}" for n in range(4_000)]


@pytest.mark.parametrize(
    ("passes", "fails", "empty"),
    [
        (contained(HASHES), contained(reversed(HASHES)), True),
        (contained(HASHES, cased=True), contained(map(str.lower, HASHES)), True),
        (contained(HASHES), contained(HASHES[1:]), False),
        (contained(HASHES[1:]), contained(HASHES), True),
        (contained([f"x{h}" for h in HASHES[:40]]), contained(HASHES), True),
    ],
)
def test_long_lists_are_decided_within_little_work(
    passes: ir.Match, fails: ir.Match, empty: bool
) -> None:
    budget = Budget(400_000)
    assert is_empty(Texts(frozenset({passes}), frozenset({fails})), budget) is empty
    assert budget.left > 0


def test_a_search_counts_each_pattern_that_it_steps_through() -> None:
    # No text has both, which takes stepping through all of them to see.
    several = [contained([f"{n:03}" for n in range(k, k + 300)]) for k in (0, 300, 600)]
    apart = ir.Regex(ir.Raw(()), "^[a-z]*$")
    budget = Budget(60_000)
    assert is_empty(Texts(frozenset({*several, apart})), budget) is None
    assert -60_000 < budget.left <= 0
