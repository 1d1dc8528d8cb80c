"""What starting costs, and how large a process gets: ``python benchmarks/startup.py``.

Importing (over a bare interpreter), reading all rules, making an engine of them, the first events,
and the same from a saved engine. Each figure is from processes of their own, in processor time, the
best of several. Sizes are the largest that a process had: with rules from files, from a saved
engine, and on lines whose every value is unique, where anything that is remembered without a bound
would show.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

import carengine
import data
from measuring import python

_TURNS = 7
_HEAVY_TURNS = 3

_RULES = "import carengine\nrules = carengine.load_rules({rules!r})"
_FED = """
session = engine.session()
with open({lines!r}, 'rb') as file:
    for line in file:
        session.feed_line(line)
"""


@frozen
class Row:
    """One figure: what was done, its processor time in milliseconds, and the process's largest size
    in megabytes."""

    name: str
    milliseconds: float
    megabytes: float

    def __str__(self) -> str:
        return f"{self.name:50} {self.milliseconds:10.1f} ms {self.megabytes:8.0f} MB"


def best(code: str, turns: int) -> tuple[float, float]:
    """The best processor milliseconds and the smallest size of processes that run this."""
    found = [python(code) for _ in range(turns)]
    return min(f["processor"] for f in found) * 1e3, min(f["peak"] for f in found)


def rows(lines: int, turns: int = _TURNS, heavy_turns: int = _HEAVY_TURNS) -> Iterator[Row]:
    """Measure, with about so many lines for the sizes."""
    bare, size = best("", turns)
    yield Row("python alone", bare, size)
    for name in ("carengine", "carengine.engine", "carengine.readers"):
        spent, size = best(f"import {name}", turns)
        yield Row(f"import {name} (more than python alone)", spent - bare, size)
    archive = data.sigma_archive()
    rules = str(archive or carengine.shipped_rules())
    number = len(carengine.load_rules(rules))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        saved = str(place / "engine")
        normal = data.lines(lines)
        fed = {"normal": normal[: lines or 1], "unique": data.adversarial(normal)}
        for name, content in fed.items():
            (place / name).write_bytes(b"".join(line + b"\n" for line in content))
        (place / "first").write_bytes(normal[0] + b"\n")
        read = _RULES.format(rules=rules)
        made = f"{read}\nengine = carengine.Engine(rules)"
        first = _FED.format(lines=str(place / "first"))
        python(f"{made}\nengine.save({saved!r})")
        load = f"import carengine\nengine = carengine.Engine.load({saved!r})"
        normal_lines = _FED.format(lines=str(place / "normal"))
        unique_lines = _FED.format(lines=str(place / "unique"))
        steps: list[tuple[str, str]] = [
            (f"{number:,} rules from YAML", read),
            ("… and the engine", made),
            ("… and a first event", made + first),
            ("a saved engine", load),
            ("… and a first event", load + first),
            (f"rules from YAML, then {len(fed['normal']):,} lines", made + normal_lines),
            (f"a saved engine, then {len(fed['normal']):,} lines", load + normal_lines),
            (f"a saved engine, then {len(fed['unique']):,} unique lines", load + unique_lines),
        ]
        for name, code in steps:
            spent, size = best(code, heavy_turns)
            yield Row(name, spent, size)


def show(say: Callable[[str], None], lines: int, turns: int, heavy_turns: int) -> list[Row]:
    """Measure, and say each row."""
    made = []
    for row in rows(lines, turns, heavy_turns):
        say(str(row))
        made.append(row)
    return made


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=20_000)
    options = parser.parse_args()
    show(print, options.lines, _TURNS, _HEAVY_TURNS)


if __name__ == "__main__":
    main()
