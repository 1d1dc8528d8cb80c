"""Where the files that come with the package are: the grammar and the rules.

In an installed wheel they lie inside the package, in ``package-data/``; in a checkout they are the
folders ``grammar/`` and ``rules/`` at the top. The hyphen is there on purpose: no import and no
type checker can take the folder for a module, whatever is beside it.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

RULE_SETS = ("car", "attack")
"""The sets of rules that ship: MITRE's CAR, and analytics of ATT&CK."""


def _folder(name: str) -> Path:
    packaged = _PACKAGE / "package-data" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent.parent / name


def grammar_file() -> Path:
    """The Lark grammar of the language."""
    return _folder("grammar") / "car.lark"


def grammar_tables() -> Path:
    """The tables that Lark made of the grammar, as JSON; see ``syntax/tables.py``."""
    return _folder("grammar") / "car.tables.json"


def shipped_rules(name: str = "car") -> Path:
    """The folder of a set of rules that carengine ships.

    ``car`` are the analytics of MITRE's CAR, ``attack`` rules that implement analytics of ATT&CK's
    detection strategies. Raises `ValueError` for another name.

    >>> import carengine
    >>> (carengine.shipped_rules() / "CAR-2019-08-001.car").is_file()
    True
    >>> (carengine.shipped_rules("attack") / "AN1030.car").is_file()
    True
    """
    if name not in RULE_SETS:
        raise ValueError(f"no set of rules that ships is called {name}: {', '.join(RULE_SETS)}")
    return _folder("rules") / name
