"""Write the parts of the documentation that are declarations elsewhere.

``python docs/generate.py`` writes ``diagnostics.md`` from the codes, the list of functions in
``field-maps.md`` from the functions, ``command-line.md`` from the commands' help, in ``api/`` the
public names with a directive each, whose text MkDocs takes from the docstrings, in ``maps/`` a
page for each shipped field map with one of what all of them cover, and ``corpus.md`` and
``log-sources.md`` from CAR's analytics and SigmaHQ's rules where these are at hand. A test holds all to what this gives.
"""

from __future__ import annotations

import importlib
import io
import os
from contextlib import redirect_stdout
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest import mock

import carengine.fieldmap
from carengine import ir, yamltext
from carengine.check import check_rule
from carengine.cli import COMMANDS
from carengine.cli import main as command_line
from carengine.datamodel import TIME, ObjectSpec, model
from carengine.datamodel.shipped import objects_are_current, write_objects
from carengine.diagnostics import Block, Source, codes
from carengine.fieldmap import Entry, FieldMap, installed_maps, load_map, lower
from carengine.fieldmap.find import maps_of_yaml
from carengine.fieldmap.shipped import maps_are_current, write_maps
from carengine.functions import FUNCTIONS, Function
from carengine.ir_text import condition_text, value_text
from carengine.loading import load_rules
from carengine.loading.corpus import corpus_report
from carengine.resources import grammar_tables
from carengine.rule import Rule
from carengine.syntax.tables import tables_are_current, tables_text
from carengine.verify import load_analytics
from carengine.verify.corpus import corpus_table
from carengine.verify.sigma_links import SigmaCollection
from carengine.verify.unmet import unmet_section

DOCS = Path(__file__).parent
ANALYTICS = DOCS.resolve().parents[1] / "shared" / "car" / "analytics"
SIGMA = ANALYTICS.parents[1] / "sigma" / "sigmahq-rules-windows.tar.gz"
ALL_SIGMA = SIGMA.with_name("sigmahq-rules-all.tar.gz")
BEGIN, END = "<!-- functions -->", "<!-- /functions -->"

_STAGES = {
    "1": "Syntax",
    "2": "Names and types",
    "3": "Rule files",
    "4": "Field maps",
    "5": "Evidence and runs",
    "6": "Lenient repairs",
    "7": "Findings of the checker",
    "8": "Sigma rules",
    "9": "Translations and other languages",
}

_HEAD = """# Diagnostics

Everything carengine says of a rule, a field map or a file has a code. A code keeps its number and
its meaning for good. An **error** refuses the rule (or the map, or the file); a **warning** and a
**note** do not. All diagnostics of a file are given, each with file, line and column, and with a
fix where one is evident.

This page is generated from `carengine/diagnostics/codes.py` (`make docs`).
"""


def diagnostics() -> str:
    """The text of ``diagnostics.md``."""
    parts = [_HEAD]
    stage = ""
    for code in sorted(codes.ALL.values(), key=lambda code: code.id):
        if code.id[2] != stage:
            stage = code.id[2]
            parts.append(f"## {_STAGES[stage]}\n")
        parts.append(
            f"### {code.id}: {code.title}\n\n*{code.severity.value}* · {code.explanation}\n"
        )
    return "\n".join(parts)


def functions() -> str:
    """The table of functions."""
    rows = ["| function | gives |", "| --- | --- |"]
    for function in sorted(FUNCTIONS.values(), key=lambda function: function.name):
        meaning = function.meaning.replace("``", "`").replace("|", "\\|")
        rows.append(f"| `{function.name}({_arguments(function)})` | {meaning} |")
    return "\n".join(rows)


def _arguments(function: Function) -> str:
    needed = [chr(ord("a") + place) for place in range(function.least)]
    if function.most == function.least:
        return ", ".join(needed)
    if function.most == function.least + 1:
        return ", ".join([*needed, chr(ord("a") + function.least)]) + "?"
    return ", ".join([*needed, "…"])


def field_maps(text: str) -> str:
    """The text of ``field-maps.md`` with the table put in its place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{functions()}\n{END}{after}"


_COMMANDS = """# The command line

Results go to standard output, everything else (diagnostics, progress, the closing account) to
standard error. Into a pipe `hunt` writes a JSON line for each match; on a terminal, a table.
`NO_COLOR` is respected.

| exit status | meaning |
| ---: | --- |
| 0 | done |
| 1 | something was found, and the command was asked to fail on it: `check` with errors, `test` with failures, `verify` with a difference, `hunt --fail-on-match` with a match |
| 2 | a rule was refused (the others ran), or the command itself is not right |
| 3 | evidence could not be read (the rest was) |
| 4 | the run was blind: it read events, and no field map recognised any, or more than half of the rules are not runnable on them |
| 70 | a fault of the program, or a process of `hunt --jobs` was lost |
| 130 | interrupted |
| 141 | whoever read the output went away |

Where several apply, the first of 130, 70, 2, 3, 4, 1 is returned.

This page is generated from the help of the commands (`make docs`).
"""


def commands() -> str:
    """The text of ``command-line.md``."""
    parts = [_COMMANDS]
    for name in COMMANDS:
        with mock.patch.dict(os.environ, {"COLUMNS": "100"}), redirect_stdout(io.StringIO()) as out:
            command_line([name, "--help"])
        parts.append(f"## {name}\n\n```text\n{out.getvalue().rstrip()}\n```\n")
    return "\n".join(parts)


# A page of the API: its title, what it begins with, and the parts of the package whose public names
# are on it; "engine.report" goes before "engine". Then modules that are imported by themselves, all
# their public names or those behind the colon.
_API = {
    "rules": (
        "Rules",
        "Loading, parsing and looking into rules.",
        ("rule", "loading", "resources", "syntax", "attack", "lenient"),
        (),
    ),
    "running": (
        "Engines, sessions and runs",
        "An `Engine` is rules and field maps, compiled. A `Session` is one pass of it over events.",
        ("engine", "runner"),
        ("carengine.prometheus",),
    ),
    "evidence": (
        "Evidence",
        "Reading records out of files, folders and archives.",
        ("readers",),
        (),
    ),
    "field-maps": (
        "Field maps",
        "Finding and loading field maps, and events in CAR's names.",
        ("fieldmap", "datamodel"),
        (),
    ),
    "languages": (
        "Languages",
        "Reading queries, translating rules, and comparing two of them.",
        ("languages", "verify", "check"),
        ("carengine.languages.reading:read,QueryReading", "carengine.verify"),
    ),
    "reports": (
        "Reports",
        "Why a rule matches or not, what rules need, what they cost.",
        ("engine.report",),
        (),
    ),
    "coverage": (
        "Coverage, timelines, statistics",
        "What rules cover of ATT&CK on some logs, and what is in these.",
        ("coverage", "timeline", "statistics"),
        ("carengine.coverage", "carengine.timeline", "carengine.statistics"),
    ),
    "sql": (
        "Tables and queries",
        "Events as tables in databases, and rules as queries over them.",
        ("sql",),
        ("carengine.sql",),
    ),
    "spark": (
        "Apache Spark",
        "Hunts in DataFrames, batches and streams. [On Apache Spark](../spark.md) shows them at work.",
        ("spark",),
        ("carengine.spark",),
    ),
    "tuning": ("Tuning", "Exclusions and suppression.", ("tuning",), ()),
    "diagnostics": (
        "Diagnostics",
        "What carengine says about rules, maps, files and runs. "
        "[Diagnostics](../diagnostics.md) lists the codes.",
        ("diagnostics",),
        (),
    ),
}


def api_pages() -> dict[str, str]:
    """The texts of the pages in ``api/``, by file name."""
    names: dict[str, list[str]] = {page: [] for page in _API}
    for name in sorted(carengine.__all__):
        names[_api_page(name)].append(f"carengine.{name}")
    pages = {}
    rows = []
    for page, (title, text, _, modules) in _API.items():
        own = names[page]
        for chosen in modules:
            module, _, only = chosen.partition(":")
            public = only.split(",") if only else sorted(importlib.import_module(module).__all__)
            own += [f"{module}.{one}" for one in public if f"carengine.{one}" not in own]
        parts = [f"# {title}\n\n{text}\n", *(f"::: {name}\n" for name in own)]
        pages[f"{page}.md"] = "\n".join(parts)
        links = ", ".join(f"[`{name.removeprefix('carengine.')}`][{name}]" for name in own)
        rows.append(f"| [{title}]({page}.md) | {links} |")
    pages["index.md"] = "\n".join([_API_INDEX, *rows, ""])
    return pages


_API_INDEX = """# Python API

Everything that a program needs is in `carengine` itself; names are imported when they are first
used, and `import carengine` loads no dependency. What is longer than one name here
(`verify.Report`) is in that module.

Public are the names on these pages, and those in `__all__` of the modules `attack`, `check`,
`datamodel`, `diagnostics` (with `diagnostics.codes`), `engine`, `engine.report`, `fieldmap`,
`languages.reading`, `languages.writing`, `prometheus`, `readers`, `rule`, `runner`, `spark`, `sql`,
`tuning` and `verify`. Every other module is internal and may change with any version.

[Embed it](../embed.md) shows the calls in their order. These pages are made from the docstrings.

| page | names |
| --- | --- |"""


def _api_page(name: str) -> str:
    """The page that a public name is on: that of the part of the package it comes from."""
    home = getattr(carengine, name).__module__.removeprefix("carengine.")
    found = [
        (len(part), page)
        for page, (_, _, parts, _) in _API.items()
        for part in parts
        if home == part or home.startswith(f"{part}.")
    ]
    if not found:
        raise LookupError(f"no page of the API is for {home}: add it to _API")
    return max(found)[1]


_INDEX = """# What the field maps cover

For each event kind of CAR, how many of its fields each shipped map gives. A page for each map tells which, and from
what. This page is generated from the maps (`make docs`).
"""

_PAGE = """# {title}

{description}

`-m {name}` chooses this map; `auto`, which is the default, includes it. This page is generated from
`carengine/fieldmap/maps/{name}.yaml` (`make docs`).
"""


def map_pages() -> dict[str, str]:
    """The texts of the pages in ``maps/``, by file name."""
    folder = Path(carengine.fieldmap.__file__).parent / "maps"
    loaded = {path.stem: load_map(path) for path in sorted(folder.glob("*.yaml"))}
    # A map of log sources alone has nothing to say of CAR's fields.
    families = {name: shapes for name, shapes in loaded.items() if shapes[0].kinds()}
    pages = {
        f"{name}.md": map_page(_plain(folder / f"{name}.yaml"), shapes)
        for name, shapes in families.items()
    }
    return pages | {"README.md": map_index(families)}


def _plain(path: Path) -> dict[str, Any]:
    block = Block.whole(Source(path.name, path.read_text(encoding="utf-8")))
    found = yamltext.plain(yamltext.load_yaml(block, codes.BAD_MAP))
    assert isinstance(found, dict)
    return found


def map_index(families: dict[str, tuple[FieldMap, ...]]) -> str:
    """The table of all kinds by all maps."""
    names = list(families)
    rows = [
        "| | " + " | ".join(f"[{name}]({name}.md)" for name in names) + " |",
        "| --- |" + " ---: |" * len(names),
    ]
    for spec in model().objects.values():
        for action in spec.actions:
            cells = [_given(spec, action, shapes[0]) for shapes in families.values()]
            rows.append(f"| {spec.name}/{action} | " + " | ".join(cells) + " |")
    return "\n".join([_INDEX, *rows, ""])


def _given(spec: ObjectSpec, action: str, fieldmap: FieldMap) -> str:
    entries = [entry for entry in fieldmap.entries if str(entry.kind) == f"{spec.name}/{action}"]
    if not entries:
        return ""
    known = set(_names(spec))
    given = {name.partition(".")[0] for entry in entries for name in entry.fields}
    return f"{len(known & given)} of {len(known)}"


def _names(spec: ObjectSpec) -> list[str]:
    return list(dict.fromkeys((TIME.name, *spec.fields)))


def _car_entries(fieldmap: FieldMap) -> list[Entry]:
    """The entries that give CAR events; the others are log sources."""
    return [entry for entry in fieldmap.entries if entry.native is None]


def map_page(written: dict[str, Any], shapes: tuple[FieldMap, ...]) -> str:
    """The page of one map."""
    first = shapes[0]
    parts = [
        _PAGE.format(
            title=written["title"], name=written["name"], description=written["description"].strip()
        )
    ]
    parts += ["## Shapes\n", "| map | what it is | recognised by |", "| --- | --- | --- |"]
    parts += [
        f"| `{shape.name}` | {shape.title} | {_code(condition_text(shape.recognise))} |"
        for shape in shapes
    ]
    parts += ["", "## Events\n"]
    if len(shapes) > 1:
        parts.append(
            f"Field names are those of `{first.name}`; the other shapes have the same by other names.\n"
        )
    # The conditions as they are written: with the map's own names, which are shorter.
    whens = {
        id(entry): " ".join(str(one["when"]).split())
        for entry, one in zip(_car_entries(first), written["entries"], strict=True)
    }
    by_object = sorted(_car_entries(first), key=lambda entry: entry.kind)
    for name, entries in groupby(by_object, key=lambda entry: entry.kind.object):
        parts += _object_tables(model().objects[name], list(entries), whens)
    if first.sources():
        names = ", ".join(f"`{source}`" for source in first.sources())
        parts += ["## Log sources\n", f"For rules in the log's own names: {names}.\n"]
    if written.get("without"):
        parts += ["## Without a CAR event\n", "| what | why |", "| --- | --- |"]
        parts += [f"| {what} | {why.strip()} |" for what, why in written["without"].items()]
        parts.append("")
    if written.get("references"):
        parts += ["## References\n", *(f"* {one}" for one in written["references"]), ""]
    return "\n".join(parts)


def _object_tables(spec: ObjectSpec, entries: list[Entry], whens: dict[int, str]) -> list[str]:
    """What is told of one object: which events, and where each field comes from."""
    parts = [f"### {spec.name}\n", "| event | when |", "| --- | --- |"]
    parts += [f"| {entry.kind} | {_code(whens[id(entry)])} |" for entry in entries]
    actions = list(dict.fromkeys(entry.kind.action for entry in entries))
    parts += ["", f"| field | {' | '.join(actions)} |", "| --- |" + " --- |" * len(actions)]
    given = dict.fromkeys(name for entry in entries for name in entry.fields)
    names = [*(n for n in _names(spec) if n in given), *(n for n in given if "." in n)]
    for name in names:
        cells = [
            "<br>".join(
                dict.fromkeys(
                    _code(value_text(entry.fields[name]))
                    for entry in entries
                    if entry.kind.action == action and name in entry.fields
                )
            )
            for action in actions
        ]
        parts.append(f"| {name} | {' | '.join(cells)} |")
    without = [name for name in _names(spec) if name not in given]
    parts += ["", f"Not given: {', '.join(without)}.\n" if without else ""]
    return parts


def _code(text: str) -> str:
    """A text as code in a table."""
    text = text.replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


_LOG_SOURCES = """# Log sources of Sigma rules

SigmaHQ's rules name these log sources. For each, the field maps that give it, and how many of the
rules for it can run: a rule can run if some map gives its log source and its conditions can be true
there. Whether a field that a rule names was ever in a log, only the log tells (`carengine hunt`
says so afterwards). A rule that is not read counts among those that cannot run.

Text that does not say what wrote it (a line of an application's log, say) is no log source by
itself.

This page is generated from SigmaHQ's rules where these are at hand (`make docs`).
"""
_SIGMA_SETS = ("rules", "rules-emerging-threats", "rules-threat-hunting", "rules-compliance")


def log_sources(archive: Path = ALL_SIGMA) -> str:
    """The text of ``log-sources.md``: log sources, the maps that give them, and rules that cannot
    run."""
    maps = installed_maps()
    sets: dict[str, list[tuple[Rule, bool]]] = {name: [] for name in _SIGMA_SETS}
    loaded = load_rules(archive)
    for rule in loaded:
        if (inside := _set_of(rule.path)) in sets:
            sets[inside].append((rule, _can_run(rule, maps)))
    refused = [one for one in loaded.refused if _set_of(one.path) in sets]
    rows = [_LOG_SOURCES, "| set | rules | can run | |", "| --- | ---: | ---: | ---: |"]
    everything = [one for ruled in sets.values() for one in ruled]
    for name, ruled in [*sets.items(), ("all", everything)]:
        runs = sum(can for _, can in ruled)
        count = len(ruled) + sum(name in ("all", _set_of(one.path)) for one in refused)
        rows.append(f"| {name} | {count} | {runs} | {100 * runs / max(1, count):.1f} % |")
    rows += ["", "| log source | field maps | rules | can run |", "| --- | --- | ---: | ---: |"]
    by_source: dict[str, list[tuple[Rule, bool]]] = {}
    for rule, can in everything:
        by_source.setdefault(rule.metadata.data or "(a correlation of other rules)", []).append(
            (rule, can)
        )
    for source, ruled in sorted(by_source.items()):
        names = ", ".join(_giving(ruled[0][0], maps)) or "none"
        runs = sum(can for _, can in ruled)
        rows.append(f"| {source} | {names} | {len(ruled)} | {runs} |")
    rows += [
        "",
        "## Rules that cannot run",
        "",
        "| rule | log source | why |",
        "| --- | --- | --- |",
    ]
    for rule, can in everything:
        if not can:
            about = rule.metadata
            rows.append(f"| {about.title} | {about.data} | {_reason(rule, maps)} |")
    rows += [f"| {one.title} | | {one.diagnostics[0].message} |" for one in refused]
    return "\n".join([*rows, ""])


def _set_of(path: str | None) -> str:
    """The folder at the top of the archive that a rule is in."""
    return (path or "").partition("!")[2].partition("/")[0]


def _stages(rule: Rule) -> list[ir.Stage]:
    plans = [output.plan for output in rule.program.outputs]
    return [stage for plan in plans for stage in ir.as_stages(plan) or ()]


def _can_run(rule: Rule, maps: tuple[FieldMap, ...]) -> bool:
    """Whether some map gives the events of a rule and lets its conditions be true; a correlation
    is made of rules that are counted themselves."""
    stages = _stages(rule)
    if not stages:
        return True
    return any(low.possible for stage in stages for one in maps for low in lower(stage, one))


def _giving(rule: Rule, maps: tuple[FieldMap, ...]) -> list[str]:
    """The families that give the log source of a rule."""
    kinds = {kind for stage in _stages(rule) for kind in stage.kinds}
    return sorted({one.family for one in maps if not kinds.isdisjoint(one.sources())})


def _reason(rule: Rule, maps: tuple[FieldMap, ...]) -> str:
    lowered = [low for stage in _stages(rule) for one in maps for low in lower(stage, one)]
    missing = sorted({name for low in lowered for name in low.missing if not name.startswith("@")})
    if not _giving(rule, maps):
        return "no field map gives this log source"
    if missing:
        return f"the logs have no {', '.join(missing)}"
    return "the service it names is none that a field map gives"


def corpus() -> str:
    """The text of ``corpus.md``."""
    published = load_rules(ANALYTICS)
    shipped = load_rules(carengine.shipped_rules("car"))
    return f"{corpus_report(published, check_rule)}\n{unmet_section(published, shipped)}"


def implementations() -> str:
    """The section of ``corpus.md`` on what the analytics publish beside pseudocode. Takes half a
    minute."""
    return corpus_table(
        load_analytics(ANALYTICS), SigmaCollection.at(SIGMA) if SIGMA.exists() else None
    )


def main() -> None:
    """Write all."""
    # Lark numbers the states as the hashes of a process have them: the same tables differ as texts.
    if not tables_are_current():
        grammar_tables().write_text(tables_text(), encoding="ascii")
    if not objects_are_current():
        write_objects()
    read = maps_of_yaml()
    if not maps_are_current(read):
        write_maps(read)
    for name, text in api_pages().items():
        (DOCS / "api" / name).write_text(text, encoding="utf-8")
    (DOCS / "maps").mkdir(exist_ok=True)
    for name, text in map_pages().items():
        (DOCS / "maps" / name).write_text(text, encoding="utf-8")
    if ANALYTICS.is_dir():
        (DOCS / "corpus.md").write_text(f"{corpus()}\n{implementations()}", encoding="utf-8")
    if ALL_SIGMA.is_file():
        (DOCS / "log-sources.md").write_text(log_sources(), encoding="utf-8")
    (DOCS / "diagnostics.md").write_text(diagnostics(), encoding="utf-8")
    (DOCS / "command-line.md").write_text(commands(), encoding="utf-8")
    page = DOCS / "field-maps.md"
    page.write_text(field_maps(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
