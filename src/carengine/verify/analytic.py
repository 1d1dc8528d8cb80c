"""An analytic with several implementations: whether they agree, and whether each finds what it
should.

``load_analytics`` reads what CAR publishes, ``verify`` reads every implementation of one, runs each
on the true positives that come with the analytic, and compares each with each::

    [analytic] = load_analytics("CAR-2019-08-001.md")
    report = verify_analytic(analytic)
    report.implementations[1].title          'Splunk: Procdump - File Create'
    report.pairs[0].comparison.equivalent    False
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from attrs import evolve, field, frozen

from .. import ir
from ..diagnostics import (
    Block,
    CarError,
    Code,
    Diagnostic,
    Label,
    Source,
    codes,
    ordered,
    refuse_missing,
)
from ..engine import Engine
from ..fieldmap import FieldMap, find_maps, normalize
from ..filewrite import bounded_text
from ..languages.car import carfile, caryaml, page
from ..languages.car.published import is_pseudocode
from ..languages.reading import QueryReading, as_rule, language_of, raised, read
from ..loading.files import rule_files
from ..loading.formats import ENDINGS, ReadingOptions, format_of
from ..rule import Example, Implementation, Publication, Refused, Rule
from ..rule.drafts import Draft, from_drafts
from . import assumptions
from .comparing import Comparison, RuleDifference, ShownParts, compare, shared_event
from .kind_conditions import by_kind, keys_of, selection
from .logs import Logs, logs_of
from .native_names import same_in_own_names
from .sigma_links import link_in

_MAX_PAIRS = 400
_MAX_BYTES = 8_000_000
_STEPS = 4_000_000
_ENDINGS = (".md", ".yaml", ".yml", ".car")
_OF_CAR = ("car", "page", "analytic")


@frozen
class CarAnalytic:
    """What CAR publishes under one id: its rules, one for each block of pseudocode, and everything
    beside them."""

    id: str
    title: str
    rules: tuple[Rule | Refused, ...]
    publication: Publication = field(repr=False)
    examples: tuple[Example, ...] = field(default=(), repr=False)
    language: str = ""
    """The title of the rule format, where it is none of CAR's."""


@frozen
class Candidate:
    """One implementation: its program in CAR's names, or None and the diagnostics that say why.

    ``language`` is empty for one that cannot be read. ``found`` says for each of the analytic's
    examples whether the implementation finds an event of it; None where it cannot be run, or no log
    that it is about could hold the event. ``maps`` are the field maps of the logs that a query in
    another language is about. ``link`` is where an implementation without code is to be found, if
    it says so. ``own`` is a query as it was read under its own names.
    """

    title: str
    language: str
    program: ir.Program | None = field(repr=False)
    block: Block | None = field(repr=False)
    diagnostics: tuple[Diagnostic, ...] = ()
    found: tuple[bool | None, ...] = ()
    maps: tuple[FieldMap, ...] = field(default=(), repr=False)
    link: str = ""
    own: QueryReading | None = field(default=None, repr=False)


@frozen
class Pair:
    """Two implementations, by their places, and how they compare.

    Where they are not the same for all events, and one is about the logs of some field maps,
    ``on_logs`` compares them on what these logs can hold (both of them, where each has its own);
    ``logs`` names the maps.
    """

    first: int
    second: int
    comparison: Comparison
    logs: tuple[str, ...] = ()
    on_logs: Comparison | None = None

    @property
    def equivalent(self) -> bool | None:
        """Whether the two find the same events, of those logs at least; None where that is not
        known."""
        if self.on_logs is not None and self.on_logs.equivalent:
            return True
        return self.comparison.equivalent


@frozen
class Report:
    """What verifying an analytic gave."""

    analytic: CarAnalytic
    implementations: tuple[Candidate, ...]
    examples: tuple[Example, ...]
    pairs: tuple[Pair, ...]

    @property
    def equivalent(self) -> bool | None:
        """Whether all implementations find the same events (see `Pair`); None where that is not
        known."""
        answers = {pair.equivalent for pair in self.pairs}
        if False in answers:
            return False
        unread = any(item.program is None for item in self.implementations)
        return None if None in answers or unread or not self.pairs else True

    @property
    def misses(self) -> bool:
        """Whether an implementation does not find a true positive."""
        return any(False in item.found for item in self.implementations)


def load_analytics(*paths: str | Path) -> tuple[CarAnalytic, ...]:
    """The analytics in files and folders: CAR's YAML and Markdown, and rule files. Raises
    `CarError` for what cannot be read, and `PathNotFoundError` where there is no such path.

    >>> import carengine
    >>> [analytic] = load_analytics(carengine.shipped_rules() / "CAR-2019-08-001.car")
    >>> analytic.id
    'CAR-2019-08-001'
    """
    refuse_missing(paths, codes.UNREADABLE_RULE)
    drafts: list[Draft] = []
    languages: dict[str, str] = {}
    found: list[Diagnostic] = []
    for path in map(Path, paths):
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if path.is_dir() and file.suffix not in _ENDINGS:
                continue
            if (own := _rule_drafts(file)) is not None:
                languages.update((draft.id, own[0]) for draft in own[1])
                drafts += own[1]
            else:
                drafts += _drafts(file, found)
    if found:
        raise CarError(found)
    rules = from_drafts(drafts)
    made: dict[str, list[Rule | Refused]] = {}
    found_rules: tuple[Rule | Refused, ...] = (*rules.rules, *rules.refused)
    for item in found_rules:
        made.setdefault(_base(item.id), []).append(item)
    first: dict[str, Draft] = {}
    for draft in drafts:
        first.setdefault(_base(draft.id), draft)
    return tuple(
        CarAnalytic(
            id_,
            first[id_].metadata.title,
            tuple(sorted(items, key=lambda item: item.id)),
            first[id_].publication,
            first[id_].examples,
            languages.get(id_, ""),
        )
        for id_, items in sorted(made.items())
    )


def _base(id_: str) -> str:
    """The id of the analytic that a rule is one of several of."""
    found = re.fullmatch(r"(CAR-\d{4}-\d{2}-\d{3})\.\d+", id_)
    return found[1] if found else id_


def _rule_drafts(path: Path) -> tuple[str, list[Draft]] | None:
    """The title of the rule format of a file that is none of CAR's, and its rules; None for one
    that is, or that cannot be read."""
    if path.suffix.lower() in (".md", ".car"):
        return None
    said: list[Diagnostic] = []
    files = list(rule_files(path, ENDINGS, said)) if path.is_file() else []
    if said or len(files) != 1:
        return None
    row = format_of(files[0], named=True)
    if row is None or row.name in _OF_CAR:
        return None
    return row.title, row.read(files, ReadingOptions())[0]


def _drafts(path: Path, found: list[Diagnostic]) -> list[Draft]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
        text = bounded_text(path, "utf-8-sig")
    except (OSError, ValueError) as error:
        message = f"the file cannot be read: {error}"
        found.append(Diagnostic(codes.UNREADABLE_RULE, message, origin=str(path)))
        return []
    source = Source(str(path), text)
    if path.suffix == ".md":
        return list(page.read(source))
    if path.suffix in (".yaml", ".yml"):
        return list(caryaml.read(source, folder=path.parent)) if caryaml.is_analytic(text) else []
    return list(carfile.read(source, folder=path.parent))


def verify_analytic(analytic: CarAnalytic) -> Report:
    """An analytic's implementations held to its true positives and to each other.

    >>> import carengine
    >>> [analytic] = load_analytics(carengine.shipped_rules() / "CAR-2019-08-001.car")
    >>> len(verify_analytic(analytic).implementations)
    1
    """
    candidates = run_all(analytic)
    pairs = []
    numbered = [n for n, item in enumerate(candidates) if item.program is not None]
    same: dict[int, int] = {}
    on_logs: set[tuple[int, int]] = set()
    for a, b in list(combinations(numbered, 2))[:_MAX_PAIRS]:
        if same.setdefault(a, a) == same.get(b):
            # Two that are the same as a third are the same.
            taken = (f"both are proved to be the same as a third, number {same[a] + 1}",)
            pairs.append(Pair(a, b, Comparison(True, assumptions=taken)))
            continue
        # The third must be about all logs: what two find alike of one's logs says nothing of
        # another's.
        known = any(
            {(other, a), (other, b)} <= on_logs for other in numbered if not candidates[other].maps
        )
        pairs.append(compared(a, b, candidates, known=known))
        if pairs[-1].comparison.equivalent:
            same[b] = same[a]
        if pairs[-1].equivalent:
            on_logs.add((a, b))
    return Report(analytic, tuple(candidates), positive(analytic), tuple(pairs))


def compared(
    first: int,
    second: int,
    candidates: Sequence[Candidate],
    most: int | None = None,
    *,
    known: bool = False,
) -> Pair:
    """Two implementations that were read, compared; ``most`` as `compare` has it.

    ``known`` tells that they are the same on their logs, as both are the same as a third.
    """
    one, other = candidates[first], candidates[second]
    assert one.program is not None
    assert other.program is not None
    several = [logs_of(item.maps) for item in (one, other) if item.maps]
    taken, lost = _taken(one, other), _lost(one, other)
    if lost:
        return Pair(first, second, Comparison(True, lost=lost, assumptions=taken))
    whole = _with_taken(_loosely(one, other, most, None), taken)
    if whole.equivalent or not several:
        return Pair(first, second, whole)
    logs = several[0].common(several[-1])
    taken = (*taken, assumptions.on_logs(logs.names))
    if shared_event(one.program, other.program, _STEPS, logs) is None and _single(one, other):
        # Where both find nothing that these logs can hold, they agree on nothing.
        empty = f"no event was found that both find on logs of {', '.join(logs.names)}"
        return Pair(first, second, whole, logs.names, Comparison(True, lost=(empty,)))
    if known:
        return Pair(first, second, whole, logs.names, Comparison(True, assumptions=taken))
    on_logs = _with_taken(_loosely(one, other, most, logs), taken)
    if not on_logs.equivalent and on_logs.shown and _same_in_own_names(one, other):
        on_logs = Comparison(True, assumptions=(*taken, assumptions.SPELLING))
    return Pair(first, second, whole, logs.names, on_logs)


def _single(one: Candidate, other: Candidate) -> bool:
    """Whether single events decide what both find."""
    return all(
        item.program is not None and by_kind(item.program) is not None for item in (one, other)
    )


def _loosely(one: Candidate, other: Candidate, most: int | None, logs: Logs | None) -> Comparison:
    """Two implementations compared, where events without the keys that groups only show them by
    are taken not to be."""
    assert one.program is not None
    assert other.program is not None
    first, second = one.program, other.program
    together = len(first.outputs) != len(second.outputs)
    same_language = one.language == other.language
    made = compare(
        first,
        second,
        most=most,
        logs=logs,
        together=together,
        keyed=False,
        shown=ShownParts.ALL if same_language else ShownParts.COMPUTED,
    )
    taken = []
    if together:
        taken.append(assumptions.OUTPUTS)
    keys = (*keys_of(first), *keys_of(second))
    if keys and set(keys_of(first)) != set(keys_of(second)):
        taken.append(assumptions.keyed(tuple(dict.fromkeys(keys))))
    return _with_taken(made, tuple(taken))


def _with_taken(made: Comparison, taken: tuple[str, ...]) -> Comparison:
    return evolve(made, assumptions=tuple(dict.fromkeys((*made.assumptions, *taken))))


# A name that is missing, events that no map gives: what is left is another query.
_LOSING = (codes.NATIVE_ABSENT, codes.NATIVE_KIND)
_TAKEN = (codes.NATIVE_WIDER, codes.FOREIGN_NEAR, codes.DATA_SOURCE)


def _said(of: tuple[Candidate, ...], wanted: tuple[Code, ...]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            f"{item.title}: {said.message} ({said.code.id})"
            for item in of
            for said in item.diagnostics
            if said.code in wanted
        )
    )


def _lost(*of: Candidate) -> tuple[str, ...]:
    """What of implementations is not in the programs that they were read as."""
    return _said(of, _LOSING)


def _taken(*of: Candidate) -> tuple[str, ...]:
    """What reading implementations takes for granted."""
    return _said(of, _TAKEN)


def _same_in_own_names(one: Candidate, other: Candidate) -> bool:
    """Whether it is proved that a program in CAR's names and a query find the same of the query's
    logs."""
    if one.maps:
        one, other = other, one
    if one.maps or one.program is None or other.own is None:
        return False
    return same_in_own_names(one.program, other.own, other.maps, _STEPS)


def findings(report: Report) -> tuple[Diagnostic, ...]:
    """What verifying found, as diagnostics: true positives that are missed, and implementations
    that differ."""
    found: list[Diagnostic] = []
    for item in report.implementations:
        place = None if item.block is None else item.block.span(0, len(item.block.text))
        for example, seen in zip(report.examples, item.found, strict=True):
            if seen is False:
                message = f"{item.title} does not find {example.name}"
                found.append(Diagnostic(codes.MISSES_POSITIVE, message, place))
    for pair in report.pairs:
        one, other = report.implementations[pair.first], report.implementations[pair.second]
        comparison = pair.comparison
        if pair.equivalent:
            continue
        if comparison.equivalent is None:
            message = f"{one.title} and {other.title} were not compared to the end"
            found.append(Diagnostic(codes.NOT_COMPARED, message, origin=report.analytic.id))
        for finder, misser, direction in (
            (one, other, comparison.only_first),
            (other, one, comparison.only_second),
        ):
            found += [_finding(finder, misser, item) for item in direction.differences]
    return ordered(found)


def _finding(finder: Candidate, misser: Candidate, item: RuleDifference) -> Diagnostic:
    event = json.dumps(dict(item.event), ensure_ascii=False)
    message = f"{finder.title} finds an event that {misser.title} does not: {event}"
    notes = []
    if item.among:
        events = json.dumps([dict(event) for event in item.among], ensure_ascii=False)
        notes.append(f"among {events}")
    elif item.condition is None:
        notes.append(f"{misser.title} does not look at {', '.join(map(str, item.kinds))}")
    labels = () if item.found_by is None else (Label(item.found_by, "found by this"),)
    span = item.span or item.found_by
    if span is None and misser.block is not None:
        span = misser.block.span(0, len(misser.block.text))
    return Diagnostic(codes.NOT_EQUIVALENT, message, span, labels=labels, notes=tuple(notes))


def run_all(analytic: CarAnalytic) -> list[Candidate]:
    """All implementations of an analytic, each run on the true positives."""
    examples = positive(analytic)
    return [run_one(item, examples) for item in implementations(analytic)]


def positive(analytic: CarAnalytic) -> tuple[Example, ...]:
    """The true positives of an analytic."""
    return tuple(item for item in analytic.examples if item.match)


def implementations(analytic: CarAnalytic) -> list[Candidate]:
    """All implementations of an analytic as they were read, in the order in which they stand."""
    pending = list(analytic.rules)
    if analytic.language:
        return [_own(rule, "", analytic.language) for rule in pending]
    made: list[Candidate] = []
    for item in analytic.publication.implementations:
        if is_pseudocode(item.type):
            if pending and item.code is not None:
                made.append(_own(pending.pop(0), item.name))
        else:
            made.append(read_implementation(item))
    if not analytic.publication.implementations:
        made = [_own(rule, "") for rule in pending]
    return made


def _own(rule: Rule | Refused, name: str, language: str = "Pseudocode") -> Candidate:
    title = f"{language}: {name}" if name else language
    match rule:
        case Rule():
            return Candidate(title, language.lower(), rule.program, rule.block, rule.diagnostics)
        case Refused():
            return Candidate(title, language.lower(), None, None, rule.diagnostics)


def read_implementation(item: Implementation) -> Candidate:
    """A published implementation in another language, read and raised to CAR's names."""
    title = f"{item.type.strip()}: {item.name}" if item.name else item.type.strip()
    if item.code is None:
        link = link_in(item.description)
        message = "the implementation has no code"
        if link:
            message += f", only a link to {link.rpartition('/')[2]}"
        nothing = Diagnostic(codes.FOREIGN_SYNTAX, message, item.span)
        return Candidate(title, "", None, None, (nothing,), link=link)
    language = language_of(item.type)
    if language is None:
        shown = item.type.strip() or "the language of an implementation without a type"
        nothing = Diagnostic(codes.FOREIGN_UNSUPPORTED, f"{shown} is not read", item.span)
        return Candidate(title, "", None, item.code, (nothing,))
    return read_code(title, item.code, language)


def read_code(title: str, code: Block, language: str) -> Candidate:
    """A query in a language as an implementation."""
    own = read(code, language, raise_names=False)
    reading = raised(own)
    said, maps = reading.diagnostics, reading.maps
    return Candidate(title, language, reading.program, code, said, maps=maps, own=own)


def run_one(candidate: Candidate, examples: tuple[Example, ...]) -> Candidate:
    """An implementation with what it finds of the examples."""
    if candidate.program is None or candidate.block is None:
        return evolve(candidate, found=tuple(None for _ in examples))
    # What an analytic finds is its events; how it counts them at the end makes no difference to
    # that.
    outputs = tuple(evolve(o, plan=selection(o.plan)) for o in candidate.program.outputs)
    program = evolve(candidate.program, outputs=outputs)
    reading = QueryReading(candidate.language, candidate.block, program, raised=True)
    rule = as_rule(reading, "implementation")
    logs = logs_of(candidate.maps) if candidate.maps else None
    found: list[bool | None] = []
    for example in examples:
        engine = Engine([rule], fieldmap=example.fieldmap)
        seen: bool | None = next(engine.run(example.events), None) is not None
        if not seen and logs is not None:
            maps = find_maps(example.fieldmap)
            views = [view for event in example.events for view in normalize(event, maps)]
            seen = False if any(map(logs.holds, views)) else None
        found.append(seen)
    return evolve(candidate, found=tuple(found))
