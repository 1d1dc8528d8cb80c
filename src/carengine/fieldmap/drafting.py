"""A field map drafted from a log: what `carengine map new` writes.

The draft recognises the events it was made from, gives their own fields to rules for a log source,
and suggests CAR's kinds and fields with the sample that each was taken from. It is a beginning: a
person reads the comments and changes what is not right. It loads and runs as it is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from ..datamodel import model
from .observed import ObservedField, ObservedLog, Path
from .suggestions import is_time, kind_of_value, suggest

_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A text that means itself in the language, with no wildcard in it.
_PLAIN_VALUE = re.compile(r"[\w.:/@ +-]{1,80}", re.ASCII)
_TELLING = re.compile(
    r"^(?:event|type|action|op|operation|kind|category|verb|method|activity|name|eventname|"
    r"event_?type|event_?name|event_?action|msg_?type|record_?type)$",
    re.IGNORECASE,
)
_WORDS = frozenset(
    [
        *("and", "or", "not", "in", "like", "where", "exists", "null", "true", "false", "search"),
        *("output", "join", "group", "by", "with", "select", "is", "match", "matches", "contains"),
    ]
)
_MOST_KINDS = 40
_MOST_TERMS = 12
_MOST_LISTED = 200
_SAMPLE = 60


def draft_map(log: ObservedLog, name: str, source: str = "") -> str:
    """The text of a field map for a log. ``source`` is the log source (``product/service``) that
    rules name for it.

    >>> log = ObservedLog()
    >>> for op in ("proc.start", "billing"):
    ...     log.add({"app": "till", "op": op, "cmd": "sh -c id", "when": "2024-05-20T10:00:00Z"})
    >>> text = draft_map(log, "till")
    >>> from carengine.fieldmap import parse_map
    >>> [own] = parse_map(text)
    >>> [str(kind) for kind in own.kinds()], own.recognises({"app": "till", "op": "x", "cmd": "y"})
    (['process/create'], True)
    """
    usable = [f for f in log.fields.values() if written_path(f.path)]
    recognise, missed = _recognise(log, usable)
    times = sorted((f for f in usable if is_time(f)), key=lambda f: -f.events)
    telling = _telling(log, usable)
    lines = [
        f"# A field map for a log of {log.events:,} events, drafted by `carengine map new`.",
        "# It runs as it is. Read it through: what is not right is yours to change, and",
        "# `carengine map check` says what it gives and what it misses.",
        "",
        f"name: {name}",
        f"title: {_quoted(name + ' (drafted)')}",
        "# A field a.b is looked up as a key in a key, and as one key with a dot.",
        "dotted: both",
        "",
        "# By what an event is known to be of this log.",
    ]
    if missed:
        lines.append(f"# {missed:,} of the events have none of these fields.")
    lines += [f"recognise: {_quoted(recognise)}", ""]
    if times:
        lines += ["common:", f"  time: {_path_scalar(times[0])}  # {_sample(times[0])}", ""]
    else:
        lines += ["# No field was seen that has a time; a rule that joins events needs one:"]
        lines += ["# common: {time: FIELD}", ""]
    lines += [
        "# What Sigma's rules call this log: product/service or product/category. Their fields are",
        "# the log's own.",
        "logsources:",
        f"  - source: {source or name + '/events'}",
        f"    when: {_quoted(recognise)}",
        "",
    ]
    lines += _entries(log, usable, telling)
    lines += ["", "# All fields, with a sample of each:"]
    listed = sorted(log.fields.values(), key=lambda f: (-f.events, f.path))
    for one in listed[:_MOST_LISTED]:
        lines.append(f"#   {_shown('.'.join(one.path))}: {_sample(one)}, in {one.events:,}")
    more = len(listed) - _MOST_LISTED
    if more > 0 or log.left_out:
        lines.append(
            f"#   and {max(more, 0):,} more fields" + (" at least" if log.left_out else "")
        )
    return "\n".join(lines) + "\n"


def written_path(path: Path) -> str:
    """A path as an expression of a field map has it; empty where it cannot be written.

    >>> written_path(("a", "b c")), written_path(("where",))
    ('a.`b c`', '`where`')
    """
    parts = []
    for key in path:
        if not key or "`" in key or not key.isprintable() or len(key) > 200:
            return ""
        simple = _SIMPLE.fullmatch(key) is not None and key.lower() not in _WORDS
        parts.append(key if simple else f"`{key}`")
    return ".".join(parts)


def _recognise(log: ObservedLog, usable: Sequence[ObservedField]) -> tuple[str, int]:
    """A condition that holds of the events, and of how many it does not."""
    always = [f for f in usable if f.events == log.events]
    fixed = [f for f in always if _constant(f)]
    if fixed:
        best = min(fixed, key=lambda f: (len(f.path), f.path))
        others = [f for f in always if f is not best and len(f.path) == 1][:2]
        value = str(best.sample)
        terms = [f'{written_path(best.path)} = "{value}"']
        return " and ".join([*terms, *(f"{written_path(f.path)} exists" for f in others)]), 0
    if always:
        names = sorted(always, key=lambda f: (len(f.path), -len(f.path[-1]), f.path))[:4]
        return " and ".join(f"{written_path(f.path)} exists" for f in names), 0
    return _cover(log, usable)


def _cover(log: ObservedLog, usable: Sequence[ObservedField]) -> tuple[str, int]:
    """Fields of which each event has one."""
    left = Counter(log.looks)
    known = {f.path for f in usable}
    terms: list[str] = []
    while left and len(terms) < _MOST_TERMS:
        counts: Counter[Path] = Counter()
        for look, number in left.items():
            for path in look & known:
                counts[path] += number
        if not counts:
            break
        best = max(counts, key=lambda path: (counts[path], path))
        terms.append(f"{written_path(best)} exists")
        left = Counter({look: n for look, n in left.items() if best not in look})
    # Names that cannot be written leave nothing to go by.
    return " or ".join(terms) or "nothing_was_seen exists", left.total()


def _constant(seen: ObservedField) -> bool:
    if len(seen.values) != 1 or seen.many or is_time(seen):
        return False
    value = seen.sample
    return isinstance(value, str) and _PLAIN_VALUE.fullmatch(value) is not None


def _telling(log: ObservedLog, usable: Sequence[ObservedField]) -> ObservedField | None:
    """The field whose values tell kinds of events apart."""
    found = [
        f
        for f in usable
        if f.events * 10 >= log.events * 9
        and not f.many
        and 1 < len(f.values) <= _MOST_KINDS
        and (_TELLING.match(f.path[-1]) is not None or len(f.values) * 2 <= log.events)
        and all(isinstance(v, str) and _PLAIN_VALUE.fullmatch(v) for v in f.values)
        and not is_time(f)
    ]

    def score(seen: ObservedField) -> tuple[int, int, int, Path]:
        named = _TELLING.match(seen.path[-1]) is not None
        sounds = sum(bool(kind_of_value(str(value))) for value in seen.values)
        return (-int(named), -sounds, len(seen.path), seen.path)

    best = min(found, key=score, default=None)
    if best is not None and score(best)[:2] == (0, 0):
        return None
    return best


def _entries(
    log: ObservedLog, usable: Sequence[ObservedField], telling: ObservedField | None
) -> list[str]:
    """The entries of CAR's kinds, or why there are none."""
    head = [
        "# What CAR's analytics run on. `carengine fields` lists the kinds, `carengine fields",
        "# process/create` the fields of one.",
    ]
    if telling is None:
        return [
            *head,
            "# No field was seen that tells kinds of events apart. An entry is written so:",
            "# entries:",
            "#   - kind: process/create",
            '#     when: FIELD = "VALUE"',
            "#     fields: {command_line: FIELD}",
        ]
    path = written_path(telling.path)
    kinds: dict[str, list[str]] = {}
    for value, _ in telling.values.most_common():
        kinds.setdefault(kind_of_value(str(value)), []).append(str(value))
    body: list[str] = []
    for kind, values in kinds.items():
        suggested = suggest(model().objects[kind.partition("/")[0]], usable) if kind else {}
        if not suggested:
            continue
        number = sum(telling.values[value] for value in values)
        body += [
            f"  # {number:,} events; {_shown('.'.join(telling.path))} sounds like it. Is it?",
            f"  - kind: {kind}",
            f"    when: {_quoted(_among(path, values))}",
            "    fields:",
        ]
        body += [
            f"      {name}: {_path_scalar(seen)}  # {_sample(seen)}"
            for name, seen in suggested.items()
        ]
    rest = kinds.get("", [])
    if rest:
        listed = ", ".join(_shown(value) for value in rest[:20])
        body += [f"  # Of no kind that its name tells: {path} is {listed}"]
    started = any(not line.lstrip().startswith("#") for line in body)
    return [*head, "entries:" if started else "# entries:", *body]


def _among(path: str, values: Sequence[str]) -> str:
    if len(values) == 1:
        return f'{path} = "{values[0]}"'
    return f"{path} in [{', '.join(_text(value) for value in values)}]"


def _text(value: str) -> str:
    return f'"{value}"'


def _quoted(text: str) -> str:
    """A text as a YAML scalar in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def _path_scalar(seen: ObservedField) -> str:
    path = written_path(seen.path)
    return _quoted(path) if "`" in path or path.lower() in _YAML_WORDS else path


_YAML_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


def _shown(text: str) -> str:
    """A text from the log in a comment: one line, no control character."""
    shown = json.dumps(text)
    plain = shown[1:-1]
    cut = plain if len(plain) <= _SAMPLE else f"{plain[:_SAMPLE]}…"
    return cut if _SIMPLE.fullmatch(text.replace(".", "_")) else f'"{cut}"'


def _sample(seen: ObservedField) -> str:
    sample = seen.sample
    return _shown(sample) if isinstance(sample, str) else json.dumps(sample)


def map_name(wanted: str, taken: Iterable[str]) -> str:
    """A name for a map, made of a file's name: not one that is taken.

    >>> map_name("My App.2024.jsonl", ["my_app"])
    'my_app_log'
    """
    stem = re.sub(r"[^a-z0-9]+", "_", wanted.partition(".")[0].lower()).strip("_")
    name = stem if stem and stem[0].isalpha() else f"log_{stem}".rstrip("_")
    return f"{name}_log" if name in set(taken) | {"auto", "raw"} else name
