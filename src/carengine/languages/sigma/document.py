"""Sigma files taken apart: YAML documents, what each of them is, and what it says about itself.

A file holds one document or several between ``---`` lines. A document is a rule (it has a
``detection``), a correlation rule or a filter. The older ``action: global`` gives its keys to the
documents behind it, ``action: repeat`` starts from the one before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from attrs import evolve, frozen

from ... import ir, yamltext
from ...diagnostics import Block, CarError, Diagnostic, Fix, Source, Span, codes
from ...rule.frontmatter import STATUSES, FrontMatterFields, technique_of
from ...rule.model import LEVELS, Metadata

_MARK = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_TECHNIQUE = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)
_MAX_DOCUMENTS = 20_000


@frozen
class Document:
    """One YAML document of a file. ``number`` counts those that hold anything, from 1.

    ``sharing`` is the number among those that have their id from one ``action: global`` or from
    the document that they repeat: several rules are one rule to their author, and each has a name
    of its own here (``ID``, ``ID#2``, ``ID#3``).
    """

    block: Block
    root: yamltext.Mapping
    number: int
    sharing: int = 1

    @property
    def path(self) -> str:
        """The file's name."""
        return self.block.source.name

    @property
    def fields(self) -> FrontMatterFields:
        """The document's keys, with findings of their own."""
        return FrontMatterFields(self.root)

    @property
    def id(self) -> str:
        """The rule's id, or what stands in for it: the file's stem, with the number of a later
        document."""
        found = self.written_id
        if found:
            return found if self.sharing == 1 else f"{found}#{self.sharing}"
        stem = Path(self.path.replace("!", "/")).stem or self.path
        return stem if self.number == 1 else f"{stem}#{self.number}"

    @property
    def written_id(self) -> str:
        """The id as the document, or the one it takes its keys from, has it; empty for none."""
        return self.fields.text("id")

    @property
    def place(self) -> Span:
        """What to point at where the whole document is meant: its id or title."""
        for key in ("id", "title"):
            node = self.root.get(key)
            if node is not None:
                return node.span
        return self.block.span(0, 0)


@frozen
class Damaged:
    """A document that could not be read: the findings, and the name it goes by."""

    id: str
    block: Block
    diagnostics: tuple[Diagnostic, ...]


def documents(text: Source | Block) -> Iterator[Document | Damaged]:
    """The documents of a Sigma file, or of a text within one, that hold anything, with ``action``
    worked in."""
    whole = Block.whole(text) if isinstance(text, Source) else text
    shared: yamltext.Mapping | None = None
    last: yamltext.Mapping | None = None
    number = 0
    shared_ids: Counter[str] = Counter()
    for block, _ in split_documents(whole):
        if number >= _MAX_DOCUMENTS:
            message = f"more than {_MAX_DOCUMENTS} documents in one file; the rest is not read"
            yield _damaged(block, number, Diagnostic(codes.BAD_SIGMA, message, block.span(0, 1)))
            return
        try:
            root = yamltext.load_yaml(block, codes.BAD_SIGMA, version=yamltext.Version.CORE)
        except CarError as error:
            number += 1
            yield _damaged(block, number, *error.diagnostics)
            continue
        if isinstance(root, yamltext.Scalar) and root.value is None:
            continue
        number += 1
        if not isinstance(root, yamltext.Mapping):
            message = f"a Sigma document is a mapping of keys, not {yamltext.kind_of(root)}"
            yield _damaged(block, number, Diagnostic(codes.BAD_SIGMA, message, root.span))
            continue
        action = root.get("action")
        said = action.text.lower() if isinstance(action, yamltext.Scalar) else ""
        if said == "global":
            shared = root if shared is None else _merged(shared, root)
            continue
        if said == "reset":
            shared = None
            continue
        base = last if said == "repeat" and last is not None else shared
        last = root if base is None else _merged(base, root)
        document = Document(block, last, number)
        if id_ := document.written_id.lower():
            shared_ids[id_] += 1
            if root.get("id") is None:
                # A document that writes an id of another itself is a rule with the id of another.
                document = evolve(document, sharing=shared_ids[id_])
        yield document


def _damaged(block: Block, number: int, *found: Diagnostic) -> Damaged:
    stem = Path(block.source.name.replace("!", "/")).stem or block.source.name
    return Damaged(stem if number == 1 else f"{stem}#{number}", block, found)


def split_documents(whole: Block) -> Iterator[tuple[Block, str | None]]:
    """The stretches between document marks that hold anything, comments too, each with the line of
    the mark before it. A mark stands at a line's start, where no value can."""
    text = whole.text
    marks = list(_MARK.finditer(text))
    edges = [0, *(mark.end() for mark in marks)]
    ends = [*(mark.start() for mark in marks), len(text)]
    lines: list[str | None] = [None, *(mark[0] for mark in marks)]
    for start, end, line in zip(edges, ends, lines, strict=True):
        if text[start:end].strip():
            yield Block(whole.source, text[start:end], whole.offsets[start : end + 1]), line


def _merged(base: yamltext.Mapping, over: yamltext.Mapping) -> yamltext.Mapping:
    """The keys of both; mappings under one key are merged, otherwise the second wins."""
    made = {key.value: (key, node) for key, node in base.entries if key.value != "action"}
    for key, node in over.entries:
        if key.value == "action":
            continue
        _, there = made.get(key.value, (key, None))
        if isinstance(there, yamltext.Mapping) and isinstance(node, yamltext.Mapping):
            node = _merged(there, node)
        made[key.value] = (key, node)
    return yamltext.Mapping(tuple(made.values()), over.span)


# YAML 1.2, and the YAML 1.1 that other tools read

_WORDS = {"yes": True, "on": True, "no": False, "off": False}


def boolean_of(node: yamltext.Node) -> bool | None:
    """The truth value that is written where only one can stand: also ``yes``, ``on``, ``no`` and
    ``off``, which are texts in YAML 1.2; None where it is none."""
    match node:
        case yamltext.Scalar(bool() as truth):
            return truth
        case yamltext.Scalar(str() as text):
            return _WORDS.get(text.lower())
        case _:
            pass
    return None


def read_otherwise(node: yamltext.Scalar) -> Diagnostic | None:
    """That a scalar without quotes is another value in YAML 1.1, or None where it is not.

    Sigma's specification ("YAML File") wants YAML 1.2, and pySigma reads YAML 1.1: ``off`` is a
    text here, and false there. Nobody sees it in the rule.
    """
    if not node.is_plain:
        return None
    old = yamltext.resolved(node.text, yamltext.Version.YAML_1_1)
    if type(old) is type(node.value) and old == node.value:
        return None
    message = (
        f"{node.text} without quotes is {_shown(node.value)} in YAML 1.2, as Sigma wants it; "
        f"YAML 1.1, as other tools read it, has {_shown(old)}"
    )
    fix = Fix("put it in quotes to have the text")
    return Diagnostic(codes.SIGMA_YAML_VERSION, message, node.span, fix=fix)


def _shown(value: yamltext.Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case str():
            return "a text"
        case _:
            return f"the number {value}"


# What a rule says about itself


def metadata(document: Document) -> tuple[Metadata, tuple[Diagnostic, ...]]:
    """The metadata of a rule, and what is wrong in it; that never keeps a rule from running."""
    fields = document.fields
    tags = fields.texts("tags")
    techniques = [found[1].upper() for tag in tags if (found := _TECHNIQUE.fullmatch(tag))]
    made = Metadata(
        title=fields.text("title"),
        description=fields.text("description"),
        status=fields.choice("status", STATUSES),
        level=fields.choice("level", LEVELS),
        author=", ".join(fields.texts("author")),
        date=fields.text("date"),
        platforms=_platforms(document),
        attack=tuple(map(technique_of, dict.fromkeys(techniques))),
        tags=tags,
        references=fields.texts("references"),
        false_positives=fields.texts("falsepositives"),
        data=_shown_source(document),
        fields=fields.texts("fields"),
        regression_tests=fields.text("regression_tests_path"),
    )
    said = [Diagnostic(codes.SIGMA_METADATA, f.message, f.span) for f in fields.found]
    if not made.title:
        said.append(Diagnostic(codes.SIGMA_METADATA, "the rule has no title", document.place))
    return made, tuple(said)


@frozen
class SigmaLogSource:
    """A rule's log source; parts that it does not name are empty. All in lower case."""

    product: str = ""
    category: str = ""
    service: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.product, self.category, self.service) if part)

    def includes(self, other: SigmaLogSource) -> bool:
        """Whether every part named here is the same there."""
        return all(
            not ours or ours == theirs
            for ours, theirs in (
                (self.product, other.product),
                (self.category, other.category),
                (self.service, other.service),
            )
        )

    def search(self) -> ir.Plan:
        """The events of this source. A service beside a category is a further condition on the
        category's events."""
        name = self.category or self.service or ir.ANY_SOURCE
        found = ir.Search(ir.source_kinds(self.product or ir.ANY_SOURCE, name))
        if self.category and self.service:
            return ir.Filter(found, ir.of_service(self.service))
        return found


def log_source(document: Document) -> tuple[SigmaLogSource | None, tuple[Diagnostic, ...]]:
    """The log source of a rule or filter, or what is wrong with it."""
    node = document.root.get("logsource")
    if not isinstance(node, yamltext.Mapping):
        place = document.place if node is None else node.span
        message = "the log source is missing" if node is None else "a log source is a mapping"
        return None, (Diagnostic(codes.BAD_SIGMA, message, place),)
    fields = FrontMatterFields(node)
    parts = [fields.text(key).lower() for key in ("product", "category", "service")]
    if fields.found:
        return None, tuple(Diagnostic(codes.BAD_SIGMA, f.message, f.span) for f in fields.found)
    if not any(parts):
        message = "the log source names no product, category or service"
        return None, (Diagnostic(codes.BAD_SIGMA, message, node.span),)
    return SigmaLogSource(*parts), ()


def _platforms(document: Document) -> tuple[str, ...]:
    node = document.root.get("logsource")
    product = FrontMatterFields(node).text("product") if isinstance(node, yamltext.Mapping) else ""
    return (product,) if product else ()


def _shown_source(document: Document) -> str:
    source, _ = log_source(document)
    return "" if source is None else str(source)
