"""What a CAR analytic publishes beside its pseudocode, and the rules its blocks of pseudocode make.

MITRE keeps an analytic in a YAML file and shows it as a Markdown page; ``caryaml`` and ``page``
read the two, and both end here. Implementations of every type are kept as they stand, with their
places: Splunk, EQL, Sigma and the others are for whoever compares them or translates to them. An
analytic with one block of pseudocode is one rule, one with several is a rule a block, with ``.1``,
``.2`` behind the id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import field, frozen

from ... import yamltext
from ...diagnostics import Block, Diagnostic, Source, Span, codes
from ...resolve import Reference
from ...rule import frontmatter
from ...rule.drafts import Draft
from ...rule.model import Example, Implementation, Metadata, Publication, TruePositive, UnitTest
from ...syntax import parse_program

_SPELLINGS = ("pseudocode", "psuedocode", "pseudo-code", "pseudo code", "pseudecode")


@frozen
class PublishedAnalytic:
    """An analytic as it was read, before its blocks become rules."""

    id: str
    metadata: Metadata
    blocks: tuple[Block, ...]
    place: Span
    said: tuple[Diagnostic, ...] = ()
    examples: tuple[Example, ...] = ()
    declared: tuple[Reference, ...] = ()
    publication: Publication = field(factory=Publication)


def is_pseudocode(type_: str) -> bool:
    """Whether an implementation's type says pseudocode; it is misspelt here and there.

    >>> is_pseudocode("Psuedocode"), is_pseudocode("Splunk")
    (True, False)
    """
    return type_.strip().lower() in _SPELLINGS


def says_pseudocode(text: str) -> bool:
    """Whether a text has the word pseudocode in it, in any of its spellings."""
    return any(spelling in text.lower() for spelling in _SPELLINGS)


def drafts_of(analytic: PublishedAnalytic, source: Source, advice: str) -> list[Draft]:
    """The rules of an analytic, to be read leniently; without pseudocode one draft that is refused.

    ``advice`` tells where the pseudocode of such a file is looked for.
    """
    empty = parse_program(Block(source, "", range(1))).program
    if not analytic.blocks:
        types = dict.fromkeys(item.type for item in analytic.publication.implementations)
        message = f"{analytic.id} has no implementation in pseudocode"
        notes = [f"it has {', '.join(filter(None, types))}"] if any(types) else []
        nothing = Diagnostic(codes.NO_PSEUDOCODE, message, analytic.place, notes=(*notes, advice))
        return [
            Draft(
                analytic.id,
                analytic.metadata,
                empty,
                Block(source, "", range(1)),
                (*analytic.said, nothing),
                place=analytic.place,
                publication=analytic.publication,
            )
        ]
    single = len(analytic.blocks) == 1
    return [
        Draft(
            analytic.id if single else f"{analytic.id}.{number}",
            analytic.metadata,
            empty,
            block,
            analytic.said if number == 1 else (),
            analytic.examples if single else (),
            analytic.declared if single and analytic.declared else None,
            analytic.place,
            lenient=True,
            publication=analytic.publication,
        )
        for number, block in enumerate(analytic.blocks, 1)
    ]


def pseudocode(implementations: Sequence[Implementation]) -> tuple[Block, ...]:
    """The blocks of the implementations that are pseudocode."""
    return tuple(
        item.code for item in implementations if item.code is not None and is_pseudocode(item.type)
    )


def mappings(fields: frontmatter.FrontMatterFields, key: str) -> Iterator[yamltext.Mapping]:
    """The items of a list of mappings; what is none is an error."""
    for node in fields.items(key):
        if isinstance(node, yamltext.Mapping):
            yield node
        else:
            fields.wrong(f"{key} is a list of mappings", node.span)


def read_unit_tests(fields: frontmatter.FrontMatterFields) -> Iterator[UnitTest]:
    """The items of ``unit_tests``."""
    for node in mappings(fields, "unit_tests"):
        inner = frontmatter.FrontMatterFields(node)
        yield UnitTest(
            inner.text("description"), inner.texts("configurations"), inner.texts("commands")
        )
        fields.found += inner.found


def read_true_positives(fields: frontmatter.FrontMatterFields) -> Iterator[TruePositive]:
    """The items of ``true_positives``."""
    for node in mappings(fields, "true_positives"):
        inner = frontmatter.FrontMatterFields(node)
        yield TruePositive(
            inner.text("source"),
            inner.text("description"),
            inner.text("event_snippet"),
            inner.text("full_event"),
            node.span,
        )
        fields.found += inner.found
