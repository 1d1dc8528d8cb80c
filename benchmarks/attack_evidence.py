"""Which rules of ``rules/attack`` fire on recordings of their technique, which on others, and what
became of every analytic: ``docs/attack-rules.md``.

The recordings are those beside the checkout, in ``../shared``: mordor, mordor-2019, mordor-cloud,
evtx-attack-samples, and SigmaHQ's regression data. What a recording shows, ``attack_recordings.yml``
says by its name, or the tags of the Sigma rule that it belongs to. Figures are kept in
``attack_evidence.json``, so that the page can be written where the recordings are not::

    python benchmarks/attack_evidence.py          run the rules, write figures and page
    python benchmarks/attack_evidence.py --page   write the page from the figures
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import tarfile
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import carengine
from carengine.attack import Analytic, enterprise_attack, events_of
from carengine.readers import read_events

TOP = Path(__file__).resolve().parents[1]
SHARED = TOP.parent / "shared"
FIGURES = Path(__file__).parent / "attack_evidence.json"
PAGE = TOP / "docs" / "attack-rules.md"
_FILE = yaml.safe_load(
    (Path(__file__).parent / "attack_recordings.yml").read_text(encoding="utf-8")
)
TABLE, NEWER = _FILE["recordings"], _FILE["newer"]
_TAG = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)


def shown_by(name: str) -> list[str]:
    """The techniques that a recording shows, by its name."""
    folded = name.lower()
    return sorted({id_ for word, ids in TABLE.items() if word in folded for id_ in ids})


def recordings(folder: Path) -> Iterator[tuple[str, list[str], Path]]:
    """The recordings with their names and techniques; archives of many are taken apart."""
    for place in ("mordor", "mordor-2019", "mordor-cloud"):
        for path in sorted((SHARED / place).glob("*")):
            if path.suffix in (".zip", ".gz"):
                yield f"{place}/{path.name}", shown_by(path.name), path
    evtx = SHARED / "evtx-attack-samples" / "evtx-attack-samples-a.tar.xz"
    with tarfile.open(evtx) as archive:
        archive.extractall(folder / "evtx", filter="data")
    for path in sorted((folder / "evtx").rglob("*.evtx")):
        name = str(path.relative_to(folder / "evtx"))
        yield f"evtx/{name}", shown_by(path.name), path
    with tarfile.open(SHARED / "sigma" / "regression-data-a.tar.gz") as archive:
        archive.extractall(folder / "regression", filter="data")
    tags: dict[str, list[str]] = {}
    for rule in (folder / "regression").rglob("*.yml"):
        text = rule.read_text(encoding="utf-8")
        tags[rule.stem] = [tag.upper() for tag in _TAG.findall(text)]
    with tarfile.open(SHARED / "sigma" / "sigmahq-rules-all.tar.gz") as archive:
        for member in archive:
            stem = Path(member.name).stem
            if member.isfile() and member.name.endswith(".yml") and stem not in tags:
                file = archive.extractfile(member)
                text = file.read().decode("utf-8") if file else ""
                tags[stem] = [tag.upper() for tag in _TAG.findall(text)]
    for path in sorted((folder / "regression").rglob("*.evtx")):
        yield f"regression/{path.parent.name}", tags.get(path.parent.name, []), path


def measure() -> dict[str, Any]:
    """Matches of each rule on each recording, with the number of its events."""
    rules = carengine.load_rules(carengine.shipped_rules("attack"))
    engine = carengine.Engine(rules)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for title, techniques, path in recordings(Path(name)):
            session = engine.session()
            with read_events(path) as reading:
                for record in reading:
                    session.feed(record.event)
            session.flush()
            matches = {id_: n for id_, n in session.stats.matches.items() if n}
            rows.append(
                {
                    "recording": title,
                    "techniques": techniques,
                    "events": session.stats.events,
                    "matches": dict(sorted(matches.items())),
                }
            )
    return {"attack": enterprise_attack().version, "recordings": rows}


def related(technique: str, shown: list[str]) -> bool:
    """Whether a recording shows a technique: itself, its parent, or one of its parts."""
    return any(
        one == technique or one == technique[:5] or one.startswith(f"{technique}.")
        for one in (NEWER.get(id_, id_) for id_ in shown)
    )


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return [*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]


def page(figures: dict[str, Any]) -> str:
    """The page: evidence for each rule, then the account of all analytics."""
    rules = carengine.load_rules(carengine.shipped_rules("attack"))
    known = enterprise_attack()
    rows: list[tuple[object, ...]] = []
    rates, own_fires, noisy = [], 0, 0
    for rule in rules:
        [technique, *_] = rule.attack
        own, own_hit, others, other_hit, events, matches = 0, 0, 0, 0, 0, 0
        for one in figures["recordings"]:
            n = one["matches"].get(rule.id, 0)
            if related(technique, one["techniques"]):
                own, own_hit = own + 1, own_hit + bool(n)
            else:
                others, other_hit = others + 1, other_hit + bool(n)
                events, matches = events + one["events"], matches + n
        rate = 10_000 * matches / events if events else 0.0
        rates.append(rate)
        own_fires += bool(own_hit)
        noisy += rate > 2
        rows.append(
            (
                f"[{rule.id}]({known.analytics[rule.id].url})",
                technique,
                rule.title,
                rule.metadata.level,
                f"{own_hit} of {own}",
                f"{other_hit} of {others}",
                f"{rate:.2f}",
            )
        )
    number = sum(one["events"] for one in figures["recordings"])
    median = statistics.median(rates) if rates else 0.0
    lines = [
        "# Rules for ATT&CK's analytics",
        "",
        "ATT&CK has, since version 18, analytics in its detection strategies. carengine ships rules",
        "that implement some of them: `carengine hunt LOGS -r attack`. Without `-r` the rules of CAR",
        "run. Each rule names its analytic; the analytic's mutable elements are inputs",
        "(`--input NAME=VALUE`), or the rule says why there is none.",
        "",
        "`make attack-evidence` writes this page.",
        "",
        "## Evidence",
        "",
        f"{len(rules)} rules ran over {len(figures['recordings'])} recordings with {number:,} events.",
        f"{own_fires} rules match on a recording of their own technique. On recordings of other",
        f"techniques the median rule has {median:.2f} matches in 10,000 events; {noisy} rules have more",
        "than 2. A recording of one technique shows others as well, and what is known of it is its",
        "name: matches on other recordings need not be false. Recordings hold few events of ordinary",
        "work, and tell little of how often a rule matches in a large network. Rules of the level",
        "`informational` or `low` are material for hunting.",
        "",
        *_table(
            (
                "analytic",
                "technique",
                "rule",
                "level",
                "own recordings",
                "others",
                "matches in 10,000 events of others",
            ),
            rows,
        ),
        "",
        "## Account of all analytics",
        "",
        "An analytic is *implementable* when a field map has the events of all its log sources, *in",
        "part* when of some, and *not* when of none. The reasons are those of",
        "`attack/log_sources.yml`.",
        "",
        *account(frozenset(rule.id for rule in rules)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def state_of(analytic: Analytic, implemented: frozenset[str]) -> str:
    """What became of an analytic."""
    if analytic.id in implemented:
        return "implemented"
    readable = [bool(events_of(source).events) for source in analytic.log_sources]
    if not readable or not any(readable):
        return "not"
    return "implementable" if all(readable) else "in part"


def account(implemented: frozenset[str]) -> list[str]:
    """The numbers by platform and by tactic, the reasons, and each analytic's state."""
    known = enterprise_attack()
    states = ("implemented", "implementable", "in part", "not")
    platforms: dict[str, Counter[str]] = defaultdict(Counter)
    tactics: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: Counter[str] = Counter()
    by_state: dict[str, list[str]] = defaultdict(list)
    wanting: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    total: Counter[str] = Counter()
    for analytic in known.analytics.values():
        state = state_of(analytic, implemented)
        total[state] += 1
        by_state[state].append(analytic.id)
        for platform in analytic.platforms:
            platforms[platform][state] += 1
        technique = known.technique_of_analytic(analytic.id)
        for tactic in known.tactics_of(technique.id) if technique else ():
            tactics[tactic.name][state] += 1
        if state in ("in part", "not"):
            told = [
                seen.cannot for one in analytic.log_sources if not (seen := events_of(one)).events
            ] or ["The analytic names no log source."]
            wanting[state]["<br>".join(sorted(set(told)))].append(analytic.id)
            if state == "not":
                reasons.update(set(told))

    def lines(title: str, counts: dict[str, Counter[str]]) -> list[str]:
        rows: list[tuple[object, ...]] = [
            (name, sum(one.values()), *(one[state] for state in states))
            for name, one in sorted(
                counts.items(), key=lambda item: (-sum(item[1].values()), item[0])
            )
        ]
        return _table((title, "analytics", *states), rows)

    order = {tactic.name: tactics[tactic.name] for tactic in known.tactics}
    found = [
        *lines("all", {"ATT&CK " + known.version: total}),
        "",
        *lines("platform", platforms),
        "",
        *_table(
            ("tactic", "analytics", *states),
            [(n, sum(c.values()), *(c[s] for s in states)) for n, c in order.items()],
        ),
        "",
        "### Why analytics are not implementable",
        "",
        "An analytic may have several reasons, one for each of its log sources.",
        "",
        *_table(
            ("reason", "analytics"), sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        ),
        "",
        "### Each analytic",
        "",
    ]
    for state in states:
        found += [f"**{state}** ({total[state]}):", ""]
        if state in wanting:
            rows: list[tuple[object, ...]] = [
                (" ".join(ids), reason) for reason, ids in sorted(wanting[state].items())
            ]
            found += [*_table(("analytics", "what no field map reads"), rows), ""]
        else:
            found += [*_wrapped(by_state[state]), ""]
    return found


def _wrapped(ids: list[str]) -> list[str]:
    return [" ".join(ids[at : at + 12]) for at in range(0, len(ids), 12)]


def main() -> None:
    """Run, and write."""
    if "--page" not in sys.argv[1:]:
        text = json.dumps(measure(), indent=1)
        FIGURES.write_text(text + "\n", encoding="utf-8")
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    PAGE.write_text(page(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
