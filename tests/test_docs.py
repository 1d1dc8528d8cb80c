"""The documentation is true: its examples run, its programs resolve, and what is generated is
current.

In ``docs/*.md`` a fenced block says by its language what becomes of it:

* ``pycon`` is a session whose output is checked, ``python`` is run; those of a page share their
  names;
* ``car`` is a rule file that must load without a finding;
* a block whose language is followed by a file name is put into a file of that name first.
"""

from __future__ import annotations

import doctest
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import carengine
from carengine.diagnostics import Source, codes, render
from carengine.engine.report.examples import run_examples
from carengine.languages.car import carfile
from carengine.rule import from_drafts

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
_FENCE = re.compile(r"^```([\w-]+)(?:[ ]+([\w.-]+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


def fences(page: Path, *languages: str) -> list[tuple[str, str, int, str]]:
    """Blocks in a page: language, file name, line, content."""
    text = page.read_text(encoding="utf-8")
    return [
        (found[1], found[2] or "", text.count("\n", 0, found.start()) + 2, found[3])
        for found in _FENCE.finditer(text)
        if not languages or found[1] in languages
    ]


def test_the_pages_are_there() -> None:
    wanted = {"language", "semantics", "field-maps", "architecture", "diagnostics"}
    assert wanted <= {page.stem for page in PAGES}


@each_page
def test_sessions_and_programs_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _, name, _, content in fences(page):
        if name:
            (tmp_path / name).write_text(content, encoding="utf-8")
    names: dict[str, Any] = {}
    runner = doctest.DocTestRunner(verbose=False)
    told: list[str] = []
    for language, _, line, content in fences(page, "pycon", "python"):
        if language == "python":
            exec(compile(content, f"{page.name}:{line}", "exec"), names)
            continue
        test = doctest.DocTestParser().get_doctest(content, names, page.name, page.name, line)
        runner.run(test, out=told.append, clear_globs=False)
        names = test.globs
    assert runner.summarize(verbose=False).failed == 0, "".join(told)


@each_page
def test_rules_load_and_their_examples_hold(page: Path) -> None:
    for _, _, line, content in fences(page, "car"):
        found = from_drafts(carfile.read(Source(f"{page.name}:{line}", content)))
        assert not found.diagnostics, "\n".join(map(render, found.diagnostics))
        for result in run_examples(found):
            assert result.passed, result.findings


@each_page
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / target).exists(), target


def test_the_language_page_shows_every_keyword() -> None:
    grammar = (Path(carengine.resources.grammar_file())).read_text(encoding="utf-8")
    words = {
        found.lower() for found in re.findall(r"^_?[A-Z_]+(?:\.\d)?: /([a-z]+)", grammar, re.M)
    }
    assert len(words) > 25
    text = (DOCS / "language.md").read_text(encoding="utf-8")
    missing = {word for word in words if not re.search(rf"(?i)\b{word}\b", text)}
    assert not missing


# What is generated


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_generated_parts_are_current() -> None:
    made = generator()
    hint = "run `make docs`"
    page = (DOCS / "diagnostics.md").read_text(encoding="utf-8")
    assert page == made.diagnostics(), hint
    page = (DOCS / "field-maps.md").read_text(encoding="utf-8")
    assert page == made.field_maps(page), hint
    pages = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "maps").glob("*.md")}
    assert pages == made.map_pages(), hint


def test_every_code_is_on_the_page_and_well_declared() -> None:
    page = (DOCS / "diagnostics.md").read_text(encoding="utf-8")
    for code in codes.ALL.values():
        assert f"### {code.id}: {code.title}\n" in page
        assert re.fullmatch(r"CE[1-9]\d\d", code.id)
        assert code.explanation.endswith(".")
        assert not code.title.endswith(".")
    assert len({code.title for code in codes.ALL.values()}) == len(codes.ALL)


def test_every_code_is_used() -> None:
    """A code that nothing can say is a promise that is not kept."""
    package = Path(carengine.__file__).parent
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in package.rglob("*.py")
        if path.name != "codes.py"
    )
    names = {name for name, value in vars(codes).items() if value in codes.ALL.values()}
    assert {name for name in names if f"codes.{name}" not in text} == set()
