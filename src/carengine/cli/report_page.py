"""Writing a report while `hunt` or `report` runs: the options, the file, the second reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import BinaryIO

from .. import __version__
from ..diagnostics import counted
from ..engine import Engine, Match
from ..engine.report import RuleStatus, UnrecognisedShapes
from ..readers import Reading
from ..report import ProcessStore, ReportDocument, RunNotes, collect_processes, summary_of
from ..rule import RuleSet
from ..runner import WorkerError
from . import UsageError
from .options import EvidenceSettings, ReportSettings
from .screen import Screen
from .tuning import Tuned


class ReportFile:
    """A report in the making."""

    def __init__(
        self, settings: ReportSettings, evidence: EvidenceSettings, engine: Engine, jobs: int
    ) -> None:
        self._settings = settings
        self._evidence = evidence
        self._jobs = jobs
        self._title = settings.title or _title(evidence.paths)
        self._maps = engine.maps
        self._remarks: list[str] = []
        self._processes: ProcessStore | None = None
        if not settings.processes:
            self._remarks.append("It has no trees of processes: --no-process-trees was given.")
        elif "-" in evidence.paths:
            self._remarks.append(
                "It has no trees of processes: they need a second reading, and standard input is"
                " read once."
            )
        try:
            self._target: BinaryIO = open(settings.path, "wb")  # noqa: SIM115
        except OSError as error:
            raise UsageError(f"carengine: cannot write {settings.path}: {error.strerror}") from None
        if not self._remarks:
            self._processes = ProcessStore()
        self._document = ReportDocument(self._target, engine, self._title, self._processes)

    def add(self, match: Match) -> None:
        """Take one match."""
        self._document.add(match)

    def finish(
        self,
        rules: RuleSet,
        statuses: Sequence[RuleStatus],
        tuned: Tuned,
        reading: Reading,
        unrecognised: UnrecognisedShapes,
        left_out: Counter[str],
        stopped: str,
        screen: Screen,
    ) -> None:
        """Read the evidence for processes, write everything else, and close the file."""
        store = self._processes
        try:
            if stopped:
                text = f"The run was {stopped}: it holds what was found until then."
                self._remarks.insert(0, text)
            elif store is not None and store.wanted:
                self._collect(store, screen)
            parts = () if store is None or not store.wanted else store.around()
            # Which processes belong to matches is known once the first part was asked for.
            parts = iter(parts)
            first = next(parts, None)
            if store is not None and store.cut:
                self._remarks.append(
                    "More processes belong to matches than it holds; some trees are not whole."
                )
            notes = RunNotes(
                version=__version__,
                written=datetime.now(UTC),
                title=self._title,
                evidence=self._evidence.paths,
                account=_account(rules, statuses, tuned, reading),
                statuses=statuses,
                stats=tuned.session.stats,
                unrecognised=unrecognised,
                findings=(*reading.diagnostics, *tuned.session.diagnostics),
                refused=rules.refused,
                left_out=left_out,
                shown=tuned.shown,
                remarks=self._remarks,
            )
            self._document.finish(
                summary_of(notes), chain(() if first is None else (first,), parts)
            )
            size = self._target.tell() if self._target.seekable() else 0
        finally:
            self._target.close()
            if store is not None:
                store.close()
        number = counted(self._document.matches, "match", "matches")
        screen.say(f"report: {self._settings.path}: {number}, {size:,} bytes")

    def _collect(self, store: ProcessStore, screen: Screen) -> None:
        evidence = self._evidence
        screen.say("reading the evidence again for the processes around the matches")
        try:
            collect_processes(
                store,
                self._maps,
                evidence.paths,
                jobs=self._jobs,
                password=evidence.password,
                include=evidence.include,
                exclude=evidence.exclude,
            )
        except KeyboardInterrupt:
            self._remarks.append("Reading for processes was interrupted; trees are not whole.")
        except WorkerError as error:
            screen.report(error.diagnostics)
            self._remarks.append("Reading for processes was stopped by a fault.")


def _title(paths: Sequence[str]) -> str:
    named = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return f"Matches in {named}"


def _account(
    rules: RuleSet, statuses: Sequence[RuleStatus], tuned: Tuned, reading: Reading
) -> list[str]:
    """What went in and what became of it, in sentences."""
    stats = tuned.session.stats
    read = stats.events + tuned.outside + reading.unreadable
    stuck = sum(not one.outcome.runnable for one in statuses)
    matched = sum(1 for number in tuned.shown.values() if number)
    told = [
        f"{counted(read, 'record')} read: {stats.shaped:,} recognised, {stats.unrecognised:,} not "
        f"recognised, {reading.unreadable:,} unreadable"
        + (f", {tuned.outside:,} outside the time asked for" if tuned.outside else ""),
        f"{counted(len(rules), 'rule')} loaded, {len(rules.refused):,} refused",
        f"{counted(len(statuses), 'rule')} run: {matched:,} matched, "
        f"{len(statuses) - matched - stuck:,} did not, {stuck:,} cannot run on this data",
        f"{counted(tuned.shown.total(), 'match', 'matches')}",
    ]
    if merged := tuned.session.merged:
        told.append(f"{counted(merged, 'record')} taken for one with what another sensor told")
    return told + tuned.parts()
