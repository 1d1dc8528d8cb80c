r"""How detections are written: modifiers, wildcards, values, and the names that a condition uses.

These are checks of the text. What a condition means is the business of ``logic``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from ... import yamltext
from ...diagnostics import Edit, Fix, Span, codes
from ...languages.sigma.formatting import is_block
from ...pattern import Pattern
from .finding import DocumentFindings, items_of, rewritten, without_item

_NOT_DETECTIONS = ("condition", "timeframe", "rules")
_WORD = re.compile(r"[A-Za-z0-9_*.-]+|\S")
# What says where in a field a text stands.
_PLACED = frozenset({"contains", "startswith", "endswith"})
# Modifiers whose values are no texts with wildcards.
_NO_WILDCARDS = frozenset(
    [
        "re",
        "cidr",
        "exists",
        "fieldref",
        "lt",
        "lte",
        "gt",
        "gte",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "year",
        "expand",
        "base64",
        "base64offset",
    ]
)
_ENCODINGS = frozenset(["base64", "base64offset", "wide", "utf16", "utf16le", "utf16be"])
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# What may stand for `1 of them` in a condition; any other name is no name there, or a word of it.
_PLAIN_NAME = re.compile(
    r"(?!(?:all|and|any|by|near|not|of|or|them)$)[A-Za-z_][A-Za-z0-9_]*", re.IGNORECASE
)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
# Two stars in a row, of which none is escaped.
_DOUBLE = re.compile(r"(?<!\\)(?:\\\\)*\*\*")
_ESCAPED = re.compile(r"(?<!\\)(?:\\\\)*\\[*?]")


@frozen
class WrittenItem:
    """An item of a detection as it is written. ``field`` is empty for keywords; ``key`` is None
    where there is none. ``others`` are the texts of the other keys in its mapping."""

    field: str
    modifiers: tuple[str, ...]
    key: yamltext.Scalar | None
    node: yamltext.Node
    others: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[yamltext.Scalar, ...]:
        """The values, one or those of a list."""
        return tuple(item for item in items_of(self.node) if isinstance(item, yamltext.Scalar))


def written_items(node: yamltext.Node) -> Iterator[WrittenItem]:
    """The items of a detection."""
    waiting = [node]
    while waiting:
        match waiting.pop():
            case yamltext.Mapping(entries):
                texts = [key.text for key, _ in entries]
                for place, (key, value) in enumerate(entries):
                    field, *modifiers = key.text.split("|")
                    others = (*texts[:place], *texts[place + 1 :])
                    yield WrittenItem(field, tuple(modifiers), key, value, others)
            case yamltext.ListNode(items):
                scalars = [item for item in items if isinstance(item, yamltext.Scalar)]
                if scalars and len(scalars) == len(items):
                    yield WrittenItem("", (), None, yamltext.ListNode(items, items[0].span))
                else:
                    waiting += reversed(items)
            case yamltext.Scalar() as scalar:
                yield WrittenItem("", (), None, scalar)


def detections_of(findings: DocumentFindings) -> dict[str, tuple[yamltext.Scalar, yamltext.Node]]:
    """The detections of a rule or filter by name."""
    for key in ("detection", "filter"):
        node = findings.document.root.get(key)
        if isinstance(node, yamltext.Mapping):
            return {
                name.text: (name, value)
                for name, value in node.entries
                if name.value not in _NOT_DETECTIONS
            }
    return {}


def check_detections(findings: DocumentFindings) -> None:
    """The findings about the way detections are written."""
    named = detections_of(findings)
    _names(findings, named)
    for _, node in named.values():
        for item in written_items(node):
            _modifiers(findings, item)
            _values(findings, item)
            _wildcards(findings, item)


# Names in the condition


def _names(
    findings: DocumentFindings, named: dict[str, tuple[yamltext.Scalar, yamltext.Node]]
) -> None:
    root = findings.document.root
    node = root.get("detection") or root.get("filter")
    condition = node.get("condition") if isinstance(node, yamltext.Mapping) else None
    texts = [item for item in items_of(condition) if isinstance(item, yamltext.Scalar)]
    if not texts or not named:
        return
    used: set[str] = set()
    for text in texts:
        words = _WORD.findall(text.text)
        for place, word in enumerate(words):
            before = words[place - 1].lower() if place else ""
            if word in named:
                used.add(word)
            elif before == "of" and word.lower() == "them":
                used |= {name for name in named if not name.startswith("_")}
                _them(findings, text, words[place - 2].lower(), named)
            elif before == "of":
                pattern = Pattern(word, cased=True)
                hidden = word.startswith("_")
                used |= {n for n in named if pattern.matches(n) and (hidden or n[0] != "_")}
    for name, (key, _) in named.items():
        if name not in used:
            fix = Fix("use it in the condition, or leave it out")
            findings.say(codes.SIGMA_UNUSED, f"no condition uses {name}", key, fix)


def _them(
    findings: DocumentFindings,
    text: yamltext.Scalar,
    quantifier: str,
    named: dict[str, tuple[yamltext.Scalar, yamltext.Node]],
) -> None:
    counted = [name for name in named if not name.startswith("_")]
    if len(counted) == 1:
        written = re.search(r"\S+\s+of\s+them", text.text, re.IGNORECASE)
        edits: tuple[Edit, ...] = ()
        plain = _PLAIN_NAME.fullmatch(counted[0]) is not None
        if written is not None and plain and not is_block(text):
            block = text.text_block
            edits = (Edit(block.span(written.start(), written.end()), counted[0]),)
        message = f"there is one detection: `{quantifier} of them` is {counted[0]}"
        fix = Fix(f"write {counted[0]}", edits, safe=bool(edits))
        findings.say(codes.SIGMA_THEM, message, text, fix)
    elif quantifier == "all":
        message = "a detection that is added later is demanded, too"
        fix = Fix("name them alike, and write `all of selection_*`")
        findings.say(codes.SIGMA_THEM, message, text, fix)


# Modifiers


def _modifiers(findings: DocumentFindings, item: WrittenItem) -> None:
    if item.key is None:
        return
    modifiers = item.modifiers
    twice = next((m for n, m in enumerate(modifiers) if m in modifiers[:n]), None)
    if twice is not None:
        parts = list(dict.fromkeys(modifiers))
        fix = _other_key(item, parts, "leave one out")
        findings.say(codes.SIGMA_MODIFIER, f"`{twice}` is there twice", item.key, fix)
    placed = [m for m in dict.fromkeys(modifiers) if m in _PLACED]
    if len(placed) > 1:
        message = f"`{placed[0]}` and `{placed[1]}` do not go together"
        findings.say(codes.SIGMA_MODIFIER, message, item.key)
    if "base64offset" in modifiers and "contains" not in modifiers:
        message = "`base64offset` is a part of a text: without `contains` it is hardly ever found"
        findings.say(codes.SIGMA_MODIFIER, message, item.key, Fix("add `contains`"))
    if "all" not in modifiers or "expand" in modifiers:
        return
    single = not isinstance(item.node, yamltext.ListNode) or len(item.node.items) == 1
    if single:
        fix = _other_key(item, [m for m in modifiers if m != "all"], "leave `all` out")
        if not item.field:
            fix = Fix("write it as a keyword")
        message = "`all` joins several values, and there is one"
        findings.say(codes.SIGMA_ALL, message, item.key, fix)
    elif item.field and not {"re", "cidr", "fieldref", "neq", *_PLACED} & set(modifiers):
        plain = [v for v in item.values if not re.search(r"[*?]", str(v.value))]
        if len(plain) > 1:
            message = f"no {item.field} equals all of these values at once"
            findings.say(codes.SIGMA_MODIFIER, message, item.key, Fix("add `contains`"))


def _other_key(item: WrittenItem, modifiers: list[str], message: str) -> Fix:
    assert item.key is not None
    text = "|".join([item.field, *modifiers])
    edits = () if _is_taken(text, item) else rewritten(item.key, text)
    return Fix(message, edits, safe=bool(edits))


def _is_taken(key: str, item: WrittenItem) -> bool:
    """Whether another key beside an item is this one, or is made this one by a fix of its own: a
    key that is there twice makes a rule unusable."""
    return any(key in _rewritings(other) for other in item.others)


def _rewritings(key: str) -> set[str]:
    """A key, and what the fixes of this module may make of it."""
    field, *modifiers = key.split("|")
    once = list(dict.fromkeys(modifiers))
    ways = [modifiers, once, [one for one in once if one != "all"]]
    placed = [[where, *way] for way in ways for where in sorted(_PLACED)]
    return {"|".join([field, *way]) for way in (*ways, *placed)}


# Values


def _values(findings: DocumentFindings, item: WrittenItem) -> None:
    node = item.node
    if isinstance(node, yamltext.ListNode) and item.key is not None and len(node.items) == 1:
        only = node.items[0]
        if isinstance(only, yamltext.Scalar) and only.value is not None:
            fix = _on_the_line(item, only)
            findings.say(codes.SIGMA_ONE_ITEM, "a list of one value", node, fix)
    seen: set[tuple[type, object]] = set()
    for value in item.values:
        folded = value.value
        if isinstance(folded, str) and not {"cased", "re", *_ENCODINGS} & set(item.modifiers):
            folded = folded.lower()
        identity = (type(folded), folded)
        if identity in seen:
            fix = without_item("leave one of them out", value)
            message = f"{_shown(value)} is there twice"
            findings.say(codes.SIGMA_NAMES, message, value, fix)
        seen.add(identity)
        if isinstance(value.value, str):
            _text(findings, item, value, value.value)


def _shown(value: yamltext.Scalar) -> str:
    text = " ".join(value.text.split())
    return text if len(text) <= 60 else text[:59] + "…"


def _text(findings: DocumentFindings, item: WrittenItem, node: yamltext.Scalar, text: str) -> None:
    found = _CONTROL.search(text)
    if found is not None:
        message = f"there is a control character (U+{ord(found[0]):04X}) in it"
        fix = Fix("in single quotes a backslash is a backslash")
        findings.say(codes.SIGMA_CONTROL, message, node, fix)
    if item.field and not item.modifiers and _NUMBER.fullmatch(text) and not node.is_plain:
        fix = Fix(f"write {text}", (Edit(node.span, text),))
        findings.say(codes.SIGMA_NUMBER_TEXT, f"{text} is in quotes", node, fix)
    if _NO_WILDCARDS & set(item.modifiers):
        return
    if _DOUBLE.search(text):
        better = re.sub(r"(?<!\\)((?:\\\\)*)\*{2,}", r"\1*", text)
        edits = rewritten(node, better, value=True)
        fix = Fix("write one", edits, safe=bool(edits))
        findings.say(codes.SIGMA_DOUBLE_WILDCARD, "`**` finds what `*` finds", node, fix)
    if _ESCAPED.search(text):
        message = "behind a backslash, `*` and `?` are plain characters"
        fix = Fix(r"for a backslash and a wildcard, write \\* or \\?")
        findings.say(codes.SIGMA_ESCAPED_WILDCARD, message, node, fix)


def _on_the_line(item: WrittenItem, only: yamltext.Scalar) -> Fix:
    """Put the one value of a list behind its key; comments between keep that from being done."""
    message = "write it on the line of its key"
    assert item.key is not None
    source = item.key.span.source
    start, end = item.key.span.end, item.node.span.end
    between = source.text[start : only.span.start]
    behind = source.text[only.span.end : end]
    if is_block(only) or re.sub(r"[\s:\[-]", "", between) or behind.strip(" ]\n"):
        return Fix(message)
    edit = Edit(Span(source, start, max(end, only.span.end)), ": " + only.span.text)
    return Fix(message, (edit,), safe=True)


# Wildcards


def _wildcards(findings: DocumentFindings, item: WrittenItem) -> None:
    """Texts that all begin or end with a star, and have no other wildcard."""
    if not item.field or item.key is None or set(item.modifiers) - {"all", "cased", "neq"}:
        return
    forms = set()
    texts: list[str] = []
    for value in item.values:
        if not isinstance(value.value, str):
            return
        form = _form(value.value)
        if form is None:
            return
        forms.add(form[0])
        texts.append(form[1])
    if len(forms) != 1 or not texts or len(texts) != len(items_of(item.node)):
        return
    [modifier] = forms
    edits: list[Edit] = []
    key = "|".join([item.field, modifier, *item.modifiers])
    edits += rewritten(item.key, key)
    for value, text in zip(item.values, texts, strict=True):
        edits += rewritten(value, text, value=True)
    whole = len(edits) == len(texts) + 1 and not _is_taken(key, item)
    fix = Fix(f"write {key}", tuple(edits) if whole else (), safe=whole)
    message = f"`{modifier}` says the same as the wildcard"
    findings.say(codes.SIGMA_WILDCARD, message, item.key, fix)


def _form(text: str) -> tuple[str, str] | None:
    r"""The modifier that says what the stars of a text say, and the text without them.

    A backslash before a star at the end escapes it; one that would come to stand at the end, where
    a modifier puts its own star, is doubled as Sigma wants it.
    """
    starts, ends = text.startswith("*"), text.endswith("*") and len(text) > 1
    inner = text[1:] if starts else text
    if ends:
        inner = inner[:-1]
        if len(inner) - len(inner.rstrip("\\")) & 1:
            return None
    if not inner or "*" in inner or "?" in inner or not (starts or ends):
        return None
    if inner.endswith("\\") or (starts and inner.startswith("\\\\")):
        # Backslashes are read in pairs beside wildcards: what is meant is not certain.
        return None
    return ("contains" if starts and ends else "endswith" if starts else "startswith"), inner
