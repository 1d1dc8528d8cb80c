"""The table of matches that a person reads: a block for each rule, the grave ones last.

::

    2024-05-20 UTC · records of logs.zip

    high  Credential Dumping via Windows Task Manager  1 match
          T1003.001 · CAR-2019-08-001
      07:58:41.092  FJ-WS-0142  FJORDLINE\\\\m.lindqvist  lsass_dump.jsonl:4
        file_name lsass.DMP  image_path C:\\\\Windows\\\\System32\\\\Taskmgr.exe

Matches that say the same are one row with their number. A bounded number of rows is kept for each
rule; of many matches only the numbers by rule and host are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from ..diagnostics import counted, visible
from ..engine import Match
from ..matches import (
    MatchReporter,
    MatchRow,
    MatchTally,
    ReportedEvent,
    ReportedValue,
    bounded,
)
from ..rule import Rule
from ..values import format_time
from .layout import Line, Piece, cut_middle, flow, line_width, painted, text_width
from .rules import rank
from .screen import Screen

MANY = 1_000
"""From so many matches on only their numbers are shown, by rule and host."""

LEVEL_STYLES = {
    "critical": ("bold", "red"),
    "high": ("red",),
    "medium": ("yellow",),
    "low": ("blue",),
    "informational": ("dim",),
}
_KEPT_TEXT = 600
_MOST_VALUES = 12
_MOST_EVENTS = 6
_NARROW = 110
_WIDE = 160
_MOST_RULES = 40
"""Rules that are shown one by one where only numbers are."""
_MOST_HOSTS = 5_000


@frozen
class _EventCells:
    """What is shown of an event."""

    stream: str
    time: int | None
    host: str
    user: str
    values: tuple[ReportedValue, ...]
    source: str
    record: int | None
    also: tuple[tuple[str, int], ...] = ()
    """The records of other sensors that tell of the same."""


@define
class _KeptMatch:
    """A match, or several that say the same."""

    output: str
    columns: tuple[ReportedValue, ...]
    events: tuple[_EventCells, ...]
    more_events: int
    time: int | None
    last: int | None
    matches: int = 1


@define
class _RuleRows:
    rule: Rule
    matches: int = 0
    hosts: Counter[str] = field(factory=Counter)
    first: int | None = None
    last: int | None = None
    rows: dict[object, _KeptMatch] = field(factory=dict)
    left_out: int = 0


@define
class TableWriter:
    """Keeps what the table shows, and draws it at the end.

    ``most`` is the number of rows of a rule (0: all); with ``full`` every value is shown whole.
    """

    screen: Screen
    reporter: MatchReporter
    tally: MatchTally
    most: int
    full: bool = False
    streaming: bool = False
    apart: None = None
    _kept: dict[str, _RuleRows] = field(factory=dict)

    def write(self, match: Match) -> None:
        """Take one match."""
        rule = match.rule
        kept = self._kept.setdefault(rule.id, _RuleRows(rule))
        kept.matches += 1
        asked = self.full or not self.most or len(kept.rows) < self.most
        if not asked and self.tally.total >= MANY:
            # Only numbers will be shown.
            host, _ = self.reporter.where_and_who(match)
            self._count(kept, match, host)
            return
        row = self.reporter.row(match)
        self._count(kept, match, row.host)
        cells = self._cells(row)
        key = (row.host, row.user, cells.output, cells.columns, *map(_said, cells.events))
        same = None if self.full else kept.rows.get(key)
        if same is not None:
            same.matches += 1
            if row.time is not None:
                if same.time is None or row.time < same.time:
                    # What is shown is the first of them, in whatever order they come.
                    same.time, same.events = row.time, cells.events
                same.last = row.time if same.last is None else max(same.last, row.time)
        elif asked:
            kept.rows[(key, match.time, kept.matches) if self.full else key] = cells
        else:
            kept.left_out += 1

    def _count(self, kept: _RuleRows, match: Match, host: str) -> None:
        self.tally.add(match.rule, host, match.time)
        if host in kept.hosts or len(kept.hosts) < _MOST_HOSTS:
            kept.hosts[host] += 1
        if match.time is not None:
            kept.first = match.time if kept.first is None else min(kept.first, match.time)
            kept.last = match.time if kept.last is None else max(kept.last, match.time)

    def _cells(self, row: MatchRow) -> _KeptMatch:
        most = len(row.events) if self.full else _MOST_EVENTS
        return _KeptMatch(
            row.match.output,
            tuple(self._value(value) for value in row.columns),
            tuple(self._event(event) for event in row.events[:most]),
            max(0, len(row.events) - most),
            row.time,
            row.time,
        )

    def _event(self, event: ReportedEvent) -> _EventCells:
        values = event.values if self.full else event.values[:_MOST_VALUES]
        return _EventCells(
            event.stream,
            event.time,
            event.host[:_KEPT_TEXT],
            event.user[:_KEPT_TEXT],
            tuple(map(self._value, values)),
            event.source,
            event.record,
            others_of(event),
        )

    def _value(self, value: ReportedValue) -> ReportedValue:
        return value if self.full else bounded(value, _KEPT_TEXT)

    def finish(self) -> None:
        """Draw what was kept."""
        blocks = sorted(
            self._kept.values(),
            key=lambda kept: (rank(kept.rule), kept.first is None, kept.first or 0, kept.rule.id),
        )
        if blocks:
            if self.tally.total >= MANY and not self.full and self.most:
                _draw_numbers(blocks, self.screen)
            else:
                _Drawing(self.screen, blocks, self.full).draw()
        self.screen.flush()


def _said(event: _EventCells) -> tuple[object, ...]:
    return (event.stream, event.host, event.user, event.values)


class _Drawing:
    """The blocks of a table, with what is common to all rows said once."""

    def __init__(self, screen: Screen, blocks: Sequence[_RuleRows], full: bool) -> None:
        self.screen = screen
        self.blocks = blocks
        self.full = full
        self.width = screen.width
        rows = [row for block in blocks for row in block.rows.values()]
        events = [event for row in rows for event in row.events]
        times = [row.time for row in rows] + [event.time for event in events]
        self.times = TimeForm([time for time in times if time is not None])
        self.sources = SourceForm({event.source for event in events if event.source})
        narrow = self.width < _NARROW
        self.host = _most((event.host for event in events), 15 if narrow else 24)
        self.user = _most((event.user for event in events), 22 if narrow else 30)
        self.time = self.times.single

    def draw(self) -> None:
        """Show all blocks."""
        said = " · ".join(text for text in (self.times.common, self.sources.common) if text)
        if said:
            self.screen.show(self.screen.paint(cut_middle(visible(said), self.width), "dim"))
        for block in self.blocks:
            self.screen.show()
            for line in heading(block.rule, block.matches, self.width):
                self.screen.show(painted(line, self.screen))
            outputs = len({row.output for row in block.rows.values()}) > 1
            ordered = sorted(block.rows.values(), key=lambda row: (row.time is None, row.time or 0))
            for row in ordered:
                for line in self._row(row, outputs):
                    self.screen.show(painted(line, self.screen).rstrip())
            if block.left_out:
                text = f"  … and {counted(block.left_out, 'more match', 'more matches')}"
                self.screen.show(f"{text} (--rows 0 shows all, --full whole)")

    def _row(self, row: _KeptMatch, outputs: bool) -> Iterable[Line]:
        named = (ReportedValue("output", row.output),) if outputs else ()
        several = len(row.events) + row.more_events > 1 or any(e.stream for e in row.events)
        if not several and row.events:
            event = row.events[0]
            values = (*named, *row.columns, *event.values)
            yield from self._entry(row, event, values, self._record(event))
            return
        hosts = list(dict.fromkeys(event.host for event in row.events if event.host))
        users = list(dict.fromkeys(event.user for event in row.events if event.user))
        number = len(row.events) + row.more_events
        first = _EventCells(
            "", row.time, _one_of(hosts, "hosts"), _one_of(users, "users"), (), "", None
        )
        record = counted(number, "event") if number else ""
        streams = _most((event.stream for event in row.events), 16)
        one_source = not streams and len({event.source for event in row.events}) == 1
        if one_source and row.events[0].source:
            record += f" of {self.sources.name(row.events[0].source)}"
        yield from self._entry(row, first, (*named, *row.columns), record)
        told_above = {(value.name, value.text) for value in row.columns}
        for event in row.events:
            own = [value for value in event.values if (value.name, value.text) not in told_above]
            line = [Piece("    ")]
            if streams:
                line.append(Piece(_padded(visible(event.stream), streams) + "  ", ("dim",)))
            if self.time:
                line.append(Piece(_padded(self.times.of(event.time), self.time) + "  "))
            if len(hosts) > 1:
                line.append(Piece(_padded(visible(event.host), self.host) + "  "))
            if len(users) > 1:
                line.append(Piece(_padded(visible(event.user), self.user) + "  "))
            used = line_width(line)
            place = visible(self._record(event))
            if one_source:
                # Events of a group: a line for each, with the number of the record alone.
                others = "".join(f" + {self.sources.record(*one)}" for one in event.also)
                at = visible(f":{event.record}{others}")
                told = self._flow(own, self.width - used - text_width(at) - 2, 1)
                yield [*line, *(told[0] if told else []), Piece("  "), Piece(at, ("dim",))]
                for rest in told[1:]:
                    yield [Piece(" " * used), *rest]
                continue
            record = cut_middle(place, max(12, self.width // 4))
            if self.width < _NARROW:
                yield [*line, Piece(cut_middle(place, max(12, self.width - used)), ("dim",))]
                values_lines = self._values(own, 8, self.width)
                yield from values_lines
                continue
            room = self.width - used - text_width(record) - 2
            told = self._flow(own, room, 2 if self.width >= _WIDE else 1)
            yield [*line, *(told[0] if told else []), Piece("  "), Piece(record, ("dim",))]
            for rest in told[1:]:
                yield [Piece(" " * used), *rest]
        if row.more_events:
            yield [Piece(f"    … and {counted(row.more_events, 'more event')} (--full)", ("dim",))]

    def _entry(
        self, row: _KeptMatch, event: _EventCells, values: Sequence[ReportedValue], record: str
    ) -> Iterable[Line]:
        line = [Piece("  ")]
        if self.time:
            line.append(Piece(_padded(self.times.of(row.time), self.time) + "  "))
        for text, width in ((event.host, self.host), (event.user, self.user)):
            if width:
                line.append(Piece(_padded(visible(text), width) + "  "))
        used = line_width(line)
        if row.matches > 1:
            last = self.times.of(row.last)
            until = f" until {last}" if last != self.times.of(row.time) else ""
            repeated = ReportedValue("", f"×{row.matches:,}{until}")
            values = (repeated, *values)
        if self.width >= _WIDE:
            record = cut_middle(visible(record), self.width // 4)
            told = self._flow(values, self.width - used - text_width(record) - 2, 2)
            yield [*line, *(told[0] if told else []), Piece("  "), Piece(record, ("dim",))]
            for rest in told[1:]:
                yield [Piece(" " * used), *rest]
            return
        room = self.width - used
        if room >= 10 or not record:
            yield [*line, Piece(cut_middle(visible(record), max(room, 0)), ("dim",))]
        else:
            yield line
            yield [Piece("    "), Piece(cut_middle(visible(record), self.width - 4), ("dim",))]
        yield from self._values(values, 4, self.width)

    def _values(self, values: Sequence[ReportedValue], indent: int, width: int) -> Iterable[Line]:
        most = 3 if width < _NARROW else 2
        for line in self._flow(values, width - indent, most):
            yield [Piece(" " * indent), *line]

    def _flow(self, values: Sequence[ReportedValue], width: int, most: int) -> list[Line]:
        return flow(values, max(width, 20), None if self.full else most)

    def _record(self, event: _EventCells) -> str:
        also = "".join(f" + {self.sources.record(*one)}" for one in event.also)
        return self.sources.record(event.source, event.record) + also


def others_of(event: ReportedEvent) -> tuple[tuple[str, int], ...]:
    """Where other sensors tell of an event."""
    found = [one.origin for one in event.event.also if one.origin is not None]
    return tuple((origin.source, origin.record) for origin in found)


def heading(rule: Rule, matches: int, width: int) -> list[Line]:
    """The two lines above the rows of a rule: level, title and number; ATT&CK and id."""
    level = rule.metadata.level or "no level"
    number = f"  {counted(matches, 'match', 'matches')}"
    room = width - text_width(level) - 2 - len(number)
    title = cut_middle(visible(rule.title), max(room, 10))
    indent = " " * (text_width(level) + 2)
    names = [" ".join(rule.attack)] if rule.attack else []
    ids = visible(" · ".join([*names, rule.id] if rule.id != rule.title else names))
    top = [
        Piece(level, LEVEL_STYLES.get(level, ("dim",))),
        Piece("  "),
        Piece(title, ("bold",)),
        Piece(number),
    ]
    if not ids:
        return [top]
    return [top, [Piece(indent + cut_middle(ids, width - len(indent)), ("dim",))]]


class TimeForm:
    """How times are written where a date, or a year, is common to all."""

    def __init__(self, times: Sequence[int], *, seconds: bool = False) -> None:
        texts = [format_time(time) for time in times]
        dates = {text[:10] for text in texts}
        years = {text[:4] for text in texts}
        if len(dates) == 1:
            self.common, self._from = f"{dates.pop()} UTC", 11
        elif len(years) == 1:
            self.common, self._from = f"{years.pop()} UTC", 5
        else:
            self.common, self._from = ("UTC" if texts else ""), 0
        fine = not seconds and any(time % 1_000_000 for time in times)
        self._digits = 12 if fine else 8
        self.single = (11 - self._from) + self._digits if texts else 0

    def of(self, time: int | None) -> str:
        """A time, without what is common; empty where there is none."""
        if time is None:
            return ""
        text = format_time(time).replace("T", " ")
        return text[self._from : 11 + self._digits].rstrip("Z")

    def span(self, first: int | None, last: int | None) -> str:
        """From one time to another, without a date twice."""
        start, end = self.of(first), self.of(last)
        if start == end:
            return start
        day, blank, clock = end.rpartition(" ")
        return f"{start} – {clock}" if blank and start.startswith(day) else f"{start} – {end}"


class SourceForm:
    """How records are named where an archive, or a folder, is common to all sources."""

    def __init__(self, sources: Iterable[str]) -> None:
        places = {_place(source) for source in sources}
        self._common = places.pop() if len(places) == 1 else ""
        shown = self._common.rstrip("!/\\")
        self.common = f"records of {shown}" if shown else ""

    def record(self, source: str, record: int | None) -> str:
        """``member:line``; empty where the source is not known."""
        return f"{self.name(source)}:{record}" if source else ""

    def name(self, source: str) -> str:
        """A source without what is common to all."""
        return source.removeprefix(self._common)


def _place(source: str) -> str:
    """The archive, or else the folder, that a source is in, with what ends it."""
    for ends in ("!", "/", "\\"):
        head, end, _ = source.rpartition(ends)
        if end:
            return head + end
    return ""


def _most(texts: Iterable[str], bound: int) -> int:
    return min(bound, max((text_width(visible(text)) for text in texts), default=0))


def _one_of(texts: Sequence[str], what: str) -> str:
    return f"{len(texts):,} {what}" if len(texts) > 1 else "".join(texts)


def _padded(text: str, width: int) -> str:
    text = cut_middle(text, width)
    return text + " " * (width - text_width(text))


def _draw_numbers(blocks: Sequence[_RuleRows], screen: Screen) -> None:
    """Many matches: the gravest rules in two lines each, with hosts and times; the others counted."""
    times = [time for block in blocks for time in (block.first, block.last) if time is not None]
    form = TimeForm(times, seconds=True)
    total = sum(block.matches for block in blocks)
    told = f"{counted(total, 'match', 'matches')} by rule and host"
    screen.show(screen.paint(f"{told}{' · ' + form.common if form.common else ''}", "dim"))
    screen.show()
    shown, others = _gravest(blocks)
    number = max(len(f"{block.matches:,}") for block in blocks)
    levels = [block.rule.metadata.level or "no level" for block in blocks]
    level_width = max(map(text_width, levels))
    for level, rest in others:
        matches = sum(block.matches for block in rest)
        head = [
            Piece(_padded(level or "no level", level_width) + "  ", _style_of(level)),
            Piece(f"{matches:>{number},}  ", ("bold",)),
            Piece(f"of {counted(len(rest), 'rule')} not shown here: "),
        ]
        names = [visible(block.rule.title) for block in _by_number(rest)]
        told = _fitting(names, "; ", "", screen.width - line_width(head))
        screen.show(painted([*head, Piece(told)], screen))
    if others:
        screen.show()
    for block in shown:
        own = block.rule.metadata.level
        line = [
            Piece(_padded(own or "no level", level_width) + "  ", _style_of(own)),
            Piece(f"{block.matches:>{number},}  ", ("bold",)),
        ]
        indent = line_width(line)
        title = cut_middle(visible(block.rule.title), max(screen.width - indent, 20))
        screen.show(painted([*line, Piece(title)], screen).rstrip())
        when = form.span(block.first, block.last)
        hosts = [
            f"{visible(host) or '(no host)'} {count:,}" for host, count in block.hosts.most_common()
        ]
        room = screen.width - indent - text_width(when) - 2
        told = f"{_fitting(hosts, ', ', 'host', max(room, 12), most=5)}  {when}".rstrip()
        screen.show(" " * indent + screen.paint(told, "dim"))
    screen.show()
    screen.show("every rule and match: --rows 0, --full, or -o FILE")


def _style_of(level: str) -> tuple[str, ...]:
    return LEVEL_STYLES.get(level, ("dim",))


def _fitting(texts: Sequence[str], between: str, what: str, width: int, most: int = 3) -> str:
    """The first texts, as many as fit a width, and how many more there are; the first one is cut
    where it does not."""
    for size in range(min(most, len(texts)), 0, -1):
        more = len(texts) - size
        end = f" and {counted(more, f'more {what}') if what else f'{more:,} more'}" if more else ""
        told = between.join(texts[:size]) + end
        if text_width(told) <= width or size == 1:
            break
    if text_width(told) <= width:
        return told
    return cut_middle(texts[0], max(1, width - text_width(end))) + end


def _gravest(
    blocks: Sequence[_RuleRows],
) -> tuple[list[_RuleRows], list[tuple[str, list[_RuleRows]]]]:
    """The rules that are shown one by one, and the others by level; both with the gravest last.

    Where a level has more rules than there is room, those with most matches are shown.
    """
    if len(blocks) <= _MOST_RULES:
        return list(blocks), []
    ranked = sorted(blocks, key=lambda block: (rank(block.rule), block.matches))
    kept = {id(block) for block in ranked[-_MOST_RULES:]}
    shown = [block for block in blocks if id(block) in kept]
    others: dict[str, list[_RuleRows]] = {}
    for block in ranked[:-_MOST_RULES]:
        others.setdefault(block.rule.metadata.level, []).append(block)
    return shown, list(others.items())


def _by_number(blocks: Iterable[_RuleRows]) -> list[_RuleRows]:
    return sorted(blocks, key=lambda block: -block.matches)
