"""The command line is read once: each command turns what argparse gives into frozen settings, and
nothing else gets to see the namespace."""

from __future__ import annotations

import argparse
import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
from attrs import exceptions, fields, has

import carengine.cli
from carengine.cli import COMMANDS, UsageError
from carengine.cli.options import (
    FOLLOW_LATENESS,
    EvidenceSettings,
    OutputSettings,
    RuleSettings,
    TuningSettings,
)
from carengine.engine import StreamOptions

FOLDER = Path(carengine.cli.__file__).parent
NEEDED: dict[str, list[str]] = {
    "check": ["x.car"],
    "compile": ["-o", "x.engine"],
    "corpus": ["x.car"],
    "diff": ["old", "new"],
    "detect": ["logs"],
    "explain": ["x.car", "x.json"],
    "fmt": ["x.car"],
    "hunt": ["logs"],
    "normalize": ["logs"],
    "map": ["new", "x.jsonl"],
    "overlap": ["x.car"],
    "page": ["x.car"],
    "report": ["logs", "-o", "x.html"],
    "sql": ["x.car", "logs"],
    "stats": ["logs"],
    "timeline": ["logs"],
    "translate": ["-t", "splunk"],
    "verify": ["x.md"],
}
"""The arguments that a command cannot do without."""


def settings_of(command: str, *arguments: str) -> Any:
    module = importlib.import_module(f"carengine.cli.{COMMANDS[command][0]}")
    parser = argparse.ArgumentParser()
    module.arguments(parser)
    return module.settings(parser.parse_args(arguments))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_reads_its_arguments_into_frozen_settings(command: str) -> None:
    settings = settings_of(command, *NEEDED.get(command, []))
    assert has(type(settings))
    for attribute in fields(type(settings)):
        assert not isinstance(getattr(settings, attribute.name), argparse.Namespace | list)
        with pytest.raises(exceptions.FrozenInstanceError):
            setattr(settings, attribute.name, None)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_nothing_else_sees_the_namespace(path: Path) -> None:
    """In a command's module only `settings` takes a namespace; elsewhere only `options` reads one."""
    if path.stem in ("options", "__init__"):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    readers = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name in ("settings", "arguments")
    ]
    inside = {id(inner) for node in readers for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "Namespace":
            assert id(node) in inside, f"{path.name}:{node.lineno}"


def test_the_settings_of_a_hunt() -> None:
    settings = settings_of(
        *("hunt", "a", "b", "-r", "x", "-r", "y", "-m", "sysmon", "-o", "-", "--lenient"),
        *("--input", "n=1", "--input", "n=2", "--input", "m=3", "--level", "high"),
        *("--exclude", "e.yaml", "--suppress", "rule for 1 hour", "--include", "*.evtx"),
        *("--lateness", "30s", "--horizon", "none", "--max-bytes", "2k", "-j", "auto"),
    )
    assert settings.evidence == EvidenceSettings(("a", "b"), include=("*.evtx",))
    assert settings.rules == RuleSettings(("x", "y"), True, {"n": ["1", "2"], "m": "3"})
    assert settings.output == OutputSettings()
    assert (settings.maps, settings.engine, settings.follow, settings.jobs) == (
        ("sysmon",),
        None,
        None,
        0,
    )
    tuning: TuningSettings = settings.tuning
    assert (tuning.rules.level, tuning.exclusions) == ("high", ("e.yaml",))
    assert tuning.suppressions == ("rule for 1 hour",)
    assert settings.streams == StreamOptions(
        lateness="30s", horizon=None, max_bytes=2048, merge=True
    )


def test_following_waits_for_late_events() -> None:
    settings = settings_of("hunt", "a", "--follow", "--state", "s", "--finish", "-o", "out")
    assert settings.streams.lateness == FOLLOW_LATENESS
    follow = settings.follow
    assert (follow.paths, follow.state, follow.finish) == (("a",), "s", True)
    assert follow.output == OutputSettings("out")


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(settings_of("hunt", "a", "--password", "secret"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("hunt", "a", "--input", "x"),
        ("hunt", "a", "--from", "noon"),
        ("hunt", "a", "--from", "2024-05-02", "--to", "2024-05-01"),
        ("hunt", "a", "--lateness", "5"),
        ("hunt", "a", "--now", "noon"),
        ("hunt", "a", "--max-bytes", "much"),
        ("hunt", "a", "--max-events", "0"),
        ("hunt", "a", "--engine", "x", "-r", "y"),
        ("hunt", "a", "--engine", "x", "--lenient"),
        ("hunt", "a", "--state", "s"),
        ("hunt", "a", "--finish"),
        ("hunt", "a", "-o", "a"),
        ("hunt", "a", "-o", "b", "--account", "b"),
        ("hunt", "a", "--profile", "-f", "csv"),
        ("hunt", "a", "--follow", "--profile"),
        ("hunt", "a", "--follow", "--jobs", "2"),
        ("hunt", "a", "--follow", "-f", "table"),
        ("hunt", "-", "--follow"),
        ("normalize", "a", "-f", "parquet"),
        ("normalize", "a", "-o", "a"),
        ("compile", "-r", "a", "-o", "a"),
        ("fmt", "-", "--write"),
    ],
)
def test_what_is_wrong_with_options_is_said_before_anything_is_read(
    arguments: tuple[str, ...],
) -> None:
    with pytest.raises(UsageError):
        settings_of(*arguments)
