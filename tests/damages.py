"""Ways to damage a canonical program as the published corpus is damaged.

A damage is a function of a text and a random number generator that gives the damaged text, or None
where the text has nothing of the kind. Each makes one mistake that an author could make; what the
text meant is what it was before.
"""

from __future__ import annotations

import re
import string as letters
from collections.abc import Callable, Iterator
from random import Random

from attrs import frozen

from carengine.diagnostics import Block
from carengine.lenient import foreign
from carengine.syntax import ast, parse_program
from carengine.syntax.lexical import Lexeme, scan
from carengine.syntax.walking import expressions, fields_in, streams_of

Damage = Callable[[str, Random], str | None]


@frozen
class Place:
    start: int
    end: int

    def replaced(self, text: str, new: str) -> str:
        return text[: self.start] + new + text[self.end :]


def lexemes(text: str) -> list[Lexeme]:
    scanned = scan(text)
    assert scanned is not None
    return scanned[0]


def _signs(text: str, sign: str) -> list[Place]:
    return [Place(item.start, item.end) for item in lexemes(text) if item.text == sign]


def _strings(text: str) -> list[Lexeme]:
    return [item for item in lexemes(text) if item.kind == "string"]


def _one(places: list[Place], random: Random) -> Place | None:
    return random.choice(places) if places else None


def _dropped(sign: str) -> Damage:
    def damage(text: str, random: Random) -> str | None:
        place = _one(_signs(text, sign), random)
        return None if place is None else place.replaced(text, "")

    return damage


def closing_bracket_added(text: str, random: Random) -> str | None:
    place = _one(_signs(text, ")"), random)
    return None if place is None else place.replaced(text, "))")


def quote_dropped(text: str, random: Random) -> str | None:
    found = _strings(text)
    if not found:
        return None
    item = random.choice(found)
    at = random.choice([item.start, item.end - 1])
    return text[:at] + text[at + 1 :]


def closing_quote_dropped(text: str, random: Random) -> str | None:
    found = _strings(text)
    if not found:
        return None
    at = random.choice(found).end - 1
    return text[:at] + text[at + 1 :]


def quote_doubled(text: str, random: Random) -> str | None:
    found = [item for item in _strings(text) if len(item.text) > 2]
    if not found:
        return None
    at = random.choice(found).end - 1
    return text[:at] + text[at] + text[at:]


def quotes_typographic(text: str, random: Random) -> str | None:
    found = [item for item in _strings(text) if item.text[0] == '"']
    if not found:
        return None
    item = random.choice(found)
    pair = random.choice(["“”", "””", "„“", '"”', '“"'])
    return text[: item.start] + pair[0] + item.text[1:-1] + pair[1] + text[item.end :]


def all_quotes_typographic(text: str, random: Random) -> str | None:
    made = text
    for item in reversed([item for item in _strings(text) if item.text[0] == '"']):
        made = made[: item.start] + "“" + item.text[1:-1] + "”" + made[item.end :]
    return made if made != text else None


def quotes_escaped(text: str, random: Random) -> str | None:
    found = [item for item in _strings(text) if item.text[0] == '"' and '""' in item.text[1:-1]]
    found += [
        item
        for item in _strings(text)
        if item.text[0] == "'" and '"' in item.text and "'" not in item.text[1:-1]
    ]
    if not found:
        return None
    item = random.choice(found)
    inner = item.text[1:-1]
    inner = inner.replace('""', '\\"') if item.text[0] == '"' else inner.replace('"', '\\"')
    return text[: item.start] + '"' + inner + '"' + text[item.end :]


def value_unquoted(text: str, random: Random) -> str | None:
    """A path, a pattern or a file's name loses its quotes."""
    found = [
        item
        for item in _strings(text)
        if re.fullmatch(r"""["'](?:[A-Z]:\\|\*|%)[^"'#]*\S["']|"[\w*]+\.(?:exe|dll)\"""", item.text)
        and not re.search(r"\s\s|\[|\]", item.text)
    ]
    if not found:
        return None
    item = random.choice(found)
    return text[: item.start] + item.text[1:-1] + text[item.end :]


def backslashes_doubled(text: str, random: Random) -> str | None:
    made = text
    for item in reversed(_strings(text)):
        new = item.text.replace("\\", "\\\\")
        made = made[: item.start] + new + made[item.end :]
    return made if made != text else None


def and_dropped(text: str, random: Random) -> str | None:
    """A connective at the end of a line."""
    places = [Place(m.start(), m.end()) for m in re.finditer(r" and(?=[ \t]*\n)", text)]
    place = _one(places, random)
    return None if place is None else place.replaced(text, "")


def and_added(text: str, random: Random) -> str | None:
    """A connective after the last condition of a statement."""
    statements = [s for s in parse_program(Block.of(text)).program.statements if _conditional(s)]
    if not statements:
        return None
    at = random.choice(statements).span.end
    return text[:at] + random.choice([" and", " AND"]) + text[at:]


def output_dropped(text: str, random: Random) -> str | None:
    statements = parse_program(Block.of(text)).program.statements
    outputs = [s for s in statements if isinstance(s, ast.OutputStatement) and len(s.names) == 1]
    if len(outputs) != 1:
        return None
    return Place(outputs[0].span.start, outputs[0].span.end).replaced(text, "")


def _conditional(statement: ast.Statement) -> bool:
    return isinstance(statement, ast.DefineStatement) and isinstance(
        statement.value, ast.FilterExpression | ast.SearchExpression | ast.JoinExpression
    )


def mistyped(name: str, random: Random) -> str:
    """A name with one typing error."""
    at = random.randrange(len(name))
    match random.randrange(4):
        case 0:
            return name[:at] + name[at + 1 :]
        case 1:
            return name[:at] + name[at] + name[at:]
        case 2:
            at = min(at, len(name) - 2)
            return name[:at] + name[at + 1 : at + 2] + name[at : at + 1] + name[at + 2 :]
        case _:
            return name[:at] + random.choice(letters.ascii_lowercase) + name[at + 1 :]


def _fields(text: str) -> list[ast.FieldPath]:
    program = parse_program(Block.of(text)).program
    return [
        item
        for statement in program.statements
        for expr in expressions(statement)
        for item in fields_in(expr)
    ]


def field_mistyped(text: str, random: Random) -> str | None:
    found = _fields(text)
    if not found:
        return None
    span = random.choice(found).span
    name = text[span.start : span.end].rpartition(".")[2]
    if len(name) < 2:
        return None
    start = span.end - len(name)
    return Place(start, span.end).replaced(text, mistyped(name, random))


def field_foreign(text: str, random: Random) -> str | None:
    """Another product's name for a field, where the program searches for one object only."""
    program = parse_program(Block.of(text)).program
    objects = {
        kind.object.text.lower()
        for s in program.statements
        if isinstance(s, ast.DefineStatement) and isinstance(s.value, ast.SearchExpression)
        for kind in s.value.kinds
        if isinstance(kind, ast.KindName)
    }
    if len(objects) != 1:
        return None
    object_ = objects.pop()
    options = []
    for item in _fields(text):
        for other, car in foreign._fields(object_).items():
            if car == item.path[-1] and re.fullmatch(r"[a-z]\w*", other):
                name = text[item.span.start : item.span.end].rpartition(".")[2]
                options.append((Place(item.span.end - len(name), item.span.end), other))
    if not options:
        return None
    place, other = random.choice(options)
    return place.replaced(text, other)


def _stream_uses(text: str) -> list[ast.Name]:
    program = parse_program(Block.of(text)).program
    return [name for statement in program.statements for name in streams_of(statement)]


def stream_mistyped(text: str, random: Random) -> str | None:
    found = [name for name in _stream_uses(text) if len(name.text) > 2]
    if not found:
        return None
    name = random.choice(found)
    return Place(name.span.start, name.span.end).replaced(text, mistyped(name.text, random))


def stream_renamed(text: str, random: Random) -> str | None:
    found = _stream_uses(text)
    if not found:
        return None
    name = random.choice(found)
    new = random.choice(["events", "stream", "process", "results", "users", "xyz", "filtered"])
    return Place(name.span.start, name.span.end).replaced(text, new)


def kind_mistyped(text: str, random: Random) -> str | None:
    places = [
        Place(m.start(1), m.end(1))
        for m in re.finditer(r"search \(?(\w{4,})|:(\w{4,})", text)
        if m[1]
    ]
    places += [Place(m.start(1), m.end(1)) for m in re.finditer(r"search \(?\w+:(\w{4,})", text)]
    place = _one(places, random)
    if place is None:
        return None
    return place.replaced(text, mistyped(text[place.start : place.end], random))


def keyword_mistyped(text: str, random: Random) -> str | None:
    places = [
        Place(m.start(1), m.end(1))
        for m in re.finditer(r"= (search|filter|join|group|from) ", text)
    ]
    places += [Place(m.start(1), m.end(1)) for m in re.finditer(r"filter \w+ (where)", text)]
    places += [Place(m.start(1), m.end(1)) for m in re.finditer(r"^(output) ", text, re.M)]
    place = _one(places, random)
    if place is None:
        return None
    return place.replaced(text, mistyped(text[place.start : place.end], random))


def where_misplaced(text: str, random: Random) -> str | None:
    places = [Place(m.start(), m.end()) for m in re.finditer(r"where \(", text)]
    place = _one(places, random)
    return None if place is None else place.replaced(text, "(where ")


def stream_of_filter_dropped(text: str, random: Random) -> str | None:
    places = [Place(m.start(1), m.end(1)) for m in re.finditer(r"filter( \w+) where", text)]
    place = _one(places, random)
    return None if place is None else place.replaced(text, "")


def operators_foreign(text: str, random: Random) -> str | None:
    options = [
        (r" and ", " && "),
        (r" or ", " || "),
        (r" match (\"[^\"\n]*\")", r" matches \1"),
        (r"(?<=\w) match (\"[^\"\n]*\")", r".matches(\1)"),
        (r" contains (\")", r" includes \1"),
        (r" contains \[", " includes one of ["),
    ]
    random.shuffle(options)
    for pattern, new in options:
        found = list(re.finditer(pattern, text))
        if found:
            one = random.choice(found)
            return text[: one.start()] + one.expand(new) + text[one.end() :]
    return None


DAMAGES: dict[str, Damage] = {
    "closing bracket dropped": _dropped(")"),
    "opening bracket dropped": _dropped("("),
    "closing bracket added": closing_bracket_added,
    "list bracket dropped": _dropped("]"),
    "comma dropped": _dropped(","),
    "quote dropped": quote_dropped,
    "closing quote dropped": closing_quote_dropped,
    "quote doubled": quote_doubled,
    "quotes typographic": quotes_typographic,
    "all quotes typographic": all_quotes_typographic,
    "quotes escaped": quotes_escaped,
    "value unquoted": value_unquoted,
    "backslashes doubled": backslashes_doubled,
    "and dropped": and_dropped,
    "and added": and_added,
    "output dropped": output_dropped,
    "field mistyped": field_mistyped,
    "field foreign": field_foreign,
    "stream mistyped": stream_mistyped,
    "stream renamed": stream_renamed,
    "kind mistyped": kind_mistyped,
    "keyword mistyped": keyword_mistyped,
    "where misplaced": where_misplaced,
    "stream of filter dropped": stream_of_filter_dropped,
    "operators foreign": operators_foreign,
}


def damaged(text: str, random: Random, times: int = 1) -> Iterator[tuple[str, str]]:
    """The names of damages and the texts they give."""
    for name, damage in DAMAGES.items():
        for _ in range(times):
            new = damage(text, random)
            if new is not None and new != text:
                yield name, new
