"""EQL files: one query or several, each a rule.

A query ends at a ``;``, or at an empty line behind which another begins (a category and ``where``,
or ``sequence``, ``sample``, ``join``). The comment before a query is its title. Its id is the file's
stem, with the number of a later query: ``logon``, ``logon#2``.

A query whose fields are those of the ``eql`` package's schema (``process_name``, ``subtype.create``)
means what the package makes of it, and is turned into CAR's names. Any other is read as
Elasticsearch reads it, over the Elastic Common Schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ... import ir
from ...diagnostics import Block, Diagnostic, Source, codes
from ...rule.drafts import Draft
from ...rule.model import Metadata, written_in
from ..query import names_of
from ..raising import maps_of, names_known, raised
from .reader import read, read_elastic

_MAX_QUERIES = 10_000
_PIECE = re.compile(
    r"""(?P<comment>//[^\n]*|/\*[\s\S]*?\*/)
    |(?P<string>\"\"\"[\s\S]*?\"\"\"|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<end>;)
    |(?P<gap>\n(?:[ \t]*\r?\n)+)
    |(?P<open>[(\[])
    |(?P<close>[)\]])
    |(?P<other>[^/"';\n(\[)\]]+|.|\n)""",
    re.VERBOSE,
)
_BEGIN = re.compile(
    r"""(?:\s|//[^\n]*(?:\n|\Z)|/\*(?:[^*]|\*(?!/))*\*/)*
    (?:(?:\w+|"[^"\n]*")\s+where\b|(?:sequence|sample|join)\b)""",
    re.VERBOSE,
)
_COMMENT = re.compile(r"\s*(?://(?P<line>[^\n]*)|/\*(?P<block>[\s\S]*?)\*/)")


def read_rules(source: Source) -> list[Draft]:
    """The rules of an EQL file; at least one, with diagnostics for what is wrong in it.

    >>> text = 'process where process.name == "a"\\n\\n// Two\\nany where event.code == "1"\\n'
    >>> [(draft.id, draft.metadata.title) for draft in read_rules(Source("x.eql", text))]
    [('x', ''), ('x#2', 'Two')]
    """
    stem = Path(source.name.replace("!", "/")).stem or source.name
    drafts: list[Draft] = []
    for number, block in enumerate(_queries(Block.whole(source)), 1):
        id_ = stem if number == 1 else f"{stem}#{number}"
        place = block.span(0, 0)
        if number > _MAX_QUERIES:
            message = f"more than {_MAX_QUERIES} queries in one file; the rest is not read"
            said = (Diagnostic(codes.FOREIGN_SYNTAX, message, place),)
            drafts.append(Draft(id_, Metadata(), None, block, said, place=place))
            break
        reading = read(block)
        if reading.program is not None and _is_of_package(reading.program.outputs[0].plan):
            reading = raised(reading)
        else:
            reading = read_elastic(block)
        about = Metadata(title=_title(block.text))
        drafts.append(
            Draft(
                id_,
                about,
                reading.program,
                block,
                reading.diagnostics,
                place=place,
                publication=written_in("EQL", block, "ECS native" if not reading.raised else ""),
            )
        )
    return drafts


def _is_of_package(plan: ir.Plan) -> bool:
    """Whether a query has the names of the package's schema, and no others."""
    names = {name for name in names_of(plan) if name != "event_type"}
    return bool(names) and names <= names_known(maps_of("eql"))


def _queries(whole: Block) -> Iterator[Block]:
    """The stretches of a text that are one query each; the whole text where there is none."""
    text = whole.text
    start = depth = 0
    wanted = False
    found = False
    for piece in _PIECE.finditer(text):
        match piece.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth = max(0, depth - 1)
            case "end" if depth == 0:
                if wanted:
                    found = True
                    yield _part(whole, start, piece.start())
                start, wanted = piece.end(), False
            case "gap" if depth == 0 and wanted and _BEGIN.match(text, piece.end()):
                found = True
                yield _part(whole, start, piece.start())
                start, wanted = piece.end(), False
            case "string":
                wanted = True
            case "other":
                wanted = wanted or not piece[0].isspace()
            case _:
                continue
    if wanted or not found:
        yield _part(whole, start, len(text))


def _part(whole: Block, start: int, end: int) -> Block:
    return Block(whole.source, whole.text[start:end], whole.offsets[start : end + 1])


def _title(text: str) -> str:
    """The first comment before a query."""
    found = _COMMENT.match(text)
    if found is None:
        return ""
    comment = found["line"] if found["line"] is not None else found["block"]
    return " ".join(comment.strip(" \t*").split())[:200]
