"""CAR analytics as MITRE keeps them: one YAML file an analytic.

::

    title: Remote Desktop Logon
    id: CAR-2016-04-005
    coverage: [{technique: T1021, subtechniques: [T1021.001], tactics: [TA0008], coverage: Moderate}]
    implementations:
      - {name: …, description: …, type: pseudocode, data_model: CAR native, code: "…"}
      - {type: Splunk, code: …}
    unit_tests: [{description: …, configurations: […], commands: […]}]
    true_positives: [{source: …, event_snippet: a.json, full_event: b.json}]
    data_model_references: [process/create/exe]

The pseudocode is read leniently; what is said of it points at the line and column in the file. The
event files of true positives stand in ``true_positives`` beside the folder of the analytics, and
become positive examples where they are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ... import yamltext
from ...datamodel import model
from ...diagnostics import Block, CarError, Diagnostic, Source, codes
from ...filewrite import bounded_text, note_used
from ...resolve import Reference
from ...rule import frontmatter
from ...rule.drafts import Draft
from ...rule.model import Example, Implementation, Metadata, Publication, TruePositive
from ...syntax import parse_program
from .carfile import stem_of
from .published import (
    PublishedAnalytic,
    drafts_of,
    mappings,
    pseudocode,
    read_true_positives,
    read_unit_tests,
)

_KEYS = (
    "title",
    "id",
    "submission_date",
    "update_date",
    "information_domain",
    "platforms",
    "subtypes",
    "analytic_types",
    "contributors",
    "description",
    "coverage",
    "implementations",
    "unit_tests",
    "true_positives",
    "data_model_references",
    "references",
    "d3fend_mappings",
)
_ANALYTIC = re.compile(
    r"^(?:implementations|data_model_references|analytic_types|information_domain)[ \t]*:",
    re.MULTILINE,
)
_FILE_NAME = re.compile(r"[\w.-]+")
_MAX_EVENT_BYTES = 4_000_000
_ADVICE = "pseudocode is the code of an implementation whose type is pseudocode"


def is_analytic(text: str) -> bool:
    """Whether a YAML text has the keys that only a CAR analytic has."""
    return _ANALYTIC.search(text) is not None


def read(source: Source, *, folder: Path | None = None) -> list[Draft]:
    """The rules of an analytic, one for each block of pseudocode; without any, one refused draft.

    ``folder`` is where the file stands; the events of true positives are looked for beside it.
    """
    try:
        root = yamltext.load_yaml(Block.whole(source), codes.BAD_FRONT_MATTER)
    except CarError as error:
        return [_refused(source, error.diagnostics)]
    if not isinstance(root, yamltext.Mapping):
        wrong = Diagnostic(codes.BAD_FRONT_MATTER, "an analytic is a mapping of keys", root.span)
        return [_refused(source, (wrong,))]
    fields = frontmatter.FrontMatterFields(root)
    fields.check_keys(_KEYS)
    node = fields.node("id")
    place = root.span if node is None else node.span
    implementations = tuple(_implementations(fields))
    true_positives = tuple(read_true_positives(fields))
    declared = tuple(dict.fromkeys(_references(fields)))
    analytic = PublishedAnalytic(
        id=fields.text("id") or stem_of(source.name),
        metadata=_metadata(fields),
        blocks=pseudocode(implementations),
        place=place,
        examples=tuple(_examples(fields, true_positives, folder)),
        declared=declared,
        publication=Publication(
            implementations,
            tuple(read_unit_tests(fields)),
            true_positives,
            fields.text("information_domain"),
            fields.texts("subtypes"),
            fields.texts("analytic_types"),
            fields.text("update_date"),
        ),
        said=tuple(fields.found),
    )
    return drafts_of(analytic, source, _ADVICE)


def _refused(source: Source, said: tuple[Diagnostic, ...]) -> Draft:
    block = Block(source, "", range(1))
    program = parse_program(block).program
    return Draft(stem_of(source.name), Metadata(), program, block, said)


def _metadata(fields: frontmatter.FrontMatterFields) -> Metadata:
    techniques = (
        frontmatter.FrontMatterFields(item) for item in mappings(fields, "d3fend_mappings")
    )
    d3fend = [found for item in techniques if (found := item.text("id"))]
    return Metadata(
        title=fields.text("title"),
        description=fields.text("description"),
        author=", ".join(fields.texts("contributors")),
        date=fields.text("submission_date").replace("/", "-"),
        platforms=fields.texts("platforms"),
        attack=frontmatter.techniques(fields, "coverage"),
        tags=(*fields.texts("subtypes"), *fields.texts("analytic_types"), *d3fend),
        references=fields.texts("references"),
    )


def _implementations(fields: frontmatter.FrontMatterFields) -> Iterator[Implementation]:
    for node in mappings(fields, "implementations"):
        inner = frontmatter.FrontMatterFields(node)
        code = inner.node("code")
        if code is not None and not isinstance(code, yamltext.Scalar):
            inner.wrong("code is a text", code.span)
            code = None
        yield Implementation(
            inner.text("name"),
            inner.text("type"),
            inner.text("description"),
            inner.text("data_model"),
            code.text_block if isinstance(code, yamltext.Scalar) else None,
            node.span,
        )
        fields.found += inner.found


def _examples(
    fields: frontmatter.FrontMatterFields,
    true_positives: tuple[TruePositive, ...],
    folder: Path | None,
) -> Iterator[Example]:
    """The event files of true positives as examples; nothing where their folder is not there."""
    events = None if folder is None else folder.parent / "true_positives"
    if events is None or not events.is_dir():
        return
    for item in true_positives:
        for name in (item.event_snippet, item.full_event):
            if not name:
                continue
            try:
                found = _events_of(events, name)
            except (OSError, ValueError) as error:
                message = f"the events of the true positive cannot be read: {error}"
                fields.found.append(Diagnostic(codes.BAD_EXAMPLE, message, item.span))
                continue
            shown = item.source or "true positive"
            yield Example(
                f"{shown}: {name}", True, tuple(found), "auto", str(events / name), item.span
            )


def _events_of(folder: Path, name: str) -> list[dict[str, object]]:
    if not _FILE_NAME.fullmatch(name):
        raise ValueError(f"{name} is no file's name")
    path = folder / name
    note_used(path)
    if path.stat().st_size > _MAX_EVENT_BYTES:
        raise ValueError(f"{name} is larger than {_MAX_EVENT_BYTES} bytes")
    found = frontmatter.json_events(bounded_text(path, "utf-8-sig"))
    if not found or not all(isinstance(event, dict) for event in found):
        raise ValueError(f"{name} holds no events")
    return found


def _references(fields: frontmatter.FrontMatterFields) -> Iterator[Reference]:
    for node in fields.items("data_model_references"):
        text = node.text.strip() if isinstance(node, yamltext.Scalar) else ""
        parts = text.split("/")
        if len(parts) != 3 or not all(parts):
            message = f"a data model reference is object/action/field, not {text or 'this'}"
            fields.found.append(Diagnostic(codes.REFERENCES_DIFFER, message, node.span))
            continue
        yield reference(*parts)


def reference(object_: str, action: str, field: str) -> Reference:
    """A data model reference in the data model's spelling, as far as it knows the names."""
    spec = model().object(object_)
    known_action = spec.action(action) if spec else None
    known_field = spec.field(field) if spec else None
    return Reference(
        spec.name if spec else object_,
        known_action.name if known_action else action,
        known_field.name if known_field else field,
    )
