"""Findings that are known: a baseline keeps them, so that only new ones are shown.

A baseline is a JSON file with the code, the file and the message of each finding, and how many
there are of it. Lines are not in it: that rules are edited above a finding does not make it new.
Files are named from the folder that the baseline is in, with slashes::

    {"baseline": 1, "findings": [
      {"code": "CE828", "file": "rules/x.yml", "message": "this is a branch, …", "count": 1}]}
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from attrs import field, frozen

from ..diagnostics import Diagnostic
from ..filewrite import bounded_text, rewrite

_VERSION = 1
_MAX_BYTES = 64 << 20
_Key = tuple[str, str, str]


@frozen
class Baseline:
    """Known findings, counted. ``folder`` is where the names of files begin.

    >>> from carengine.diagnostics import Diagnostic, codes
    >>> known = Diagnostic(codes.NO_RULES, "there is none", origin="rules")
    >>> kept = Baseline.of([known])
    >>> kept.new([known, known]) == [known], kept.gone([])
    (True, 1)
    """

    counts: Mapping[_Key, int] = field(factory=dict, hash=False)
    folder: str = "."

    @classmethod
    def of(cls, found: Iterable[Diagnostic], folder: str = ".") -> Baseline:
        """The baseline that has these findings."""
        return cls(Counter(_key(item, folder) for item in found), folder)

    @classmethod
    def read(cls, path: str) -> Baseline:
        """The baseline in a file. Raises `OSError`, and `ValueError` where it is none."""
        if Path(path).stat().st_size > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES:,} bytes")
        try:
            document = json.loads(bounded_text(path, "utf-8-sig"))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if not isinstance(document, dict) or document.get("baseline") != _VERSION:
            raise ValueError("it is no baseline of carengine")
        counts: Counter[_Key] = Counter()
        for item in document.get("findings", ()):
            try:
                key = str(item["code"]), str(item["file"]), str(item["message"])
                counts[key] += int(item.get("count", 1))
            except (TypeError, KeyError, AttributeError):
                raise ValueError(f"this is no finding: {str(item)[:80]}") from None
        return cls(counts, os.path.dirname(path) or ".")

    def write(self, path: str) -> None:
        """Put it into a file, in one step. Raises `OSError`."""
        findings = [
            {"code": code, "file": name, "message": message, "count": count}
            for (code, name, message), count in sorted(self.counts.items())
        ]
        lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in findings)
        rewrite(path, f'{{"baseline": {_VERSION}, "findings": [\n{lines}\n]}}\n')

    def new(self, found: Iterable[Diagnostic]) -> list[Diagnostic]:
        """The findings that are not known: of each more than there were."""
        left = Counter(self.counts)
        fresh = []
        for item in found:
            key = _key(item, self.folder)
            if left[key] > 0:
                left[key] -= 1
            else:
                fresh.append(item)
        return fresh

    def gone(self, found: Iterable[Diagnostic]) -> int:
        """How many of the known findings are there no more."""
        left = Counter(self.counts)
        left.subtract(Counter(_key(item, self.folder) for item in found))
        return sum(count for count in left.values() if count > 0)


def _key(item: Diagnostic, folder: str) -> _Key:
    name = item.span.source.name if item.span is not None else item.origin
    if name and not name.startswith("<"):
        with suppress(ValueError):  # on another drive
            name = os.path.relpath(name, folder)
    return item.code.id, name.replace(os.sep, "/"), item.message
