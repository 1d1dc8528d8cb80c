"""All benchmarks, and the page about them: ``python benchmarks/run.py``.

Each part's figures go to ``.benchmarks/results/PART.json`` when it is done, and docs/benchmarks.md
is written anew from all figures that are there. So a run that was broken off goes on with
``--missing``, and one part can be measured again with ``--only``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

import data
import hunts_page
import page
from measuring import CACHE, ROOT, machine

Say = Callable[[str], None]
RESULTS = CACHE / "results"
PAGE = ROOT / "docs" / "benchmarks.md"


@frozen
class Sizes:
    """How much is measured: lines, turns and seconds of the parts."""

    lines: int = 10_000
    turns: int = 4
    events: int = 100_000
    searched: int = 30_000
    seconds: float = 5.0
    rules: tuple[int, ...] = (1, 10, 100, 1000, page.ALL)
    contest_rules: tuple[int, ...] = (1, 10, 100, page.ALL)
    startup_turns: int = 5
    startup_heavy: int = 3
    cores_lines: int = 1_600_000
    cores_turns: int = 3
    records: int = 20_000
    rounds: int = 5
    hunt_events: int = 1_000_000
    hunt_records: int = 200_000
    hunt_turns: int = 2
    growing: int = 20_000
    numbers: tuple[int, ...] = (1, 10, 100, 1_000, 2_407, 9_600)


QUICK = Sizes(
    lines=2_000,
    turns=2,
    events=4_000,
    searched=4_000,
    seconds=1.5,
    rules=(1, 100, page.ALL),
    contest_rules=(1, page.ALL),
    startup_turns=2,
    startup_heavy=1,
    cores_lines=120_000,
    cores_turns=1,
    records=4_000,
    rounds=2,
    hunt_events=20_000,
    hunt_records=5_000,
    hunt_turns=1,
    growing=2_000,
    numbers=(1, 100, 2_407),
)
TINY = Sizes(
    lines=60,
    turns=1,
    events=60,
    searched=120,
    seconds=0.2,
    rules=(page.ALL,),
    contest_rules=(page.ALL,),
    startup_turns=1,
    startup_heavy=1,
    cores_lines=60,
    cores_turns=1,
    records=20,
    rounds=1,
    hunt_events=60,
    hunt_records=0,
    hunt_turns=1,
    growing=60,
    numbers=(1, 3),
)


@frozen
class Order:
    """What is asked for: sizes, whether peers take part, and a folder for what is needed on the
    way."""

    sizes: Sizes
    peers: bool
    work: Path


def matching(order: Order, say: Say) -> dict[str, Any]:
    """carengine's time over decoding alone."""
    import matcher

    rows = []
    say(matcher.HEAD)
    for row in matcher.rows(order.sizes.lines, order.sizes.turns, order.sizes.rules):
        say(str(row))
        rows.append(asdict(row))
    return {"rows": rows}


def startup(order: Order, say: Say) -> dict[str, Any]:
    """What starting costs, and memory."""
    import startup

    sizes = order.sizes
    found = startup.show(say, sizes.lines, sizes.startup_turns, sizes.startup_heavy)
    return {"rows": [asdict(row) for row in found]}


def cores(order: Order, say: Say) -> dict[str, Any]:
    """``hunt --jobs``."""
    import cores

    found = cores.show(say, order.sizes.cores_lines, order.sizes.cores_turns)
    return {"rows": [{**asdict(row), "rate": row.rate} for row in found]}


def reading(order: Order, say: Say) -> dict[str, Any]:
    """Reading, against the libraries that decode."""
    import reading

    rows = []
    for row in reading.rows(order.sizes.records, order.sizes.rounds):
        say(str(row))
        rows.append(asdict(row))
    return {"rows": rows}


def contest(order: Order, say: Say) -> dict[str, Any]:
    """The peers: speed, matches, and why these differ."""
    import causes
    import contest
    from environments import NOT_HERE, PEERS

    sizes = order.sizes
    folder = order.work / "field"
    given = contest.prepare(folder, sizes.events, sizes.searched)
    say(f"{given.compared} + {given.events - given.compared} events, {len(given.rules)} rules")
    chosen = PEERS if order.peers else ()
    outcomes = list(contest.contest(given, sizes.contest_rules, sizes.seconds, chosen, say))
    compared = []
    for made in causes.comparisons(outcomes, folder / "sigma", given.lines, given.compared):
        say(
            f"{made.name}: {made.both} pairs of both, {made.ours} of ours alone, {made.theirs} of "
            f"its own alone, {made.unexplained} unexplained"
        )
        compared.append({**asdict(made), "unexplained": made.unexplained})
    python = {peer.name: peer.python for peer in PEERS}
    told = [
        {
            **{key: value for key, value in asdict(o, recurse=False).items() if key != "pairs"},
            "rate": o.rate,
            "python": python.get(o.name, True),
            "refused": causes.reasons(o.refused.values()),
            "failed": causes.reasons(o.failed.values()),
            "raised": causes.reasons(o.raised.values()),
        }
        for o in outcomes
    ]
    without = {} if order.peers else {peer.name: "left out of this run" for peer in PEERS}
    return {
        "field": {
            "compared": given.compared,
            "events": given.events - given.compared,
            "rules": len(given.rules),
            "sigma_refused": len(given.sigma_refused),
        },
        "outcomes": told,
        "comparisons": compared,
        "notes": {peer.name: peer.note for peer in PEERS},
        "not_here": without | NOT_HERE,
    }


def whole_hunts(order: Order, say: Say) -> dict[str, Any]:
    """Hunts from start to end, over events that each come once."""
    import hunts

    sizes = order.sizes
    return hunts.measured(
        *(sizes.hunt_events, sizes.hunt_records, sizes.hunt_turns, sizes.growing, say),
        numbers=sizes.numbers,
    )


PARTS: dict[str, Callable[[Order, Say], dict[str, Any]]] = {
    "hunts": whole_hunts,
    "matching": matching,
    "peers": contest,
    "startup": startup,
    "cores": cores,
    "reading": reading,
}


def measure(name: str, order: Order, say: Say) -> dict[str, Any]:
    """Run one part, and say when, where and on what."""
    begun = time.monotonic()
    say(f"== {name}")
    found = PARTS[name](order, say)
    return {
        "machine": machine(),
        "when": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
        "data": "real" if data.shared() else "generated",
        "options": asdict(order.sizes),
        "seconds": time.monotonic() - begun,
        **found,
    }


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def results(folder: Path) -> dict[str, Any]:
    """The figures that are there, by part."""
    return {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in PARTS
        if (folder / f"{name}.json").is_file()
    }


def main() -> None:
    """Measure what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--missing", action="store_true", help="only parts without figures")
    parser.add_argument("--page-only", action="store_true", help="measure nothing")
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--tiny", action="store_true", help="the smallest, to see that it runs")
    parser.add_argument("--generated", action="store_true", help="made-up events, shipped rules")
    parser.add_argument("--no-peers", action="store_true", help="carengine alone")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the figures go")
    parser.add_argument("--work", type=Path, default=CACHE, help="where prepared data goes")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page goes")
    options = parser.parse_args()
    if options.generated:
        os.environ["CARENGINE_SHARED"] = "none"
    say = partial(print, flush=True)
    sizes = TINY if options.tiny else QUICK if options.quick else Sizes()
    order = Order(sizes, not options.no_peers, options.work)
    options.results.mkdir(parents=True, exist_ok=True)
    done = results(options.results)
    for name in options.only:
        if options.page_only or (options.missing and name in done):
            continue
        made = measure(name, order, say)
        (options.results / f"{name}.json").write_text(json.dumps(made), encoding="utf-8")
        options.page.write_text(page.page(results(options.results)), encoding="utf-8")
    found = results(options.results)
    options.page.write_text(page.page(found), encoding="utf-8")
    if found.get("hunts", {}).get("growth"):
        picture = options.page.parent / hunts_page.PICTURE
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_text(hunts_page.picture(found["hunts"]), encoding="utf-8")
    say(f"written: {options.page}")


if __name__ == "__main__":
    main()
