r"""Sigma files in their canonical form.

The form is the specification's ("Yaml File") and SigmaHQ's ("SigmaHQ Rule Conventions"):

* keys in the order of ``KEYS``, others behind them as they were; ``condition`` ends a detection;
* four spaces of indentation, lists indented below their key, every collection in block style;
* texts of detections in single quotes, in double quotes where a single one is in them; other texts,
  keys and conditions plain where YAML 1.1 and 1.2 both read a text in them, quoted otherwise;
* numbers, truth values and dates as they were written, blocks (``|``, ``>``) with their lines as
  they were;
* no two blank lines in a row, no spaces at the ends of lines, line feeds.

Comments stay with what they stand before, behind or at the end of, and move with it; those above
the first key stay at the top. That is why the text is written from the nodes of `yamltext`, which
know where they stand, and not with a library that writes YAML: those that keep comments tie them to
what is above, so that keys cannot be moved.

What a file says is never changed: it is read again, and where anything differs (or a comment is
lost) the file is left as it is (CE813).

https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-rules-specification.md
https://github.com/SigmaHQ/sigma-specification/blob/main/sigmahq/sigmahq-rule-convention.md
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import define, field, frozen

from ... import yamltext
from ...diagnostics import Block, CarError, Diagnostic, Source, codes
from .document import split_documents

KEYS = (
    *("action", "title", "id", "name", "sigma-version", "related", "taxonomy", "status"),
    *(
        "description",
        "license",
        "references",
        "author",
        "date",
        "modified",
        "tags",
        "logsource",
        "correlation",
        "detection",
    ),
    *("filter", "fields", "falsepositives", "level", "scope", "generate"),
)
"""The keys of a document in their order."""

_INNER_KEYS = {
    "logsource": ("category", "product", "service", "definition"),
    "related": ("id", "type"),
}
_LAST_KEYS = ("timeframe", "condition")
_DETECTIONS = ("detection", "filter")
_STEP = 4
_VERSION = yamltext.Version.CORE

# A date is one only to YAML 1.1, and so is a number such as 12:30.
_OTHER_IN_1_1 = re.compile(
    r"\d{4}-\d\d?-\d\d?(?:[Tt \t].*)?|[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?|=|<<"
)
_INDICATORS = "-?:,[]{}#&*!|>'\"%@`"
_NOT_PLAIN = re.compile(r": |:$| #|[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
# Also what changes the direction of text or ends a line only to some readers.
_UNPRINTABLE = re.compile(
    "[^ -~\xa0-\u200a\u2010-\u2027\u202f-\u205f\u2070-\ud7ff\ue000-\ufefe\uff00-\ufffd"
    "\U00010000-\U0010ffff]"
)
_SHORT_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", '"': '\\"'}
_LINE = re.compile(r"[^\n]*\n|[^\n]+\Z")
_COMMENT = re.compile(r"(?:(?<=[ \t])|^)#.*")
_HEADER = re.compile(r"([|>])([+-]?)(\d?)([+-]?)[ \t]*(#[^\n]*)?$")


def format_sigma(text: str, name: str = "<text>") -> str:
    """A Sigma file in its canonical form.

    Raises `CarError` where it is no YAML that Sigma allows, or (CE813) where writing it otherwise
    would change what it says.

    >>> print(format_sigma("detection: {condition: a, a: {b: 'c'}}\\ntitle:  X  # what\\n"), end="")
    title: X # what
    detection:
        a:
            b: 'c'
        condition: a
    """
    lines = text.replace("\r\n", "\n")
    better = _formatted(Source(name, lines))
    said = _said(Source(name, lines))
    again = _said(Source(name, better))
    if said != again:
        raise CarError([_left(Source(name, text), "it would not say the same")])
    if _formatted(Source(name, better)) != better:
        raise CarError([_left(Source(name, text), "its layout is not read the same twice")])
    return better


def _left(source: Source, reason: str) -> Diagnostic:
    message = f"the file is left as it is: {reason}"
    return Diagnostic(codes.SIGMA_NOT_FORMATTED, message, origin=source.name)


def _formatted(source: Source) -> str:
    made: list[str] = []
    for block, mark in split_documents(Block.whole(source)):
        if mark is not None:
            made.append(mark.rstrip())
        made += _document_lines(block)
    return "\n".join(made) + "\n" if made else ""


def _said(source: Source) -> list[object]:
    """What a file says: its values with their types, and its comments."""
    said: list[object] = []
    for block, mark in split_documents(Block.whole(source)):
        root = yamltext.load_yaml(block, codes.BAD_SIGMA, version=_VERSION)
        comments = Counter(c.text for c in _comments(block, _scalars(root)) if c.text)
        said.append((mark is not None, _typed(root), comments))
    return said


def _typed(node: yamltext.Node) -> object:
    match node:
        case yamltext.Scalar(value):
            return type(value), value
        case yamltext.ListNode(items):
            return [_typed(item) for item in items]
        case yamltext.Mapping(entries):
            return {(type(key.value), key.value): _typed(item) for key, item in entries}


# Comments


@frozen
class _Comment:
    """A comment, or an empty line (whose text is empty). ``trailing``: something is before it on
    its line."""

    text: str
    start: int
    column: int
    trailing: bool


@define(eq=False)
class _Remarks:
    """The comments of a document, by the scalar (its start) that they go with: ``before`` on lines
    of their own, ``behind`` on its line, ``after`` on the lines below."""

    before: dict[int, list[str]] = field(factory=dict)
    behind: dict[int, list[str]] = field(factory=dict)
    after: dict[int, list[str]] = field(factory=dict)
    top: list[str] = field(factory=list)


def _scalars(node: yamltext.Node) -> list[yamltext.Scalar]:
    """The scalars of a tree that are written somewhere, in the order of the text."""
    found: list[yamltext.Scalar] = []
    waiting: list[yamltext.Node] = [node]
    while waiting:
        match waiting.pop():
            case yamltext.Scalar() as scalar:
                found.append(scalar)
            case yamltext.ListNode(items):
                waiting += items
            case yamltext.Mapping(entries):
                for key, value in entries:
                    waiting += (key, value)
    return sorted((scalar for scalar in found if _extent(scalar)[1]), key=_extent)


def _extent(scalar: yamltext.Scalar) -> tuple[int, int]:
    """Where a scalar begins in its source, and how long it is."""
    return scalar.span.start, scalar.span.end - scalar.span.start


def _comments(block: Block, scalars: Sequence[yamltext.Scalar]) -> list[_Comment]:
    """The comments and empty lines of a document, outside scalars."""
    whole = block.span(0, len(block.text))
    masked = _masked(block.source.text, whole.start, whole.end, scalars)
    found: list[_Comment] = []
    for line in _LINE.finditer(masked):
        text, start = line[0].rstrip(), line.start() + whole.start
        comment = _COMMENT.search(text)
        if comment is not None:
            at = comment.start()
            written = block.source.text[start + at : start + len(text)]
            found.append(_Comment(written, start + at, at, bool(text[:at].strip())))
        elif not text and line.start():
            found.append(_Comment("", start, 0, False))
    return found


def _masked(text: str, first: int, last: int, scalars: Sequence[yamltext.Scalar]) -> str:
    """A stretch of the text with an x for each character in a scalar, line breaks too, so that
    what is left is outside of all of them. The header of a block keeps its comment."""
    parts: list[str] = []
    at = first
    for scalar in scalars:
        start, end = scalar.span.start, scalar.span.end
        parts.append(text[at:start])
        if is_block(scalar):
            header = text.find("\n", start, end)
            header = end if header < 0 else header
            hash_ = text.find("#", start, header)
            hash_ = header if hash_ < 0 else hash_ - 1
            parts += ("x" * (hash_ - start), text[hash_:header])
            if header < end:
                parts += ("\n", "x" * (end - header - 1))
        else:
            parts.append("x" * (end - start))
        at = end
    parts.append(text[at:last])
    return "".join(parts)


def _remarks(block: Block, scalars: Sequence[yamltext.Scalar]) -> _Remarks:
    """Which scalar each comment goes with."""
    remarks = _Remarks()
    starts = [scalar.span.start for scalar in scalars]
    own: dict[int, list[_Comment]] = {}
    for comment in _comments(block, scalars):
        place = bisect_left(starts, comment.start)
        if comment.trailing and place:
            remarks.behind.setdefault(starts[place - 1], []).append(comment.text)
        else:
            own.setdefault(place, []).append(comment)
    for place, several in own.items():
        if place == 0:
            remarks.top = [comment.text for comment in several]
            continue
        rest = several
        if place < len(starts):
            column = _column(block.source, starts[place])
            number = 0
            while number < len(several) and several[number].column > column:
                number += 1
            rest = several[number:]
            remarks.before[starts[place]] = [comment.text for comment in rest]
        else:
            number = len(several)
        below = [comment.text for comment in several[:number] if comment.text]
        if below:
            remarks.after[starts[place - 1]] = below
    return remarks


def _column(source: Source, start: int) -> int:
    """The column of the first visible character of a line: of a dash, where one begins it."""
    line = source.text.rfind("\n", 0, start) + 1
    return len(source.text[line:start]) - len(source.text[line:start].lstrip(" "))


# Writing


def _document_lines(block: Block) -> list[str]:
    root = yamltext.load_yaml(block, codes.BAD_SIGMA, version=_VERSION)
    scalars = _scalars(root)
    if any(block.source.text[scalar.span.start] == "!" for scalar in scalars):
        raise CarError([_left(block.source, "it has YAML tags")])
    remarks = _remarks(block, scalars)
    writer = _CanonicalWriter(remarks)
    lines = [*_collapsed(remarks.top), *writer.node(root, 0, ())]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _collapsed(texts: Sequence[str]) -> list[str]:
    """The lines without empty ones at the beginning and without two in a row."""
    kept: list[str] = []
    for text in texts:
        if text or (kept and kept[-1]):
            kept.append(text)
    return kept


@frozen
class _CanonicalWriter:
    """Writes nodes as lines. ``path`` is the keys that lead to a node."""

    remarks: _Remarks

    def node(self, node: yamltext.Node, indent: int, path: tuple[str, ...]) -> list[str]:
        match node:
            case yamltext.Mapping():
                return self.mapping(node, indent, path)
            case yamltext.ListNode(items):
                return [line for item in items for line in self.item(item, indent, path)]
            case yamltext.Scalar():
                return self.line(" " * indent, [node], self.text(node, path), indent)

    def mapping(self, node: yamltext.Mapping, indent: int, path: tuple[str, ...]) -> list[str]:
        lines: list[str] = []
        for key, value in self.ordered(node, path):
            before = self.remarks.before.pop(key.span.start, ())
            lines += [" " * indent + text if text else "" for text in _collapsed_between(before)]
            start = " " * indent + self.key(key) + ":"
            lines += self.value(start, [key], value, indent, (*path, str(key.value)))
        return lines

    def item(self, item: yamltext.Node, indent: int, path: tuple[str, ...]) -> Iterator[str]:
        """An item of a list, with its dash."""
        first = next(iter(_scalars(item)), None)
        spaces = " " * indent
        if first is not None:
            for text in _collapsed_between(self.remarks.before.pop(first.span.start, ())):
                yield spaces + text if text else ""
        match item:
            case yamltext.Mapping(entries) if entries:
                lines = self.mapping(item, indent + 2, path)
                while lines[0].lstrip().startswith("#"):
                    # A comment between the first key and its value.
                    yield spaces + lines.pop(0).lstrip()
                yield f"{spaces}- {lines[0].lstrip()}"
                yield from lines[1:]
            case yamltext.ListNode(items) if items:
                yield spaces + "-"
                yield from self.node(item, indent + _STEP, path)
            case _:
                yield from self.value(spaces + "-", [], item, indent, path)

    def value(
        self,
        start: str,
        on_line: list[yamltext.Scalar],
        node: yamltext.Node,
        indent: int,
        path: tuple[str, ...],
    ) -> list[str]:
        """A value behind its key or dash."""
        match node:
            case yamltext.Mapping(entries) if entries:
                head = self.line(start, on_line, "", indent)
                return [*head, *self.mapping(node, indent + _STEP, path)]
            case yamltext.ListNode(items) if items:
                head = self.line(start, on_line, "", indent)
                return [*head, *self.node(node, indent + _STEP, path)]
            case yamltext.Scalar() if is_block(node):
                header, inner = _block_lines(node, indent + (_STEP if on_line else 2))
                return self.line(start, [*on_line, node], header, indent, inner)
            case yamltext.Scalar():
                text = self.text(node, path)
                extra = [] if _extent(node)[1] == 0 else [node]
                return self.line(start, [*on_line, *extra], text, indent)
            case yamltext.Mapping():
                return self.line(start, on_line, "{}", indent)
            case yamltext.ListNode():
                return self.line(start, on_line, "[]", indent)

    def line(
        self,
        start: str,
        scalars: list[yamltext.Scalar],
        text: str,
        indent: int,
        inner: Sequence[str] = (),
    ) -> list[str]:
        """A line with the comments of the scalars on it, and the lines of a block below it."""
        before: list[str] = []
        for scalar in scalars[1:]:
            # A comment between a key and its value.
            before += self.remarks.before.pop(scalar.span.start, ())
        behind = [text for s in scalars for text in self.remarks.behind.get(s.span.start, ())]
        after = [text for s in scalars for text in self.remarks.after.get(s.span.start, ())]
        before += behind[:-1]
        written = f"{start} {text}".rstrip() if start.strip() else start + text
        if behind:
            written += " " + behind[-1]
        spaces = " " * indent
        return [
            *(spaces + text for text in before if text),
            written,
            *inner,
            *(spaces + text for text in after),
        ]

    def ordered(
        self, node: yamltext.Mapping, path: tuple[str, ...]
    ) -> list[tuple[yamltext.Scalar, yamltext.Node]]:
        known: tuple[str, ...] = ()
        last: tuple[str, ...] = ()
        match path:
            case ():
                known = KEYS
            case (name,):
                known = _INNER_KEYS.get(name, ())
                last = _LAST_KEYS if name in _DETECTIONS else ()
            case _:
                pass
        places = {key: place for place, key in enumerate(known)}
        ends = {key: len(known) + 1 + place for place, key in enumerate(last)}
        return sorted(
            node.entries,
            key=lambda entry: places.get(
                str(entry[0].value), ends.get(str(entry[0].value), len(known))
            ),
        )

    def key(self, key: yamltext.Scalar) -> str:
        if not isinstance(key.value, str):
            return key.text
        return plain_or_quoted(key.value)

    def text(self, node: yamltext.Scalar, path: tuple[str, ...]) -> str:
        """A scalar on one line."""
        value = node.value
        if not isinstance(value, str):
            return node.text
        if len(path) > 1 and path[0] in _DETECTIONS and path[1:] not in _PLAIN:
            return quoted(value)
        if _is_safe(value):
            return value
        date = node.is_plain and _OTHER_IN_1_1.fullmatch(value) is not None
        return value if date else quoted(value)


_PLAIN = (("condition",), ("timeframe",), ("rules",))


def _collapsed_between(texts: Sequence[str]) -> list[str]:
    """Comments above a key, with single empty lines between."""
    kept: list[str] = []
    for text in texts:
        if text or not kept or kept[-1]:
            kept.append(text)
    return kept


def _is_safe(text: str) -> bool:
    """Whether a text without quotes is that text, in YAML 1.1 as well as in 1.2."""
    return bool(
        text
        and text[0] not in _INDICATORS
        and text == text.strip()
        and _NOT_PLAIN.search(text) is None
        and _OTHER_IN_1_1.fullmatch(text) is None
        and all(yamltext.resolved(text, version) == text for version in yamltext.Version)
        and all(isinstance(yamltext.resolved(text, v), str) for v in yamltext.Version)
    )


def plain_or_quoted(text: str) -> str:
    """A text as a scalar outside of detections: without quotes where it is that text to all.

    >>> plain_or_quoted("a text"), plain_or_quoted("on")
    ('a text', "'on'")
    """
    return text if _is_safe(text) else quoted(text)


def quoted(text: str) -> str:
    r"""A text as a scalar in quotes, single ones where they will do.

    >>> print(quoted(r"C:\a"), quoted("it's"), quoted("a\tb"))
    'C:\a' "it's" "a\tb"
    """
    if _UNPRINTABLE.search(text) is not None:
        return '"' + "".join(map(_escape, text)) + '"'
    if "'" in text and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


def _escape(character: str) -> str:
    short = _SHORT_ESCAPES.get(character)
    if short is not None:
        return short
    if _UNPRINTABLE.match(character) is None:
        return character
    code = ord(character)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def is_block(node: yamltext.Scalar) -> bool:
    """Whether a scalar is written as a block, behind ``|`` or ``>``."""
    return node.span.text[:1] in ("|", ">") and not node.is_plain


def _block_lines(node: yamltext.Scalar, indent: int) -> tuple[str, list[str]]:
    """The header of a block and its lines, at an indentation. Raises `CarError` for what has no
    such spelling."""
    header, _, body = node.span.text.partition("\n")
    found = _HEADER.match(header)
    if found is None or found[3]:
        raise CarError([_left(node.span.source, "a block says its own indentation")])
    written = body.split("\n")
    visible = [line for line in written if line.strip()]
    if not visible:
        return found[1] + found[2] + found[4], []
    old = len(visible[0]) - len(visible[0].lstrip(" "))
    lines = [
        " " * indent + line[old:].rstrip() if line.strip() else line[old:].strip() and line[old:]
        for line in written
    ]
    if "+" in found[2] + found[4]:
        raise CarError([_left(node.span.source, "a block keeps the empty lines at its end")])
    return found[1] + found[2] + found[4], lines
