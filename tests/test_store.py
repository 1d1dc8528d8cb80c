"""Saved engines: what is loaded is what was saved, and nothing but plain data is ever taken from a
file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.diagnostics import CarError
from carengine.engine import Engine
from carengine.fieldmap import find_maps
from carengine.loading import parse_rule
from carengine.pattern import Pattern
from carengine.rule import Rule, RuleSet
from strategies import conditions, rules, some

TEXT = 'a = search Process:Create where exe = "x.exe" and user != "ü\\" output a'
EVENT = {"object": "process", "action": "create", "exe": "x.exe", "user": "y"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "engine.json"


def test_the_shipped_rules_come_back(file: Path) -> None:
    loaded = carengine.load_rules(carengine.shipped_rules())
    engine = Engine(loaded)
    engine.save(file)
    again = Engine.load(file)
    assert again.maps == engine.maps
    for old, new in zip(engine.rules, again.rules, strict=True):
        assert (old.id, old.metadata, old.program) == (new.id, new.metadata, new.program)
        assert (old.syntax, old.examples, old.references) == (
            new.syntax,
            new.examples,
            new.references,
        )
        assert old.block.source.text == new.block.source.text
        for before, after in zip(old.program.outputs, new.program.outputs, strict=True):
            assert before.span is not None
            assert after.span is not None
            assert before.span.text == after.span.text
    assert [str(d) for d in again.not_runnable] == [str(d) for d in engine.not_runnable]


@some(10)
@given(st.lists(rules(), min_size=1, max_size=3))
def test_any_rule_comes_back(texts: list[str]) -> None:
    made = [parse_rule(text, f"r{number}.car") for number, text in enumerate(texts)]
    assert [rule.program for rule in _through_a_file(made).rules] == [r.program for r in made]


@some(25)
@given(
    conditions(
        st.sampled_from([ir.Field("exe"), ir.Constant(1.5), ir.Constant("\ud800\n\\x\u2028é")])
    )
)
def test_any_condition_comes_back(condition: ir.Condition) -> None:
    base = parse_rule(TEXT)
    plan = ir.Filter(ir.Search((ir.EventKind("process", "create"),)), condition)
    rule = Rule("x", base.metadata, ir.Program((ir.Output("a", plan),)), base.syntax, base.block)
    [again] = _through_a_file([rule]).rules
    assert repr(again.program) == repr(rule.program)


def _through_a_file(made: list[Rule]) -> Engine:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        Engine(made, "car").save(path)
        return Engine.load(path)


def test_what_is_loaded_matches(file: Path) -> None:
    Engine([parse_rule(TEXT)], find_maps("car")).save(file)
    assert [match.output for match in Engine.load(file).run([EVENT])] == ["a"]


def damaged(data: Any) -> list[tuple[str, Any]]:
    def with_nodes(change: Any) -> dict[str, Any]:
        nodes = json.loads(json.dumps(data["nodes"]))
        change(nodes)
        return {**data, "nodes": nodes}

    pattern = next(n for n, c in enumerate(data["classes"]) if c[0] == "pattern.Pattern")
    place = next(n for n, node in enumerate(data["nodes"]) if node[0] == pattern)
    return [
        ("another version", {**data, "carengine": 1}),
        ("no nodes", {**data, "nodes": []}),
        ("a class of elsewhere", {**data, "classes": [["os.system", "x"]]}),
        ("a class of ours that is no part of rules", {**data, "classes": [["engine.engine.Engine"]]}),
        ("other fields", {**data, "classes": [[*c, "more"] for c in data["classes"]]}),
        ("a wrong type", with_nodes(lambda nodes: nodes[place].__setitem__(1, {"i": 5}))),
        ("no text", with_nodes(lambda nodes: nodes[0].__setitem__(1, {"t": 10**6}))),
        ("a text that is none", {**data, "texts": [5]}),
        ("no integer", with_nodes(lambda nodes: nodes[0].__setitem__(1, {"i": "5"}))),
        ("no integers", with_nodes(lambda nodes: nodes[0].__setitem__(1, {"n": [1, "5"]}))),
        ("a reference ahead", with_nodes(lambda nodes: nodes[0].__setitem__(1, 10**6))),
        ("a reference behind", with_nodes(lambda nodes: nodes[0].__setitem__(1, -1))),
        ("too few values", with_nodes(lambda nodes: nodes[place].pop())),
        ("an unknown kind", with_nodes(lambda nodes: nodes[0].__setitem__(1, {"z": 1}))),
        ("two kinds", with_nodes(lambda nodes: nodes[0].__setitem__(1, {"i": 0, "l": []}))),
        ("an unknown code", with_nodes(lambda nodes: nodes[0].__setitem__(1, {"c": "CE000"}))),
        ("no enumeration", with_nodes(lambda nodes: nodes[0].__setitem__(1, {"e": ["ir.And", "x"]}))),
        ("maps for rules", {**data, "rules": data["maps"]}),
        ("a list", []),
    ]  # fmt: skip


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**40])
def test_integers_of_any_size_come_back(number: int) -> None:
    [rule] = [parse_rule(f"a = search Process:Create where pid > {number} output a")]
    [again] = _through_a_file([rule]).rules
    assert again.program == rule.program


def test_damaged_files_are_refused(file: Path) -> None:
    Engine([parse_rule(TEXT)], "car").save(file)
    data = json.loads(file.read_text())
    for name, broken in damaged(data):
        file.write_text(json.dumps(broken))
        with pytest.raises(CarError) as raised:
            Engine.load(file)
        assert [d.code.id for d in raised.value.diagnostics] == ["CE550"], name
    written = json.dumps(data)
    assert '"basename"' in written
    file.write_text(written.replace('"basename"', '"bassname"'))
    with pytest.raises(CarError, match="no function bassname"):
        Engine.load(file)
    for content in (b"", b"{", b"\xff", b"null", b'{"carengine":1}', b"[" * 100_000):
        file.write_bytes(content)
        with pytest.raises(CarError):
            Engine.load(file)
    with pytest.raises(CarError):
        Engine.load(file.parent / "none")
    with pytest.raises(CarError):
        Engine([]).save(file.parent / "none" / "x")


def test_shared_parts_are_written_once(file: Path) -> None:
    shared = ir.Match(ir.Field("exe"), (Pattern("x"),))
    for _ in range(60):
        # Written out, this would be more than any disk holds.
        shared = ir.And((shared, shared))  # type: ignore[assignment]
    base = parse_rule(TEXT)
    plan = ir.Filter(ir.Search(()), shared)
    rule = Rule("x", base.metadata, ir.Program((ir.Output("a", plan),)), base.syntax, base.block)
    from carengine.engine import compiled

    compiled.write(file, RuleSet((rule,)), ())
    assert file.stat().st_size < 20_000
    [again], _ = compiled.read(file)
    assert again.id == "x"


class _MadeAnew(Mapping[str, ir.Value]):
    """A mapping that makes its values each time it is asked."""

    def __getitem__(self, name: str) -> ir.Value:
        return ir.Raw((name,))

    def __iter__(self) -> Iterator[str]:
        return iter(("exe", "pid"))

    def __len__(self) -> int:
        return 2


def test_a_mapping_that_makes_its_values_anew_is_written_once(file: Path) -> None:
    from carengine.engine import compiled

    [fieldmap] = find_maps("car")
    entry = evolve(fieldmap.entries[0], fields=_MadeAnew())
    compiled.write(file, RuleSet(()), [evolve(fieldmap, entries=(entry,))])
    _, [again] = compiled.read(file)
    assert again.entries[0].fields == {"exe": ir.Raw(("exe",)), "pid": ir.Raw(("pid",))}
