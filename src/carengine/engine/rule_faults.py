"""Rules that a fault of the program's own befell while events went by.

A run has thousands of rules of strangers. What goes wrong at one of them costs that rule, and its
matches; the others have the same matches as without it. So each step that works for a single rule
is tried for all of them together, and where that fails once more for each by itself: the one that
fails is noted here, and told in the end (CE312).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field

from ..diagnostics import Diagnostic, codes, counted, fault
from ..rule import Rule

RuleKey = tuple[str, str]
"""A rule's id, and the file that it is from."""

_NOTE = "this is a fault of carengine and not of the rule; all else went on"


@define(eq=False)
class LeftOut:
    """The rules that could not be made ready, or that were given up: with what was said of the
    first fault of each."""

    reasons: dict[RuleKey, str] = field(factory=dict)

    def note(self, rules: Iterable[Rule], what: str, error: Exception) -> None:
        """Note what could not be done for these rules: ``the compiling``."""
        for rule in rules:
            message = fault(f"{what} of {rule.id}", error).message
            self.reasons.setdefault((rule.id, rule.path), message)

    def __contains__(self, rule: object) -> bool:
        return isinstance(rule, Rule) and (rule.id, rule.path) in self.reasons


@define(eq=False)
class RuleFaults:
    """What befell rules in a session.

    ``left_out`` are rules of which a part is left out from there on; ``events`` counts the events
    of which a rule could not be decided, and ``reasons`` has what was said of the first.
    """

    left_out: LeftOut = field(factory=LeftOut)
    events: Counter[RuleKey] = field(factory=Counter)
    reasons: dict[RuleKey, str] = field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self.left_out.reasons or self.events)

    def note_event(self, rules: Iterable[Rule], error: Exception) -> None:
        """Count an event of which these rules could not be decided."""
        concerned = list(rules)
        for rule in concerned:
            key = (rule.id, rule.path)
            self.events[key] += 1
            self.reasons.setdefault(key, fault(f"the matching of {rule.id}", error).message)
        if not concerned:
            self.events["", ""] += 1
            self.reasons.setdefault(("", ""), fault("the matching of an event", error).message)

    def diagnostics(self) -> list[Diagnostic]:
        """What there is to say of it (CE312), by rule."""
        said = [
            Diagnostic(codes.PASS_FAILED, message, origin=path, notes=(_NOTE,))
            for (_, path), message in sorted(self.left_out.reasons.items())
        ]
        for key, number in sorted(self.events.items()):
            note = f"{counted(number, 'event')} could not be decided for it"
            if not key[0]:
                note = f"each rule was asked by itself, of {counted(number, 'event')}"
            message = self.reasons[key]
            said.append(Diagnostic(codes.PASS_FAILED, message, origin=key[1], notes=(note, _NOTE)))
        return said

    def as_data(self) -> list[list[Any]]:
        """The counts as plain data; what is left out has none."""
        left_out = self.left_out.reasons.items()
        return [
            *([*key, message, 0] for key, message in left_out),
            *([*key, self.reasons[key], number] for key, number in self.events.items()),
        ]

    def add(self, data: Iterable[Any]) -> None:
        """Take over what `as_data` gave."""
        for id_, path, message, number in data:
            key = (str(id_), str(path))
            if number:
                self.events[key] += int(number)
                self.reasons.setdefault(key, str(message))
            else:
                self.left_out.reasons.setdefault(key, str(message))


def since(data: Iterable[list[Any]], before: Mapping[Any, int]) -> list[list[Any]]:
    """What has come to `RuleFaults.as_data` since it had these counts."""
    return [
        [*key, number - before.get(tuple(key), 0)]
        for *key, number in data
        if tuple(key) not in before or number > before[tuple(key)]
    ]
