"""What docs/benchmarks.md leads with: whole hunts, what was asked of them and what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from attrs import frozen

Part = Mapping[str, Any]

PICTURE = "benchmarks/growth.svg"


@frozen
class Asked:
    """A row of the table: a lane, and bounds for it. ``clock`` compares two processes with one."""

    text: str
    lane: str
    before: str
    python: float
    core: float
    clock: bool = False


ASKED = (
    Asked("one analytic (a seed page)", "page", "2.3", 1.4, 0.6),
    Asked("the 99 shipped rules", "shipped", "6.5", 3, 0.9),
    Asked("SigmaHQ Windows, rules cached", "sigma", "10", 4.5, 1.2),
    Asked("the same, values that never repeat", "unseen", "9 to 10", 5, 1.5),
    Asked("match-heavy, matches as JSON lines", "heavy", "9 to 14", 6, 3),
    Asked("two processes or threads over one, by the clock", "sigma", "1.31", 1.7, 1.8, True),
    Asked("one EVTX, one analytic", "evtx-page", "3.6", 1.8, 0.7),
    Asked("one EVTX, the shipped rules", "evtx-shipped", "9.3", 3.5, 1),
    Asked("one EVTX, SigmaHQ Windows", "evtx-sigma", "15.5", 5, 1.3),
    Asked("one EVTX, two processes over one, by the clock", "evtx-sigma", "1.0", 1.7, 1.8, True),
)
_STARTS = {
    "one rule": 0.4,
    "one rule, cached": 0.4,
    "SigmaHQ's rules, cached": 0.8,
    "SigmaHQ's rules, cold": 3.5,
}


def leading(hunts: Part | None) -> list[str]:
    """The part of the page about whole hunts."""
    if not hunts:
        return []
    return [
        "## Whole hunts",
        "",
        "Each run is a process from its start to its end: Python, rules, distinct events each seen once, the account. A "
        "figure is its processor time over that of a process that decodes the same events and does nothing else, measured in "
        "turns with it (`orjson.loads` of each line; for EVTX, `records_json` and `orjson.loads`). Python alone is without "
        "the [native core](native.md).",
        "",
        *_asked(hunts),
        "",
        *_where(hunts),
        "",
        *_rows(hunts),
        "",
        *_started(hunts),
        "",
        *_grown(hunts),
        "",
        *[f"* {note}" for note in hunts.get("notes", ())],
    ]


def _asked(hunts: Part) -> list[str]:
    lines = [
        "| | before | Python alone: asked | measured | with the core: asked | measured |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in ASKED:
        sign = "≥" if row.clock else "≤"
        cells = [row.text, row.before]
        for core, bound in ((False, row.python), (True, row.core)):
            cells += [f"{sign} {bound:g}", _measured(hunts, row, core, bound)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _measured(hunts: Part, row: Asked, core: bool, bound: float) -> str:
    one = _row(hunts, row.lane, core, 1)
    if row.clock:
        two = _row(hunts, row.lane, core, 2)
        if one is None or two is None:
            return "not measured"
        value = one["clock"] / two["clock"]
        good = value >= bound
    elif one is None:
        return "not measured"
    else:
        value, good = one["ratio"], one["ratio"] <= bound
    return f"{value:.2f}" if good else f"**{value:.2f}, missed**"


def _row(hunts: Part, lane: str, core: bool, jobs: int) -> Part | None:
    for row in hunts["rows"]:
        if (row["lane"], row["core"], row["jobs"]) == (lane, core, jobs):
            found: Part = row
            return found
    return None


def _where(hunts: Part) -> list[str]:
    loads = [row["load"] for row in hunts["rows"]]
    busy = f" The load of the machine was up to {max(loads):.0f} meanwhile." if loads else ""
    return [
        f"Measured on {hunts['when']}, commit {hunts['commit']}, {hunts['data']} data, {hunts['machine']['processor']}, "
        f"{hunts['machine']['cores']} cores, Python {hunts['machine']['Python']}.{busy} Processor time is told, which a busy "
        "machine changes by some per cent (caches and turns are shared), and ratios are of one run."
    ]


def _rows(hunts: Part) -> list[str]:
    lines = [
        "| lane | | events | processor | over decoding | µs an event | events/s | largest size |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in hunts["rows"]:
        how = "core" if row["core"] else "Python"
        if row["jobs"] > 1:
            how += f", {row['jobs']} processes"
        lines.append(
            f"| {row['lane']} | {how} | {row['events']:,} | {row['processor']:.2f} s | {row['ratio']:.2f} | "
            f"{row['processor'] / row['events'] * 1e6:.1f} | {row['events'] / row['processor']:,.0f} | "
            f"{row['megabytes']:.0f} MB |"
        )
    return lines


def _started(hunts: Part) -> list[str]:
    if not hunts["starts"]:
        return []
    lines = [
        "One event, from the start of the process to its end:",
        "",
        "| | processor | more than Python alone | asked |",
        "| --- | ---: | ---: | ---: |",
    ]
    for one in hunts["starts"]:
        bound = _STARTS.get(one["name"])
        told = ""
        if bound is not None:
            met = "" if one["beyond"] <= bound else ", **missed**"
            told = f"≤ {bound:g} s{met}"
        lines.append(
            f"| {one['name']} | {one['processor']:.2f} s | {one['beyond']:.2f} s | {told} |"
        )
    return lines


def _grown(hunts: Part) -> list[str]:
    if not hunts["growth"]:
        return []
    lines = [
        "### Growth",
        "",
        f"![Processor time of a hunt over the number of rules, and over the size of events]({PICTURE})",
        "",
        "Whole hunts over the same events, rules cached. More rules than SigmaHQ has are copies under other ids whose texts "
        "look for something else; larger events have more in fields that no rule asks for.",
        "",
        "| | | processor | over decoding | largest size |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for one in hunts["growth"]:
        lines.append(
            f"| {one['what']} | {one['number']:,} | {one['processor']:.2f} s | {one['processor'] / one['floor']:.1f} | "
            f"{one['megabytes']:.0f} MB |"
        )
    return lines


# The picture

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 360, 240, 48, 36


def picture(hunts: Part) -> str:
    """How a hunt grows, as SVG: one chart for rules, one for the size of events."""
    kinds = list(dict.fromkeys(one["what"] for one in hunts["growth"]))
    charts = []
    for place, kind in enumerate(kinds):
        points = [
            (float(one["number"]), float(one["processor"]), f"{one['number']:,}")
            for one in hunts["growth"]
            if one["what"] == kind
        ]
        charts.append(_chart(place * (_WIDTH + 20), kind, points))
    width = len(kinds) * (_WIDTH + 20)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="11">\n<rect width="{width}" height="{_HEIGHT}" fill="white"/>\n'
        + "\n".join(charts)
        + "\n</svg>\n"
    )


def _chart(left: int, kind: str, points: Sequence[tuple[float, float, str]]) -> str:
    wide, high = _WIDTH - _LEFT - 24, _HEIGHT - _BOTTOM - 30
    most = max(seconds for _, seconds, _ in points)
    placed = _evenly(points, wide)
    marks = []
    for x, (_, seconds, text) in zip(placed, points, strict=True):
        at_x, at_y = left + _LEFT + x, 24 + high - seconds / most * high
        marks.append(
            f'<circle cx="{at_x:.0f}" cy="{at_y:.0f}" r="3" fill="#1f6feb"/>'
            f'<text x="{at_x:.0f}" y="{at_y - 7:.0f}" text-anchor="middle">{seconds:.1f} s</text>'
            f'<text x="{at_x:.0f}" y="{_HEIGHT - 20}" text-anchor="middle">{escape(text)}</text>'
        )
    line = " ".join(
        f"{left + _LEFT + x:.0f},{24 + high - seconds / most * high:.0f}"
        for x, (_, seconds, _) in zip(placed, points, strict=True)
    )
    foot = 24 + high
    return (
        f'<path d="M{left + _LEFT},18 V{foot} H{left + _WIDTH - 10}" fill="none" stroke="#888"/>\n'
        f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="2"/>\n'
        + "\n".join(marks)
        + f'\n<text x="{left + _LEFT + wide / 2:.0f}" y="{_HEIGHT - 5}" text-anchor="middle" font-weight="bold">'
        f"{escape(kind)}</text>"
    )


def _evenly(points: Sequence[tuple[float, float, str]], wide: float) -> Iterable[float]:
    """Where points stand from left to right: one step each, since the numbers grow by factors."""
    step = wide / max(1, len(points) - 1)
    return [place * step for place in range(len(points))]
