"""``carengine diff``: which rules of two versions find more, less or something else."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

from attrs import field, frozen

from ..check import to_sarif
from ..diagnostics import Diagnostic, codes, counted
from ..engine import Engine
from ..loading import load_rules
from ..rule import Rule, RuleSet
from ..values import raw_text
from ..verify import Change, RuleChange, Witness, rule_changes
from . import UsageError, status
from .encode import json_document, json_line
from .evidence import input_status, open_events, report_input
from .markdown import code, document, escaped, html_text, table
from .options import EvidenceSettings
from .revisions import files_of
from .rules import report_refused
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine diff old/ new/                        two folders, archives or files of rules
  carengine diff HEAD~1:rules rules               what changed since a revision of the git repository here
  carengine diff --git main HEAD rules/           two revisions
  carengine diff old/ new/ -f markdown            for a pull request
  carengine diff old/ new/ --events logs/         what changes on logs, too

A rule is compared by what it finds: one that was renamed, reformatted or written in another way is unchanged. The others
are wider, narrower, both, or moved (nothing in common with what they found before); new or gone; or undecided. Each comes
with an event that only the old or only the new version finds, in the shape of the rule's own log, as the engine confirms.

exit status: 0 no rule changed (or only in ways that --fail-on does not name), 1 a rule did, 2 a path or revision is not
right, 3 a rule is undecided or the logs could not be read. 1 goes before 3 only where both apply to different rules.
"""
_FAILING = (Change.WIDER, Change.NARROWER, Change.BOTH, Change.MOVED, Change.GONE)


@frozen
class DiffSettings:
    """What ``diff`` was asked for. ``git``: old and new are revisions, and ``paths`` what of
    them."""

    old: str
    new: str
    paths: tuple[str, ...] = ()
    git: bool = False
    format: str = "text"
    events: tuple[str, ...] = ()
    fail_on: frozenset[Change] = field(default=frozenset(_FAILING))
    all: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``diff`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument("old", metavar="OLD", help="rules, an archive, or REVISION:PATH")
    parser.add_argument("new", metavar="NEW", help="the same, later")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="with --git: which part of it")
    parser.add_argument("--git", action="store_true", help="OLD and NEW are git revisions")
    parser.add_argument(
        "-f",
        "--format",
        choices=["text", "json", "markdown", "sarif"],
        default="text",
        help="default: text",
    )
    parser.add_argument(
        "--events",
        action="append",
        default=[],
        metavar="LOGS",
        help="logs to run both versions over; may be repeated",
    )
    parser.add_argument(
        "--fail-on",
        default=",".join(change.value for change in _FAILING),
        metavar="CHANGES",
        help="which changes give the exit status 1, with commas between (default: %(default)s)",
    )
    parser.add_argument("--all", action="store_true", help="name the unchanged rules as well")


def settings(values: argparse.Namespace) -> DiffSettings:
    """What the command line asks for. Raises `UsageError`."""
    chosen = [part.strip() for part in values.fail_on.split(",") if part.strip()]
    known = {change.value: change for change in Change}
    unknown = [part for part in chosen if part not in known]
    if unknown:
        raise UsageError(f"carengine diff: --fail-on knows {', '.join(known)}, not {unknown[0]}")
    if values.paths and not values.git:
        raise UsageError("carengine diff: more than two paths are for --git only")
    return DiffSettings(
        values.old,
        values.new,
        tuple(values.paths),
        values.git,
        values.format,
        tuple(values.events),
        frozenset(known[part] for part in chosen),
        values.all,
    )


def run(settings: DiffSettings, screen: Screen) -> int:
    """Compare two versions. The exit status."""
    old, new = (_load(one, settings, screen) for one in (settings.old, settings.new))
    changes = rule_changes(old, new)
    on_logs: Mapping[str, LogChange] = {}
    read = status.DONE
    if settings.events:
        on_logs, read = _on_logs(settings, old, new, screen)
    counts = Counter(change.change for change in changes)
    match settings.format:
        case "json":
            data: dict[str, Any] = {"rules": [change.as_json() for change in changes]}
            if settings.events:
                data["events"] = {id_: one.as_json() for id_, one in on_logs.items()}
            screen.show_lines(json_document(data))
        case "sarif":
            findings = [found for change in changes for found in _finding(change)]
            screen.show_lines(json_document(to_sarif(findings)))
        case "markdown":
            screen.show_lines(_markdown(changes, on_logs))
        case _:
            _show(changes, on_logs, screen, everything=settings.all)
    told = ", ".join(f"{counts[change]:,} {change.value}" for change in Change if counts[change])
    screen.say(f"{counted(len(changes), 'rule')}: {told or 'none'}")
    codes_ = [read]
    if not changes:
        # Two versions without a rule are compared by nobody: a place was meant to be another one.
        codes_.append(status.USAGE)
    if any(change.change in settings.fail_on for change in changes):
        codes_.append(status.FINDINGS)
    if counts[Change.UNDECIDED]:
        codes_.append(status.UNREADABLE)
    if status.FINDINGS in codes_:
        # A change that is proved is what a check of a pull request has to tell.
        return status.FINDINGS
    return status.gravest(*codes_)


def _load(place: str, settings: DiffSettings, screen: Screen) -> RuleSet:
    with files_of(place, git=settings.git, paths=settings.paths) as paths:
        if not paths:
            screen.say(f"{place} holds no files")
            return RuleSet(())
        rules = load_rules(*paths, must_exist=True)
    report_refused(rules, screen)
    return rules


# On logs


@frozen
class LogChange:
    """How many matches of a rule on some logs only the old or only the new version has."""

    lost: int
    gained: int
    example: str = ""

    def as_json(self) -> dict[str, Any]:
        """The numbers as plain data."""
        return {"lost": self.lost, "gained": self.gained, "example": self.example}


def _on_logs(
    settings: DiffSettings, old: RuleSet, new: RuleSet, screen: Screen
) -> tuple[dict[str, LogChange], int]:
    """What changes on logs, for each rule by its id, and the status of reading them."""
    evidence = EvidenceSettings(settings.events)
    sessions = [Engine(rules).session() for rules in (old, new)]
    met: tuple[Counter[tuple[str, bytes]], Counter[tuple[str, bytes]]] = (Counter(), Counter())
    shown: dict[tuple[str, bytes], str] = {}
    with open_events(evidence) as reading:
        for record in reading:
            for session, found in zip(sessions, met, strict=True):
                for match in session.feed(record.event):
                    _count(match.rule, match.events, found, shown)
        for session, found in zip(sessions, met, strict=True):
            for match in session.flush():
                _count(match.rule, match.events, found, shown)
        report_input(reading, screen)
        state = input_status(reading, evidence.paths)
    screen.say(
        f"{counted(sessions[0].stats.events, 'event')} of the logs ran through both versions"
    )
    made: dict[str, LogChange] = {}
    lost, gained = met[0] - met[1], met[1] - met[0]
    for key in (*lost, *gained):
        id_, _ = key
        known = made.get(id_, LogChange(0, 0))
        example = known.example or shown.get(key, "")
        made[id_] = LogChange(known.lost + lost[key], known.gained + gained[key], example)
    return dict(sorted(made.items())), state


_EXAMPLE = 400


def _count(
    rule: Rule,
    events: Any,
    found: Counter[tuple[str, bytes]],
    shown: dict[tuple[str, bytes], str],
) -> None:
    digest = blake2b(digest_size=12)
    for event in events:
        digest.update(raw_text(event.event).encode("utf-8", "surrogatepass"))
    key = rule.id, digest.digest()
    found[key] += 1
    if len(shown) < 10_000 and events:
        shown.setdefault(key, raw_text(events[0].event)[:_EXAMPLE])


# Showing


def _show(
    changes: tuple[RuleChange, ...],
    on_logs: Mapping[str, LogChange],
    screen: Screen,
    *,
    everything: bool,
) -> None:
    for change in changes:
        if change.change is Change.UNCHANGED and not everything and change.id not in on_logs:
            continue
        named = f" (was {change.old.id})" if change.renamed and change.old is not None else ""
        screen.show_text("", f"{change.change.value:<10} {change.id}{named}  {change.title}")
        for witness in change.witnesses:
            screen.show_text("", f"    only the {witness.finder} version finds {_events(witness)}")
            if witness.demanded:
                other = "new" if witness.finder == "old" else "old"
                screen.show_text("", f"      the {other} one demands {witness.demanded}")
        for reason in change.reasons:
            screen.show_text("", f"    not decided: {reason}")
        if change.id in on_logs:
            one = on_logs[change.id]
            text = f"    on the logs: {one.lost:,} matches less, {one.gained:,} more"
            screen.show_text("", text)


def _events(witness: Witness) -> str:
    events = [json_line(dict(event)).decode() for event in witness.events]
    shape = witness.logsource or witness.fieldmap
    return f"{' and '.join(events)} ({shape})"


def _markdown(changes: tuple[RuleChange, ...], on_logs: Mapping[str, LogChange]) -> str:
    told = [change for change in changes if change.change is not Change.UNCHANGED]
    lines = ["### What the changed rules find", ""]
    if not told and not on_logs:
        return document([*lines, f"All {len(changes):,} rules find what they found before."])
    if told:
        rows = ([code(one.id), one.change.value, escaped(one.title)] for one in told)
        lines += table(["rule", "change", "title"], rows)
    for change in told:
        if not change.witnesses and not change.reasons:
            continue
        title = f"{html_text(change.title)}: {change.change.value}"
        lines += ["", f"<details><summary>{title}</summary>"]
        for witness in change.witnesses:
            lines += ["", f"Only the {witness.finder} version finds:", ""]
            for event in witness.events:
                lines += (f"    {line}" for line in json_document(dict(event)).splitlines())
            if witness.demanded:
                other = "new" if witness.finder == "old" else "old"
                lines += ["", f"The {other} version demands {code(witness.demanded)}."]
        for reason in change.reasons:
            lines += ["", f"Not decided: {escaped(reason)}"]
        lines += ["", "</details>"]
    if on_logs:
        rows = ([code(id_), f"{one.lost:,}", f"{one.gained:,}"] for id_, one in on_logs.items())
        lines += ["", *table(["rule", "matches less", "matches more"], rows)]
    same = sum(change.change is Change.UNCHANGED for change in changes)
    if same:
        finds = "rule finds what it" if same == 1 else "rules find what they"
        lines += ["", f"{same:,} {finds} found before."]
    return document(lines)


_CODES = {
    Change.WIDER: codes.RULE_WIDER,
    Change.NARROWER: codes.RULE_NARROWER,
    Change.BOTH: codes.RULE_OTHER,
    Change.MOVED: codes.RULE_OTHER,
    Change.GONE: codes.RULE_GONE,
    Change.UNDECIDED: codes.RULE_UNDECIDED,
}


def _finding(change: RuleChange) -> Iterator[Diagnostic]:
    told = _CODES.get(change.change)
    if told is None:
        return
    notes = tuple(f"only the {one.finder} version finds {_events(one)}" for one in change.witnesses)
    message = f"{change.title}: {change.change.value}"
    rule = change.new or change.old
    place = None if change.new is None else change.new.block.span(0, 0)
    yield Diagnostic(
        told,
        message,
        place,
        notes=(*notes, *change.reasons),
        origin="" if rule is None else rule.path,
    )
