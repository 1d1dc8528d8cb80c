"""OpenTelemetry's log records, as OTLP writes them in JSON.

A record stands inside its scope and its resource, and its attributes are lists of keys with typed
values. It becomes an event whose attributes are plain mappings::

    {"resource": {"attributes": [{"key": "host.name", "value": {"stringValue": "web1"}}]},
     "scopeLogs": [{"scope": {"name": "app"}, "logRecords": [
       {"timeUnixNano": "1716190872000000000", "severityText": "ERROR",
        "body": {"stringValue": "exec failed"},
        "attributes": [{"key": "http.status", "value": {"intValue": "500"}}]}]}]}

    {"timestamp": 1716190872.0, "severity_text": "ERROR", "message": "exec failed",
     "attributes": {"http.status": 500}, "resource": {"host.name": "web1"}, "scope": {"name":
     "app"}}

A body that is a mapping stays one, as ``body``. Source: OpenTelemetry Protocol 1.3, "JSON Protobuf
Encoding", https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

from typing import Any

RESOURCE_KEYS = frozenset({"resource", "scopeLogs", "schemaUrl"})
"""The keys of an element of ``resourceLogs``."""

_RENAMED = {
    "severityText": "severity_text",
    "severityNumber": "severity_number",
    "traceId": "trace_id",
    "spanId": "span_id",
    "eventName": "event_name",
}
# Deeper values are left as OTLP writes them.
_DEPTH = 32


def log_records(part: dict[str, Any]) -> list[Any]:
    """The events in one element of ``resourceLogs``. What is no record is given as it is."""
    resource = part.get("resource")
    common = _attributes(resource.get("attributes")) if isinstance(resource, dict) else {}
    events: list[Any] = []
    scopes = part.get("scopeLogs")
    for scope_logs in scopes if isinstance(scopes, list) else []:
        if not isinstance(scope_logs, dict):
            events.append(scope_logs)
            continue
        scope = scope_logs.get("scope")
        records = scope_logs.get("logRecords")
        for record in records if isinstance(records, list) else []:
            events.append(_event(record, common, scope) if isinstance(record, dict) else record)
    return events


def _event(record: dict[str, Any], resource: dict[str, Any], scope: Any) -> dict[str, Any]:
    event: dict[str, Any] = {}
    for name in ("timeUnixNano", "observedTimeUnixNano"):
        if (time := _seconds(record.get(name))) is not None:
            event["timestamp"] = time
            break
    for key, value in record.items():
        match key:
            case "timeUnixNano" | "observedTimeUnixNano":
                pass
            case "attributes":
                event["attributes"] = _attributes(value)
            case "body":
                body = _value(value)
                event["message" if isinstance(body, str) else "body"] = body
            case _:
                event[_RENAMED.get(key, key)] = value
    event["resource"] = resource
    if isinstance(scope, dict) and scope:
        event["scope"] = scope
    return event


def _seconds(nanoseconds: Any) -> float | None:
    """A time in seconds, from nanoseconds as a number or as a text; None where there is none."""
    text = str(nanoseconds)
    if not text.isascii() or not text.isdigit() or len(text) > 20 or not int(text):
        return None
    return int(text) / 1_000_000_000


def _attributes(pairs: Any) -> dict[str, Any]:
    if not isinstance(pairs, list):
        return {}
    return {
        str(pair.get("key", "")): _value(pair.get("value"))
        for pair in pairs
        if isinstance(pair, dict)
    }


def _value(value: Any, depth: int = 0) -> Any:
    """The value in one of OTLP's typed wrappers."""
    if not isinstance(value, dict) or len(value) != 1 or depth > _DEPTH:
        return value
    ((kind, inner),) = value.items()
    match kind, inner:
        case "intValue", str() if len(inner) <= 20 and inner.lstrip("-").isdigit():
            return int(inner)
        case "arrayValue", {"values": list(values)}:
            return [_value(item, depth + 1) for item in values]
        case "kvlistValue", {"values": list(pairs)}:
            return {
                str(pair.get("key", "")): _value(pair.get("value"), depth + 1)
                for pair in pairs
                if isinstance(pair, dict)
            }
        case (
            "stringValue"
            | "intValue"
            | "doubleValue"
            | "boolValue"
            | "bytesValue"
            | "arrayValue"
            | "kvlistValue",
            _,
        ):
            return inner
        case _:
            return value
