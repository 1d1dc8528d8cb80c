"""Hypothesis strategies for programs: every tree that a text can say, and no other.

``programs()`` gives whole programs, ``expressions()`` single ones. Names are as hostile as names
can be: keywords, ``@timestamp``, names that only stand in backquotes. Strings hold quotes of both
kinds, wildcards, backslashes and any character but line ends. The trees mean nothing; a test that
needs names that are defined has to make its own.
"""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st

from carengine.syntax import ast

T = TypeVar("T")

KEYWORDS = [
    "search",
    "filter",
    "join",
    "group",
    "from",
    "run",
    "where",
    "by",
    "within",
    "select",
    "as",
    "and",
    "or",
    "not",
    "in",
    "match",
    "contains",
    "does",
    "contain",
    "exists",
    "raw",
    "event",
    "top",
    "bottom",
    "of",
    "null",
    "now",
    "true",
    "false",
    "input",
    "output",
    "return",
    "count",
    "min",
    "second",
    "analytic",
    "s",
    "d",
    "m",
    "hour",
    "elif",
]

_PLAIN = (
    "a",
    "b",
    "files",
    "image_path",
    "@timestamp",
    "user",
    "pid",
    "_x9",
    "größe",
    "名前",
    "to",
)
_QUOTED = ("id.orig_h", "user-agent", "with space", "9lives", "a`b", "#text", '"', "(")

_TEXT = st.text(
    st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1, max_size=8
)

names = st.one_of(
    st.sampled_from(_PLAIN),
    st.sampled_from(KEYWORDS).map(lambda word: word.title() if len(word) % 3 == 0 else word),
    st.sampled_from(_QUOTED),
    _TEXT,
)

_texts = st.one_of(
    st.sampled_from(
        [
            "",
            "C:\\Windows\\*\\taskmgr.exe",
            "lsass*.dm?",
            "[*]",
            'say "a"',
            "it's",
            "\"'\"'",
            "# no comment",
            "a” b",
            "\\",
            "ſß\u00a0İ",
        ]
    ),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20),
)


def _name() -> st.SearchStrategy[ast.Name]:
    return st.builds(ast.Name, names)


def _some(
    items: st.SearchStrategy[T], least: int = 1, most: int = 3
) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(items, min_size=least, max_size=most).map(lambda found: tuple(found))


strings = st.builds(ast.StringLiteral, _texts)
numbers = st.one_of(
    st.builds(ast.NumberLiteral, st.integers(-(10**30), 10**30)),
    st.builds(ast.NumberLiteral, st.floats(allow_nan=False, allow_infinity=False)),
)
durations = st.one_of(
    st.builds(ast.DurationLiteral, st.integers(-(10**17), 10**17)),
    st.builds(
        lambda amount, unit: ast.DurationLiteral(amount * unit),
        st.integers(0, 400),
        st.sampled_from([1_000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000]),
    ),
)
networks = st.builds(
    ast.NetworkLiteral,
    st.sampled_from(
        ["10.0.0.0/8", "192.168.1.7", "fe80::/10", "::1", "::", "2001:DB8::1/64", "::ffff:10.0.0.1"]
    ),
)
fields = st.builds(ast.FieldPath, _some(names))
_leaves = st.one_of(
    fields,
    strings,
    numbers,
    durations,
    st.just(ast.NullLiteral()),
    st.just(ast.NowLiteral()),
    st.booleans().map(ast.BooleanLiteral),
)


def _compound(inner: st.SearchStrategy[ast.Expression]) -> st.SearchStrategy[ast.Expression]:
    many = _some(inner, 2, 4)
    negated = st.booleans()
    pairs = st.lists(
        st.tuples(st.sampled_from(list(ast.Operator)), inner), min_size=1, max_size=3
    ).map(tuple)
    lists = st.builds(ast.ListExpression, _some(inner | networks, 0, 4))
    return st.one_of(
        st.builds(ast.AndExpression, many),
        st.builds(ast.OrExpression, many),
        st.builds(ast.NotExpression, inner),
        st.builds(ast.ComparisonExpression, inner, pairs),
        st.builds(ast.InExpression, inner, st.one_of(lists, inner, networks), negated),
        st.builds(ast.ContainsExpression, inner, st.one_of(lists, inner), negated),
        st.builds(ast.MatchExpression, inner, strings),
        st.builds(ast.ExistsExpression, inner),
        st.builds(ast.RawContainsExpression, strings, negated),
        st.builds(ast.RankExpression, inner, st.integers(0, 99), fields, negated, negated),
        st.builds(ast.ArithmeticExpression, st.sampled_from(list(ast.Sign)), inner, inner),
        st.builds(ast.CallExpression, names, _some(inner, 0, 3)),
        lists,
    )


_expressions = st.recursive(_leaves, _compound, max_leaves=12)


def expressions() -> st.SearchStrategy[ast.Expression]:
    """Conditions and values; the grammar does not tell them apart."""
    return _expressions


_source_part = st.just("*") | st.from_regex(r"\A[\w.+-]{1,8}\Z")
_kinds = st.builds(ast.KindName, _name(), st.none() | _name()) | st.builds(
    ast.SourceName, _source_part, _source_part, st.just("") | st.from_regex(r"\A[\w.+-]{1,8}\Z")
)
_several_actions = st.builds(
    lambda noun, verbs: tuple(ast.KindName(noun, verb) for verb in verbs),
    _name(),
    _some(_name(), 2, 3),
)
_rule_ids = st.builds(ast.Name, st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.\-]{0,12}\Z"))

streams = st.one_of(
    st.builds(ast.SearchExpression, _some(_kinds) | _several_actions, st.none() | _expressions),
    st.builds(ast.FilterExpression, _name(), _expressions),
    st.builds(ast.JoinExpression, _some(_name(), 2, 4), _expressions),
    st.builds(
        ast.GroupExpression,
        _some(_name()),
        _some(fields),
        st.none() | durations.filter(lambda length: length.microseconds >= 0),
    ),
    st.builds(
        ast.SelectExpression,
        _name(),
        _some(st.builds(ast.SelectItem, _expressions, st.none() | _name()), 1, 4),
    ),
    st.builds(ast.CountExpression, _name(), _some(fields)),
    st.builds(ast.RunExpression, _rule_ids),
)

statements: st.SearchStrategy[ast.Statement] = st.one_of(
    st.builds(ast.DefineStatement, _name(), streams),
    st.builds(ast.DefineStatement, _name(), _expressions),
    st.builds(ast.AssignStatement, _name(), _some(names), _expressions),
    st.builds(ast.InputStatement, _name()),
    st.builds(ast.OutputStatement, _some(_name())),
)


def programs() -> st.SearchStrategy[ast.SyntaxTree]:
    """Programs of up to five statements."""
    return st.builds(ast.SyntaxTree, st.lists(statements, max_size=5).map(tuple))
