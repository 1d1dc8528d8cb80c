"""Rules: a program with what people need to know about it, and sets of them.

A ``Rule`` carries its metadata, its program as written and as resolved, and examples of events it
must and must not match. A ``RuleSet`` is what loading gives: the rules that can be used, the ones
that were refused, and every diagnostic. Nothing is lost on the way: ``len(rules) + len(refused)``
is the number of rules found.

``from_drafts`` turns what the loaders read (a ``Draft`` each) into rules: it resolves programs,
follows ``run`` from rule to rule, and refuses cycles and ids that come twice. A rule in a language
of its own (Sigma's) comes with its program made; there is no pseudocode to resolve.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard, overload

from attrs import evolve, field, frozen

from .. import ir, lenient
from ..diagnostics import Block, Diagnostic, Label, Span, codes, fault, has_errors, ordered
from ..resolve import Clause, Reference, Resolution, RunTarget, merged, resolve_program
from ..syntax import ast
from .inputs import InputValue, RuleInput, with_values

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

    ``fieldmap`` is the map to read them with; ``source`` says where they came from.

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


@frozen
class Draft:
    """A rule as a loader read it: not resolved yet.

    ``program`` is the pseudocode's syntax, or, where there is none, the program itself; None after
    an error that is in ``diagnostics``. ``declared`` holds the data model references that the file
    itself states, if it does. Of a ``lenient`` draft only the block counts: it is read leniently
    when all drafts are known, and its ``program`` is an empty one until then.
    """

    id: str
    metadata: Metadata
    program: ast.SyntaxTree | ir.Program | None
    block: Block
    diagnostics: tuple[Diagnostic, ...] = ()
    examples: tuple[Example, ...] = ()
    declared: tuple[Reference, ...] | None = None
    place: Span | None = field(default=None, eq=False, repr=False)
    lenient: bool = False
    publication: Publication = field(factory=Publication)

    @property
    def path(self) -> str:
        """The file the rule stands in."""
        return self.block.source.name


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


def from_drafts(
    drafts: Iterable[Draft],
    *,
    parameters: Parameters | None = None,
    diagnostics: Iterable[Diagnostic] = (),
) -> RuleSet:
    """Resolve drafts into a rule set.

    ``parameters`` binds the programs' ``input`` names; a rule with an unbound one is refused
    (CE212). ``diagnostics`` are findings about files that gave no draft.
    """
    found = list(diagnostics)
    known: dict[str, Draft] = {}
    refused: list[Refused] = []
    for draft in drafts:
        first = known.setdefault(draft.id.lower(), draft)
        if first is not draft:
            twice = _twice(draft, first)
            refused.append(
                Refused(draft.id, draft.path, (twice,), draft.metadata.title, draft.block)
            )
    known = mended(known)
    resolved = _Resolved(known, dict(parameters or {}))
    rules: list[Rule] = []
    for key, draft in resolved.drafts.items():
        try:
            outcome = resolved.of(key)
        except Exception as error:
            broke = fault(f"the reading of {draft.id}", error, draft.place, draft.path)
            said = ordered((*draft.diagnostics, broke))
            refused.append(Refused(draft.id, draft.path, said, draft.metadata.title, draft.block))
            continue
        said = ordered((*draft.diagnostics, *_not_lost(draft, outcome.diagnostics)))
        if outcome.program is None or has_errors(said):
            refused.append(Refused(draft.id, draft.path, said, draft.metadata.title, draft.block))
            continue
        said = ordered((*said, *_differences(draft, outcome)))
        rules.append(
            Rule(
                draft.id,
                draft.metadata,
                outcome.program,
                draft.program if isinstance(draft.program, ast.SyntaxTree) else None,
                draft.block,
                outcome.references,
                draft.examples,
                said,
                outcome.clauses,
                publication=draft.publication,
            )
        )
    rules.sort(key=lambda rule: rule.id)
    found += [item for rule in rules for item in rule.diagnostics]
    found += [item for rule in refused for item in rule.diagnostics]
    # A file that could not be read at all is a rule that was refused, too.
    refused += [
        Refused(Path(item.origin).stem, item.origin, (item,))
        for item in found
        if item.code is codes.UNREADABLE_RULE
    ]
    refused.sort(key=lambda rule: (rule.id, rule.path))
    return RuleSet(tuple(rules), tuple(refused), ordered(found))


def _not_lost(draft: Draft, found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The findings without those that come only of what was lost to an error told already."""
    if not has_errors(draft.diagnostics):
        return list(found)
    if draft.lenient:
        # The reading is given up where it is not certain; what is left was never meant to run.
        return []
    text = draft.block.text
    # What the other errors would have to become: a misspelt `output` is an output.
    meant = " ".join(edit.text for d in draft.diagnostics if d.fix for edit in d.fix.edits)

    def written(item: Diagnostic) -> bool:
        if item.code is codes.NO_OUTPUT:
            empty = not text.strip()
            word = re.search(r"(?i)\b(?:output|return)\b", f"{text} {meant}")
            return empty or word is not None
        if item.code is codes.UNKNOWN_STREAM and item.span is not None:
            name = re.escape(item.span.text.partition(".")[0])
            return re.search(rf"(?<![\w.]){name}\s*=(?!=)", text) is not None
        return False

    return [item for item in found if not written(item)]


def _twice(draft: Draft, first: Draft) -> Diagnostic:
    labels = () if first.place is None else (Label(first.place, "first here"),)
    return Diagnostic(
        codes.DUPLICATE_RULE,
        f"another rule has the id {draft.id}",
        draft.place,
        labels=labels,
        notes=(f"the other one is in {first.path}",),
        origin=draft.path,
    )


# How many rules may run one another in a row: deeper than any chain that people write.
_MAX_RUNS = 50


def mended(drafts: Mapping[str, Draft]) -> dict[str, Draft]:
    """The drafts by their folded ids, the lenient ones read.

    What ``run`` gives is known from the other rules' programs, so that these are read first; in a
    circle, one of them does without.
    """
    done: dict[str, Draft] = {}
    open_: list[str] = []

    def program(id_: str) -> ast.SyntaxTree | None:
        key = id_.lower()
        if key not in drafts or key in open_ or len(open_) > _MAX_RUNS:
            return None
        found = read(key).program
        return found if isinstance(found, ast.SyntaxTree) else None

    def read(key: str) -> Draft:
        draft = drafts[key]
        if key not in done and draft.lenient:
            open_.append(key)
            try:
                reading = lenient.read(draft.block, programs=program)
            finally:
                open_.pop()
            said = (*draft.diagnostics, *reading.diagnostics)
            draft = evolve(draft, program=reading.program, block=reading.block, diagnostics=said)
        return done.setdefault(key, draft)

    return {key: read(key) for key in drafts}


class _Resolved:
    """The programs of drafts, resolved on demand; ``run`` leads from one to another."""

    def __init__(self, drafts: Mapping[str, Draft], parameters: Parameters) -> None:
        self._parameters = {n: v for n, v in parameters.items() if _is_scalar(v)}
        self.drafts = {key: _with_inputs(draft, parameters) for key, draft in drafts.items()}
        """The drafts, with the values of their inputs."""
        self._done: dict[str, Resolution] = {}
        self._open: list[str] = []

    def of(self, key: str) -> Resolution:
        if key not in self._done:
            self._open.append(key)
            try:
                self._done[key] = self._resolve(self.drafts[key])
            finally:
                self._open.pop()
        return self._done[key]

    def _resolve(self, draft: Draft) -> Resolution:
        if not isinstance(draft.program, ast.SyntaxTree):
            return Resolution(draft.program, ())
        cycles: list[Diagnostic] = []

        def analytic(id_: str) -> RunTarget | None:
            key = id_.lower()
            if key not in self.drafts:
                return None
            if key in self._open:
                cycles.append(self._cycle(draft, key))
                return None
            if len(self._open) > _MAX_RUNS:
                return None
            other = self.drafts[key]
            outcome = self.of(key)
            if not outcome.shapes or outcome.program is None or has_errors(other.diagnostics):
                # Without shapes it is no pseudocode, and its fields are not CAR's.
                return None
            return _as_analytic(outcome.program, outcome)

        declared = {one.name: one.current for one in draft.metadata.inputs if one.name}
        bound: dict[str, InputValue] = {**self._parameters, **declared}
        outcome = resolve_program(draft.program, analytics=analytic, parameters=bound)
        said = ordered((*outcome.diagnostics, *cycles))
        if cycles:
            # "no such rule" beside "it runs in a circle" would be the same finding twice.
            said = tuple(item for item in said if item.code is not codes.UNKNOWN_RULE)
        if outcome.program is not None and outcome.program.parameters:
            unbound = [_unbound(draft, name) for name in outcome.program.parameters]
            return evolve(outcome, program=None, diagnostics=ordered((*said, *unbound)))
        return evolve(outcome, diagnostics=said)

    def _cycle(self, draft: Draft, key: str) -> Diagnostic:
        circle = [self.drafts[k].id for k in self._open[self._open.index(key) :]]
        spans = [
            statement.value.rule.span
            for statement in _statements(draft)
            if isinstance(statement, ast.DefineStatement)
            and isinstance(statement.value, ast.RunExpression)
            and statement.value.rule.text.lower() == key
        ]
        return Diagnostic(
            codes.RULE_CYCLE,
            f"running leads in a circle: {' → '.join([*circle, circle[0]])}",
            spans[0] if spans else draft.place,
        )


def _with_inputs(draft: Draft, parameters: Parameters) -> Draft:
    """A draft whose declared inputs have the values that are given for them."""
    if not draft.metadata.inputs:
        return draft
    inputs, wrong = with_values(draft.metadata.inputs, parameters)
    said = [Diagnostic(codes.BAD_INPUT, message, draft.place) for message in wrong]
    metadata = evolve(draft.metadata, inputs=inputs)
    return evolve(draft, metadata=metadata, diagnostics=(*draft.diagnostics, *said))


def _is_scalar(value: object) -> TypeGuard[str | int | float | bool]:
    return isinstance(value, str | int | float | bool)


def _statements(draft: Draft) -> tuple[ast.Statement, ...]:
    return draft.program.statements if isinstance(draft.program, ast.SyntaxTree) else ()


def _as_analytic(program: ir.Program, outcome: Resolution) -> RunTarget:
    """What another rule gets when it runs this one: the rows of all outputs together."""
    plans = tuple(output.plan for output in program.outputs)
    return RunTarget(plans[0] if len(plans) == 1 else ir.Union(plans), merged(outcome.shapes))


def _unbound(draft: Draft, name: str) -> Diagnostic:
    spans = [
        statement.span
        for statement in _statements(draft)
        if isinstance(statement, ast.InputStatement) and statement.name.text == name
    ]
    return Diagnostic(
        codes.UNBOUND_INPUT,
        f"the input {name} has no value",
        spans[0] if spans else draft.place,
        notes=(f"give it one: --input {name}=VALUE, or parameters={{{name!r}: …}} in code",),
    )


def _differences(draft: Draft, outcome: Resolution) -> list[Diagnostic]:
    """Data model references that the file states and the program does not read, or the reverse."""
    if draft.declared is None:
        return []
    stated, read = set(draft.declared), set(outcome.references)
    parts = []
    if extra := sorted(stated - read, key=str):
        parts.append("stated but not read: " + ", ".join(map(_shown, extra)))
    if missing := sorted(read - stated, key=str):
        parts.append("read but not stated: " + ", ".join(map(_shown, missing)))
    if not parts:
        return []
    return [
        Diagnostic(
            codes.REFERENCES_DIFFER,
            "the data model references are not those of the program",
            draft.place,
            notes=tuple(parts),
            origin=draft.path,
        )
    ]


def _shown(reference: Reference) -> str:
    return f"{reference.object}/{reference.action}/{reference.field}"
