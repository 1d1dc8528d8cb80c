"""``carengine explain``: why a rule matches an event or does not."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from itertools import islice

from attrs import evolve, frozen

from ..attack import analytic_text
from ..diagnostics import CarError, counted, fault, has_errors
from ..engine import Match, Origin
from ..engine.report import (
    Explanation,
    Node,
    Test,
    View,
    explain,
    maps_of_examples,
    matches_with,
    missing_source,
)
from ..readers import Record, read_events
from ..rule import Rule, RuleSet, input_text
from ..values import format_time
from . import UsageError, status
from .encode import json_document, json_line
from .evidence import report_input
from .options import (
    MapNames,
    RuleSettings,
    add_input_option,
    add_map_option,
    add_rules_option,
    map_choice,
    map_names,
    rule_settings,
)
from .rules import load
from .screen import Screen
from .table import cell

_EXAMPLES = """\
examples:
  carengine explain CAR-2019-08-001 event.json        a shipped rule, the file's first record
  carengine explain my.car logs.jsonl:17              a rule in a file, the 17th record
  carengine explain my.car 'x.zip!y.json:3' --json    a record as `hunt` names it
  cat event.json | carengine explain my.car -         from standard input
  carengine explain my.car --example 'the dump'       an example that the rule carries

Each condition is shown with its verdict (true, false, unknown), the value it looked at, and where in the log that came
from. `<--` marks the conditions that decide. Of a rule that joins, groups or counts, the matches are shown that the
record is part of, with the other records of the evidence: which event fills which stream, the keys and the columns.

exit status: 0 done, 2 the rule cannot be used or the command is not right, 3 there is no such record.
"""
_WORDS = {True: "true", False: "false", None: "unknown"}
_STYLES = {True: "green", False: "red", None: "yellow"}
_TREE_DEPTH = 200
_MATCHES = 20
_EVENTS = 20


@frozen
class ExplainSettings:
    """What ``explain`` was asked for: a rule's file or id, and a file or a place in one, or the name
    of an example that the rule carries."""

    rule: str
    event: str | None
    rules: RuleSettings
    maps: MapNames = ()
    json: bool = False
    example: str | None = None


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``explain`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument("rule", metavar="RULE", help="a rule file, or the id of a rule")
    parser.add_argument(
        "event", metavar="EVENT", nargs="?", help="FILE, FILE:N for the Nth record, or -"
    )
    parser.add_argument(
        "--example", metavar="NAME", help="an example of the rule, instead of an event"
    )
    add_rules_option(parser)
    add_map_option(parser)
    add_input_option(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def settings(values: argparse.Namespace) -> ExplainSettings:
    """What the command line asks for. Raises `UsageError`."""
    rules, maps = rule_settings(values), map_names(values)
    if (values.event is None) is (values.example is None):
        raise UsageError("carengine explain: an EVENT is wanted, or --example NAME")
    return ExplainSettings(values.rule, values.event, rules, maps, values.json, values.example)


def run(settings: ExplainSettings, screen: Screen) -> int:
    """Explain. The exit status."""
    rule = _rule(settings)
    if settings.event is None:
        return _explain_example(rule, settings, screen)
    record = _record(settings.event, screen)
    if record is None:
        return status.UNREADABLE
    try:
        found = explain(rule, record.event, map_choice(settings.maps))
        together = _together(settings, rule, record) if found.verdict is None else None
    except (CarError, OSError):
        raise
    except Exception as error:
        screen.report([fault(f"the explanation of {rule.id}", error, origin=rule.path)])
        return status.FAULT
    if settings.json:
        data = {"source": record.source, "record": record.number, **found.as_json()}
        if together is not None:
            data["matches"] = [match.as_json(raw=False) for match in together]
        _show_json(data, screen)
    else:
        _show(found, record, screen)
        if together is not None:
            _show_together(together, screen)
    return status.DONE


def _explain_example(rule: Rule, settings: ExplainSettings, screen: Screen) -> int:
    """Explain each event of an example, and what they match together. The exit status."""
    wanted = settings.example or ""
    named = [one for one in rule.examples if one.name == wanted]
    if not named:
        names = ", ".join(repr(one.name) for one in rule.examples) or "none"
        raise UsageError(
            f"carengine explain: {rule.id} has no example {wanted!r}; its examples: {names}"
        )
    [example, *_] = named
    maps = maps_of_examples(rule) if example.fieldmap == "auto" else example.fieldmap
    source = f"example {example.name}"
    records = [Record(dict(event), source, n) for n, event in enumerate(example.events, 1)]
    told = []
    for record in records:
        found = explain(rule, record.event, maps)
        together = None
        if found.verdict is None:
            pairs = ((one.event, Origin(one.source, one.number)) for one in records)
            matches = matches_with(rule, pairs, Origin(source, record.number), maps)
            together = list(islice(matches, _MATCHES))
        if settings.json:
            data = {"source": source, "record": record.number, **found.as_json()}
            if together is not None:
                data["matches"] = [match.as_json(raw=False) for match in together]
            told.append(data)
            continue
        _show(found, record, screen)
        if together is not None:
            _show_together(together, screen)
        if record is not records[-1]:
            screen.show()
    if settings.json:
        _show_json({"example": example.name, "match": example.match, "events": told}, screen)
    return status.DONE


def _together(settings: ExplainSettings, rule: Rule, record: Record) -> list[Match] | None:
    """The first matches that the record has a part in, with all others of its evidence; None for
    standard input."""
    path, _, _ = _place(settings.event or "-")
    if path == "-":
        return None
    with read_events(path, must_exist=False) as reading:
        pairs = ((one.event, Origin(one.source, one.number)) for one in reading)
        origin = Origin(record.source, record.number)
        found = matches_with(rule, pairs, origin, map_choice(settings.maps))
        return list(islice(found, _MATCHES))


def _show_together(matches: list[Match], screen: Screen) -> None:
    """How the record matches with others: each event with its stream, then keys and columns."""
    screen.show()
    if not matches:
        screen.show("with the other records of this evidence it is part of no match")
        return
    more = " or more" if len(matches) == _MATCHES else ""
    number = f"{len(matches)}{more} match{'es' if len(matches) > 1 else ''}"
    screen.show(f"with the other records of this evidence it is part of {number}")
    for match in matches:
        time = "" if match.time is None else f"  {format_time(match.time)}"
        screen.show(f"  output {screen.paint(cell(match.output), 'bold')}{time}")
        for event in match.events[:_EVENTS]:
            stream = f"{cell(event.stream)}: " if event.stream else ""
            when = "no time" if event.time is None else format_time(event.time)
            origin = event.origin
            place = cell(f"{origin.source}:{origin.record}") if origin else ""
            screen.show(f"    {stream}{event.kind}  {when}  {place}")
        if len(match.events) > _EVENTS:
            screen.show(f"    … and {counted(len(match.events) - _EVENTS, 'more event')}")
        for title, values in (("group", match.keys), ("columns", match.fields)):
            if values:
                parts = [f"{n} = {cell(match.shown(n, v))}" for n, v in values.items()]
                screen.show(f"    {title}: " + cell(", ".join(parts)))


def _show_json(data: dict[str, object], screen: Screen) -> None:
    try:
        text = json_document(data)
    except (ValueError, RecursionError):
        text = json_line(data).decode("utf-8")
    screen.show_lines(text)


def _rule(settings: ExplainSettings) -> Rule:
    """The rule that is meant: of a file, or of an id among the loaded or shipped ones."""
    wanted = settings.rule
    in_file = os.path.isfile(wanted)
    chosen = settings.rules
    if in_file and not chosen.paths:
        chosen = evolve(chosen, paths=(wanted,))
    rules = load(chosen)
    named = [rule for rule in rules if _is(rule, wanted)] if in_file else []
    by_id = rules.get(wanted)
    if by_id is not None and not named:
        named = [by_id]
    if len(named) == 1:
        return named[0]
    if named:
        ids = ", ".join(rule.id for rule in named)
        raise UsageError(
            f"carengine explain: {wanted} holds several rules: {ids}; name one with -r"
        )
    _raise_refused(rules, wanted, in_file)
    hint = "" if chosen.paths else " among the shipped rules (-r names others)"
    raise UsageError(
        f"carengine explain: there is no rule {wanted}{hint}, and no file of that name"
    )


def _is(rule: Rule, path: str) -> bool:
    return os.path.realpath(rule.path) == os.path.realpath(path)


def _raise_refused(rules: RuleSet, wanted: str, in_file: bool) -> None:
    for refused in rules.refused:
        if refused.id.lower() == wanted.lower() or (in_file and refused.path == wanted):
            raise CarError(refused.diagnostics)
    if in_file and has_errors(rules.diagnostics):
        raise CarError(rules.diagnostics)


def _record(named: str, screen: Screen) -> Record | None:
    """The record that is meant, or None, which has been said."""
    path, member, number = _place(named)
    with read_events(path, must_exist=False) as reading:
        for record in reading:
            if record.number == number and member in (None, record.source):
                return record
        report_input(reading, screen)
        readable = reading.records - reading.unreadable
        screen.say(
            f"{named}: there is no record {number} that can be read; "
            f"read: {counted(reading.records, 'record')}, {readable:,} of them readable"
        )
    return None


def _place(named: str) -> tuple[str, str | None, int]:
    """A path, the source in it (None: the first that has the record), and a record's number from 1."""
    if named == "-" or os.path.exists(named):
        return named, None, 1
    source, colon, digits = named.rpartition(":")
    number = 1
    if colon and digits.isascii() and digits.isdigit() and 0 < len(digits) < 16:
        number = int(digits)
    else:
        source = named
    if source == "-" or os.path.exists(source):
        return source, None, number
    # x.zip!inner.zip!member: the file is the longest part before a `!` that exists.
    for end in range(len(source) - 1, 0, -1):
        if source[end] == "!" and os.path.isfile(source[:end]):
            return source[:end], source, number
    return source, None, number


def _show(found: Explanation, record: Record, screen: Screen) -> None:
    rule = found.rule
    name = rule.id if rule.title == rule.id else f"{rule.id}  {rule.title}"
    screen.show(screen.paint(cell(name), "bold"))
    if rule.analytics:
        screen.show("implements " + cell(", ".join(map(analytic_text, rule.analytics))))
    screen.show(cell(f"{record.source}:{record.number}") + ": " + _conclusion(found))
    _show_inputs(rule, screen)
    if not found.shapes:
        screen.show(
            "no field map recognises the event; its keys are " + cell(", ".join(found.keys))
        )
        sources = missing_source(rule)
        if sources:
            screen.show(f"if it is an event of {cell(sources[0])}: --logsource {cell(sources[0])}")
        return
    if not found.views:
        shapes = ", ".join(found.shapes)
        screen.show(f"it has the shape {shapes}, and is no CAR event there; its keys are")
        screen.show("  " + cell(", ".join(found.keys)))
    asked = [seen for seen in found.views if any(test.tree is not None for test in seen.tests)]
    # Where the rule asks for what the event is, what else it is decides nothing.
    for seen in asked or found.views:
        _show_view(seen, screen)


def _show_inputs(rule: Rule, screen: Screen) -> None:
    """The inputs with their values, and what they are called in ATT&CK."""
    for one in rule.metadata.inputs:
        if not one.name:
            continue
        told = f"{one.name} = {input_text(one.current)}"
        if one.value is not None and one.value != one.default:
            told += f" (default: {input_text(one.default)})"
        meaning = ": ".join(part for part in (one.element, one.description) if part)
        screen.show(
            "  input  "
            + cell(told)
            + (f"  {screen.paint(cell(meaning), 'dim')}" if meaning else "")
        )


def _conclusion(found: Explanation) -> str:
    match found.verdict:
        case True:
            return "it matches"
        case False:
            return "it does not match"
        case _:
            return "it does not match alone, and may be part of a match with others"


def _show_view(seen: View, screen: Screen) -> None:
    screen.show()
    time = "" if seen.time is None else f"  {format_time(seen.time)}"
    screen.show(
        screen.paint(f"{seen.kind}", "bold") + f" through the map {cell(seen.fieldmap)}{time}"
    )
    for test in seen.tests:
        _show_test(test, screen)


def _show_test(test: Test, screen: Screen) -> None:
    name = cell(test.output) + (f", {cell(test.branch)}" if test.branch else "")
    verdict = _word(test.verdict, screen)
    if test.tree is None:
        kinds = ", ".join(map(str, test.kinds[:8])) + (", …" if len(test.kinds) > 8 else "")
        screen.show(f"  {verdict}  output {name}: it wants {kinds}")
        return
    screen.show(f"  {verdict}  output {name}")
    for depth, node in _walk(test.tree):
        _show_node(node, "  " * depth, screen)


def _walk(tree: Node) -> Iterator[tuple[int, Node]]:
    work = [(1, tree)]
    while work:
        depth, node = work.pop()
        yield min(depth, _TREE_DEPTH), node
        work += [(depth + 1, child) for child in reversed(node.children)]


def _show_node(node: Node, indent: str, screen: Screen) -> None:
    mark = screen.paint("  <--", "bold") if node.decides and not node.children else ""
    screen.show(f"  {_word(node.verdict, screen)}  {indent}{cell(node.condition)}{mark}")
    if node.children:
        return
    origins = [
        f"{item.car} is {item.native}"
        for item in node.operands
        if item.native and item.native != item.car
    ]
    text = "; ".join([node.reason, *origins]) if node.reason else "; ".join(origins)
    if text:
        screen.show(" " * 11 + indent + screen.paint(cell(text), "dim"))


def _word(verdict: bool | None, screen: Screen) -> str:
    return screen.paint(f"{_WORDS[verdict]:<7}", _STYLES[verdict])
