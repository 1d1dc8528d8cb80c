"""The data model: CAR's names are all there, spellings fold, near names are found, bad files are
refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from carengine.datamodel import (
    TIME,
    DataModel,
    FieldSpec,
    ObjectSpec,
    fold_name,
    load_model,
    model,
    nearest,
)
from carengine.diagnostics import CarError
from carengine.ir import Type

CAR = Path(__file__).parents[1].parent / "shared" / "car" / "data_model"
OBJECTS = model().objects.values()
FIELDS = [(spec, item) for spec in OBJECTS for item in spec.fields.values()]


def known(name: str) -> ObjectSpec:
    spec = model().object(name)
    assert spec is not None
    return spec


# What is shipped


def test_the_objects_and_actions_are_cars() -> None:
    assert {spec.name: " ".join(spec.actions) for spec in OBJECTS} == {
        "authentication": "success failure error",
        "driver": "load unload",
        "event_log": "clear",
        "email": "deliver block redirect quarantine delete",
        "file": "acl_modify create delete modify read timestomp write",
        "flow": "start message end",
        "http": "get post put tunnel",
        "module": "load unload",
        "process": "access create terminate",
        "registry": "add key_edit remove value_edit",
        "service": "create delete pause start stop",
        "socket": "bind close listen",
        "thread": "create remote_create suspend terminate",
        "user_session": "lock login logout reconnect unlock",
    }


def test_nothing_of_cars_model_is_missing_and_no_description_is_copied() -> None:
    files = sorted(CAR.glob("*.yaml"))
    if not files:
        pytest.skip("CAR's data model is not here")
    assert len(files) == len([spec for spec in OBJECTS if not spec.reason])
    for path in files:
        theirs = yaml.safe_load(path.read_text(encoding="utf-8"))
        ours = known(path.stem)
        assert model().object(theirs["name"]) is ours
        assert {item["name"] for item in theirs["actions"]} == set(ours.actions)
        own = {name for name, item in ours.fields.items() if not item.extension}
        assert {item["name"] for item in theirs["fields"]} == own
        for item in theirs["fields"]:
            assert item["description"].strip(". ") != ours.fields[item["name"]].description.strip(
                ". "
            )


@pytest.mark.parametrize(("spec", "item"), FIELDS, ids=lambda value: value.name)
def test_every_field_is_complete(spec: ObjectSpec, item: FieldSpec) -> None:
    assert item.description.endswith(".")
    assert item.extension == bool(item.reason)
    if item.base_name_of is not None:
        path = spec.fields[item.base_name_of]
        assert item.type is path.type is Type.TEXT
        assert item.example is None or not set(item.example) & set("\\/")


def test_every_object_is_complete() -> None:
    for spec in OBJECTS:
        assert spec.fields["time"] is TIME
        assert spec.field("hostname") is not None
        assert spec.identity
        assert set(spec.identity) <= set(spec.fields)
        assert spec.description
        assert all(action.description for action in spec.actions.values())


_TYPES = {
    "process": "pid=integer access_level=integer md5_hash=text image_path=text signature_valid=boolean",
    "flow": "src_ip=address dest_port=integer in_bytes=integer start_time=time proto_info=any initiated=boolean",
    "file": "creation_time=time previous_creation_time=time extension=text",
    "thread": "src_tid=integer start_address=integer tgt_exe=text",
    "socket": "local_address=address remote_port=integer",
    "email": "date=time attachment_size=integer src_ip=address",
    "http": "response_status_code=integer requester_ip_address=address",
    "user_session": "login_id=integer login_type=text login_successful=boolean",
}


@pytest.mark.parametrize("name", _TYPES)
def test_types(name: str) -> None:
    spec = known(name)
    for pair in _TYPES[name].split():
        item, kind = pair.split("=")
        assert spec.fields[item].type is Type(kind), item


@pytest.mark.parametrize(
    ("name", "base", "path"),
    [
        ("process", "exe", "image_path"),
        ("process", "parent_exe", "parent_image_path"),
        ("file", "file_name", "file_path"),
        ("file", "extension", None),
        ("module", "module_name", "module_path"),
        ("driver", "module_name", "image_path"),
        ("thread", "start_module_name", "start_module"),
        ("thread", "src_exe", "src_image_path"),
        ("process", "image_path", None),
    ],
)
def test_base_names(name: str, base: str, path: str | None) -> None:
    assert known(name).fields[base].base_name_of == path


def test_the_model_is_read_once_and_can_be_pickled() -> None:
    assert model() is model()
    copy: DataModel = pickle.loads(pickle.dumps(model()))
    assert {name: dict(spec.fields) for name, spec in copy.objects.items()} == {
        name: dict(spec.fields) for name, spec in model().objects.items()
    }
    assert copy.object("UserSession") is not None


# Spellings


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("User_Session", "user_session"),
        ("UserSession", "user_session"),
        ("user session", "user_session"),
        ("USER-SESSION", "user_session"),
        ("HTTP", "http"),
        ("Http", "http"),
    ],
)
def test_objects_by_any_spelling(spelling: str, name: str) -> None:
    assert known(spelling).name == name


def test_actions_and_fields_by_any_spelling() -> None:
    thread, process = known("thread"), known("process")
    assert {thread.action(text) for text in ("RemoteCreate", "remote_create", "Remote-Create")} == {
        thread.actions["remote_create"]
    }
    assert process.field("command_Line") is process.fields["command_line"]
    assert process.field("Time") is TIME
    assert process.field("commandline2") is None
    assert thread.action("creat") is None
    assert model().object("task") is None


_NAMES = st.sampled_from([item.name for _, item in FIELDS])


@given(_NAMES, st.data())
def test_folding_ignores_case_and_separators(name: str, data: st.DataObject) -> None:
    words = name.split("_")
    separator = st.sampled_from(["", "_", "-", " "])
    spelling = "".join(
        data.draw(st.sampled_from([word, word.upper(), word.title()])) + data.draw(separator)
        for word in words
    )
    assert fold_name(spelling) == fold_name(name)


@pytest.mark.parametrize(
    ("object", "action", "title"),
    [
        ("user_session", "login", "UserSession:Login"),
        ("Thread", "RemoteCreate", "Thread:RemoteCreate"),
        ("http", "get", "HTTP:Get"),
        ("registry", "value_edit", "Registry:ValueEdit"),
        ("file", "acl_modify", "File:AclModify"),
    ],
)
def test_titles(object: str, action: str, title: str) -> None:
    assert model().title_of_action(object, action) == title


def test_titles_read_back() -> None:
    for spec in OBJECTS:
        for action in spec.actions.values():
            assert known(spec.title).action(action.title) is action
    with pytest.raises(KeyError):
        model().title_of_action("process", "login")


def test_paths_below_an_open_field() -> None:
    flow = known("flow")
    part = flow.field("Proto_Info.SMB.file name")
    assert part is not None
    assert (part.name, part.type) == ("proto_info.SMB.file name", Type.ANY)
    refused = ("proto_info.", "proto_info..a", "proto_info. ", "pid.x", ".pid", "", "proto_infos.x")
    assert [flow.field(text) for text in refused] == [None] * len(refused)
    assert known("process").field("proto_info.x") is None


# Near names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("comand_line", "command_line"),
        ("command_linee", "command_line"),
        ("comman_line", "command_line"),
        ("commnad_line", "command_line"),
        ("CommandLin", "command_line"),
        ("parent_image", "parent_image_path"),
        ("ParentImage", "parent_image_path"),
        ("image", "image_path"),
        ("process_path", "image_path"),
        ("usr", "user"),
        ("hostnam", "hostname"),
        ("parent_process_exe", "parent_exe"),
    ],
)
def test_near_fields(name: str, meant: str) -> None:
    assert known("process").nearest_fields(name)[0] == meant


def test_near_names_of_other_kinds() -> None:
    assert model().nearest_objects("Proces")[0] == "process"
    assert model().nearest_objects("session") == ("user_session",)
    assert model().nearest_objects("SystemLogs") == ()
    assert known("registry").nearest_actions("Edit") == ("key_edit", "value_edit")
    assert known("flow").nearest_fields("port", 2) == ("src_port", "dest_port")
    assert nearest("lasass.exe", ["lsm.exe", "lsass.exe", "explorer.exe"], 1) == ("lsass.exe",)


@pytest.mark.parametrize("name", ["", "_", "xyzzy", "a", "é", "ｐｒｏｃｅｓｓ", "x" * 1_000_000])
def test_nothing_is_near(name: str) -> None:
    assert known("process").nearest_fields(name) == ()


def test_the_candidates_may_be_anything() -> None:
    assert nearest("exe", ["", "_", "y" * 1_000_000, "exe", "exe"]) == ("exe",)
    assert nearest("exe", ["exe"], 0) == ()
    assert nearest("proces", iter(["process", "processes"]), 5) == ("process", "processes")


_LONG_NAMES = sorted({item.name for _, item in FIELDS if len(item.name) > 5})


@given(st.sampled_from(_LONG_NAMES), st.data())
def test_one_typing_error_is_seen_through(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 2))
    letter = data.draw(st.sampled_from("aeqz"))
    wrong = data.draw(
        st.sampled_from(
            [
                name[:at] + name[at + 1 :],
                name[:at] + letter + name[at:],
                name[:at] + letter + name[at + 1 :],
                name[:at] + name[at + 1] + name[at] + name[at + 2 :],
            ]
        )
    )
    assert name in nearest(wrong, _LONG_NAMES, 3)


@given(st.text(max_size=70), st.lists(st.text(max_size=70), max_size=10), st.integers(0, 4))
def test_near_names_are_candidates_each_once(name: str, candidates: list[str], n: int) -> None:
    found = nearest(name, candidates, n)
    assert len(found) == len(set(found)) <= n
    assert set(found) <= set(candidates)
    assert found == nearest(name, reversed(candidates), n)


# Reading

_GOOD = """\
name: disk
title: Disk
description: A disk.
identity: [serial]
actions:
  mount: It was mounted.
fields:
  serial: {description: Its number., example: '12'}
  path: {description: Where it is.}
  base: {description: The end of path., base_name_of: path, extension: Handy.}
  free: {description: Free bytes., type: integer}
  more: {description: Anything., type: any, open: true}
"""


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "disk.yaml").write_text(_GOOD)
    (tmp_path / "notes.txt").write_text("no part of the model")
    own = load_model(tmp_path)
    assert list(own.objects) == ["disk"]
    disk = own.objects["disk"]
    assert list(disk.fields) == ["time", "serial", "path", "base", "free", "more"]
    assert disk.fields["base"] == FieldSpec(
        "base", "The end of path.", Type.TEXT, None, True, "path", "Handy."
    )
    assert disk.field("more.x.y") is not None


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("name: disk", "name: Disk", 1, "snake case"),
        ("title: Disk", "title: Drive", 2, "not a spelling"),
        ("title: Disk\n", "", 1, 'needs the key "title"'),
        ("A disk.", "", 3, "a text is needed"),
        ("A disk.", "7", 3, "not a number"),
        ("[serial]", "[]", 4, "a list of fields"),
        ("[serial]", "[serail]", 4, 'no field "serail"'),
        ("mount:", "Mount:", 6, "snake case"),
        ("mount: It", "unmount: It\n  un_mount: It", 7, "another spelling"),
        ("  mount: It was mounted.", "  [mount]", 6, "not a list"),
        ("{description: Its number., example: '12'}", "x", 8, "not text"),
        ("'12'", "12", 8, "quotes make it text"),
        ("  path:", "  time:", 9, 'has "time" already'),
        ("base_name_of: path", "base_name_of: paht", 10, 'no field "paht"'),
        ("base_name_of: path", "base_name_of: base", 10, "not a full path"),
        ("extension: Handy.", "extension: true", 10, "not true or false"),
        ("type: integer", "type: int", 11, 'no type "int"'),
        ("open: true", "open: 1", 12, "true or false is needed"),
        ("open: true", "opened: true", 12, 'the key "opened"'),
        ("more: {", "free: {", 12, "is there twice"),
        ("more: {", "more: *x {", 12, "YAML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in _GOOD
    (tmp_path / "disk.yaml").write_text(_GOOD.replace(old, new, 1))
    with pytest.raises(CarError) as caught:
        load_model(tmp_path)
    told = {(item.span and item.span.line, item.code.id) for item in caught.value.diagnostics}
    assert any(words in item.message for item in caught.value.diagnostics), str(caught.value)
    assert (line, "CE218") in told


def test_everything_wrong_in_all_files_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(_GOOD)
    (tmp_path / "b.yaml").write_text(_GOOD.replace("type: integer", "type: int"))
    (tmp_path / "c.yaml").write_text("- x")
    (tmp_path / "d.yaml").write_bytes(b"\xff")
    (tmp_path / "e.yaml").mkdir()
    (tmp_path / "f.yaml").write_text("a: [")
    with pytest.raises(CarError) as caught:
        load_model(tmp_path)
    messages = "\n".join(f"{item.where} {item.message}" for item in caught.value.diagnostics)
    for name, words in [
        ("b.yaml:1:1", 'a second object "disk"'),
        ("b.yaml:11:", 'no type "int"'),
        ("c.yaml:1:1", "is a mapping, not a list"),
        ("d.yaml", "cannot be read"),
        ("e.yaml", "cannot be read"),
        ("f.yaml:1:", "not YAML"),
    ]:
        assert any(name in text and words in text for text in messages.splitlines()), (
            name,
            messages,
        )


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CarError, match=r"holds no \*\.yaml"):
            load_model(folder)


def test_what_ships_compiled_is_what_the_yaml_says() -> None:
    """`python docs/generate.py` writes both files anew."""
    from carengine.datamodel.shipped import objects_are_current
    from carengine.fieldmap.find import maps_of_yaml
    from carengine.fieldmap.shipped import maps_are_current

    assert objects_are_current()
    assert maps_are_current(maps_of_yaml())
