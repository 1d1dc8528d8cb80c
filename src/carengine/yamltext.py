r"""YAML read with the place of everything in it, and with limits.

Rule files, field maps and the data model are YAML written by people, and rule files come from
strangers. Two things follow. Every finding must point at the line and the column that the person
sees, also inside a scalar: CAR keeps its pseudocode in literal blocks and quoted strings. And
reading must be safe: only the plain types, no tags that name anything else, no aliases (a small
file of nested aliases unfolds to gigabytes), bounded depth and size, and no key twice.

``load_yaml`` gives a tree of three kinds of nodes, each with its span::

    title: 'It''s'          Mapping(entries=((Scalar("title"), Scalar("It's")),
    codes: [1, 0x10]                         (Scalar("codes"), ListNode((Scalar(1), Scalar(16)))),
    code: |                                  (Scalar("code"), Scalar("a = search File\n"))))
      a = search File

``Scalar.text_block`` is the scalar's text as a ``Block``: for each character, where in the file it
came from. Literal and folded blocks, plain and quoted scalars, over one line or many, are followed
character by character; an escape (``''``, ``\n``, ``\u00e9``) is where it begins, a folded line
break is the space it became. What is followed is held against what the YAML library read; should
they ever differ, the characters are placed by searching, in order, so that a place may be near
instead of exact.

The text is read with PyYAML's event parser: libyaml's where it was built in, otherwise the one in
Python, which is slower. Nothing is constructed by PyYAML, and nothing here recurses into the text.

Types are YAML 1.1's, as PyYAML has them (``yes`` is true, ``017`` is fifteen), less two that
surprise: dates and base-60 numbers (``12:30``) stay text. With `Version.CORE` they are those of
YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), as Sigma wants them: ``yes``
is a text, ``017`` is seventeen.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import Any, Final

import yaml
from attrs import define, field, frozen

from .diagnostics import Block, CarError, Code, Diagnostic, Label, Span

Value = str | int | float | bool | None
"""What a scalar can hold."""


@frozen
class YamlLimits:
    """How large a text may be: characters in all, nodes in all, collections inside each other."""

    characters: int = 8_000_000
    nodes: int = 500_000
    depth: int = 64


class Version(enum.Enum):
    """Which YAML says what a plain scalar is."""

    YAML_1_1 = "1.1"
    CORE = "1.2"
    """The core schema of YAML 1.2."""


@frozen(slots=False)
class Scalar:
    """A single value.

    ``value`` is what YAML says it is; ``text`` is the same before it was read as a number or a
    truth value: ``1.10`` is the value 1.1 and the text ``1.10``.
    """

    value: Value
    text: str = field(eq=False, repr=False)
    _block: Block = field(eq=False, repr=False)
    _start: int = field(eq=False, repr=False)
    _end: int = field(eq=False, repr=False)
    _style: str = field(eq=False, repr=False)

    # Places are worked out when they are asked for: of most scalars nobody asks.

    @cached_property
    def span(self) -> Span:
        """Where the scalar stands, with its quotes or its block's indicator."""
        return self._block.span(self._start, self._end)

    @property
    def is_plain(self) -> bool:
        """Whether it is written without quotes and is no block."""
        return not self._style

    @cached_property
    def text_block(self) -> Block:
        """``text``, and for each of its characters the offset in the source it came from."""
        return _text_block(self.text, self._block, self._start, self._end, self._style)


@frozen
class ListNode:
    """A list of nodes."""

    items: tuple[Node, ...]
    span: Span = field(eq=False, repr=False)


@frozen
class Mapping:
    """Keys with their values, in the order of the text; no key is there twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    span: Span = field(eq=False, repr=False)

    def get(self, key: Value) -> Node | None:
        """The node under a key, or None where there is no such key."""
        return next((node for name, node in self.entries if name.value == key), None)


Node = Scalar | ListNode | Mapping


def plain(node: Node) -> Any:
    """The node as ordinary Python values: str, int, float, bool, None, list and dict.

    >>> from carengine.diagnostics import codes
    >>> plain(load_yaml(Block.of("a: [1, 'x']"), codes.BAD_MAP))
    {'a': [1, 'x']}
    """
    match node:
        case Scalar(value):
            return value
        case ListNode(items):
            return [plain(item) for item in items]
        case Mapping(entries):
            return {key.value: plain(item) for key, item in entries}


def kind_of(node: Node) -> str:
    """What a node is, in words for a message: ``a mapping``, ``a list``, ``text``, ``a number``
    …"""
    match node:
        case Mapping():
            return "a mapping"
        case ListNode():
            return "a list"
        case Scalar(None):
            return "nothing"
        case Scalar(bool()):
            return "true or false"
        case Scalar(str()):
            return "text"
        case Scalar():
            return "a number"


# Reading

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOM = "\ufeff"
_MOST_FINDINGS = 100
_REFUSED = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAG = "tag:yaml.org,2002:"
# libyaml reads ahead. From 0.2.6 on (PyYAML 6.0.4) it stops by itself at this depth, and may do so
# before the collections above it have been handed out.
_LIBYAML_TOO_DEEP = "exceeded maximum nesting depth"
_LIBYAML_DEPTH = 1000
_TAGS: Final = {
    _TAG + "int": int, _TAG + "float": float, _TAG + "bool": bool, _TAG + "null": type(None),
}  # fmt: skip

_HINTS: Final = (
    ("mapping values are not allowed", "a value that holds `: ` stands in quotes"),
    ("could not find expected ':'", "a key is followed by a colon and a space"),
    ("that cannot start any token", "a value that begins with this character stands in quotes"),
    (
        "unknown escape character",
        "in double quotes a backslash is written twice; in single quotes, once",
    ),
    ("did not find expected key", "the keys of one mapping begin in the same column"),
    ("did not find expected alphabetic", "a value that begins with * or & stands in quotes"),
    ("expected alphabetic", "a value that begins with * or & stands in quotes"),
)


@define
class _OpenCollection:
    """A collection whose end has not been read."""

    mapping: bool
    flow: bool
    start: int
    end: int
    items: list[Node]
    key: Scalar | None = None
    keys: dict[Value, Scalar] = field(factory=dict)
    entries: list[tuple[Scalar, Node]] = field(factory=list)


def load_yaml(
    block: Block,
    code: Code,
    *,
    limits: YamlLimits = YamlLimits(),
    version: Version = Version.YAML_1_1,
) -> Node:
    """The one document in a text, as nodes with spans; an empty text is a ``Scalar`` of None.

    Raises ``CarError`` with diagnostics of ``code``: bad YAML, characters YAML does not allow,
    aliases, tags beyond the plain types, keys that are there twice or are no scalars, a second
    document, a text over ``limits``. Whatever does not prevent reading on is collected.

    >>> from carengine.diagnostics import codes
    >>> node = load_yaml(Block.of("id: A\\ncode: |\\n  a = search File\\n"), codes.BAD_FRONT_MATTER)
    >>> node.get("code").text_block.span(4, 10).text
    'search'
    """
    found: list[Diagnostic] = []
    text, base = block.text, 0
    if text.startswith(_BOM):
        text, base = text[1:], 1
    if len(text) > limits.characters:
        raise CarError(
            [_finding(block, code, 0, 0, f"the text is longer than {limits.characters} characters")]
        )
    refused = _REFUSED.search(text)
    if refused is not None:
        message = f"character U+{ord(refused[0]):04X} is not allowed in YAML"
        at = refused.start() + base
        raise CarError([_finding(block, code, at, at + 1, message)])
    root = None
    try:
        root = _build(block, base, text, code, limits, version, found)
    except _StopReading:
        pass
    except yaml.MarkedYAMLError as error:
        found.append(_syntax(block, base, code, error, limits))
    except yaml.YAMLError as error:
        found.append(_finding(block, code, 0, 0, f"the text is not YAML: {error}"))
    if found:
        raise CarError(found)
    return root if root is not None else Scalar(None, "", block, base, base, "")


class _StopReading(Exception):  # noqa: N818 (control flow, not an error anyone sees)
    """Reading cannot go on; why is among the findings."""


def _build(
    block: Block,
    base: int,
    text: str,
    code: Code,
    limits: YamlLimits,
    version: Version,
    found: list[Diagnostic],
) -> Node | None:
    stack: list[_OpenCollection] = []
    root: Node | None = None
    nodes = documents = 0

    def stop(start: int, end: int, message: str) -> _StopReading:
        found.append(_finding(block, code, start, end, message))
        return _StopReading()

    events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
    for event in events:
        start, end = event.start_mark.index + base, event.end_mark.index + base
        match event:
            case yaml.ScalarEvent():
                style = event.style or ""
                if style == "|" or style == ">":
                    # For YAML a block ends where the next thing begins; for a reader, at its last
                    # visible character.
                    while block.text[end - 1].isspace():
                        end -= 1
                value = _value(event, style, block, start, end, code, version, found)
                node: Node = Scalar(value, event.value, block, start, end, style)
            case yaml.AliasEvent():
                message = f"the alias *{event.anchor} is not followed; write the value out"
                found.append(_finding(block, code, start, end, message))
                node = Scalar(None, "", block, start, end, "")
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                mapping = isinstance(event, yaml.MappingStartEvent)
                if event.tag not in (None, "!", _TAG + ("map" if mapping else "seq")):
                    found.append(
                        _finding(block, code, start, end, f"the tag {event.tag} is not known")
                    )
                if len(stack) >= limits.depth:
                    raise stop(start, end, _too_deep(limits.depth))
                stack.append(_OpenCollection(mapping, bool(event.flow_style), start, start, []))
                continue
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = stack.pop()
                if done.flow:
                    done.end = end
                start, end = done.start, done.end
                span = block.span(start, end)
                if done.mapping:
                    node = Mapping(tuple(done.entries), span)
                else:
                    node = ListNode(tuple(done.items), span)
            case yaml.DocumentStartEvent():
                documents += 1
                if documents > 1:
                    raise stop(start, end, "a second document begins here; only one can be read")
                continue
            case _:
                continue
        nodes += 1
        if nodes > limits.nodes:
            raise stop(start, end, f"more than {limits.nodes} values")
        if len(found) >= _MOST_FINDINGS:
            raise stop(start, end, "too many things are wrong; the rest is not read")
        if not stack:
            root = node
            continue
        top = stack[-1]
        top.end = end
        if not top.mapping:
            top.items.append(node)
        elif top.key is not None:
            top.entries.append((top.key, node))
            top.key = None
        else:
            top.key = _key(node, top, block, code, found)
    return root


def _key(
    node: Node, top: _OpenCollection, block: Block, code: Code, found: list[Diagnostic]
) -> Scalar:
    """The node as the next key of a mapping; what is wrong with it is added to the findings."""
    if not isinstance(node, Scalar):
        found.append(
            Diagnostic(code, f"a key is {kind_of(node)}; it has to be one value", node.span)
        )
        return Scalar(None, "", block, 0, 0, "")
    first = top.keys.setdefault(node.value, node)
    if first is not node:
        found.append(
            Diagnostic(
                code,
                f'the key "{_shortened(node.text)}" is there twice',
                node.span,
                labels=(Label(first.span, "first here"),),
            )
        )
    return node


def _value(
    event: Any,
    style: str,
    block: Block,
    start: int,
    end: int,
    code: Code,
    version: Version,
    found: list[Diagnostic],
) -> Value:
    """What a scalar is: text where it is quoted or a block, otherwise what it looks like."""
    tag, text = event.tag, event.value
    if tag is None:
        return text if style else resolved(text, version)
    if tag == "!" or tag == _TAG + "str":
        return str(text)
    if tag not in _TAGS:
        found.append(_finding(block, code, start, end, f"the tag {tag} is not known"))
        return None
    value = resolved(text, version)
    if tag == _TAG + "float" and type(value) is int:
        value = float(value)
    if type(value) is not _TAGS[tag]:
        message = f'"{_shortened(text)}" is not of its tag {tag}'
        found.append(_finding(block, code, start, end, message))
    return value


def _finding(block: Block, code: Code, start: int, end: int, message: str) -> Diagnostic:
    return Diagnostic(code, message, block.span(start, end))


def _syntax(block: Block, base: int, code: Code, error: Any, limits: YamlLimits) -> Diagnostic:
    """A ``yaml.MarkedYAMLError`` as a finding (untyped: the stubs do not know that marks have an
    index)."""
    problem = error.problem or error.context or "the text is not YAML"
    mark = error.problem_mark or error.context_mark
    at = mark.index + base if mark is not None else 0
    if _LIBYAML_TOO_DEEP in problem:
        depth = min(limits.depth, _LIBYAML_DEPTH)
        return _finding(block, code, at, at + 1, _too_deep(depth))
    labels: tuple[Label, ...] = ()
    if error.context and error.context_mark is not None and error.problem:
        begin = error.context_mark.index + base
        if begin != at:
            labels = (Label(block.span(begin, begin + 1), error.context),)
    notes = tuple(hint for words, hint in _HINTS if words in problem)[:1]
    if block.text[at : at + 1] == "\t":
        notes = ("YAML is indented with spaces, never with tabs",)
    return Diagnostic(code, f"not YAML: {problem}", block.span(at, at + 1), "", labels, notes)


def _too_deep(depth: int) -> str:
    return f"nested more than {depth} levels deep"


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


# The types of plain scalars

_WORDS: Final[dict[str, bool | None]] = {"~": None, "": None}
for _meaning, _words in ((True, "yes true on"), (False, "no false off"), (None, "null")):
    for _word in _words.split():
        _WORDS.update(dict.fromkeys((_word, _word.capitalize(), _word.upper()), _meaning))
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
    r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
    re.ASCII,
)


_CORE_WORDS: Final[dict[str, bool | None]] = {
    word: meaning
    for word, meaning in _WORDS.items()
    if word.lower() in ("~", "", "null", "true", "false")
}
_CORE_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_CORE_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
    r"|\.(?:nan|NaN|NAN)",
    re.ASCII,
)


def resolved(text: str, version: Version) -> Value:
    """The value of a plain scalar. A number that Python will not read stays text.

    >>> resolved("off", Version.YAML_1_1), resolved("off", Version.CORE)
    (False, 'off')
    """
    if version is Version.YAML_1_1:
        return _resolve(text)
    if text in _CORE_WORDS:
        return _CORE_WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    try:
        if _CORE_INTEGER.fullmatch(text):
            return int(text, 0 if text[:2] in ("0o", "0x") else 10)
        if _CORE_FLOAT.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return text
    return text


def _resolve(text: str) -> Value:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    try:
        if _INTEGER.fullmatch(text):
            return _integer(text.replace("_", ""))
        if _FLOAT.fullmatch(text):
            return float(
                text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan")
            )
    except ValueError:
        return text
    return text


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    match digits[:2]:
        case "0b" | "0x":
            return int(text, 0)
        case _ if digits.startswith("0") and len(digits) > 1:
            return int(text, 8)
        case _:
            return int(text)


# Where the characters of a scalar came from

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_GAP = re.compile("[ \t\r\n\x85\u2028\u2029]+")
_ESCAPE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.)", re.DOTALL)
_ESCAPES: Final = {
    "0": "\0", "a": "\x07", "b": "\x08", "t": "\t", "\t": "\t", "n": "\n", "v": "\x0b",
    "f": "\x0c", "r": "\r", "e": "\x1b", " ": " ", '"': '"', "/": "/", "\\": "\\",
    "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip

Placed = tuple[str, int]


def _text_block(text: str, block: Block, start: int, end: int, style: str) -> Block:
    source = block.text
    if not style and source.startswith(text, start) and start + len(text) == end:
        return Block(block.source, text, _through(block, range(start, end + 1)))
    match style:
        case "|" | ">":
            followed = _follow_block(source, start, text, folded=style == ">")
            placed = list(islice(followed, len(text)))
        case "'" | '"':
            placed = list(_follow_flow(source, start + 1, end - 1, style))
        case _:
            placed = list(_follow_flow(source, start, end, ""))
    if "".join(character for character, _ in placed) == text:
        offsets = [at for _, at in placed]
    else:
        offsets = _search(source, start, end, text)
    # The end lies after the last character, not after the closing quote or the line break that is
    # not part of the text.
    last = offsets[-1] + 1 if offsets else min(start + (style in ("'", '"')), len(source))
    return Block(block.source, text, _through(block, (*offsets, last)))


def _through(block: Block, offsets: range | tuple[int, ...]) -> range | tuple[int, ...]:
    """Offsets in a block's text as offsets in its source."""
    if isinstance(offsets, range) and isinstance(block.offsets, range):
        return block.offsets[offsets.start : offsets.stop]
    return tuple(block.offsets[at] for at in offsets)


def _break_of(broken: re.Match[str]) -> Placed:
    """The character a line break is read as, and where it is: of two characters, the second."""
    character = broken[0] if broken[0] in "\u2028\u2029" else "\n"
    return character, broken.end() - 1


def _follow_block(source: str, start: int, text: str, *, folded: bool) -> Iterator[Placed]:
    """The characters of a literal or folded block whose indicator is at ``start``, as many as
    ``text`` has."""
    length = len(text)
    lines = _lines(source, start)
    next(lines)  # the indicator's own
    leading = length - len(text.lstrip("\n\u2028\u2029"))
    # How far the block is indented shows in its first line that is not empty: what is there less
    # what was read.
    shown = len(text[leading:]) - len(text[leading:].lstrip(" "))
    emitted = 0
    indent: int | None = None
    pending: list[Placed] = []  # the line break before this line, then the empty lines between
    solid = False  # whether the last line that was not empty began with a visible character
    for number, (begin, stop, broken) in enumerate(lines):
        if emitted >= length:
            return
        if indent is None and number == leading:
            spaces = stop - begin - len(source[begin:stop].lstrip(" "))
            indent = spaces - shown
        content = begin + indent if indent is not None else stop
        if content >= stop:  # an empty line
            pending += [broken] if broken else []
            continue
        if indent and source[begin:content].strip(" "):  # less indented: what comes after the block
            break
        now = source[content] not in " \t"
        if folded and number > leading and solid and now and pending and pending[0][0] == "\n":
            pending = pending[1:] or [(" ", pending[0][1])]
        yield from pending
        emitted += len(pending)
        for at in range(content, stop):
            yield source[at], at
        emitted += stop - content
        pending = [broken] if broken else []
        solid = now
    # What is left are the breaks at the end, of which chomping kept some.
    yield from pending[: max(0, length - emitted)]


def _lines(source: str, start: int) -> Iterator[tuple[int, int, Placed | None]]:
    """From ``start`` on: where each line begins and ends, and its line break."""
    while True:
        broken = _BREAK.search(source, start)
        if broken is None:
            yield start, len(source), None
            return
        yield start, broken.start(), _break_of(broken)
        start = broken.end()


def _follow_flow(source: str, at: int, end: int, quote: str) -> Iterator[Placed]:
    """The characters of a plain (no quote) or quoted scalar between two offsets."""
    while at < end:
        character = source[at]
        if gap := _GAP.match(source, at, end):
            yield from _fold(source, gap.start(), gap.end())
            at = gap.end()
        elif quote == "'" and character == "'":
            yield "'", at
            at += 2
        elif quote == '"' and character == "\\":
            broken = _BREAK.match(source, at + 1, end)
            escape = None if broken else _ESCAPE.match(source, at + 1, end)
            if broken:
                gap = _GAP.match(source, broken.end(), end)
                at = gap.end() if gap else broken.end()
                yield from map(_break_of, _BREAK.finditer(source, broken.end(), at))
            elif escape:
                code = escape[1] or escape[2] or escape[3]
                yield (chr(int(code, 16)) if code else _ESCAPES.get(escape[4], escape[4])), at
                at = escape.end()
            else:
                return
        else:
            yield character, at
            at += 1


def _fold(source: str, start: int, end: int) -> Iterator[Placed]:
    """What a run of blanks and line breaks inside a flow scalar is read as."""
    breaks = [_break_of(broken) for broken in _BREAK.finditer(source, start, end)]
    match breaks:
        case []:
            yield from ((source[at], at) for at in range(start, end))
        case [("\n", at)]:
            yield " ", at
        case [("\n", _), *more]:
            yield from more
        case _:
            yield from breaks


def _search(source: str, start: int, end: int, text: str) -> list[int]:
    """A place for each character: the next one like it, or where the last one was."""
    offsets = []
    at = start
    for character in text:
        found = -1 if character.isspace() else source.find(character, at, min(end, at + 64))
        offsets.append(found if found >= 0 else min(at, len(source)))
        at = found + 1 if found >= 0 else at
    return offsets
