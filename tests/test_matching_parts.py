"""The parts that make matching fast, each against what it stands for.

Required texts against RE2, the finder against single tests, the routing tree against the
conditions, the matcher with hundreds of stages (automaton, splits, changed anchors) against
``holds``, and the prefilter against decoding whole lines.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from carengine import ir
from carengine.engine import Engine, interpret
from carengine.engine.matcher import ClassMatcher, EventClasses, Memory, finder, stages
from carengine.engine.matcher.finder import Finder
from carengine.engine.matcher.json_search import any_of
from carengine.engine.prefilter import prefilter
from carengine.engine.prefilter.decoding import AVAILABLE
from carengine.evaluate import NoContext, RawRow, holds, regex_of, searchable
from carengine.fieldmap import Entry, FieldMap, find_maps, installed_maps, unwrap
from carengine.jsontext import FAST, UnreadableError, decode
from carengine.loading import parse_rule
from carengine.pattern import Pattern, fold
from carengine.readers import read_events
from carengine.regex import literals
from carengine.rule import Rule
from sigma_rules import load
from strategies import conditions, raw_events, some

ALONE = NoContext()
quick = some(25)
SHARED = Path(__file__).parents[1].parent / "shared"

# Texts

PIECES = ("a", "B", "abc", "bcd", "\\", "x.exe", "ſ", "K", "İ", "ß", "\n", "😀", "\ud800", "\ufffd")
texts = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
patterns = st.builds(
    Pattern,
    st.lists(st.sampled_from((*PIECES, "*", "?", "[*]")), max_size=5).map("".join),
    st.booleans(),
)
regexes = st.builds(
    ir.Regex,
    st.just(ir.Raw(("x",))),
    st.sampled_from(
        (
            "abc",
            "(?i)ABCD",
            "a+bcd",
            "abc?d",
            r"\\x\.exe$",
            "^abc|bcd+",
            "(abc|b)cda",
            "[a-c]{2}x.exe",
            "ab{2,3}cd",
            r"abc\d*bcd",
            "abc|",
            "K.exe",
            "",
        )
    ),
    st.booleans(),
)


def test_what_an_expression_requires() -> None:
    table = {
        r"(?i)foo\d+barbar|quux": ("barbar", "quux"),
        "a.c": None,
        "abcd?": ("abc",),
        "abc{0,1}defg": ("defg",),
        "(?:abcdef)": ("abcdef",),
        r"\Qabc\E": ("abc",),
        r"\x41bcdef": ("abcdef",),
        r"(?:a(bc)|d)ef(gh)i\b[x]": ("efghi",),
        "a(bc)?de{2}f": None,
        "[]abc]defg": ("defg",),
        "[[:alpha:]]defg": ("defg",),
        "abc(": None,
        "abc|d": None,
        "größer": None,
        "ABCD": ("abcd",),
        r"C:\\Users\\": ("c:\\users\\",),
    }
    for expression, wanted in table.items():
        assert literals.of_expression(expression) == wanted, expression


@quick
@given(regexes, texts)
def test_required_texts_are_required(regex: ir.Regex, text: str) -> None:
    required = literals.of_regex(regex)
    if required is not None and regex_of(regex).search(searchable(text)) is not None:
        assert any(needed in fold(text) for needed in required)


@quick
@given(st.text("ab(|)[]{}*+?.\\^$d1", max_size=10), st.text("abd1", max_size=8))
def test_required_texts_of_any_expression(expression: str, text: str) -> None:
    regex = ir.Regex(ir.Raw(("x",)), expression)
    try:
        found = regex_of(regex).search(text)
    except Exception:
        assume(False)
    required = literals.of_regex(regex)
    if required is not None and found is not None:
        assert any(needed in fold(text) for needed in required)


@pytest.mark.parametrize("automaton", [True, False])
@pytest.mark.parametrize("many", [0, 100])
def test_the_finder_is_its_tests(
    automaton: bool, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not automaton:
        monkeypatch.setattr(finder, "Automaton", None)
    elif finder.Automaton is None:
        pytest.skip("ahocorasick_rs is not installed")

    @settings(quick)
    @given(st.lists(patterns, max_size=8), st.lists(regexes, max_size=3), st.lists(texts))
    def check(some_patterns: list[Pattern], some_regexes: list[ir.Regex], given: list[str]) -> None:
        made = Finder()
        tests: list[Any] = []
        for pattern in [*some_patterns, *(Pattern(f"*filler {n} text*") for n in range(many))]:
            made.add_pattern(pattern, 1 << len(tests))
            tests.append(pattern.matches)
        for regex in some_regexes:
            made.add_regex(regex, 1 << len(tests))
            tests.append(
                lambda text, regex=regex: regex_of(regex).search(searchable(text)) is not None
            )
        for text in given:
            expected = sum(1 << place for place, test in enumerate(tests) if test(text))
            # A lone surrogate may be taken for U+FFFD here: stages are decided by their conditions.
            found = made.find(text)
            assert found & expected == expected
            if "\ud800" not in text:
                assert found == expected

    check()


# Many stages at once

FIELDS = ("Image", "CommandLine", "EventID", "User")
leaves: st.SearchStrategy[ir.Value] = st.sampled_from(
    (
        *(ir.Raw((name,)) for name in FIELDS),
        ir.Raw(("Image",), ("-", "")),
        ir.Call("basename", (ir.Raw(("Image",)),)),
        ir.Call("first", (ir.Raw(("Image",)), ir.Raw(("User",)))),
        ir.Raw(("data", "Image")),
        ir.Presence(ir.Raw(("Image",))),
        ir.Presence(ir.Raw(("data", "Image"))),
        ir.Call("first", (ir.Presence(ir.Raw(("Image",))), ir.Presence(ir.Raw(("User",))))),
    )
)
VALUES = ("C:\\Windows\\cmd.exe", "cmd.exe", "-", "", "a", "4688", "x" * 2000, "ſ", "\ud800", 1, 0)
events = st.dictionaries(
    st.sampled_from((*FIELDS, "data")),
    st.one_of(
        st.sampled_from((*VALUES, 4688, 4688.0, 1.0, True, False, None, 1e300, 2**70)),
        st.lists(st.sampled_from(VALUES), max_size=3),
        st.fixed_dictionaries({"Image": st.sampled_from(VALUES)}),
    ),
)
filler = [
    ir.And(
        (
            ir.Match(ir.Raw(("EventID",)), (Pattern(str(4600 + number % 9)),)),
            ir.Match(ir.Raw(("CommandLine",)), (Pattern(f"*filler text {number}*"),)),
        )
    )
    for number in range(120)
]


@quick
@given(st.lists(conditions(leaves), min_size=1, max_size=12), st.lists(events, max_size=12))
def test_the_matcher_is_holds(
    some_conditions: list[ir.Condition], given: list[dict[str, Any]]
) -> None:
    everything = [*some_conditions, *filler]
    matcher = ClassMatcher(enumerate(everything), Memory(5_000))
    for event in [*given, *given]:
        row = RawRow(event)
        expected = [n for n, c in enumerate(everything) if holds(c, row, ALONE) is True]
        assert matcher.match(event, event) == expected


alike: st.SearchStrategy[Any] = st.sampled_from(
    (1, True, 1.0, "1", 0, False, 0.0, -0.0, "", None, "true", [1], [], {})
)


@some(100)
@given(
    st.lists(conditions(leaves), min_size=1, max_size=6),
    st.lists(st.dictionaries(st.sampled_from(FIELDS), alike), min_size=2, max_size=12),
)
def test_what_is_remembered_is_of_the_same_values(
    some_conditions: list[ir.Condition], given: list[dict[str, Any]]
) -> None:
    matcher = ClassMatcher(enumerate(some_conditions))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "_WORTH_A_MEMO", 1)
        for event in [*given, *given]:
            expected = [
                n for n, c in enumerate(some_conditions) if holds(c, RawRow(event), ALONE) is True
            ]
            assert matcher.match(event, event) == expected


def test_changing_anchors_changes_no_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "_FIRST_REVIEW", 4)
    monkeypatch.setattr(stages, "_NEXT_REVIEW", 2)
    monkeypatch.setattr(stages, "_LAST_REVIEW", 64)
    wanted = [
        ir.And(
            (
                ir.Match(
                    ir.Raw(("Image",)), (Pattern(f"*\\long name that is in all events {n}*"),)
                ),
                ir.Match(ir.Raw(("User",)), (Pattern(f"u{n}*"),)),
                ir.Not(ir.IsNull(ir.Raw(("EventID",)))),
            )
        )
        for n in range(3)
    ]
    matcher = ClassMatcher(enumerate(wanted))
    image = "".join(f"\\long name that is in all events {n}" for n in range(3))
    for number in range(500):
        event = {"Image": image, "User": f"u{number % 40}", "EventID": 1}
        expected = [n for n, c in enumerate(wanted) if holds(c, RawRow(event), ALONE) is True]
        assert matcher.match(event, event) == expected
    used = {
        column
        for stage in matcher._anchored
        if stage
        for column, _ in stage.anchors[stage.chosen].atoms
    }
    assert {matcher._columns[column].path for column in used if column is not None} == {("User",)}


def sigma_like(number: int) -> tuple[list[Rule], FieldMap]:
    """Rules of one log, most of which begin with an event id, and the log's map."""
    kind = ir.EventKind("process", "create")
    base = parse_rule("a = search Process:Create output a", "x.car")
    fields = {name.lower(): ir.Raw((name,)) for name in FIELDS}
    channel = ir.Match(ir.Raw(("Channel",)), (Pattern("Security"),))
    fieldmap = FieldMap("log.flat", "A log", channel, (Entry(kind, channel, fields),))
    made = []
    for place in range(number):
        condition: ir.Condition = ir.Match(ir.Field("commandline"), (Pattern(f"*text {place}*"),))
        if place % 7:
            condition = ir.And(
                (ir.Match(ir.Field("eventid"), (Pattern(str(place % 9)),)), ir.Not(condition))
            )
        plan = ir.Filter(ir.Search((kind,)), condition)
        program = ir.Program((ir.Output("a", plan),))
        made.append(Rule(f"r{place:03}", base.metadata, program, base.syntax, base.block))
    return made, fieldmap


def test_events_are_told_apart_by_what_rules_fix() -> None:
    made, fieldmap = sigma_like(40)
    engine = Engine(made, fieldmap)
    ids: tuple[Any, ...] = (1, "1", " 1", 1.0, True, None, "x", [1, 2], {"a": 1}, 8, "9")
    for event_id in ids:
        event = {"Channel": "security", "EventID": event_id, "CommandLine": "text 7"}
        expected = [match.rule.id for match in interpret(made, [event], [fieldmap])]
        assert [match.rule.id for match in engine.run([event])] == expected, event_id
        assert [match.rule.id for match in engine.run([event])] == expected, event_id
    one = engine.classify({"Channel": "Security", "EventID": 1})
    assert len(one.groups[0][1].stages) < 20


@quick
@given(st.data())
def test_routes_are_the_conditions(data: st.DataObject) -> None:
    fieldmap = data.draw(st.sampled_from(installed_maps()))
    classes = EventClasses(fieldmap)
    for _ in range(3):
        event = unwrap(data.draw(raw_events(data.draw(st.sampled_from(installed_maps())))))
        row = RawRow(event)
        known = holds(fieldmap.recognise, row, ALONE) is True
        assert classes.recognises(event) is known
        if known:
            expected = [
                n for n, e in enumerate(fieldmap.entries) if holds(e.when, row, ALONE) is True
            ]
            assert classes.entries(event) == expected


# Lines

RULES = [
    parse_rule('a = search Process:Create where exe = "cmd.exe" output a', "a.car"),
    parse_rule('b = search File:Create where file_path = "*.exe" and pid > 3 output b', "b.car"),
    parse_rule('c = search Process:Create where "needle" in raw event output c', "c.car"),
    parse_rule('d = search Registry:* where user = "x" and not key = "*Run*" output d', "d.car"),
]


@pytest.fixture(autouse=True)
def learning_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefilter, "_FIRST_REVIEW", 1)
    monkeypatch.setattr(prefilter, "_BATCH", 5)


def whole(line: bytes) -> Any:
    try:
        return (FAST or decode)(line)
    except (ValueError, RecursionError):
        return decode(line)


def outcome(engine: Engine, lines: list[bytes]) -> list[Any]:
    session = engine.session()
    found: list[Any] = []
    for line in lines:
        try:
            event = whole(line)
        except UnreadableError:
            found.append(None)
            continue
        found.append(
            [match.rule.id for match in session.feed(event)] if type(event) is dict else None
        )
    return [*found, session.stats.events, session.stats.kinds, session.stats.matches]


def prefiltered(engine: Engine, lines: list[bytes]) -> list[Any]:
    session = engine.session()
    found: list[Any] = []
    for line in lines:
        try:
            found.append([match.rule.id for match in session.feed_line(line)])
        except ValueError:
            found.append(None)
    made = [*found, session.stats.events, session.stats.kinds, session.stats.matches]
    assert batched(engine, lines) == made
    return made


def batched(engine: Engine, lines: list[bytes]) -> list[Any]:
    session = engine.session()
    found: list[Any] = [[] for _ in lines]
    unreadable = 0
    for place in session.prefilter.candidates(lines):
        assert session.stats.events == place - unreadable
        try:
            found[place] = [match.rule.id for match in session.feed(whole(lines[place]))]
        except (ValueError, TypeError):
            found[place] = None
            unreadable += 1
    return [*found, session.stats.events, session.stats.kinds, session.stats.matches]


@pytest.mark.skipif(not AVAILABLE, reason="msgspec is not installed")
def test_lines_are_let_pass_where_most_of_them_match(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_FIRST_REVIEW", 8), ("_MANY_MATCHED", 4), ("_PAUSE", 16)):
        monkeypatch.setattr(prefilter, name, value)
    engine = Engine([parse_rule('a = search Process:Create where exe = "a.exe" output a')], "car")
    # Stretches of events that match, of some that do, and of none.
    matching = [
        number % 9 == 0 if number // 60 % 3 == 1 else number // 60 % 3 == 0 for number in range(720)
    ]
    lines = [
        b'{"object": "process", "action": "create", "exe": "%s.exe"}' % (b"a" if found else b"b")
        for found in matching
    ]
    assert prefiltered(engine, lines) == outcome(engine, lines)
    session = engine.session()
    taken = [session.prefilter.rejects(line) or session.feed_line(line) for line in lines]
    # It looks again: not one of the last quiet stretch is decoded whole once it has.
    assert taken[-30:] == [True] * 30
    looked_at: list[bytes] = []
    finding = session.prefilter._probe

    def looking(known: Any, line: bytes, hits: int) -> bool:
        looked_at.append(line)
        return finding(known, line, hits)

    monkeypatch.setattr(session.prefilter, "_probe", looking)
    for line in lines[:60]:
        session.prefilter.rejects(line)
    assert 0 < len(looked_at) < 30


@pytest.mark.skipif(not AVAILABLE, reason="msgspec is not installed")
@some(30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("", " and Image", " and not Image")),
            st.sampled_from(("A", "B", "md5", "Hashes")),
            st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ),
    st.lists(
        st.dictionaries(
            st.sampled_from(("A", "B", "md5", "Hashes", "Image")),
            st.sampled_from((None, "", "-", "x", [], {}, 1, "MD5=x")),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(("flat", "winlogbeat")),
)
def test_lines_tell_what_is_not_there_from_null(
    wanted: list[tuple[str, str, bool]], events: list[dict[str, Any]], shape: str
) -> None:
    texts = [
        (
            f"title: r\nid: r{n}\nlogsource: {{product: windows, category: process_creation}}\n"
            f"detection:\n  there: {{{name}|exists: {str(there).lower()}}}\n"
            f"  Image: {{Image: x}}\n  condition: there{also}\n"
        )
        for n, (also, name, there) in enumerate(wanted)
    ]
    rules = load(*texts)
    channel = "Microsoft-Windows-Sysmon/Operational"
    made = [
        {"Channel": channel, "EventID": 1, **event}
        if shape == "flat"
        else {"winlog": {"channel": channel, "event_id": 1, "event_data": event}}
        for event in events
    ]
    engine = Engine(rules)
    expected = [match.rule.id for match in interpret(rules, made * 9, engine.maps)]
    assert [match.rule.id for match in engine.run(made * 9)] == expected
    lines = [json.dumps(event).encode() for event in made * 9]
    assert prefiltered(engine, lines) == outcome(engine, lines)
    assert [match.rule.id for match in engine.lines(lines)] == expected


@pytest.mark.skipif(not AVAILABLE, reason="msgspec is not installed")
@some(20)
@given(st.data())
def test_lines_are_their_events(data: st.DataObject) -> None:
    maps = data.draw(
        st.sampled_from(("auto", "sysmon", "sysmon.flat", "sysmon.evtx", "mordor", "car"))
    )
    engine = Engine(RULES, maps)
    made = []
    for _ in range(6):
        event = data.draw(raw_events(data.draw(st.sampled_from(find_maps(maps)))))
        line = json.dumps(event, ensure_ascii=data.draw(st.booleans())).encode(
            "utf-8", "surrogatepass"
        )
        if data.draw(st.booleans()) and line:
            # A byte lost, doubled, or turned into another.
            place = data.draw(st.integers(0, len(line) - 1))
            put = data.draw(
                st.sampled_from(
                    (b"", b'"', b"\\", b"1e999", b"\xff", b"{", b"]", b",", b"\0", b"9" * 400)
                )
            )
            line = line[:place] + put + line[place + data.draw(st.integers(0, 1)) :]
        made += [line] * 8
    assert prefiltered(engine, made) == outcome(engine, made)
    assert prefiltered(engine, made) == outcome(engine, made)


ODD = (
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"EventID":11,"TargetFilename":"x.exe","ProcessId":9}',
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","\\u0045ventID":1,"Image":"C:\\\\cmd.exe"}',
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Image":["a","C:\\\\cmd.exe"]}',
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Image":"cmd.exe","Image":"x"}',
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Other":1e999}',
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Other":"\xff"}',
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Other":"\\ud800"}',
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Other":01}',
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Other":"a needle"}',
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Other":' + b"[" * 1100 + b"]" * 1100 + b"}",
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":123456789012345678901234567890}',
    b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1} x',
    b'{"_source":{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Image":"\\\\cmd.exe"},"EventID":1}',
    b'\xef\xbb\xbf{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1}',
    b'  {"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1}\r\n',
    b'[1]',
    b'5',
    b"",
)  # fmt: skip


def test_odd_lines_are_their_events() -> None:
    engine = Engine(RULES, "sysmon.flat")
    plain = b'{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Image":"C:\\\\x.exe"}'
    made = [line for odd in ODD for line in (*[plain] * 4, odd, odd)]
    assert prefiltered(engine, made) == outcome(engine, made)
    # The next session begins with what was learned, and finds the same.
    assert prefiltered(engine, made) == outcome(engine, made)
    session = Engine(RULES, "sysmon.flat").session()
    assert [session.prefilter.rejects(plain) for _ in range(3)] == [False, False, False]
    # A rule looks into the text of whole events, so that no field says that it does not match.
    others = Engine([RULES[0], RULES[1]], "sysmon.flat").session()
    for _ in range(20):
        others.feed_line(plain)
    assert others.prefilter.rejects(plain) is AVAILABLE


@pytest.mark.parametrize("most", [4, 2_000])
def test_what_is_remembered_changes_nothing(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Values that repeat and values that do not, of fields that decide what an event is and of
    # others; hits that come to nothing; words that are looked for anywhere; and so little room that
    # all is forgotten again and again.
    for name in (
        *("_MOST_VALUES", "_MOST_CANDIDATES", "_LOOK_AT", "_TRY_AGAIN"),
        *("_CLEAN_BYTES", "_MOST_REFUSED"),
    ):
        monkeypatch.setattr(prefilter, name, most)
    rules = [
        parse_rule('a = search Process:Create where exe = "c*.exe" and user = "x" output a', "a"),
        parse_rule('b = search Process:Create where "needle" in raw event output b', "b"),
        parse_rule(
            'c = search Process:Create where command_line = "*foo*" and not exe = "d.exe" output c',
            "c",
        ),
        parse_rule('d = search Process:Create where exe = "z.exe" and ppid > 1 output d', "d"),
    ]
    made = []
    for number in range(600):
        event: dict[str, Any] = {
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "EventID": (1, "1", 1.0, True, 11, number)[number % 97 % 6],
            "Image": ("C:\\c.exe", "C:\\d.exe", "C:\\z.exe", f"C:\\c{number}.exe")[number % 4],
            "CommandLine": ("foo", "bar", f"foo {number}", None, ["foo"], {"foo": 1})[
                number % 13 % 6
            ],
            "User": ("x", "y", 1, 1.0, True)[number % 11 % 5],
            "ParentProcessId": (0, 1, True, 5, 5.0)[number % 7 % 5],
        }
        if number % 17 == 0:
            event["Other"] = ("a needle", "NEEDLE", "n\u0065edle", "nee")[number % 4]
        if number % 29 == 0:
            event["event_id"] = (1, None, {"a": 1}, "x")[number % 4]
        line = json.dumps(event).encode()
        made.append(line.replace(b"eedle", b"\\u0065edle") if number % 51 == 0 else line)
    for maps in ("sysmon.flat", "auto"):
        engine = Engine(rules, maps)
        expected = outcome(engine, made)
        assert prefiltered(engine, made) == expected
        assert prefiltered(engine, made) == expected
        assert expected[-1].total() > 40


@pytest.mark.parametrize("cost", [0, 2.2])
def test_one_field_that_is_lacking_says_nothing_about_others(
    cost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules that read one field, whose values are too many to be remembered, and which some events
    lack."""
    monkeypatch.setattr(prefilter, "_AGAIN_COST", cost)
    monkeypatch.setattr(prefilter, "_LOOK_AT", 4)
    rule = parse_rule('a = search Process:Create where command_line = "x*y" output a')
    engine = Engine([rule], "car")
    head = '{"object": "process", "action": "create"'
    lines = [f'{head}, "command_line": "{number}"}}' for number in range(60)]
    made = [*[head + "}"] * 20, *lines, f'{head}, "command_line": "x1y"}}', head + "}", *lines]
    made += [f'{head}, "command_line": "x{number}y"}}' for number in range(9)]
    encoded = [line.encode() for line in made]
    assert prefiltered(engine, encoded) == outcome(engine, encoded)
    assert prefiltered(engine, encoded) == outcome(engine, encoded)


def test_maps_with_nothing_of_what_rules_search_come_last() -> None:
    # Zeek's connections are also recognised by what they lack; nobody searches them here.
    engine = Engine([RULES[0]], "auto")
    both = {"object": "process", "action": "create", "exe": "cmd.exe", "_path": "conn", "ts": 1.0}
    session = engine.session()
    assert [match.rule.id for match in session.feed(both)] == [
        match.rule.id for match in interpret([RULES[0]], [both], find_maps("car"))
    ]
    assert session.stats.recognised == {"car": 1}
    alone = {"_path": "conn", "ts": 1.0, "uid": "C1", "id.orig_h": "10.0.0.1"}
    session.feed(alone)
    assert session.stats.recognised == {"car": 1, "zeek": 1}
    assert session.stats.unrecognised == 0


def test_a_reader_leaves_taken_lines_out(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    lines = [
        json.dumps({"object": "process", "action": "create", "exe": exe, "pid": 1})
        for exe in ("a.exe", "b.exe", "cmd.exe", "c.exe")
    ]
    file.write_text("\n".join([*lines, "{", *lines]) + "\n")
    engine = Engine(RULES[:2], "car")
    session = engine.session()
    for _ in range(20):
        session.feed_line(lines[0].encode())
    with read_events(file, candidates=session.prefilter.candidates) as reading:
        found = [(r.number, m.rule.id) for r in reading for m in session.feed(r.event)]
    assert found == [(3, "a"), (8, "a")]
    assert (reading.records, reading.unreadable, session.stats.events) == (9, 1, 28)


# What it costs


# Each takes a backtracking engine seconds, or ages, on its line.
NESTED = (
    (r"(?:[a-z]+\s?)+(?:[0-9]+\s?)+(?:[a-z]+\s?)+;.{1,200}(?:x|xx)+y", "ab 12 " * 400),
    # As in published rules for commands that are put together from pieces.
    (
        r"cmd /c set [a-z]{3,6}.*(?:\{[0-9]\})+x\s+?-f(?:.*\))+.*;",
        "cmd /c set abcd {0}x -f " + ")" * 1900,
    ),
)


@pytest.mark.parametrize(("slow", "text"), NESTED)
def test_a_long_command_line_costs_little(slow: str, text: str) -> None:
    rule = parse_rule(f"a = search Process:Create where command_line match '{slow}' output a", "x")
    engine = Engine([rule], "car")
    session = engine.session()
    event = {"object": "process", "action": "create", "command_line": "warm"}
    session.feed(event)
    begun = time.process_time()
    assert session.feed({**event, "command_line": text[:1900]}) == []
    assert time.process_time() - begun < 0.05


def test_memory_is_bounded_for_any_stream() -> None:
    made, fieldmap = sigma_like(60)
    engine = Engine(made, fieldmap)
    engine.memory.limit = 300_000
    session = engine.session()
    for number in range(6_000):
        event = {"Channel": "Security", "EventID": number % 12, "CommandLine": f"{number} " * 50}
        session.feed_line(json.dumps(event).encode())
    assert engine.memory.spent <= 400_000
    held = sum(len(str(key)) for table in engine.memory.tables for key in table)
    assert held <= 400_000


@pytest.mark.skipif(not (SHARED / "mordor").is_dir(), reason="needs the shared logs")
def test_real_lines_are_their_events() -> None:
    import zipfile

    path = SHARED / "mordor" / "empire_launcher_vbs.zip"
    with zipfile.ZipFile(path) as archive:
        [name] = [n for n in archive.namelist() if n.endswith(".json") and "MACOSX" not in n]
        lines = archive.read(name).splitlines()[::3]
    for maps in ("auto", "sysmon.flat"):
        engine = Engine(RULES, maps)
        assert prefiltered(engine, lines) == outcome(engine, lines)


WORDS = ("mimikatz", "sekurlsa::", "a.b", "k=", "event log", "kiwi", "x;y", "sss")


@quick
@given(st.sets(st.sampled_from(WORDS), min_size=1), st.data())
def test_words_in_json_are_seen_however_they_are_written(
    words: set[str], data: st.DataObject
) -> None:
    might_hold = any_of(words).might_hold
    word = data.draw(st.sampled_from(sorted(words)))
    written = "".join(
        data.draw(
            st.sampled_from(
                (c, c.upper(), *{"k": "\u212a", "s": "\u017f"}.get(c, ""), f"\\u{ord(c):04x}")
            )
        )
        for c in word
    )
    assert might_hold(f'{{"é":["C:\\\\users {written}"]}}'.encode())
    assert not might_hold('{"é":["C:\\\\users and no word"]}'.encode())


@quick
@given(
    st.lists(st.sampled_from(("*needle::x*", "*mimi katz*", "*\\mimidrv*", "*e1*", "*a*b:c*"))),
    st.recursive(
        st.one_of(
            st.sampled_from(("a needle::X", "MIMI Katz", "c:\\mimidrv", "axb:c", "e1", "\x01")),
            st.floats(allow_nan=False),
            st.integers(-(2**70), 2**70),
            st.none() | st.booleans(),
        ),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("aek"), inner),
    ),
)
def test_texts_of_events_are_looked_into_where_they_must_be(texts: list[str], value: Any) -> None:
    tests = [ir.RawMatch((Pattern(text),)) for text in texts]
    matcher = ClassMatcher(enumerate(tests))
    event = {"x": value}
    expected = [n for n, test in enumerate(tests) if holds(test, RawRow(event), ALONE) is True]
    escaped = "".join(f"\\u{ord(c):04x}" if c.isalpha() else c for c in json.dumps("a needle::x"))
    for line in (json.dumps(event), json.dumps(event, ensure_ascii=False, indent=1)):
        assert matcher.match(event, event, line=line.encode()) == expected
    assert matcher.match(event, event) == expected
    hidden = {"x": "a needle::x"}
    found = matcher.match(hidden, hidden, line=f'{{"x":{escaped}}}'.encode())
    assert found == [n for n, text in enumerate(texts) if text == "*needle::x*"]
