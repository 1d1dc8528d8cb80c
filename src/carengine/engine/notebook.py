"""What notebooks show of matches, of an explanation and of an account: tables of HTML.

Rules and events are written by others. Every text goes through `_shown`, which turns what a browser
would act on, and what could not be seen, into text.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..diagnostics import visible
from ..values import format_time

if TYPE_CHECKING:
    from .match import Match
    from .report.explanation import Explanation, Node
    from .stats import SessionStats

_MOST_ROWS = 200
_MOST_FIELDS = 12
_MOST_TEXT = 300


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    cut = text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "…"
    return html.escape(visible(cut), quote=True)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], note: str = "") -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th>{_shown(one)}</th>" for one in heads)
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    after = f"<p>{_shown(note)}</p>" if note else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{after}"


def _fields(fields: Mapping[str, Any]) -> str:
    shown = [
        f"<b>{_shown(name)}</b>: {_shown(value)}"
        for name, value in list(fields.items())[:_MOST_FIELDS]
        if value is not None
    ]
    if (more := len(fields) - _MOST_FIELDS) > 0:
        shown.append(f"and {more:,} more")
    return "<br>".join(shown)


def _time(time: int | None) -> str:
    return "" if time is None else _shown(format_time(time))


def matches_as_html(matches: Sequence[Match]) -> str:
    """Matches as a table: when, which rule, and the fields of each event.

    >>> matches_as_html([]).count("<tr>")
    1
    """
    rows = []
    for match in matches[:_MOST_ROWS]:
        rule = f"<b>{_shown(match.rule.id)}</b><br>{_shown(match.rule.title)}"
        columns = {name: match.shown(name, value) for name, value in match.columns.items()}
        parts = [_fields(columns)] if columns else []
        for event in match.events[:_MOST_FIELDS]:
            name = f"{event.stream} " if event.stream else ""
            where = f", {event.origin.source}:{event.origin.record}" if event.origin else ""
            parts.append(
                f"<i>{_shown(f'{name}{event.kind}{where}')}</i><br>{_fields(event.fields)}"
            )
        if (more := len(match.events) - _MOST_FIELDS) > 0:
            parts.append(f"and {more:,} more events")
        level = _shown(match.rule.metadata.level or "")
        rows.append((_time(match.time), level, rule, _shown(match.output), "<br>".join(parts)))
    count = f"{len(matches):,} matches"
    note = f"{count}, the first {_MOST_ROWS} shown" if len(matches) > _MOST_ROWS else count
    return _table(("time", "level", "rule", "output", "events"), rows, note)


def explanation_as_html(explanation: Explanation) -> str:
    """An explanation as a table: what each condition of the rule says of the event."""
    rows = []
    for seen in explanation.views:
        for test in seen.tests:
            name = f"{test.output}, {test.branch}" if test.branch else test.output
            rows.append((_verdict(test.verdict), f"<b>{_shown(name)}</b>", _shown(str(seen.kind))))
            if test.tree is not None:
                rows += _nodes(test.tree)
    shapes = ", ".join(explanation.shapes) or "no known shape"
    note = f"{explanation.rule.id}: {_WORDS[explanation.verdict]} ({shapes})"
    return _table(("", "condition", "why"), rows, note)


_WORDS = {
    True: "it matches",
    False: "it does not match",
    None: "it does not match alone, and may be part of a match with others",
}


def _verdict(verdict: bool | None) -> str:
    return "?" if verdict is None else "✓" if verdict else "✗"


def _nodes(tree: Node) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    work = [(1, tree)]
    while work:
        depth, node = work.pop()
        why = "" if node.children else node.reason
        indent = "&emsp;" * min(depth, 20)
        rows.append((_verdict(node.verdict), indent + _shown(node.condition), _shown(why)))
        work += [(depth + 1, child) for child in reversed(node.children)]
    return rows


def stats_as_html(stats: SessionStats) -> str:
    """An account as a table: events by field map and kind, matches by rule."""
    rows: list[Sequence[str]] = [
        ("events", "", f"{stats.events:,}"),
        ("of no known shape", "", f"{stats.unrecognised:,}"),
    ]
    rows += [
        ("kind", _shown(f"{kind} ({name})"), f"{number:,}")
        for (name, kind), number in stats.kinds.most_common(_MOST_ROWS)
    ]
    rows += [
        ("matches", _shown(rule), f"{number:,}")
        for rule, number in stats.matches.most_common(_MOST_ROWS)
    ]
    rows += [("late", "", f"{stats.late:,}")] if stats.late else []
    rows += [("without a time", "", f"{stats.untimed:,}")] if stats.untimed else []
    return _table(("", "of", "number"), rows)
