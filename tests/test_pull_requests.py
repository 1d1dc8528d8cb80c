"""What comes with the repository for repositories of rules: a GitHub Action and pre-commit hooks.

The steps of the action are run as they are written, by bash, in a scratch repository."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import carengine
from carengine.cli.markdown import code, document, escaped

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}
COMPARE = "Check, test and compare the rules"

RULE = """---
id: X-1
title: Shadow copies <b>@team</b>
examples:
  - name: deletes
    match: true
    events: [{object: process, action: create, exe: vssadmin.exe, command_line: delete shadows}]
---
shadows = search Process:Create where (exe = "vssadmin.exe" and command_line = "*delete*")
output shadows
"""
NARROWER = RULE.replace('"vssadmin.exe" and', '"vssadmin.exe" and user = "SYSTEM" and')
NO_BASH = shutil.which("bash") is None or shutil.which("git") is None
needs_bash = pytest.mark.skipif(NO_BASH, reason="bash and git are needed to run the steps")


def programs(folder: Path) -> dict[str, str]:
    """An environment in which `carengine` is the one that is tested, and `gh` notes its calls."""
    folder.mkdir()
    gh = '[ "$2" = --paginate ] && { cat "$KNOWN"; exit 0; }\nprintf "%s\\n" "$@" >> "$CALLS"'
    for name, line in (
        ("carengine", f'exec {shlex.quote(sys.executable)} -m carengine "$@"'),
        ("gh", gh),
    ):
        file = folder / name
        file.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        file.chmod(0o755)
    source = str(Path(carengine.__file__).parent.parent)
    known = folder / "known"
    known.write_text("", encoding="utf-8")
    return {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": source,
        "RUNNER_TEMP": str(folder),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "CALLS": str(folder / "calls"),
        "KNOWN": str(known),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(tmp_path: Path, old: str, new: str) -> Path:
    folder = tmp_path / "repository"
    (folder / "rules").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for text in (old, new):
        (folder / "rules" / "X-1.car").write_text(text, encoding="utf-8")
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", "x", "--allow-empty")
    return folder


def step(name: str, folder: Path, environment: dict[str, str], **given: str) -> int:
    """Run a step as the action does: each `${{ }}` of its variables has to be given here."""
    wanted = STEPS[name]["env"]
    assert set(given) == set(wanted)
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]]
    done = subprocess.run(bash, cwd=folder, env={**environment, **given}, check=False)
    return done.returncode


def outputs(environment: dict[str, str]) -> dict[str, str]:
    lines = Path(environment["GITHUB_OUTPUT"]).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


@needs_bash
@pytest.mark.parametrize(
    ("new", "strict", "fail_on", "status"),
    [
        (RULE, "true", "", "0"),
        (NARROWER, "false", "", "1"),  # its example fails
        (RULE.replace("= search Process", "= serch Process"), "false", "", "2"),
        (RULE.replace('"*delete*"', '"*delete*" or exe = "wmic.exe"'), "false", "wider", "1"),
        (RULE.replace('"*delete*"', '"*delete*" or exe = "wmic.exe"'), "false", "gone", "0"),
    ],
)
def test_the_steps_of_the_action(
    new: str, strict: str, fail_on: str, status: str, tmp_path: Path
) -> None:
    folder = repository(tmp_path, RULE, new)
    environment = programs(tmp_path / "bin")
    given = {"RULES": "rules", "BASE": "HEAD~1", "STRICT": strict, "FAIL_ON": fail_on}
    assert step(COMPARE, folder, environment, **given) == 0
    told = outputs(environment)
    assert told["status"] == status
    report = Path(told["report"]).read_text(encoding="utf-8")
    heads = [line for line in report.splitlines() if line.startswith("### ")]
    assert len(heads) == 3
    assert report.startswith("<!-- carengine -->\n")
    assert "<b>" not in report
    assert "@team" not in report.replace("\\@", "").replace("&lt;b&gt;@", "")
    assert Path(environment["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8") == report
    if new is NARROWER:
        assert "| narrower |" in report
        assert "Only the old version finds:" in report
        assert "| deletes |" in report
    failed = step("Fail if the rules are not right", folder, environment, STATUS=told["status"])
    assert failed == int(status)


@needs_bash
@pytest.mark.parametrize("known", ["", "17\n18\n"])
def test_the_comment_is_written_once(known: str, tmp_path: Path) -> None:
    environment = programs(tmp_path / "bin")
    Path(environment["KNOWN"]).write_text(known, encoding="utf-8")
    given = {"GH_TOKEN": "x", "REPOSITORY": "a/b", "NUMBER": "3", "REPORT": "report.md"}
    assert step("Put the report on the pull request", tmp_path, environment, **given) == 0
    calls = Path(environment["CALLS"]).read_text(encoding="utf-8").split()
    place = "repos/a/b/issues/comments/17" if known else "repos/a/b/issues/3/comments"
    assert calls[:5] == ["api", "--silent", "-X", "PATCH" if known else "POST", place]
    assert calls[-1] == "body=@report.md"


@needs_bash
def test_comments_that_may_not_be_read_fail_no_job(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    environment = programs(tmp_path / "bin")
    (tmp_path / "bin" / "gh").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    given = {"GH_TOKEN": "x", "REPOSITORY": "a/b", "NUMBER": "3", "REPORT": "report.md"}
    assert step("Put the report on the pull request", tmp_path, environment, **given) == 0
    assert "::warning::The report cannot be put" in capfd.readouterr().out


@needs_bash
@pytest.mark.parametrize("rules", [".", "./rules", "rules/"])
def test_rules_are_compared_however_their_folder_is_written(rules: str, tmp_path: Path) -> None:
    folder = repository(tmp_path, RULE, NARROWER)
    environment = programs(tmp_path / "bin")
    given = {"RULES": rules, "BASE": "HEAD~1", "STRICT": "false", "FAIL_ON": ""}
    assert step(COMPARE, folder, environment, **given) == 0
    report = Path(outputs(environment)["report"]).read_text(encoding="utf-8")
    assert "| narrower |" in report


@needs_bash
def test_a_first_set_of_rules_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    folder = repository(tmp_path, RULE, RULE)
    environment = programs(tmp_path / "bin")
    shutil.move(folder / "rules", folder / "my rules")
    given = {"RULES": "my rules", "BASE": "HEAD~1", "STRICT": "false", "FAIL_ON": ""}
    assert step(COMPARE, folder, environment, **given) == 0
    told = outputs(environment)
    assert told["status"] == "0"
    assert "no rules at the base" in Path(told["report"]).read_text(encoding="utf-8")


def test_no_text_of_a_pull_request_stands_in_a_script() -> None:
    for one in STEPS.values():
        assert "${{" not in one.get("run", "")
        assert one.get("shell") == "bash" or "uses" in one
    used = re.findall(r"inputs\.([a-z-]+)", (ROOT / "action.yml").read_text(encoding="utf-8"))
    assert set(used) == set(ACTION["inputs"])
    assert all(one["description"] for one in ACTION["inputs"].values())


def test_hooks(tmp_path: Path) -> None:
    """Each hook lets a good rule pass and stops a bad one, called with names of files as
    pre-commit calls it."""
    environment = programs(tmp_path / "bin")
    bad = {
        "carengine-check": RULE.replace("exe =", "exee ="),
        "carengine-fmt": RULE.replace("output shadows", "output   shadows"),
        "carengine-test": NARROWER,
    }
    assert [hook["id"] for hook in HOOKS] == list(bad)
    for hook in HOOKS:
        assert re.search(hook["files"], "rules/a.car")
        assert not re.search(hook["files"], "mkdocs.yml")
        for place, text in enumerate((RULE, bad[hook["id"]])):
            file = tmp_path / f"{hook['id']}-{place}.car"
            file.write_text(text.replace("X-1", file.stem), encoding="utf-8")
            before = file.read_bytes()
            command = [*shlex.split(hook["entry"]), file.name]
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, check=False, capture_output=True
            )
            # pre-commit stops on a status or on a file that the hook has changed.
            stopped = done.returncode != 0 or file.read_bytes() != before
            assert stopped is bool(place), (hook["id"], done.stdout, done.stderr)


def test_markdown_is_escaped_and_cut() -> None:
    assert escaped("[a](http://x) `b`\n# c") == r"\[a\](http\://x) \`b\` \# c"
    assert code("a\x1b[2J`|") == "`a\\u001b[2J'¦`"
    cut = document(["<details><summary>a</summary>", "x" * 100, "</details>", "end"], most=50)
    assert "<details>" not in cut
    assert "4 lines" in cut
    assert document(["a"]) == "a\n"
