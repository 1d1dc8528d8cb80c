"""Findings as SARIF 2.1.0, which code-scanning tools (GitHub's, Azure's, editors) read.

Columns are counted in characters from 1, as in all findings; the log says so (``columnKind``).
Every code that occurs is described once, among the rules of the tool::

    {"version": "2.1.0", "runs": [{
      "tool": {"driver": {"name": "carengine", "rules": [{"id": "CE701", …}]}},
      "results": [{"ruleId": "CE701", "level": "warning", "message": {"text": …}, …}]}]}
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import __version__
from ..diagnostics import Code, Diagnostic, Edit, Span

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def to_sarif(diagnostics: Iterable[Diagnostic]) -> dict[str, Any]:
    """The findings as one SARIF log of one run: plain data, ready for ``json.dumps``."""
    found = list(diagnostics)
    rules = {item.code.id: item.code for item in sorted(found, key=lambda item: item.code.id)}
    places = {id_: place for place, id_ in enumerate(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "carengine",
                        "version": __version__,
                        "semanticVersion": __version__,
                        "rules": [_rule(code) for code in rules.values()],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(item, places[item.code.id]) for item in found],
            }
        ],
    }


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.id,
        "name": "".join(word.capitalize() for word in code.title.split() if word.isalnum()),
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.explanation},
        "help": {"text": code.explanation},
        "defaultConfiguration": {"level": code.severity.value},
    }


def _result(item: Diagnostic, place: int) -> dict[str, Any]:
    parts = [item.message, *(f"note: {note}" for note in item.notes)]
    if item.fix is not None:
        parts.append(f"help: {item.fix.message}")
    result: dict[str, Any] = {
        "ruleId": item.code.id,
        "ruleIndex": place,
        "level": item.severity.value,
        "message": {"text": "\n".join(parts)},
        "locations": [],
    }
    if item.span is not None:
        result["locations"] = [{"physicalLocation": _location(item.span)}]
    elif item.origin:
        where = {"artifactLocation": {"uri": _uri(item.origin)}}
        result["locations"] = [{"physicalLocation": where}]
    if item.labels:
        result["relatedLocations"] = [
            {
                "id": number,
                "physicalLocation": _location(label.span),
                "message": {"text": label.text},
            }
            for number, label in enumerate(item.labels, 1)
        ]
    if item.fix is not None and item.fix.edits:
        result["fixes"] = [
            {
                "description": {"text": item.fix.message},
                "artifactChanges": _changes(item.fix.edits),
            }
        ]
    return result


def _changes(edits: tuple[Edit, ...]) -> list[dict[str, Any]]:
    """The edits, file by file."""
    files: dict[str, list[dict[str, Any]]] = {}
    for edit in sorted(edits, key=lambda edit: (edit.span.source.name, edit.span.start)):
        files.setdefault(edit.span.source.name, []).append(
            {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}}
        )
    return [
        {"artifactLocation": {"uri": _uri(name)}, "replacements": replacements}
        for name, replacements in files.items()
    ]


def _location(span: Span) -> dict[str, Any]:
    return {"artifactLocation": {"uri": _uri(span.source.name)}, "region": _region(span)}


def _region(span: Span) -> dict[str, Any]:
    end_line, end_column = span.source.position(span.end)
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": end_line,
        "endColumn": end_column,
        "charOffset": span.start,
        "charLength": span.end - span.start,
    }


def _uri(name: str) -> str:
    """A file's name as a URI reference; relative names stay relative."""
    name = name.replace("\\", "/")
    absolute = name.startswith("/") or name[1:3] == ":/"
    uri = Path("/" + name.lstrip("/")).as_uri()
    return uri if absolute else uri.removeprefix("file:///")
