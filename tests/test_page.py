"""Pages of CAR analytics: metadata, tables, pseudocode and snippets out of Markdown.

The page here is written for the test; those of MITRE are read where the shared data is.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine.diagnostics import Severity, Source
from carengine.engine.report import run_examples
from carengine.languages.car import page
from carengine.loading import load_rules
from carengine.resolve import Reference

SHARED = Path(__file__).parents[1].parent / "shared"
needs_shared = pytest.mark.skipif(
    not (SHARED / "car").is_dir(), reason="the shared data is not here"
)

PAGE = """---
title: "CAR-2099-01-002: Notepad Writes Scripts"
layout: analytic
submission_date: 2099/01/31
contributors: Somebody
applicable_platforms: Windows, Linux
---

Notepad saves a *script*.

### ATT&CK Detection

|Technique|Subtechnique(s)|Tactic(s)|Level of Coverage|
|---|---|---|---|
|[A](https://attack.mitre.org/techniques/T1059/)|[B](https://attack.mitre.org/techniques/T1059/001/), [C](https://attack.mitre.org/techniques/T1059/003)|[D](https://attack.mitre.org/tactics/TA0002/)|High|
|[E](https://attack.mitre.org/techniques/T1204/)|N/A|[D](https://attack.mitre.org/tactics/TA0002/)|Low|

### Data Model References

|Object|Action|Field|
|---|---|---|
|[file](/data_model/file) | [create](/data_model/file#create) | [file_name](/data_model/file#file_name) |
|[file](/data_model/file) | [create](/data_model/file#create) | [image_path](/data_model/file#image_path) |

### Implementations

#### Notepad (Pseudocode)

What it is about.

```
files = search File:Create
scripts = filter files where (
  file_name = "*.ps1" and
  image_path = "*\\\\notepad.exe")
output scripts
```

#### Notepad (Splunk, Sysmon native)

```
index=* EventCode=11
```

### True Positives

#### Made up

##### Event Snippet
```json
{"EventID": 11, "Channel": "Microsoft-Windows-Sysmon/Operational",
 "TargetFilename": "C:\\\\a.ps1", "Image": "C:\\\\Windows\\\\notepad.exe"}
```
""".replace('\\\\notepad.exe")', '\\notepad.exe")')


def read(text: str, tmp_path: Path) -> tuple[Path, object]:
    path = tmp_path / "CAR-2099-01-002.md"
    path.write_text(text, encoding="utf-8")
    return path, load_rules(path)


def test_all_of_a_page(tmp_path: Path) -> None:
    path, _ = read(PAGE, tmp_path)
    rules = load_rules(path)
    assert not rules.diagnostics
    [rule] = rules
    assert (rule.id, rule.title) == ("CAR-2099-01-002", "Notepad Writes Scripts")
    about = rule.metadata
    assert about.description == "Notepad saves a *script*."
    assert about.date == "2099-01-31"
    assert about.author == "Somebody"
    assert about.platforms == ("Windows", "Linux")
    assert rule.attack == ("T1059.001", "T1059.003", "T1204")
    assert [t.coverage for t in about.attack] == ["High", "Low"]
    assert [t.tactics for t in about.attack] == [("TA0002",)] * 2
    assert set(rule.references) == {
        Reference("file", "create", "file_name"),
        Reference("file", "create", "image_path"),
    }
    [example] = rule.examples
    assert example.match
    assert all(result.passed for result in run_examples([rule]))


def test_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.md"
    path.write_bytes(PAGE.replace("\n", "\r\n").encode())
    [rule] = load_rules(path)
    assert rule.id == "CAR-2099-01-002"
    assert all(result.passed for result in run_examples([rule]))


def codes(text: str, tmp_path: Path) -> list[tuple[str, str]]:
    path, _ = read(text, tmp_path)
    found = load_rules(path).diagnostics
    return [(item.code.id, item.where.rpartition(".md")[2]) for item in found]


def line_of(text: str, words: str) -> int:
    return text[: text.index(words)].count("\n") + 1


def test_references_that_differ_are_told(tmp_path: Path) -> None:
    text = PAGE.replace("image_path)", "pid)").replace("[image_path]", "[pid]")
    path, _ = read(text, tmp_path)
    rules = load_rules(path)
    [item] = rules.diagnostics
    assert len(rules) == 1
    assert item.code.id == "CE306"
    assert item.severity is Severity.WARNING
    assert item.notes == (
        "stated but not read: file/create/pid",
        "read but not stated: file/create/image_path",
    )


def test_errors_point_into_the_page(tmp_path: Path) -> None:
    text = PAGE.replace("file_name = ", "file_nam = ")
    line = line_of(text, "file_nam = ")
    assert codes(text, tmp_path) == [("CE609", f":{line}:3")]
    text = PAGE.replace("file_name = ", "colour = ")
    line = line_of(text, "colour = ")
    assert codes(text, tmp_path) == [("CE203", f":{line}:3")]
    text = PAGE.replace("output scripts", "output")
    assert [code for code, _ in codes(text, tmp_path)] == ["CE101"]


def test_a_page_without_pseudocode(tmp_path: Path) -> None:
    assert [c for c, _ in codes(PAGE.replace("(Pseudocode)", "(EQL)"), tmp_path)] == ["CE305"]


def test_several_blocks_are_several_rules(tmp_path: Path) -> None:
    text = PAGE.replace("Splunk, Sysmon native", "Pseudocode").replace(
        "index=* EventCode=11", "p = search Process:Create\noutput p"
    )
    path, _ = read(text, tmp_path)
    rules = load_rules(path)
    assert [rule.id for rule in rules] == ["CAR-2099-01-002.1", "CAR-2099-01-002.2"]
    assert not rules.refused


def test_a_fence_that_never_ends_and_a_snippet_that_is_not_json(tmp_path: Path) -> None:
    assert "CE302" in [c for c, _ in codes(PAGE.rstrip().removesuffix("```"), tmp_path)]
    text = PAGE.replace('{"EventID": 11,', '{"EventID": 11')
    line = line_of(text, '{"EventID": 11')
    assert codes(text, tmp_path) == [("CE307", f":{line}:1")]


@given(st.text('#`~-|\n [](){}a:"', max_size=200))
def test_any_text_is_read(text: str) -> None:
    for source in (text, f"---\ntitle: x\n---\n{text}", PAGE + text, text + PAGE):
        assert page.read(Source("x.md", source))


@needs_shared
def test_the_seed_page() -> None:
    rules = load_rules(SHARED / "car" / "CAR-2019-08-001.md")
    assert not rules.diagnostics
    [rule] = rules
    assert rule.id == "CAR-2019-08-001"
    assert rule.attack == ("T1003.001",)
    assert rule.metadata.attack[0].tactics == ("TA0006",)
    assert [output.name for output in rule.program.outputs] == ["lsass_dump"]
    assert len(rule.examples) == 1
    assert all(result.passed for result in run_examples([rule]))


@needs_shared
@pytest.mark.parametrize(
    "path", sorted((SHARED / "car" / "pages").glob("*.md")), ids=lambda path: path.stem
)
def test_other_pages_load_or_say_why_not(path: Path) -> None:
    rules = load_rules(path)
    assert len(rules) + len(rules.refused) >= 1
    for refused in rules.refused:
        assert refused.diagnostics
    for item in rules.diagnostics:
        assert item.span is not None
        assert str(path) in item.where
