r"""Preimages: what a field must be like for a function of field maps to give what a rule asks for.

A rule asks whether ``basename(Image)`` matches ``lsass*.dmp``. No log has a field for that, but it
has ``Image``, and the texts whose base name matches are a regular language as well::

    basename(x) matches "cmd.exe"       x matches "cmd.exe", "*\cmd.exe" or "*/cmd.exe"
    basename(x) matches "*.dmp"         x matches "*.dmp"
    basename(x) matches "lsass*.dmp"    (?:^|[\\/])lsass[^\\/]*\.dmp$ is found in x
    hash(x, "MD5") matches "ab"         (?:^|,)\s*MD5\s*=\s*ab\s*(?:,|$) is found in x

Wildcards are used where they say it exactly, since every target has them; else a regular
expression, in which ``*`` stops where the function cuts. ``cases`` takes the functions that choose
between values (``first``, ``choose``) apart into guarded alternatives. Whatever has no preimage
here is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from .. import functions, ir
from ..diagnostics import Span
from ..functions import FUNCTIONS
from ..pattern import Any, One, Pattern
from ..regex import escape_regex, pattern_to_regex, tokens_of
from ..values import text_of
from .two_valued import Always, Case, Formula, every, never, some

if TYPE_CHECKING:
    from .two_valued import Formulas

_BLANK = r"[\s\v]*"
_ADDRESS_LIKE = r"^(?:[0-9.]+|[^\n]*:[^\n]*)$"
_ODD_BACKSLASHES = r"(?:^|[^\\])(?:\\\\)*\\(?:[^\\]|$)"


# Functions that choose


def cases(f: Formulas, call: ir.Call) -> list[Case]:
    """A call as guarded values, none of which is a choosing function."""
    match call.function, call.arguments:
        case "first", arguments:
            return _first(f, arguments)
        case "choose", (value, *pairs):
            return _choose(f, value, pairs)
        case "hive", (value,):
            return _hive(f, value)
        case "unless", (value, *texts):
            return _unless(f, value, texts)
        case "given", (value, then):
            given = f.there(value)
            return [(every((given, guard)), v) for guard, v in f.cases(then)]
        case "no_number", (value,):
            number = r"^[\s\v]*[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?[\s\v]*$"
            return [
                (every((guard, never(f.true_of(_regex(v, number))))), v)
                for guard, v in f.cases(value)
            ]
        case "integer", (value,):
            return [(g, ir.Call("integer", (v,), call.type)) for g, v in f.cases(value)]
        case function, (value, *rest) if function in FUNCTIONS and FUNCTIONS[function].strict:
            return [(guard, _applied(call, v, rest)) for guard, v in f.cases(value)]
        case _:
            return [(Always(True), call)]


def _applied(call: ir.Call, value: ir.Value, rest: list[ir.Value]) -> ir.Value:
    """A strict function of a simple value, worked out where that is a constant."""
    if isinstance(value, ir.Constant) and all(isinstance(r, ir.Constant) for r in rest):
        given = [value.value, *(r.value for r in rest if isinstance(r, ir.Constant))]
        found = functions.call(call.function, given)
        if found is None or isinstance(found, str | int | float):
            return ir.Constant(found)
    return evolve(call, arguments=(value, *rest))


def _first(f: Formulas, arguments: tuple[ir.Value, ...]) -> list[Case]:
    made: list[Case] = []
    before: list[Formula] = []
    for number, argument in enumerate(arguments, 1):
        made += [(every((*before, guard)), v) for guard, v in f.cases(argument)]
        if number < len(arguments):
            before.append(f.null(argument))
    return made


def _choose(f: Formulas, value: ir.Value, pairs: list[ir.Value]) -> list[Case]:
    made: list[Case] = []
    other: ir.Value = pairs[-1] if len(pairs) % 2 else ir.Constant(None)
    earlier: list[Pattern] = []
    for key, chosen in zip(pairs[::2], pairs[1::2], strict=False):
        if not isinstance(key, ir.Constant):
            f.findings.refuse("a table (choose) whose keys are fields")
        pattern = Pattern.literal(text_of(key.value) or "")
        if pattern in earlier:
            continue
        # Keys are different texts: the test of one leaves the others out.
        test = f.true_of(ir.Match(value, (pattern,)))
        earlier.append(pattern)
        made += [(every((test, guard)), v) for guard, v in f.cases(chosen)]
    if other != ir.Constant(None):
        rest = f.false_of(ir.Match(value, tuple(earlier)))
        made += [(every((rest, guard)), v) for guard, v in f.cases(other)]
    return made


_HIVES = {
    "HKEY_LOCAL_MACHINE": (r"hklm", r"hkey_local_machine", r"registry\\machine"),
    "HKEY_CURRENT_USER": (r"hkcu", r"hkey_current_user"),
    "HKEY_USERS": (r"hku", r"hkey_users", r"registry\\user"),
    "HKEY_CLASSES_ROOT": (r"hkcr", r"hkey_classes_root"),
    "HKEY_CURRENT_CONFIG": (r"hkcc", r"hkey_current_config"),
}


def _hive(f: Formulas, value: ir.Value) -> list[Case]:
    return [
        (f.true_of(_regex(value, rf"^\\*(?:{'|'.join(ways)})(?:\\|$)")), ir.Constant(name))
        for name, ways in _HIVES.items()
    ]


def _unless(f: Formulas, value: ir.Value, texts: list[ir.Value]) -> list[Case]:
    patterns = []
    for text in texts:
        if not isinstance(text, ir.Constant) or not isinstance(text.value, str):
            f.findings.refuse("the function unless of field maps with these arguments")
        patterns.append(Pattern.literal(text.value, cased=True))
    made = []
    for guard, v in f.cases(value):
        no = never(f.true_of(ir.Match(v, tuple(patterns))))
        made.append((every((guard, no)), v))
    return made


# Tests of a call's result, as tests of its argument


def _regex(
    value: ir.Value, pattern: str, *, cased: bool = False, multiline: bool = False
) -> ir.Condition:
    return ir.Regex(value, pattern, cased, True, multiline)


@frozen
class _Cut:
    """A function that takes a part of a text.

    ``around`` is the expression of the whole text, with ``{}`` for the part; ``run`` and ``one``
    are what ``*`` and ``?`` can be in the part; ``outside`` holds characters that the part cannot
    have; ``there`` is an expression for texts that have a part at all.
    """

    around: str
    run: str
    one: str
    outside: str
    there: str

    def matches(self, f: Formulas, value: ir.Value, pattern: Pattern) -> Formula:
        """When the part matches a pattern; it is never empty."""
        tokens = tokens_of(pattern)
        if any(isinstance(t, str) and not set(self.outside).isdisjoint(t) for t in tokens):
            return Always(False)
        if not tokens:
            return Always(False)
        if all(isinstance(token, Any) for token in tokens):
            return f.true_of(_regex(value, self.there))
        body = pattern_to_regex(pattern, run=self.run, one=self.one)
        expression = self.around.replace("{}", body)
        return f.true_of(_regex(value, expression, cased=pattern.cased))


_BASENAME = _Cut(r"(?:^|[\\/]){}$", r"[^\\/]*", r"[^\\/]", "\\/", r"[^\\/]$")
_DIRNAME = _Cut(r"^{}[\\/][^\\/]*$", ".*", ".", "", r"^.+[\\/][^\\/]*$")
_DOMAIN = _Cut(r"^{}\\", r"[^\\]*", r"[^\\]", "\\", r"^[^\\]+\\")


def there(f: Formulas, call: ir.Call) -> Formula:
    """When a call's result is not null; the call is of a simple value."""
    value = call.arguments[0] if call.arguments else ir.Constant(None)
    match call.function:
        case "basename":
            ends: tuple[Pattern, ...] = (Pattern("*\\"), Pattern("*/"))
            if not (isinstance(value, ir.Raw) and "" in value.empty):
                ends = (*ends, Pattern(""))
            return every((f.there(value), never(f.true_of(ir.Match(value, ends)))))
        case "dirname":
            return f.true_of(_regex(value, _DIRNAME.there))
        case "extension":
            return f.true_of(_regex(value, r"\.[^.\\/]*$"))
        case "hash":
            return f.true_of(_regex(value, _hash_around(f, call).replace("{}", r"[^,\s]")))
        case "domain_of":
            return f.true_of(_regex(value, _DOMAIN.there))
        case "user_of":
            ends = (Pattern(""),)
            slash = Pattern("*\\")
            only = _regex(value, r"^[^\\]*\\$")
            return every(
                (
                    f.there(value),
                    never(f.true_of(ir.Match(value, ends))),
                    never(every((f.true_of(ir.Match(value, (slash,))), f.true_of(only)))),
                )
            )
        case "label":
            like = f.true_of(_regex(value, _ADDRESS_LIKE))
            return some((like, f.true_of(_regex(value, r"^[^.]"))))
        case "qualified":
            return f.true_of(ir.Match(value, (Pattern("*.*"),)))
        case "unescape" | "lower" | "upper":
            return f.there(value)
        case "guid":
            return f.true_of(_regex(value, r"[^{}\s\v]"))
        case "trim":
            return f.true_of(_regex(value, r"[^\s\v]"))
        case "labelled":
            return f.true_of(_regex(value, _label_around(f, call, "[^ \\t\\r\\n]"), multiline=True))
        case "concat":
            return every(f.there(argument) for argument in call.arguments)
        case "account":
            return f.true_of(ir.Match(call.arguments[-1], (Pattern("?*"),)))
        case function:
            f.findings.refuse(f"whether what {function} gives is null")


def match(f: Formulas, call: ir.Call, pattern: Pattern, span: Span | None) -> Formula:
    """When a call's result matches a pattern; the call is of a simple value."""
    value = call.arguments[0] if call.arguments else ir.Constant(None)
    write = _MATCHES.get(call.function)
    if write is None:
        f.findings.refuse(
            f"the function {call.function} of field maps, which this field needs", span
        )
    return write(f, call, value, pattern)


def _is_literal(pattern: Pattern) -> bool:
    return all(isinstance(token, str) for token in tokens_of(pattern))


def _suffix(pattern: Pattern) -> str | None:
    """The text behind a single ``*`` at the pattern's start."""
    match tokens_of(pattern):
        case (Any(), str() as text):
            return text
        case _:
            return None


def _basename(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    suffix = _suffix(pattern)
    if suffix is not None and set(suffix).isdisjoint("\\/"):
        return f.true_of(ir.Match(value, (pattern,)))
    if _is_literal(pattern) and tokens_of(pattern):
        [name] = tokens_of(pattern)
        assert isinstance(name, str)
        if not set(name).isdisjoint("\\/"):
            return Always(False)
        ways = tuple(Pattern(before + pattern.text, pattern.cased) for before in ("*\\", "*/", ""))
        return f.true_of(ir.Match(value, ways))
    return _BASENAME.matches(f, value, pattern)


def _dirname(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    return _DIRNAME.matches(f, value, pattern)


def _extension(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    """The extension begins with its dot and has no other."""
    tokens = list(tokens_of(pattern))
    ways: list[list[object]] = []
    match tokens:
        case [str() as head, *rest] if head.startswith("."):
            ways.append([head[1:], *rest])
        case [One(), *rest]:
            ways.append(list(rest))
        case [Any(), str() as head, *rest] if head.startswith("."):
            ways += [[head[1:], *rest], [Any(), head, *rest]]
        case [Any(), *rest]:
            ways += [[Any(), *rest]]
    made = []
    for way in ways:
        texts = [token for token in way if isinstance(token, str)]
        if any(not set(text).isdisjoint(".\\/") for text in texts):
            continue
        if all(isinstance(token, str) for token in way):
            exact = Pattern("*" + Pattern.literal("." + "".join(texts)).text, pattern.cased)
            made.append(f.true_of(ir.Match(value, (exact,))))
            continue
        inside = "".join(
            escape_regex(t)
            if isinstance(t, str)
            else r"[^.\\/]" + ("*" if isinstance(t, Any) else "")
            for t in way
        )
        made.append(f.true_of(_regex(value, rf"\.{inside}$", cased=pattern.cased)))
    return some(made)


def _hash_around(f: Formulas, call: ir.Call) -> str:
    algorithm = call.arguments[1] if len(call.arguments) > 1 else None
    if not isinstance(algorithm, ir.Constant) or not isinstance(algorithm.value, str):
        f.findings.refuse("a hash whose algorithm is a field")
    f.findings.differs("a list of hashes that holds one algorithm twice is searched whole")
    return rf"(?:^|,){_BLANK}{escape_regex(algorithm.value)}{_BLANK}={_BLANK}{{}}"


def _hash(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    around = _hash_around(f, call) + rf"{_BLANK}(?:,|$)"
    empty = _hash_around(f, call).replace("{}", r"[^,\s]")
    cut = _Cut(around, "[^,]*", "[^,]", ",", empty)
    if pattern.cased:
        f.findings.refuse("a hash whose case is heeded")
    return cut.matches(f, value, pattern)


def _domain_of(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    if _is_literal(pattern) and tokens_of(pattern) and "\\" not in pattern.text:
        return f.true_of(ir.Match(value, (Pattern(pattern.text + "\\*", pattern.cased),)))
    return _DOMAIN.matches(f, value, pattern)


def _user_of(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    if not tokens_of(pattern):
        return Always(False)
    if all(isinstance(token, Any) for token in tokens_of(pattern)):
        return there(f, call)
    with_domain = pattern_to_regex(pattern)
    alone = pattern_to_regex(pattern, run=r"[^\\]*", one=r"[^\\]")
    made = [f.true_of(_regex(value, rf"^[^\\]*\\{with_domain}$", cased=pattern.cased))]
    if not any(isinstance(token, str) and "\\" in token for token in tokens_of(pattern)):
        made.append(f.true_of(_regex(value, f"^{alone}$", cased=pattern.cased)))
    return some(made)


def _label(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    like = f.true_of(_regex(value, _ADDRESS_LIKE))
    whole = every((like, f.true_of(ir.Match(value, (pattern,)))))
    cut = _Cut(r"^{}(?:\.|$)", "[^.]*", "[^.]", ".", "^[^.]")
    return some((whole, every((never(like), cut.matches(f, value, pattern)))))


def _qualified(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    dotted = f.true_of(ir.Match(value, (Pattern("*.*"),)))
    return every((dotted, f.true_of(ir.Match(value, (pattern,)))))


def _unescape(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    plain = f.true_of(ir.Match(value, (pattern,)))
    if not any(isinstance(token, str) and "\\" in token for token in tokens_of(pattern)):
        if not any(isinstance(token, One) for token in tokens_of(pattern)):
            # Runs may stand for backslashes, one or two: doubled or not, the text matches alike.
            return plain
        f.findings.refuse("a pattern with ? over a field whose backslashes may be doubled")
    if any(isinstance(token, One) for token in tokens_of(pattern)):
        f.findings.refuse("a pattern with ? over a field whose backslashes may be doubled")
    doubled = every(
        (
            f.true_of(ir.Match(value, (Pattern("*\\\\*"),))),
            never(f.true_of(_regex(value, _ODD_BACKSLASHES))),
        )
    )
    twice = Pattern(pattern.text.replace("\\", "\\\\"), pattern.cased)
    matched = f.true_of(ir.Match(value, (twice,)))
    return some((every((doubled, matched)), every((never(doubled), plain))))


def _lower(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    if pattern.cased:
        f.findings.refuse(f"the case of what {call.function} gives")
    return f.true_of(ir.Match(value, (pattern,)))


def _guid(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    if pattern.cased or "{" in pattern.text or "}" in pattern.text:
        f.findings.refuse("a GUID with braces, or whose case is heeded")
    cut = _Cut(rf"^{_BLANK}[{{}}]*\0[{{}}]*{_BLANK}$", ".*", ".", "", r"[^{}\s\v]")
    tokens = tokens_of(pattern)
    if not tokens or all(isinstance(token, Any) for token in tokens):
        return cut.matches(f, value, pattern)
    expression = cut.around.replace("\\0", pattern_to_regex(pattern))
    return f.true_of(_regex(value, expression))


def _trim(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    return _Cut(rf"^{_BLANK}{{}}{_BLANK}$", ".*", ".", "", r"[^\s\v]").matches(f, value, pattern)


def _label_around(f: Formulas, call: ir.Call, body: str) -> str:
    label = call.arguments[1]
    if not isinstance(label, ir.Constant) or not isinstance(label.value, str):
        f.findings.refuse("a labelled line whose label is a field")
    f.findings.differs(
        f"a message in which several lines begin with {label.value}: is searched whole"
    )
    return rf"^[ \t]*{escape_regex(label.value)}:[ \t]*{body}"


def _labelled(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    if any(
        isinstance(token, str) and ("\r" in token or "\n" in token) for token in tokens_of(pattern)
    ):
        return Always(False)
    if not tokens_of(pattern):
        return Always(False)
    if all(isinstance(token, Any) for token in tokens_of(pattern)):
        return there(f, call)
    body = pattern_to_regex(pattern, run=r"[^\r\n]*", one=r"[^\r\n]") + r"[ \t]*\r?$"
    # The label itself is looked for with case only where the whole expression is.
    expression = _label_around(f, call, body)
    return f.true_of(_regex(value, expression, cased=pattern.cased, multiline=True))


def _account(f: Formulas, call: ir.Call, value: ir.Value, pattern: Pattern) -> Formula:
    if len(call.arguments) != 2:
        f.findings.refuse("the function account of field maps with one argument")
    domain, user = call.arguments
    tokens = tokens_of(pattern)
    suffix = _suffix(pattern)
    if suffix is not None and "\\" not in suffix:
        return f.true_of(ir.Match(user, (pattern,)))
    if not _is_literal(pattern):
        f.findings.refuse("a pattern with * over an account that is in two fields")
    text = "".join(token for token in tokens if isinstance(token, str))
    if not text:
        return Always(False)
    unknown = some((f.null(domain), f.true_of(ir.Match(domain, (Pattern(""),)))))
    made = [every((unknown, f.true_of(ir.Match(user, (pattern,)))))]
    for place, character in enumerate(text):
        if character == "\\" and 0 < place < len(text) - 1:
            parts = text[:place], text[place + 1 :]
            left, right = (Pattern.literal(part, cased=pattern.cased) for part in parts)
            made.append(
                every((f.true_of(ir.Match(domain, (left,))), f.true_of(ir.Match(user, (right,)))))
            )
    return some(made)


_Match = Callable[["Formulas", ir.Call, ir.Value, Pattern], Formula]

_MATCHES: dict[str, _Match] = {
    "basename": _basename,
    "dirname": _dirname,
    "extension": _extension,
    "hash": _hash,
    "domain_of": _domain_of,
    "user_of": _user_of,
    "label": _label,
    "qualified": _qualified,
    "unescape": _unescape,
    "lower": _lower,
    "upper": _lower,
    "guid": _guid,
    "trim": _trim,
    "labelled": _labelled,
    "account": _account,
}


def regex(f: Formulas, call: ir.Call, test: ir.Regex) -> Formula:
    """When a regular expression is found in a call's result; the call is of a simple value."""
    [value, *_] = call.arguments or (ir.Constant(None),)
    match call.function:
        case "lower" | "upper" if not test.cased:
            return f.true_of(evolve(test, value=value))
        case "qualified":
            dotted = f.true_of(ir.Match(value, (Pattern("*.*"),)))
            return every((dotted, f.true_of(evolve(test, value=value))))
        case function:
            f.findings.refuse(f"a regular expression over what {function} gives", test.span)
