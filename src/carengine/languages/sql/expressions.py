"""Conditions and values as SQL expressions, with the language's three-valued logic.

SQL's logic is ours: a comparison with NULL is NULL, ``NOT NULL`` is NULL, ``WHERE`` keeps what is
true. So a condition becomes an expression that is TRUE, FALSE or NULL exactly where the condition
is true, false or unknown. Where only truth matters (``exact=False``: nowhere under a ``NOT``), an
expression may be FALSE for NULL or the other way round, if it reads better so.

An ``SqlExpression`` is SQL text with the form of what it gives: columns of events are text, as is
everything that functions of field maps make of them; numbers and times (microseconds since 1970)
come of reading texts and of counting. A ``SqlWriter`` writes expressions; it is told where a leaf is
found (``column``) and how to write what lies outside the row (``outside``: the clock, aggregates,
ranks).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from attrs import define, evolve

from ... import ir
from ...pattern import Any as AnyRun
from ...pattern import One, Pattern, fold
from ...regex import (
    alternatives,
    pattern_to_regex,
    tokens_of,
)
from ...values import address_of, number_of, text_of, time_of
from .. import map_functions
from ..text_writing import networks_regex, portable_body
from ..translation import LETTERS, PRESENCE, Findings
from .dialects import SqlDialect
from .event_columns import EventColumns
from .lists import condition_on_lists, note_lists
from .values import NULL, Form, SqlExpression

TIMES = (
    "times are read from ISO 8601 texts (UTC where no zone stands there) and from seconds, milliseconds or "
    "microseconds since 1970; other spellings are null"
)
_CONNECTED = (ir.Truth, ir.And, ir.Or, ir.Not, ir.IsTrue, ir.RawMatch, ir.RawRegex, ir.Rank)
_EXACT_INTEGER = 2**53
_NUMERIC = (ir.Type.INTEGER, ir.Type.NUMBER, ir.Type.TIME, ir.Type.DURATION)
_ISO = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"([zZ]|[+-][0-9]{2}:?[0-9]{2})?$"
)
_ISO_GLOB = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ][0-9][0-9]:[0-9][0-9]*"
REGISTERED = (
    "REGEXP must be the function that carengine.sql.load and carengine.sql.register_regexp give a "
    "connection; the program sqlite3 has another one, which reads expressions in its own way"
)
"""What is to be said where a query asks for a function that whoever runs it has to bring."""
_BLANK = r"[\t\n\f\r\v ]*"


@define
class SqlWriter:
    """Writes the expressions of one query for a dialect.

    ``column`` gives the expression of a leaf (a raw field, a column of a relation). ``outside``
    gives that of what lies outside the row, or refuses it. ``events`` is there where the leaves
    are the events' own columns; lists are looked into only ``with_lists``.
    """

    dialect: SqlDialect
    findings: Findings
    column: Callable[[ir.Raw | ir.Field], SqlExpression]
    outside: Callable[[ir.Value], SqlExpression]
    rank: Callable[[ir.Rank, SqlWriter], str]
    raw: Callable[[], str]
    events: EventColumns
    with_lists: bool = False

    # Conditions

    def condition(self, condition: ir.Condition, *, exact: bool = False) -> str:
        """The SQL expression of a condition. ``exact``: NULL exactly where it is unknown."""
        if self.with_lists and not isinstance(condition, _CONNECTED):
            over_lists = condition_on_lists(self, condition)
            if over_lists is not None:
                return over_lists
        match condition:
            case ir.Truth(value):
                return "NULL" if value is None else "TRUE" if value else "FALSE"
            case ir.And(items):
                return self._connected(items, " AND ", "TRUE", exact)
            case ir.Or(items):
                return self._connected(items, " OR ", "FALSE", exact)
            case ir.Not(ir.IsNull(value)) if not self.with_lists:
                return f"{self.value(value).sql} IS NOT NULL"
            case ir.Not(item):
                return f"NOT {_enclosed(self.condition(item, exact=True))}"
            case ir.IsTrue(item):
                return f"COALESCE({self.condition(item)}, FALSE)"
            case ir.IsNull(value):
                return f"{self.value(value).sql} IS NULL"
            case ir.Match(value, patterns, span):
                return self._match(self._tested(value, patterns, exact, span), patterns)
            case ir.Regex(value, span=span):
                return self._regex(self.text(self.value(value), span), condition)
            case ir.InNetwork(value, networks, span):
                return self._networks(self.text(self.value(value), span), networks, span)
            case ir.Compare():
                return self._compare(condition, exact)
            case ir.Occurs(needle, haystack, span):
                found = self.dialect.position(
                    self._folded(self.value(haystack), span), self._folded(self.value(needle), span)
                )
                return f"{found} > 0"
            case ir.RawMatch(patterns):
                return self._match(self.raw(), patterns)
            case ir.RawRegex(pattern, cased, dotall, multiline, span):
                test = ir.Regex(ir.Constant(None), pattern, cased, dotall, multiline, span)
                return self._regex(self.raw(), test)
            case ir.Rank():
                return self.rank(condition, self)

    def _connected(
        self, items: tuple[ir.Condition, ...], word: str, empty: str, exact: bool
    ) -> str:
        if not items:
            return empty
        return "(" + word.join(self.condition(item, exact=exact) for item in items) + ")"

    def _tested(
        self, value: ir.Value, patterns: tuple[Pattern, ...], exact: bool, span: Any
    ) -> str:
        """The text that patterns are matched with.

        Where a text that means null could not match anyway, and false is as good as null, it is not
        asked for.
        """
        if (
            not exact
            and isinstance(value, ir.Raw)
            and not any(p.matches(text) for p in patterns for text in value.empty)
        ):
            value = evolve(value, empty=())
        return self.text(self.value(value), span)

    def _match(self, x: str, patterns: tuple[Pattern, ...]) -> str:
        if not patterns:
            return f"CASE WHEN {x} IS NOT NULL THEN FALSE END"
        made: list[str] = []
        for cased in (False, True):
            chosen = [pattern for pattern in patterns if pattern.cased == cased]
            if chosen:
                made += self._match_some(x, chosen, cased)
        return made[0] if len(made) == 1 else "(" + " OR ".join(made) + ")"

    def _match_some(self, x: str, patterns: list[Pattern], cased: bool) -> list[str]:
        d = self.dialect
        if d.re2 and d.found is not None and not d.registered:
            flags = "(?s)" if cased else "(?is)"
            body = alternatives(pattern_to_regex(pattern) for pattern in patterns)
            return [d.found(x, self.literal(f"{flags}^{body}$"))]
        if not cased and any(_has_letters(pattern) for pattern in patterns):
            self.findings.differs(LETTERS)
        if d.like is None:
            # SQLite: LIKE ignores the case of ASCII letters, GLOB heeds it.
            if cased:
                return [f"{x} GLOB {self.literal(_glob(pattern))}" for pattern in patterns]
            return [f"{x} LIKE {self.literal(_like(p))} ESCAPE '^'" for p in patterns]
        write = d.cased_like if cased else d.like
        assert write is not None
        texts = [_like(p) if cased else fold(_like(p)) for p in patterns]
        return [f"{write(x, self.literal(text))} ESCAPE '^'" for text in texts]

    def _regex(self, x: str, test: ir.Regex) -> str:
        d = self.dialect
        if d.found is None:
            self.findings.refuse("regular expressions", test.span)
        if d.registered:
            self.findings.differs(REGISTERED, test.span)
        flags = ("" if test.cased else "i") + ("s" if test.dotall or not d.re2 else "")
        flags += "m" if test.multiline else ""
        if d.re2:
            body = test.pattern
        else:
            if test.multiline:
                self.findings.refuse("a regular expression that works line by line", test.span)
            body = portable_body(
                test,
                self.findings,
                word_boundary=d.boundary,
                end=d.end,
                group=d.group,
                lazy=d.lazy,
            )
            if not d.flags and test.cased:
                self.findings.refuse("a regular expression that heeds case", test.span)
            if not test.cased:
                self.findings.differs(LETTERS)
        return d.found(x, self.literal(f"(?{flags}){body}" if flags and d.flags else body))

    def _networks(self, x: str, networks: tuple[str, ...], span: Any) -> str:
        return self.found(x, f"(?s)^{networks_regex(networks, self.findings, span)}$", span)

    def found(self, x: str, expression: str, span: Any = None) -> str:
        """Whether an expression of ours (RE2 and plain enough for all) is found in x."""
        d = self.dialect
        if d.found is None:
            self.findings.refuse("regular expressions, which this test needs", span)
        if d.registered:
            self.findings.differs(REGISTERED, span)
        return d.found(x, self.literal(self.own(expression)))

    def own(self, expression: str) -> str:
        """An expression of ours as the dialect spells it."""
        d = self.dialect
        if d.re2:
            return expression
        flags = re.match(r"\(\?[is]+\)", expression)
        head = flags[0] if flags else ""
        body = expression[len(head) :].replace("(?:", d.group)
        if body.endswith("$"):
            body = body[:-1] + (d.end if d.name != "postgres" else "$")
        return head + body if d.flags else body

    # Comparisons

    def _compare(self, test: ir.Compare, exact: bool) -> str:
        left, right = self.value(test.left), self.value(test.right)
        relation, type_ = test.relation, test.type
        if left.fixed and not right.fixed:
            left, right, relation = right, left, relation.mirrored
        if Form.LIST in (left.form, right.form):
            self.findings.refuse("a comparison with a list", test.span)
        if relation is ir.Relation.EQUAL:
            return self._equal(left, right, type_, exact, test.span)
        return self._ordered(left, relation, right, type_, test.span)

    def _equal(
        self, left: SqlExpression, right: SqlExpression, type_: ir.Type, exact: bool, span: Any
    ) -> str:
        if right.fixed and left.form is Form.TEXT:
            return self._equals_constant(left, right, type_, exact, span)
        if type_ in _NUMERIC or _are_numbers(left, right):
            a, b = self.number(left, type_, span), self.number(right, type_, span)
            return self._decided(f"{a} = {b}", (left, right), exact)
        a, b = self._folded(left, span), self._folded(right, span)
        if type_ is ir.Type.ADDRESS:
            self.findings.differs("two spellings of one IPv6 address are two addresses", span)
        if type_ is ir.Type.ANY:
            numbers = f"{self.number(left, type_, span)} = {self.number(right, type_, span)}"
            return f"COALESCE({numbers}, {a} = {b})"
        return f"{a} = {b}"

    def _equals_constant(
        self, left: SqlExpression, right: SqlExpression, type_: ir.Type, exact: bool, span: Any
    ) -> str:
        constant = right.constant
        x = left.sql
        if type_ is ir.Type.TIME:
            read = time_of(constant) if right.form is not Form.TIME else constant
            return self._decided(f"{self.number(left, type_, span)} = {read}", (left,), exact)
        if type_ in _NUMERIC or type_ is ir.Type.ANY:
            hexadecimal = type_ is ir.Type.INTEGER
            number = number_of(constant, hexadecimal=hexadecimal)
            if number is not None:
                self._bounded(number, span)
                return self._equals_number(left, number, type_, exact, span)
            if type_ is not ir.Type.ANY:
                return f"CASE WHEN {x} IS NOT NULL THEN FALSE END"
        text = text_of(constant)
        assert text is not None
        address = address_of(text) if type_ is ir.Type.ADDRESS else None
        if address is not None:
            prefix = 32 if isinstance(address, ipaddress.IPv4Address) else 128
            return self._networks(x, (f"{address}/{prefix}",), span)
        return self._match(x, (Pattern.literal(text),))

    def _equals_number(
        self, left: SqlExpression, number: float, type_: ir.Type, exact: bool, span: Any
    ) -> str:
        d = self.dialect
        if d.found is not None and d.re2 and not d.registered and isinstance(number, int):
            # A number has few spellings: looking for them is shorter than reading it.
            sign = "-" if number < 0 else r"[+-]?" if number == 0 else r"\+?"
            bodies = [rf"{sign}0{{0,24}}{abs(number)}(?:\.0{{1,40}})?"]
            if type_ is ir.Type.INTEGER and number >= 0:
                digits = "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in f"{number:x}")
                bodies.append(f"0[xX]0{{0,16}}{digits}")
            body = f"^{_BLANK}{alternatives(bodies)}{_BLANK}$"
            return d.found(left.sql, self.literal(body))
        if self.dialect.equals_integer is not None and isinstance(number, int) and number > 0:
            made = self.dialect.equals_integer(left.sql, number)
        else:
            plain = ir.Type.NUMBER if self.dialect.hexadecimal is None else type_
            made = self._decided(f"{self.number(left, plain, span)} = {number!r}", (left,), exact)
        if type_ is ir.Type.INTEGER and self.dialect.hexadecimal is None:
            return f"({made} OR {self._hexadecimal(left.sql, number)})"
        return made

    def _hexadecimal(self, x: str, number: float) -> str:
        """Whether a text spells a number in hexadecimal, where it cannot be read as one."""
        if not isinstance(number, int) or number < 0:
            return f"CASE WHEN {x} IS NOT NULL THEN FALSE END"
        text = f"LOWER(TRIM({x}))"
        zero, start, digits = (self.literal(t) for t in ("0", "0x_%", f"{number:x}".lstrip("0")))
        return f"({text} LIKE {start} AND LTRIM(SUBSTR({text}, 3), {zero}) = {digits})"

    def _decided(self, sql: str, operands: tuple[SqlExpression, ...], exact: bool) -> str:
        """An equality that is false, not unknown, where a value is there that cannot be read."""
        texts = [o.sql for o in operands if o.form is Form.TEXT and not o.fixed]
        if not exact or not texts:
            return sql
        absent = " OR ".join(f"{x} IS NULL" for x in [o.sql for o in operands if not o.fixed])
        return f"CASE WHEN NOT ({absent}) THEN COALESCE({sql}, FALSE) END"

    def _ordered(
        self,
        left: SqlExpression,
        relation: ir.Relation,
        right: SqlExpression,
        type_: ir.Type,
        span: Any,
    ) -> str:
        sign = relation.value
        a, b = self.number(left, type_, span), self.number(right, type_, span)
        if type_ in _NUMERIC or _are_numbers(left, right):
            return f"{a} {sign} {b}"
        if right.fixed and number_of(right.constant) is not None:
            return f"{a} {sign} {b}"
        texts = f"{self._folded(left, span)} {sign} {self._folded(right, span)}"
        if right.fixed:
            return f"CASE WHEN {a} IS NULL THEN {texts} END"
        return f"CASE WHEN {a} IS NULL AND {b} IS NULL THEN {texts} ELSE {a} {sign} {b} END"

    def _bounded(self, number: float, span: Any) -> None:
        if abs(number) >= _EXACT_INTEGER:
            self.findings.refuse(f"the number {number}, which a double does not hold exactly", span)

    # Reading

    def text(self, x: SqlExpression, span: Any = None) -> str:
        """The text that patterns see."""
        match x.form:
            case Form.TEXT:
                return x.sql
            case Form.NUMBER | Form.TIME if x.whole or x.form is Form.TIME:
                return f"CAST({x.sql} AS {self.dialect.text})"
            case _:
                self.findings.refuse("the text of a number that was computed, or of a list", span)

    def number(self, x: SqlExpression, type_: ir.Type, span: Any = None) -> str:
        """The number that a value is or spells, or with ``TIME`` its microseconds."""
        if x.form is not Form.TEXT:
            if x.form is Form.LIST:
                self.findings.refuse("a list as a number", span)
            if x.fixed and isinstance(x.constant, int | float):
                self._bounded(x.constant, span) if x.form is Form.NUMBER else None
            return x.sql
        if x.fixed:
            read = (
                time_of(x.constant)
                if type_ is ir.Type.TIME
                else number_of(x.constant, hexadecimal=type_ is ir.Type.INTEGER)
            )
            if read is None:
                return f"CAST(NULL AS {self.dialect.double})"
            if type_ is not ir.Type.TIME:
                self._bounded(read, span)
            return repr(read)
        if type_ is ir.Type.TIME:
            return self.time(x.sql)
        made = self._number_of_text(x.sql, span)
        if type_ is not ir.Type.INTEGER:
            return made
        if self.dialect.hexadecimal is None:
            self.findings.differs("hexadecimal texts (0x1f) are not read as numbers", span)
            return made
        return f"COALESCE({made}, {self.dialect.hexadecimal(x.sql)})"

    def _number_of_text(self, x: str, span: Any) -> str:
        if self.dialect.number is None:
            self.findings.refuse("a text as a number", span)
        return self.dialect.number(x)

    def time(self, x: str) -> str:
        """The microseconds since 1970 of a text."""
        self.findings.differs(TIMES)
        d = self.dialect
        if d.found is None or d.registered:
            iso = f"{x} GLOB '{_ISO_GLOB}'"
        else:
            iso = d.found(x, self.literal(_ISO))
        number = self._number_of_text(x, None)
        size = f"ABS({d.size(x) if d.size else number})"
        unit = f"CASE WHEN {size} < 1e11 THEN 1000000 WHEN {size} < 1e14 THEN 1000 WHEN {size} < 1e17 THEN 1 END"
        return (
            f"CASE WHEN {iso} THEN {d.time(x)} "
            f"ELSE CAST(ROUND({number} * {unit}) AS {d.integer}) END"
        )

    def _folded(self, x: SqlExpression, span: Any) -> str:
        if x.fixed:
            text = text_of(x.constant)
            return "NULL" if text is None else self.literal(fold(text))
        if x.form is Form.TEXT:
            self.findings.differs(LETTERS, span)
            return f"LOWER({x.sql})"
        return self.text(x, span)

    def key(self, x: SqlExpression, type_: ir.Type) -> str:
        """What values have in common exactly when rows with them are in one group, as text; NULL
        for null."""
        if x.form is Form.LIST:
            self.findings.refuse("rows compared by a list")
        if x.form is not Form.TEXT:
            return x.sql
        if type_ in (ir.Type.INTEGER, ir.Type.NUMBER, ir.Type.ANY):
            number = self.number(x, type_)
            return (
                f"COALESCE(CAST({number} AS {self.dialect.text}), '?' || {self._folded(x, None)})"
            )
        return self._folded(x, None)

    # Values

    def value(self, value: ir.Value) -> SqlExpression:
        """The SQL expression of a value."""
        match value:
            case ir.Raw() | ir.Field():
                return self._typed(self.column(value), value.type)
            case ir.Presence(ir.Raw() as leaf):
                return self.events.is_there(leaf)
            case ir.Presence(of):
                self.findings.differs(PRESENCE)
                return self.value(of)
            case ir.Constant(constant):
                return self._constant(constant)
            case ir.Moment(microseconds):
                return SqlExpression(str(microseconds), Form.TIME, True, microseconds, True)
            case ir.Duration(microseconds):
                return SqlExpression(str(microseconds), Form.TIME, True, microseconds, True)
            case ir.Arithmetic():
                return self._arithmetic(value)
            case ir.Call(_, _, type_):
                return self._typed(map_functions.in_sql(self, value), type_)
            case ir.Now() | ir.Parameter() | ir.Aggregate() | ir.Whole() | ir.Lookup():
                return self.outside(value)

    def shown(self, value: ir.Value) -> SqlExpression:
        """The SQL expression of a value that is a column further on: lists are none."""
        if self.with_lists:
            note_lists(self, value)
        return self.value(value)

    def _typed(self, x: SqlExpression, type_: ir.Type) -> SqlExpression:
        if type_ is ir.Type.TIME and x.form is Form.TEXT and not x.null:
            return SqlExpression(self.number(x, type_), Form.TIME, True)
        return x

    def _constant(self, constant: Any) -> SqlExpression:
        match constant:
            case None:
                return NULL
            case bool():
                text = "true" if constant else "false"
                return SqlExpression(self.literal(text), constant=text, fixed=True)
            case int() | float():
                return SqlExpression(
                    repr(constant), Form.NUMBER, isinstance(constant, int), constant, True
                )
            case _:
                return SqlExpression(self.literal(constant), constant=constant, fixed=True)

    def _arithmetic(self, value: ir.Arithmetic) -> SqlExpression:
        left, right = self.value(value.left), self.value(value.right)
        a, b = self.number(left, ir.Type.NUMBER), self.number(right, ir.Type.NUMBER)
        whole = left.whole and right.whole and value.sign != "/"
        if value.sign == "/":
            made = f"CAST({a} AS {self.dialect.double}) / NULLIF({b}, 0)"
        else:
            made = f"{a} {value.sign} {b}"
        form = Form.TIME if Form.TIME in (left.form, right.form) and whole else Form.NUMBER
        return SqlExpression(f"({made})", form, whole)

    def literal(self, text: str) -> str:
        """A text as the dialect quotes it."""
        from sqlglot import exp

        if "\0" in text and self.dialect.name == "postgres":
            self.findings.refuse("a text with a null character")
        return exp.Literal.string(text).sql(dialect=self.dialect.sqlglot)

    def name(self, text: str) -> str:
        """A column or table by its name, quoted."""
        from sqlglot import exp

        return exp.to_identifier(text, quoted=True).sql(dialect=self.dialect.sqlglot)


def _are_numbers(left: SqlExpression, right: SqlExpression) -> bool:
    return left.form is not Form.TEXT and right.form is not Form.TEXT


def _enclosed(sql: str) -> str:
    return sql if sql.startswith("(") and sql.endswith(")") else f"({sql})"


def _has_letters(pattern: Pattern) -> bool:
    return any(isinstance(t, str) and t.upper() != t.lower() for t in tokens_of(pattern))


def _like(pattern: Pattern) -> str:
    parts = []
    for token in tokens_of(pattern):
        match token:
            case str():
                parts.append(re.sub(r"([%_^])", r"^\1", token))
            case One():
                parts.append("_")
            case AnyRun():
                parts.append("%")
    return "".join(parts)


def _glob(pattern: Pattern) -> str:
    parts = []
    for token in tokens_of(pattern):
        match token:
            case str():
                parts.append(re.sub(r"([*?\[])", r"[\1]", token))
            case One():
                parts.append("?")
            case AnyRun():
                parts.append("*")
    return "".join(parts)
