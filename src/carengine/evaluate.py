"""What an expression is worth for one row: the reference meaning, written to be read.

Everything optimised is held to these functions by tests. A condition is True, False or None
(unknown), as in SQL: a comparison with null is unknown, ``not unknown`` is unknown, ``and`` is
false as soon as one side is, ``or`` true as soon as one side is, and a filter keeps only what is
true.

A ``Row`` gives values; an ``EvalContext`` gives what lies outside the row: the run's clock,
parameters, and values computed over other rows.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from time import thread_time_ns
from typing import Any, Protocol, assert_never

import re2
from attrs import evolve, frozen

from . import functions, ir
from .pattern import PatternList, fold
from .values import calculate, compare, elements, in_network, is_null, raw_text, text_of, time_of


class Row(Protocol):
    """What a value can be read from."""

    def field(self, field: ir.Field) -> Any:
        """A CAR field or a column; times come as microseconds."""

    def raw(self, path: tuple[str, ...]) -> Any:
        """A field of the log, by its keys; null where the path leads nowhere."""

    def has_field(self, field: ir.Field) -> bool:
        """Whether a CAR field or a column is there, whatever its value."""

    def has_raw(self, path: tuple[str, ...]) -> bool:
        """Whether a field of the log is there, whatever its value."""

    def text(self) -> str:
        """The serialised raw event, or those of all events of the row, one a line."""


class EvalContext(Protocol):
    """What a value can depend on beside the row."""

    def now(self) -> int | None:
        """The reference time in microseconds."""

    def parameter(self, name: str) -> Any:
        """The value of an ``input``."""

    def aggregate(self, aggregate: ir.Aggregate, row: Row) -> Any:
        """An aggregate over the row's group."""

    def whole(self, whole: ir.Whole) -> Any:
        """An aggregate over all rows of a plan."""

    def lookup(self, lookup: ir.Lookup, row: Row) -> Any:
        """A column of the aggregated row with the same keys."""

    def rank(self, rank: ir.Rank, row: Row) -> bool | None:
        """Whether a value is among the most or least frequent."""


class NoContext:
    """The context of a single event: no clock, no parameters, no other rows."""

    def now(self) -> int | None:
        """Unknown."""
        return None

    def parameter(self, name: str) -> Any:
        """Unknown."""
        return None

    def aggregate(self, aggregate: ir.Aggregate, row: Row) -> Any:
        """Unknown: there is no group."""
        return None

    def whole(self, whole: ir.Whole) -> Any:
        """Unknown: there is no stream."""
        return None

    def lookup(self, lookup: ir.Lookup, row: Row) -> Any:
        """Unknown: there is no stream."""
        return None

    def rank(self, rank: ir.Rank, row: Row) -> bool | None:
        """Unknown: there is no stream."""
        return None


@frozen
class RawRow:
    """An event as the log has it."""

    event: Mapping[str, Any]

    def field(self, field: ir.Field) -> Any:
        """Null: a raw event has no CAR fields; lowering replaced them."""
        return None

    def raw(self, path: tuple[str, ...]) -> Any:
        """The value at the end of a path of keys."""
        value: Any = self.event
        for key in path:
            if not isinstance(value, Mapping):
                return None
            value = value.get(key)
        return value

    def has_field(self, field: ir.Field) -> bool:
        """Never: a raw event has no CAR fields."""
        return False

    def has_raw(self, path: tuple[str, ...]) -> bool:
        """Whether the last key of the path is there."""
        if not path:
            return True
        inner = self.raw(path[:-1])
        return isinstance(inner, Mapping) and path[-1] in inner

    def text(self) -> str:
        """The event's text."""
        return raw_text(self.event)


_NULL = ir.Constant(None)
_NO_ROW = RawRow({})
_NO_CONTEXT = NoContext()


def value_of(value: ir.Value, row: Row, context: EvalContext) -> Any:
    """The value of an expression for a row; None for null."""
    match value:
        case ir.Field():
            return row.field(value)
        case ir.Raw(path, empty, type_):
            return _typed(without(row.raw(path), empty), type_)
        case ir.Presence(ir.Field() as of):
            return True if row.has_field(of) else None
        case ir.Presence(ir.Raw(path)):
            return True if row.has_raw(path) else None
        case ir.Presence(of):
            return value_of(ir.presence_of(of), row, context)
        case ir.Constant(constant):
            return constant
        case ir.Moment(microseconds) | ir.Duration(microseconds):
            return microseconds
        case ir.Now():
            return context.now()
        case ir.Parameter(name, type_):
            return _typed(context.parameter(name), type_)
        case ir.Arithmetic(sign, left, right):
            return calculate(sign, value_of(left, row, context), value_of(right, row, context))
        case ir.Call(function, arguments, type_):
            given = [value_of(argument, row, context) for argument in arguments]
            return _typed(functions.call(function, given), type_)
        case ir.Aggregate():
            return context.aggregate(value, row)
        case ir.Whole():
            return context.whole(value)
        case ir.Lookup():
            return context.lookup(value, row)
        case _:
            assert_never(value)


def without(value: Any, empty: tuple[str, ...]) -> Any:
    """The value, or null where it is a text that its log writes for "not known"."""
    if empty and isinstance(value, list):
        return [item for item in value if item not in empty]
    return None if isinstance(value, str) and value in empty else value


def _typed(value: Any, type_: ir.Type) -> Any:
    return as_time(value) if type_ is ir.Type.TIME else value


def as_time(value: Any) -> Any:
    """A value read as a time: microseconds, or null where it is none; of a list the first that is
    one."""
    if type(value) is not str and isinstance(value, list | tuple):
        return next((time for item in value if (time := time_of(item)) is not None), None)
    return time_of(value)


def holds(condition: ir.Condition, row: Row, context: EvalContext) -> bool | None:
    """Whether a condition is true of a row; None where that is unknown."""
    match condition:
        case ir.Truth(value):
            return value
        case ir.And(items):
            return all_of([holds(item, row, context) for item in items])
        case ir.Or(items):
            return any_of([holds(item, row, context) for item in items])
        case ir.Not(item):
            return negation(holds(item, row, context))
        case ir.IsTrue(item):
            return holds(item, row, context) is True
        case ir.IsNull(value):
            return is_null(value_of(value, row, context))
        case ir.Compare(left, relation, right, type_):
            return compare(
                value_of(left, row, context), relation, value_of(right, row, context), type_
            )
        case ir.RawMatch(patterns):
            text = row.text()
            return any(pattern.matches(text) for pattern in patterns)
        case ir.RawRegex():
            return search_regex(condition, row.text())
        case ir.Occurs(needle, haystack):
            return occurs(value_of(needle, row, context), value_of(haystack, row, context))
        case ir.Rank():
            return context.rank(condition, row)
        case ir.Match() | ir.Regex() | ir.InNetwork():
            return test_value(condition, value_of(condition.value, row, context))
        case _:
            assert_never(condition)


def test_value(test: ir.Match | ir.Regex | ir.InNetwork, value: Any) -> bool | None:
    """An atom over one value. Unknown for null; a list passes when one of its elements does."""
    return any_of([_test_one(test, item) for item in elements(value)]) if elements(value) else None


def _test_one(test: ir.Match | ir.Regex | ir.InNetwork, value: Any) -> bool | None:
    text = text_of(value)
    if text is None:
        # A mapping inside an event: it is there, but it has no text to compare.
        return None
    match test:
        case ir.Match(_, patterns) if len(patterns) > _MANY_PATTERNS:
            return _pattern_list(test).matches(text)
        case ir.Match(_, patterns):
            return any(pattern.matches(text) for pattern in patterns)
        case ir.Regex():
            return search_regex(test, text)
        case ir.InNetwork(_, networks):
            return any(in_network(text, network) for network in networks)
        case _:
            assert_never(test)


_MANY_PATTERNS = 24


@lru_cache(maxsize=256)
def _pattern_list(test: ir.Match) -> PatternList:
    return PatternList.of(test.patterns)


def work_of(test: ir.Match) -> int:
    """What trying a test on one text costs, in patterns that are tried one by one."""
    return len(test.patterns) if len(test.patterns) <= _MANY_PATTERNS else _pattern_list(test).work


def occurs(needle: Any, haystack: Any) -> bool | None:
    """Whether the text of one value occurs in the text of another, case ignored."""
    needles = {fold(text) for item in elements(needle) if (text := text_of(item)) is not None}
    stacks = {fold(text) for item in elements(haystack) if (text := text_of(item)) is not None}
    if not needles or not stacks:
        return None
    return any(inner in outer for inner in needles for outer in stacks)


_REGEX_BYTES = 1 << 19
_MOST_REGEX_BYTES = 1 << 23


@lru_cache(maxsize=4096)
def _regex(pattern: str, cased: bool, dotall: bool, multiline: bool) -> Any:
    flags = ("" if cased else "i") + ("s" if dotall else "") + ("m" if multiline else "")
    expression = f"(?{flags}){pattern}" if flags else pattern
    try:
        return re2.compile(expression, _regex_options(_REGEX_BYTES))
    except re2.error:
        # Some that are right need more room than most; what is wrong fails again.
        return re2.compile(expression, _regex_options(_MOST_REGEX_BYTES))


def _regex_options(most_bytes: int) -> Any:
    options = re2.Options()
    options.log_errors = False
    # Without captures RE2 keeps to its automaton. Its states are made as texts ask for them and are
    # thrown away when the memory is full: hundreds of expressions must not take megabytes each.
    options.never_capture = True
    options.max_mem = most_bytes
    return options


_FLAGS = re.compile(r"\(\?([ims]+)\)")


def without_flags(test: ir.Regex) -> ir.Regex:
    """The test with the flags that its expression begins with as its own.

    >>> expression_of(without_flags(ir.Regex(ir.Field("exe"), "(?is)a", cased=True)))
    ('a', False, True, False)
    """
    while found := _FLAGS.match(test.pattern):
        test = evolve(
            test,
            pattern=test.pattern[found.end() :],
            cased=test.cased and "i" not in found[1],
            dotall=test.dotall or "s" in found[1],
            multiline=test.multiline or "m" in found[1],
        )
    return test


def regex_of(test: ir.Regex | ir.RawRegex) -> Any:
    """The compiled expression of an atom, shared by all atoms that say the same."""
    return _regex(*expression_of(test))


# A search that takes longer than this for each character has left RE2's fast automaton for the one
# whose steps grow with the expression. Tenfold room on both sides: 20 ns and 1,000 ns are usual.
_SLOW_NS = 150
# Below this size even the slow automaton is fast.
_SMALL_PROGRAM = 100
MOST_REGEX_STEPS = 100_000_000
"""How many steps, characters times the size of the expression's program, the slow searches in one
event may take: about a second."""


Expression = tuple[str, bool, bool, bool]


def expression_of(test: ir.Regex | ir.RawRegex) -> Expression:
    """What tells regular expressions apart: the pattern, and the flags cased, dotall, multiline."""
    return test.pattern, test.cased, test.dotall, test.multiline


class RegexWork(threading.local):
    """What regular expressions have cost for the event that this thread is at.

    Only slow searches count. Once `MOST_REGEX_STEPS` are spent, what `search_regex` is asked while
    an event is ``decided`` is undecided, and kept in ``undecided`` for whoever reports it.
    """

    left: int = MOST_REGEX_STEPS
    deciding: bool = False
    answer: bool | None = None
    """What is said of an expression that is undecided."""

    def __init__(self) -> None:
        self.undecided: set[Expression] = set()

    def begin(self) -> None:
        """A new event, or a new batch of lines."""
        self.left = MOST_REGEX_STEPS


REGEX_WORK = RegexWork()


def search_regex(test: ir.Regex | ir.RawRegex, text: str) -> bool | None:
    """Whether an expression is in a text; None where the event's work is spent."""
    if REGEX_WORK.deciding and REGEX_WORK.left <= 0:
        REGEX_WORK.undecided.add(expression_of(test))
        return REGEX_WORK.answer
    return run_regex(test, text)


def holds_anyhow(holds: Callable[[], bool]) -> bool:
    """Whether what held with some expressions undecided holds whatever they are.

    Unknown is not enough: where a language knows only true and false, ``not`` makes it true.
    """
    try:
        for answer in (True, False):
            REGEX_WORK.answer = answer
            if not holds():
                return False
        return True
    finally:
        REGEX_WORK.answer = None


def may_match_regex(test: ir.Regex, text: str) -> bool:
    """Whether an expression is in a text; True too where the work is spent, for those who only
    look for candidates."""
    return REGEX_WORK.left <= 0 or run_regex(test, text)


def run_regex(test: ir.Regex | ir.RawRegex, text: str) -> bool:
    """Whether an expression is in a text, whatever it costs; a slow search is counted."""
    regex = regex_of(test)
    # Where in the text is of no interest; bytes spare working it out.
    data = searchable(text).encode()
    if len(data) < _SMALL_PROGRAM or (size := regex.programsize) < _SMALL_PROGRAM:
        return regex.search(data) is not None
    start = thread_time_ns()
    found = regex.search(data) is not None
    if thread_time_ns() - start > _SLOW_NS * len(data):
        REGEX_WORK.left -= size * len(data)
    return found


def searchable(text: str) -> str:
    """A text that RE2 takes: lone surrogates, which UTF-8 has no bytes for, become U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_fixed(value: ir.Value) -> bool:
    """Whether a value is the same for every row, and known now."""
    return isinstance(value, ir.Constant | ir.Moment | ir.Duration)


def decided(condition: ir.Condition, fixed: Callable[[ir.Value], bool] = is_fixed) -> ir.Condition:
    """The condition with those atoms worked out that no event can change.

    These are atoms over values that are all ``fixed``, and atoms over null, which are unknown
    whatever else they test. What follows from them is left to `ir.simplify`.

    >>> decided(ir.Not(ir.IsNull(ir.Constant("a"))))
    Not(item=Truth(value=False))
    """
    return ir.map_atoms(condition, lambda atom: _decided_atom(atom, fixed))


def _decided_atom(atom: ir.Atom, fixed: Callable[[ir.Value], bool]) -> ir.Condition:
    match atom:
        case ir.RawMatch() | ir.RawRegex() | ir.Rank():
            return atom
        case ir.Match(value) | ir.Regex(value) | ir.InNetwork(value) | ir.IsNull(value):
            values: tuple[ir.Value, ...] = (value,)
        case ir.Compare(one, _, other) | ir.Occurs(one, other):
            values = (one, other)
        case _:
            assert_never(atom)
    if all(map(fixed, values)):
        return ir.Truth(holds(atom, _NO_ROW, _NO_CONTEXT))
    if _NULL in values:
        return ir.Truth(isinstance(atom, ir.IsNull) or None)
    return atom


def negation(value: bool | None) -> bool | None:
    """The opposite; unknown stays unknown."""
    return None if value is None else not value


def all_of(values: list[bool | None]) -> bool | None:
    """Three-valued ``and``."""
    return False if False in values else None if None in values else True


def any_of(values: list[bool | None]) -> bool | None:
    """Three-valued ``or``."""
    return True if True in values else None if None in values else False
