"""What matching costs, as a ratio to decoding alone: ``python benchmarks/matcher.py``.

For each lane and number of rules, lines are fed to a warm session, and in the same process, turn by turn, decoded
by ``orjson.loads`` and nothing else. The figure is the ratio of the two best turns, in processor time: machines
differ and are busy, ratios of one run hardly do. ::

    lane         rules  ratio  µs/line  floor  first pass  matches  decoded whole  memory
    normal        2407   1.92     5.61   2.92        0.9s      162          1.1 %   31 MB
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import orjson

import carengine
import data
from carengine.engine import Engine
from carengine.fieldmap import FieldMap, find_maps
from carengine.rule import Rule


def rules() -> tuple[list[Rule], tuple[FieldMap, ...]]:
    """SigmaHQ's rules with their map, or the shipped ones where the shared data is not there."""
    found = data.sigma_rules()
    if found is None:
        return list(carengine.load_rules(carengine.shipped_rules())), find_maps("sysmon")
    return found[0], (found[1],)


def some(chosen: list[Rule], wanted: int) -> list[Rule]:
    """So many of the rules, evenly from all."""
    return chosen[:: max(1, len(chosen) // wanted)][:wanted]


def timed(run: Callable[[], object]) -> float:
    """Processor seconds."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def resident() -> float:
    """The process's memory in megabytes."""
    text = Path("/proc/self/statm").read_text()
    return int(text.split()[1]) * 4096 / 1e6


def decode(lines: Iterable[bytes]) -> None:
    """The floor."""
    for line in lines:
        orjson.loads(line)


def measure(lane: str, lines: list[bytes], engine: Engine, number: int, turns: int) -> str:
    """One row of the table."""
    session = engine.session()

    def run() -> None:
        feed = session.feed_line
        for line in lines:
            feed(line)

    before = resident()
    first = timed(run)
    matches = session.account.matches.total()
    for _ in range(2):
        run()
    take = session.sieve.take
    whole = sum(not take(line) for line in lines) / len(lines)
    gc.collect()
    ours = floor = float("inf")
    for _ in range(turns):
        floor = min(floor, timed(lambda: decode(lines)))
        ours = min(ours, timed(run))
    micro = 1e6 / len(lines)
    return (
        f"{lane:12} {number:5} {ours / floor:6.2f} {ours * micro:8.2f} {floor * micro:6.2f} "
        f"{first:10.1f}s {matches:8} {whole:14.1%} {resident() - before:5.0f} MB"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=15_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rules", type=int, nargs="*", default=[1, 10, 100, 1000, 1_000_000])
    parser.add_argument("--lanes", nargs="*", default=["normal", "heavy", "adversarial"])
    options = parser.parse_args()
    everything, maps = rules()
    normal = data.lines(options.lines)
    lanes = {"normal": normal}
    if "heavy" in options.lanes:
        lanes["heavy"] = data.heavy(normal)
    if "adversarial" in options.lanes:
        lanes["adversarial"] = data.adversarial(normal)
    print("lane         rules  ratio  µs/line  floor  first pass  matches  decoded whole  memory")
    for lane in options.lanes:
        for wanted in options.rules:
            chosen = some(everything, min(wanted, len(everything)))
            engine = Engine(chosen, maps)
            print(measure(lane, lanes[lane], engine, len(chosen), options.turns), flush=True)


if __name__ == "__main__":
    main()
