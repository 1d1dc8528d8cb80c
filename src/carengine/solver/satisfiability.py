"""Whether a condition can be true, by reasoning.

The question "can this be true?" is first turned into one about *literals*: an atom of the condition
together with what it has to be, true, false or unknown. As logic here has three values, a goal is
one of four things: that a condition is true, is false, is not true, or is not false
(``ir.polarity``); only "and" and "or" over literals remain. A search then chooses an alternative of
each "or" and puts the chosen literals to the theories, which know when literals cannot hold
together:

* null: what is compared is there; a field that is null is not compared; some fields are always
  null;
* texts: all patterns, expressions and networks on a field leave some text (``texts``);
* numbers and times: all comparisons together have a solution (``differences``).

Everything errs to one side. ``can_be`` answers False only where no event of the stream can do it;
True may be too generous; None means that the work it was allowed was used up. Two things are taken
for granted, as everywhere in the language: a field holds one value (columns made by ``values`` and
what is below ``proto_info`` may hold several, and are reasoned about as such), and it is of the
kind the data model says: a base name holds no ``\\``, a whole number no fraction.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import assert_never

from attrs import evolve, frozen

from .. import ir
from ..ir import Goal, Relation, Type, Wish
from ..pattern import Pattern, fold
from ..values import number_of
from . import differences as numbers
from .differences import Differences, term, variable
from .facts import Facts
from .texts import Budget, Texts, is_empty


@frozen
class Literal:
    """An atom and its value: true, false, or None for unknown."""

    atom: ir.Atom
    value: bool | None


@frozen
class All:
    """All of these; nothing to do where there are none."""

    items: tuple[Formula, ...]


@frozen
class Some:
    """One of these; impossible where there are none."""

    items: tuple[Formula, ...]


Formula = Literal | All | Some

_ANYTHING = All(())
_NOTHING = Some(())
_MAX_DEPTH = 100
_MAX_CHOICES = 3_000


def wanted(condition: ir.Condition, goal: Goal) -> Formula:
    """What the atoms of a condition have to be for the whole to be the goal."""
    match ir.demand(condition, goal):
        case ir.EveryOf(items, each):
            return _all(tuple(wanted(item, each) for item in items))
        case ir.OneOf(items, each):
            return _some(tuple(wanted(item, each) for item in items))
        case ir.Decided(met):
            return _ANYTHING if met else _NOTHING
        case ir.AtomGoal(atom, each):
            known = ir.never_unknown(atom)
            literals = tuple(
                Literal(atom, value) for value in each.allowed if not (known and value is None)
            )
            return literals[0] if len(literals) == 1 else Some(literals)


def _all(parts: tuple[Formula, ...]) -> Formula:
    """All of several formulas, without those that ask for nothing; impossible where one of them
    is."""
    return _NOTHING if _NOTHING in parts else All(tuple(p for p in parts if p != _ANYTHING))


def _some(parts: tuple[Formula, ...]) -> Formula:
    """One of several formulas, without the impossible ones; nothing to do where one asks for
    nothing."""
    return _ANYTHING if _ANYTHING in parts else Some(tuple(p for p in parts if p != _NOTHING))


def can_be(wishes: Iterable[Wish], facts: Facts, budget: Budget) -> bool | None:
    """Whether one row can make each condition what it has to be; None where that is not known.

    ``facts`` says what is known of the fields; rows of several objects are tried one object at a
    time.
    """
    asked = list(wishes)
    if not budget.spend(20 * sum(1 for condition, _ in asked for _ in ir.atoms(condition))):
        return None
    formula = All(tuple(wanted(condition, goal) for condition, goal in asked))
    answers = {_AlternativeSearch(world, budget).solve(formula) for world in facts.worlds()}
    return True if True in answers else None if None in answers else False


def solutions(
    wishes: Iterable[Wish], facts: Facts, budget: Budget
) -> Iterator[Mapping[ir.Atom, bool | None]]:
    """Ways to make each condition what it has to be: the values of atoms that suffice, one choice
    after another.

    Choices that the theories rule out are left out; of the others some may be impossible all the
    same, as `can_be` says. Ends where the budget does.
    """
    formula = All(tuple(wanted(condition, goal) for condition, goal in wishes))
    for world in facts.worlds():
        yield from _choices(world, budget, {}, [formula], [], 0)


def _choices(
    facts: Facts,
    budget: Budget,
    literals: dict[ir.Atom, bool | None],
    pending: list[Formula],
    open_: list[Some],
    depth: int,
) -> Iterator[Mapping[ir.Atom, bool | None]]:
    units = pending
    while units:
        if not _settle(literals, list(units), open_):
            return
        if depth > _MAX_DEPTH or not budget.spend(_cost_of(literals)):
            return
        theories = Theories(facts, budget)
        if theories.consistent(literals) is False:
            return
        simplified = _simplified(open_, literals, theories)
        if simplified is None:
            return
        units, open_ = simplified
    if not open_:
        yield literals
        return
    chosen = min(open_, key=lambda some: len(some.items))
    others = [some for some in open_ if some is not chosen]
    for item in chosen.items:
        yield from _choices(facts, budget, dict(literals), [item], list(others), depth + 1)


class _AlternativeSearch:
    """One search through the alternatives of a formula."""

    def __init__(self, facts: Facts, budget: Budget) -> None:
        self.facts = facts
        self.budget = budget
        self.choices = 0

    def solve(self, formula: Formula) -> bool | None:
        return self._solve({}, [formula], [], 0)

    def _solve(
        self,
        literals: dict[ir.Atom, bool | None],
        pending: list[Formula],
        open_: list[Some],
        depth: int,
    ) -> bool | None:
        while True:
            if not _settle(literals, pending, open_):
                return False
            if not self.budget.spend(_cost_of(literals)):
                return None
            theories = Theories(self.facts, self.budget)
            consistent = theories.consistent(literals)
            if consistent is False:
                return False
            simplified = _simplified(open_, literals, theories)
            if simplified is None:
                return False
            units, open_ = simplified
            if not units:
                break
            pending = list(units)
        if not open_:
            return consistent
        self.choices += 1
        if depth > _MAX_DEPTH or self.choices > _MAX_CHOICES:
            return None
        chosen = min(open_, key=lambda some: len(some.items))
        others = [some for some in open_ if some is not chosen]
        unknown = False
        for item in chosen.items:
            answer = self._solve(dict(literals), [item], list(others), depth + 1)
            if answer:
                return True
            unknown = unknown or answer is None
        return None if unknown else False


def _cost_of(literals: Iterable[ir.Atom]) -> int:
    """The steps that putting literals to the theories takes."""
    cost = 100
    for atom in literals:
        cost += 30 + 2 * len(atom.patterns) if isinstance(atom, ir.Match | ir.RawMatch) else 30
    return cost


def _settle(
    literals: dict[ir.Atom, bool | None], pending: list[Formula], open_: list[Some]
) -> bool:
    """Move what is pending to where it belongs. False where an atom would need two values."""
    while pending:
        match pending.pop():
            case Literal(atom, value):
                if literals.setdefault(atom, value) is not value:
                    return False
            case All(items):
                pending.extend(items)
            case Some((only,)):
                pending.append(only)
            case Some(()):
                return False
            case Some() as several:
                open_.append(several)
    return True


def _simplified(
    open_: list[Some], literals: Mapping[ir.Atom, bool | None], theories: Theories
) -> tuple[list[Formula], list[Some]] | None:
    """The alternatives without those that are ruled out already; None where one has none left."""
    units: list[Formula] = []
    left: list[Some] = []
    for some in open_:
        kept: list[Formula] = []
        done = False
        for item in some.items:
            if isinstance(item, Literal) and item.atom in literals:
                done = done or literals[item.atom] is item.value
            elif not (isinstance(item, Literal) and theories.refute(item)):
                kept.append(item)
        if done:
            continue
        if not kept:
            return None
        if len(kept) == 1:
            units.append(kept[0])
        else:
            left.append(Some(tuple(kept)))
    return units, left


class Theories:
    """The literals of one choice, sorted by what they speak of."""

    def __init__(self, facts: Facts, budget: Budget) -> None:
        self.facts = facts
        self.budget = budget
        self.null: set[Hashable] = set()
        self.there: set[Hashable] = set()
        self.textual: set[Hashable] = set()
        self.textless: set[Hashable] = set()
        self.numeric: set[Hashable] = set()
        self.unordered: set[Hashable] = set()
        self.fields: dict[Hashable, ir.Value] = {}
        self.passes: dict[Hashable, set[ir.Match | ir.Regex | ir.InNetwork]] = {}
        self.fails: dict[Hashable, set[ir.Match | ir.Regex | ir.InNetwork]] = {}
        # What is not true of any of a field's several values, and need not be false.
        self.not_true: dict[Hashable, set[ir.Match | ir.Regex | ir.InNetwork]] = {}
        self.same: list[tuple[Hashable, Hashable]] = []
        self.different: list[tuple[Hashable, Hashable]] = []
        self.differences = Differences()

    def consistent(self, literals: Mapping[ir.Atom, bool | None]) -> bool | None:
        """Whether the literals can hold together; None where that is not known."""
        for atom, value in literals.items():
            self._take(atom, value)
        for key, field in self.fields.items():
            if self.facts.always_null(field):
                self.null.add(key)
            if self.facts.never_null(field):
                self.there.add(key)
            least = self.facts.least(field)
            if least is not None and key in self.numeric:
                here, zero = numbers.Term(key), numbers.Term(numbers.ZERO)
                bound = evolve(zero, offset=least)
                self.differences.add(here, Relation.GREATER_EQUAL, bound)
        for key, field in self.fields.items():
            # What is not there has no value; what is there may have none.
            if isinstance(field, ir.Presence) and key in self.null:
                self.null.add(variable(field.of))
        if self.null & self.there or self.textual & self.textless or self.numeric & self.unordered:
            return False
        if not self.differences.close():
            return False
        return self._texts()

    def refute(self, literal: Literal) -> bool:
        """Whether a literal is plainly impossible beside those taken: for null and unknown, without
        search."""
        atom, value = literal.atom, literal.value
        if value is not None:
            if isinstance(atom, ir.IsNull):
                return variable(atom.value) in (self.there if value else self.null)
            return any(variable(of) in self.null for of in ir.values_of(atom))
        match atom:
            case ir.Match(of) | ir.Regex(of) | ir.InNetwork(of):
                known = self.there if self.facts.plain else self.textual
                return variable(of) in known and not self.facts.several(of)
            case ir.Compare(ir.Field() as of, Relation.EQUAL, ir.Constant() | ir.Moment() as to):
                return to != ir.Constant(None) and variable(of) in self.there
            case ir.IsNull() | ir.RawMatch() | ir.RawRegex():
                # They are never unknown.
                return True
            case ir.Compare() | ir.Occurs() | ir.Rank():
                return False
            case _:
                assert_never(atom)

    # Sorting

    def _take(self, atom: ir.Atom, value: bool | None) -> None:
        match atom:
            case ir.IsNull(of):
                self._presence(of, there=value is False)
            case ir.Match() | ir.Regex() | ir.InNetwork():
                self._text(atom, value)
            case ir.RawMatch(patterns):
                if value is not None:
                    kept = self.passes if value else self.fails
                    kept.setdefault("raw", set()).add(ir.Match(_SOMETHING, patterns))
            case ir.RawRegex(pattern, cased, dotall, multiline):
                if value is not None:
                    kept = self.passes if value else self.fails
                    test = ir.Regex(_SOMETHING, pattern, cased, dotall, multiline)
                    kept.setdefault("raw", set()).add(test)
            case ir.Compare():
                self._compare(atom, value)
            case ir.Occurs(needle, haystack):
                if value is not None:
                    self._presence(needle, there=True)
                    self._presence(haystack, there=True)
            case ir.Rank(of):
                if value is not None:
                    self._presence(of, there=True)
            case _:
                assert_never(atom)

    def _presence(self, value: ir.Value, *, there: bool) -> None:
        match value:
            case ir.Constant(constant):
                # A constant is what it is: "null" and "there" at once is the contradiction.
                (self.null if constant is None else self.there).add(value)
                (self.there if there else self.null).add(value)
            case ir.Moment() | ir.Duration():
                self.there.add(value)
                if not there:
                    self.null.add(value)
            case ir.Arithmetic(_, left, right) if there:
                self._presence(left, there=True)
                self._presence(right, there=True)
                self.there.add(value)
            case _:
                # Any other value is a variable of its own, of which nothing more is known.
                key = variable(value)
                self.fields[key] = value
                (self.there if there else self.null).add(key)

    def _text(self, test: ir.Match | ir.Regex | ir.InNetwork, value: bool | None) -> None:
        key = variable(test.value)
        if value is None:
            if self.facts.several(test.value):
                self.fields[key] = test.value
                self.not_true.setdefault(key, set()).add(test)
            else:
                self.textless.add(key)
                self.fields[key] = test.value
                if self.facts.plain:
                    self.null.add(key)
            return
        self._presence(test.value, there=True)
        self.textual.add(key)
        kept = self.passes if value else self.fails
        kept.setdefault(key, set()).add(test)

    def _compare(self, test: ir.Compare, value: bool | None) -> None:
        left, right = test.left, test.right
        if value is None:
            self._unknown_comparison(test)
            return
        self._presence(left, there=True)
        self._presence(right, there=True)
        if any(isinstance(x, ir.Field) and self.facts.several(x) for x in (left, right)):
            # One value may be below five while another is above ten.
            return
        if test.relation is Relation.EQUAL and test.type not in _NUMERIC:
            if test.type is Type.ANY and self._equal_number(left, right, value):
                return
            self._equal_texts(test, value)
            return
        if test.type in _NUMERIC:
            a, b = term(left), term(right)
        elif (ordered := _ordered(left, right)) is not None:
            # Text or number, whichever the two are: the same two have one order.
            a, b, mirrored = ordered
            relation = test.relation.mirrored if mirrored else test.relation
            self._difference(a, relation, b, value, integer=False)
            return
        else:
            number = number_of(right.value) if isinstance(right, ir.Constant) else None
            if number is None:
                return
            a, b = term(left), numbers.Term(numbers.ZERO, number)
        if a is None or b is None:
            return
        # A comparison of the type reads hexadecimal digits; it says nothing of fractions.
        integer = numbers.ZERO in (a.variable, b.variable) and any(
            map(self.facts.whole, (left, right))
        )
        self._difference(a, test.relation, b, value, integer=integer)
        if test.relation is not Relation.EQUAL or value:
            self.numeric |= {a.variable, b.variable} - {numbers.ZERO, numbers.NOW}

    def _equal_number(self, left: ir.Value, right: ir.Value, value: bool) -> bool:
        """Take "equal to this number" of a value of any type, which is so where the value spells
        the number. False where it is no such test."""
        if not isinstance(right, ir.Constant) or isinstance(right.value, bool):
            return False
        number = number_of(right.value)
        here = term(left)
        if number is None or here is None or not isinstance(left, ir.Field):
            return False
        to = numbers.Term(numbers.ZERO, number)
        self._difference(here, Relation.EQUAL, to, value, integer=False)
        if value:
            self.numeric.add(here.variable)
        return True

    def _difference(
        self,
        a: numbers.Term,
        relation: Relation,
        b: numbers.Term,
        value: bool,
        *,
        integer: bool,
    ) -> None:
        if value:
            self.differences.add(a, relation, b, integer=integer)
        elif relation is Relation.EQUAL:
            # Also false where a side is no number; it counts once something else says that both
            # are.
            self.differences.add_unequal(a, b)
        else:
            negated = relation.negated
            assert negated is not None, "only equality has no opposite"
            self.differences.add(a, negated, b, integer=integer)

    def _unknown_comparison(self, test: ir.Compare) -> None:
        """A side is null; for an order, or there and not to be read as a number."""
        left, right = test.left, test.right
        known = isinstance(right, ir.Moment | ir.Duration) or (
            isinstance(right, ir.Constant) and number_of(right.value) is not None
        )
        if not known or not isinstance(left, ir.Field):
            return
        key = variable(left)
        self.fields[key] = left
        if test.relation is Relation.EQUAL:
            self.null.add(key)
        else:
            self.unordered.add(key)

    def _equal_texts(self, test: ir.Compare, value: bool) -> None:
        left, right = test.left, test.right
        if isinstance(right, ir.Constant):
            constant = right.value
            if isinstance(constant, str) and (
                test.type is Type.TEXT or (test.type is Type.ANY and number_of(constant) is None)
            ):
                self._text(ir.Match(left, (Pattern.literal(fold(constant)),)), value)
            return
        if test.type is Type.TEXT and all(isinstance(x, ir.Field) for x in (left, right)):
            pair = variable(left), variable(right)
            (self.same if value else self.different).append(pair)
        elif left == right and not value:
            # Whatever equality means here, each value is equal to itself.
            self.different.append((variable(left), variable(right)))

    # Texts

    def _texts(self) -> bool | None:
        parents: dict[Hashable, Hashable] = {}

        def root(key: Hashable) -> Hashable:
            while key in parents:
                key = parents[key]
            return key

        for a, b in self.same:
            a, b = root(a), root(b)
            if a != b:
                parents[a] = b
        if any(root(a) == root(b) for a, b in self.different):
            return False
        groups: dict[Hashable, list[Hashable]] = {}
        for key in dict.fromkeys([*self.passes, *self.fails]):
            groups.setdefault(root(key), []).append(key)
        unknown = False
        for keys in groups.values():
            empty = self._group_is_empty(keys)
            if empty:
                return False
            unknown = unknown or empty is None
        return None if unknown else True

    def _never(self) -> tuple[ir.Match, ...]:
        """What no text passes."""
        return (_EMPTY,) if self.facts.plain and not self.facts.blank else ()

    def _several(self, key: Hashable) -> bool:
        field = self.fields.get(key)
        return field is not None and self.facts.several(field)

    def _group_is_empty(self, keys: list[Hashable]) -> bool | None:
        """Whether no text passes and fails what the equal fields of a group have to."""
        texts: list[Texts] = []
        for key in keys:
            field = self.fields.get(key)
            known = Texts(
                frozenset(map(_unbound, self.passes.get(key, ()))),
                frozenset((*map(_unbound, self.fails.get(key, ())), *self._never())),
                field is not None and self.facts.base_name(field),
                key in self.numeric,
            )
            if not self._several(key):
                texts.append(known)
                continue
            # Of several values each test may be passed by another one; all have to fail the rest,
            # also what is unknown of the field: it would be true if it were true of one of them.
            fails = known.fails | frozenset(map(_unbound, self.not_true.get(key, ())))
            each = {
                is_empty(evolve(known, passes=frozenset((test,)), fails=fails), self.budget)
                for test in known.passes
            }
            if True in each or None in each:
                return True if True in each else None
        if not texts:
            return False
        together = Texts(
            frozenset().union(*(t.passes for t in texts)),
            frozenset().union(*(t.fails for t in texts)),
            any(t.base_name for t in texts),
            any(t.number for t in texts),
        )
        return is_empty(together, self.budget)


_NUMERIC = (Type.INTEGER, Type.NUMBER, Type.TIME, Type.DURATION)
_SOMETHING = ir.Raw(())
_EMPTY = ir.Match(_SOMETHING, (Pattern(""),))


@lru_cache(maxsize=4096)
def _unbound(test: ir.Match | ir.Regex | ir.InNetwork) -> ir.Match | ir.Regex | ir.InNetwork:
    """The test without the field it is on, so that equal questions are equal."""
    return evolve(test, value=_SOMETHING)


def _ordered(left: ir.Value, right: ir.Value) -> tuple[numbers.Term, numbers.Term, bool] | None:
    """The order of two fields as one variable against zero, and whether they changed sides."""
    if not isinstance(left, ir.Field) or not isinstance(right, ir.Field):
        return None
    a, b = variable(left), variable(right)
    zero = numbers.Term(numbers.ZERO)
    if a == b:
        return zero, zero, False
    mirrored = repr(a) > repr(b)
    pair = (b, a) if mirrored else (a, b)
    return numbers.Term(("order", *pair)), zero, mirrored
