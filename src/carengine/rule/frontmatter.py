"""Reading a rule's metadata: the YAML between two ``---`` lines at the top of a file.

Everything in it is optional. Keys that are not known are reported and passed over; a value of the
wrong kind is an error with its place. The same keys serve ``.car`` files and, where CAR has them
too, its YAML and Markdown::

    id: CAR-2019-08-001
    title: Credential dumping via Task Manager
    level: high
    attack: [T1003.001]                        or a list of mappings, as CAR has it
    examples:
      - {name: the dump, match: true, events: [{object: file, action: create, …}]}
      - {name: two dumps, match: true, matches: 2, events: [{object: file, …}, …]}
      - {name: from a file, match: false, file: samples/other.jsonl, map: sysmon}
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from attrs import frozen

from .. import yamltext
from ..datamodel import nearest
from ..diagnostics import Block, CarError, Diagnostic, Span, codes
from ..filewrite import bounded_text, note_used
from ..resolve import suggestion
from .inputs import InputValue, RuleInput, fitting, value_of
from .model import LEVELS, Example, Metadata, Technique

KEYS = (
    "id",
    "title",
    "description",
    "status",
    "level",
    "author",
    "date",
    "platforms",
    "attack",
    "inputs",
    "tags",
    "references",
    "notes",
    "false_positives",
    "data",
    "examples",
    "information_domain",
    "subtypes",
    "analytic_types",
    "update_date",
    "implementation",
    "unit_tests",
    "true_positives",
)
"""The keys of a ``.car`` file. The last seven are what CAR's pages show beside; a rule does
without."""

STATUSES = ("stable", "test", "experimental", "deprecated", "unsupported")

_FENCE = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_ANALYTIC = re.compile(r"AN\d{4,}")
_INPUT_KEYS = ("name", "element", "default", "description", "changed", "example", "left_out")
_TECHNIQUE = re.compile(r"T\d{4}(?:\.\d{3})?")
_MAX_EXAMPLE_BYTES = 4_000_000


@frozen
class FrontMatter:
    """What stands above a rule's program. ``body`` is the offset where the program begins."""

    root: yamltext.Mapping | None
    body: int
    diagnostics: tuple[Diagnostic, ...] = ()


def split(block: Block) -> FrontMatter:
    """The front matter of a text that begins with a ``---`` line; the rest is the body."""
    found = _FENCE.match(block.text)
    if found is None:
        return FrontMatter(None, 0)
    start, end = found.span(1)
    inner = Block(block.source, found[1], block.offsets[start : end + 1])
    try:
        root = yamltext.load_yaml(inner, codes.BAD_FRONT_MATTER)
    except CarError as error:
        return FrontMatter(None, found.end(), error.diagnostics)
    if isinstance(root, yamltext.Mapping):
        return FrontMatter(root, found.end())
    if isinstance(root, yamltext.Scalar) and root.value is None:
        return FrontMatter(None, found.end())
    wrong = Diagnostic(codes.BAD_FRONT_MATTER, "front matter is a mapping of keys", root.span)
    return FrontMatter(None, found.end(), (wrong,))


class FrontMatterFields:
    """A mapping's values, read as the kinds they should have; what is wrong is collected in
    ``found``."""

    def __init__(self, root: yamltext.Mapping | None) -> None:
        self.root = root
        self.found: list[Diagnostic] = []

    def wrong(self, message: str, span: Span) -> None:
        """Record an error at a place."""
        self.found.append(Diagnostic(codes.BAD_FRONT_MATTER, message, span))

    def check_keys(self, known: tuple[str, ...]) -> None:
        """Report keys that are not known."""
        for key, _ in self.root.entries if self.root is not None else ():
            name = str(key.value)
            if name not in known:
                fix = suggestion(nearest(name, list(known), 2), key.span)
                self.found.append(
                    Diagnostic(
                        codes.UNKNOWN_KEY, f"no meaning is known for {name}", key.span, fix=fix
                    )
                )

    def node(self, key: str) -> yamltext.Node | None:
        """The value of a key, or None where it is missing or null."""
        found = None if self.root is None else self.root.get(key)
        return None if isinstance(found, yamltext.Scalar) and found.value is None else found

    def text(self, key: str) -> str:
        """A text; empty where the key is missing."""
        node = self.node(key)
        if node is None:
            return ""
        if isinstance(node, yamltext.Scalar):
            return node.text.strip()
        self.wrong(f"{key} is a text", node.span)
        return ""

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """One of a few texts; empty where the key is missing."""
        text, node = self.text(key).lower(), self.node(key)
        if text and text not in allowed and node is not None:
            self.wrong(f"{key} is one of {', '.join(allowed)}, not {text}", node.span)
        return text

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text alone is a list of one."""
        node = self.node(key)
        match node:
            case None:
                return ()
            case yamltext.Scalar():
                return (node.text.strip(),)
            case yamltext.ListNode(items):
                made = []
                for item in items:
                    if isinstance(item, yamltext.Scalar):
                        made.append(item.text.strip())
                    else:
                        self.wrong(f"{key} is a list of texts", item.span)
                return tuple(made)
            case _:
                pass
        self.wrong(f"{key} is a list of texts", node.span)
        return ()

    def items(self, key: str) -> tuple[yamltext.Node, ...]:
        """The items of a list of anything."""
        node = self.node(key)
        if node is None:
            return ()
        if isinstance(node, yamltext.ListNode):
            return node.items
        self.wrong(f"{key} is a list", node.span)
        return ()


def metadata(fields: FrontMatterFields) -> Metadata:
    """The metadata that ``.car`` files and CAR's own share."""
    return Metadata(
        title=fields.text("title"),
        description=fields.text("description"),
        status=fields.choice("status", STATUSES),
        level=fields.choice("level", LEVELS),
        author=fields.text("author"),
        date=fields.text("date"),
        platforms=fields.texts("platforms"),
        attack=techniques(fields, "attack"),
        tags=fields.texts("tags"),
        references=fields.texts("references"),
        notes=fields.texts("notes"),
        false_positives=fields.texts("false_positives"),
        data=fields.text("data"),
        inputs=inputs(fields),
    )


def techniques(fields: FrontMatterFields, key: str) -> tuple[Technique, ...]:
    """ATT&CK techniques: ids, or mappings with technique, subtechniques, tactics, coverage, and the
    analytics that are implemented. A mapping may stand alone; one with an analytic need not name
    its technique."""
    made = []
    alone = fields.node(key)
    for node in (alone,) if isinstance(alone, yamltext.Mapping) else fields.items(key):
        if isinstance(node, yamltext.Scalar):
            made.append(technique_of(node.text.strip()))
            wanted = node.text.strip()
        elif isinstance(node, yamltext.Mapping):
            inner = FrontMatterFields(node)
            analytics = inner.texts("analytic")
            for name in analytics:
                if not _ANALYTIC.fullmatch(name):
                    inner.wrong(f"{name or 'this'} is no id of an analytic (AN1030)", node.span)
            named = technique_of(inner.text("technique") or technique_of_analytics(analytics))
            wanted = named.id
            made.append(
                Technique(
                    named.id,
                    inner.texts("subtechniques") or named.subtechniques,
                    inner.texts("tactics"),
                    inner.text("coverage"),
                    analytics,
                )
            )
            fields.found += inner.found
        else:
            fields.wrong("a technique is an id or a mapping", node.span)
            continue
        for name in (wanted, *made[-1].subtechniques):
            if not _TECHNIQUE.fullmatch(name):
                fields.wrong(
                    f"{name or 'this'} is no ATT&CK technique id (T1003, T1003.001)", node.span
                )
    return tuple(made)


def technique_of_analytics(analytics: tuple[str, ...]) -> str:
    """The id of the technique that the first known of some analytics detects; empty where none is
    known.

    >>> technique_of_analytics(("AN1030",))
    'T1003.001'
    """
    if not analytics:
        return ""
    from ..attack import enterprise_attack

    known = enterprise_attack()
    found = (known.technique_of_analytic(id_) for id_ in analytics)
    return next((one.id for one in found if one is not None), "")


def inputs(fields: FrontMatterFields) -> tuple[RuleInput, ...]:
    """The inputs of the program, and the mutable elements for which there are none."""
    made: list[RuleInput] = []
    for node in fields.items("inputs"):
        if not isinstance(node, yamltext.Mapping):
            fields.wrong("an input is a mapping", node.span)
            continue
        inner = FrontMatterFields(node)
        inner.check_keys(_INPUT_KEYS)
        name, left_out = inner.text("name"), inner.text("left_out")
        default, changed = _input_value(inner, "default"), _input_value(inner, "changed")
        if bool(name) is bool(left_out):
            inner.wrong(
                "an input has a name, or an element and the reason it is left_out", node.span
            )
        elif name and default is None:
            inner.wrong(f"the input {name} has no default", node.span)
        elif default is not None and changed is not None and fitting(default, changed) is None:
            inner.wrong(f"the input {name} is changed to what does not fit it", node.span)
        elif name in {one.name for one in made if one.name}:
            inner.wrong(f"two inputs are called {name}", node.span)
        else:
            made.append(
                RuleInput(
                    name,
                    "" if default is None else default,
                    inner.text("description"),
                    inner.text("element"),
                    left_out,
                    None if default is None or changed is None else fitting(default, changed),
                    inner.text("example"),
                )
            )
        fields.found += inner.found
    return tuple(made)


def _input_value(fields: FrontMatterFields, key: str) -> InputValue | None:
    node = fields.node(key)
    if node is None:
        return None
    if isinstance(node, yamltext.Scalar):
        # A text in quotes is a text: '5 minutes' is one without them.
        return value_of(node.value if isinstance(node.value, int | float) else node.text)
    return value_of(fields.texts(key))


def technique_of(id_: str) -> Technique:
    """A technique from an id that may be a subtechnique's."""
    parent, dot, _ = id_.partition(".")
    return Technique(parent, (id_,) if dot else ())


def examples(fields: FrontMatterFields, folder: Path | None) -> tuple[Example, ...]:
    """The examples a rule carries. Files are looked for beside the rule, and only there or
    below."""
    made = []
    for number, node in enumerate(fields.items("examples"), 1):
        if not isinstance(node, yamltext.Mapping):
            fields.found.append(Diagnostic(codes.BAD_EXAMPLE, "an example is a mapping", node.span))
            continue
        example = _example(node, number, folder, fields)
        if example is not None:
            made.append(example)
    return tuple(made)


def _example(
    node: yamltext.Mapping, number: int, folder: Path | None, fields: FrontMatterFields
) -> Example | None:
    inner = FrontMatterFields(node)
    inner.check_keys(("name", "match", "matches", "events", "file", "map"))
    fields.found += inner.found
    wanted = node.get("match")
    if not isinstance(wanted, yamltext.Scalar) or not isinstance(wanted.value, bool):
        _bad(fields, "an example says `match: true` or `match: false`", (wanted or node).span)
        return None
    name = inner.text("name") or f"example {number}"
    listed, file = node.get("events"), node.get("file")
    source = ""
    if (listed is None) == (file is None):
        _bad(fields, "an example has either events or a file", node.span)
        return None
    if listed is not None:
        events = yamltext.plain(listed)
        place = listed.span
    else:
        assert file is not None
        source, place = inner.text("file"), file.span
        try:
            events = _events_of(folder, source)
        except (OSError, ValueError) as error:
            _bad(fields, f"the example's file cannot be used: {error}", place)
            return None
    if not isinstance(events, list) or not events or not all(isinstance(e, dict) for e in events):
        _bad(fields, "the events of an example are a list of mappings", place)
        return None
    said = _number_of_matches(node, fields, wanted=wanted.value)
    fieldmap = inner.text("map") or "auto"
    return Example(name, wanted.value, tuple(events), fieldmap, source, node.span, said)


def _number_of_matches(
    node: yamltext.Mapping, fields: FrontMatterFields, *, wanted: bool
) -> int | None:
    """How many matches an example says there are."""
    given = node.get("matches")
    if given is None:
        return None
    value = given.value if isinstance(given, yamltext.Scalar) else None
    if type(value) is not int or value < 1 or not wanted:
        message = "`matches` is a number from 1 on, of an example with `match: true`"
        _bad(fields, message, given.span)
        return None
    return value


def _bad(fields: FrontMatterFields, message: str, span: Span) -> None:
    fields.found.append(Diagnostic(codes.BAD_EXAMPLE, message, span))


def _events_of(folder: Path | None, name: str) -> list[Any]:
    """The events of a JSON or JSON lines file below the rule's folder."""
    if folder is None:
        raise ValueError("a rule that is in no file has none beside it")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{name} is outside the rule's folder")
    note_used(path)
    if path.stat().st_size > _MAX_EXAMPLE_BYTES:
        raise ValueError(f"{name} is larger than {_MAX_EXAMPLE_BYTES} bytes")
    return json_events(bounded_text(path, "utf-8-sig"))


def json_events(text: str) -> list[Any]:
    """The events of a text: one JSON document (an object or a list), or JSON lines.

    Raises `ValueError` where it is none of these.
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return found if isinstance(found, list) else [found]
