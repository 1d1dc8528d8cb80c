"""What matching costs, as a ratio to decoding alone: ``python benchmarks/matcher.py``.

For each lane and number of rules, lines are fed to a warm session, some hundreds at a time, and in
the same process, turn by turn, decoded by ``orjson.loads`` and nothing else. The figure is the
ratio of the two best turns, in processor time: machines differ and are busy, ratios of one run
hardly do. ``auto`` is the choice of field maps that a user gets without asking, ``narrow`` the one
shape that the lines have. ::

    lane         maps    rules  ratio  µs/line  floor  first pass  matches  decoded whole
    normal       auto     2407   1.92     5.61   2.92        0.9s      162           1.1%
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Iterator, Sequence

from attrs import frozen

import data
from carengine.engine import Engine
from carengine.rule import Rule
from measuring import apart, decode, timed

RULES = (1, 10, 100, 1000, 1_000_000)
LANES = ("normal", "heavy", "adversarial", "unseen")
MAPS = ("auto", "narrow")
# So many lines are there at once when a file is read.
BATCH = 256
# So many turns go before what is measured.
_WARM = 3

HEAD = "lane         maps    rules  ratio  µs/line  floor  first pass  matches  decoded whole"


@frozen
class Row:
    """One measurement. ``micro`` and ``floor`` are µs of a line, ``first`` the seconds of the first
    pass.

    ``whole`` is the share of lines that were decoded whole.
    """

    lane: str
    maps: str
    rules: int
    ratio: float
    micro: float
    floor: float
    first: float
    matches: int
    whole: float

    def __str__(self) -> str:
        return (
            f"{self.lane:12} {self.maps:7} {self.rules:5} {self.ratio:6.2f} {self.micro:8.2f}"
            f" {self.floor:6.2f} {self.first:10.1f}s {self.matches:8} {self.whole:14.1%}"
        )


def some(chosen: Sequence[Rule], wanted: int) -> list[Rule]:
    """So many of the rules, evenly from all: one is from the middle."""
    wanted = min(wanted, len(chosen))
    return [chosen[(2 * place + 1) * len(chosen) // (2 * wanted)] for place in range(wanted)]


def measure(
    lane: str, maps: str, made: Callable[[int], list[bytes]], engine: Engine, turns: int
) -> Row:
    """One row of the table; ``made`` gives the lines of each turn."""
    session = engine.session()

    def run(lines: list[bytes]) -> None:
        for start in range(0, len(lines), BATCH):
            for _ in session.feed_lines(lines[start : start + BATCH]):
                pass

    lines = made(0)
    first = timed(lambda: run(lines))
    matches = session.stats.matches.total()
    for turn in range(1, _WARM):
        run(made(turn))
    whole = sum(1 for _ in session.prefilter.candidates(made(_WARM))) / len(lines)
    gc.collect()
    floor = ours = float("inf")
    for turn in range(turns):
        fed = made(_WARM + 1 + turn)
        floor = min(floor, timed(lambda fed=fed: decode(fed)))
        ours = min(ours, timed(lambda fed=fed: run(fed)))
    micro = 1e6 / len(lines)
    number = len(engine.rules)
    return Row(lane, maps, number, ours / floor, ours * micro, floor * micro, first, matches, whole)


def rows(
    lines: int,
    turns: int,
    numbers: Sequence[int] = RULES,
    lanes: Sequence[str] = LANES,
    maps: Sequence[str] = MAPS,
) -> Iterator[Row]:
    """Measure: about so many lines, so many turns, each number of rules, lane and choice of maps.

    Each row has a process of its own, as a user's engine has: one that ran before would leave its
    traces in memory.
    """
    everything, narrow = data.rules()
    normal = data.lines(lines)
    choices = {"auto": "auto", "narrow": narrow}
    for lane in lanes:
        made = _lane(lane, normal)
        for choice in maps:
            for wanted in dict.fromkeys(min(number, len(everything)) for number in numbers):

                def row(choice: str = choice, wanted: int = wanted) -> Row:
                    engine = Engine(some(tuple(everything), wanted), choices[choice])
                    return measure(lane, choice, made, engine, turns)  # noqa: B023 - called at once

                yield apart(row)


def _lane(lane: str, normal: list[bytes]) -> Callable[[int], list[bytes]]:
    """What gives the lines of each turn."""
    match lane:
        case "unseen":
            return lambda turn: data.adversarial(normal, turn)
        case "heavy":
            lines = data.heavy(normal)
        case "adversarial":
            lines = data.adversarial(normal)
        case _:
            lines = normal
    return lambda turn: lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=15_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rules", type=int, nargs="*", default=RULES)
    parser.add_argument("--lanes", nargs="*", default=LANES)
    parser.add_argument("--maps", nargs="*", default=MAPS, help="auto, narrow")
    options = parser.parse_args()
    print(HEAD)
    for row in rows(options.lines, options.turns, options.rules, options.lanes, options.maps):
        print(row, flush=True)


if __name__ == "__main__":
    main()
