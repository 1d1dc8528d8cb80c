"""``carengine coverage``: what rules cover of ATT&CK, in three layers that are never mixed.

Without events the field maps alone speak: what could run on logs of these shapes. With events, what
could run on these, and what was seen in them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

from attrs import frozen

from ..attack import Attack, enterprise_attack, read_bundle
from ..coverage import (
    AnalyticCoverage,
    Coverage,
    CoverageMeter,
    RulesByLayer,
    SourceState,
    navigator_layers,
)
from ..diagnostics import counted, visible
from ..filewrite import opened_to_write
from . import UsageError, status
from .encode import json_document
from .evidence import input_status, open_events, progress, report_input, same_place
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
    output_path,
    rule_settings,
)
from .rules import engine_of, load, report_refused
from .screen import Screen
from .table import Table, cell, draw

_EXAMPLES = """\
examples:
  carengine coverage -m sysmon                        the shipped rules, on what Sysmon's logs have
  carengine coverage logs/ -r sigma/rules             one's own rules on a folder of logs
  carengine coverage logs/ --technique T1003.001      from the strategies to the rules that fired
  carengine coverage logs/ --navigator layers.json    three layers for MITRE's Navigator
  carengine coverage logs/ -f json > coverage.json    all of it as data

claimed: a rule's tags name the technique. runnable: the logs have the events and fields the rule needs. seen: it
matched. What is not runnable was not looked for: nothing seen there means nothing.

exit status: 0 done, 2 a rule was refused or the command is not right, 3 evidence could not be read (the
rest was), 130 interrupted
"""
_TICK = 1023
_SHOWN = 15
_NAMED = 5
_LAYERS = ("claimed", "runnable", "seen")


@frozen
class CoverageSettings:
    """What ``coverage`` was asked for. ``bundle`` is a STIX file of another version of ATT&CK,
    ``navigator`` a file to write layers to, ``technique`` the id of one to be shown in full."""

    evidence: EvidenceSettings
    rules: RuleSettings
    maps: MapNames = ()
    format: str = "table"
    bundle: str | None = None
    navigator: str | None = None
    technique: str | None = None
    full: bool = False
    quiet: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``coverage`` takes."""
    parser.epilog = _EXAMPLES
    add_events_argument(parser, needed=False)
    add_rules_option(parser)
    add_map_option(parser)
    add_input_option(parser)
    parser.add_argument(
        "-f", "--format", choices=["table", "json"], default="table", help="default: table"
    )
    parser.add_argument(
        "--technique", metavar="ID", help="show the strategies and analytics of one technique"
    )
    parser.add_argument(
        "--navigator", metavar="FILE", help="write three layers for MITRE's ATT&CK Navigator"
    )
    parser.add_argument(
        "--attack",
        metavar="BUNDLE",
        help="another version of ATT&CK, as a STIX file (default: the one that ships)",
    )
    parser.add_argument("--full", action="store_true", help="show all that is missing")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def settings(values: argparse.Namespace) -> CoverageSettings:
    """What the command line asks for. Raises `UsageError`."""
    evidence, rules = evidence_settings(values), rule_settings(values)
    navigator = output_path(values.navigator)
    if navigator is not None and (clash := same_place(navigator, evidence.paths)):
        raise UsageError(f"carengine coverage: --navigator {navigator} would write into {clash}")
    return CoverageSettings(
        evidence,
        rules,
        map_names(values),
        values.format,
        values.attack,
        navigator,
        values.technique,
        values.full,
        values.quiet,
    )


def run(settings: CoverageSettings, screen: Screen) -> int:
    """Tell what rules cover. The exit status."""
    attack = enterprise_attack() if settings.bundle is None else read_bundle(settings.bundle)
    if settings.technique is not None and attack.technique(settings.technique) is None:
        raise UsageError(
            f"carengine coverage: ATT&CK {attack.version} has no technique {settings.technique}"
        )
    rules = load(settings.rules)
    broken = report_refused(rules, screen)
    choice = map_choice(settings.maps)
    engine, lost_rules = engine_of(rules, choice, screen)
    refused = status.USAGE if broken or lost_rules else status.DONE
    meter = CoverageMeter(engine, choice, attack=attack)
    if not settings.evidence.paths:
        _show(meter.result(ran=False), attack, settings, screen)
        return refused
    interrupted = False
    with open_events(settings.evidence) as reading:
        try:
            with progress(reading, settings.evidence.paths, screen) as tick:
                for record in reading:
                    meter.add(record.event)
                    if not (meter.session.stats.events & _TICK or settings.quiet):
                        tick()
        except KeyboardInterrupt:
            interrupted = True
        _show(meter.result(), attack, settings, screen)
        screen.flush()
        report_input(reading, screen, quiet=settings.quiet)
        stats = meter.session.stats
        screen.say(
            f"{counted(stats.events + reading.unreadable, 'record')} = {stats.shaped:,} recognised + "
            f"{stats.unrecognised:,} not recognised + {reading.unreadable:,} unreadable"
        )
        return status.gravest(
            status.INTERRUPTED if interrupted else status.DONE,
            refused,
            input_status(reading, settings.evidence.paths),
        )


def _show(coverage: Coverage, attack: Attack, settings: CoverageSettings, screen: Screen) -> None:
    if settings.navigator is not None:
        _write_layers(coverage, settings.navigator, screen)
    if settings.format == "json":
        screen.show_lines(json_document(coverage.as_json()))
    elif settings.technique is not None:
        technique = attack.technique(settings.technique)
        assert technique is not None
        _show_technique(coverage, technique.id, screen)
    else:
        _show_summary(coverage, screen)
        _show_tactics(coverage, screen)
        _show_missing(coverage, settings, screen)
        _show_tags(coverage, screen)


def _write_layers(coverage: Coverage, path: str, screen: Screen) -> None:
    try:
        with opened_to_write(path) as file:
            text = json.dumps(navigator_layers(coverage), ensure_ascii=True, indent=1)
            file.write(text.encode("ascii") + b"\n")
    except OSError as error:
        raise UsageError(f"carengine coverage: cannot write {path}: {error.strerror}") from None
    screen.say(f"written: {path} (claimed, runnable and seen, for the ATT&CK Navigator)")


def _show_summary(coverage: Coverage, screen: Screen) -> None:
    found = coverage.summary()
    layers = found["layers"]
    title = (
        f"ATT&CK {coverage.attack.version}: {found['techniques']:,} techniques, "
        f"{found['strategies']:,} strategies, {found['analytics']:,} analytics"
    )
    on = "on the field maps" if coverage.events is None else f"on {coverage.events:,} events"
    names = ("rules", "techniques", "strategies", "analytics")
    rows = [
        [layer, *(f"{layers[layer][name]:,}" for name in names)]
        for layer in _LAYERS
        if layer != "seen" or coverage.events is not None
    ]
    note = f"{on}; {counted(len(coverage.untagged), 'rule')} without a technique"
    draw(Table(title, ["layer", *names], rows, note), screen)
    states = found["log_sources"]
    analytics = found["analytics_by_sources"]
    rows = [
        ["log sources", *(f"{states[state.value]:,}" for state in SourceState)],
    ]
    columns = ["", *(state.value for state in SourceState)]
    note = (
        f"analytics with all their log sources there: {analytics['complete']:,}, "
        f"with some: {analytics['partial']:,}, with none: {analytics['none']:,}; "
        f"implemented by rules that name them: {found['implemented']:,}"
    )
    draw(Table("log sources that analytics ask for", columns, rows, note), screen)


def _show_tactics(coverage: Coverage, screen: Screen) -> None:
    rows = []
    for tactic in coverage.attack.tactics:
        of = [one for one in coverage.techniques if tactic.short_name in one.technique.tactics]
        if of:
            counts = [sum(bool(getattr(one.rules, layer)) for one in of) for layer in _LAYERS]
            shown = [f"{number:,}" if number else "" for number in counts]
            rows.append([visible(tactic.name), f"{len(of):,}", *shown])
    draw(Table("techniques by tactic", ["tactic", "techniques", *_LAYERS], rows), screen)


def _show_missing(coverage: Coverage, settings: CoverageSettings, screen: Screen) -> None:
    found = [one for one in coverage.missing if settings.full or one.rules or one.completed]
    shown = found if settings.full else found[:_SHOWN]
    rows = [
        [
            cell(one.label),
            f"{len(one.rules):,}" if one.rules else "",
            f"{len(one.completed):,}" if one.completed else "",
            f"{len(one.asking):,}",
        ]
        for one in shown
    ]
    if not rows:
        return
    left = len(coverage.missing) - len(shown)
    note = f"and {left:,} more kinds of events (--full)" if left else ""
    columns = ["collect", "rules run", "analytics complete", "asked for by"]
    draw(Table("what is missing, and what it would bring", columns, rows, note), screen)


def _show_tags(coverage: Coverage, screen: Screen) -> None:
    told = {
        "moved": "moved, and counted under the new id",
        "retired": "retired by ATT&CK",
        "unknown": f"not in ATT&CK {coverage.attack.version}",
    }
    for state, words in told.items():
        tags = [one for one in coverage.tags if one.state == state]
        if tags:
            listed = ", ".join(
                visible(f"{one.tag} to {one.successor}" if one.successor else one.tag)
                for one in tags[:_NAMED]
            )
            more = f" and {len(tags) - _NAMED} more (-f json)" if len(tags) > _NAMED else ""
            screen.show(f"  tags {words}: {listed}{more}")


def _show_technique(coverage: Coverage, id_: str, screen: Screen) -> None:
    found = coverage.by_technique.get(id_)
    technique = coverage.attack.techniques[id_]
    screen.show(screen.paint(visible(f"{id_} {technique.name}"), "bold"))
    screen.show(f"  {technique.url}")
    if found is None:
        screen.show("  retired by ATT&CK")
        return
    _show_rules("  rules", found.rules, screen)
    for strategy in coverage.strategies:
        if strategy.strategy.technique == id_:
            screen.show()
            screen.show(visible(f"{strategy.strategy.id} {strategy.strategy.name}"))
            for analytic in strategy.analytics:
                _show_analytic(analytic, screen)


def _show_analytic(one: AnalyticCoverage, screen: Screen) -> None:
    platforms = ", ".join(one.analytic.platforms)
    rows = []
    for source in one.sources:
        events = "" if source.events is None else f"{source.events:,}"
        asked = " or ".join(map(str, source.asked)) or source.told
        name = f"{source.source.name} {source.source.channel}"
        rows.append([cell(name), source.state.value, events, cell(asked)])
    draw(
        Table(
            visible(f"  {one.analytic.id} ({platforms})"),
            ["log source", "state", "events", "what it is"],
            rows,
        ),
        screen,
    )
    _show_rules("    rules that serve it", one.rules, screen)


def _show_rules(title: str, rules: RulesByLayer, screen: Screen) -> None:
    if not rules.claimed:
        screen.show(f"{title}: none")
        return
    screen.show(
        f"{title}: {len(rules.claimed):,} claimed, {len(rules.runnable):,} runnable, "
        f"{len(rules.seen):,} seen"
    )
    for layer in ("seen", "runnable"):
        ids: Iterable[str] = getattr(rules, layer)
        listed = list(ids)[:_NAMED]
        if listed:
            more = len(list(ids)) - len(listed)
            screen.show(
                visible(
                    f"      {layer}: {', '.join(listed)}{f' and {more:,} more' if more else ''}"
                )
            )
