"""Objects, actions and fields that users declare beside CAR's."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import carengine
from carengine.cli import main
from carengine.datamodel import declare_text, declared_for_now, declared_objects, model
from carengine.engine import Engine
from carengine.fieldmap import find_maps, installed_maps, parse_map
from carengine.loading import parse_rule

MODEL = """
objects:
  shop_invoice:
    description: An invoice of the shop.
    identity: [number]
    actions: {pay: It was paid., write_off: It was given up.}
    fields:
      number: {type: integer, description: Its number.}
      amount: {type: number, description: How much.}
      file_path: {description: Where it is.}
      file_name: {description: Its name., base_name_of: file_path}
      extra: {type: any, open: true, description: Whatever else there is.}
  process:
    actions: {approve: A change board approved it.}
    fields: {ticket: {description: The change ticket.}}
"""
RULE = """---
id: shop
examples:
  - name: written off
    match: true
    events:
      - {object: shopinvoice, action: writeoff, amount: "5000.0", number: 7, file_path: '/a/b.pdf'}
---
off = search ShopInvoice:WriteOff where amount > 1000 and file_name = "b.pdf"
ticket = search Process:Create where ticket = "C-*"
output off, ticket
"""
MAP = """
name: shop
title: Shop
recognise: op exists
common: {time: when}
entries:
  - kind: shop_invoice/write_off
    when: op = "writeoff"
    fields: {number: no, amount: sum, file_path: path, extra: more}
"""


def test_what_is_declared_is_known_everywhere() -> None:
    before = model()
    with declared_for_now():
        declare_text(MODEL)
        spec = model().object("shop invoice")
        assert spec is not None
        assert spec.title == "ShopInvoice"
        assert list(spec.fields)[:2] == ["time", "number"]
        assert model().title_of_action("shop_invoice", "writeoff") == "ShopInvoice:WriteOff"
        process = model().objects["process"]
        assert "ticket" in process.fields
        assert "create" in process.actions
        assert process.nearest_fields("tickets")[0] == "ticket"
        rule = parse_rule(RULE)
        [result] = carengine.run_examples([rule])
        assert result.passed
        assert [e.title for e in (model().objects["shop_invoice"],)] == ["ShopInvoice"]
        [own] = parse_map(MAP)
        found = list(Engine([rule], own).run([{"op": "writeoff", "sum": "2e3"}]))
        assert found == []
        found = list(
            Engine([rule], own).run([{"op": "writeoff", "sum": 2000, "path": "C:\\b.pdf"}])
        )
        assert [match.output for match in found] == ["off"]
        assert [m.name for m in installed_maps()].count("car") == 1
        ticket = {"object": "process", "action": "create", "ticket": "C-1"}
        assert [m.output for m in Engine([rule], "car").run([ticket])] == ["ticket"]
    assert model() is before
    assert declared_objects() == ""
    with pytest.raises(carengine.CarError, match="no object ShopInvoice"):
        parse_rule(RULE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("objects: []", "objects is a mapping from names"),
        ("things: {}", "no meaning is known for the key"),
        ("objects: {invoice: {actions: {pay: x}, fields: {}}}", 'needs the key "description"'),
        ("objects: {process: {description: x}}", "no meaning is known"),
        ("objects: {process: {}}", "actions or fields are added"),
        ("objects: {process: {fields: {exe: {description: mine}}}}", '"process" has a field exe'),
        ("objects: {process: {actions: {create: mine}}}", '"process" has an action create'),
        ("objects: {process: {fields: {time: {description: x}}}}", '"time" already'),
        ("objects: {a: {description: d, actions: {b: c}, fields: {f: {type: txt, description: d}}}}",
         'no type "txt"'),
        ("objects: {a: {description: d, actions: {b: c}, fields: {}, identity: [x]}}",
         'no field "x"'),
        ("objects: {A-b: {description: d, actions: {b: c}, fields: {}}}", "snake case"),
        ("objects: {a: {description: d, title: Be, actions: {b: c}, fields: {}}}", "no spelling"),
        ("objects: {a: {description: d, actions: {b: c}, fields: {}}}\nobjects: {}", ""),
        (MODEL.replace("How much", "How many"), "declared in another way"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_model(text: str, said: str) -> None:
    with declared_for_now():
        declare_text(MODEL)
        before = model()
        with pytest.raises(carengine.CarError) as raised:
            declare_text(text)
        assert said.replace("no spelling", "not a spelling") in str(raised.value)
        assert {d.code.id for d in raised.value.diagnostics} == {"CE218"}
        assert model() is before


def test_the_same_again_changes_nothing() -> None:
    with declared_for_now():
        first = declare_text(MODEL)
        assert declare_text(MODEL, "other") is not None
        assert model().objects.keys() == first.objects.keys()
        again = declared_objects()
        with declared_for_now():
            declare_text(again)
            assert model().objects.keys() == first.objects.keys()
        declare_text("objects: {process: {fields: {second: {description: Two.}}}}")
        assert {"ticket", "second"} <= model().objects["process"].fields.keys()


def test_a_field_map_declares(tmp_path: Path) -> None:
    with declared_for_now():
        [own] = parse_map(MODEL + MAP)
        assert [str(kind) for kind in own.kinds()] == ["shop_invoice/write_off"]
    with declared_for_now(), pytest.raises(carengine.CarError) as raised:
        parse_map(MODEL.replace("type: number", "type: money") + MAP.replace("amount", "amont"))
    assert 'no type "money"' in str(raised.value)


def test_an_engine_knows_its_objects_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "engine"
    with declared_for_now():
        declare_text(MODEL)
        engine = Engine([parse_rule(RULE)], "car")
        pickled = pickle.dumps(engine)
        engine.save(file)
    event = {"object": "shop_invoice", "action": "write_off", "amount": 2000, "file_name": "b.pdf"}
    for load in (lambda: pickle.loads(pickled), lambda: Engine.load(file)):
        with declared_for_now():
            assert len(list(load().run([event]))) == 1
            assert model().object("shop_invoice") is not None


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.yaml").write_text(MODEL)
    (tmp_path / "shop.car").write_text(RULE)
    (tmp_path / "shop.yaml").write_text(MODEL + MAP)
    event = {"op": "writeoff", "no": 1, "sum": 2000, "path": "/x/b.pdf", "when": "2024-05-20"}
    (tmp_path / "log.jsonl").write_text(json.dumps(event) + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("fields shop_invoice --model model.yaml", "write_off"),
        ("fields shop_invoice/write_off -m shop.yaml", "no"),
        ("check shop.car --model model.yaml", ""),
        ("fmt shop.car --model model.yaml", ""),
        ("test shop.car --model model.yaml", ""),
        ("hunt log.jsonl -r shop.car -m shop.yaml -f csv", "b.pdf"),
        ("explain shop.car log.jsonl -m shop.yaml", "it matches"),
        ("needs log.jsonl -r shop.car -m shop.yaml", "shop_invoice/write_off"),
        ("translate shop.car -t splunk -m shop.yaml", 'op="writeoff"'),
        ("translate shop.car -t duckdb -m shop.yaml", "writeoff"),
        ("normalize log.jsonl -m shop.yaml", '"object":"shop_invoice"'),
        ("map check shop.yaml log.jsonl", "file_name"),
        ("map new log.jsonl --model model.yaml", "path"),
        ("detect log.jsonl -m shop.yaml", "shop"),
        ("compile -r shop.car -m shop.yaml -o engine", ""),
    ],
)
def test_every_command_takes_it(
    command: str, shown: str, shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with declared_for_now():
        code = main(command.split())
    out, err = capsys.readouterr()
    assert code == 0, out + err
    assert shown in out.replace('": "', '":"')


def test_a_compiled_engine_and_started_processes(shop: Path) -> None:
    run = [sys.executable, "-m", "carengine"]
    lines = (shop / "log.jsonl").read_text() * 50
    (shop / "log.jsonl").write_text(lines)
    compiled = [*run, *["compile", "-r", "shop.car", "-m", "shop.yaml", "-o", "engine"]]
    subprocess.run(compiled, check=True, capture_output=True)
    hunt = [*run, *["hunt", "log.jsonl", "--engine", "engine", "--jobs", "2", "-f", "jsonl"]]
    done = subprocess.run(hunt, check=True, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 50


def test_maps_are_found_as_before() -> None:
    with declared_for_now():
        plain = {m.name: m for m in find_maps("auto")}
        declare_text(MODEL)
        mine = {m.name: m for m in find_maps("auto")}
        assert plain.keys() == mine.keys()
        assert all(plain[name] is mine[name] for name in plain if name != "car")
