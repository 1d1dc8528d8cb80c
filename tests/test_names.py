"""Names: one meaning each, and each says what the thing is.

The lists of names that are still to be changed only shrink.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import carengine

PACKAGE = Path(carengine.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# What a class is called when its name says only that it is a part of something.
GENERIC = re.compile(
    r"_?(?:Reader|Writer|Parser|Row|Rows|Step|Item|Level|Kept|Found|Made|Thing|Data|Info|Object"
    r"|Reading|Open|Part|Piece|Search|Index|Form|Use|Values|Names)"
)

# Public names of two modules, still to be made one.
TWICE: set[str] = {
    "Column",
    "Leaf",
    "Match",
    "Memory",
    "Node",
    "Search",
    "Technique",
    "Whole",
    "Window",
}

# Private names that are generic, or that two modules have, still to be changed.
STILL_GENERIC: set[str] = {
    "_Form",
    "_Found",
    "_Index",
    "_Kept",
    "_Open",
    "_Part",
    "_Reader",
    "_Rows",
    "_Step",
    "_Values",
    "_Writer",
}


def classes() -> dict[str, list[str]]:
    """The classes at the level of modules, each with the modules that define it."""
    found: dict[str, list[str]] = defaultdict(list)
    for module in MODULES:
        for node in ast.parse(module.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(module.relative_to(PACKAGE)))
    return found


def test_no_public_class_name_is_used_twice() -> None:
    twice = {n: m for n, m in classes().items() if len(m) > 1 and not n.startswith("_")}
    assert not {n: m for n, m in twice.items() if n not in TWICE}


def test_a_private_class_says_what_it_is() -> None:
    """A private class has no package around its name when it is met in a traceback or a search."""
    wrong = {
        name
        for name, modules in classes().items()
        if name.startswith("_") and (GENERIC.fullmatch(name) or len(modules) > 1)
    }
    assert not {name: classes()[name] for name in wrong - STILL_GENERIC}


def test_no_module_is_a_drawer() -> None:
    """What a module is for stands in its name."""
    drawers = {"util", "utils", "helper", "helpers", "manager", "managers", "misc", "common"}
    assert not [m for m in MODULES if {m.stem, *m.relative_to(PACKAGE).parts} & drawers]
