"""``.car`` files: YAML front matter between ``---`` lines, then the program.

The front matter may be missing; the rule's id is then the file's stem.
"""

from __future__ import annotations

from pathlib import Path

from ... import yamltext
from ...diagnostics import Block, Source, Span
from ...rule import frontmatter
from ...rule.drafts import Draft
from ...rule.model import Implementation, Publication
from ...syntax import parse_program
from .published import read_true_positives, read_unit_tests


def read(source: Source, *, folder: Path | None = None, lenient: bool = False) -> list[Draft]:
    """The rule of a ``.car`` text; always one, with diagnostics for what is wrong in it.

    ``folder`` is where the files of examples are looked for; a ``lenient`` program is repaired
    where it can be.
    """
    block = Block.whole(source)
    front = frontmatter.split(block)
    fields = frontmatter.FrontMatterFields(front.root)
    fields.check_keys(frontmatter.KEYS)
    about = frontmatter.metadata(fields)
    shown = frontmatter.examples(fields, folder)
    id_ = fields.text("id") or stem_of(source.name)
    body = Block(source, block.text[front.body :], block.offsets[front.body :])
    publication = _publication(fields, body)
    parsed = parse_program(Block(source, "", range(1)) if lenient else body)
    place = Span(source, front.body, front.body)
    node = fields.node("id")
    if node is not None:
        place = node.span
    return [
        Draft(
            id_,
            about,
            parsed.program,
            body,
            (*front.diagnostics, *fields.found, *parsed.diagnostics),
            shown,
            place=place,
            lenient=lenient,
            publication=publication,
        )
    ]


def _publication(fields: frontmatter.FrontMatterFields, body: Block) -> Publication:
    """What a page of the rule shows beside its program. The program itself is its one
    implementation."""
    node = fields.node("implementation")
    name = description = ""
    if isinstance(node, yamltext.Mapping):
        inner = frontmatter.FrontMatterFields(node)
        inner.check_keys(("name", "description"))
        name, description = inner.text("name"), inner.text("description")
        fields.found += inner.found
    elif node is not None:
        fields.wrong("implementation is a mapping with name and description", node.span)
    own = Implementation(name, "Pseudocode", description, "CAR native", body)
    return Publication(
        (own,),
        tuple(read_unit_tests(fields)),
        tuple(read_true_positives(fields)),
        fields.text("information_domain"),
        fields.texts("subtypes"),
        fields.texts("analytic_types"),
        fields.text("update_date"),
    )


def stem_of(name: str) -> str:
    """The id that a file's name gives: its stem."""
    return Path(name).stem or name
