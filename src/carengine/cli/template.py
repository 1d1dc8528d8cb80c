"""``--template FILE``: matches through a Jinja template of the user's own.

The template sees ``matches`` (each as JSON lines have it, in the order of time, read from the disk
as the template goes on), ``total`` and the filter ``tojson``. It runs in Jinja's sandbox: it has no
files, no imports, no attributes of Python's own. Values are escaped for a template whose name says
HTML or XML (``report.html``, ``report.html.j2``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import define

from ..diagnostics import visible
from ..engine import Match
from ..filewrite import bounded_text
from ..jsontext import loads
from ..matches import MatchReporter, MatchTally, TimeSorter, as_json_line
from . import UsageError
from .encode import json_line

_MARKUP = (".html", ".htm", ".xml", ".svg")


def template_of(path: str) -> Any:
    """The template of a file, compiled. Raises `UsageError` where it cannot be used."""
    try:
        from jinja2 import StrictUndefined, TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise UsageError("--template needs Jinja: pip install 'carengine[cli]'") from None
    try:
        text = bounded_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the template {path}: {error}") from None
    name = path.lower().removesuffix(".j2").removesuffix(".jinja").removesuffix(".jinja2")
    sandbox = ImmutableSandboxedEnvironment(
        autoescape=name.endswith(_MARKUP), undefined=StrictUndefined, keep_trailing_newline=True
    )
    try:
        return sandbox.from_string(text)
    except TemplateError as error:
        number = getattr(error, "lineno", None)
        line = f":{number}" if number else ""
        raise UsageError(f"the template {path}{line} is not right: {error}") from None


@define
class TemplateWriter:
    """Keeps matches on the disk, and renders the template over them at the end."""

    _put: Callable[[bytes], object]
    _path: str
    _reporter: MatchReporter
    tally: MatchTally
    _raw: bool
    _sorter: TimeSorter
    streaming: bool = False
    apart: None = None
    _template: Any = None

    def __attrs_post_init__(self) -> None:
        self._template = template_of(self._path)  # what is wrong with it is known at once

    def write(self, match: Match) -> None:
        """Take one match."""
        row = self._reporter.row(match, deciding=False)
        self.tally.add(match.rule, row.host, match.time)
        self._sorter.add(match.time, json_line(as_json_line(row, raw=self._raw)))

    def finish(self) -> None:
        """Render. Raises `UsageError` where the template fails."""
        from jinja2 import TemplateError

        with self._sorter:
            try:
                for text in self._template.generate(
                    matches=self._matches(), total=self.tally.total
                ):
                    self._put(text.encode("utf-8", "backslashreplace"))
            except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
                message = visible(f"{type(error).__name__}: {error}")
                raise UsageError(f"the template {self._path} failed: {message}") from None

    def _matches(self) -> Iterator[Any]:
        for data in self._sorter:
            yield loads(data)
