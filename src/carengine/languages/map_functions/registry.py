r"""The functions of field maps for paths of the registry, in other languages.

``registry_path`` gives the path as Sysmon writes it, of paths that begin otherwise. A pattern over
what it gives becomes patterns over what the log has::

    registry_path(x) matches "HKLM\Run*"      x matches "HKLM\Run*", "HKEY_LOCAL_MACHINE\Run*" or
                                              "\REGISTRY\MACHINE\Run*"
    registry_path(x) matches "*\Run*"         x matches "*\Run*"
    registry_path(x) matches "*MACHINE\*"     x matches "*MACHINE\*", and begins with no root that
                                              becomes another, or the rest behind such a root does
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import ir
from ...pattern import Any, One, Pattern
from ...regex import escape_regex
from ...registrynames import ROOTS
from ..splunk.texts import string
from ..sql.values import SqlExpression
from ..translation import LETTERS
from ..two_valued import Case, TwoValued, all_of, any_of, negation_of
from .spelling import Cases, FunctionSpelling, Preimage, Unspelled, regex
from .sql_texts import has_regex, of_text, text
from .wildcard_parts import (
    Signs,
    has_case,
    matches_signs,
    places_after,
    signs_of,
    splits,
    without_implied,
)

if TYPE_CHECKING:
    from ..splunk.writer import SplunkWriter
    from ..sql.expressions import SqlWriter
    from ..two_valued.rewriter import TwoValuedRewriter


# registry_path


def _registry_path_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    key, name, signs = call.arguments[0], _name_of(call), signs_of(pattern)
    alone = _key_matches(rewriter, key, signs, cased=pattern.cased)
    if name == ir.Constant(None):
        return alone
    # Whatever is behind a key that matches up to the last `*` matches, be it nothing or a name.
    open_end = bool(signs) and isinstance(signs[-1], Any)
    both = (
        all_of(
            (
                _key_matches(rewriter, key, before, cased=pattern.cased),
                matches_signs(rewriter, name, after, cased=pattern.cased),
            )
        )
        for before, after in splits(rewriter, call, pattern, "\\")
        if not (open_end and before == signs)
    )
    if not open_end:
        alone = all_of((rewriter.null(name), alone))
    return any_of((alone, *both))


def _name_of(call: ir.Call) -> ir.Value:
    return call.arguments[1] if len(call.arguments) > 1 else ir.Constant(None)


def _key_matches(
    rewriter: TwoValuedRewriter, key: ir.Value, signs: Signs, *, cased: bool
) -> TwoValued:
    """When a key, with its root as Sysmon has it, matches a pattern."""
    made: list[TwoValued] = []
    # Keys that match as they stand there, but not as Sysmon has them.
    others: list[Pattern] = []
    for root, short in ROOTS:
        for behind in ("", "\\"):
            sought = places_after(signs, short + behind, cased=cased)
            certain, possible = (
                places_after(signs, root + behind, cased=cased, doubtful=doubtful)
                for doubtful in (False, True)
            )
            if not behind:
                sought, certain, possible = (
                    {len(signs)} & places for places in (sought, certain, possible)
                )
            start = Pattern.literal(root + behind).text
            if not possible <= sought:
                others.append(Pattern(start + ("*" if behind else "")))
                certain = set()
            made += [
                _starts_with(rewriter, key, root + behind, signs[place:], cased=cased)
                for place in without_implied(signs, sought)
                if place not in certain
            ]
    plain = matches_signs(rewriter, key, signs, cased=cased)
    if others:
        plain = all_of((plain, negation_of(rewriter.true_of(ir.Match(key, tuple(others))))))
    return any_of((plain, *made))


def _starts_with(
    rewriter: TwoValuedRewriter, key: ir.Value, start: str, rest: Signs, *, cased: bool
) -> TwoValued:
    """When a key begins with a text in any case, and a pattern matches what is behind it."""
    if not (cased and has_case(rest)):
        return matches_signs(rewriter, key, (*start, *rest), cased=False)
    begun = matches_signs(rewriter, key, signs_of(Pattern(start + "*")), cased=False)
    behind = matches_signs(rewriter, key, (*(One() for _ in start), *rest), cased=True)
    return all_of((begun, behind))


def _registry_path_present(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value
) -> TwoValued:
    return rewriter.there(call.arguments[0])


def _registry_path_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    key, name = text(w, call.arguments[0]), w.value(_name_of(call))
    backslash = w.literal("\\")
    if not w.dialect.re2:
        w.findings.differs(LETTERS)
    whens = []
    for root, short in ROOTS:
        start = f"{root}\\"
        if w.dialect.re2:
            test = w.found(key, rf"(?i)^{_escaped(root)}(?:\\|$)")
        else:
            begun = f"SUBSTR({key} || {backslash}, 1, {len(start)})"
            test = f"LOWER({begun}) = {w.literal(start.lower())}"
        rest = f"SUBSTR({key}, {len(root) + 1})"
        whens.append(f"WHEN {test} THEN {w.literal(short)} || {rest}")
    whole = f"CASE {' '.join(whens)} ELSE {key} END"
    if not name.null:
        whole = f"({whole} || COALESCE({backslash} || {w.text(name)}, ''))"
    return SqlExpression(whole)


def _escaped(root: str) -> str:
    return root.replace("\\", "\\\\")


def _registry_path_spl(w: SplunkWriter, call: ir.Call) -> str:
    key, name = w.value(call.arguments[0]), _name_of(call)
    cases = []
    for root, short in ROOTS:
        test = rf"(?is)^{_escaped(root)}(?:\\.*)?$"
        rest = f"substr({key}, {len(root) + 1})"
        cases.append(f"match({key}, {string(test)}), {string(short)}.{rest}")
    whole = f"case({', '.join(cases)}, true(), {key})"
    if name == ir.Constant(None):
        return whole
    behind = w.value(name)
    return f'({whole}.if(isnull({behind}), "", {string(chr(92))}.{behind}))'


REGISTRY_PATH = FunctionSpelling(
    "registry_path",
    Preimage(_registry_path_match, _registry_path_present),
    _registry_path_sql,
    _registry_path_spl,
)


# hive


_HIVES = {
    "HKEY_LOCAL_MACHINE": (r"hklm", r"hkey_local_machine", r"registry\\machine"),
    "HKEY_CURRENT_USER": (r"hkcu", r"hkey_current_user"),
    "HKEY_USERS": (r"hku", r"hkey_users", r"registry\\user"),
    "HKEY_CLASSES_ROOT": (r"hkcr", r"hkey_classes_root"),
    "HKEY_CURRENT_CONFIG": (r"hkcc", r"hkey_current_config"),
}


def _hive_cases(rewriter: TwoValuedRewriter, call: ir.Call) -> list[Case]:
    return [
        (
            rewriter.true_of(regex(call.arguments[0], rf"^\\*(?:{'|'.join(ways)})(?:\\|$)")),
            ir.Constant(name),
        )
        for name, ways in _HIVES.items()
    ]


_HIVES_IN_PARTS = {
    "HKEY_LOCAL_MACHINE": (("hklm",), ("hkey_local_machine",), ("registry", "machine")),
    "HKEY_CURRENT_USER": (("hkcu",), ("hkey_current_user",)),
    "HKEY_USERS": (("hku",), ("hkey_users",), ("registry", "user")),
    "HKEY_CLASSES_ROOT": (("hkcr",), ("hkey_classes_root",)),
    "HKEY_CURRENT_CONFIG": (("hkcc",), ("hkey_current_config",)),
}


def _hive_sql(w: SqlWriter, x: str) -> str:
    cases = []
    for name, ways in _HIVES_IN_PARTS.items():
        tests = []
        for keys in ways:
            if not has_regex(w):
                path = f"LTRIM({x}, {w.literal(chr(92))}) || {w.literal(chr(92))}"
                start = "\\".join(keys) + "\\"
                tests.append(f"{path} LIKE {w.literal(start.replace('_', '^_') + '%')} ESCAPE '^'")
            else:
                tests.append("\\\\".join(map(escape_regex, keys)))
        if not has_regex(w):
            test = " OR ".join(tests)
        else:
            test = w.found(x, rf"(?i)^\\*(?:{'|'.join(tests)})(?:\\|$)")
        cases.append(f"WHEN {test} THEN '{name}'")
    return f"CASE {' '.join(cases)} END"


HIVE = FunctionSpelling(
    "hive", Cases(_hive_cases), of_text(_hive_sql), Unspelled("no way to write it is worked out")
)


REGISTRY = (HIVE, REGISTRY_PATH)
