"""How checks of a document say what they find, and the edits that mend it.

An edit replaces what is written with what it should be, and leaves every comment where it is: where
that cannot be done by replacing one stretch of the text, a fix has words only.
"""

from __future__ import annotations

from attrs import define, field

from ... import yamltext
from ...diagnostics import Code, Diagnostic, Edit, Fix, Label, Span
from ...languages.sigma.document import Document
from ...languages.sigma.formatting import is_block, plain_or_quoted, quoted


@define(eq=False)
class DocumentFindings:
    """The findings about one document."""

    document: Document
    found: list[Diagnostic] = field(factory=list)

    def say(
        self,
        code: Code,
        message: str,
        at: yamltext.Node | Span | None = None,
        fix: Fix | None = None,
        labels: tuple[Label, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        """Add a finding at a node, or at the document's title."""
        span = self.document.place if at is None else at if isinstance(at, Span) else at.span
        self.found.append(
            Diagnostic(
                code,
                message,
                span,
                labels=labels,
                notes=notes,
                fix=fix,
                origin=self.document.path,
            )
        )

    def scalar(self, key: str) -> yamltext.Scalar | None:
        """The scalar under a key of the document, if there is one with a value."""
        node = self.document.root.get(key)
        return node if isinstance(node, yamltext.Scalar) and node.value is not None else None

    def text(self, key: str) -> str:
        """The text under a key; empty where there is none."""
        node = self.scalar(key)
        return "" if node is None else node.text.strip()

    def items(self, key: str) -> tuple[yamltext.Node, ...]:
        """The items of the list under a key; a scalar is a list of one."""
        return items_of(self.document.root.get(key))


def items_of(node: yamltext.Node | None) -> tuple[yamltext.Node, ...]:
    """The items of a list; a scalar with a value is a list of one."""
    match node:
        case yamltext.ListNode(items):
            return items
        case yamltext.Scalar() if node.value is not None:
            return (node,)
        case _:
            return ()


def rewritten(node: yamltext.Scalar, text: str, *, value: bool = False) -> tuple[Edit, ...]:
    """The edit that puts another text in a scalar's place, a ``value`` of a detection or any other;
    none for a block."""
    if is_block(node):
        return ()
    return (Edit(node.span, quoted(text) if value else plain_or_quoted(text)),)


def replacing(message: str, node: yamltext.Scalar, text: str, *, safe: bool = True) -> Fix:
    """The fix that puts another text in a scalar's place."""
    edits = rewritten(node, text)
    return Fix(message, edits, safe=safe and bool(edits))


def without_item(message: str, item: yamltext.Node) -> Fix:
    """The fix that leaves out an item of a list, with its dash and its line."""
    span, source = item.span, item.span.source.text
    start = source.rfind("\n", 0, span.start) + 1
    end = source.find("\n", span.end)
    end = len(source) if end < 0 else end + 1
    alone = source[start : span.start].strip() == "-" and not source[span.end : end].strip()
    edits = (Edit(Span(span.source, start, end), ""),) if alone else ()
    return Fix(message, edits, safe=bool(edits))
