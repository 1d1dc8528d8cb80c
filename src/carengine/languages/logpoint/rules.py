"""Files with one LogPoint query, each a rule in CAR's names.

The comment lines at the beginning (``//`` or ``#``) are its title.
"""

from __future__ import annotations

from pathlib import Path

from ...diagnostics import Source
from ...rule.drafts import Draft
from ...rule.model import Metadata, written_in
from ..comment_titles import titled_query
from ..raising import raised
from .reader import read


def read_rules(source: Source) -> list[Draft]:
    r"""The rule of a file; always one, with diagnostics for what is wrong in it.

    >>> text = '# At\nnorm_id=WindowsSysmon event_id=1 image="*\\at.exe"\n'
    >>> [draft] = read_rules(Source("x.logpoint", text))
    >>> draft.id, draft.metadata.title, draft.program is not None
    ('x', 'At', True)
    """
    stem = Path(source.name.replace("!", "/")).stem or source.name
    title, block = titled_query(source)
    reading = raised(read(block))
    about = Metadata(title=title)
    place = block.span(0, 0)
    written = written_in("LogPoint", block, "LogPoint native")
    return [
        Draft(
            stem,
            about,
            reading.program,
            block,
            reading.diagnostics,
            place=place,
            publication=written,
        )
    ]
