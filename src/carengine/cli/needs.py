"""``carengine needs``: what rules need against what there is.

Without events the field maps alone speak: which rules could run on logs of these shapes at all.
With events, how many of each kind there are, and how often each field that a rule reads is there.
"""

from __future__ import annotations

import argparse
from collections import Counter

from attrs import frozen

from ..diagnostics import Severity, counted
from ..engine.report import RARE, FieldCoverage, Need, RuleNeeds, Supply, needs
from ..readers import Reading
from ..verify import FiringProof, firing_proofs
from . import status
from .encode import json_document
from .evidence import input_status, open_events, progress, report_input
from .options import (
    EvidenceSettings,
    MapNames,
    RuleSettings,
    add_events_argument,
    add_input_option,
    add_map_option,
    add_rules_option,
    evidence_settings,
    map_choice,
    map_names,
    rule_settings,
)
from .rule_report import name_of
from .rules import engine_of, load, report_refused
from .screen import Screen
from .table import Table, draw

_EXAMPLES = """\
examples:
  carengine needs -m sysmon                 which shipped rules Sysmon's logs can serve, and with what
  carengine needs logs/ -r my-rules/        what one's own rules find of what they need in a folder
  carengine needs logs/ -f json             the same as data
  carengine needs -m sysmon --prove         which rules can never fire on any of Sysmon's logs, and why
  carengine needs logs/ --prove             … or on these logs

exit status: 0 done, 2 a rule was refused or the command is not right, 3 evidence could not be read (the
rest was), 130 interrupted
"""
_TICK = 1023


@frozen
class NeedsSettings:
    """What ``needs`` was asked for. Without evidence the field maps alone speak."""

    evidence: EvidenceSettings
    rules: RuleSettings
    maps: MapNames = ()
    format: str = "table"
    quiet: bool = False
    prove: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``needs`` takes."""
    parser.epilog = _EXAMPLES
    add_events_argument(parser, needed=False)
    add_rules_option(parser)
    add_map_option(parser)
    add_input_option(parser)
    parser.add_argument(
        "-f", "--format", choices=["table", "json"], default="table", help="default: table"
    )
    parser.add_argument(
        "--prove",
        action="store_true",
        help="say which rules can never fire, on any log that the field maps read or on these "
        "logs, and why; each event is looked at field by field",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def settings(values: argparse.Namespace) -> NeedsSettings:
    """What the command line asks for. Raises `UsageError`."""
    evidence, rules = evidence_settings(values), rule_settings(values)
    maps = map_names(values)
    return NeedsSettings(evidence, rules, maps, values.format, values.quiet, values.prove)


def run(settings: NeedsSettings, screen: Screen) -> int:
    """Tell what rules need. The exit status."""
    rules = load(settings.rules)
    broken = report_refused(rules, screen)
    engine, lost_rules = engine_of(rules, map_choice(settings.maps), screen)
    broken = broken or lost_rules
    refused = status.USAGE if broken else status.DONE
    if not settings.evidence.paths:
        proofs = firing_proofs(engine) if settings.prove else None
        _show(needs(engine), settings, screen, proofs, ran=False)
        return refused
    session, coverage = engine.session(), FieldCoverage(engine)
    met: Counter[int] = Counter()
    interrupted = False
    with open_events(settings.evidence) as reading:
        try:
            with progress(reading, settings.evidence.paths, screen) as tick:
                for record in reading:
                    session.feed(record.event)
                    latest = session.latest
                    sampled = coverage.wants(session.stats)
                    if settings.prove or sampled or (latest is not None and met[id(latest)] < RARE):
                        met[id(latest)] += 1
                        coverage.observe(record.event, sampled=sampled)
                    if not (session.stats.events & _TICK or settings.quiet):
                        tick()
        except KeyboardInterrupt:
            interrupted = True
        session.flush()
        proofs = None
        if settings.prove:
            lost = _lost(reading, interrupted=interrupted)
            if not session.stats.shaped:
                # What such logs hold is not known, and nothing follows from it.
                lost = (*lost, "no event of these logs was recognised")
            proofs = firing_proofs(engine, session.stats, coverage, lost)
        _show(needs(engine, session.stats, coverage), settings, screen, proofs, ran=True)
        screen.flush()
        report_input(reading, screen, quiet=settings.quiet)
        stats = session.stats
        screen.say(
            f"{counted(stats.events + reading.unreadable, 'record')} = {stats.shaped:,} recognised + "
            f"{stats.unrecognised:,} not recognised + {reading.unreadable:,} unreadable"
        )
        return status.gravest(
            status.INTERRUPTED if interrupted else status.DONE,
            refused,
            input_status(reading, settings.evidence.paths),
        )


def _lost(reading: Reading, *, interrupted: bool) -> tuple[str, ...]:
    """What of the logs was not looked at, in words."""
    lost = []
    if interrupted:
        lost.append("the run was interrupted")
    if reading.unreadable:
        lost.append(f"{counted(reading.unreadable, 'record')} could not be read")
    lossy = [one for one in reading.diagnostics if one.severity is not Severity.NOTE]
    if lossy:
        lost.append(f"parts of the evidence were not read ({lossy[0].message})")
    return tuple(lost)


def _show(
    found: list[RuleNeeds],
    settings: NeedsSettings,
    screen: Screen,
    proofs: list[FiringProof] | None,
    *,
    ran: bool,
) -> None:
    if settings.format == "json":
        rows_ = [one.as_json() for one in found]
        for row, proof in zip(rows_, proofs or (), strict=proofs is not None):
            row["proof"] = proof.as_json()
        screen.show_lines(json_document({"rules": rows_}))
        return
    if proofs is not None:
        _show_proofs(proofs, screen, ran=ran)
        return
    rows = []
    for one in found:
        first = True
        for need in one.needs:
            supplies: tuple[Supply | None, ...] = need.supplies or (None,)
            for supply in supplies:
                outcome = one.status.outcome
                word = outcome.name.lower().replace("_", " ")
                if not ran:
                    word = "could run" if outcome.runnable else word
                rows.append(
                    [
                        name_of(one.rule) if first else "",
                        word if first else "",
                        *_cells(need, supply, ran=ran),
                    ]
                )
                first = False
    columns = ["rule", "outcome", "kind", "map", "events", "fields"]
    draw(Table("", columns, rows, ""), screen)


_SCOPES = {
    "rule": "whatever the events",
    "maps": "on any log that the field maps in use read",
    "logs": "on these logs",
}


def _show_proofs(proofs: list[FiringProof], screen: Screen, *, ran: bool) -> None:
    """The rules that can never fire with the reasons, and how many others there are."""
    for scope, words in _SCOPES.items():
        closed = [one for one in proofs if one.verdict == "never" and one.scope == scope]
        if not closed:
            continue
        screen.show(f"{counted(len(closed), 'rule')} can never fire {words}:")
        for one in closed:
            screen.show(f"  {name_of(one.rule)}")
            for reason in one.reasons:
                screen.show(f"    {reason}")
            for taken in one.assumptions:
                screen.show(f"    taken for granted: {taken}")
    kept = [one for one in proofs if one.verdict == "open" and one.assumptions]
    if kept:
        screen.show(f"{counted(len(kept), 'rule')} would be closed, but {kept[0].assumptions[0]}:")
        for one in kept:
            screen.show(f"  {name_of(one.rule)}")
    counts = Counter(one.verdict for one in proofs)
    closed_ = f"{counts['never']:,} can never fire"
    rest = f"{counts['open']:,} of which nothing shows that they cannot"
    if ran:
        rest = f"{counts['fired']:,} fired, {counts['open']:,} did not, and nothing shows that they cannot"
    screen.show(f"{counted(len(proofs), 'rule')}: {closed_}, {rest}")


def _cells(need: Need, supply: Supply | None, *, ran: bool) -> list[str]:
    if supply is None:
        return [str(need.kind), "none has it", "0" if ran else "", ", ".join(need.fields)]
    told = []
    for one in supply.fields:
        if not one.mapped:
            told.append(f"{one.name} not in the map")
        elif not ran or not supply.observed:
            told.append(one.name)
        elif not one.seen:
            told.append(f"{one.name} never")
        elif one.seen < supply.observed:
            told.append(f"{one.name} {one.seen:,} of {supply.observed:,}")
        else:
            told.append(f"{one.name} always")
    return [str(need.kind), supply.fieldmap, f"{supply.events:,}" if ran else "", ", ".join(told)]
