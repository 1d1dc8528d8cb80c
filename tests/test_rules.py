"""The rules that carengine ships: each loads, its examples hold, and it holds through every map
that can say the same.

And rule files in general: front matter, folders, what is wrong in one never touching the others.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.check import check_rules, format_rule
from carengine.diagnostics import CarError, PathNotFoundError, Severity, codes
from carengine.engine import Engine
from carengine.engine.report import run_examples
from carengine.fieldmap import (
    CarEvent,
    CarRow,
    Entry,
    FieldMap,
    find_maps,
    installed_maps,
    normalize,
)
from carengine.loading import load_rule, load_rules, parse_rule
from carengine.pattern import fold
from carengine.rule import Rule, RuleSet
from carengine.values import text_of
from strategies import place, raw_paths, satisfy

SHIPPED = load_rules(carengine.shipped_rules())
MAPS = [found for found in installed_maps() if found.name != "car" and found.kinds()]
every_rule = pytest.mark.parametrize("rule", SHIPPED.rules, ids=lambda rule: rule.id)


def test_all_shipped_rules_load_without_a_finding() -> None:
    assert not SHIPPED.refused
    assert not SHIPPED.diagnostics
    files = list(Path(carengine.shipped_rules()).rglob("*.car"))
    assert len(SHIPPED) == len(files) >= 20


@every_rule
def test_a_shipped_rule_is_complete(rule: Rule) -> None:
    about = rule.metadata
    assert rule.id == Path(rule.path).stem
    assert about.title
    assert about.description
    assert about.level
    assert about.status
    assert {example.match for example in rule.examples} == {True, False}


@every_rule
def test_its_examples_hold(rule: Rule) -> None:
    for result in run_examples([rule]):
        if result.passed is None:
            assert not rule.stateless
            continue
        assert result.passed, result.findings


@every_rule
def test_every_event_of_an_example_is_recognised(rule: Rule) -> None:
    """An example that no map reads would prove nothing."""
    for example in rule.examples:
        for event in example.events:
            assert normalize(event, find_maps(example.fieldmap)), (example.name, event)


# The same events in the names of other logs


def express(event: dict[str, Any], value: ir.Value, wanted: Any) -> None:
    """Fill an event so that a value of a field map most likely gives what is wanted."""
    match value:
        case ir.Raw(path):
            place(event, path, wanted)
        case ir.Call("choose", (inner, *pairs)):
            for key, chosen in zip(pairs[::2], pairs[1::2], strict=False):
                if isinstance(key, ir.Constant) and chosen == ir.Constant(wanted):
                    express(event, inner, key.value)
        case ir.Call("hash", (inner, ir.Constant(algorithm))):
            for raw in raw_paths(inner):
                place(event, raw.path, f"{algorithm}={wanted}")
        case ir.Call("account", (domain, user)) if isinstance(wanted, str):
            realm, _, name = wanted.rpartition("\\")
            express(event, user, name)
            if realm:
                express(event, domain, realm)
        case ir.Call(_, arguments) if arguments:
            express(event, arguments[0], wanted)


def retold(event: dict[str, Any], fieldmap: FieldMap, entry: Entry) -> dict[str, Any]:
    """An event in CAR's names, told in those of another log."""
    made: dict[str, Any] = {}
    satisfy(made, entry.when)
    # Whole fields first: a base name must not stand where its path belongs.
    order = sorted(entry.fields.items(), key=lambda item: not isinstance(item[1], ir.Raw))
    for name, value in order:
        if event.get(name) is not None:
            express(made, value, event[name])
    satisfy(made, fieldmap.recognise)
    return made


def texts(event: CarEvent) -> dict[str, str | None]:
    """What a CAR view says of each field that any rule reads, case aside."""
    row = CarRow(event)
    found = {name: text_of(row.field(ir.Field(name))) for name in sorted(READ)}
    return {name: None if text is None else fold(text) for name, text in found.items()}


@cache
def engine_for(name: str) -> Engine:
    return Engine([rule for rule in SHIPPED if rule.stateless], name)


def outputs(name: str, event: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for match in engine_for(name).run([event]):
        found.setdefault(match.rule.id, set()).add(match.output)
    return found


def events_of(rules: RuleSet) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for rule in rules:
        for example in rule.examples:
            for event in example.events:
                key = json.dumps(event, sort_keys=True, default=str)
                if "object" in event and "action" in event and key not in seen:
                    seen.add(key)
                    yield dict(event)


# Products that give some kinds of events only, or in ways that `express` cannot turn round.
PARTIAL = frozenset({"auditd", "crowdstrike", "eventlog", "ocsf", "osquery", "zeek", "ecs"})


@cache
def told_in_car() -> list[
    tuple[dict[str, Any], CarEvent, dict[str, str | None], dict[str, set[str]]]
]:
    """The examples in CAR's names: each with its view, its texts, and the outputs it gives."""
    made = []
    for event in events_of(SHIPPED):
        [own] = normalize(event, find_maps("car"))
        made.append((event, own, texts(own), outputs("car", event)))
    return made


READS = {rule.id: {r.field for r in rule.references} - {"time"} for rule in SHIPPED}
READ = frozenset().union(*READS.values())


@pytest.mark.parametrize("name", [found.name for found in MAPS if found.name != "sysmon.sentinel"])
def test_what_is_told_in_another_logs_names_matches_the_same_rules(name: str) -> None:
    [fieldmap] = find_maps(name)
    compared = matched = 0
    for event, own, own_texts, expected in told_in_car():
        for entry in fieldmap.entries:
            if entry.kind != own.kind:
                continue
            raw = retold(dict(own.fields), fieldmap, entry)
            seen = normalize(raw, [fieldmap])
            views = [v for v in seen if v.kind == own.kind]
            # Conditions on parts of values (bits, texts inside texts) are not found by turning
            # functions round.
            assert len(views) == 1 or (not views and fieldmap.family in PARTIAL), (raw, entry.kind)
            if len(seen) != 1:
                # A record that tells of two events matches the rules of both.
                continue
            found = outputs(name, raw)
            # Missing fields agree too.
            told = texts(views[0]).items()
            agreed = {field for field, text in told if text == own_texts[field]}
            for rule_id, fields in READS.items():
                if fields <= agreed:
                    assert found.get(rule_id) == expected.get(rule_id), (rule_id, raw, event)
                    compared += 1
                    matched += rule_id in expected
    assert compared > (20 if fieldmap.family in PARTIAL else 500)
    assert matched > (0 if fieldmap.family in PARTIAL else 20)


# Files


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


GOOD = 'a = search Process:Create where exe = "x.exe" output a'


def test_a_rule_without_front_matter_is_named_by_its_file(tmp_path: Path) -> None:
    rule = load_rule(write(tmp_path, "my rule.car", GOOD))
    assert rule.id == rule.title == "my rule"
    assert rule.stateless


def test_front_matter(tmp_path: Path) -> None:
    text = (
        "\ufeff---\nid: T-1\ntitle: A title\nlevel: High\nattack: [T1003.001, T1059]\n"
        f"tags: one\n---\n{GOOD}\n"
    )
    rule = load_rule(write(tmp_path, "x.car", text))
    assert (rule.id, rule.title, rule.metadata.level) == ("T-1", "A title", "high")
    assert rule.attack == ("T1003.001", "T1059")
    assert rule.metadata.tags == ("one",)


def test_one_broken_file_does_not_keep_the_others_from_loading(tmp_path: Path) -> None:
    write(tmp_path, "good.car", GOOD)
    write(tmp_path, "deeper/also.car", GOOD)
    write(tmp_path, "note.txt", "not a rule")
    write(
        tmp_path, "bad.car", "---\nid: bad\n---\na = search Process:Create\nb = filter a were x\n"
    )
    write(tmp_path, "worse.car", 'a = search Nothing:Create where exe = "x"\noutput a\n')
    write(tmp_path, "front.car", f"---\nid: [\n---\n{GOOD}\n")
    write(tmp_path, "level.car", f"---\nlevel: huge\n---\n{GOOD}\n")
    write(tmp_path, "page.md", "# Nothing here\n")
    (tmp_path / "binary.car").write_bytes(b"\xff\xfe\x00\x01")
    rules = load_rules(tmp_path)
    assert [rule.id for rule in rules] == ["also", "good"]
    assert {refused.id for refused in rules.refused} == {
        *("bad", "worse", "front", "level", "binary")
    }
    places = {Path(d.where.split(":")[0]).name: d for d in rules.diagnostics}
    assert set(places) == {
        "bad.car",
        "worse.car",
        "front.car",
        "level.car",
        "page.md",
        "binary.car",
    }
    assert places["worse.car"].where.endswith("worse.car:1:12")
    assert places["bad.car"].where.split(":")[1] == "5"
    for name, item in places.items():
        assert item.severity is (Severity.NOTE if name == "page.md" else Severity.ERROR)
        assert item.message


def test_files_that_cannot_be_read_are_refused_rules(tmp_path: Path) -> None:
    write(tmp_path, "GOOD.CAR", GOOD)
    (tmp_path / "latin.car").write_bytes(b"# one\n# M\xfcller\n" + GOOD.encode())
    (tmp_path / "bom.car").write_bytes(b"\xef\xbb\xbf# M\xfcller\n" + GOOD.encode())
    (tmp_path / "wide.car").write_bytes(GOOD.encode("utf-16"))
    (tmp_path / "large.car").write_bytes(b"#" * 8_000_001)
    (tmp_path / "link.car").symlink_to(tmp_path / "gone.car")
    rules = load_rules(tmp_path)
    assert [rule.id for rule in rules] == ["GOOD"]
    said = {
        r.id: (d.where.split(":", 1)[-1], d.message)
        for r in rules.refused
        for d in [*r.diagnostics]
    }
    assert len(rules.diagnostics) == len(rules.refused) == len(said) == 5
    assert said["latin"] == ("2:4", "the rule file cannot be read: byte 10 is not UTF-8")
    assert said["bom"] == ("1:4", "the rule file cannot be read: byte 7 is not UTF-8")
    assert "larger than 8,000,000 bytes" in said["large"][1]
    assert "No such file" in said["link"][1]
    [wide] = (r for r in rules.refused if r.id == "wide")
    assert "UTF-16" in wide.diagnostics[0].notes[0]


def test_a_misspelt_output_is_no_missing_one(tmp_path: Path) -> None:
    text = "a = search Process:Create\nouput a\n"
    [found] = load_rules(write(tmp_path, "x.car", text)).diagnostics
    assert found.code.id == "CE101"
    assert found.fix is not None
    assert "output" in found.fix.message


def test_two_rules_of_one_id(tmp_path: Path) -> None:
    write(tmp_path, "a.car", f"---\nid: same\n---\n{GOOD}")
    write(tmp_path, "b.car", f"---\nid: SAME\n---\n{GOOD}")
    rules = load_rules(tmp_path)
    assert len(rules) == len(rules.refused) == 1
    [twice] = rules.diagnostics
    assert twice.code.id == "CE304"
    assert "b.car" in twice.where


def test_paths_that_hold_no_rules(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.car") as missing:
        load_rules(tmp_path, tmp_path / "none.car")
    assert isinstance(missing.value, CarError)
    rules = load_rules(tmp_path, tmp_path / "none.car", must_exist=False)
    assert [item.code.id for item in rules.diagnostics] == ["CE309", "CE301"] or [
        item.code.id for item in rules.diagnostics
    ] == ["CE301", "CE309"]
    with pytest.raises(PathNotFoundError):
        load_rule(tmp_path / "none.car")


def test_a_markdown_file_that_is_no_analytic_is_passed_over_in_a_folder(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Our rules\n\nAsk Ann.\n\n```\na = search x\n```\n")
    [nothing, note] = carengine.load_rules(tmp_path).diagnostics
    assert (note.code, note.origin) == (codes.NOT_A_PAGE, str(readme))
    assert nothing.code is codes.NO_RULES
    (tmp_path / "a.car").write_text("a = search process:create\noutput a\n")
    rules = carengine.load_rules(tmp_path)
    assert (len(rules), rules.refused) == (1, ())
    assert [found.code for found in rules.diagnostics] == [codes.NOT_A_PAGE]
    # Named by itself somebody wanted it; and what may be an analytic is one, refused or not.
    assert [refused.id for refused in carengine.load_rules(readme).refused] == ["README"]
    for text in ("---\ntitle: x\n---\n", "#### Pseudo-code ####\n"):
        readme.write_text(text)
        assert len(carengine.load_rules(tmp_path).refused) == 1


def test_unknown_keys_are_told_and_do_no_harm(tmp_path: Path) -> None:
    rule = load_rule(write(tmp_path, "x.car", f"---\ntitel: x\n---\n{GOOD}"))
    [item] = rule.diagnostics
    assert item.code.id == "CE303"
    assert item.fix is not None
    assert "title" in item.fix.message


EXAMPLES = [
    ("- x", "an example is a mapping"),
    ("- {match: perhaps, events: [{a: 1}]}", "match: true"),
    ("- {match: true}", "either events or a file"),
    ("- {match: true, events: []}", "a list of mappings"),
    ("- {match: true, events: [1]}", "a list of mappings"),
    ("- {match: true, file: none.json}", "cannot be used"),
    ("- {match: true, file: ../outside.json}", "outside the rule's folder"),
    ("- {match: true, file: /etc/hostname}", "outside the rule's folder"),
    ("- {match: true, file: broken.json}", "cannot be used"),
    ("- {match: true, file: deep.json}", "nested too deeply"),
]


@pytest.mark.parametrize(("example", "words"), EXAMPLES)
def test_examples_that_cannot_be_used(example: str, words: str, tmp_path: Path) -> None:
    write(tmp_path, "outside.json", "[]")
    write(tmp_path, "rules/broken.json", "{")
    write(tmp_path, "rules/deep.json", "[" * 100_000)
    path = write(tmp_path, "rules/x.car", f"---\nexamples:\n  {example}\n---\n{GOOD}")
    with pytest.raises(CarError) as caught:
        load_rule(path)
    [item] = caught.value.diagnostics
    assert item.code.id == "CE307"
    assert words in item.message
    assert item.span is not None


def test_examples_in_files(tmp_path: Path) -> None:
    event = {"object": "process", "action": "create", "exe": "x.exe"}
    write(tmp_path, "yes.jsonl", json.dumps(event) + "\n\n" + json.dumps(event))
    write(tmp_path, "no.json", json.dumps({**event, "exe": "y.exe"}))
    head = "examples:\n- {match: true, file: yes.jsonl}\n- {match: false, file: no.json, map: car}"
    rule = load_rule(write(tmp_path, "x.car", f"---\n{head}\n---\n{GOOD}"))
    assert [len(example.events) for example in rule.examples] == [2, 1]
    assert all(result.passed for result in run_examples([rule]))


def test_an_example_that_does_not_hold_is_told() -> None:
    text = (
        "---\nexamples:\n- {name: one, match: true, events: [{object: process, action: create}]}\n"
        f"---\n{GOOD}"
    )
    [result] = run_examples([parse_rule(text)])
    assert result.passed is False
    [item] = result.findings
    assert item.code.id == "CE308"
    assert item.span is not None
    assert item.span.line == 3


def test_rules_can_be_pickled() -> None:
    rules = pickle.loads(pickle.dumps(SHIPPED))
    assert [rule.id for rule in rules] == [rule.id for rule in SHIPPED]
    assert rules.rules[0].program == SHIPPED.rules[0].program


@given(st.text(max_size=60) | st.text("-\n:ai =\"'[]{}#", max_size=60))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    for given_text in (text, f"---\n{text}\n---\n{GOOD}", f"---\nid: x\n---\n{text}"):
        try:
            parse_rule(given_text)
        except CarError as error:
            refused = error.diagnostics
            assert refused


def test_shipped_rules_are_laid_out_as_the_formatter_does() -> None:
    for path in sorted(Path(carengine.shipped_rules()).glob("*.car")):
        text = path.read_text(encoding="utf-8")
        assert format_rule(text, path.name) == text, f"carengine fmt --write {path.name}"


def test_the_checker_has_nothing_to_say_about_shipped_rules() -> None:
    # Some of them count over all data, and mean it.
    found = [one for one in check_rules(SHIPPED) if one.code is not codes.UNBOUNDED_GROUP]
    assert [finding.message for finding in found] == []
