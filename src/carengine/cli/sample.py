"""``carengine sample``: events to test a rule with, in the shape of a log."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from attrs import frozen

from ..diagnostics import counted, fault, visible
from ..filewrite import opened_to_write
from ..rule import Rule
from ..verify import RuleSamples, Sample, samples
from . import UsageError, status
from .encode import json_document, json_line
from .evidence import same_place
from .options import (
    MapNames,
    RuleSettings,
    add_cache_option,
    add_input_option,
    add_lenient_option,
    add_map_option,
    map_choice,
    map_names,
    rule_settings,
)
from .rules import load, report_refused
from .screen import Screen

_MOST_NAMED = 10

_EXAMPLES = """\
examples:
  carengine sample rule.yml                            matches and near misses, and what each of them fails
  carengine sample rule.yml -m sysmon.winlogbeat       as Winlogbeat would send them
  carengine sample rules/ -f jsonl --only matches | carengine hunt - -r rules/    each is found
  carengine sample rules/ -f json -o samples.json      for other programs

A near miss fails one condition alone; of joins, counts and sequences one key, number or bound. Every sample was run by the
engine with the field map of its shape. The same rule, map and --seed give the same samples.

-f json: {"rules": [{"id", "samples": [{"name", "match", "fieldmap", "events", "reason"}], "missing": []}]}

exit status: 0 done, 1 there is no match or no near miss of a rule, 2 a rule was refused
"""


@frozen
class SampleSettings:
    """What ``sample`` was asked for. ``only`` is ``matches``, ``near-misses`` or nothing."""

    rules: RuleSettings
    maps: MapNames = ()
    format: str = "text"
    only: str = ""
    matches: int = 5
    near_misses: int = 20
    seed: int = 0
    output: str | None = None


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``sample`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "rules",
        nargs="*",
        metavar="RULES",
        help="rule files, folders or archives (default: the shipped rules)",
    )
    add_map_option(parser)
    add_input_option(parser)
    add_lenient_option(parser)
    add_cache_option(parser)
    parser.add_argument(
        "-f",
        "--format",
        choices=["text", "json", "jsonl"],
        default="text",
        help="text, one JSON document, or the events alone, a line each (default: text)",
    )
    parser.add_argument(
        "--only", choices=["matches", "near-misses"], default="", help="leave the others out"
    )
    parser.add_argument(
        "--matches", type=_number, default=5, metavar="N", help="at most N matches (default: 5)"
    )
    parser.add_argument(
        "--near-misses",
        type=_number,
        default=20,
        metavar="N",
        help="at most N near misses (default: 20)",
    )
    parser.add_argument(
        "--seed",
        type=_number,
        default=0,
        metavar="N",
        help="other hosts and times for another N (default: 0)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to a file")


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"a whole number from 0, not {text}")
    return int(text)


def settings(values: argparse.Namespace) -> SampleSettings:
    """What the command line asks for. Raises `UsageError`."""
    rules = rule_settings(values)
    clash = values.output and same_place(values.output, list(rules.paths))
    if clash:
        raise UsageError(f"carengine sample: -o {values.output} would write into {clash}")
    return SampleSettings(
        rules,
        map_names(values),
        values.format,
        values.only,
        0 if values.only == "near-misses" else values.matches,
        0 if values.only == "matches" else values.near_misses,
        values.seed,
        values.output,
    )


def run(settings: SampleSettings, screen: Screen) -> int:
    """Write samples. The exit status."""
    rules = load(settings.rules)
    broken = report_refused(rules, screen)
    every: list[tuple[Rule, RuleSamples]] = []
    faults = []
    for rule in rules:
        try:
            made = samples(
                rule,
                map_choice(settings.maps),
                matches=settings.matches,
                near_misses=settings.near_misses,
                seed=settings.seed,
            )
        except Exception as error:
            faults.append(fault(f"the samples of {rule.id}", error, origin=rule.path))
        else:
            every.append((rule, made))
    if settings.output is None:
        for line in _lines(every, settings):
            screen.show_lines(line)
    else:
        try:
            with opened_to_write(settings.output) as file:
                for line in _lines(every, settings):
                    file.write(f"{line}\n".encode())
        except OSError as error:
            reason = f"cannot write {settings.output}: {error.strerror}"
            raise UsageError(f"carengine sample: {reason}") from None
    screen.report(faults)
    lacking = [(rule, made) for rule, made in every if made.missing]
    for rule, made in lacking[:_MOST_NAMED]:
        screen.say(f"{rule.metadata.title or rule.id}: {'; '.join(made.missing)}")
    if len(lacking) > _MOST_NAMED:
        screen.say(f"and of {len(lacking) - _MOST_NAMED:,} more rules; -f json tells of all")
    matches = sum(len(made.matches) for _, made in every)
    near = sum(len(made.near_misses) for _, made in every)
    screen.say(
        f"{counted(len(every), 'rule')}, {len(rules.refused):,} refused; "
        f"{counted(matches, 'match', 'matches')}, {counted(near, 'near miss', 'near misses')}; "
        f"{counted(len(lacking), 'rule')} without one of them"
    )
    if faults:
        return status.FAULT
    if broken:
        return status.USAGE
    return status.FINDINGS if lacking else status.DONE


def _lines(every: list[tuple[Rule, RuleSamples]], settings: SampleSettings) -> Iterator[str]:
    """The output, in lines or larger parts."""
    if settings.format == "json":
        yield json_document({"rules": [made.as_json() for _, made in every]})
        return
    for rule, made in every:
        if settings.format == "jsonl":
            for one in made.samples:
                yield from (json_line(event).decode() for event in one.events)
            continue
        yield visible(f"{rule.metadata.title or rule.id} ({rule.id})")
        for one in made.samples:
            yield from _shown(one)


def _shown(sample: Sample) -> Iterator[str]:
    reason = f": {sample.reason}" if sample.reason else ""
    yield visible(f"  {sample.name} ({sample.fieldmap}){reason}")
    for event in sample.events:
        yield f"    {json_line(event).decode()}"
