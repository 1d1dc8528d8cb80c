"""Writing a report: matches go to the file as they come, in blocks that the page reads when needed.

::

    head      policy, style, the page's frame
    blocks    texts and details of some hundred matches each, as they came
              the index of all matches, in the order of time; rules; processes; the summary
    scripts   the page's modules

A block is compressed and in base64, in an element that a browser neither runs nor shows. Base64 has
no character that means anything in HTML, so that nothing of an event can leave its block.

To open the page, a browser reads the summary and the index only: 28 bytes a match, columns of
numbers that need no parsing and no sorting. Texts are read when they are shown or searched, a
detail when its match is opened. Memory is that of a block here, however many matches there are:
rows of the index are sorted on the disk, and names are numbered part by part.
"""

from __future__ import annotations

import base64
import gzip
import math
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, BinaryIO

from ..engine import Engine, Match
from ..jsontext import json_line
from ..matches import MatchReporter, TimeSorter
from .match_view import MatchView, view_of
from .page import page_end, page_start
from .processes import ProcessStore

_BLOCK_MATCHES = 500
_BLOCK_BYTES = 2 << 20
_PART = 1 << 16
"""Matches in a part of the index."""
_MEMORY = 1 << 20
_ENTRY = struct.Struct("<dIIHHH")
"""A match in the sorter: its time in milliseconds (NaN for none), its block, its place there, and
the lengths of rule id, host and user, which follow."""
_NAME = 4_096
_RULE_TEXT = 64 << 10


class ReportDocument:
    """A report that is being written to a binary file.

    ``engine`` is the one whose matches come. Matches are added one by one in
    any order; the page shows them by time. `finish` ends the file. What the target raises when it
    cannot be written to is passed on.

    >>> import io
    >>> target = io.BytesIO()
    >>> ReportDocument(target, Engine([], "car"), "Nothing").finish({})
    >>> target.getvalue()[:15], target.getvalue()[-8:]
    (b'<!doctype html>', b'</html>\\n')
    """

    def __init__(
        self,
        target: BinaryIO,
        engine: Engine,
        title: str,
        processes: ProcessStore | None = None,
    ) -> None:
        self._target = target
        self._engine = engine
        self._reporter = MatchReporter(engine.maps)
        self._processes = processes
        self._views: list[MatchView] = []
        self._details: list[bytes] = []
        self._size = 0
        self._block = 0
        self._index = TimeSorter(_MEMORY)
        self._rules: set[str] = set()
        self.matches = 0
        """How many matches the report has."""
        target.write(page_start(title))

    def add(self, match: Match) -> None:
        """Take one match."""
        view = view_of(match, self._engine, self._reporter)
        self.matches += 1
        detail = json_line(view.detail)
        self._rules.add(match.rule.id)
        self._index.add(view.time, _entry(match.rule.id, view, self._block, len(self._views)))
        self._views.append(view)
        self._details.append(detail)
        self._size += len(detail)
        if self._processes is not None:
            for identity in view.processes:
                self._processes.want(identity)
        if len(self._views) >= _BLOCK_MATCHES or self._size >= _BLOCK_BYTES:
            self._write_block()

    def _write_block(self) -> None:
        if not self._views:
            return
        texts = {
            "summary": [view.summary for view in self._views],
            "marks": [view.marks for view in self._views],
            "source": [view.source for view in self._views],
        }
        self._put(f"texts-{self._block}", "texts", json_line(texts))
        details = b"[" + b",".join(self._details) + b"]"
        self._put(f"detail-{self._block}", "detail", details)
        self._block += 1
        self._views, self._details, self._size = [], [], 0

    def _put(self, name: str, kind: str, data: bytes) -> None:
        # Level 6 and no time stamp: the same run gives the same file.
        text = base64.b64encode(gzip.compress(data, 6, mtime=0))
        start = f'<script type="text/plain" class="block" id="{name}" data-kind="{kind}">'
        self._target.write(start.encode("ascii"))
        self._target.write(text)
        self._target.write(b"</script>\n")

    def finish(
        self, summary: Mapping[str, Any], processes: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        """Write what is left, the processes and what is said once, and end the page."""
        self._write_block()
        with self._index:
            entries = iter(self._index)
            number = 0
            while part := list(islice(entries, _PART)):
                names, columns = _columns(part)
                self._put(f"names-{number}", "names", json_line(names))
                self._put(f"index-{number}", "index", columns)
                number += 1
        for number, rows in enumerate(processes):
            self._put(f"processes-{number}", "processes", json_line(rows))
        self._put("rules", "rules", json_line(dict(self._rule_texts())))
        self._put("summary", "summary", json_line({**summary, "blocks": self._block}))
        self._target.write(page_end())

    def _rule_texts(self) -> Iterator[tuple[str, str]]:
        """The rules that matched, as they are written in their files."""
        for rule in self._engine.rules:
            if rule.id in self._rules:
                # Of a file with thousands of rules only the rule's own part.
                whole, own = rule.block.source.text, rule.block.text
                text = whole if len(whole) <= _RULE_TEXT else own
                if text and len(text) <= _RULE_TEXT:
                    yield rule.id, text


def _entry(rule: str, view: MatchView, block: int, place: int) -> bytes:
    """A match in the index, as it is sorted."""
    time = math.nan if view.time is None else view.time / 1000
    names = [text[:_NAME].encode("utf-8", "surrogatepass") for text in (rule, view.host, view.user)]
    return _ENTRY.pack(time, block, place, *map(len, names)) + b"".join(names)


def _columns(part: Sequence[bytes]) -> tuple[dict[str, list[str]], bytes]:
    """Names, and columns of numbers in little-endian order: times (8 bytes each), then the numbers
    of rule, host and user, block and place (4 bytes each)."""
    names: tuple[dict[str, int], ...] = ({}, {}, {})
    times = array("d")
    numbers = tuple(array("I") for _ in range(5))
    for entry in part:
        time, block, place, *lengths = _ENTRY.unpack_from(entry)
        times.append(time)
        at = _ENTRY.size
        for known, length, column in zip(names, lengths, numbers, strict=False):
            name = entry[at : at + length].decode("utf-8", "surrogatepass")
            column.append(known.setdefault(name, len(known)))
            at += length
        numbers[3].append(block)
        numbers[4].append(place)
    columns: tuple[array[float] | array[int], ...] = (times, *numbers)
    if sys.byteorder == "big":
        for swapped in columns:
            swapped.byteswap()
    rules, hosts, users = map(list, names)
    told = {"rules": rules, "hosts": hosts, "users": users}
    return told, b"".join(one.tobytes() for one in columns)
