r"""The functions of field maps in SQL.

Each is written so that it gives what the function gives, null for null included. With regular
expressions that is a matter of taking a part out (``basename`` is ``[^\\/]*$``); SQLite, which has
none, takes texts apart with ``RTRIM`` and ``INSTR``. What cannot be said is refused by the
function's name.
"""

from __future__ import annotations

from ... import ir
from ...functions import FUNCTIONS
from ...pattern import Pattern
from ...regex import escape_regex
from ...values import number_of, text_of
from .expressions import NULL, Expression, Form, Writer

_HIVES = {
    "HKEY_LOCAL_MACHINE": (("hklm",), ("hkey_local_machine",), ("registry", "machine")),
    "HKEY_CURRENT_USER": (("hkcu",), ("hkey_current_user",)),
    "HKEY_USERS": (("hku",), ("hkey_users",), ("registry", "user")),
    "HKEY_CLASSES_ROOT": (("hkcr",), ("hkey_classes_root",)),
    "HKEY_CURRENT_CONFIG": (("hkcc",), ("hkey_current_config",)),
}


def written(w: Writer, call: ir.Call) -> Expression:
    """The SQL expression of a call."""
    match call.function, call.arguments:
        case "first", arguments:
            return _first(w, arguments)
        case "choose", (value, *pairs):
            return _choose(w, value, pairs)
        case "concat", arguments:
            return Expression("(" + " || ".join(_text(w, a) for a in arguments) + ")")
        case "account", (domain, user):
            d, u = _text(w, domain), _text(w, user)
            return Expression(
                f"CASE WHEN {u} <> '' THEN CASE WHEN {d} <> '' "
                f"THEN {d} || {w.literal(chr(92))} || {u} ELSE {u} END END"
            )
        case "integer", (value,):
            x = w.value(value)
            return Expression(w.number(x, ir.Type.INTEGER), Form.NUMBER)
        case "unless", (value, *texts):
            kept = _text(w, value)
            for text in texts:
                kept = f"NULLIF({kept}, {_text(w, text)})"
            return Expression(kept)
        case "given", (value, then):
            given, result = w.value(value), w.value(then)
            sql = f"CASE WHEN {given.sql} IS NOT NULL THEN {result.sql} END"
            return Expression(sql, result.form, result.whole)
        case "no_number", (value,):
            own = _text(w, value)
            number = w.number(Expression(own), ir.Type.NUMBER)
            return Expression(f"CASE WHEN {number} IS NULL THEN {own} END")
        case "hash", (value, ir.Constant(str() as algorithm)):
            return _hash(w, _text(w, value), algorithm)
        case "labelled", (value, ir.Constant(str() as label)):
            return _labelled(w, _text(w, value), label)
        case "part", (value, ir.Constant(separator), *index):
            return _part(w, _text(w, value), separator, index)
        case name, (value,) if name in _UNARY:
            return Expression(_UNARY[name](w, _text(w, value)))
        case name, _:
            known = "" if name in FUNCTIONS else "unknown "
            w.findings.refuse(f"the {known}function {name} of field maps with these arguments")


def _text(w: Writer, value: ir.Value) -> str:
    return w.text(w.value(value))


def _first(w: Writer, arguments: tuple[ir.Value, ...]) -> Expression:
    made = [x for x in map(w.value, arguments) if not x.null]
    if not made:
        return NULL
    forms = {x.form for x in made}
    if len(made) == 1:
        return made[0]
    if len(forms) == 1:
        inner = ", ".join(x.sql for x in made)
        return Expression(f"COALESCE({inner})", made[0].form, all(x.whole for x in made))
    return Expression(f"COALESCE({', '.join(w.text(x) for x in made)})")


def _choose(w: Writer, value: ir.Value, pairs: list[ir.Value]) -> Expression:
    x = _text(w, value)
    other = pairs[-1] if len(pairs) % 2 else None
    chosen = [w.value(v) for v in [*pairs[1::2], *([other] if other is not None else [])]]
    numbers = all(c.form is Form.NUMBER or c.null for c in chosen) and any(
        not c.null for c in chosen
    )

    def result(found: ir.Value) -> str:
        c = w.value(found)
        return c.sql if numbers or c.null else w.text(c)

    cases = []
    for key, found in zip(pairs[::2], pairs[1::2], strict=False):
        if not isinstance(key, ir.Constant):
            w.findings.refuse("a table (choose) whose keys are fields")
        name = text_of(key.value) or ""
        test = w.condition(ir.Match(value, (Pattern.literal(name),)), exact=True)
        cases.append(f"WHEN {test} THEN {result(found)}")
    last = f" ELSE {result(other)}" if other is not None else ""
    sql = f"CASE WHEN {x} IS NULL THEN NULL {' '.join(cases)}{last} END"
    if not numbers:
        sql = f"CAST({sql} AS {w.dialect.text})"
    return Expression(sql, Form.NUMBER if numbers else Form.TEXT, numbers)


def _extract(w: Writer, x: str, expression: str, group: int = 0, *, empty: bool = False) -> str:
    """What an expression (of ours, see ``Writer.own``) takes out of x; null where that is nothing.

    ``empty`` keeps an empty text, which the caller has made sure of.
    """
    d = w.dialect
    assert d.extract is not None
    made = d.extract(x, w.literal(w.own(expression)), group)
    return made if empty else f"NULLIF({made}, '')"


def _separated(w: Writer, x: str) -> str:
    """SQLite: the text with both separators out, as the set of its other characters."""
    return f"REPLACE(REPLACE({x}, {w.literal(chr(92))}, ''), '/', '')"


def _folder_of(w: Writer, x: str) -> str:
    """SQLite: a path up to and with its last separator."""
    return f"RTRIM({x}, {_separated(w, x)})"


def _plain(w: Writer) -> bool:
    return w.dialect.extract is None


def _basename(w: Writer, x: str) -> str:
    if _plain(w):
        return f"NULLIF(SUBSTR({x}, LENGTH({_folder_of(w, x)}) + 1), '')"
    return _extract(w, x, r"[^\\/]*$")


def _dirname(w: Writer, x: str) -> str:
    if _plain(w):
        folder = _folder_of(w, x)
        return f"NULLIF(SUBSTR({folder}, 1, LENGTH({folder}) - 1), '')"
    return _extract(w, x, r"(?s)^(.*)[\\/]", 1)


def _extension(w: Writer, x: str) -> str:
    if _plain(w):
        name = _basename(w, x)
        stem = f"RTRIM({name}, REPLACE({name}, '.', ''))"
        return f"CASE WHEN {stem} <> '' THEN SUBSTR({name}, LENGTH({stem})) END"
    return _extract(w, x, r"(\.[^.\\/]*)$", 1)


def _hash(w: Writer, x: str, algorithm: str) -> Expression:
    if _plain(w):
        w.findings.differs("a list of hashes is read without blanks in it")
        mark = f",{algorithm.upper()}="
        start = f"INSTR(UPPER(',' || {x}), {w.literal(mark)})"
        rest = f"SUBSTR({x}, {start} + {len(mark) - 1})"
        value = f"SUBSTR({rest}, 1, INSTR({rest} || ',', ',') - 1)"
        return Expression(f"CASE WHEN {start} > 0 THEN NULLIF(TRIM({value}), '') END")
    blank = r"[ \t\n\r\f]*"
    found = _extract(
        w, x, rf"(?i)(?:^|,){blank}{escape_regex(algorithm)}{blank}=([^,]*)", _group(w, 1)
    )
    return Expression(f"NULLIF(TRIM({found}), '')")


def _group(w: Writer, number: int) -> int:
    """The number of a group where the dialect counts the ones before it as well."""
    return number if w.dialect.group == "(?:" else number + 1


def _domain_of(w: Writer, x: str) -> str:
    if _plain(w):
        slash = f"INSTR({x}, {w.literal(chr(92))})"
        return f"CASE WHEN {slash} > 1 THEN SUBSTR({x}, 1, {slash} - 1) END"
    return _extract(w, x, r"^([^\\]+)\\", 1)


def _user_of(w: Writer, x: str) -> str:
    if _plain(w):
        return f"NULLIF(SUBSTR({x}, INSTR({x}, {w.literal(chr(92))}) + 1), '')"
    return (
        f"CASE WHEN {w.found(x, chr(92) * 2)} THEN "
        f"{_extract(w, x, r'(?s)^[^' + chr(92) * 2 + r']*' + chr(92) * 2 + r'(.*)$', 1)} "
        f"ELSE NULLIF({x}, '') END"
    )


def _label(w: Writer, x: str) -> str:
    if _plain(w):
        whole = f"({x} GLOB '[0-9.]*' AND {x} NOT GLOB '*[^0-9.]*') OR INSTR({x}, ':') > 0"
        return (
            f"CASE WHEN {whole} THEN {x} "
            f"ELSE NULLIF(SUBSTR({x}, 1, INSTR({x} || '.', '.') - 1), '') END"
        )
    whole = w.found(x, r"^(?:[0-9.]+|[^\n]*:[^\n]*)$")
    return f"CASE WHEN {whole} THEN {x} ELSE {_extract(w, x, r'^[^.]*')} END"


def _qualified(w: Writer, x: str) -> str:
    dot = w.literal(".")
    return f"CASE WHEN {w.dialect.position(x, dot)} > 0 THEN {x} END"


def _unescape(w: Writer, x: str) -> str:
    if _plain(w):
        w.findings.refuse("the function unescape of field maps")
    odd = w.found(x, r"(?:^|[^\\])(?:\\\\)*\\(?:[^\\]|$)")
    two, one = w.literal("\\\\"), w.literal("\\")
    return f"CASE WHEN {odd} THEN {x} ELSE REPLACE({x}, {two}, {one}) END"


def _guid(w: Writer, x: str) -> str:
    return f"NULLIF(LOWER({w.dialect.trim(f'TRIM({x})', w.literal('{}'))}), '')"


def _labelled(w: Writer, x: str, label: str) -> Expression:
    if _plain(w):
        w.findings.differs(
            f"the label {label}: stands at the very start of its line, not behind blanks"
        )
        mark = f"CHAR(10) || {w.literal(label + ':')}"
        start = f"INSTR(CHAR(10) || {x}, {mark})"
        rest = f"SUBSTR({x}, {start} + {len(label) + 1})"
        line = f"SUBSTR({rest}, 1, INSTR({rest} || CHAR(10), CHAR(10)) - 1)"
        value = f"TRIM({line}, ' ' || CHAR(9, 13))"
        return Expression(f"CASE WHEN {start} > 0 THEN NULLIF({value}, '') END")
    body = rf"(?:^|\n)[ \t]*{escape_regex(label)}:[ \t]*([^\r\n]*)\r?(?:\n|$)"
    found = _extract(w, x, body, _group(w, 1))
    return Expression(f"NULLIF(TRIM({found}), '')")


def _part(w: Writer, x: str, separator: object, index: list[ir.Value]) -> Expression:
    mark = text_of(separator)
    place: object = 0
    if index:
        place = number_of(index[0].value) if isinstance(index[0], ir.Constant) else None
    if mark is None or len(mark) != 1 or not isinstance(place, int) or _plain(w):
        w.findings.refuse("the function part of field maps with these arguments")
    one = escape_regex(mark)
    if place >= 0:
        body = rf"^(?:[^{one}]*{one}){{{place}}}([^{one}]*)"
    else:
        body = rf"([^{one}]*)(?:{one}[^{one}]*){{{-place - 1}}}$"
    group = _group(w, 1) if place >= 0 else 1
    found = _extract(w, x, body, group, empty=True)
    return Expression(f"CASE WHEN {w.found(x, body)} THEN COALESCE({found}, '') END")


def _hive(w: Writer, x: str) -> str:
    cases = []
    for name, ways in _HIVES.items():
        tests = []
        for keys in ways:
            if _plain(w):
                path = f"LTRIM({x}, {w.literal(chr(92))}) || {w.literal(chr(92))}"
                start = "\\".join(keys) + "\\"
                tests.append(f"{path} LIKE {w.literal(start.replace('_', '^_') + '%')} ESCAPE '^'")
            else:
                tests.append("\\\\".join(map(escape_regex, keys)))
        if _plain(w):
            test = " OR ".join(tests)
        else:
            test = w.found(x, rf"(?i)^\\*(?:{'|'.join(tests)})(?:\\|$)")
        cases.append(f"WHEN {test} THEN '{name}'")
    return f"CASE {' '.join(cases)} END"


def _lower(w: Writer, x: str) -> str:
    return f"LOWER({x})"


def _upper(w: Writer, x: str) -> str:
    return f"UPPER({x})"


def _trim(w: Writer, x: str) -> str:
    return f"NULLIF(TRIM({x}), '')"


_UNARY = {
    "basename": _basename,
    "dirname": _dirname,
    "extension": _extension,
    "domain_of": _domain_of,
    "user_of": _user_of,
    "label": _label,
    "qualified": _qualified,
    "unescape": _unescape,
    "guid": _guid,
    "hive": _hive,
    "lower": _lower,
    "upper": _upper,
    "trim": _trim,
}
