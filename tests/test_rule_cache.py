"""The cache of rules: what comes from it is what was read, and nothing else is ever taken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from carengine.cli import main, rule_cache
from carengine.cli.options import RuleSettings
from carengine.cli.rules import load

RULE = 'a = search Process:Create where exe = "{name}" output a'
EVENT = '{"object": "process", "action": "create", "exe": "x3.exe", "hostname": "h"}\n'

NUMBER = 20


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CARENGINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rules"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    for number in range(NUMBER):
        (folder / f"r{number}.car").write_text(RULE.format(name=f"x{number}.exe"))
    (folder / "refused.car").write_text("a = search Proces:Create output a")
    return folder


def entries(cache: Path) -> list[str]:
    return sorted(os.listdir(cache)) if cache.exists() else []


def settings(rules: Path, **more: object) -> RuleSettings:
    return RuleSettings((str(rules),), **more)  # type: ignore[arg-type] # tests name the fields


def test_what_is_kept_is_what_was_read(cache: Path, rules: Path) -> None:
    first = load(settings(rules))
    assert len(entries(cache)) == 1
    again = load(settings(rules))
    assert [(r.id, r.program, r.metadata, r.path) for r in again] == [
        (r.id, r.program, r.metadata, r.path) for r in first
    ]
    assert list(map(str, again.diagnostics)) == list(map(str, first.diagnostics))
    assert [(r.id, r.path, list(map(str, r.diagnostics))) for r in again.refused] == [
        (r.id, r.path, list(map(str, r.diagnostics))) for r in first.refused
    ]
    [refused] = again.refused
    assert refused.diagnostics[0].span is not None
    assert refused.diagnostics[0].span.text == "Proces"


def test_the_second_run_reads_no_rule(
    cache: Path, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(settings(rules))
    monkeypatch.setattr("carengine.loading.load_rules", lambda *_, **__: pytest.fail("read"))
    assert len(load(settings(rules))) == NUMBER


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "r1.car").write_text(RULE.format(name="other.exe")),
        lambda folder: (folder / "new.car").write_text(RULE.format(name="new.exe")),
        lambda folder: (folder / "r1.car").unlink(),
        lambda folder: (folder / "r1.car").rename(folder / "other.car"),
    ],
    ids=["text", "new", "gone", "renamed"],
)
def test_other_rules_are_another_entry(cache: Path, rules: Path, change: object) -> None:
    def read() -> list[tuple[str, object]]:
        return [(r.id, r.program) for r in load(settings(rules))]

    before = read()
    change(rules)  # type: ignore[operator] # a function of the table
    (rules / "more.car").write_text(RULE.format(name="more.exe"))
    assert read() != before
    assert read() == [(r.id, r.program) for r in load(settings(rules, cache=False))]
    assert len(entries(cache)) == 2


def test_other_settings_are_another_entry(cache: Path, rules: Path) -> None:
    (rules / "asks.car").write_text(
        'input name = "n.exe" a = search Process:Create where exe = name output a'
    )
    kept = [
        rule_cache.cache_entry((str(rules),), settings(rules, **more))
        for more in ({}, {"lenient": True}, {"inputs": {"name": "a"}}, {"inputs": {"name": "b"}})
    ]
    assert len({entry.path for entry in kept if entry is not None}) == 4


def test_macros_count_with_their_content(cache: Path, rules: Path, tmp_path: Path) -> None:
    named = tmp_path / "macros.conf"
    for text in ("one", "two"):
        named.write_text(f"[m]\ndefinition = {text}\n")
        load(settings(rules, macros=(str(named),)))
    assert len(entries(cache)) == 2


def test_a_value_that_is_a_path_is_not_looked_into(cache: Path, rules: Path) -> None:
    """Reading all files below `/` would be a high price for an input of that value."""
    (rules / "asks.car").write_text(
        'input name = "n.exe" a = search Process:Create where exe = name output a'
    )
    load(settings(rules, inputs={"name": "/"}))
    assert len(entries(cache)) == 1


def test_other_files_of_a_folder_count_with_their_time(cache: Path, rules: Path) -> None:
    beside = rules / "events.evtx"
    beside.write_bytes(b"0" * 100)
    load(settings(rules))
    os.utime(beside, (1, 1))
    load(settings(rules))
    assert len(entries(cache)) == 2


def test_a_link_that_leads_nowhere_counts(cache: Path, rules: Path) -> None:
    load(settings(rules))
    (rules / "gone.car").symlink_to(rules / "nothing")
    again = load(settings(rules))
    assert any("gone.car" in str(item) for item in again.diagnostics)


HAYABUSA = """
title: One of a list
id: 0a7d1d0e-9d6e-4bb5-8a7b-0c6f1b9ad0c4
logsource: {product: windows, category: process_creation}
detection:
  selection:
    CommandLine:
      regexes: lists/expressions.txt
  condition: selection
"""


def test_rules_that_name_files_elsewhere_are_not_kept(
    cache: Path, rules: Path, tmp_path: Path
) -> None:
    (rules / "list.yml").write_text(HAYABUSA)
    refused = load(settings(rules)).refused
    assert "lists/expressions.txt" in str([r.diagnostics for r in refused])
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "expressions.txt").write_text("evil")
    assert len(load(settings(rules))) == NUMBER + 1
    assert entries(cache) == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"carengine": 3}', b"\xff" * 100, b"[]"])
def test_a_damaged_entry_is_written_anew(cache: Path, rules: Path, content: bytes) -> None:
    load(settings(rules))
    [name] = entries(cache)
    whole = (cache / name).read_bytes()
    (cache / name).write_bytes(content)
    assert len(load(settings(rules))) == NUMBER
    assert (cache / name).read_bytes() == whole


def test_nothing_is_kept_where_it_was_not_asked_for(
    cache: Path, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(settings(rules, cache=False))
    monkeypatch.setenv("CARENGINE_CACHE", "")
    load(settings(rules))
    assert entries(cache) == []


def test_one_rule_is_kept_and_none_is_not(cache: Path, rules: Path) -> None:
    load(settings(rules / "refused.car"))
    assert entries(cache) == []
    load(settings(rules / "r1.car"))
    assert len(entries(cache)) == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions are POSIX's")
def test_a_folder_that_others_may_write_is_not_used(cache: Path, rules: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    load(settings(rules))
    assert entries(cache) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_read_once(cache: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.car")
    assert rule_cache.cache_entry((str(tmp_path / "pipe.car"),)) is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions are POSIX's")
def test_nothing_is_taken_from_a_folder_that_others_may_write(cache: Path, rules: Path) -> None:
    load(settings(rules))
    [name] = entries(cache)
    (cache / name).write_text((cache / name).read_text().replace("x3.exe", "no.exe"))
    cache.chmod(0o777)
    assert "no.exe" not in str([rule.program for rule in load(settings(rules))])


def test_a_cache_that_cannot_be_written_costs_nothing(
    tmp_path: Path, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CARENGINE_CACHE", str(tmp_path / "file"))
    assert len(load(settings(rules))) == NUMBER


def test_the_cache_is_bounded(cache: Path, rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_cache, "MOST_ENTRIES", 3)
    for number in range(5):
        (rules / "r0.car").write_text(RULE.format(name=f"y{number}.exe"))
        load(settings(rules))
        # The file system's clock is too coarse to tell the entries apart.
        for name in entries(cache):
            if (cache / name).stat().st_mtime > 1_000_000:
                os.utime(cache / name, (number, number))
    assert len(entries(cache)) == 3
    (rules / "r0.car").write_text(RULE.format(name="y4.exe"))
    monkeypatch.setattr("carengine.loading.load_rules", lambda *_, **__: pytest.fail("read"))
    load(settings(rules))


def test_a_hunt_says_the_same_with_and_without(
    cache: Path, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "e.jsonl").write_text(EVENT)
    said = []
    for more in (["--no-cache"], [], []):
        status = main(["hunt", str(tmp_path / "e.jsonl"), "-r", str(rules), "-f", "jsonl", *more])
        said.append((status, *capsys.readouterr()))
    assert said[0] == said[1] == said[2]
    assert said[0][1].count("\n") == 1
    assert len(entries(cache)) == 1
