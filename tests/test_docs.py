"""The documentation is true: its examples run, its programs resolve, its links lead somewhere, and
what is generated is current.

In ``docs/**/*.md`` a fenced block says by its language what becomes of it:

* ``pycon`` is a session whose output is checked, ``python`` is run; those of a page share their
  names;
* ``console`` is one command or several, run in a folder with the page's files; what they print is
  compared, and ``...`` stands for anything;
* ``car`` is a rule file that must load without a diagnostic;
* a block whose language is followed by a file name is put into a file of that name first.

The programs in ``examples/`` are run too: each prints what its docstring says.
"""

from __future__ import annotations

import doctest
import importlib.util
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import carengine
from carengine.cli import main
from carengine.datamodel import declare_text
from carengine.diagnostics import Source, codes, render
from carengine.engine.report import run_examples
from carengine.languages.car import carfile
from carengine.rule import from_drafts

TOP = Path(__file__).parents[1]
DOCS = TOP / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
PAPERS = sorted(TOP.glob("*.md"))
EXAMPLES = sorted((TOP / "examples").glob("*.py"))
_FENCE = re.compile(r"^```([\w-]+)(?:[ ]+([\w./-]+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")


def _name(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


each_page = pytest.mark.parametrize("page", PAGES, ids=_name)
each_text = pytest.mark.parametrize("page", [*PAGES, *PAPERS], ids=_name)


def fences(page: Path, *languages: str) -> list[tuple[str, str, int, str]]:
    """Blocks in a page: language, file name, line, content."""
    text = page.read_text(encoding="utf-8")
    return [
        (found[1], found[2] or "", text.count("\n", 0, found.start()) + 2, found[3])
        for found in _FENCE.finditer(text)
        if not languages or found[1] in languages
    ]


def test_the_pages_are_there() -> None:
    tasks = {"investigate", "first-rule", "run-sigma", "embed", "add-a-log-source", "prove-equal"}
    wanted = {"language", "semantics", "field-maps", "architecture", "diagnostics", "glossary"}
    assert tasks | wanted <= {page.stem for page in PAGES}


@pytest.fixture
def folder(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the files of a page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    for _, name, _, content in fences(page):
        if name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


@each_page
@pytest.mark.usefixtures("folder")
def test_commands_print_what_is_shown(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checker = doctest.OutputChecker()
    for _, _, line, content in fences(page, "console"):
        for block in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
            command, _, expected = block.partition("\n")
            program, *arguments = shlex.split(command)
            assert program == "carengine"
            main(arguments)
            out, err = capsys.readouterr()
            shown = (out + err).replace("\r\n", "\n")  # as CSV has it
            same = checker.check_output(expected, shown, doctest.ELLIPSIS)
            assert same, f"{page.name}:{line}: {command}\n{out}{err}"


@each_page
@pytest.mark.usefixtures("folder")
def test_sessions_and_programs_run(page: Path) -> None:
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
    for _, name, _, content in fences(page, "yaml"):
        if name.endswith("-model.yaml"):
            declare_text(content, name)
    for _, _, line, content in fences(page, "car"):
        found = from_drafts(carfile.read(Source(f"{page.name}:{line}", content)))
        assert not found.diagnostics, "\n".join(map(render, found.diagnostics))
        for result in run_examples(found):
            assert result.passed, result.findings


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page outside fenced blocks, with their numbers."""
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as links use them."""
    titles = [line.lstrip("# ") for _, line in prose(page) if line.startswith("#")]
    plain = [re.sub(r"[^\w\s-]", "", title).strip().lower() for title in titles]
    return {re.sub(r"[-\s]+", "-", title) for title in plain}


@each_text
def test_links_lead_somewhere(page: Path) -> None:
    for number, line in prose(page):
        for target, anchor in _LINK.findall(line):
            place = page.parent / target if target else page
            assert place.exists(), f"{page.name}:{number}: {target}"
            if anchor:
                assert anchor in anchors(place), f"{page.name}:{number}: {target}#{anchor}"


GENERATED = {
    "attack-rules.md",
    "diagnostics.md",
    "corpus.md",
    "benchmarks.md",
    "joins.md",
    "command-line.md",
}
GENERATED |= {"line-formats.md"}


def test_the_recipes_name_files_that_exist() -> None:
    text = (TOP / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"`([\w./-]+/[\w.-]*\.?(?:py|md|yaml|lark|yml)?)`", text))
    assert len(paths) > 40
    roots = (TOP, TOP / "src" / "carengine", TOP / "src" / "carengine" / "languages")
    named = {path for path in paths if "NAME" not in path and "LANGUAGE" not in path}
    missing = {path for path in named if not any((root / path).exists() for root in roots)}
    assert not missing


def test_the_glossary_names_classes_where_they_are() -> None:
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `([\w/]+\.py)` \|", text, re.MULTILINE)
    assert len(rows) > 20
    package = Path(carengine.__file__).parent
    missing = [
        name
        for name, path in rows
        if f"\nclass {name}" not in (package / path).read_text(encoding="utf-8")
    ]
    assert not missing


@each_text
def test_lines_of_prose_are_short(page: Path) -> None:
    if page.name in GENERATED or page.parent.name in ("maps", "api"):
        pytest.skip("generated")
    for number, line in prose(page):
        # A row of a table cannot be broken.
        assert len(line) <= 100 or line.startswith("|"), f"{page.name}:{number}"


def test_the_language_page_shows_every_keyword() -> None:
    grammar = (Path(carengine.resources.grammar_file())).read_text(encoding="utf-8")
    words = {
        found.lower() for found in re.findall(r"^_?[A-Z_]+(?:\.\d)?: /([a-z]+)", grammar, re.M)
    }
    assert len(words) > 25
    text = (DOCS / "language.md").read_text(encoding="utf-8")
    missing = {word for word in words if not re.search(rf"(?i)\b{word}\b", text)}
    assert not missing


# Examples


def test_there_are_examples() -> None:
    assert {"search_files", "live_stream", "own_field_map", "translate_rules"} <= {
        path.stem for path in EXAMPLES
    }


@pytest.mark.parametrize("program", EXAMPLES, ids=_name)
def test_an_example_prints_what_it_says(
    program: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(program)])
    document = runpy.run_path(str(program), run_name="__main__")["__doc__"]
    shown = document.partition("It prints::\n\n")[2]
    assert shown, "the docstring shows what the program prints"
    expected = "".join(line[4:] + "\n" for line in shown.rstrip().splitlines())
    assert capsys.readouterr().out == expected


# The site


def site_pages() -> set[str]:
    """The pages that mkdocs.yml has in its navigation."""
    text = (TOP / "mkdocs.yml").read_text(encoding="utf-8")
    return set(re.findall(r"[\w./-]+\.md", text.partition("\nnav:")[2]))


def test_every_page_is_in_the_navigation() -> None:
    there = {page.relative_to(DOCS).as_posix() for page in PAGES}
    papers = {"index.md", "contributing.md", "changelog.md", "security.md"}
    assert site_pages() == there | papers


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    for needed in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: pip install 'carengine[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=TOP,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "api" / "index.html").exists()


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
    page = (DOCS / "command-line.md").read_text(encoding="utf-8")
    # argparse lays help out in another way from Python 3.13 on.
    assert page == made.commands() or sys.version_info >= (3, 13), hint
    pages = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "api").glob("*.md")}
    assert pages == made.api_pages(), hint
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
