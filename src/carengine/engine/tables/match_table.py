"""Matches as a table of Arrow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import field, frozen

from ...diagnostics import Diagnostic
from ..match import Match, MatchedEvent
from ..notebook import matches_as_html
from ..session import Session
from .feeding import TableRows


def match_schema() -> Any:
    """The ``pyarrow`` schema of matches, a row each.

    ==========  ============================  ==================================================
    column      type                          meaning
    ==========  ============================  ==================================================
    `rule_id`   string                        the rule's id
    `title`     string                        its title
    `level`     string                        how grave it is; null where the rule says nothing
    `attack`    list of string                ATT&CK's techniques and tactics
    `output`    string                        the output of the rule that came true
    `time`      timestamp (µs, UTC)           the last event's time; null where none has one
    `group`     string                        keys of its group as JSON; null where it is none
    `columns`   string                        projected columns as JSON; null where it has none
    `events`    list of struct                its events, in order
    ==========  ============================  ==================================================

    An event has `stream` (the branch of a join), `source` and `record` (the row, from 1), `object`,
    `action`, `time`, `fields` (CAR's, as JSON), `event` (as it was read, as JSON) and `also` (the
    `source` and `record` of others that tell of the same).

    >>> match_schema().names
    ['rule_id', 'title', 'level', 'attack', 'output', 'time', 'group', 'columns', 'events']
    """
    import pyarrow as pa

    time = pa.timestamp("us", "UTC")
    event = [
        *(("stream", pa.string()), ("source", pa.string()), ("record", pa.int64())),
        *(("object", pa.string()), ("action", pa.string()), ("time", time)),
        *(("fields", pa.string()), ("event", pa.string())),
        ("also", pa.list_(pa.struct([("source", pa.string()), ("record", pa.int64())]))),
    ]
    return pa.schema(
        [
            *(("rule_id", pa.string()), ("title", pa.string()), ("level", pa.string())),
            *(("attack", pa.list_(pa.string())), ("output", pa.string()), ("time", time)),
            *(("group", pa.string()), ("columns", pa.string())),
            ("events", pa.list_(pa.struct(event))),
        ]
    )


def match_rows(matches: Iterable[Match]) -> list[dict[str, Any]]:
    """Matches as the rows of a table of `match_schema`."""
    return [_row(match) for match in matches]


def _row(match: Match) -> dict[str, Any]:
    shown = match.shown
    keys = {name: shown(name, value) for name, value in match.keys.items()}
    columns = {name: shown(name, value) for name, value in match.fields.items()}
    return {
        "rule_id": _text(match.rule.id),
        "title": _text(match.rule.title),
        "level": match.rule.metadata.level or None,
        "attack": list(match.rule.attack),
        "output": match.output,
        "time": _time(match.time),
        "group": _json(keys) if keys else None,
        "columns": _json(columns) if columns else None,
        "events": [_event(event) for event in match.events],
    }


def _event(event: MatchedEvent) -> dict[str, Any]:
    return {
        "stream": event.stream,
        "source": None if event.origin is None else _text(event.origin.source),
        "record": None if event.origin is None else event.origin.record,
        "object": event.kind.object,
        "action": event.kind.action,
        "time": _time(event.time),
        "fields": _json(dict(event.fields)),
        "event": _json(event.event),
        "also": [
            {"source": _text(one.origin.source), "record": one.origin.record}
            for one in event.also
            if one.origin is not None
        ],
    }


def _text(text: str) -> str:
    # A lone surrogate is no UTF-8.
    return text.encode("utf-8", "backslashreplace").decode()


def _json(value: Any) -> str:
    return json.dumps(value, default=str)


def _time(time: int | None) -> int | None:
    return time if time is None or abs(time) < 1 << 63 else None


@frozen(eq=False)
class MatchTable:
    """The matches that `Engine.hunt_table` found, and the account of what went through.

    It is a sequence of `Match`, in the order of `Engine.run`, and has the Arrow stream
    (``__arrow_c_stream__``, with `match_schema`): ``polars.DataFrame(matches)``,
    ``pyarrow.table(matches)`` and ``duckdb.sql("from matches")`` over `to_arrow` read it. In a
    notebook it shows itself as a table.

    ``session`` has the statistics, ``rows`` what was read of the table; ``diagnostics`` says what
    could not be read or took no part.
    """

    matches: tuple[Match, ...] = field(repr=False)
    session: Session = field(repr=False)
    rows: TableRows

    def __len__(self) -> int:
        return len(self.matches)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    def __getitem__(self, place: int) -> Match:
        return self.matches[place]

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What there is to say of rows and events that took no part as they should."""
        return (*self.rows.diagnostics, *self.session.diagnostics)

    def to_arrow(self) -> Any:
        """The matches as a ``pyarrow.Table`` of `match_schema`."""
        return matches_to_arrow(self.matches)

    def to_polars(self) -> Any:
        """The matches as a ``polars.DataFrame``."""
        import polars

        return polars.DataFrame(self.to_arrow())

    def to_pandas(self) -> Any:
        """The matches as a ``pandas.DataFrame``."""
        return self.to_arrow().to_pandas()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        return matches_as_html(self.matches)


def matches_to_arrow(matches: Sequence[Match]) -> Any:
    """Matches as a ``pyarrow.Table`` of `match_schema`."""
    import pyarrow as pa

    return pa.Table.from_pylist(match_rows(matches), schema=match_schema())
