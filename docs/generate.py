"""Write the parts of the documentation that are declarations elsewhere.

``python docs/generate.py`` writes ``corpus.md`` from CAR's analytics where these are at hand, ``diagnostics.md`` from the codes and the list of functions in
``field-maps.md`` from the functions. A test holds both to what this gives.
"""

from __future__ import annotations

from pathlib import Path

from carengine.check import check_rule
from carengine.diagnostics import codes
from carengine.functions import FUNCTIONS, Function
from carengine.rule import load_rules
from carengine.rule.corpus import corpus_report
from carengine.verify import load_analytics
from carengine.verify.corpus import corpus_table

DOCS = Path(__file__).parent
ANALYTICS = DOCS.resolve().parents[1] / "shared" / "car" / "analytics"
BEGIN, END = "<!-- functions -->", "<!-- /functions -->"

_STAGES = {
    "1": "Syntax",
    "2": "Names and types",
    "3": "Rule files",
    "4": "Field maps",
    "5": "Evidence and runs",
    "6": "Lenient repairs",
    "7": "Findings of the checker",
    "9": "Other languages",
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


def corpus() -> str:
    """The text of ``corpus.md``."""
    return corpus_report(load_rules(ANALYTICS), check_rule)


def implementations() -> str:
    """The section of ``corpus.md`` on what the analytics publish beside pseudocode. Takes half a minute."""
    return corpus_table(load_analytics(ANALYTICS))


def main() -> None:
    """Write all files."""
    if ANALYTICS.is_dir():
        (DOCS / "corpus.md").write_text(f"{corpus()}\n{implementations()}", encoding="utf-8")
    (DOCS / "diagnostics.md").write_text(diagnostics(), encoding="utf-8")
    page = DOCS / "field-maps.md"
    page.write_text(field_maps(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
