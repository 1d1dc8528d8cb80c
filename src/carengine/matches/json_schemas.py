"""The JSON Schemas of the formats of matches, which ship with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "schemas"

SCHEMAS = ("jsonl", "ecs", "ocsf")
"""The formats that have a schema."""


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one line of a format. Raises `KeyError` for another.

    >>> schema("ocsf")["properties"]["class_uid"]
    {'const': 2004}
    """
    if name not in SCHEMAS:
        raise KeyError(name)
    path = _FOLDER / f"{name}.schema.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data
