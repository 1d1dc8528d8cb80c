"""From drafts, which loaders read, to rules.

``from_drafts`` resolves programs, follows ``run`` from rule to rule, and refuses cycles and ids
that come twice. A rule in a language of its own (Sigma's) comes with its program made; there is no
pseudocode to resolve.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeGuard

from attrs import evolve, field, frozen

from .. import ir, lenient
from ..diagnostics import Block, Diagnostic, Label, Span, codes, fault, has_errors, ordered
from ..resolve import Reference, Resolution, RunTarget, merged, resolve_program
from ..syntax import ast
from .inputs import InputValue, with_values
from .model import Example, Metadata, Parameters, Publication, Refused, Rule, RuleSet


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
