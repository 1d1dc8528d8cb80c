"""Files with one query in Kibana's query language, each a rule over ECS.

The comment lines at the beginning (``//`` or ``#``) are its title. ``.kql`` is also what files in
Microsoft's Kusto Query Language end with; these are told by their pipes, and refused by name.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...diagnostics import Diagnostic, Source, codes
from ...rule.drafts import Draft
from ...rule.model import Metadata, written_in
from ..comment_titles import titled_query
from .reader import read

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?')


def read_rules(source: Source) -> list[Draft]:
    """The rule of a file; always one, with diagnostics for what is wrong in it.

    >>> [draft] = read_rules(Source("x.kql", "// A shell\\nprocess.name:cmd.exe\\n"))
    >>> draft.id, draft.metadata.title, draft.program is not None
    ('x', 'A shell', True)
    >>> [draft] = read_rules(Source("y.kql", "SigninLogs | where ResultType == 0"))
    >>> draft.diagnostics[0].message
    "a query in Kusto's language, by its pipe"
    """
    stem = Path(source.name.replace("!", "/")).stem or source.name
    title, block = titled_query(source)
    place = block.span(0, 0)
    bar = _STRING.sub(lambda string: " " * len(string[0]), block.text).find("|")
    if bar >= 0:
        note = "a file .kql is read as Kibana's query language here; Microsoft's is not read"
        what = "a query in Kusto's language, by its pipe"
        said = (
            Diagnostic(codes.FOREIGN_UNSUPPORTED, what, block.span(bar, bar + 1), notes=(note,)),
        )
        return [Draft(stem, Metadata(title=title), None, block, said, place=place)]
    reading = read(block)
    about = Metadata(title=title)
    written = written_in("KQL", block, "ECS native")
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
