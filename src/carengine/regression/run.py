"""Running cases: each log is read once, through a session for each case that names it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from itertools import groupby

from attrs import frozen

from ..diagnostics import CarError, Diagnostic, Fix, Severity, codes, counted, fault
from ..engine import Engine, Match, Session
from ..engine.report import maps_of_examples, rule_statuses
from ..readers import Reading, read_events
from ..rule import Rule
from .cases import BrokenCase, RegressionCase, cases, wanted_members

_GLOB = "*?["


class CaseOutcome(enum.Enum):
    """How a case came out. ``NOT_READABLE``: its log, or what says what to run, cannot be used.

    >>> CaseOutcome.NOT_READABLE.value
    'not readable'
    """

    PASSED = "passed"
    FAILED = "failed"
    NOT_READABLE = "not readable"


@frozen
class CaseResult:
    """How a case came out. ``path`` is the log; ``least`` the matches that were wanted, 0 for none.

    ``findings`` say what went wrong; a case that has passed may have notes.
    """

    rule: Rule
    name: str
    path: str
    outcome: CaseOutcome
    matches: int = 0
    least: int = 1
    events: int = 0
    findings: tuple[Diagnostic, ...] = ()


def run_regression(rules: Iterable[Rule]) -> Iterator[CaseResult]:
    """The outcome of every case of regression data that rules name, or that lies beside them.

    Nothing is raised for data that cannot be read: that is an outcome.

    >>> import carengine
    >>> rules = carengine.load_rules(carengine.shipped_rules())
    >>> list(run_regression(rules))
    []
    """
    waiting: dict[str, list[RegressionCase]] = {}
    engines = _Engines()
    for case in cases(rules):
        if isinstance(case, BrokenCase):
            yield CaseResult(
                case.rule,
                case.name,
                case.path,
                CaseOutcome.NOT_READABLE,
                findings=(case.finding,),
            )
        else:
            waiting.setdefault(case.path, []).append(case)
            engines.expect(case)
    archives: dict[str, dict[str, list[RegressionCase]]] = {}
    for path, several in waiting.items():
        archive, inside, _ = path.partition("!")
        if inside:
            archives.setdefault(archive, {})[path] = several
        else:
            yield from _of_reading(read_events(path, must_exist=False), {path: several}, engines)
    for archive, inner in archives.items():
        include = [_literally(name) for name in wanted_members(inner, archive)]
        reading = read_events(archive, include=include, must_exist=False)
        yield from _of_reading(reading, inner, engines)


def _literally(name: str) -> str:
    return "".join(f"[{c}]" if c in _GLOB else c for c in name)


def _of_reading(
    reading: Reading, waiting: dict[str, list[RegressionCase]], engines: _Engines
) -> Iterator[CaseResult]:
    """Run the cases of the files that a reading gives, and tell of those that it does not give."""
    seen: set[str] = set()
    for source, records in groupby(reading, key=lambda record: record.source):
        path = _path_of(source, waiting)
        if path is None or path in seen:
            continue
        seen.add(path)
        running = [_Running(case, engines) for case in waiting[path]]
        for record in records:
            for one in running:
                one.feed(record.event)
        lost = _lost(reading, source)
        for one in running:
            yield one.result(lost)
    for path in waiting.keys() - seen:
        found = _lost(reading, path) or (
            Diagnostic(codes.REGRESSION_DATA, "the file is not there, or has no events in it"),
        )
        for case in waiting[path]:
            at = tuple(item if item.span else _placed(item, case) for item in found)
            yield CaseResult(
                case.rule, case.name, path, CaseOutcome.NOT_READABLE, 0, case.least, 0, at
            )


def _placed(item: Diagnostic, case: RegressionCase) -> Diagnostic:
    return Diagnostic(
        codes.REGRESSION_DATA, item.message, case.span, notes=item.notes, origin=item.origin
    )


def _path_of(source: str, waiting: dict[str, list[RegressionCase]]) -> str | None:
    """The path of a case that the source of a record is, or is packed in."""
    if source in waiting:
        return source
    return next((path for path in waiting if source.startswith(path + "!")), None)


def _lost(reading: Reading, source: str) -> tuple[Diagnostic, ...]:
    return tuple(
        item
        for item in reading.diagnostics
        if item.severity is not Severity.NOTE
        and (item.origin.startswith(source) or source.startswith(item.origin + "!"))
    )


class _Engines:
    """An engine for each case: one for all rules whose events any field map may recognise, so that
    field maps are compiled once. Where that engine cannot be made, each rule has its own."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}
        self._shared: Engine | None = None
        self._tried = False

    def expect(self, case: RegressionCase) -> None:
        """Say beforehand that a case will be run."""
        if not case.native:
            self._rules.setdefault(case.rule.id, case.rule)

    def of(self, case: RegressionCase) -> Engine:
        """The engine for a case. Raises what the compiling of its rule raises."""
        if case.native:
            return Engine([case.rule], maps_of_examples(case.rule))
        if not self._tried:
            self._tried = True
            try:
                self._shared = Engine(tuple(self._rules.values()), "auto")
            except Exception:
                # Some rule breaks it; alone, each says so itself.
                self._shared = None
        return self._shared or Engine([case.rule], "auto")


class _Running:
    """A case while its log is read.

    Events of JSON have Sigma's names for fields. Where a field map knows their shape they are read
    as that log; the others are events of the rule's own log source.
    """

    def __init__(self, case: RegressionCase, engines: _Engines) -> None:
        self.case = case
        self.matches = 0
        self.broken: Diagnostic | None = None
        self.engine: Engine | None = None
        self.session: Session | None = None
        if case.filters:
            self._breaks(f"it asks for the filters {', '.join(case.filters)}: load them as rules")
            return
        if case.pipelines:
            self._breaks(
                f"it asks for the pipelines {', '.join(case.pipelines)}: run the rule with "
                "`carengine hunt -m PIPELINE`"
            )
            return
        try:
            self.engine = engines.of(case)
            self.session = self.engine.session()
        except CarError as error:
            self._breaks(error.diagnostics[0].message)
        except Exception as error:
            self.broken = fault(f"the compiling of {case.rule.id}", error, case.span)

    def _breaks(self, reason: str) -> None:
        message = f"{self.case.name} of {self.case.rule.title} cannot be run: {reason}"
        self.broken = Diagnostic(
            codes.REGRESSION_DATA, message, self.case.span, origin=self.case.rule.path
        )

    def feed(self, event: dict[str, object]) -> None:
        if self.session is None or self.broken is not None:
            return
        try:
            self._count(self.session.feed(event))
        except Exception as error:
            self.broken = fault(f"{self.case.name} of {self.case.rule.id}", error, self.case.span)

    def _count(self, found: Iterable[Match]) -> None:
        self.matches += sum(match.rule.id == self.case.rule.id for match in found)

    def result(self, lost: tuple[Diagnostic, ...]) -> CaseResult:
        case = self.case
        if self.broken is not None or self.session is None or self.engine is None:
            found = () if self.broken is None else (self.broken,)
            outcome = CaseOutcome.NOT_READABLE
            return CaseResult(case.rule, case.name, case.path, outcome, 0, case.least, 0, found)
        self._count(self.session.flush())
        stats = self.session.stats
        good = self.matches >= case.least if case.least else not self.matches
        said: list[Diagnostic] = list(lost)
        if not good:
            said.insert(0, self._failure(self.engine, self.session))
        outcome = CaseOutcome.PASSED if good else CaseOutcome.FAILED
        if not good and not stats.events:
            outcome = CaseOutcome.NOT_READABLE
        return CaseResult(
            case.rule,
            case.name,
            case.path,
            outcome,
            self.matches,
            case.least,
            stats.events,
            tuple(said),
        )

    def _failure(self, engine: Engine, session: Session) -> Diagnostic:
        case, stats = self.case, session.stats
        wanted = (
            f"should match {counted(case.least, 'time')} and matches {self.matches:,}"
            if case.least
            else f"should not match and matches {counted(self.matches, 'time')}"
        )
        notes = []
        if case.least:
            notes = [
                status.reason
                for status in rule_statuses(engine, stats)
                if status.reason and status.rule.id == case.rule.id
            ]
        if stats.unrecognised:
            notes.append(
                f"no field map recognises {stats.unrecognised:,} of "
                f"{counted(stats.events, 'event')} in it"
            )
        return Diagnostic(
            codes.EXAMPLE_FAILED,
            f"{case.rule.title} {wanted} in {case.path}",
            case.span,
            notes=tuple(notes),
            fix=Fix("`carengine explain` shows which condition decides"),
            origin=case.rule.path,
        )
