"""The engine is held to the interpreter: same matches, same order, for any rules and any events.

Events are generated in the raw names of every installed field map, hostile values included. Next to
them stand the invariants that follow: neither the order of rules, maps or conditions nor pickling
nor threads change what matches.
"""

from __future__ import annotations

import json
import pickle
import random
import threading
import uuid
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.diagnostics import CarError, Source
from carengine.engine import Engine, Match, interpret
from carengine.evaluate import NoContext, RawRow, holds
from carengine.fieldmap import (
    CarRow,
    FieldMap,
    entries_of,
    find_maps,
    installed_maps,
    lower,
    unwrap,
    view,
)
from carengine.languages.car import carfile
from carengine.loading import parse_rule
from carengine.rule import Rule, from_drafts
from strategies import conditions, raw_events, rules, shuffled, some

ALONE = NoContext()
MAPS = {found.name: found for found in installed_maps()}
every_map = pytest.mark.parametrize("name", sorted(MAPS))
quick = some(15)


@st.composite
def rule_sets(draw: st.DrawFn, least: int = 1, most: int = 4) -> list[Rule]:
    texts = draw(st.lists(rules(), min_size=least, max_size=most))
    return [parse_rule(text, f"r{number}.car") for number, text in enumerate(texts)]


def told(matches: Any) -> list[Any]:
    """What matches say, in a form that can be compared: NaN is not equal to itself."""
    return [_told(match) for match in matches]


def _told(match: Match) -> Any:
    [event] = match.events
    return (
        match.rule.id,
        match.output,
        match.time,
        str(event.kind),
        repr(event.fields),
        repr(match.fields),
        repr(event.event),
    )


@every_map
@quick
@given(st.data())
def test_the_engine_is_the_interpreter(name: str, data: st.DataObject) -> None:
    fieldmap = MAPS[name]
    made = data.draw(rule_sets())
    events = data.draw(st.lists(raw_events(fieldmap), min_size=1, max_size=5))
    engine = Engine(made, fieldmap)
    expected = told(interpret(made, events, [fieldmap]))
    assert told(engine.run(events)) == expected
    # Again: what the memos hold by now gives the same.
    assert told(engine.run(events)) == expected


@quick
@given(st.data())
def test_the_engine_is_the_interpreter_in_a_mixed_file(data: st.DataObject) -> None:
    made = data.draw(rule_sets())
    maps = data.draw(st.lists(st.sampled_from(sorted(MAPS)), min_size=1, max_size=5))
    events = [data.draw(raw_events(MAPS[name])) for name in maps]
    engine = Engine(made)
    expected = told(interpret(made, events, installed_maps()))
    assert told(engine.run(events)) == expected
    session = engine.session()
    fed = [match for event in events for match in session.feed(event)]
    assert told(fed) == expected
    stats = session.stats
    assert stats.events == len(events)
    assert stats.shaped + stats.unrecognised == stats.events
    assert sum(stats.matches.values()) == len(expected)


@every_map
@quick
@given(st.data())
def test_lowering_a_rule_is_normalising_the_event(name: str, data: st.DataObject) -> None:
    """match(lower(rule), event) == match(rule, normalize(event)), for any condition of the IR."""
    fieldmap = MAPS[name]
    event = data.draw(raw_events(fieldmap))
    inner = unwrap(event)
    for entry in entries_of(inner, fieldmap):
        fields = sorted(entry.fields)
        types = (ir.Type.ANY, ir.Type.TIME, ir.Type.TEXT)
        leaves = st.builds(
            lambda field, type_: ir.Field(field, None, ir.Type.TIME if field == "time" else type_),
            st.sampled_from([*fields, "proto_info.a", "proto_info.a.x.y", "no_such_field"]),
            st.sampled_from(types),
        )
        condition = data.draw(conditions(leaves))
        stage = ir.Stage((entry.kind,), condition)
        [lowered] = [low for low in lower(stage, fieldmap) if low.entry is entry]
        seen = view(event, inner, entry)
        expected = holds(condition, CarRow(seen), ALONE)
        if not any(isinstance(atom, ir.RawMatch) for atom in ir.atoms(condition)):
            assert holds(lowered.condition, RawRow(inner), ALONE) is expected
        if expected is True:
            assert lowered.possible


@quick
@given(st.data())
def test_order_makes_no_difference(data: st.DataObject) -> None:
    made = data.draw(rule_sets(2))
    maps = list(installed_maps())
    events = [data.draw(raw_events(data.draw(st.sampled_from(maps)))) for _ in range(3)]
    expected = told(Engine(made, maps).run(events))
    other = Engine(data.draw(st.permutations(made)), data.draw(st.permutations(maps)))
    assert told(other.run(events)) == expected


@quick
@given(st.data())
def test_the_order_of_conditions_makes_no_difference(data: st.DataObject) -> None:
    fieldmap = data.draw(st.sampled_from([MAPS["sysmon.flat"], MAPS["eql"]]))
    leaves = st.sampled_from([ir.Field(n) for n in ("exe", "image_path", "pid", "user")])
    condition = data.draw(conditions(leaves))
    base = parse_rule("a = search Process:Create output a", "x.car")
    events = data.draw(st.lists(raw_events(fieldmap), min_size=1, max_size=3))
    counts = []
    for variant in (condition, shuffled(condition, data.draw), ir.simplify(condition)):
        [output] = base.program.outputs
        plan = ir.Filter(output.plan, variant)
        program = ir.Program((ir.Output("a", plan),))
        rule = Rule("x", base.metadata, program, base.syntax, base.block)
        counts.append(told(Engine([rule], fieldmap).run(events)))
    assert counts[0] == counts[1] == counts[2]


@quick
@given(st.data())
def test_pickling_makes_no_difference(data: st.DataObject) -> None:
    made = data.draw(rule_sets())
    fieldmap = MAPS["sysmon.flat"]
    events = data.draw(st.lists(raw_events(fieldmap), min_size=1, max_size=3))
    engine = Engine(made, fieldmap)
    again = pickle.loads(pickle.dumps(engine))
    assert [rule.id for rule in again.rules] == [rule.id for rule in engine.rules]
    assert told(again.run(events)) == told(engine.run(events))


def test_two_threads_share_an_engine() -> None:
    engine = Engine(carengine.load_rules(carengine.shipped_rules()))
    events = [
        {
            "object": "process",
            "action": "create",
            "exe": f"{name}{number}.exe",
            "image_path": f"C:\\{name}{number}.exe",
            "command_line": f"{name} -enc {number}",
            "parent_exe": "cmd.exe",
        }
        for number in range(300)
        for name in ("powershell", "reg", "net")
    ]
    events[7] = {**events[7], "exe": "net.exe", "command_line": "net view"}
    expected = told(engine.run(events))
    assert expected
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(told(engine.run(events)))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3


# Cases that once were wrong, or that only look alike


def matches(text: str, *events: dict[str, Any], fieldmap: str = "auto") -> list[tuple[str, str]]:
    rule = parse_rule(text, "r.car")
    found = told(Engine([rule], fieldmap).run(events))
    assert found == told(interpret([rule], events, find_maps(fieldmap)))
    return [(match[1], match[3]) for match in found]


PROCESS = {"object": "process", "action": "create"}


def test_a_list_inside_a_list_is_no_list_of_values() -> None:
    text = "a = search Process:Create where pid = 1 or pid < 5 output a"
    assert matches(text, {**PROCESS, "pid": [[1]]}) == []
    assert matches(text, {**PROCESS, "pid": [1]}) == [("a", "process/create")]


def test_a_mapping_equals_nothing_and_differs_from_nothing() -> None:
    for condition in ("pid = 1", "pid != 1", 'exe = "x"', 'exe != "x"', 'exe match "x"'):
        text = f"a = search Process:Create where {condition} output a"
        assert matches(text, {**PROCESS, "pid": {"x": 1}, "exe": {"x": 1}}) == []
    assert matches("a = search Process:Create where exe exists output a", {**PROCESS, "exe": {}})


def test_outputs_come_in_the_order_they_are_declared() -> None:
    text = 'z = search Process:Create b = filter z where exe = "x" output z, b'
    found = matches(text, {**PROCESS, "exe": "x"})
    assert [output for output, _ in found] == ["z", "b"]


def test_an_event_is_one_row_of_an_output_however_it_got_there() -> None:
    texts = {
        "all": 'a = search Process:Create\nb = filter a where exe = "x"\noutput a, b',
        "again": "r = run Analytic:all\ns = filter r where pid = 1\noutput r, s",
        "changed": "r = run Analytic:all\nr.pid = pid + 1\noutput r",
    }
    drafts = [d for name, text in texts.items() for d in carfile.read(Source(name, text))]
    made = from_drafts(drafts)
    assert not made.diagnostics
    events = [{**PROCESS, "exe": "x", "pid": 1}]
    found = told(Engine(made).run(events))
    assert found == told(interpret(made, events, installed_maps()))
    assert [match[:2] for match in found] == [
        ("again", "r"),
        ("again", "s"),
        ("all", "a"),
        ("all", "b"),
        ("changed", "r"),
    ]


def test_a_field_that_a_map_lacks_is_null_and_told() -> None:
    rule = parse_rule('a = search File:Create where content = "x" output a')
    engine = Engine([rule], "sysmon.flat")
    assert [(gap.missing, str(gap.kind)) for gap in engine.gaps] == [(("content",), "file/create")]
    [told_so] = engine.not_runnable
    assert told_so.code.id == "CE406"
    assert told_so.notes == ("sysmon.flat gives no content for file/create",)
    assert Engine([rule]).not_runnable == ()
    event = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 11, "content": "x"}
    assert list(engine.run([event])) == []
    rule = parse_rule("a = search File:Create where content == null output a")
    assert len(list(Engine([rule], "sysmon.flat").run([event]))) == 1


def test_kinds_that_a_log_lacks_are_told() -> None:
    rule = parse_rule("a = search Email:Deliver\nb = search File:Create\noutput a, b")
    [told_so] = Engine([rule], "eql").not_runnable
    assert told_so.notes == ("eql: no email/deliver",)
    never = parse_rule("a = search File:Create where false output a")
    [told_so] = Engine([never], "eql").not_runnable
    assert told_so.notes == ("its conditions exclude each other",)


def test_outputs_with_and_without_state() -> None:
    rule = parse_rule(
        "a = search Process:Create b = search Process:Create "
        "j = join (a, b) where a.pid = b.ppid output j, a"
    )
    engine = Engine([rule], "car")
    assert matches_of(engine, {**PROCESS, "pid": 1}) == ["a"]
    time = "2024-05-01T10:00:00Z"
    events = [{**PROCESS, "pid": 1, "time": time}, {**PROCESS, "ppid": 1, "time": time}]
    assert matches_of(engine, *events) == ["a", "j", "a"]


def matches_of(engine: Engine, *events: dict[str, Any]) -> list[str]:
    return [match.output for match in engine.run(events)]


def test_a_unique_value_costs_no_memory_for_ever() -> None:
    """A memo holds a bounded number of values, however many go by."""
    rule = parse_rule('a = search Process:Create where command_line = "*x*" output a')
    engine = Engine([rule], "car")
    for number in range(20_000):
        list(engine.run([{**PROCESS, "command_line": f"c{number}"}]))
    sizes = [len(table) for table in engine.memory.tables]
    assert 0 < max(sizes) <= 5_000


def test_hostile_events() -> None:
    rule = parse_rule('a = search Process:* where command_line = "*x*" and pid > 1 output a')
    engine = Engine([rule])
    huge = "x" * 5_000_000
    events: tuple[Any, ...] = (
        {},
        {"_source": None},
        {"_source": []},
        {"": {}},
        {**PROCESS, "command_line": huge, "pid": "2"},
        {**PROCESS, "command_line": [huge] * 3, "pid": [None, {}, 2]},
        {"EventID": 10**5000, "Image": "x"},
        {"EventID": {"#text": 1}, "Image": ["x"]},
        {"Channel": ["Microsoft-Windows-Sysmon/Operational"], "EventID": ["1"]},
    )
    for event in events:
        found = told(engine.run([event]))
        assert found == told(interpret([rule], [event], installed_maps()))


def test_events_that_are_too_large_are_refused_by_matcher_and_reference() -> None:
    rule = parse_rule('a = search Process:* where command_line = "*x*" and pid > 1 output a')
    deep: Any = {"a": 1}
    for _ in range(10_000):
        deep = {"_source": deep}
    doubled: Any = ["x"]
    for _ in range(60):
        doubled = [doubled, doubled]
    wide: Any = ["x"] * 1_000
    for _ in range(5):
        wide = [wide] * 1_000
    named: Any = {"x": 1}
    for _ in range(60):
        named = {"a": named, "b": named}
    mixed: Any = ["x"]
    for _ in range(60):
        mixed = deque((mixed, mixed))
    own: list[Any] = ["x"] * 2_000
    own.append(own)
    for value, reason in (
        (deep, "nested deeper"),
        (own, "nested deeper"),
        (doubled, "more than"),
        (wide, "more than"),
        (named, "more than"),
        (mixed, "more than"),
        (["x" * 1_000_000] * 2_000, "MiB of text"),
    ):
        event = {**PROCESS, "extra": value}
        with pytest.raises(ValueError, match=reason):
            list(Engine([rule]).run([event]))
        with pytest.raises(ValueError, match=reason):
            list(interpret([rule], [event], installed_maps()))


def test_an_engine_refuses_a_map_it_does_not_know() -> None:
    with pytest.raises(CarError) as caught:
        Engine([], "sysmn")
    assert caught.value.diagnostics[0].code.id == "CE405"
    assert "sysmon" in str(caught.value)


def test_maps_made_in_code() -> None:
    fieldmap = FieldMap(
        "own",
        "Own",
        ir.Not(ir.IsNull(ir.Raw(("kind",)))),
        (
            carengine.fieldmap.Entry(
                ir.EventKind("process", "create"),
                ir.Truth(True),
                {"exe": ir.Call("basename", (ir.Raw(("path",)),))},
            ),
        ),
    )
    rule = parse_rule('a = search Process:Create where exe = "x.exe" output a')
    engine = Engine([rule], fieldmap)
    assert matches_of(engine, {"kind": 1, "path": "/bin/X.EXE"}, {"path": "/bin/x.exe"}) == ["a"]


@pytest.mark.parametrize(("events", "kind"), [([None], "NoneType"), ({"Image": "x"}, "str")])
def test_what_is_no_event_is_refused(events: Any, kind: str) -> None:
    with pytest.raises(TypeError, match=f"event 1 is a {kind}"):
        list(Engine(()).run(events))


HEAVY = """title: t
id: {id}
logsource: {{category: process_creation, product: windows}}
detection:
  s:
    CommandLine|re: '(?:[a-f].{{0,{most}}}[g-j]){{3}}!{number}'
  other:
    Image|endswith: x
  condition: {condition}
"""


def test_an_event_has_a_budget_for_regular_expressions(tmp_path: Path) -> None:
    """What is beyond it is undecided: no match, whichever way it is asked, and told by rule."""
    conditions = ("s", "not s", "s or other", "other and not s")
    for number in range(300):
        text = HEAVY.format(
            id=uuid.UUID(int=number),
            number=number,
            most=30 + number % 30,
            condition=conditions[number % 4],
        )
        (tmp_path / f"r{number}.yml").write_text(text)
    engine = Engine(carengine.load_rules(tmp_path))
    # No text repeats, so that the automaton always needs new states.
    chance = random.Random(1)
    text = "".join(chance.choice("abcdef ghij/.-") for _ in range(5000))
    event = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "CommandLine": text}
    session = engine.session()
    right = {conditions.index("not s"), conditions.index("s or other"), 3}
    for shape in (session.feed, lambda event: session.feed_line(json.dumps(event).encode())):
        held = {int(uuid.UUID(m.rule.id)) for m in shape({**event, "Image": "x"})}
        assert {number % 4 for number in held} == right
        # What is true whatever the expression is needs it not.
        assert held >= {number for number in range(300) if number % 4 == 2}
        assert len(held) < 225
    [said] = session.diagnostics
    assert said.code.id == "CE552"
    assert "2 events" in said.message
    assert any(note.startswith(str(uuid.UUID(int=299))) for note in said.notes)
    # Nothing of it is remembered, and what costs little is decided.
    small = {**event, "CommandLine": "a", "Image": "x"}
    assert len(session.feed(small)) == 225
    assert len(session.diagnostics[0].notes) == len(said.notes)
