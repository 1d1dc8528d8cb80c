"""Where the files that come with the package are: the grammar and the rules.

In an installed wheel they lie inside the package, in ``shipped/``; in a checkout they are the
folders ``grammar/`` and ``rules/`` at the top.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    packaged = _PACKAGE / "shipped" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent.parent / name


def grammar() -> Path:
    """The Lark grammar of the language."""
    return _folder("grammar") / "car.lark"


def rules() -> Path:
    """The folder of the rules that carengine ships."""
    return _folder("rules")
