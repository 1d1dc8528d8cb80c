"""The Markdown pages of CAR analytics, as car.mitre.org publishes them.

A page has YAML front matter (``title: "CAR-2019-08-001: …"``), a description, and sections under
third-level headings: the ATT&CK table, the data model references, the implementations, the unit
tests and the true positives, whose event snippets become positive examples. It is the same as the
analytic's YAML file, and gives the same rules; the pseudocode is read leniently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from ...diagnostics import Block, Diagnostic, Source, Span, codes
from ...resolve import Reference
from ...rule import frontmatter
from ...rule.drafts import Draft
from ...rule.model import (
    LEVELS,
    Example,
    Implementation,
    Metadata,
    Publication,
    Technique,
    TruePositive,
    UnitTest,
)
from .carfile import stem_of
from .caryaml import reference
from .published import PublishedAnalytic, drafts_of, is_pseudocode, pseudocode, says_pseudocode

_ID = re.compile(r"\s*(CAR-\d{4}-\d{2}-\d{3})\s*:?\s*(.*)", re.DOTALL)
_HEADING = re.compile(r"(#{1,6})[ \t]+(.*)")
_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})[ \t]*([\w-]*)[ \t]*")
_LINK_ID = re.compile(r"techniques/(T\d{4})(?:/(\d{3}))?|tactics/(TA\d{4})")
_LINK_TEXT = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_NAMED = re.compile(r"(.*\S)\s*\(([^()]*)\)")
_CONFIGURATIONS = re.compile(r"\*\*Configurations?:\*\*[ \t]*([^\r\n]*)")
_FULL_EVENT = re.compile(r"\[Full Event\]\([^)]*?([\w.-]+)\)")
_ADVICE = "the heading of its pseudocode ends in (Pseudocode), and a fenced block follows"
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
    # Not on CAR's own pages; on those that this program writes.
    "level",
    "status",
    "tags",
    "references",
    "notes",
    "false_positives",
    "data",
    "inputs",
    "attack",
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


def is_page(text: str) -> bool:
    """Whether a text may be an analytic: it has front matter, or a heading that says pseudocode.

    >>> is_page("# Our rules"), is_page("#### Pseudocode, CAR native")
    (False, True)
    """
    headings = map(_heading, text.splitlines())
    return text.startswith("---") or any(
        found is not None and says_pseudocode(found[1]) for found in headings
    )


def read(source: Source) -> list[Draft]:
    """The rules of a page, one for each pseudocode implementation; none gives one refused draft."""
    whole = Block.whole(source)
    front = frontmatter.split(whole)
    fields = frontmatter.FrontMatterFields(front.root)
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
        platforms=_listed(fields.text("applicable_platforms")),
        attack=tuple(_techniques(lines)),
        level=fields.choice("level", LEVELS),
        status=fields.choice("status", frontmatter.STATUSES),
        tags=fields.texts("tags"),
        references=fields.texts("references"),
        notes=fields.texts("notes"),
        false_positives=fields.texts("false_positives"),
        data=fields.text("data"),
        inputs=frontmatter.inputs(fields),
    )
    declared = tuple(dict.fromkeys(_references(lines)))
    snippets, broken = _snippets(source, fences)
    said = (*front.diagnostics, *fields.found, *found, *broken)
    node = fields.node("title")
    place = Span(source, 0, 0) if node is None else node.span
    implementations = tuple(_implementations(source, lines, fences))
    publication = Publication(
        implementations,
        tuple(_unit_tests(source, lines, fences)),
        tuple(_true_positives(source, lines)),
        fields.text("information_domain"),
        _listed(fields.text("subtypes")),
        _listed(fields.text("analytic_type")),
        fields.text("update_date").replace("/", "-"),
    )
    analytic = PublishedAnalytic(
        id_, about, pseudocode(implementations), place, said, snippets, declared, publication
    )
    return drafts_of(analytic, source, _ADVICE)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


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
        elif heading := _heading(line.text):
            headings = [(n, name) for n, name in headings if n < heading[0]]
            headings.append(heading)
    if open_ is None:
        return made, []
    line = open_[2]
    span = Span(source, line.start, line.start + len(line.text))
    message = "this fenced block is never closed"
    return made, [Diagnostic(codes.BAD_FRONT_MATTER, message, span, "opened here")]


def _heading(line: str) -> tuple[int, str] | None:
    """The level and the text of a heading, or None. It may be closed with ``#`` again."""
    found = _HEADING.fullmatch(line)
    return None if found is None else (len(found[1]), found[2].rstrip(" \t#"))


def _break_after(text: str, line: _Line) -> int:
    end = line.start + len(line.text)
    return 2 if text.startswith("\r\n", end) else 1


def _description(lines: list[_Line]) -> str:
    """The text above the first heading."""
    kept = []
    for line in lines:
        if _heading(line.text):
            break
        kept.append(line.text)
    return "\n".join(kept).strip()


def _rows(lines: list[_Line], heading: str) -> Iterator[list[str]]:
    """The cells of each row of the table under a heading, without its head and rule."""
    inside = False
    number = 0
    for line in lines:
        if found := _heading(line.text):
            inside = found[1].strip().lower().removesuffix("s") == heading.removesuffix("s")
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
    for cells in _rows(lines, "data model references"):
        if len(cells) < 3:
            continue
        object_, action, field = (_LINK_TEXT.sub(r"\1", cell).strip() for cell in cells[:3])
        yield reference(object_, action, field)


# Sections: what stands under a third-level heading, item by item


@frozen
class _Section:
    """An item of a section: its heading, and where its text begins and ends."""

    title: str
    start: int
    end: int
    line: _Line

    def fences(self, fences: list[_Fence]) -> list[_Fence]:
        """The fenced blocks in it."""
        return [fence for fence in fences if self.start <= fence.start < self.end]


def _sections(
    source: Source, lines: list[_Line], fences: list[_Fence], name: str
) -> Iterator[_Section]:
    """The items under a third-level heading: each begins with a heading of the fourth level."""
    inside = False
    open_: _Line | None = None
    title = ""
    for line in lines:
        heading = _heading(line.text)
        fenced = any(fence.start <= line.start < fence.end for fence in fences)
        if heading is None or fenced or heading[0] > 4:
            continue
        if inside and open_ is not None:
            yield _Section(title, open_.start + len(open_.text), line.start, open_)
        open_ = None
        if heading[0] == 4:
            open_, title = line, heading[1]
        else:
            inside = heading[1].strip().lower() == name
    if inside and open_ is not None:
        yield _Section(title, open_.start + len(open_.text), len(source.text), open_)


def _implementations(
    source: Source, lines: list[_Line], fences: list[_Fence]
) -> Iterator[Implementation]:
    """Each implementation, of whatever type; its heading is ``Name (Type, Data model)`` or ``Type,
    Data model``."""
    for section in _sections(source, lines, fences, "implementations"):
        name, type_, data_model = _titled(section.title)
        code = next(iter(section.fences(fences)), None)
        end = (
            section.end
            if code is None
            else max(source.text.rfind(mark, 0, code.start) for mark in "\n\r")
        )
        block = None
        if code is not None:
            offsets = range(code.start, code.end + 1)
            block = Block(source, source.text[code.start : code.end], offsets)
        yield Implementation(
            name,
            type_,
            _prose(source.text[section.start : end]),
            data_model,
            block,
            Span(source, section.line.start, section.line.start + len(section.line.text)),
        )


def _titled(heading: str) -> tuple[str, str, str]:
    """Name, type and data model in the heading of an implementation.

    >>> _titled("Main Pattern (Splunk, Sysmon native)"), _titled("Eql, EQL native")
    (('Main Pattern', 'Splunk', 'Sysmon native'), ('', 'Eql', 'EQL native'))
    """
    named = _NAMED.fullmatch(heading.strip())
    name, kind = (named[1], named[2]) if named is not None else ("", heading.strip())
    type_, _, data_model = (part.strip() for part in kind.partition(","))
    if named is None and not is_pseudocode(type_) and "pseudocode" in heading.lower():
        return heading.strip(), "Pseudocode", ""
    return name.strip(), type_, data_model


def _prose(text: str) -> str:
    lines = [line for line in text.splitlines() if not _FENCE.fullmatch(line)]
    return "\n".join(lines).strip()


def _unit_tests(source: Source, lines: list[_Line], fences: list[_Fence]) -> Iterator[UnitTest]:
    for section in _sections(source, lines, fences, "unit tests"):
        inner = section.fences(fences)
        text = source.text[section.start : section.end]
        found = _CONFIGURATIONS.search(text)
        settings = () if found is None else (found[1].strip(),)
        before = text if not inner else source.text[section.start : inner[0].start]
        commands = [
            line.strip()
            for fence in inner
            for line in source.text[fence.start : fence.end].splitlines()
            if line.strip()
        ]
        yield UnitTest(_prose(_CONFIGURATIONS.sub("", before)), settings, tuple(commands))


def _true_positives(source: Source, lines: list[_Line]) -> Iterator[TruePositive]:
    """The events that a page links to; their snippets stand in the page itself."""
    for section in _sections(source, lines, [], "true positives"):
        text = source.text[section.start : section.end]
        full = _FULL_EVENT.search(text)
        prose = text.split("\n#", 1)[0].strip()
        span = Span(source, section.line.start, section.line.start + len(section.line.text))
        yield TruePositive(section.title, prose, "", full[1] if full is not None else "", span)


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
