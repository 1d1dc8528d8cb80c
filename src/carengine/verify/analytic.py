"""An analytic with several implementations: whether they agree, and whether each finds what it should.

``verify`` takes a rule that CAR publishes, reads every implementation, runs each on the true positives that come with the analytic,
and compares each with each::

    report = verify(carengine.load_rule("CAR-2019-08-001.md"))
    report.implementations[1].title          'Splunk: Procdump - File Create'
    report.pairs[0].comparison.equivalent    False
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from attrs import field, frozen

from .. import foreign, ir
from ..diagnostics import Block, Diagnostic, codes
from ..engine import Engine
from ..rule import Example, Implementation, Rule
from ..rule.published import is_pseudocode
from .comparing import Comparison, compare

_MAX_PAIRS = 400


@frozen
class Candidate:
    """One implementation: its program in CAR's names, or None and the diagnostics that say why.

    ``language`` is empty for one that cannot be read. ``found`` says for each of the analytic's examples whether the
    implementation finds an event of it; None where it cannot be run.
    """

    title: str
    language: str
    program: ir.Program | None = field(repr=False)
    block: Block = field(repr=False)
    diagnostics: tuple[Diagnostic, ...] = ()
    found: tuple[bool | None, ...] = ()


@frozen
class Pair:
    """Two implementations, by their places, and how they compare."""

    first: int
    second: int
    comparison: Comparison


@frozen
class Report:
    """What verifying an analytic gave."""

    id: str
    title: str
    implementations: tuple[Candidate, ...]
    examples: tuple[Example, ...]
    pairs: tuple[Pair, ...]

    @property
    def equivalent(self) -> bool | None:
        """Whether all that can be compared find the same events; None where that is not known."""
        answers = {pair.comparison.equivalent for pair in self.pairs}
        if False in answers:
            return False
        read = [item for item in self.implementations if item.program is not None]
        unread = len(read) < len(self.implementations)
        return None if None in answers or unread or not self.pairs else True

    @property
    def misses(self) -> bool:
        """Whether an implementation does not find a true positive."""
        return any(False in item.found for item in self.implementations)


def verify(rule: Rule) -> Report:
    """An analytic's implementations held to its true positives and to each other.

    A rule without published implementations is one implementation, of itself.
    """
    return verify_all([rule])


def verify_all(rules: Iterable[Rule]) -> Report:
    """`verify` for the rules of one analytic: one for each of its blocks of pseudocode."""
    given = sorted(rules, key=lambda rule: rule.id)
    first = given[0]
    examples = tuple(item for item in first.examples if item.match)
    candidates = [_run(item, examples) for item in _candidates(given)]
    pairs = []
    numbered = [n for n, item in enumerate(candidates) if item.program is not None]
    for a, b in list(combinations(numbered, 2))[:_MAX_PAIRS]:
        one, other = candidates[a].program, candidates[b].program
        assert one is not None
        assert other is not None
        pairs.append(Pair(a, b, compare(one, other)))
    id_ = first.id if len(given) == 1 else first.id.rpartition(".")[0]
    return Report(id_, first.title, tuple(candidates), examples, tuple(pairs))


def _candidates(rules: list[Rule]) -> list[Candidate]:
    published = rules[0].publication.implementations
    pending = list(rules)
    made = []
    for item in published:
        if is_pseudocode(item.type) and pending:
            made.append(_own(pending.pop(0), item))
        elif item.code is not None:
            made.append(read_implementation(item))
    made = [_own(rule, None) for rule in pending] + made
    return made


def _own(rule: Rule, item: Implementation | None) -> Candidate:
    title = f"pseudocode: {item.name}" if item and item.name else "pseudocode"
    return Candidate(title, "pseudocode", rule.program, rule.block, rule.diagnostics)


def read_implementation(item: Implementation) -> Candidate:
    """A published implementation in another language, read and raised to CAR's names."""
    assert item.code is not None
    title = f"{item.type.strip()}: {item.name}" if item.name else item.type.strip()
    language = foreign.language_of(item.type)
    if language is None:
        message = f"{item.type or 'an implementation without a type'} is a language that is not read"
        nothing = Diagnostic(codes.FOREIGN_UNSUPPORTED, message, item.span or item.code.span(0, 0))
        return Candidate(title, "", None, item.code, (nothing,))
    reading = foreign.read(item.code, language)
    return Candidate(title, language, reading.program, item.code, reading.diagnostics)


def _run(candidate: Candidate, examples: tuple[Example, ...]) -> Candidate:
    from attrs import evolve

    if candidate.program is None:
        return evolve(candidate, found=tuple(None for _ in examples))
    reading = foreign.Reading(candidate.language, candidate.block, candidate.program, raised=True)
    rule = foreign.as_rule(reading, "implementation")
    found: list[bool | None] = []
    for example in examples:
        engine = Engine([rule], fieldmap=example.fieldmap)
        if engine.unsupported:
            found.append(None)
        else:
            found.append(next(engine.run(example.events), None) is not None)
    return evolve(candidate, found=tuple(found))
