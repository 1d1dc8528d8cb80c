r"""Splunk's search language: searches, and the commands that filter, select and count.

A query is a search and commands behind ``|``::

    index=main EventCode=1 Image="C:\\Windows\\*\\at.exe" | stats values(CommandLine) as lines by ComputerName
      Aggregated(Group((Filter(Search(…), And((EventCode = 1, Image = "C:\Windows\*\at.exe"))),), (ComputerName,)), …)

In a string ``\\`` is one backslash and ``\"`` a quote, with quotes and without; a backslash before
another character is itself. ``search`` ignores case; ``where`` and ``regex`` do not. A term without
a field is looked for in the text of the event.

Read are ``search``, ``where``, ``regex``, ``stats``, ``tstats``, ``table``, ``fields``, ``dedup``
of one field, ``rename``, ``fillnull``, ``bin`` of the time, ``convert``, ``sort``, and ``eval``.
What ``eval`` computes by functions that our values do not have may be shown, and nothing else.
Everything else is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import evolve, frozen

from ... import ir
from ...diagnostics import Block, Diagnostic, Span, codes
from ...pattern import Pattern
from ...syntax import END, Token
from ..expressions import ExpressionReader, of_raw_text
from ..query import (
    QueryReading,
    Refusal,
    finished,
    names_of,
    native_search,
    regex_test,
    unsupported,
    wrong,
)
from ..terms import SearchDialect, TermReader, scan, shipped_macro, unknown_macro
from .lengths import length_of

LANGUAGE = "splunk"


def _unescaped(text: str) -> str:
    return re.sub(r'\\([\\"])', r"\1", text)


DIALECT = SearchDialect(
    LANGUAGE,
    '"',
    True,
    _unescaped,
    _unescaped,
    False,
    False,
    "()",
    frozenset({"index", "sourcetype", "source", "splunk_server"}),
    frozenset({"eventtype", "tag", "earliest", "latest", "savedsearch"}),
    segments=True,
)

_AGGREGATES = {
    "count": "count",
    "c": "count",
    "dc": "distinct_count",
    "distinct_count": "distinct_count",
    "values": "values",
    "min": "min",
    "max": "max",
    "avg": "average",
    "mean": "average",
    "sum": "sum",
    "stdev": "standard_deviation",
}


def read(block: Block) -> QueryReading:
    """The reading of a Splunk query.

    >>> reading = read(Block.of('index=main EventCode=11 TargetFilename="*lsass*.dmp"'))
    >>> [type(item).__name__ for item in reading.program.outputs[0].plan.condition.items]
    ['Compare', 'Match']
    >>> [d.message for d in read(Block.of('EventCode=1 | transaction host')).diagnostics]
    ['the command `transaction`']
    """
    found = read_search(block)
    if found.bin is None or found.reading.program is None:
        return found.reading
    said = [*found.reading.diagnostics, _binned(block).diagnostic]
    return finished(LANGUAGE, block, None, said)


def _binned(block: Block) -> Refusal:
    return unsupported("`bin` of the time", block.span(0, len(block.text)))


@frozen
class SplunkReading:
    """A query as it was read, and what goes with it.

    ``places`` are what it says of where its data lies: the names of macros, ``sourcetype=…``.
    ``keeps_null`` tells that groups have the events without a key, too (``fillnull``, and data
    models, which have ``unknown`` for what is not there). ``bin`` is the length of the stretches of
    time that it counts in, in microseconds.
    """

    reading: QueryReading
    places: tuple[str, ...] = ()
    keeps_null: bool = False
    bin: int | None = None


def read_search(block: Block) -> SplunkReading:
    """The reading of a query, with what it says beside its conditions.

    >>> read_search(Block.of("`sysmon` sourcetype=x a=b")).places
    ('sysmon', 'sourcetype=x')
    """
    said: list[Diagnostic] = []
    try:
        reader = CommandReader(block, scan(block, DIALECT), DIALECT, _COMMANDS)
        said = reader.terms.said
        reading = finished(LANGUAGE, block, reader.query(), said)
        return SplunkReading(reading, tuple(reader.terms.places), reader.keeps_null, reader.bin)
    except Refusal as refused:
        return SplunkReading(finished(LANGUAGE, block, None, [*said, refused.diagnostic]))


class CommandReader:
    """A search and its commands, in a dialect; ``commands`` says which command is read how."""

    def __init__(
        self,
        block: Block,
        tokens: list[Token],
        dialect: SearchDialect,
        commands: dict[str, Callable[[CommandReader, ir.Plan, Token], ir.Plan]],
    ) -> None:
        self.terms = TermReader(block, tokens, dialect)
        self.commands = commands
        # Fields that `eval` computed in a way that cannot be read, with the refusals that their use
        # deserves.
        self.opaque: dict[str, Refusal] = {}
        # When a field is there that `rex` took out of another, and what `eval` made of that: the
        # condition, and the texts that stand for true and false.
        self.captured: dict[str, ir.Condition] = {}
        self.flags: dict[str, tuple[ir.Condition, str, str]] = {}
        self.ordered = False
        self.keeps_null = False
        self.bin: int | None = None

    def query(self) -> ir.Plan:
        """The plan of the whole query."""
        terms = self.terms
        plan: ir.Plan = native_search(terms.dialect.name)
        if not terms.cursor.left:
            raise wrong("the query is empty", terms.span(terms.cursor.next))
        if not terms.sign("|"):
            if terms.keyword("search") or terms.cursor.next.text == "search":
                terms.cursor.take()
            plan = self._searched(plan)
        while terms.sign("|"):
            terms.cursor.take()
            name = terms.cursor.take()
            if name.kind == "macro" and (said := shipped_macro(name.text)):
                terms.said.append(Diagnostic(codes.DATA_SOURCE, said, terms.span(name)))
                continue
            if name.kind == "macro" and (dropped := _DROPPED.fullmatch(name.text)):
                plan = self._without_prefix(plan, f"{dropped[1]}.", name)
                continue
            if name.kind == "macro":
                raise unknown_macro(name.text, terms.span(name))
            if name.kind != "word":
                raise wrong("a command is missing here", terms.span(name))
            made = self.commands.get(name.text.lower())
            if made is None:
                raise unsupported(f"the command `{name.text}`", terms.span(name))
            before = sum(1 for _ in names_of(plan))
            plan = made(self, plan, name)
            # The names of what was read last come behind those of what it stands on.
            for used in list(names_of(plan))[before:]:
                if used in self.opaque:
                    raise self.opaque[used]
        if terms.cursor.next.kind != END:
            raise wrong(
                f"`{terms.cursor.next.text}` was never opened", terms.span(terms.cursor.next)
            )
        return plan

    def _searched(self, plan: ir.Plan) -> ir.Plan:
        first = self.terms.cursor.next
        condition = ir.simplify(of_raw_text(self._of_captures(self.terms.search())))
        return ir.Filter(plan, condition, self._since(first))

    def _without_prefix(self, plan: ir.Plan, prefix: str, name: Token) -> ir.Plan:
        """ESCU's ``drop_dm_object_name``: columns lose the name of their data set."""
        if not isinstance(plan, ir.Aggregated | ir.Project):
            raise unsupported("`rename` of an event's fields", self.terms.span(name))
        columns = tuple(evolve(c, name=c.name.removeprefix(prefix)) for c in plan.columns)
        return evolve(plan, columns=columns)

    def _since(self, first: Token) -> Span:
        return self.terms.span(first, self.terms.cursor.previous)

    def search(self, plan: ir.Plan, _: Token) -> ir.Plan:
        """``search TERMS``."""
        return self._searched(plan)

    def where(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``where EXPRESSION``."""
        start, end = self._rest()
        reader = ExpressionReader(self.terms.block, start, end)
        condition = ir.simplify(self._of_captures(reader.whole_condition()))
        self.terms.said += reader.said
        return ir.Filter(plan, condition, self._since(name))

    def regex(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``regex field="expression"``, or the expression alone for the text of the event."""
        terms = self.terms
        field = terms.cursor.take()
        if terms.sign("=", "!="):
            of, sign, token = field.text, terms.cursor.take().text, terms.cursor.take()
        else:
            of, sign, token = "_raw", "=", field
        if token.kind not in ("string", "word"):
            raise wrong("an expression is missing here", terms.span(token))
        written = terms.block.text[token.start : token.end]
        # The string takes one of two backslashes before the expression is read: `c:\\\\temp` finds
        # `c:\temp`. https://docs.splunk.com/Documentation/Splunk/latest/Search/SPLandregularexpressions
        text = _unescaped(written[1:-1]) if token.kind == "string" else written
        span = terms.span(field, token)
        made = of_raw_text(regex_test(ir.Field(of), text, span, cased=True))
        if sign == "!=":
            made = ir.Not(ir.IsTrue(made))
        return ir.Filter(plan, made, self._since(name))

    def rex(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``rex field=FIELD "(?<NAME>expression)"``: of the text that it takes out of a field, only
        that there is one is used.

        pySigma's backend writes so what is an alternative to something else (its
        ``SplunkDeferredORRegularExpression``)::

            rex field=Image "(?<ImageMatch>a.c)"
            | eval ImageCondition=if(isnotnull(ImageMatch), "true", "false")
            | search ImageCondition="true" OR User="x"
        """
        terms = self.terms
        of = "_raw"
        while terms.cursor.next.kind == "word":
            option = terms.cursor.take()
            if option.text not in ("field", "max_match") or not terms.sign("="):
                raise unsupported("`rex` of this form", terms.span(name, option))
            terms.cursor.take()
            value = terms.cursor.take()
            if option.text == "field":
                of = value.text
        token = terms.cursor.take()
        if token.kind != "string":
            raise wrong("an expression is missing here", terms.span(token))
        text = _unescaped(terms.block.text[token.start + 1 : token.end - 1])
        span = terms.span(name, token)
        names, expression = _captures(text)
        if not names:
            raise unsupported("`rex` with a part that need not be there, or without names", span)
        test = of_raw_text(regex_test(ir.Field(of), expression, span, cased=True))
        for captured in names:
            self.captured[captured] = test
            self.flags.pop(captured, None)
            self.opaque[captured] = unsupported("the text that `rex` takes out of a field", span)
        return plan

    def _of_captures(self, condition: ir.Condition) -> ir.Condition:
        """The condition with tests of what `rex` gave as tests of what it read."""
        return ir.map_atoms(condition, self._of_capture)

    def _of_capture(self, atom: ir.Atom) -> ir.Condition:
        match atom:
            case ir.IsNull(ir.Field(name)) if name in self.captured:
                return ir.Not(ir.IsTrue(self.captured[name]))
            case ir.IsNull(ir.Field(name)) if name in self.flags:
                return ir.Truth(False)
            case ir.Match(ir.Field(name), patterns) if name in self.flags:
                condition, yes, no = self.flags[name]
                is_yes, is_no = (any(p.matches(text) for p in patterns) for text in (yes, no))
                if is_yes == is_no:
                    return ir.Truth(is_yes)
                return ir.IsTrue(condition) if is_yes else ir.Not(ir.IsTrue(condition))
            case _:
                return atom

    def eval(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``eval field=EXPRESSION``, several between commas."""
        while True:
            target = self.terms.cursor.take()
            if not self.terms.sign("="):
                raise wrong("`=` is missing here", self.terms.span(self.terms.cursor.next))
            self.terms.cursor.take()
            plan = self._computed(plan, target, name)
            if not self.terms.sign(","):
                return plan
            self.terms.cursor.take()

    def _computed(self, plan: ir.Plan, target: Token, name: Token) -> ir.Plan:
        start, end = self._rest(",")
        asked = _WHETHER_CAPTURED.fullmatch(self.terms.block.text, start, end)
        if asked and asked[2] in self.captured:
            there: ir.Condition = ir.IsTrue(self.captured[asked[2]])
            condition = there if asked[1].lower() == "isnotnull" else ir.Not(there)
            self.flags[target.text] = (condition, asked[3], asked[4])
            self.opaque[target.text] = unsupported("a text that is computed", self._since(target))
            return plan
        self.captured.pop(target.text, None)
        self.flags.pop(target.text, None)
        reader = ExpressionReader(self.terms.block, start, end)
        try:
            value = reader.whole_value()
            read = {found.name for found in ir.fields_in(value)}
            for used in read & self.opaque.keys():
                raise self.opaque[used]
            if _computes_text(value):
                raise unsupported("a text that is computed", self._since(target))
        except Refusal as refused:
            if refused.diagnostic.code is not codes.FOREIGN_UNSUPPORTED:
                raise
            self.opaque[target.text] = refused
            message = (
                f"{target.text} is not computed ({refused.diagnostic.message}); it is only shown"
            )
            self.terms.said.append(Diagnostic(codes.FOREIGN_NEAR, message, self._since(target)))
            return plan
        self.terms.said += reader.said
        self.opaque.pop(target.text, None)
        return ir.Assign(plan, target.text, value, self._since(name))

    def _rest(self, stop: str = "") -> tuple[int, int]:
        """Where the rest of a command stands: up to a pipe, or ``stop`` outside brackets."""
        terms = self.terms
        start = terms.cursor.next.start
        depth = 0
        while not (
            terms.cursor.next.kind == END or terms.sign("|") or (not depth and terms.sign(stop))
        ):
            depth += terms.sign("(") - terms.sign(")")
            terms.cursor.take()
        return start, terms.cursor.previous.end

    def fields(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``table`` or ``fields``: the columns that are shown."""
        names = self._names()
        if names and names[0].text == "+":
            names = names[1:]
        if not names:
            raise wrong("a field is missing here", self.terms.span(name))
        if names[0].text.startswith("-"):
            raise unsupported("a selection by leaving fields out", self.terms.span(names[0]))
        if [found.text for found in names] == ["*"]:
            return plan
        for found in names:
            self._plain_name(found)
        columns = tuple(
            ir.Column(n.text, ir.Field(_time(n.text))) for n in names if n.text not in self.opaque
        )
        return ir.Project(plan, columns, self._since(name))

    def fillnull(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``fillnull value=TEXT FIELDS``: what is not there has a text."""
        self._names_and_options()
        if not isinstance(plan, ir.Aggregated | ir.Project):
            self.keeps_null = True
        message = "a field that is not there stays so; only groups have the events without it, too"
        self.terms.said.append(Diagnostic(codes.FOREIGN_NEAR, message, self._since(name)))
        return plan

    def convert(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``convert ctime(FIELD)``: how a time is shown."""
        self._rest()
        if not isinstance(plan, ir.Aggregated | ir.Project):
            raise unsupported("`convert` of an event's fields", self._since(name))
        message = "convert is about how results are shown"
        self.terms.said.append(Diagnostic(codes.DATA_SOURCE, message, self._since(name)))
        return plan

    def bin_time(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``bin span=LENGTH _time``: the stretches of time that events are counted in."""
        names, options = self._names_and_options()
        span = length_of(options.get("span", ""))
        if span is None or [found.text for found in names] != ["_time"]:
            raise unsupported("`bin` of anything but the time by its span", self._since(name))
        self.bin = span
        return plan

    def _names_and_options(self) -> tuple[list[Token], dict[str, str]]:
        """The names up to the next pipe, and the options ``name=value`` among them."""
        terms = self.terms
        names: list[Token] = []
        options: dict[str, str] = {}
        while not (terms.cursor.next.kind == END or terms.sign("|", ")", "]")):
            token = terms.cursor.take()
            if token.kind not in ("word", "string"):
                if token.text != ",":
                    raise wrong(f"`{token.text}` cannot stand here", terms.span(token))
            elif terms.sign("="):
                terms.cursor.take()
                options[token.text.lower()] = terms.cursor.take().text
            else:
                names.append(token)
        return names, options

    def _plain_name(self, name: Token) -> None:
        if "*" in name.text:
            raise unsupported(
                f"several fields by a wildcard (`{name.text}`)", self.terms.span(name)
            )

    def sort(self, plan: ir.Plan, _: Token) -> ir.Plan:
        """``sort FIELDS``: the order in which results are shown."""
        terms = self.terms
        first = terms.cursor.next
        while not (terms.cursor.next.kind == END or terms.sign("|", "]")):
            terms.cursor.take()
        if first.text != "0":
            message = (
                "Splunk's `sort` without a 0 leaves out what is behind the first 10,000 results"
            )
            terms.said.append(Diagnostic(codes.FOREIGN_NEAR, message, self._since(first)))
        self.ordered = True
        return plan

    def _names(self) -> list[Token]:
        terms = self.terms
        found = []
        while not (terms.cursor.next.kind == END or terms.sign("|", ")", "]")):
            token = terms.cursor.take()
            if token.kind in ("word", "string"):
                found.append(token)
            elif token.text != ",":
                raise wrong(f"`{token.text}` cannot stand here", terms.span(token))
        return found

    def dedup(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``dedup FIELD``: the first event with each value."""
        names = self._names()
        if len(names) != 1 or names[0].text.isdigit():
            raise unsupported("`dedup` of several fields", self._since(name))
        if self.ordered:
            raise unsupported("`dedup` behind `sort`", self._since(name))
        message = (
            "Splunk keeps the event that it reads first, mostly the newest; here it is the oldest"
        )
        self.terms.said.append(Diagnostic(codes.FOREIGN_NEAR, message, self._since(name)))
        return ir.Distinct(plan, ir.Field(names[0].text), self._since(name))

    def rename(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``rename COLUMN as NAME``: of what was counted or selected."""
        words = self._names()
        if len(words) % 3 or any(word.text.lower() != "as" for word in words[1::3]):
            raise unsupported("`rename` of this form", self._since(name))
        is_shown = isinstance(plan, ir.Aggregated | ir.Project)
        if is_shown and len(words) == 3 and words[0].text.endswith(".*") and words[2].text == "*":
            return self._without_prefix(plan, words[0].text[:-1], words[0])
        for word in (*words[::3], *words[2::3]):
            self._plain_name(word)
        pairs = {old.text: new.text for old, new in zip(words[::3], words[2::3], strict=True)}
        for old in pairs.keys() & self.opaque.keys():
            self.opaque[pairs[old]] = self.opaque[old]
        if not isinstance(plan, ir.Aggregated | ir.Project):
            if pairs.keys() & pairs.values() or pairs.keys() & self.captured.keys():
                raise unsupported("`rename` in a circle, or of what `rex` gave", self._since(name))
            for old, new in pairs.items():
                if old in self.opaque:
                    continue
                plan = ir.Assign(plan, new, ir.Field(_time(old)), self._since(name))
            return plan
        columns = tuple(
            evolve(column, name=pairs.get(column.name, column.name)) for column in plan.columns
        )
        return evolve(plan, columns=columns)

    # Counting

    def stats(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``stats AGGREGATES by FIELDS``."""
        columns = self._aggregates()
        keys = self._keys()
        return self._aggregated(plan, columns, keys, name)

    def _aggregated(
        self, plan: ir.Plan, columns: list[ir.Column], keys: list[str], name: Token
    ) -> ir.Plan:
        span = self._since(name)
        counted = any(_is_distinct_count(column.value) for column in columns)
        if keys or counted:
            named = " and ".join(["`by`"] * bool(keys) + ["`dc`"] * bool(counted))
            message = f"Splunk heeds case in {named}; here `Ann` and `ann` are one value"
            self.terms.said.append(Diagnostic(codes.FOREIGN_NEAR, message, span))
        fields = tuple(ir.Field(key) for key in keys)
        group = ir.Group((plan,), fields, None, span)
        shown = tuple(ir.Column(key, ir.Field(key)) for key in keys)
        return ir.Aggregated(group, (*shown, *columns), span)

    def _aggregates(self) -> list[ir.Column]:
        terms = self.terms
        columns: list[ir.Column] = []
        while not (
            terms.cursor.next.kind == END or terms.sign("|") or self._word("by", "from", "where")
        ):
            if terms.sign(","):
                terms.cursor.take()
                continue
            name = terms.cursor.take()
            if name.kind == "macro" and (said := shipped_macro(name.text)):
                terms.said.append(Diagnostic(codes.DATA_SOURCE, said, terms.span(name)))
                continue
            function = _AGGREGATES.get(name.text.lower()) if name.kind == "word" else None
            if function is None:
                raise unsupported(f"the aggregate `{name.text}`", terms.span(name))
            value: ir.Value | None = None
            label = name.text
            if terms.sign("("):
                opened = terms.cursor.take()
                if terms.sign(")") and terms.dialect.minus:
                    # LogPoint calls the column as the query does.
                    label = f"{name.text}()"
                if not terms.sign(")"):
                    of = terms.cursor.take()
                    if of.text == "eval" and terms.sign("("):
                        raise unsupported("an aggregate over `eval`", terms.span(name, of))
                    self._plain_name(of)
                    value = ir.Field(_time(of.text))
                    label = f"{name.text}({of.text})"
                terms.close(")", opened)
            if function != "count" and value is None:
                raise wrong(f"`{name.text}` needs a field", terms.span(name))
            if self._word("as"):
                terms.cursor.take()
                label = terms.cursor.take().text
            if isinstance(value, ir.Field) and value.name in self.opaque:
                self.opaque[label] = self.opaque[value.name]
            else:
                columns.append(ir.Column(label, ir.Aggregate(function, value)))
        return columns

    def _word(self, *words: str) -> bool:
        return (
            self.terms.cursor.next.kind == "word" and self.terms.cursor.next.text.lower() in words
        )

    def _keys(self) -> list[str]:
        if not self._word("by"):
            return []
        self.terms.cursor.take()
        names, options = self._names_and_options()
        keys = [token.text for token in names]
        if "span" in options:
            self.bin = length_of(options["span"])
            if self.bin is None:
                what = "a span that is no length of time"
                raise unsupported(what, self._since(self.terms.cursor.previous))
        if self.bin is not None and "_time" not in keys:
            self.bin = None
        elif self.bin is not None:
            keys.remove("_time")
        return [_time(key) for key in keys]

    def tstats(self, plan: ir.Plan, name: Token) -> ir.Plan:
        """``tstats AGGREGATES from datamodel=MODEL where TERMS by FIELDS``: a search over a data
        model."""
        terms = self.terms
        columns = self._aggregates()
        if self._word("from"):
            terms.cursor.take()
            key = terms.cursor.take()
            if key.text.lower() != "datamodel" or not terms.sign("="):
                raise unsupported("`tstats` over anything but a data model", terms.span(key))
            terms.cursor.take()
            model = terms.cursor.take()
            dataset = model.text.rpartition(".")[2]
            dataset = _ROOTS.get(dataset, dataset)
            self.keeps_null = True
            chosen = ir.Match(ir.Field("datamodel"), (Pattern.literal(dataset),), terms.span(model))
            plan = ir.Filter(plan, chosen, terms.span(model))
        if self._word("where"):
            terms.cursor.take()
            with terms.cursor.until(self._before_by()):
                condition = terms.search()
            plan = ir.Filter(plan, ir.simplify(condition), self._since(name))
        return self._aggregated(plan, columns, self._keys(), name)

    def _before_by(self) -> int:
        """How many tokens stand before ``by``, or before the end of the command."""
        cursor = self.terms.cursor
        for ahead in range(cursor.left):
            token = cursor.peek(ahead)
            if token.kind == "sign" and token.text == "|":
                return ahead
            if token.kind == "word" and token.text.lower() == "by":
                return ahead
        return cursor.left


# The data set that a data model stands for by itself.
_ROOTS = {
    "Network_Resolution": "DNS",
    "Network_Traffic": "All_Traffic",
    "Email": "All_Email",
}
_DROPPED = re.compile(r"""`drop_dm_object_name\(["']?(\w+)["']?\)`""")


# Whether a field is there, as a text for each answer.
_WHETHER_CAPTURED = re.compile(
    r'\s*if\s*\(\s*(isnotnull|isnull)\s*\(\s*([\w.]+)\s*\)\s*,\s*"([^"\\]*)"\s*,\s*"([^"\\]*)"\s*\)\s*',
    re.IGNORECASE,
)
_REX_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\(\?P?<(?P<name>[A-Za-z_]\w*)>|[()|]", re.DOTALL
)
_MAY_LACK = re.compile(r"[?*]|\{0")


def _captures(text: str) -> tuple[list[str], str]:
    """The names of an expression's groups, and the expression without names; no names where one of
    them may be without a text although the expression is found.

    >>> _captures("(?<aMatch>x.*y)")
    (['aMatch'], 'x.*y')
    >>> _captures("(?<a>x)|(?<b>y)")[0]
    []
    """
    named: list[tuple[str, tuple[int, ...]]] = []
    plain: list[str] = []
    # Groups by where they begin; the whole expression is -1.
    around = [-1]
    unsure: set[int] = set()
    at = 0
    whole = False
    for token in _REX_TOKEN.finditer(text):
        plain.append(text[at : token.start()])
        at = token.end()
        piece = token[0]
        if token["name"]:
            # What is an alternative within the group itself leaves it there.
            named.append((token["name"], (*around, ~token.start() - 1)))
            piece = "(?:"
        if piece.startswith("("):
            around.append(token.start())
        elif piece == ")" and len(around) > 1:
            start = around.pop()
            whole = start == 0 and at == len(text)
            if _MAY_LACK.match(text, at):
                unsure |= {start, ~start - 1}
        elif piece == "|":
            unsure.add(around[-1])
        plain.append(piece)
    plain.append(text[at:])
    made = "".join(plain)
    if whole and named and named[0][1] == (-1, -2):
        made = made.removeprefix("(?:")[:-1]
    certain = not any(place in unsure for _, places in named for place in places)
    return ([name for name, _ in named] if certain else []), made


def _is_distinct_count(value: ir.Value) -> bool:
    return isinstance(value, ir.Aggregate) and value.function == "distinct_count"


def _computes_text(value: ir.Value) -> bool:
    """Whether a value is made by functions that only expressions of Splunk's have."""
    match value:
        case ir.Call("len"):
            return True
        case _:
            return any(map(_computes_text, ir.operands(value)))


def _time(name: str) -> str:
    return "time" if name == "_time" else name


_COMMANDS: dict[str, Callable[[CommandReader, ir.Plan, Token], ir.Plan]] = {
    "search": CommandReader.search,
    "where": CommandReader.where,
    "regex": CommandReader.regex,
    "rex": CommandReader.rex,
    "eval": CommandReader.eval,
    "table": CommandReader.fields,
    "fields": CommandReader.fields,
    "dedup": CommandReader.dedup,
    "rename": CommandReader.rename,
    "sort": CommandReader.sort,
    "fillnull": CommandReader.fillnull,
    "convert": CommandReader.convert,
    "bin": CommandReader.bin_time,
    "bucket": CommandReader.bin_time,
    "stats": CommandReader.stats,
    "tstats": CommandReader.tstats,
}
