"""The condition of a Sigma rule: how its detections are put together.

``selection and not 1 of filter_*`` is read in one pass with a stack, never by recursion, and gives
an IR condition at once, from those of the detections. ``not`` binds tighter than ``and``, ``and``
tighter than ``or``.

Sigma knows true and false only: what cannot be decided is false, so that ``not selection`` is true
of an event that lacks the selection's field. Ours is three-valued, hence each negation asks whether
its operand *is true*: ``Not(IsTrue(x))``. Under ``and`` and ``or`` alone the two logics agree about
what is true.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ... import ir
from ...pattern import Pattern
from ...syntax import END, Token, TokenCursor

_TOKEN = re.compile(r"\s*(?:([()])|([A-Za-z0-9_*.-]+)|(\S))")
_MAX_LENGTH = 20_000
_MAX_DEPTH = 50
_BINDING = {"or": 1, "and": 2, "not": 3}


class ConditionError(ValueError):
    """What is wrong with a condition, and at which offset of its text."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start = start
        self.end = end


def negated(condition: ir.Condition) -> ir.Condition:
    """Sigma's ``not``: true where the condition is false or cannot be decided."""
    return ir.Not(ir.IsTrue(condition))


def parse_condition(text: str, detections: Mapping[str, ir.Condition]) -> ir.Condition:
    """The condition that a text means over named detections.

    Raises `ConditionError` with the place in the text.

    >>> parse_condition("a or b", {"a": ir.Truth(True), "b": ir.Truth(None)})
    Or(items=(Truth(value=True), Truth(value=None)))
    """
    return SigmaConditionReader(text, detections).read()


class SigmaConditionReader:
    """Operators wait on one stack until their operands, on the other, are complete."""

    def __init__(self, text: str, detections: Mapping[str, ir.Condition]) -> None:
        self.text = text
        self.detections = detections
        self.operands: list[ir.Condition] = []
        self.waiting: list[tuple[str, int]] = []

    def read(self) -> ir.Condition:
        """The condition. Raises `ConditionError`."""
        if len(self.text) > _MAX_LENGTH:
            raise ConditionError(f"it is longer than {_MAX_LENGTH} characters", 0, 0)
        cursor = TokenCursor(self._tokens(), ConditionError)
        wanted = True  # an operand has to come next
        while cursor.left:
            token = cursor.take()
            word, start = token.text, token.start
            lower = word.lower() if word not in self.detections else word
            if wanted:
                if lower == "not":
                    self._wait("not", start)
                elif word == "(":
                    self._wait("(", start)
                elif word == ")" or lower in ("and", "or"):
                    raise cursor.error(f"a detection is missing before {word}", token)
                elif cursor.left > 1 and cursor.next.text.lower() == "of":
                    cursor.take()
                    pattern = cursor.take()
                    self.operands.append(self._several(lower, pattern.text, start, pattern.end))
                    wanted = False
                else:
                    self.operands.append(self._one(word, start, token.end))
                    wanted = False
            elif lower in ("and", "or"):
                self._reduce(_BINDING[lower])
                self._wait(lower, start)
                wanted = True
            elif word == ")":
                self._reduce(0)
                if not self.waiting:
                    raise cursor.error("this parenthesis closes none", token)
                self.waiting.pop()
            else:
                raise cursor.error(f"`and` or `or` is missing before {word}", token)
        if wanted:
            raise ConditionError(
                "a detection is missing at the end", len(self.text), len(self.text)
            )
        self._reduce(0)
        if self.waiting:
            start = self.waiting[-1][1]
            raise ConditionError("this parenthesis is never closed", start, start + 1)
        [condition] = self.operands
        return condition

    def _tokens(self) -> list[Token]:
        tokens = []
        end = len(self.text.rstrip())
        place = 0
        while place < end:
            token = _TOKEN.match(self.text, place, end)
            assert token is not None
            place = token.end()
            if token[3] == "|":
                message = (
                    "an aggregation behind | stands in a rule with one condition; a correlation rule "
                    "says the same"
                )
                raise ConditionError(message, token.start(3), place)
            if token[3]:
                raise ConditionError(f"{token[3]} means nothing here", token.start(3), place)
            group = 1 if token[1] else 2
            kind = "sign" if token[1] else "word"
            tokens.append(Token(kind, token[group], token.start(group), place))
        return [*tokens, Token(END, "", end, end)]

    def _wait(self, operator: str, start: int) -> None:
        if len(self.waiting) >= _MAX_DEPTH:
            raise ConditionError("it is nested too deeply", start, start + 1)
        self.waiting.append((operator, start))

    def _reduce(self, binding: int) -> None:
        """Apply the waiting operators that bind at least as tightly."""
        while self.waiting and _BINDING.get(self.waiting[-1][0], -1) >= max(binding, 1):
            operator, _ = self.waiting.pop()
            right = self.operands.pop()
            if operator == "not":
                self.operands.append(negated(right))
                continue
            left = self.operands.pop()
            kind = ir.And if operator == "and" else ir.Or
            before = left.items if isinstance(left, kind) else (left,)
            self.operands.append(kind((*before, right)))

    def _one(self, name: str, start: int, end: int) -> ir.Condition:
        found = self.detections.get(name)
        if found is None:
            raise ConditionError(f"there is no detection {name}", start, end)
        return found

    def _several(self, quantifier: str, pattern: str, start: int, end: int) -> ir.Condition:
        if quantifier not in ("1", "any", "all"):
            message = f"`{quantifier} of` is none of `1 of`, `any of`, `all of`"
            raise ConditionError(message, start, end)
        if pattern == "them":
            names = [name for name in self.detections if not name.startswith("_")]
        else:
            wanted = Pattern(pattern, cased=True)
            names = [
                name
                for name in self.detections
                if wanted.matches(name) and (pattern.startswith("_") or not name.startswith("_"))
            ]
        if not names:
            raise ConditionError(f"no detection is called {pattern}", start, end)
        items = tuple(self.detections[name] for name in names)
        if len(items) == 1:
            return items[0]
        return ir.And(items) if quantifier == "all" else ir.Or(items)
