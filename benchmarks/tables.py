"""What hunting in a table of Arrow costs, beside the same events as lines of JSON.

    python benchmarks/tables.py [EVENTS] [--write]

The events are those of `data` (real ones where the shared data is), with twelve of their fields, as
a table of pyarrow and as lines of JSON of these fields. The rules are all of SigmaHQ's Windows
rules. Table and lines are hunted in turn, in processor time, each with an engine of its own: cold in
processes of their own, then warm; the best of each counts. Lines go by `Session.feed_lines`, without
the native core. ``--write`` puts the result into
docs/benchmarks/tables.md.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ["CARENGINE_NATIVE"] = "0"

import orjson
import pyarrow as pa

import carengine
import data
from measuring import apart, timed

ASKED = 0.7
COLD = 2
WARM = 6
CHUNK = 10_000

# Those that rules ask about most, of processes, files, the registry and modules.
NAMED = (
    *("EventID", "Channel", "Hostname", "Image", "CommandLine", "ParentImage", "User"),
    *("TargetFilename", "TargetObject", "Details", "SourceImage", "TargetImage"),
)
OUT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "tables.md"


def columns(events: list[dict[str, Any]], names: tuple[str, ...]) -> Any:
    """A table of some fields; those that are not all of one type are texts."""
    made = {}
    for name in names:
        values = [event.get(name) for event in events]
        try:
            made[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            made[name] = pa.array([None if v is None else str(v) for v in values])
    return pa.table(made)


def most_frequent(events: list[dict[str, Any]], number: int) -> tuple[str, ...]:
    """The fields that most events have, and that are no lists or mappings."""
    counts = Counter(
        name for event in events for name, v in event.items() if not isinstance(v, list | dict)
    )
    return tuple(name for name, _ in counts.most_common(number))


def as_lines(table: Any) -> list[bytes]:
    """The rows of a table as lines of JSON, without what is null."""
    return [
        orjson.dumps({name: value for name, value in row.items() if value is not None})
        for row in table.to_pylist()
    ]


def measure(rules: Any, maps: str | None, table: Any) -> dict[str, Any]:
    """The best processor seconds of table and lines, cold and warm, and the matches of both.

    Each cold run is in a copy of this process in which nothing has been compiled.
    """
    lines = as_lines(table)

    def engine() -> carengine.Engine:
        return carengine.Engine(rules, maps) if maps else carengine.Engine(rules)

    def of_table(known: carengine.Engine) -> int:
        return len(known.hunt_table(table))

    def of_lines(known: carengine.Engine) -> int:
        session = known.session()
        number = 0
        for begin in range(0, len(lines), CHUNK):
            for _, matches in session.feed_lines(lines[begin : begin + CHUNK]):
                number += len(matches)
        return number + len(session.flush())

    sides: dict[str, Callable[[carengine.Engine], int]] = {"table": of_table, "lines": of_lines}
    cold: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(COLD):
        for side, run in sides.items():
            cold[side].append(apart(partial(timed, partial(run, engine()))))
    warm: dict[str, list[float]] = {side: [] for side in sides}
    engines = {side: engine() for side in sides}
    found = {side: run(engines[side]) for side, run in sides.items()}
    assert found["table"] == found["lines"], found
    for _ in range(WARM):
        for side, run in sides.items():
            warm[side].append(timed(partial(run, engines[side])))
    each = 1e6 / table.num_rows
    return {
        "matches": found["table"],
        "bytes": sum(map(len, lines)) / len(lines),
        **{f"cold {side}": min(cold[side]) * each for side in sides},
        **{f"warm {side}": min(warm[side]) * each for side in sides},
    }


def page(rows: list[str], events: int, rules: int) -> str:
    """The page of figures."""
    real = "of `../shared/mordor`" if data.shared() else "made up"
    return f"""\
# Tables of Arrow

`python benchmarks/tables.py {events} --write`, Python {platform.python_version()}, pyarrow \
{pa.__version__}, one core, processor time.

{events:,} events {real} as a table of pyarrow with twelve columns, and the same twelve fields as lines
of JSON; {rules:,} rules (all of SigmaHQ's Windows rules). `Engine.hunt_table` and
`Session.feed_lines` without the native core, in turn: the best of {COLD} processes each (cold), and of
{WARM} turns in one process (warm). Both find the same number of matches. Asked is at most {ASKED} × the
time of the lines.

| columns | field maps | bytes a line | lines, warm | table, warm | ratio | lines, cold | table, cold | ratio |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}

Times are µs for each event. Cold times hold what is made once for an engine: conditions compiled for
each kind of event that is met.

A cell's text is made into a Python object once for each distinct value of a batch of up to 65,536
rows, and asked about once for each kind of event that has it. Where nearly all values are distinct
(as `EventTime` and `RecordNumber` among the most frequent fields) that saves nothing for columns that
rules ask about, and costs nothing for others: a column that no rule asks about is not looked at.
"""


def main() -> int:
    """Measure, print, and write the page where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", nargs="?", type=int, default=60_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rules, narrow = data.rules()
    events = [orjson.loads(line) for line in data.lines(options.events)]
    rows = []
    for kind, names in (
        ("that rules ask for", NAMED),
        ("most frequent", most_frequent(events, 12)),
    ):
        table = columns(events, names)
        for maps in (narrow, None):
            one = measure(rules, maps, table)
            ratios = {at: one[f"{at} table"] / one[f"{at} lines"] for at in ("warm", "cold")}
            cells = [
                *(kind, maps or "auto", f"{one['bytes']:.0f}"),
                *(f"{one['warm lines']:.2f}", f"{one['warm table']:.2f}"),
                f"**{ratios['warm']:.2f}**" + ("" if ratios["warm"] <= ASKED else ", missed"),
                *(f"{one['cold lines']:.1f}", f"{one['cold table']:.1f}", f"{ratios['cold']:.2f}"),
            ]
            rows.append(f"| {' | '.join(cells)} |")
            print(rows[-1], one, flush=True)
    if options.write:
        OUT.write_text(page(rows, len(events), len(rules)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
