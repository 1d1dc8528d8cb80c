"""Repeats that are reported once: ``rule, hostname for 1 hour``.

Matches are alike when they agree in every field of the key, text compared without case. After one
is reported, those like it are held back whose time is within the period of that one's::

    key: rule, hostname   period: 1 hour
    10:00 A web1   reported
    10:10 A web1   suppressed
    10:20 A web2   reported       another host
    10:59 A web1   suppressed
    11:01 A web1   reported       an hour after the one at 10:00

``rule`` and ``output`` are the rule's id and the output's name; any other name is a CAR field, a
column of the match or a field of its first event that has it. A match that lacks one of the fields,
or has no time, is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from attrs import define, field, frozen

from ..datamodel import model, nearest
from ..diagnostics import Block, CarError, Diagnostic, Span, codes
from ..engine import Match
from ..pattern import fold
from ..values import repr_of, text_of

_OWN = ("rule", "output")
# Keys come from the evidence. So many are remembered; the oldest is forgotten first.
_REMEMBERED = 100_000


@frozen
class Suppression:
    """One way of being alike: the fields of the key, the period in microseconds, the rules it is
    for (patterns)."""

    by: tuple[str, ...]
    period: int
    rules: tuple[str, ...] = ("*",)
    name: str = ""


def parse_suppression(text: str) -> Suppression:
    """The suppression that a text such as ``rule, hostname for 1 hour`` asks for.

    Raises `CarError` with the place in the text.

    >>> parse_suppression("rule, hostname for 1 hour").by
    ('rule', 'hostname')
    """
    block = Block.of(text, "<suppress>")
    keys, word, period = text.rpartition(" for ")
    if not word:
        raise CarError(
            [_wrong("a suppression is `FIELD, FIELD for PERIOD`", block.span(0, len(text)))]
        )
    at = len(keys) + len(word)
    length = period_of(period, block.span(at, len(text)))
    names: list[str] = []
    place = 0
    for part in keys.split(","):
        start = place + len(part) - len(part.lstrip())
        name = part.strip()
        names.append(key_name(name, block.span(start, start + len(name))))
        place += len(part) + 1
    return Suppression(tuple(dict.fromkeys(names)), length, name=text.strip())


def key_name(name: str, span: Span) -> str:
    """A field of a key in the data model's spelling; raises `CarError` for one that nothing has."""
    if name in _OWN or name.startswith("proto_info."):
        return name
    if name == "time":
        raise CarError([_wrong("the period is about time already; it cannot be in the key", span)])
    found = {
        spec.name for item in model().objects.values() if (spec := item.field(name)) is not None
    }
    if found:
        return min(found)
    known = {field for item in model().objects.values() for field in item.fields}
    from ..resolve import suggestion

    fix = suggestion(nearest(name, sorted(known | set(_OWN)), 3), span)
    message = f"no CAR object has a field {name or 'without a name'}"
    raise CarError([Diagnostic(codes.BAD_TUNING, message, span, fix=fix)])


def period_of(text: str, span: Span) -> int:
    """A period in microseconds; raises `CarError`."""
    from ..syntax import ast, parse_value

    expression, _ = parse_value(text)
    if isinstance(expression, ast.DurationLiteral) and expression.microseconds > 0:
        return expression.microseconds
    raise CarError([_wrong("a period is a number and a unit: 30 minutes, 1 hour, 2 days", span)])


def _wrong(message: str, span: Span) -> Diagnostic:
    return Diagnostic(codes.BAD_TUNING, message, span)


@define
class Repeats:
    """What one suppression has reported lately."""

    suppression: Suppression
    forgotten: int = 0
    _last: dict[bytes, int] = field(factory=dict)

    def holds_back(self, match: Match) -> bool:
        """Whether a match is like one that was reported within the period."""
        if match.time is None or (key := self._key(match)) is None:
            return False
        last = self._last.get(key)
        return last is not None and abs(match.time - last) <= self.suppression.period

    def reported(self, match: Match) -> None:
        """Note that a match is reported."""
        if match.time is None or (key := self._key(match)) is None:
            return
        self._last.pop(key, None)
        if len(self._last) >= _REMEMBERED:
            del self._last[next(iter(self._last))]
            self.forgotten += 1
        self._last[key] = match.time

    def save(self) -> list[Any]:
        """What it remembers as plain data."""
        return [self.forgotten, [[key.hex(), time] for key, time in self._last.items()]]

    def load(self, data: Any) -> None:
        """Remember what `save` gave."""
        self.forgotten, last = data
        self._last = {bytes.fromhex(key): time for key, time in last}

    def _key(self, match: Match) -> bytes | None:
        """The key as a short digest: its texts can be as long as a sender likes."""
        digest = blake2b(digest_size=16)
        for name in self.suppression.by:
            text = _value(match, name)
            if text is None:
                return None
            part = fold(text).encode("utf-8", "surrogatepass")
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


def _value(match: Match, name: str) -> str | None:
    if name == "rule":
        return match.rule.id
    if name == "output":
        return match.output
    rows: list[Mapping[str, Any]] = [match.fields, *(event.fields for event in match.events)]
    for fields in rows:
        value = fields.get(name)
        if value is not None:
            return text_of(value) or repr_of(value)
    return None
