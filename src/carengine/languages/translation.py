"""What a translation is, and how it is collected while it is written.

A ``Translation`` holds one query or several, in the order of the rule's outputs::

    Translation(target="eql", fieldmap="sysmon.winlogbeat",
                queries=(Query("lsass_dump", "file where …"),), notes=(CE902 …,))

A target either says exactly what the rule says, or says in a note (CE902) where it does not, or
refuses (CE901). ``Findings`` is where a translator puts both while it works; ``Findings.refuse``
records what cannot be said and raises `Untranslatable`, which the caller catches for each output,
so that all that is wrong is told at once.
"""

from __future__ import annotations

from typing import NoReturn

from attrs import define, field, frozen

from ..diagnostics import Code, Diagnostic, Span, codes, ordered


@frozen
class Query:
    """One query: the output whose matches it finds, and its text.

    ``fields`` names the raw fields it reads, as the target spells them.
    """

    output: str
    text: str
    fields: tuple[str, ...] = ()


@frozen
class Translation:
    """A rule in another language, for the logs of one field map.

    ``text`` is all queries; ``notes`` tells where they are not exact.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> translated = carengine.translate(rule, "splunk", "sysmon.flat")
    >>> translated.target, len(translated.queries)
    ('splunk', 1)
    """

    rule: str
    target: str
    fieldmap: str
    queries: tuple[Query, ...]
    text: str
    notes: tuple[Diagnostic, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The raw fields that the queries read, each once."""
        return tuple(dict.fromkeys(name for query in self.queries for name in query.fields))


LETTERS = "letters outside ASCII may be compared in another way than carengine's (ſ and s, İ and i)"
EMPTY_TEXTS = "does not tell an empty text from a missing one"
PRESENCE = "a field that is there with null, or with an empty list, counts as one that is not there"
"""What is to be said where a language does not tell the two apart."""


class Untranslatable(Exception):  # noqa: N818 (control flow, not an error anyone sees)
    """Raised inside a translator after it has recorded why."""


@define
class Findings:
    """What there is to say about a translation while it is made. ``place`` is the output at work;
    ``columns`` are the names of raw fields that all outputs spell alike."""

    rule: str
    target: str
    place: Span | None = None
    found: list[Diagnostic] = field(factory=list)
    columns: dict[str, str] = field(factory=dict)

    def refuse(self, operation: str, span: Span | None = None) -> NoReturn:
        """Record that the target cannot say an operation, and give up the output."""
        message = f"{self.target} cannot express {operation}"
        self._add(codes.NOT_TRANSLATABLE, message, span)
        raise Untranslatable(message)

    def differs(self, how: str, span: Span | None = None) -> None:
        """Record where the query answers differently from the rule. Said once for each place."""
        self._add(codes.DIFFERS, f"{self.target}: {how}", span)

    def nothing(self, why: str) -> NoReturn:
        """Record that the field map leaves nothing of an output, and give it up."""
        self._add(codes.NOTHING_TO_TRANSLATE, why, None)
        raise Untranslatable(why)

    def _add(self, code: Code, message: str, span: Span | None) -> None:
        self.found.append(Diagnostic(code, message, span or self.place, origin=self.rule))

    @property
    def all(self) -> tuple[Diagnostic, ...]:
        """The findings in order, each once."""
        return ordered(self.found)
