"""What CAR's shipped rules find on recordings, and which is true: ``docs/car-evidence.md``.

The recordings are those beside the checkout, in ``../shared``: mordor, mordor-2019 and
evtx-attack-samples. Every match of a rule of the levels critical, high and medium was read by hand;
``car_verdicts.yml`` says of each whether it is true: whether the event is what the rule's
description says, done by the attack that was recorded or as an attacker would do it. Figures are
kept in ``car_evidence.json``, so that the page can be written where the recordings are not::

    python benchmarks/car_evidence.py            run the rules, write figures and page
    python benchmarks/car_evidence.py --mutants  run each rule's examples over its mutants
    python benchmarks/car_evidence.py --page     write the page from the figures

A match that has no verdict, and a verdict that no match has, are named and make it fail.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

import carengine
from carengine.engine import Match
from carengine.readers import read_events
from carengine.verify import mutant_results

TOP = Path(__file__).resolve().parents[1]
SHARED = TOP.parent / "shared"
FIGURES = Path(__file__).parent / "car_evidence.json"
MUTANTS = Path(__file__).parent / "car_mutants.json"
VERDICTS = Path(__file__).parent / "car_verdicts.yml"
PAGE = TOP / "docs" / "car-evidence.md"
READ = ("critical", "high", "medium")
"""The levels of which every match is read."""
LEVELS = (*READ, "low", "informational")
OUTCOMES = ("killed", "equivalent", "undecided", "lives")
LEAST = {"critical": 0.9, "high": 0.9, "medium": 0.75}
"""The share of a rule's matches that has to be true for the status `stable`."""
_SHOWN = ("command_line", "file_path", "key", "image_path", "src_image_path", "name", "user")
_MORE = ("value", "target_image_path", "tgt_image_path", "dest_ip", "dest_port")
_LONGEST = 160


def recordings(folder: Path) -> Iterator[tuple[str, Path]]:
    """The recordings with their names; the archive of event logs is taken apart."""
    for place in ("mordor", "mordor-2019"):
        for path in sorted((SHARED / place).glob("*")):
            if path.suffix in (".zip", ".gz"):
                yield f"{place}/{path.name}", path
    with tarfile.open(SHARED / "evtx-attack-samples" / "evtx-attack-samples-a.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    for path in sorted(folder.rglob("*.evtx")):
        yield f"evtx/{path.name}", path


def what(match: Match) -> str:
    """A match in a line: of each event the first field that tells it, and what it was done to."""
    if match.fields:
        plain = {name: value for name, value in match.fields.items() if "time" not in name}
        return _short(", ".join(f"{name} {value}" for name, value in plain.items() if value))
    told = []
    for event in match.as_json(raw=False)["events"]:
        fields = event["fields"]
        parts = [str(fields[name]) for name in _SHOWN if fields.get(name)][:1]
        parts += [f"{name} {fields[name]}" for name in _MORE if fields.get(name)][:2]
        told.append(" · ".join(parts) or f"{event['object']}/{event['action']}")
    return _short(" → ".join(dict.fromkeys(told)))


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def measure() -> dict[str, Any]:
    """Matches of each rule on each recording, with the number of its events, and what each match
    is where the rule's level is one that is read."""
    rules = carengine.load_rules(carengine.shipped_rules("car"))
    engine = carengine.Engine(rules)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for title, path in recordings(Path(name)):
            session = engine.session()
            matches: list[Match] = []
            with read_events(path) as reading:
                for record in reading:
                    matches += session.feed(record.event)
            matches += session.flush()
            read = Counter(
                (match.rule.id, what(match))
                for match in matches
                if match.rule.metadata.level in READ
            )
            rows.append(
                {
                    "recording": title,
                    "events": session.stats.events,
                    "matches": dict(sorted(Counter(match.rule.id for match in matches).items())),
                    "read": [[*key, n] for key, n in sorted(read.items())],
                }
            )
    return {"recordings": rows}


Key = tuple[str, str, str]
"""A recording, a rule, and what matched."""


def verdicts() -> Mapping[Key, bool]:
    """What was read by hand: whether a match is true."""
    table = yaml.safe_load(VERDICTS.read_text(encoding="utf-8"))
    return {
        (one["recording"], one["rule"], found): one["attack"]
        for one in table["verdicts"]
        for found in one["what"]
    }


def unread(figures: Mapping[str, Any]) -> tuple[set[Key], set[Key]]:
    """The matches that have no verdict, and the verdicts that no match has."""
    found = {
        (row["recording"], rule, text)
        for row in figures["recordings"]
        for rule, text, _ in row["read"]
    }
    told = set(verdicts())
    return found - told, told - found


def precision(figures: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """By level that is read: how many matches are true, and of how many."""
    known = verdicts()
    levels = {
        rule.id: rule.metadata.level
        for rule in carengine.load_rules(carengine.shipped_rules("car"))
    }
    made = {level: [0, 0] for level in READ}
    for row in figures["recordings"]:
        for rule, text, n in row["read"]:
            level = levels[rule]
            if level in made:
                made[level][0] += n * known.get((row["recording"], rule, text), False)
                made[level][1] += n
    return {level: (true, all_) for level, (true, all_) in made.items()}


def measure_mutants() -> dict[str, Any]:
    """What became of the mutants of each rule, and the processor's time for all of them."""
    began = time.process_time()
    rules = {
        rule.id: dict(sorted(Counter(one.outcome.value for one in mutant_results(rule)).items()))
        for rule in carengine.load_rules(carengine.shipped_rules("car"))
    }
    return {"seconds": round(time.process_time() - began), "rules": rules}


def statuses(figures: Mapping[str, Any]) -> dict[str, str]:
    """The best status that each rule can have by the evidence: `stable` where it matched and what
    was read of it is true as often as its level asks, `test` otherwise."""
    known = verdicts()
    total: Counter[str] = Counter()
    read: Counter[str] = Counter()
    true: Counter[str] = Counter()
    for row in figures["recordings"]:
        total.update(row["matches"])
        for rule, text, n in row["read"]:
            read[rule] += n
            true[rule] += n * known.get((row["recording"], rule, text), False)
    made = {}
    for rule in carengine.load_rules(carengine.shipped_rules("car")):
        least = LEAST.get(rule.metadata.level or "", 0)
        right = true[rule.id] >= least * read[rule.id] and total[rule.id]
        made[rule.id] = "stable" if right else "test"
    return made


def page(figures: Mapping[str, Any]) -> str:
    """The page."""
    rules = carengine.load_rules(carengine.shipped_rules("car"))
    known = verdicts()
    events = sum(row["events"] for row in figures["recordings"])
    total: Counter[str] = Counter()
    true: Counter[str] = Counter()
    fired: dict[str, list[str]] = {}
    for row in figures["recordings"]:
        total.update(row["matches"])
        for rule in row["matches"]:
            fired.setdefault(rule, []).append(row["recording"])
        for rule, text, n in row["read"]:
            true[rule] += n * known.get((row["recording"], rule, text), False)
    lines = [
        "# Evidence for CAR's rules",
        "",
        f"The shipped rules of CAR ran over {len(figures['recordings'])} recordings with {events:,}",
        "events, most of them of attacks. Each match of a rule of the levels critical, high and medium",
        "was read by hand: it is *true* where the event is what the rule's description says, done by the",
        "attack that was recorded or as an attacker would do it. The verdicts are in",
        "`benchmarks/car_verdicts.yml`. `make car-evidence` runs the rules and writes this page.",
        "",
        "Rules of the levels low and informational are material for hunting: they match what their",
        "description says, and their matches were not judged one by one. Recordings of attacks hold few",
        "events of ordinary work, and tell little of how often a rule matches in a large network.",
        "",
        "## Precision",
        "",
        "| level | matches | true | share |",
        "| --- | --- | --- | --- |",
    ]
    for level, (yes, all_) in precision(figures).items():
        share = f"{100 * yes / all_:.0f} %" if all_ else "–"
        lines.append(f"| {level} | {all_} | {yes} | {share} |")
    lines += [
        "",
        "## By rule",
        "",
        "| rule | level | matches | true | in 10,000 events | recordings |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for rule in sorted(rules, key=lambda rule: (-total[rule.id], rule.id)):
        if not (n := total[rule.id]):
            continue
        level = rule.metadata.level
        judged = str(true[rule.id]) if level in READ else ""
        noise = f"{10_000 * n / events:.2f}"
        title = f"{rule.id} {rule.title}".replace("|", "\\|")
        lines.append(f"| {title} | {level} | {n} | {judged} | {noise} | {len(fired[rule.id])} |")
    silent = [rule.id for rule in rules if not total[rule.id]]
    lines += ["", f"{len(silent)} rules match nothing in these recordings:", ""]
    lines += [", ".join(silent[at : at + 6]) for at in range(0, len(silent), 6)]
    lines += [
        "",
        "## Status",
        "",
        "A rule is `stable` where it matched in these recordings, and at least 90 % of what was read of",
        "it is true (75 % at medium). A rule that matched nothing is `test`: only its examples speak for",
        "it. `experimental` are rules whose published idea is weak, as their notes say. A test holds",
        "each rule to that.",
        "",
        "| status | rules |",
        "| --- | --- |",
    ]
    count = Counter(rule.metadata.status for rule in rules)
    lines += [f"| {status} | {n} |" for status, n in sorted(count.items())]
    lines += [*_mutants_section(), "", "## What was read", ""]
    lines += ["| recording | rule | matches | verdict |", "| --- | --- | --- | --- |"]
    for row in figures["recordings"]:
        by: dict[tuple[str, bool], int] = {}
        for rule, text, n in row["read"]:
            key = (rule, known.get((row["recording"], rule, text), False))
            by[key] = by.get(key, 0) + n
        for (rule, is_true), n in sorted(by.items()):
            said = "true" if is_true else "benign"
            lines.append(f"| {row['recording']} | {rule} | {n} | {said} |")
    return "\n".join(lines) + "\n"


def _mutants_section() -> list[str]:
    figures = json.loads(MUTANTS.read_text(encoding="utf-8"))
    rows = []
    total: Counter[str] = Counter()
    for rule, became in figures["rules"].items():
        total.update(became)
        needed = sum(became.values()) - became.get("equivalent", 0)
        share = f"{100 * became.get('killed', 0) / needed:.0f} %" if needed else "–"
        cells = (
            str(sum(became.values())),
            *(str(became.get(name, 0)) for name in OUTCOMES),
            share,
        )
        rows.append(f"| {rule} | {' | '.join(cells)} |")
    return [
        "",
        "## Mutants",
        "",
        "What `carengine test --mutants rules/car` says: each rule was changed a little, in all ways, and",
        "its examples have to notice. A mutant that means the same as the rule is equivalent, where that",
        f"is proved. All {total.total():,} took {figures['seconds']} seconds of one processor.",
        "",
        "| rule | mutants | killed | equivalent | undecided | live | killed of those that can be |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *rows,
    ]


def main() -> None:
    """Run, and write."""
    if "--mutants" in sys.argv[1:]:
        text = json.dumps(measure_mutants(), indent=1)
        MUTANTS.write_text(text + "\n", encoding="utf-8")
    elif "--page" not in sys.argv[1:]:
        text = json.dumps(measure(), indent=1, ensure_ascii=False)
        FIGURES.write_text(text + "\n", encoding="utf-8")
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    missing, idle = unread(figures)
    for key in sorted(missing):
        print("no verdict:", " | ".join(key))
    for key in sorted(idle):
        print("no match:", " | ".join(key))
    PAGE.write_text(page(figures), encoding="utf-8")
    sys.exit(bool(missing or idle))


if __name__ == "__main__":
    main()
