"""From conditions of three truth values to those of two: what has to hold of the log's own fields.

Two questions are asked instead of one: ``true_of`` gives what says when a condition is true,
``false_of`` what says when it is false. Under ``not`` they change places. Functions of field maps
are gone too, because each has a preimage (``functions``): what has to hold of the argument for the
result to match. What is made holds of exactly the events of which the condition is true, which the
tests check with the reference evaluator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any as Anything
from typing import assert_never

from attrs import evolve

from ... import ir
from ...evaluate import NoContext, RawRow, holds, is_fixed
from ...pattern import Pattern
from ...values import number_of, text_of
from .. import map_functions
from ..translation import PRESENCE, Findings
from .nodes import AtomHolds, Case, Const, IsPresent, TwoValued, all_of, any_of, negation_of

# What one value can be in different cases; maps made to exhaust memory stop here.
_MAX_CASES = 64


class TwoValuedRewriter:
    """Makes formulas of conditions. ``findings`` is told what is not exact and what cannot be said.

    ``functions`` are those of field maps that the target can compute itself, where they are
    compared with other fields. ``presence`` says that it tells a field that holds null from one
    that is not there.
    """

    def __init__(
        self,
        findings: Findings,
        functions: frozenset[str] = frozenset(),
        *,
        presence: bool = False,
    ) -> None:
        self.findings = findings
        self.functions = functions
        self.presence = presence

    def true_of(self, condition: ir.Condition) -> TwoValued:
        """When the condition is true."""
        return self.where(condition, ir.Goal.TRUE)

    def false_of(self, condition: ir.Condition) -> TwoValued:
        """When the condition is false: not when it is unknown."""
        return self.where(condition, ir.Goal.FALSE)

    def where(self, condition: ir.Condition, goal: ir.Goal) -> TwoValued:
        """When the condition is what it has to be."""
        match ir.demand(condition, goal):
            case ir.EveryOf(items, each):
                return all_of(self.where(item, each) for item in items)
            case ir.OneOf(items, each):
                return any_of(self.where(item, each) for item in items)
            case ir.Decided(met):
                return Const(met)
            case ir.AtomGoal(atom, ir.Goal.TRUE):
                return self._true_of_atom(atom)
            case ir.AtomGoal(atom, ir.Goal.FALSE):
                return self._false_of_atom(atom)
            case ir.AtomGoal(atom, ir.Goal.NOT_TRUE):
                return negation_of(self._true_of_atom(atom))
            case ir.AtomGoal(atom):
                return negation_of(self._false_of_atom(atom))

    def _true_of_atom(self, atom: ir.Atom) -> TwoValued:
        match atom:
            case ir.IsNull(value):
                return self.null(value)
            case ir.RawMatch() | ir.RawRegex():
                return AtomHolds(atom)
            case ir.Rank():
                self.findings.refuse("a rank over a stream", atom.span)
            case ir.Match() | ir.Regex() | ir.InNetwork():
                return self._of_cases(atom.value, lambda v: self._tested(atom, v))
            case ir.Compare(left, _, right):
                return self._of_pairs(left, right, lambda a, b: self._compared(atom, a, b))
            case ir.Occurs(needle, haystack):
                return self._of_pairs(needle, haystack, lambda a, b: self._occurs(atom, a, b))
            case _:
                assert_never(atom)

    def _false_of_atom(self, atom: ir.Atom) -> TwoValued:
        match atom:
            case ir.RawMatch() | ir.RawRegex():
                return negation_of(self._true_of_atom(atom))
            case ir.IsNull(value):
                return self.there(value)
            case ir.Rank():
                return self._true_of_atom(atom)
            case ir.Match() | ir.Regex() | ir.InNetwork():
                return all_of((self.there(atom.value), negation_of(self._true_of_atom(atom))))
            case ir.Compare(left, relation, right):
                negated = relation.negated
                if negated is not None:
                    return self._true_of_atom(evolve(atom, relation=negated))
                both = (self.there(left), self.there(right))
                return all_of((*both, negation_of(self._true_of_atom(atom))))
            case ir.Occurs(needle, haystack):
                both = (self.there(needle), self.there(haystack))
                return all_of((*both, negation_of(self._true_of_atom(atom))))
            case _:
                assert_never(atom)

    # Null and not null

    def there(self, value: ir.Value) -> TwoValued:
        """When a value is not null."""
        return any_of(all_of((guard, self._simple_there(v))) for guard, v in self.cases(value))

    def null(self, value: ir.Value) -> TwoValued:
        """When a value is null."""
        return negation_of(self.there(value))

    def _simple_there(self, value: ir.Value) -> TwoValued:
        match value:
            case ir.Constant(constant):
                return Const(constant is not None)
            case ir.Moment() | ir.Duration():
                return Const(True)
            case ir.Raw(_, empty):
                plain = evolve(value, empty=())
                if not empty:
                    return IsPresent(plain)
                texts = tuple(Pattern.literal(text, cased=True) for text in empty)
                return all_of((IsPresent(plain), negation_of(AtomHolds(ir.Match(plain, texts)))))
            case ir.Presence(ir.Raw() as of):
                if not self.presence:
                    self.findings.differs(PRESENCE)
                return IsPresent(of, with_null=self.presence)
            case ir.Call():
                return map_functions.is_present(self, value)
            case _:
                self.findings.refuse(f"whether {_described(value)} is null")

    # Cases

    def cases(self, value: ir.Value) -> list[Case]:
        """The simpler values that a value is, each with the guard under which it is."""
        match value:
            case ir.Call():
                made = map_functions.cases_of(self, value)
            case _:
                made = [(Const(True), value)]
        if len(made) > _MAX_CASES:
            self.findings.refuse(f"a value of more than {_MAX_CASES} cases")
        return [(guard, v) for guard, v in made if guard != Const(False)]

    def _of_cases(self, value: ir.Value, test: Callable[[ir.Value], TwoValued]) -> TwoValued:
        return any_of(all_of((guard, test(v))) for guard, v in self.cases(value))

    def _of_pairs(
        self, left: ir.Value, right: ir.Value, test: Callable[[ir.Value, ir.Value], TwoValued]
    ) -> TwoValued:
        return any_of(
            all_of((a_guard, b_guard, test(a, b)))
            for a_guard, a in self.cases(left)
            for b_guard, b in self.cases(right)
        )

    # Atoms over simple values

    def _tested(self, atom: ir.Match | ir.Regex | ir.InNetwork, value: ir.Value) -> TwoValued:
        match value:
            case ir.Constant() | ir.Moment() | ir.Duration():
                fixed = evolve(atom, value=value)
                return Const(holds(fixed, RawRow({}), NoContext()) is True)
            case ir.Raw():
                return self._of_raw(atom, value)
            case ir.Call():
                match atom:
                    case ir.Match(_, patterns):
                        return any_of(
                            map_functions.matches(self, value, p, atom.span) for p in patterns
                        )
                    case ir.Regex():
                        return map_functions.finds(self, value, atom)
                    case _:
                        self.findings.refuse(
                            f"whether {_described(value)} is in a network", atom.span
                        )
            case _:
                self.findings.refuse(f"a test of {_described(value)}", atom.span)

    def _of_raw(self, atom: ir.Match | ir.Regex | ir.InNetwork, value: ir.Raw) -> TwoValued:
        plain = evolve(value, empty=(), type=ir.Type.ANY)
        made = evolve(atom, value=plain)
        if isinstance(made, ir.Match) and not made.patterns:
            return Const(False)
        hit = [t for t in value.empty if holds(made, RawRow(_nested(plain.path, t)), NoContext())]
        if not hit:
            return AtomHolds(made)
        texts = tuple(Pattern.literal(text, cased=True) for text in hit)
        return all_of((AtomHolds(made), negation_of(AtomHolds(ir.Match(plain, texts)))))

    def _compared(self, atom: ir.Compare, left: ir.Value, right: ir.Value) -> TwoValued:
        if ir.Constant(None) in (left, right):
            return Const(False)
        if is_fixed(left) and is_fixed(right):
            fixed = evolve(atom, left=left, right=right)
            return Const(holds(fixed, RawRow({}), NoContext()) is True)
        if is_fixed(left):
            left, right = right, left
            atom = evolve(atom, relation=atom.relation.mirrored)
        if isinstance(right, ir.Constant) and atom.relation is ir.Relation.EQUAL:
            text = _compared_as_text(right.value, atom.type)
            if text is not None:
                as_text = ir.Match(left, (Pattern.literal(text),), atom.span)
                return self._tested(as_text, left)
        a, a_guard = self._operand(left, atom)
        b, b_guard = self._operand(right, atom)
        test = AtomHolds(evolve(atom, left=a, right=b))
        return all_of((a_guard, b_guard, any_of((test, self._hexadecimal(atom, a, b)))))

    def _hexadecimal(self, atom: ir.Compare, left: ir.Value, right: ir.Value) -> TwoValued:
        """That a whole number stands there as 0x1f, which integers of CAR often do and other
        products do not read."""
        match left, right:
            case ir.Raw(), ir.Constant(value) if (
                atom.type is ir.Type.INTEGER and atom.relation is ir.Relation.EQUAL
            ):
                number = number_of(value, hexadecimal=True)
                if isinstance(number, int) and number >= 0:
                    plain = evolve(left, type=ir.Type.ANY)
                    return AtomHolds(
                        ir.Match(plain, (Pattern.literal(f"0x{number:x}"),), atom.span)
                    )
        return Const(False)

    def _operand(self, value: ir.Value, atom: ir.Compare | ir.Occurs) -> tuple[ir.Value, TwoValued]:
        """A side of a comparison without empty texts, and the guard that it is none of them."""
        match value:
            case ir.Raw(_, empty):
                plain = evolve(value, empty=())
                # An empty text is no number and no time; as text it could be equal to another.
                numeric = isinstance(atom, ir.Compare) and (
                    atom.type in _NUMERIC or isinstance(atom.right, ir.Constant)
                )
                if not empty or numeric:
                    return plain, Const(True)
                return plain, self._simple_there(value)
            case ir.Constant() | ir.Moment() | ir.Duration():
                return value, Const(True)
            case ir.Call(function, arguments) if function in self.functions:
                sides = [self._operand(argument, atom) for argument in arguments]
                made = evolve(value, arguments=tuple(v for v, _ in sides))
                return made, all_of((*(g for _, g in sides), self._simple_there(value)))
            case ir.Arithmetic(_, left, right) if self.functions:
                a, a_guard = self._operand(left, atom)
                b, b_guard = self._operand(right, atom)
                return evolve(value, left=a, right=b), all_of((a_guard, b_guard))
            case ir.Call() if (inner := map_functions.operand_of(value, atom)) is not None:
                return self._operand(inner, atom)
            case _:
                self.findings.refuse(
                    f"a comparison of {_described(value)} with another field or number", atom.span
                )

    def _occurs(self, atom: ir.Occurs, needle: ir.Value, haystack: ir.Value) -> TwoValued:
        if isinstance(needle, ir.Constant):
            text = text_of(needle.value)
            if text is None:
                return Const(False)
            inner = Pattern("*" + Pattern.literal(text).text + "*")
            return self._tested(ir.Match(haystack, (inner,), atom.span), haystack)
        a, a_guard = self._operand(needle, atom)
        b, b_guard = self._operand(haystack, atom)
        return all_of((a_guard, b_guard, AtomHolds(ir.Occurs(a, b, atom.span))))


_NUMERIC = (ir.Type.INTEGER, ir.Type.NUMBER, ir.Type.TIME, ir.Type.DURATION)


def _compared_as_text(constant: Anything, type_: ir.Type) -> str | None:
    """The text that equality with a constant asks for, where it is a matter of text."""
    if type_ in _NUMERIC or type_ is ir.Type.ADDRESS:
        return None
    if type_ is ir.Type.ANY and number_of(constant) is not None:
        return None
    return text_of(constant)


def _nested(path: tuple[str, ...], value: Anything) -> dict[str, Anything]:
    made: dict[str, Anything] = {path[-1]: value}
    for key in reversed(path[:-1]):
        made = {key: made}
    return made


def _described(value: ir.Value) -> str:
    match value:
        case ir.Call(function):
            return f"what {function} gives"
        case ir.Field(name):
            return name
        case _:
            return f"a value of the kind {type(value).__name__}"
