"""What embedders build on: rule sets, diagnostics as text, sessions in `with`, paths that are not
there, lengths of time, and the names that are public."""

from __future__ import annotations

import doctest
import importlib
import pickle
import pkgutil
import types
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import carengine
from carengine import CarError, Engine, StreamOptions, load_rules, parse_rule
from carengine.diagnostics import (
    Diagnostic,
    PathNotFoundError,
    Source,
    Span,
    codes,
    is_missing,
    refuse_missing,
)
from carengine.engine.streams import length_of, moment_of
from carengine.rule import RuleSet
from carengine.verify import load_analytics

PAIR = """
a = search Process:Create where exe = "a.exe"
g = group a by hostname
output g
"""


def event(exe: str, minute: int = 0) -> dict[str, Any]:
    time = f"2024-05-01T10:{minute:02}:00Z"
    return {"object": "process", "action": "create", "exe": exe, "hostname": "h", "time": time}


# Rule sets


def test_a_rule_set_is_asked_by_id_and_by_rule(tmp_path: Path) -> None:
    (tmp_path / "B.car").write_text("a = search process:create output a")
    (tmp_path / "a.car").write_text("a = search process:create output a")
    (tmp_path / "bad.car").write_text("a = search proces:create output a")
    rules = load_rules(tmp_path)
    assert [rule.id for rule in rules] == ["B", "a"]
    assert len(rules) == 2
    assert "b" in rules
    assert "B" in rules
    assert "bad" not in rules
    assert 3 not in rules
    assert rules[0] in rules
    assert parse_rule("a = search process:create output a", "B.car") not in rules
    assert rules["b"] is rules["B"] is rules[0] is rules[-2] is rules.get("b")
    assert rules[:] == rules.rules
    assert rules.get("bad") is None
    with pytest.raises(KeyError, match="refused"):
        _ = rules["bad"]
    with pytest.raises(KeyError, match="no rule none"):
        _ = rules["none"]
    with pytest.raises(IndexError):
        _ = rules[2]
    assert [rule.id for rule in evolve(rules, rules=rules[:1])] == ["B"]
    assert "a" not in evolve(rules, rules=rules[:1])
    assert list(RuleSet(())) == []
    assert len(pickle.loads(pickle.dumps(rules))) == 2


# Diagnostics


def test_a_diagnostic_is_one_line() -> None:
    source = Source("my\x1b[2J.car", "one\ntwo three\n")
    found = Diagnostic(codes.UNKNOWN_FIELD, "no\nfield", Span(source, 8, 13))
    line = f"my\\u001b[2J.car:2:5: error {codes.UNKNOWN_FIELD.id}: no\\nfield"
    assert str(found) == line
    assert str(Diagnostic(codes.LATE_EVENTS, "late")) == f"warning {codes.LATE_EVENTS.id}: late"
    named = Diagnostic(codes.NO_RULES, "none", origin="x.car")
    assert str(named) == f"x.car: error {codes.NO_RULES.id}: none"


# Sessions


def test_a_session_in_with_gives_what_flush_gives() -> None:
    engine = Engine([parse_rule(PAIR)], "car")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with engine.session() as session:
            assert session.feed(event("a.exe")) == []
            assert len(session.flush()) == 1
    assert session.diagnostics == ()


def test_leaving_the_block_says_what_nobody_asked_for() -> None:
    engine = Engine([parse_rule(PAIR)], "car")
    with pytest.warns(RuntimeWarning, match="1 match "), engine.session() as session:
        session.feed(event("a.exe"))
    [found] = session.diagnostics
    assert found.code is codes.UNCLAIMED_MATCHES
    assert "flush()" in found.notes[0]
    assert session.stats.matches.total() == 0
    assert session.held == (0, 0)


def test_leaving_the_block_is_silent_where_nothing_is_lost(tmp_path: Path) -> None:
    engine = Engine([parse_rule(PAIR)], "car")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with engine.session() as session:
            session.feed(event("b.exe"))  # held by nothing
        with engine.session() as session:
            session.feed(event("a.exe"))
            session.save(tmp_path / "state")
        with Engine([], "car").session() as session:
            session.feed(event("a.exe"))
        session = engine.session()
        session.feed(event("a.exe"))
        with pytest.raises(ZeroDivisionError), session:
            raise ZeroDivisionError
    assert session.diagnostics == ()
    assert len(engine.load_session(tmp_path / "state").flush()) == 1
    session = engine.session()
    session.feed(event("a.exe"))
    session.save(tmp_path / "state")
    session.feed(event("a.exe"))
    with pytest.warns(RuntimeWarning):
        session.close()


# Paths


@pytest.mark.parametrize(
    "call",
    [
        carengine.load_rules,
        carengine.load_rule,
        carengine.load_map,
        carengine.load_tuning,
        carengine.read_events,
        load_analytics,
        lambda path: load_rules(carengine.shipped_rules(), path),
        lambda path: carengine.find_maps(Path(path)),
    ],
)
@pytest.mark.parametrize("name", ["none", "file/below", "nul\0byte"])
def test_a_path_that_is_not_there_raises(call: Any, name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = str(tmp_path / name)
    for form in (path, Path(path)):
        with pytest.raises(FileNotFoundError) as caught:
            call(form)
        error = caught.value
        assert isinstance(error, CarError)
        assert isinstance(error, PathNotFoundError)
        assert error.filename == path
        assert [item.origin for item in error.diagnostics] == [path]
        assert "no file or folder" in str(error) or "cannot be read" in str(error)
        again = pickle.loads(pickle.dumps(error))
        assert (again.filename, str(again)) == (path, str(error))


def test_what_is_not_there_can_be_asked_to_be_a_diagnostic(tmp_path: Path) -> None:
    rules = load_rules(tmp_path / "none", must_exist=False)
    assert [item.code for item in rules.diagnostics] == [codes.UNREADABLE_RULE]
    with carengine.read_events(tmp_path / "none", must_exist=False) as reading:
        assert list(reading) == []
        assert [item.code for item in reading.diagnostics] == [codes.UNREADABLE_FILE]
    refuse_missing([tmp_path], codes.UNREADABLE_RULE)
    assert not is_missing(tmp_path)


# Lengths of time


@pytest.mark.parametrize(
    ("given", "length"),
    [
        ("5 minutes", timedelta(minutes=5)),
        ("5 Minutes ", timedelta(minutes=5)),
        ("30s", timedelta(seconds=30)),
        ("0s", timedelta(0)),
        ("1.5 hours", timedelta(minutes=90)),
        ("0.000001 s", timedelta(microseconds=1)),
        ("2 weeks", timedelta(weeks=2)),
        ("7 us", timedelta(microseconds=7)),
        (timedelta(days=1), timedelta(days=1)),
    ],
)
def test_lengths(given: Any, length: timedelta) -> None:
    assert length_of(given) == length
    options = StreamOptions(lateness=given, horizon=given)
    assert options.lateness == options.horizon == length
    assert options.lateness_us == options.horizon_us == length // timedelta(microseconds=1)


@pytest.mark.parametrize("number", [300, 0, 1.5, True, -1])
@pytest.mark.parametrize("name", ["lateness", "horizon"])
def test_a_bare_number_is_refused(name: str, number: Any) -> None:
    with pytest.raises(TypeError, match="has no unit: write"):
        StreamOptions(**{name: number})


@pytest.mark.parametrize(
    "text",
    [
        *("", "300", "5", "5 lightyears", "minutes", "-5 minutes", "0.0000001 s", "20000 years"),
        *("99999999 weeks", "1e3 s", "5 minutes 3", "٥ minutes"),
    ],
)
def test_text_that_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"length of time|finer|10,000 years"):
        StreamOptions(lateness=text)
    with pytest.raises(ValueError, match="negative"):
        StreamOptions(lateness=timedelta(seconds=-1))


def test_the_reference_time() -> None:
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    berlin = timezone(timedelta(hours=2))
    for given in (noon, "2024-05-01T12:00:00Z", noon.astimezone(berlin), "2024-05-01 12:00"):
        assert moment_of(given) == noon
        assert StreamOptions(now=given).now_us == 1_714_564_800_000_000
    number: Any = 1_714_564_800
    with pytest.raises(TypeError, match="no point in time"):
        StreamOptions(now=number)
    for wrong in ("noon", datetime(2024, 5, 1)):
        with pytest.raises(ValueError, match=r"no point in time|no time zone"):
            StreamOptions(now=wrong)


def test_options_are_changed_and_kept() -> None:
    options = StreamOptions(lateness="5 minutes", horizon=None, now="2024-05-01")
    assert evolve(options, max_events=5).lateness == timedelta(minutes=5)
    assert evolve(options, lateness="1s").lateness_us == 1_000_000
    assert StreamOptions.from_data(options.as_data()) == options
    assert options.differences(evolve(options, lateness="1s")) == (
        "lateness 5 minutes, and 1 second is asked for"
    )


# Names

PUBLIC_MODULES = (
    *("attack", "check", "coverage", "datamodel", "diagnostics", "diagnostics.codes", "engine"),
    *("engine.report", "fieldmap", "languages.reading", "languages.writing", "readers", "rule"),
    *("runner", "statistics", "timeline", "tuning", "verify"),
)


def test_the_table_of_public_names_is_what_is_exported() -> None:
    assert set(vars(carengine)["_HOMES"]) == set(carengine.__all__)
    assert len(set(carengine.__all__)) == len(carengine.__all__)
    for module in PUBLIC_MODULES:
        assert f"``{module}``" in (carengine.__doc__ or ""), module


@pytest.mark.parametrize("name", carengine.__all__)
def test_a_public_name_has_an_example_that_runs(name: str) -> None:
    thing = getattr(carengine, name)
    text = thing.__doc__ or ""
    assert ">>>" in text or "::" in text, name
    module = importlib.import_module(thing.__module__)
    runner = doctest.DocTestRunner(verbose=False)
    found = doctest.DocTestFinder(recurse=False).find(thing, name, module, dict(vars(module)))
    said: list[str] = []
    for example in found:
        runner.run(example, out=said.append)
    assert not said, "".join(said)


def modules() -> Iterator[types.ModuleType]:
    for found in pkgutil.walk_packages(carengine.__path__, "carengine."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


PARTS = sorted(part.name for part in pkgutil.iter_modules(carengine.__path__))


@pytest.mark.parametrize("part", PARTS)
def test_the_examples_in_docstrings_run(part: str) -> None:
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for module in modules():
        if module.__name__.split(".")[1:2] == [part]:
            for example in doctest.DocTestFinder(exclude_empty=True).find(module):
                runner.run(example, out=said.append)
    assert not said, "".join(said)


def test_no_name_is_a_module_and_something_else() -> None:
    """`from carengine.x import y` gives one thing, whatever was imported before."""
    names = {module.__name__ for module in modules()}
    for name in carengine.__all__:
        assert f"carengine.{name}" not in names, name
    for module in modules():
        below = {name.rpartition(".")[2] for name in names if _parent(name) == module.__name__}
        for name in below:
            inner = vars(module).get(name)
            assert inner is None or isinstance(inner, types.ModuleType), f"{module}: {name}"
    for path in PUBLIC_MODULES:
        module = importlib.import_module(f"carengine.{path}")
        public = getattr(module, "__all__", ())
        assert path.rpartition(".")[2] not in public, path
        for name in public:
            assert getattr(module, name, None) is not None, f"{path}.{name}"


def _parent(name: str) -> str:
    return name.rpartition(".")[0]
