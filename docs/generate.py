"""Write the parts of the documentation that are declarations elsewhere.

``python docs/generate.py`` writes ``diagnostics.md`` from the codes, the list of functions in
``field-maps.md`` from the functions, in ``maps/`` a page for each shipped field map with one of
what all of them cover, and ``corpus.md`` from CAR's analytics where these are at hand. A test holds
all to what this gives.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import carengine.fieldmap
from carengine import yamltext
from carengine.check import check_rule
from carengine.datamodel import TIME, ObjectSpec, model
from carengine.diagnostics import Block, Source, codes
from carengine.fieldmap import Entry, FieldMap, load_map
from carengine.functions import FUNCTIONS, Function
from carengine.ir_text import condition_text, value_text
from carengine.loading import load_rules
from carengine.loading.corpus import corpus_report
from carengine.verify import load_analytics
from carengine.verify.corpus import corpus_table
from carengine.verify.linked import Collection

DOCS = Path(__file__).parent
ANALYTICS = DOCS.resolve().parents[1] / "shared" / "car" / "analytics"
SIGMA = ANALYTICS.parents[1] / "sigma" / "sigmahq-rules-windows.tar.gz"
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

Everything carengine says of a rule, a field map or a file has a code. A code keeps its number and its meaning for good. An
**error** refuses the rule (or the map, or the file); a **warning** and a **note** do not. All findings of a file are told, each with
file, line and column, and with a fix where one is evident.

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
        for entry, one in zip(first.entries, written["entries"], strict=True)
    }
    by_object = sorted(first.entries, key=lambda entry: entry.kind)
    for name, entries in groupby(by_object, key=lambda entry: entry.kind.object):
        parts += _object_tables(model().objects[name], list(entries), whens)
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


def corpus() -> str:
    """The text of ``corpus.md``."""
    return corpus_report(load_rules(ANALYTICS), check_rule)


def implementations() -> str:
    """The section of ``corpus.md`` on what the analytics publish beside pseudocode. Takes half a
    minute."""
    return corpus_table(load_analytics(ANALYTICS), Collection.at(SIGMA) if SIGMA.exists() else None)


def main() -> None:
    """Write all."""
    (DOCS / "maps").mkdir(exist_ok=True)
    for name, text in map_pages().items():
        (DOCS / "maps" / name).write_text(text, encoding="utf-8")
    if ANALYTICS.is_dir():
        (DOCS / "corpus.md").write_text(f"{corpus()}\n{implementations()}", encoding="utf-8")
    (DOCS / "diagnostics.md").write_text(diagnostics(), encoding="utf-8")
    page = DOCS / "field-maps.md"
    page.write_text(field_maps(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
