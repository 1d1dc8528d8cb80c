"""Matches as JSON: carengine's own lines, Elastic's Common Schema, OCSF's Detection Finding.

Sources: https://www.elastic.co/docs/reference/ecs (rule, threat, event, host, user, log fields);
https://github.com/ocsf/ocsf-schema, ``events/findings/detection_finding.json`` and the objects that
it names, version 1.4.0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ..datamodel import model
from ..engine import Match, MatchedEvent
from ..values import format_time
from .match_row import MatchRow, ReportedEvent

OCSF_VERSION = "1.4.0"
_SEVERITY = {"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_RISK = {"informational": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}


def as_json_line(row: MatchRow, *, raw: bool) -> dict[str, Any]:
    """A match as carengine's own JSON lines have it.

    An event's ``fields`` are its CAR view. Of an event of a log source, whose fields are the log's
    own, ``fields`` has what the rule reads where ``event`` has all of them; without ``raw`` it has
    all.
    """
    match = row.match
    data: dict[str, Any] = {
        "time": _time(row.time),
        "host": row.host or None,
        "user": row.user or None,
        "rule": {
            "id": row.rule.id,
            "title": row.rule.title,
            "level": row.rule.metadata.level or None,
            "attack": list(row.rule.attack),
        },
        "output": match.output,
    }
    if match.keys:
        data["group"] = {name: match.shown(name, value) for name, value in match.keys.items()}
    if match.fields:
        data["fields"] = {name: match.shown(name, value) for name, value in match.fields.items()}
    data["events"] = [_event(event, raw=raw) for event in row.events]
    return data


def _event(row: ReportedEvent, *, raw: bool) -> dict[str, Any]:
    event = row.event
    data: dict[str, Any] = {"stream": row.stream} if row.stream else {}
    read = [value.name for value in row.values if value.read]
    of_log_source = model().object(event.kind.object) is None
    native = raw and of_log_source
    data |= {
        "time": _time(row.time),
        "host": row.host or None,
        "user": row.user or None,
        "source": row.source or None,
        "record": row.record,
        "object": event.kind.object,
        "action": event.kind.action,
        "reads": read,
        "fields": {name: event.fields.get(name) for name in read} if native else dict(event.fields),
    }
    if event.also:
        data["also"] = [other_record(one, raw=raw) for one in event.also]
    if raw:
        data["event"] = event.event
    return data


def other_record(event: MatchedEvent, *, raw: bool) -> dict[str, Any]:
    """A record of another sensor that tells of the same."""
    data: dict[str, Any] = {
        "time": _time(event.time),
        "source": None if event.origin is None else event.origin.source or None,
        "record": None if event.origin is None else event.origin.record,
        "fields": dict(event.fields),
    }
    if raw:
        data["event"] = event.event
    return data


def message_of(row: MatchRow) -> str:
    """A match in a line: the rule's title, and what decided."""
    values = [value for event in row.events for value in event.values if value.read]
    told = "; ".join(f"{value.name}={value.text}" for value in (*row.columns, *values))
    return f"{row.rule.title}: {told}" if told else row.rule.title


def as_ecs(row: MatchRow, *, raw: bool) -> dict[str, Any]:
    """A match as a document of the Elastic Common Schema, an event of kind ``alert``."""
    rule, metadata = row.rule, row.rule.metadata
    data: dict[str, Any] = {
        "@timestamp": _time(row.time),
        "ecs": {"version": "8.12.0"},
        "message": message_of(row),
        "event": {
            "kind": "alert",
            "id": identity(row.match),
            "provider": "carengine",
            "severity": _RISK.get(metadata.level, 0),
        },
        "rule": _without_none(
            {
                "id": rule.id,
                "name": rule.title,
                "description": metadata.description or None,
                "author": [metadata.author] if metadata.author else None,
                "reference": metadata.references[0] if metadata.references else None,
            }
        ),
    }
    if row.host:
        data["host"] = {"name": row.host}
    if row.user:
        domain, slash, name = row.user.rpartition("\\")
        data["user"] = {"name": name, "domain": domain} if slash and domain else {"name": row.user}
    techniques, tactics = _attack(row)
    if techniques:
        data["threat"] = _ecs_threat(techniques, tactics)
    if row.events and row.events[0].source:
        data["log"] = {"file": {"path": row.events[0].source}}
    data["carengine"] = {
        "level": metadata.level or None,
        "output": row.match.output,
        "columns": {value.name: value.text for value in row.columns},
        "events": [_event(event, raw=raw) for event in row.events],
    }
    return data


def _ecs_threat(
    techniques: list[tuple[str, str]], tactics: list[tuple[str, str]]
) -> dict[str, Any]:
    """Tactics, techniques, and sub-techniques apart from them, as ECS has fields for each."""
    from ..attack import enterprise_attack

    known = enterprise_attack().techniques
    parents: dict[str, str] = {}
    for id_, name in techniques:
        parent = id_.partition(".")[0]
        found = known.get(parent)
        parents[parent] = found.name if found else name if parent == id_ else parent
    below = [(id_, name) for id_, name in techniques if "." in id_]
    technique: dict[str, Any] = {"id": list(parents), "name": list(parents.values())}
    if below:
        technique["subtechnique"] = {
            "id": [id_ for id_, _ in below],
            "name": [name for _, name in below],
        }
    return {
        "framework": "MITRE ATT&CK",
        "technique": technique,
        "tactic": {"id": [id_ for id_, _ in tactics], "name": [name for _, name in tactics]},
    }


def as_ocsf(row: MatchRow, *, raw: bool) -> dict[str, Any]:
    """A match as a Detection Finding (class 2004) of OCSF. Times are milliseconds since 1970.

    OCSF requires a time: a match without one says 0, and why, in ``status_detail``.
    """
    rule, metadata = row.rule, row.rule.metadata
    times = [event.time for event in row.events if event.time is not None]
    severity = _SEVERITY.get(metadata.level, 0)
    finding: dict[str, Any] = {
        "uid": identity(row.match),
        "title": rule.title,
        "analytic": {"type_id": 1, "type": "Rule", "uid": rule.id, "name": rule.title},
    }
    if metadata.description:
        finding["desc"] = metadata.description
    if times:
        finding |= {
            "first_seen_time": min(times) // 1000,
            "last_seen_time": max(times) // 1000,
        }
    attacks = _ocsf_attacks(row)
    if attacks:
        finding["attacks"] = attacks
    data: dict[str, Any] = {
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200401,
        "time": 0 if row.time is None else row.time // 1000,
        "severity_id": severity,
        "severity": metadata.level.capitalize() if severity else "Unknown",
        "status_id": 1,
        "status": "New",
        "is_alert": True,
        "message": message_of(row),
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "carengine", "vendor_name": "carengine"},
        },
        "finding_info": finding,
        "evidences": [_evidence(event, raw=raw) for event in row.events],
    }
    if row.time is None:
        data["status_detail"] = "the events of this match have no time"
    if row.columns:
        data["unmapped"] = {value.name: value.text for value in row.columns}
    return data


def _evidence(event: ReportedEvent, *, raw: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"data": _event(event, raw=raw)}
    if event.host:
        found["device"] = {"type_id": 0, "hostname": event.host}
    if event.user:
        found["user"] = {"name": event.user}
    return found


def identity(match: Match) -> str:
    """An id of a match that is the same whenever the same evidence is read by the same rule."""
    text = [match.rule.id, match.output, str(match.time)]
    for event in match.events:
        origin = event.origin
        text += ["", ""] if origin is None else [origin.source, str(origin.record)]
        text.append(event.stream)
    text += [f"{name}={value}" for name, value in match.columns.items()]
    joined = "\0".join(text).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()[:32]


def _attack(row: MatchRow) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The techniques and tactics of a rule, by id and name; tactics that it states, or else those
    of the techniques."""
    from ..attack import enterprise_attack

    known = enterprise_attack()
    techniques, tactics = [], {}
    for id_ in row.rule.attack:
        technique = known.techniques.get(id_)
        techniques.append((id_, technique.name if technique else id_))
        for tactic_id in technique.tactics if technique else ():
            tactic = known.tactic(tactic_id)
            if tactic is not None:
                tactics[tactic.id] = tactic.name
    return techniques, list(tactics.items())


def _ocsf_attacks(row: MatchRow) -> list[dict[str, Any]]:
    from ..attack import enterprise_attack

    known = enterprise_attack()
    found = []
    for id_ in row.rule.attack:
        parent = id_.partition(".")[0]
        technique = known.techniques.get(parent)
        one: dict[str, Any] = {
            "version": known.version,
            "technique": {"uid": parent, "name": technique.name if technique else parent},
        }
        if "." in id_:
            sub = known.techniques.get(id_)
            one["sub_technique"] = {"uid": id_, "name": sub.name if sub else id_}
        tactics = [known.tactic(tactic) for tactic in technique.tactics] if technique else []
        # One for each tactic: the list of them is deprecated since OCSF 1.1.
        found += [
            {**one, "tactic": {"uid": tactic.id, "name": tactic.name}}
            for tactic in tactics
            if tactic is not None
        ] or [one]
    return found


def _time(time: int | None) -> str | None:
    return None if time is None else format_time(time)


def _without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}
