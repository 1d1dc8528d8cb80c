"""Exclusions and suppressions from YAML."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from attrs import evolve

from .. import ir, yamltext
from ..datamodel import model, nearest
from ..diagnostics import (
    Block,
    CarError,
    Diagnostic,
    PathNotFoundError,
    Source,
    Span,
    codes,
    has_errors,
    is_missing,
    ordered,
)
from ..filewrite import bounded_text
from ..resolve import resolve_program, suggestion
from ..syntax import ast, parse_condition, parse_program
from .exclusions import Exclusion, Tuning
from .suppression import Suppression, key_name, period_of

_KEYS = ("exclusions", "suppress")
_EXCLUSION_KEYS = ("name", "rules", "where", "reason", "expires")
_SUPPRESS_KEYS = ("name", "rules", "by", "for")
_LARGEST = 4_000_000


def load_tuning(*paths: str | Path) -> Tuning:
    """The exclusions and suppressions of some files.

    Raises `CarError` with everything that is wrong in all of them, a `PathNotFoundError` where one
    of them does not exist.

    >>> load_tuning().exclusions
    ()
    """
    tuning = Tuning()
    diagnostics: list[Diagnostic] = []
    for path in paths:
        try:
            text = bounded_text(path, "utf-8-sig", _LARGEST)
        except (OSError, ValueError) as error:
            diagnostics.append(
                Diagnostic(codes.BAD_TUNING, f"cannot be read: {error}", origin=str(path))
            )
            continue
        try:
            tuning += parse_tuning(text, str(path))
        except CarError as error:
            diagnostics += error.diagnostics
    if diagnostics:
        raise (PathNotFoundError if any(map(is_missing, paths)) else CarError)(diagnostics)
    return tuning


def parse_tuning(text: str, name: str = "<tuning>") -> Tuning:
    """The exclusions and suppressions of a YAML text. See `load_tuning`."""
    block = Block.whole(Source(name, text))
    if not text.strip():
        return Tuning()
    root = yamltext.load_yaml(block, codes.BAD_TUNING)
    reader = _TuningReader()
    exclusions, suppressions = reader.file(root)
    if has_errors(reader.found):
        raise CarError(reader.found)
    return Tuning(exclusions, suppressions)


class _TuningReader:
    """One file being read: what was found to be wrong so far."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def wrong(self, message: str, span: Span) -> None:
        self.found.append(Diagnostic(codes.BAD_TUNING, message, span))

    def file(self, root: yamltext.Node) -> tuple[tuple[Exclusion, ...], tuple[Suppression, ...]]:
        if isinstance(root, yamltext.ListNode):
            return self.exclusions(root), ()
        if not isinstance(root, yamltext.Mapping):
            self.wrong(
                "a file of exclusions is a mapping with `exclusions` or `suppress`", root.span
            )
            return (), ()
        self.known(root, _KEYS)
        suppressions = []
        for node in self.items(root.get("suppress")):
            if (suppression := self.suppression(node)) is not None:
                suppressions.append(suppression)
        return self.exclusions(root.get("exclusions")), tuple(suppressions)

    def exclusions(self, node: yamltext.Node | None) -> tuple[Exclusion, ...]:
        exclusions = (self.exclusion(item) for item in self.items(node))
        return tuple(item for item in exclusions if item is not None)

    def items(self, node: yamltext.Node | None) -> tuple[yamltext.Node, ...]:
        match node:
            case None | yamltext.Scalar(None):
                return ()
            case yamltext.ListNode(items):
                return items
            case _:
                pass
        self.wrong(f"a list is needed here, not {yamltext.kind_of(node)}", node.span)
        return ()

    def known(self, node: yamltext.Mapping, keys: tuple[str, ...]) -> None:
        for key, _ in node.entries:
            if key.value not in keys:
                fix = suggestion(nearest(str(key.value), list(keys), 3), key.span)
                message = f"the key {key.text} is not known here"
                self.found.append(
                    Diagnostic(
                        codes.BAD_TUNING,
                        message,
                        key.span,
                        notes=(f"keys: {', '.join(keys)}",),
                        fix=fix,
                    )
                )

    def text(self, node: yamltext.Mapping, key: str) -> yamltext.Scalar | None:
        value = node.get(key)
        if isinstance(value, yamltext.Scalar) and value.value is not None and value.text.strip():
            return value
        if value is not None:
            self.wrong(f"{key} is a text", value.span)
        return None

    def rules(self, node: yamltext.Mapping) -> tuple[str, ...]:
        value = node.get("rules")
        if value is None:
            return ("*",)
        items = (value,) if isinstance(value, yamltext.Scalar) else self.items(value)
        names = []
        for item in items:
            if isinstance(item, yamltext.Scalar) and item.value is not None and item.text.strip():
                names.append(item.text.strip())
            else:
                self.wrong("rules is a list of ids, or of patterns of ids", item.span)
        if not items:
            self.wrong("rules names no rule; without the key, the entry is for all", value.span)
        return tuple(names)

    def exclusion(self, node: yamltext.Node) -> Exclusion | None:
        if not isinstance(node, yamltext.Mapping):
            self.wrong(f"an exclusion is a mapping, not {yamltext.kind_of(node)}", node.span)
            return None
        self.known(node, _EXCLUSION_KEYS)
        reason, where = self.text(node, "reason"), self.text(node, "where")
        name, rules = self.text(node, "name"), self.rules(node)
        for key, value in (("reason", reason), ("where", where)):
            if value is None and node.get(key) is None:
                self.wrong(f"an exclusion needs `{key}`", node.span)
        expires = self.day(node)
        stage = self.condition(where) if where is not None else None
        if reason is None or stage is None:
            return None
        title = name.text.strip() if name is not None else reason.text.strip()
        return Exclusion(title, rules, stage, reason.text.strip(), expires, node.span)

    def day(self, node: yamltext.Mapping) -> date | None:
        text = self.text(node, "expires")
        if text is None:
            return None
        try:
            if re.fullmatch(r"\d{4}-\d\d-\d\d", text.text.strip()):
                return date.fromisoformat(text.text.strip())
        except ValueError:
            pass
        self.wrong("expires is the last day on which the exclusion holds: 2026-12-31", text.span)
        return None

    def condition(self, written: yamltext.Scalar) -> ir.Stage | None:
        """The condition as a stage for events of every kind, resolved as a rule's is."""
        expression, problems = parse_condition(written.text_block)
        if expression is None:
            self.found += problems
            return None
        parsed = parse_program(_EVERYTHING)
        assert parsed.program is not None, parsed.diagnostics
        statements = [
            evolve(statement, value=evolve(statement.value, condition=expression))
            if isinstance(statement, ast.DefineStatement)
            and isinstance(statement.value, ast.FilterExpression)
            else statement
            for statement in parsed.program.statements
        ]
        resolution = resolve_program(evolve(parsed.program, statements=tuple(statements)))
        if resolution.program is None:
            self.found += ordered(resolution.diagnostics)
            return None
        stages = ir.as_stages(resolution.program.outputs[0].plan)
        if stages is None or len(stages) != 1:
            self.wrong("an exclusion looks at one event only", written.span)
            return None
        return stages[0]

    def suppression(self, node: yamltext.Node) -> Suppression | None:
        if not isinstance(node, yamltext.Mapping):
            self.wrong(f"a suppression is a mapping, not {yamltext.kind_of(node)}", node.span)
            return None
        self.known(node, _SUPPRESS_KEYS)
        rules, name = self.rules(node), self.text(node, "name")
        keys: list[str] = []
        by = node.get("by")
        items = (by,) if isinstance(by, yamltext.Scalar) else self.items(by)
        for item in items:
            if not isinstance(item, yamltext.Scalar):
                self.wrong("by is a list of fields", item.span)
                continue
            try:
                keys.append(key_name(item.text.strip(), item.span))
            except CarError as error:
                self.found += error.diagnostics
        if not items:
            self.wrong("a suppression needs `by`: the fields in which repeats agree", node.span)
        period = self.text(node, "for")
        if period is None:
            self.wrong("a suppression needs `for`: a period, as 1 hour", node.span)
            return None
        try:
            length = period_of(period.text.strip(), period.span)
        except CarError as error:
            self.found += error.diagnostics
            return None
        if not keys:
            return None
        title = name.text.strip() if name else f"{', '.join(keys)} for {period.text.strip()}"
        return Suppression(tuple(dict.fromkeys(keys)), length, rules, title)


def _everything() -> str:
    """A program over all events of the data model; its condition is put in later."""
    kinds = " or ".join(f"{name}:*" for name in model().objects)
    return f"events = search ({kinds})\nkept = filter events where time exists\noutput kept\n"


_EVERYTHING = _everything()
