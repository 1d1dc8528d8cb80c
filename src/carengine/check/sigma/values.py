"""Values of a Sigma rule's detections that their fields cannot have."""

from __future__ import annotations

import re

from attrs import define, evolve, field

from ... import ir, yamltext
from ...diagnostics import Diagnostic, Edit, Fix, Span
from ...languages.sigma.detection import DetectionReader
from ...languages.sigma.document import Document, log_source
from ...languages.sigma.formatting import is_block
from ...solver.facts import Facts
from ..connectives import Alternative, misleading
from ..slips import mixed
from ..unlikely import Doubt, doubts
from .detections import WrittenItem, detections_of, written_items
from .finding import DocumentFindings, items_of, rewritten

_WORD = re.compile(r"[()]|[^\s()]+")


def check_values(document: Document, reader: DetectionReader) -> list[Diagnostic]:
    """The findings about the values of a document's detections, and about its condition's
    brackets."""
    source, _ = log_source(document)
    facts = Facts(ir.Search(()) if source is None else source.search())
    found: dict[tuple[str, Span | None, str], Diagnostic] = {}
    errors = len(reader.found)
    for _, node in detections_of(DocumentFindings(document)).values():
        for item in written_items(node):
            for value in item.values:
                for atom in ir.atoms(reader.item(item.key, value)):
                    for doubt in doubts(atom, facts):
                        one = _placed(doubt, item, value)
                        found.setdefault((one.code.id, one.span, ""), one)
    # What is wrong with an item was found when the rule was read.
    del reader.found[errors:]
    return [*found.values(), *_mixed(document)]


def _placed(doubt: Doubt, item: WrittenItem, value: yamltext.Scalar) -> Diagnostic:
    fix = Fix(doubt.advice)
    if doubt.ending and not item.modifiers and item.key is not None:
        text = "\\" + value.text
        key = f"{item.field}|endswith"
        edits: tuple[Edit, ...] = ()
        if item.node is value:
            edits = (*rewritten(item.key, key), *rewritten(value, text, value=True))
        fix = Fix(f"write {key}: '{text}'", edits if len(edits) == 2 else ())
    elif doubt.ending:
        fix = Fix(f"ask for what {item.field} ends with: {item.field}|endswith: '\\{value.text}'")
    elif doubt.change is not None:
        better = doubt.change(value.text)
        fix = Fix(f"write '{better}'", rewritten(value, better, value=True))
    return Diagnostic(doubt.code, doubt.message, value.span, notes=doubt.notes, fix=fix)


def _mixed(document: Document) -> list[Diagnostic]:
    """A condition with ``and`` and ``or`` between the same brackets."""
    node = document.root.get("detection")
    condition = node.get("condition") if isinstance(node, yamltext.Mapping) else None
    found = []
    for text in items_of(condition):
        if not isinstance(text, yamltext.Scalar):
            continue
        written = text.text.partition("|")[0]
        block = text.text_block
        for level in _levels(written):
            placed = []
            for one in level:
                span = block.span(one.start, one.end)
                placed.append(evolve(one, start=span.start, end=span.end))
            bare = misleading(placed, text.span.source.text)
            if bare and is_block(text):
                # Lines of a block are folded: a place in it is not certain.
                shown_ = evolve(mixed(bare, text.span.source), span=text.span)
                found.append(evolve(shown_, fix=Fix("put brackets around what belongs together")))
            elif bare:
                found.append(mixed(bare, text.span.source))
    return found


def _levels(text: str) -> list[list[Alternative]]:
    """The alternatives between each pair of brackets of a condition, and outside of all."""
    done: list[list[Alternative]] = []
    open_: list[_ConditionLevel] = [_ConditionLevel()]
    for word in _WORD.finditer(text):
        level = open_[-1]
        match word[0].lower():
            case "(":
                open_.append(_ConditionLevel(start=word.start()))
            case ")" if len(open_) > 1:
                alternatives = open_.pop().close()
                done.append(alternatives)
                inner = alternatives[0].count if len(alternatives) == 1 else 1
                open_[-1].add(text[level.start : word.end()], level.start, word.end(), inner)
            case "and":
                level.joined = True
            case "or":
                level.next()
            case _:
                level.add(word[0], word.start(), word.end())
    done += [level.close() for level in open_]
    return done


@define
class _ConditionLevel:
    """What stands between two brackets, as far as it has been read."""

    start: int = 0
    joined: bool = True
    counts: list[int] = field(factory=list)
    operands: list[str] = field(factory=list)
    place: tuple[int, int] | None = None
    alternatives: list[Alternative] = field(factory=list)

    def add(self, text: str, start: int, end: int, count: int = 1) -> None:
        """Put a word or a group to the operand that is being read, or begin the next one."""
        if self.joined:
            self.operands.append(text)
            self.counts.append(count)
        else:
            self.operands[-1] += " " + text
        self.joined = False
        self.place = (start if self.place is None else self.place[0], end)

    def next(self) -> None:
        """End an alternative."""
        if self.place is not None:
            single = len(self.operands) == 1
            count = self.counts[0] if single else len(self.operands)
            self.alternatives.append(Alternative(*self.place, tuple(self.operands), count))
        self.joined, self.place, self.operands, self.counts = True, None, [], []

    def close(self) -> list[Alternative]:
        """All alternatives."""
        self.next()
        return self.alternatives
