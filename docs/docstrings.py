"""Docstrings as the site shows them: an extension of Griffe (`mkdocs.yml`).

The sources write examples as doctests and literal blocks behind ``::``, which Markdown does not
know: a doctest becomes a block of code, and of ``::`` one colon stays.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_DOCTEST = re.compile(r"^([ ]*)>>> .*(?:\n(?![ ]*$).*)*", re.MULTILINE)
_LITERAL = re.compile(r"::$", re.MULTILINE)


def markdown_of(text: str) -> str:
    """A docstring's text as Markdown.

    >>> markdown_of("Adds::\\n\\n    1\\n\\n>>> 1 + 1\\n2\\n\\nDone.")
    'Adds:\\n\\n    1\\n\\n```pycon\\n>>> 1 + 1\\n2\\n```\\n\\nDone.'
    """
    fenced = _DOCTEST.sub(lambda found: f"{found[1]}```pycon\n{found[0]}\n{found[1]}```", text)
    return _LITERAL.sub(":", fenced)


class Docstrings(griffe.Extension):
    """Turns every docstring that is collected."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = markdown_of(obj.docstring.value)
