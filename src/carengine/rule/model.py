"""Rules: a program with what people need to know about it, and sets of them.

A ``Rule`` carries its metadata, its program as written and as resolved, and examples of events it
must and must not match. A ``RuleSet`` is what loading gives: the rules that can be used, the ones
that were refused, and every diagnostic. Nothing is lost on the way: ``len(rules) + len(refused)``
is the number of rules found.

`drafts` makes rules of what the loaders read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from attrs import field, frozen

from .. import ir
from ..diagnostics import Block, Diagnostic, Span
from .inputs import RuleInput

if TYPE_CHECKING:
    from ..resolve import Clause, Reference
    from ..syntax import ast

LEVELS = ("informational", "low", "medium", "high", "critical")
"""How grave what a rule finds is, in order."""

Parameters = Mapping[str, str | int | float | bool | Sequence[str]]
"""Values for the ``input`` names of programs; lists are for the placeholders of Sigma rules."""


@frozen
class Technique:
    """An ATT&CK technique that a rule detects.

    ``subtechniques`` are full ids (``T1003.001``), ``tactics`` too (``TA0006``); ``coverage`` is
    CAR's level, empty where not said. ``analytics`` are those of ATT&CK's detection strategies that
    the rule implements for it (``AN1030``).
    """

    id: str
    subtechniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    coverage: str = ""
    analytics: tuple[str, ...] = ()


@frozen
class Example:
    """Events that a rule must match, or must not.

    ``fieldmap`` is the map to read them with; ``source`` says where they came from. ``matches`` is
    how many matches there are, where the example says so; otherwise any number will do.

    >>> import carengine
    >>> rule = carengine.load_rule(carengine.shipped_rules() / "CAR-2019-08-001.car")
    >>> {example.match for example in rule.examples}
    {False, True}
    """

    name: str
    match: bool
    events: tuple[Mapping[str, Any], ...] = field(hash=False)
    fieldmap: str = "auto"
    source: str = ""
    span: Span | None = field(default=None, eq=False, repr=False)
    matches: int | None = None


@frozen
class Implementation:
    """An analytic in one language: ``type`` says which (pseudocode, Splunk, EQL …), ``code`` is its
    text."""

    name: str
    type: str
    description: str = ""
    data_model: str = ""
    code: Block | None = None
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class UnitTest:
    """What to do on a machine so that the rule matches: in words, and as commands."""

    description: str
    configurations: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@frozen
class TruePositive:
    """Events that the analytic finds: the names of two files with the event in short and in
    full."""

    source: str
    description: str = ""
    event_snippet: str = ""
    full_event: str = ""
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Publication:
    """What a CAR analytic publishes beside its pseudocode.

    ``information_domain`` (Host, Network …), ``subtypes`` (File, Process …) and ``analytic_types``
    (TTP …) are CAR's own way to sort analytics; ``update_date`` is when it was changed last.
    """

    implementations: tuple[Implementation, ...] = ()
    unit_tests: tuple[UnitTest, ...] = ()
    true_positives: tuple[TruePositive, ...] = ()
    information_domain: str = ""
    subtypes: tuple[str, ...] = ()
    analytic_types: tuple[str, ...] = ()
    update_date: str = ""


def written_in(type_: str, block: Block, data_model: str = "") -> Publication:
    """What is published of a rule in another language: its text.

    >>> written_in("EQL", Block.of("any where true")).implementations[0].type
    'EQL'
    """
    return Publication((Implementation("", type_, "", data_model, block),))


@frozen
class Metadata:
    """What is said about a rule beside its program.

    ``fields`` are the fields that a Sigma rule's author wants to see of its events.
    ``regression_tests`` is the path of its regression data, as the rule has it.

    >>> import carengine
    >>> rules = carengine.load_rules(carengine.shipped_rules())
    >>> [technique.id for technique in rules["CAR-2019-08-001"].metadata.attack]
    ['T1003']
    """

    title: str = ""
    description: str = ""
    status: str = ""
    level: str = ""
    author: str = ""
    date: str = ""
    platforms: tuple[str, ...] = ()
    attack: tuple[Technique, ...] = ()
    tags: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()
    data: str = ""
    fields: tuple[str, ...] = ()
    regression_tests: str = ""
    inputs: tuple[RuleInput, ...] = ()


@frozen(eq=False)
class Rule:
    """A rule that can be used.

    ``syntax`` is None where it was not written in pseudocode. ``clauses`` are its conditions as
    they are written, for the checker; none where a rule was made in code.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> rule.id, rule.stateless, [output.name for output in rule.program.outputs]
    ('<text>', True, ['a'])
    """

    id: str
    metadata: Metadata
    program: ir.Program
    syntax: ast.SyntaxTree | None = field(repr=False)
    block: Block = field(repr=False)
    references: tuple[Reference, ...] = ()
    examples: tuple[Example, ...] = field(default=(), repr=False)
    diagnostics: tuple[Diagnostic, ...] = field(default=(), repr=False)
    clauses: tuple[Clause, ...] = field(default=(), repr=False)
    publication: Publication = field(factory=Publication, repr=False)

    @staticmethod
    def annotation_names() -> dict[str, Any]:
        """What the annotations name and this module does not load: a hunt needs no syntax."""
        from ..resolve import Clause, Reference
        from ..syntax import ast

        return {"Clause": Clause, "Reference": Reference, "ast": ast}

    @property
    def title(self) -> str:
        """The rule's title, or its id where it has none."""
        return self.metadata.title or self.id

    @property
    def path(self) -> str:
        """The file the rule was read from, or a name in angle brackets."""
        return self.block.source.name

    @property
    def attack(self) -> tuple[str, ...]:
        """The ids of ATT&CK techniques, the most specific ones: ``("T1003.001",)``."""
        found = [i for t in self.metadata.attack for i in (t.subtechniques or (t.id,))]
        return tuple(dict.fromkeys(found))

    @property
    def analytics(self) -> tuple[str, ...]:
        """The ids of the analytics of ATT&CK that the rule implements: ``("AN1030",)``."""
        return tuple(dict.fromkeys(i for t in self.metadata.attack for i in t.analytics))

    @property
    def stateless(self) -> bool:
        """Whether each event decides alone, with no memory of others."""
        return all(ir.as_stages(output.plan) is not None for output in self.program.outputs)


@frozen
class Refused:
    """A rule that cannot be used, and why. ``block`` is its text, where there is one.

    >>> import pathlib, tempfile, carengine
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = pathlib.Path(folder, "x.car").write_text("a = search Proces:Create output a")
    ...     [refused] = carengine.load_rules(folder).refused
    >>> refused.id, [item.code.id for item in refused.diagnostics]
    ('x', ['CE201'])
    """

    id: str
    path: str
    diagnostics: tuple[Diagnostic, ...]
    title: str = ""
    block: Block | None = field(default=None, eq=False, repr=False)


@frozen(eq=False)
class RuleSet:
    """Rules that were loaded together, sorted by id.

    ``diagnostics`` is everything there is to say: about the rules, the refused ones and files
    that hold none.

    It is iterated and indexed like a sequence of the rules that can be used, and is asked for one
    by its id, case ignored. ``rules[id]`` raises `KeyError` for an id that it does not have,
    ``rules[number]`` `IndexError`.

    >>> import carengine
    >>> rules = carengine.load_rules(carengine.shipped_rules())
    >>> rules["car-2019-08-001"] is rules["CAR-2019-08-001"], "CAR-1999-01-001" in rules
    (True, False)
    >>> rules[0] in rules, rules[0] is next(iter(rules)), len(rules[:3])
    (True, True, 3)
    """

    rules: tuple[Rule, ...]
    refused: tuple[Refused, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    _by_id: Mapping[str, Rule] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        by_id: dict[str, Rule] = {}
        for rule in self.rules:
            by_id.setdefault(rule.id.lower(), rule)
        object.__setattr__(self, "_by_id", by_id)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def __contains__(self, item: object) -> bool:
        if isinstance(item, str):
            return item.lower() in self._by_id
        return isinstance(item, Rule) and self._by_id.get(item.id.lower()) is item

    @overload
    def __getitem__(self, key: str | int) -> Rule: ...

    @overload
    def __getitem__(self, key: slice) -> tuple[Rule, ...]: ...

    def __getitem__(self, key: str | int | slice) -> Rule | tuple[Rule, ...]:
        if not isinstance(key, str):
            return self.rules[key]
        rule = self._by_id.get(key.lower())
        if rule is not None:
            return rule
        if any(refused.id.lower() == key.lower() for refused in self.refused):
            raise KeyError(f"the rule {key} was refused; `refused` says why")
        raise KeyError(f"there is no rule {key}")

    def get(self, id_: str) -> Rule | None:
        """The rule of an id, case ignored; None where there is none."""
        return self._by_id.get(id_.lower())
