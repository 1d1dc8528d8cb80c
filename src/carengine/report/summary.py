"""What a report says once: the rules that matched, ATT&CK, what was blind, and the account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import field, frozen

from ..attack import enterprise_attack
from ..diagnostics import Diagnostic, Severity, counted
from ..engine import SessionStats
from ..engine.report import Outcome, RuleStatus, UnrecognisedShapes
from ..rule import Refused, Rule

_TEXT = 4_000
_ITEMS = 50
_NAMED = 2_000
"""Rules and findings that are listed one by one; the number is always whole."""


@frozen
class RunNotes:
    """What a run knows of itself when it is over.

    ``evidence`` are the paths that were read, ``account`` the sentences of the closing account,
    ``left_out`` counts rules that filters left out, by reason. ``findings`` are those of reading
    the evidence and of running the rules. ``remarks`` are notes of the report itself.
    """

    version: str
    written: datetime
    title: str
    evidence: Sequence[str]
    account: Sequence[str]
    statuses: Sequence[RuleStatus]
    stats: SessionStats
    unrecognised: UnrecognisedShapes
    findings: Sequence[Diagnostic] = ()
    refused: Sequence[Refused] = ()
    left_out: Mapping[str, int] = field(factory=dict, hash=False)
    shown: Counter[str] = field(factory=Counter, hash=False)
    remarks: Sequence[str] = ()


def summary_of(notes: RunNotes) -> dict[str, Any]:
    """The summary of a report as plain data."""
    matched = [one.rule for one in notes.statuses if notes.shown[one.rule.id]]
    watched = [one.rule for one in notes.statuses if one.outcome.runnable]
    return {
        "version": notes.version,
        "written": notes.written.isoformat(timespec="seconds"),
        "title": notes.title,
        "evidence": [_cut(path) for path in notes.evidence[:_ITEMS]],
        "account": [_cut(text) for text in notes.account],
        "rules": {rule.id: _rule(rule) for rule in matched},
        "attack": _attack(matched, watched),
        "blind": _blind(notes),
        "kinds": [
            {"map": name, "kind": str(kind), "events": number}
            for (name, kind), number in sorted(
                notes.stats.kinds.items(), key=lambda item: (-item[1], item[0][0], str(item[0][1]))
            )
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    about = rule.metadata
    return {
        "title": _cut(rule.title, 300),
        "level": about.level,
        "status": about.status,
        "author": _cut(about.author, 300),
        "date": _cut(about.date, 40),
        "description": _cut(about.description),
        "attack": list(rule.attack),
        "tags": [_cut(tag, 100) for tag in about.tags[:_ITEMS]],
        "references": [_cut(link, 1_000) for link in about.references[:_ITEMS]],
        "falsePositives": [_cut(text, 500) for text in about.false_positives[:_ITEMS]],
        "tactics": _tactics(rule),
        "path": _cut(rule.path, 500),
        "page": _page(rule),
    }


def _page(rule: Rule) -> str:
    """The page of a published analytic of CAR; empty for any other rule."""
    parts = rule.id.split("-")
    published = len(parts) == 4 and parts[0] == "CAR" and all(p.isdigit() for p in parts[1:])
    return f"https://car.mitre.org/analytics/{rule.id}/" if published else ""


def _tactics(rule: Rule) -> list[str]:
    """The ids of a rule's tactics: those it names, else those of its techniques."""
    known = enterprise_attack()
    # Sigma names tactics as tags; so does CAR at each technique.
    names = [tag.removeprefix("attack.") for tag in rule.metadata.tags if tag.startswith("attack.")]
    names += [name for technique in rule.metadata.attack for name in technique.tactics]
    named = {tactic.id for name in names if (tactic := known.tactic(name)) is not None}
    if not named:
        named = {tactic.id for id_ in rule.attack for tactic in known.tactics_of(id_)}
    return [tactic.id for tactic in known.tactics if tactic.id in named]


def _attack(matched: Iterable[Rule], watched: Iterable[Rule]) -> dict[str, Any]:
    """ATT&CK as far as rules name it: tactics, techniques, and how many rules watched for each.

    Retired ids are followed. ``moved`` says which, ``unknown`` which ids ATT&CK does not have.
    """
    known = enterprise_attack()
    rules: Counter[str] = Counter()
    moved: dict[str, str] = {}
    unknown: set[str] = set()
    for rule in {id(rule): rule for rule in (*matched, *watched)}.values():
        for id_ in rule.attack:
            technique = known.technique(id_)
            if technique is None:
                unknown.add(_cut(id_, 40))
                continue
            rules[technique.id] += 1
            if technique.id != id_:
                moved[_cut(id_, 40)] = technique.id
    techniques = {}
    for id_, number in sorted(rules.items()):
        technique = known.techniques[id_]
        techniques[id_] = {
            "name": technique.name,
            "parent": _name(technique.parent),
            "tactics": [tactic.id for tactic in known.tactics_of(id_)],
            "url": technique.url,
            "rules": number,
        }
    return {
        "version": known.version,
        "tactics": [
            {"id": tactic.id, "name": tactic.name, "url": tactic.url} for tactic in known.tactics
        ],
        "techniques": techniques,
        "moved": moved,
        "unknown": sorted(unknown),
    }


def _name(id_: str | None) -> str:
    technique = None if id_ is None else enterprise_attack().techniques.get(id_)
    return "" if technique is None else technique.name


def _blind(notes: RunNotes) -> list[dict[str, Any]]:
    """What the run could not see: a title, a number, and the items."""
    told: list[dict[str, Any]] = []
    _by_reason(
        told,
        "Rules that cannot run on this data",
        ((one.rule, one.reason) for one in notes.statuses if not one.outcome.runnable),
    )
    partly = [
        (one.rule, text) for one in notes.statuses if one.outcome.runnable for text in one.partly
    ]
    _by_reason(told, "Rules that were blind on part of this data", partly)
    _by_reason(
        told,
        "Rules whose fields are empty in all events",
        ((one.rule, one.reason) for one in notes.statuses if one.outcome is Outcome.FIELDS_EMPTY),
    )
    if notes.refused:
        items = [
            _cut(f"{one.id} {one.title}: " + "; ".join(d.message for d in one.diagnostics[:3]), 500)
            for one in notes.refused
        ]
        _note(told, "Rules that were refused", len(items), items)
    if notes.left_out:
        items = [f"{number:,} {reason}" for reason, number in sorted(notes.left_out.items())]
        _note(told, "Rules that were left out", sum(notes.left_out.values()), items)
    stats = notes.stats
    if stats.unrecognised:
        lines = list(notes.unrecognised.lines(most=_ITEMS))
        _note(told, "Records that no field map recognises", stats.unrecognised, lines)
    if stats.without_fields:
        items = [f"{name}: {n:,}" for name, n in sorted(stats.without_fields.items())]
        title = "Events that were recognised and have no fields"
        _note(told, title, stats.without_fields.total(), items)
    if stats.late or stats.untimed:
        items = [f"{counted(stats.late, 'event')} too late"] * bool(stats.late)
        items += [f"{counted(stats.untimed, 'event')} without a time"] * bool(stats.untimed)
        _note(told, "Events that joins and groups could not use", stats.late + stats.untimed, items)
    for severity, title in (
        (Severity.ERROR, "Errors"),
        (Severity.WARNING, "Warnings"),
        (Severity.NOTE, "Notes"),
    ):
        items = [_finding(one) for one in notes.findings if one.severity is severity]
        if items:
            _note(told, f"{title} while evidence was read and rules ran", len(items), items)
    if notes.remarks:
        _note(told, "About this report", len(notes.remarks), list(notes.remarks))
    return told


def _by_reason(
    told: list[dict[str, Any]], title: str, statuses: Iterable[tuple[Rule, str]]
) -> None:
    groups: dict[str, list[str]] = {}
    for rule, reason in statuses:
        name = rule.id if rule.title == rule.id else f"{rule.title} ({rule.id})"
        groups.setdefault(reason, []).append(_cut(name, 300))
    if not groups:
        return
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    told.append(
        {
            "title": title,
            "number": len({name for names in groups.values() for name in names}),
            "groups": [
                {
                    "reason": _cut(reason, 1_000),
                    "number": len(names),
                    "items": sorted(names)[:_NAMED],
                }
                for reason, names in ranked[:_NAMED]
            ],
        }
    )


def _note(told: list[dict[str, Any]], title: str, number: int, items: Sequence[str]) -> None:
    told.append({"title": title, "number": number, "items": list(items[:_NAMED])})


def _finding(finding: Diagnostic) -> str:
    place = finding.origin or ""
    return _cut(f"{finding.code.id} {place}{': ' if place else ''}{finding.message}", 1_000)


def _cut(text: str, most: int = _TEXT) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
