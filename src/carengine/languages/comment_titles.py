"""Files that hold one query of a language without comments: the lines that stand before it."""

from __future__ import annotations

import re

from ..diagnostics import Block, Source

_HEAD = re.compile(r"(?:[ \t]*(?://|#)[^\n]*(?:\n|\Z)|[ \t]*\r?\n)*")
_LINE = re.compile(r"[ \t]*(?://|#)[ \t]*([^\r\n]*)")


def titled_query(source: Source) -> tuple[str, Block]:
    """The title of a query, which is the first comment line (``//`` or ``#``) before it, and the
    query.

    >>> title, block = titled_query(Source("x.kql", "# One\\n# Two\\na:b\\n"))
    >>> title, block.text
    ('One', 'a:b\\n')
    """
    found = _HEAD.match(source.text)
    start = found.end() if found else 0
    lines = _LINE.findall(source.text[:start])
    title = next((line.strip() for line in lines if line.strip()), "")[:200]
    whole = Block.whole(source)
    return title, Block(source, whole.text[start:], whole.offsets[start:])
