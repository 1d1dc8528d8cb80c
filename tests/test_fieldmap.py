"""Field maps: the shapes that logs have, what is wrong in a file, and where maps come from.

The golden files in ``golden/fieldmap`` hold wrong maps (``.yaml``) and all that is said of them
(``.out``). ``CARENGINE_GOLDEN=write`` writes them anew.
"""

from __future__ import annotations

import copy
import importlib.metadata
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.diagnostics import CarError, PathNotFoundError, render
from carengine.engine import Engine
from carengine.evaluate import NoContext, RawRow, value_of
from carengine.fieldmap import (
    Entry,
    FieldMap,
    entries_of,
    find,
    find_maps,
    installed_maps,
    load_map,
    normalize,
    outcomes,
    parse_map,
    recognise,
    unwrap,
    view,
)
from carengine.fieldmap.load import exclusive
from carengine.values import is_null
from strategies import raw_events, some, values

GOLDEN = Path(__file__).parent / "golden" / "fieldmap"
Event = dict[str, Any]
MAPS = {found.name: found for found in installed_maps()}
TIME = ir.Field("time", None, ir.Type.TIME)


# One event in every shape that people have it in

DUMP = """
files = search File:Create
lsass_dump = filter files where (
  file_name = "lsass*.dmp" and image_path = "C:\\Windows\\*\\taskmgr.exe")
output lsass_dump
"""
PATH = "C:\\Users\\ann\\AppData\\Local\\Temp\\lsass (2).DMP"
IMAGE = "C:\\Windows\\System32\\Taskmgr.exe"
SYSMON = "Microsoft-Windows-Sysmon/Operational"


def doubled(text: str) -> str:
    return text.replace("\\", "\\\\")


NATIVE = {"UtcTime": "2024-05-20 07:41:12.518", "Image": IMAGE, "TargetFilename": PATH}
MORDOR: Event = {
    "event_id": 11,
    "log_name": SYSMON,
    "@event_date_creation": "2024-05-20T07:41:12.518Z",
    "file_name": PATH.lower(),
    "process_path": IMAGE.lower(),
    "process_name": "taskmgr.exe",
}
EQL: Event = {
    "timestamp": 133606644725180000,
    "file_name": "lsass (2).DMP",
    "file_path": PATH,
    "process_path": IMAGE,
    "process_name": "Taskmgr.exe",
}
SHAPES: dict[str, tuple[str, Event]] = {
    "flat, NXLog": ("sysmon.flat", {"Channel": SYSMON, "EventID": 11, **NATIVE}),
    "flat, EventID as text": ("sysmon.flat", {"Channel": SYSMON, "EventID": "11", **NATIVE}),
    "flat, a list": ("sysmon.flat", {"Channel": [SYSMON], "EventID": [11], **NATIVE}),
    "flat, Channel in lower case": (
        "sysmon.flat",
        {"Channel": SYSMON.lower(), "EventID": 11, **NATIVE},
    ),
    "flat, no channel": ("sysmon.flat", {"EventID": 11, **NATIVE}),
    "flat, EventId": ("sysmon.flat", {"EventId": 11, **NATIVE}),
    "flat, Splunk": (
        "sysmon.flat",
        {"SourceName": "Microsoft-Windows-Sysmon", "EventCode": "11", **NATIVE},
    ),
    "flat, Splunk export": (
        "sysmon.flat",
        {
            "preview": False,
            "offset": 1,
            "result": {"SourceName": "Microsoft-Windows-Sysmon", "EventCode": "11", **NATIVE},
        },
    ),
    "winlogbeat": (
        "sysmon.winlogbeat",
        {
            "@timestamp": "2024-05-20T07:41:12.518Z",
            "winlog": {"channel": SYSMON, "event_id": 11, "event_data": NATIVE},
        },
    ),
    "winlogbeat, id as text, wrapped": (
        "sysmon.winlogbeat",
        {
            "_index": "winlogbeat-7",
            "_source": {"winlog": {"channel": SYSMON, "event_id": "11", "event_data": NATIVE}},
        },
    ),
    "winlogbeat, event.code": (
        "sysmon.winlogbeat",
        {
            "event": {"code": "11"},
            "winlog": {"provider_name": "Microsoft-Windows-Sysmon", "event_data": NATIVE},
        },
    ),
    "winlogbeat 6": (
        "sysmon.winlogbeat6",
        {"log_name": SYSMON, "event_id": 11, "event_data": NATIVE},
    ),
    "winlogbeat, dotted keys": (
        "sysmon.dotted",
        {
            "winlog.channel": SYSMON,
            "winlog.event_id": 11,
            **{f"winlog.event_data.{name}": value for name, value in NATIVE.items()},
        },
    ),
    "evtx, without the outer element": (
        "sysmon.bare",
        {"System": {"Channel": SYSMON, "EventID": {"#text": "11"}}, "EventData": NATIVE},
    ),
    "evtx": (
        "sysmon.evtx",
        {"Event": {"System": {"Channel": SYSMON, "EventID": 11}, "EventData": NATIVE}},
    ),
    "evtx, with attributes": (
        "sysmon.evtx",
        {
            "Event": {
                "System": {
                    "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                    "EventID": {"#text": "11"},
                },
                "EventData": NATIVE,
            }
        },
    ),
    "mordor": ("mordor", MORDOR),
    "mordor, id as text": ("mordor", {**MORDOR, "event_id": "11"}),
    "mordor, wrapped": ("mordor", {"_index": "x", "_type": "_doc", "_source": MORDOR}),
    "mordor, doubled": (
        "mordor",
        {
            **MORDOR,
            "file_name": doubled(MORDOR["file_name"]),
            "process_path": doubled(MORDOR["process_path"]),
        },
    ),
    "mordor, no process_name": (
        "mordor",
        {key: value for key, value in MORDOR.items() if key != "process_name"},
    ),
    "mordor, no channel": (
        "mordor",
        {
            **{key: value for key, value in MORDOR.items() if key != "log_name"},
            "source_name": "Microsoft-Windows-Sysmon",
        },
    ),
    "eql, event_type_full and opcode": (
        "eql",
        {"event_type_full": "file_event", "opcode": 0, **EQL},
    ),
    "eql, event_type and subtype": ("eql", {"event_type": "file", "subtype": "create", **EQL}),
    "eql, nothing says what was done": ("eql", {"event_type": "file", **EQL}),
    "eql, only the path": (
        "eql",
        {
            "event_type": "file",
            **{key: value for key, value in EQL.items() if key not in ("file_name",)},
        },
    ),
    "car": (
        "car",
        {
            "object": "file",
            "action": "create",
            "time": "2024-05-20T07:41:12.518Z",
            "file_name": "lsass (2).DMP",
            "image_path": IMAGE,
        },
    ),
    "car, the path only": (
        "car",
        {"object": "File", "action": "Create", "file_path": PATH, "image_path": IMAGE},
    ),
}

ENGINE = Engine([carengine.parse_rule(DUMP)])


def hits(event: Event, engine: Engine = ENGINE) -> int:
    return len(list(engine.run([event])))


every_shape = pytest.mark.parametrize("name", SHAPES)


@every_shape
def test_the_event_matches_in_every_shape(name: str) -> None:
    fieldmap, event = SHAPES[name]
    session = ENGINE.session()
    [match] = session.feed(event)
    assert dict(session.stats.recognised) == {fieldmap: 1}
    [found] = match.events
    assert str(found.kind) == "file/create"
    assert found.fields["file_name"].lower() == "lsass (2).dmp"
    assert found.fields["image_path"].lower() == IMAGE.lower()
    assert found.event is event


@every_shape
def test_the_time_is_the_events(name: str) -> None:
    _, event = SHAPES[name]
    [match] = ENGINE.run([event])
    assert match.time in (1_716_190_872_518_000, None)
    assert (match.time is None) == (name == "car, the path only" or "no time" in name)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path, value


def changed(event: Event, change: Callable[[str, str], Any]) -> Event:
    """A copy of an event with every text changed by a function of its key and value."""
    made = copy.deepcopy(event)
    for path, value in _leaves(event):
        if isinstance(value, str):
            inner = made
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = change(path[-1], value)
    return made


def without(event: Event, wanted: Callable[[str], bool]) -> Event:
    """A copy of an event without the keys a function names."""
    return {
        key: without(value, wanted) if isinstance(value, dict) else value
        for key, value in event.items()
        if not wanted(key)
    }


NEAR: dict[str, Callable[[str, str], Any]] = {
    "another process": lambda _, v: v.replace("askmgr", "askmgrs"),
    "another file": lambda _, v: v.replace("lsass", "lsas"),
    "another ending": lambda _, v: v.replace(".dmp", ".dmpx").replace(".DMP", ".DMPX"),
    "another folder": lambda _, v: v.replace("indows\\", "indowz\\"),
    "directly in the folder": lambda _, v: (
        v.replace("\\System32", "").replace("\\\\system32", "").replace("\\system32", "")
    ),
}


@every_shape
@pytest.mark.parametrize("near", NEAR)
def test_a_near_miss_does_not_match(name: str, near: str) -> None:
    _, event = SHAPES[name]
    missed = changed(event, NEAR[near])
    assert missed != event
    assert hits(missed) == 0


@every_shape
def test_a_missing_field_does_not_match(name: str) -> None:
    _, event = SHAPES[name]
    files = {"TargetFilename", "file_name", "file_path"}
    assert hits(without(event, lambda key: key.rpartition(".")[2] in files)) == 0
    images = {"Image", "process_path", "image_path"}
    assert hits(without(event, lambda key: key.rpartition(".")[2] in images)) == 0


@every_shape
def test_another_kind_of_event_does_not_match(name: str) -> None:
    _, event = SHAPES[name]
    ids = {"EventID", "EventId", "EventCode", "event_id", "code", "opcode"}
    other: Event = copy.deepcopy(event)
    for path, value in _leaves(event):
        inner = other
        for key in path[:-1]:
            inner = inner[key]
        if path[-1].rpartition(".")[2] in ids or (len(path) > 1 and path[-2] == "EventID"):
            inner[path[-1]] = 1 if isinstance(value, int) else ["3"] if value == [11] else "3"
        elif path[-1] in ("subtype", "action"):
            inner[path[-1]] = "delete"
        elif path[-1] == "event_type" and "subtype" not in inner:
            inner[path[-1]] = "registry"
    assert other != event
    assert hits(other) == 0


def test_backslashes_are_undone_by_the_map_and_only_where_all_are_doubled() -> None:
    assert hits({**MORDOR, "process_path": "c:\\\\windows\\system32\\\\taskmgr.exe"}) == 0
    flat = {"Channel": SYSMON, "EventID": 11, **NATIVE}
    assert hits({**flat, "Image": doubled(IMAGE)}) == 0


# What the maps say of other events


def kinds(event: Event) -> list[str]:
    return [str(found.kind) for found in normalize(event, installed_maps())]


FLAT = {"Channel": SYSMON}
KINDS: list[tuple[Event, list[str]]] = [
    ({**FLAT, "EventID": 1}, ["process/create"]),
    ({**FLAT, "EventID": 5}, ["process/terminate"]),
    ({**FLAT, "EventID": 2}, ["file/timestomp"]),
    ({**FLAT, "EventID": 3}, ["flow/start"]),
    ({**FLAT, "EventID": 6}, ["driver/load"]),
    ({**FLAT, "EventID": 7}, ["module/load"]),
    ({**FLAT, "EventID": 8}, ["thread/remote_create"]),
    ({**FLAT, "EventID": 10}, ["process/access"]),
    ({**FLAT, "EventID": 12, "EventType": "CreateKey"}, ["registry/add"]),
    ({**FLAT, "EventID": 12, "EventType": "DeleteValue"}, ["registry/remove"]),
    (
        {**FLAT, "EventID": 12, "EventType": "INFO", "EventTypeOrignal": "INFO"},
        [],
    ),
    (
        {**FLAT, "EventID": 12, "EventType": "INFO", "Message": "x:\r\nEventType: DeleteKey\r\n"},
        ["registry/remove"],
    ),
    ({**FLAT, "EventID": 13}, ["registry/value_edit"]),
    ({**FLAT, "EventID": 14}, ["registry/key_edit"]),
    ({**FLAT, "EventID": 22}, []),
    ({**FLAT, "EventID": 23}, ["file/delete"]),
    ({**FLAT, "EventID": 26}, ["file/delete"]),
    ({**FLAT, "EventID": 255}, []),
    ({**FLAT, "EventID": None}, []),
    ({**FLAT, "EventID": "eleven"}, []),
    ({"Channel": "Linux-Sysmon/Operational", "EventID": 1}, ["process/create"]),
    ({"Channel": "Security", "EventID": 11, "Image": "x"}, []),
    ({"EventID": 11}, []),
    ({"event_type_full": "process_event", "opcode": 1}, ["process/create"]),
    ({"event_type_full": "process_event", "opcode": "4"}, ["process/terminate"]),
    ({"event_type_full": "process_event", "opcode": 77}, []),
    ({"event_type_full": "file_event", "opcode": 2}, ["file/delete"]),
    ({"event_type_full": "file_event", "opcode": 1}, ["file/modify"]),
    ({"event_type_full": "network_event", "opcode": 12}, ["flow/start"]),
    ({"event_type_full": "network_event", "opcode": 13}, ["flow/end"]),
    ({"event_type_full": "registry_event"}, ["registry/value_edit"]),
    ({"event_type_full": "image_load_event"}, ["module/load"]),
    ({"event_type": "process", "subtype": "terminate"}, ["process/terminate"]),
    ({"event_type": "process", "subtype": "fork"}, []),
    ({"event_type": "network", "subtype": "incoming"}, ["flow/start"]),
    ({"event_type": "dns"}, []),
    ({"object": "UserSession", "action": "Login"}, ["user_session/login"]),
    ({"object": "user_session", "action": "login"}, ["user_session/login"]),
    ({"object": "thread", "action": "RemoteCreate"}, ["thread/remote_create"]),
    ({"object": "thread", "action": "remot_create"}, []),
    ({}, []),
]


@pytest.mark.parametrize(("event", "expected"), KINDS)
def test_which_kinds_an_event_is(event: Event, expected: list[str]) -> None:
    assert kinds(event) == expected
    assert kinds({"_source": event, "_id": "1"}) == expected


def test_what_a_log_does_not_know_is_null() -> None:
    event = {**FLAT, "EventID": 1, "Image": "-", "User": "", "ParentImage": "C:\\a\\b.exe"}
    [found] = normalize(event, installed_maps())
    assert "image_path" not in found.fields
    assert "exe" not in found.fields
    assert "user" not in found.fields
    assert found.fields["parent_exe"] == "b.exe"


def test_hashes_and_names_are_taken_apart() -> None:
    event = {
        **FLAT,
        "EventID": 1,
        "Hashes": "SHA1=A1,MD5=B2,IMPHASH=C3",
        "Computer": "WS1.corp.example",
        "ProcessGuid": "{AB}",
    }
    [found] = normalize(event, installed_maps())
    picked = {key: found.fields.get(key) for key in ("md5_hash", "sha1_hash", "sha256_hash")}
    assert picked == {"md5_hash": "B2", "sha1_hash": "A1", "sha256_hash": None}
    assert found.fields["hostname"] == "WS1"
    assert found.fields["fqdn"] == "WS1.corp.example"
    assert found.fields["guid"] == "ab"


def test_no_two_shipped_maps_claim_one_event() -> None:
    for _, event in SHAPES.values():
        claiming = recognise(unwrap(event), installed_maps())
        assert sum(bool(found.kinds()) for found in claiming) == 1
        # Log sources are a second view of the same event; there must be no two of them either.
        assert sum(bool(found.sources()) for found in claiming) <= 1


@pytest.mark.parametrize("name", sorted(MAPS))
def test_shipped_maps_make_sense(name: str) -> None:
    [fieldmap] = find_maps(name)
    assert fieldmap.title
    assert True in outcomes(fieldmap.recognise)
    for entry in fieldmap.entries:
        assert "time" in entry.fields
    for place, entry in enumerate(fieldmap.entries):
        for other in fieldmap.entries[place + 1 :]:
            assert entry.kind != other.kind or exclusive(entry.when, other.when)


@some(60)
@given(st.data())
def test_normalising_takes_anything(data: st.DataObject) -> None:
    fieldmap = data.draw(st.sampled_from(installed_maps()))
    event = data.draw(
        st.one_of(
            raw_events(fieldmap),
            st.dictionaries(st.text(max_size=5), values(), max_size=3),
        )
    )
    for found in normalize(event, installed_maps()):
        assert found.time is None or isinstance(found.time, int)
        assert None not in found.fields.values()


# Views, and what they are worth


def read_whole(event: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """The fields of an (unwrapped) event by the reference: each value of the entry, and of its
    native names."""
    row = RawRow(event)
    values: dict[str, ir.Value | None] = dict(entry.fields)
    if entry.native is not None:
        for name in entry.native.present(event):
            values.setdefault(name, entry.native.value(name))
    found = {
        name: value_of(value, row, NoContext())
        for name, value in values.items()
        if name != "time" and value is not None
    }
    return {name: value for name, value in found.items() if not is_null(value)}


_ODD_NAMES = ("", "*", "a.b", "time", "@service", "winlog.event_data.Image", "Image.", "\ud800")


@pytest.mark.parametrize("name", sorted(MAPS))
@some(15)
@given(st.data())
def test_fields_that_are_read_one_by_one_are_those_of_the_reference(
    name: str, data: st.DataObject
) -> None:
    event = data.draw(raw_events(MAPS[name]))
    odd = data.draw(st.dictionaries(st.sampled_from(_ODD_NAMES) | st.text(max_size=4), values()))
    inner = unwrap(event)
    # Odd names stand where native ones do: at the top, and in every mapping below it.
    below = [part for part in (inner, *inner.values()) if isinstance(part, dict)]
    for part in below:
        for key, value in odd.items():
            part.setdefault(key, value)
    for entry in entries_of(inner, MAPS[name]):
        whole = read_whole(inner, entry)
        time = value_of(entry.value(TIME) or ir.Constant(None), RawRow(inner), NoContext())
        names = [*whole, *entry.fields, *odd, "no such field"]
        single = view(event, inner, entry)
        assert single.time == (time if isinstance(time, int) else None)
        for field in names:
            assert repr(single.fields.get(field)) == repr(whole.get(field)), field
            assert (field in single.fields) is (field in whole)
        assert repr(single.fields) == repr(whole)
        assert [repr(single.fields[field]) for field in whole] == [repr(v) for v in whole.values()]


@pytest.mark.parametrize(
    "view_of",
    [
        repr,
        str,
        list,
        len,
        lambda fields: list(reversed(fields)),
        lambda fields: [fields.keys(), list(fields.values()), list(fields.items())],
        lambda fields: {**fields},
        lambda fields: fields.copy(),
        lambda fields: fields | {"x": 1},
        lambda fields: {"pid": 0, "x": 1} | fields,
        lambda fields: [name in fields for name in ("pid", "ppid", "user", "time", 5)],
        lambda fields: [fields.get("pid"), fields.get("user"), fields.get("user", 1)],
        lambda fields: (copy.copy(fields), copy.deepcopy(fields)),
        lambda fields: pickle.loads(pickle.dumps(fields)),
        lambda fields: [fields == dict(fields), fields == {**fields, "pid": 8}, fields == []],
    ],
)
def test_fields_are_like_a_dict(view_of: Callable[[Any], Any]) -> None:
    event = {
        "EventID": 1,
        "Image": "C:\\a.exe",
        "ProcessId": "7",
        "User": "-",
        "IntegrityLevel": [],
    }
    [seen] = normalize(event, find_maps("sysmon.flat"))
    plain = {"exe": "a.exe", "image_path": "C:\\a.exe", "pid": "7"}
    given = view_of(seen.fields)
    assert given == view_of({name: plain[name] for name in seen.fields})
    assert isinstance(given, type(view_of(plain)))


def test_fields_are_read_only() -> None:
    event = {"EventID": 1, "Image": "C:\\a.exe"}
    [seen], [same] = (normalize(dict(event), find_maps("sysmon.flat")) for _ in range(2))
    assert seen.fields == same.fields
    assert seen == same
    with pytest.raises(KeyError, match="ppid"):
        _ = seen.fields["ppid"]
    for wrong in (hash, lambda fields: fields.pop("exe"), lambda fields: fields.update(exe="b")):
        with pytest.raises((TypeError, AttributeError)):
            wrong(seen.fields)
    with pytest.raises(TypeError):
        seen.fields["exe"] = "b.exe"  # type: ignore[index]


# What is wrong in a file


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_is_said_of_wrong_maps(path: Path) -> None:
    with pytest.raises(CarError) as caught:
        parse_map(path.read_text(encoding="utf-8"), path.name)
    for item in caught.value.diagnostics:
        assert item.span is not None, item.message
    said = "\n\n".join(map(render, caught.value.diagnostics)) + "\n"
    golden = path.with_suffix(".out")
    if os.environ.get("CARENGINE_GOLDEN") == "write":
        golden.write_text(said, encoding="utf-8")
    assert said == golden.read_text(encoding="utf-8")


def test_every_code_of_field_maps_is_shown() -> None:
    said = "".join(path.read_text(encoding="utf-8") for path in GOLDEN.glob("*.out"))
    for code in ("CE401", "CE402", "CE403", "CE404", "CE201", "CE202", "CE215", "CE208", "CE209"):
        assert f"[{code}]" in said, code


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"name: x\n" * 3])
def test_files_that_are_no_maps(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(CarError) as caught:
        load_map(path)
    assert {item.code.id for item in caught.value.diagnostics} == {"CE401"}


def test_a_map_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PathNotFoundError, match="no file or folder") as caught:
        load_map(tmp_path / "none.yaml")
    assert caught.value.filename == str(tmp_path / "none.yaml")


# Where maps come from

OWN = """
name: {name}
title: Own
recognise: kind exists
entries:
  - kind: process/create
    when: kind = 1
    fields: {{image_path: path, exe: basename(path)}}
"""
OWN_RULE = 'a = search Process:Create where exe = "x.exe" output a'
OWN_EVENT = {"kind": "1", "path": "/opt/X.exe"}


def own_hits(choice: Any) -> int:
    return hits(OWN_EVENT, Engine([carengine.parse_rule(OWN_RULE)], choice))


def test_maps_from_a_file_a_folder_and_code(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(OWN.format(name="own"), encoding="utf-8")
    (tmp_path / "readme.txt").write_text("not a map", encoding="utf-8")
    assert own_hits(path) == own_hits(str(path)) == own_hits(tmp_path) == 1
    [made] = parse_map(OWN.format(name="own"))
    assert own_hits(made) == own_hits(["sysmon", made]) == own_hits(["auto", path]) == 1
    assert own_hits("auto") == 0
    assert find_maps(path) == find_maps(tmp_path)


def test_all_that_is_wrong_in_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(CarError, match="no field map"):
        find_maps(tmp_path)
    (tmp_path / "a.yaml").write_text("name: a\n", encoding="utf-8")
    (tmp_path / "b.yml").write_text("[", encoding="utf-8")
    with pytest.raises(CarError) as caught:
        find_maps(tmp_path)
    names = {item.where.split(":")[0] for item in caught.value.diagnostics}
    assert {Path(name).name for name in names} == {"a.yaml", "b.yml"}


def test_two_maps_of_one_name(tmp_path: Path) -> None:
    [one] = parse_map(OWN.format(name="own"))
    [two] = parse_map(OWN.format(name="own").replace("kind = 1", "kind = 2"))
    assert find_maps([one, one]) == (one,)
    with pytest.raises(CarError, match="two field maps are called own"):
        find_maps([one, two])


class _Point:
    """An entry point that gives a value."""

    def __init__(self, value: object) -> None:
        self.value = value

    def load(self) -> object:
        return self.value


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What the entry points of other packages give."""
    values: list[object] = []

    def entry_points(*, group: str) -> list[_Point]:
        assert group == "carengine.fieldmaps"
        return [_Point(value) for value in values]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    monkeypatch.setattr(find, "_may_be_offered", lambda: True)
    find._shipped_maps.cache_clear()
    yield values
    find._shipped_maps.cache_clear()


def test_maps_of_other_packages(offered: list[object], tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(OWN.format(name="filed"), encoding="utf-8")
    [made] = parse_map(OWN.format(name="made"))
    [listed] = parse_map(OWN.format(name="listed"))
    offered += [path, made, [listed]]
    names = {found.name for found in find_maps()}
    assert {"filed", "made", "listed", "sysmon.flat"} <= names
    assert own_hits("made") == 1


def test_an_entry_point_that_gives_no_map(offered: list[object]) -> None:
    offered.append(5)
    with pytest.raises(CarError, match="gives int, not a field map"):
        find_maps()


def test_names_of_maps() -> None:
    assert {found.name for found in find_maps("sysmon")} == {
        "sysmon.flat",
        "sysmon.winlogbeat",
        "sysmon.winlogbeat6",
        "sysmon.evtx",
        "sysmon.bare",
        "sysmon.dotted",
        "sysmon.ecs",
        "sysmon.sentinel",
    }
    assert [found.name for found in find_maps("SYSMON.FLAT")] == ["sysmon.flat"]
    with pytest.raises(CarError) as caught:
        find_maps("sysmon.flatt")
    [item] = caught.value.diagnostics
    assert item.fix is not None
    assert "sysmon.flat" in item.fix.message


def test_a_map_made_in_code_is_like_one_in_a_file() -> None:
    [written] = parse_map(OWN.format(name="own"))
    path = ir.Raw(("path",))
    [entry] = written.entries
    made = FieldMap(
        "own",
        "Own",
        ir.Not(ir.IsNull(ir.Raw(("kind",)))),
        (
            carengine.fieldmap.Entry(
                ir.EventKind("process", "create"),
                ir.Compare(ir.Raw(("kind",)), ir.Relation.EQUAL, ir.Constant(1), ir.Type.NUMBER),
                {"exe": ir.Call("basename", (path,)), "image_path": path},
            ),
        ),
    )
    assert made.entries[0].fields == dict(entry.fields)
    assert made == written


def test_other_yaml_than_the_compiled_maps_are_of_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from carengine.fieldmap import find, shipped

    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    shipped._digest.cache_clear()
    try:
        assert shipped.shipped_maps() is None
        assert find.maps_of_yaml() == ()
    finally:
        shipped._digest.cache_clear()


def test_the_order_and_the_names_of_compiled_fields_are_those_of_the_yaml() -> None:
    from carengine.fieldmap.find import maps_of_yaml
    from carengine.fieldmap.shipped import shipped_maps

    compiled = shipped_maps()
    assert compiled is not None
    for one, other in zip(compiled, maps_of_yaml(), strict=True):
        assert all(entry.span is not None for entry in other.entries)
        assert [list(entry.fields) for entry in one.entries] == [
            list(entry.fields) for entry in other.entries
        ]
