"""The JSON Schemas of formats of output, which ship with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "schemas"

SCHEMAS = ("jsonl", "ecs", "ocsf")
"""The formats of matches that have a schema, one line each."""

OTHERS = (
    *("account", "check", "coverage", "detect", "explain", "needs", "sample", "stats", "test"),
    *("timeline", "verify"),
)
"""Commands with a schema of that name: of the document of ``-f json``, or of one line of ``-f
jsonl``. ``account`` is what `hunt --account` writes."""


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one line of a format, or of a command's document.

    Raises `KeyError` for another name.

    >>> schema("ocsf")["properties"]["class_uid"]
    {'const': 2004}
    """
    if name not in (*SCHEMAS, *OTHERS):
        raise KeyError(name)
    path = _FOLDER / f"{name}.schema.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data
