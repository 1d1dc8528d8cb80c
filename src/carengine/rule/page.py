"""The Markdown pages of CAR analytics, as car.mitre.org publishes them.

A page has YAML front matter (``title: "CAR-2019-08-001: …"``), a description, and sections under
third-level headings. Read from it are the ATT&CK table, the data model references, each
implementation whose heading says Pseudocode, and the event snippets of true positives, which become the
rule's positive examples. A page with several pseudocode blocks gives a rule for each, with ``.1``, ``.2``
behind the id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from ..datamodel import model
from ..diagnostics import Block, Diagnostic, Source, Span, codes
from ..resolve import Reference
from ..syntax import parse_program
from . import frontmatter
from .carfile import stem_of
from .model import Draft, Example, Metadata, Technique

_ID = re.compile(r"\s*(CAR-\d{4}-\d{2}-\d{3})\s*:?\s*(.*)", re.DOTALL)
_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t#]*")
_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})[ \t]*([\w-]*)[ \t]*")
_LINK_ID = re.compile(r"techniques/(T\d{4})(?:/(\d{3}))?|tactics/(TA\d{4})")
_LINK_TEXT = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_PAGE_KEYS = (
    "title",
    "layout",
    "submission_date",
    "update_date",
    "information_domain",
    "subtypes",
    "analytic_type",
    "contributors",
    "applicable_platforms",
)


@frozen
class _Line:
    start: int
    text: str


@frozen
class _Fence:
    """A fenced block: the headings above it (outermost first), its language, its lines."""

    headings: tuple[str, ...]
    language: str
    start: int
    end: int


def read(source: Source) -> list[Draft]:
    """The rules of a page, one for each pseudocode implementation; none gives one refused draft."""
    whole = Block.whole(source)
    front = frontmatter.split(whole)
    fields = frontmatter.Fields(front.root)
    fields.check_keys(_PAGE_KEYS)
    titled = _ID.match(fields.text("title"))
    id_ = titled[1] if titled else stem_of(source.name)
    lines = list(_lines(source.text, front.body))
    fences, found = _fences(source, lines)
    about = Metadata(
        title=titled[2].strip() if titled else fields.text("title"),
        description=_description(lines),
        author=fields.text("contributors"),
        date=fields.text("submission_date").replace("/", "-"),
        platforms=tuple(
            p.strip() for p in fields.text("applicable_platforms").split(",") if p.strip()
        ),
        attack=tuple(_techniques(lines)),
    )
    declared = tuple(dict.fromkeys(_references(lines)))
    snippets, broken = _snippets(source, fences)
    said = (*front.diagnostics, *fields.found, *found, *broken)
    node = fields.node("title")
    place = Span(source, 0, 0) if node is None else node.span
    blocks = [f for f in fences if any("pseudocode" in h.lower() for h in f.headings[-1:])]
    drafts = []
    for number, fence in enumerate(blocks, 1):
        body = Block(
            source, source.text[fence.start : fence.end], range(fence.start, fence.end + 1)
        )
        parsed = parse_program(body)
        drafts.append(
            Draft(
                id_ if len(blocks) == 1 else f"{id_}.{number}",
                about,
                parsed.program,
                body,
                (*(said if number == 1 else ()), *parsed.diagnostics),
                snippets if len(blocks) == 1 else (),
                declared if len(blocks) == 1 else None,
                place,
            )
        )
    if not drafts:
        nothing = Diagnostic(
            codes.NO_PSEUDOCODE,
            "the page has no implementation in pseudocode",
            place,
            notes=("its heading ends in (Pseudocode), and a fenced block follows",),
        )
        empty = parse_program(Block(source, "", range(1))).program
        drafts = [
            Draft(id_, about, empty, Block(source, "", range(1)), (*said, nothing), place=place)
        ]
    return drafts


def _lines(text: str, start: int) -> Iterator[_Line]:
    for line in text[start:].splitlines(keepends=True):
        yield _Line(start, line.rstrip("\r\n"))
        start += len(line)


def _fences(source: Source, lines: list[_Line]) -> tuple[list[_Fence], list[Diagnostic]]:
    """All fenced blocks with the headings they stand under."""
    headings: list[tuple[int, str]] = []
    made: list[_Fence] = []
    open_: tuple[str, str, _Line] | None = None
    start = 0
    for line in lines:
        fence = _FENCE.fullmatch(line.text)
        if open_ is not None:
            if fence and fence[1].startswith(open_[0]) and not fence[2]:
                names = tuple(name for _, name in headings)
                made.append(_Fence(names, open_[1].lower(), start, line.start))
                open_ = None
        elif fence:
            open_ = (fence[1], fence[2], line)
            start = line.start + len(line.text) + _break_after(source.text, line)
        elif heading := _HEADING.fullmatch(line.text):
            level = len(heading[1])
            headings = [(n, name) for n, name in headings if n < level]
            headings.append((level, heading[2]))
    if open_ is None:
        return made, []
    line = open_[2]
    span = Span(source, line.start, line.start + len(line.text))
    message = "this fenced block is never closed"
    return made, [Diagnostic(codes.BAD_FRONT_MATTER, message, span, "opened here")]


def _break_after(text: str, line: _Line) -> int:
    end = line.start + len(line.text)
    return 2 if text.startswith("\r\n", end) else 1


def _description(lines: list[_Line]) -> str:
    """The text above the first heading."""
    kept = []
    for line in lines:
        if _HEADING.fullmatch(line.text):
            break
        kept.append(line.text)
    return "\n".join(kept).strip()


def _rows(lines: list[_Line], heading: str) -> Iterator[list[str]]:
    """The cells of each row of the table under a heading, without its head and rule."""
    inside = False
    number = 0
    for line in lines:
        if found := _HEADING.fullmatch(line.text):
            inside = found[2].strip().lower() == heading
            number = 0
        elif inside and line.text.lstrip().startswith("|"):
            number += 1
            if number > 2:
                yield [cell.strip() for cell in line.text.strip().strip("|").split("|")]


def _techniques(lines: list[_Line]) -> Iterator[Technique]:
    for cells in _rows(lines, "att&ck detection"):
        ids: list[str] = []
        tactics: list[str] = []
        for technique, part, tactic in (m.groups() for m in _LINK_ID.finditer(" ".join(cells))):
            if tactic:
                tactics.append(tactic)
            else:
                ids.append(f"{technique}.{part}" if part else technique)
        parents = [i for i in ids if "." not in i]
        if parents:
            coverage = cells[3] if len(cells) > 3 else ""
            yield Technique(parents[0], tuple(i for i in ids if "." in i), tuple(tactics), coverage)


def _references(lines: list[_Line]) -> Iterator[Reference]:
    datamodel = model()
    for cells in _rows(lines, "data model references"):
        if len(cells) < 3:
            continue
        object_, action, field = (_LINK_TEXT.sub(r"\1", cell).strip() for cell in cells[:3])
        spec = datamodel.object(object_)
        known_action = spec.action(action) if spec else None
        known_field = spec.field(field) if spec else None
        yield Reference(
            spec.name if spec else object_,
            known_action.name if known_action else action,
            known_field.name if known_field else field,
        )


def _snippets(source: Source, fences: list[_Fence]) -> tuple[tuple[Example, ...], list[Diagnostic]]:
    """The event snippets under True Positives."""
    made: list[Example] = []
    found: list[Diagnostic] = []
    for fence in fences:
        if "true positives" not in (heading.lower() for heading in fence.headings):
            continue
        span = Span(source, fence.start, fence.end)
        try:
            events = frontmatter.json_events(span.text)
        except ValueError as error:
            found.append(
                Diagnostic(codes.BAD_EXAMPLE, f"the event snippet is not JSON: {error}", span)
            )
            continue
        if not events or not all(isinstance(event, dict) for event in events):
            found.append(Diagnostic(codes.BAD_EXAMPLE, "the event snippet is no event", span))
            continue
        name = " / ".join(fence.headings[-2:]) or "true positive"
        made.append(Example(name, True, tuple(events), "auto", source.name, span))
    return tuple(made), found
