"""Writing a report: matches go to the file as they come, in blocks that the page reads when needed.

::

    head      policy, style, the page's frame
    blocks    rows of some hundred matches, and their details; processes; the summary
    scripts   the page's modules

A block is JSON, compressed and in base64, in an element that a browser neither runs nor shows.
Base64 has no character that means anything in HTML, so that nothing of an event can leave its
block. Memory is that of one block, however many matches there are: names of hosts and rules are
numbered block by block, and the page puts the numbers together.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from ..engine import Engine, Match
from ..jsontext import json_line
from .match_view import MatchView, view_of
from .page import page_end, page_start
from .processes import ProcessStore

_BLOCK_MATCHES = 500
_BLOCK_BYTES = 2 << 20


class ReportDocument:
    """A report that is being written to a binary file.

    ``engine`` is the one whose matches come. Matches are added one by one in
    any order; the page sorts them by time. `finish` ends the file. What the target raises when it
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
        self._processes = processes
        self._views: list[tuple[str, MatchView]] = []
        self._details: list[bytes] = []
        self._size = 0
        self._block = 0
        self.matches = 0
        """How many matches the report has."""
        target.write(page_start(title))

    def add(self, match: Match) -> None:
        """Take one match."""
        view = view_of(match, self._engine)
        self.matches += 1
        detail = json_line(view.detail)
        self._views.append((match.rule.id, view))
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
        number, self._block = self._block, self._block + 1
        self._put(f"rows-{number}", "rows", json_line(_rows(self._views)))
        self._put(f"detail-{number}", "detail", b"[" + b",".join(self._details) + b"]")
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
        for number, rows in enumerate(processes):
            self._put(f"processes-{number}", "processes", json_line(rows))
        self._put("summary", "summary", json_line(summary))
        self._target.write(page_end())


def _rows(views: Sequence[tuple[str, MatchView]]) -> dict[str, Any]:
    """Rows of matches by columns; texts that come again are numbered."""
    names: dict[str, int] = {}

    def number(text: str) -> int:
        return names.setdefault(text, len(names))

    columns: dict[str, Any] = {
        "rule": [number(rule) for rule, _ in views],
        "host": [number(view.host) for _, view in views],
        "user": [number(view.user) for _, view in views],
        "time": [view.time for _, view in views],
        "summary": [view.summary for _, view in views],
        "source": [view.source for _, view in views],
    }
    return {"names": list(names), **columns}
