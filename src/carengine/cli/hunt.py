"""``carengine hunt``: rules over events.

The results go out as they are found (JSON lines) or when all is read (the table, which groups by
rule; CSV, in the order of time). What became of every rule and every record is said on standard
error, at its end in numbers that add up.
"""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter
from contextlib import nullcontext
from typing import BinaryIO

from attrs import evolve, frozen

from .. import gc_control
from ..diagnostics import counted
from ..engine import Engine, Match, SessionStats, StreamOptions, native_version
from ..engine.report import FieldCoverage, RuleStatus, rule_statuses
from ..filewrite import opened_to_write, replacing
from ..matches import MatchReporter
from ..readers import Reading
from ..rule import RuleSet
from ..runner import Run, WorkerError
from ..tuning import Tuning
from . import UsageError, status
from .encode import json_document
from .evidence import input_status, progress, report_input, rules_loading, same_place
from .options import (
    EvidenceSettings,
    FollowSettings,
    MapNames,
    OutputSettings,
    ReportSettings,
    RuleSettings,
    TuningSettings,
    add_engine_option,
    add_events_argument,
    add_input_option,
    add_map_option,
    add_output_options,
    add_report_content_options,
    add_rules_option,
    add_stream_options,
    add_tuning_options,
    engine_file,
    evidence_settings,
    map_names,
    output_settings,
    rule_settings,
    stream_options,
    tuning_settings,
)
from .profile import Unwritten, add_profile_option, profile_form, show_profile
from .results import Writer, writer_for
from .rule_report import report_rules
from .rules import engine_of, load_with_maps, report_refused
from .run_summary import matches_line, say_where_and_when
from .screen import Screen
from .tuning import Tuned, tuning_of

_EXAMPLES = """\
examples:
  carengine hunt logs/                          the shipped rules over everything in a folder
  carengine hunt evidence.zip -r my-rules/      one's own rules, over an archive
  zcat x.json.gz | carengine hunt - -f jsonl    from standard input, a JSON line for each match
  carengine hunt logs/ -f csv -o hits.csv       a table for a spreadsheet
  carengine hunt logs/ --level high --fail-on-match    for a script: status 1 when something matched
  carengine hunt logs/ -r rule.car --why        why a rule did not match
  carengine hunt logs/ --engine mine.engine     thousands of rules, put together by `carengine compile` before
  carengine hunt logs/ --exclude known.yaml --suppress 'rule, hostname for 1 hour'
  carengine hunt logs/ --jobs auto              on all cores
  carengine hunt logs/ --profile                which rules cost most
  carengine hunt app.jsonl --follow --state hunt.state -o hits.jsonl    watch a log that grows
  carengine hunt app.jsonl --follow --finish --state hunt.state -o hits.jsonl    what has come since

CSV: text that a spreadsheet would take for a formula has an apostrophe put before it.

exit status: 0 done, 1 something matched (with --fail-on-match), 2 a rule was refused (the others ran) or the
command is not right, 3 evidence could not be read (the rest was), 4 the run was blind: no event was recognised, or
more than half of the rules cannot run on this data, 70 a fault or a lost process, 130 interrupted.
Of several, 130 comes first, then 70, 2, 3, 4, 1.
"""
_PLACES = 2


@frozen
class HuntSettings:
    """What ``hunt`` was asked for.

    ``engine`` is the file of a compiled engine, ``follow`` is there where files are watched,
    ``account`` is the file that the account is written to. ``jobs`` is the number of processes (0:
    one for each core). ``written`` tells whether matches are written at all, beside a report.
    """

    evidence: EvidenceSettings
    rules: RuleSettings
    maps: MapNames
    engine: str | None
    output: OutputSettings
    tuning: TuningSettings
    streams: StreamOptions
    follow: FollowSettings | None = None
    reload: bool = False
    jobs: int = 1
    profile: bool = False
    check_native: bool = False
    account: str | None = None
    fail_on_match: bool = False
    why: bool = False
    quiet: bool = False
    report: ReportSettings | None = None
    written: bool = True


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``hunt`` takes."""
    parser.epilog = _EXAMPLES
    add_events_argument(parser)
    add_rules_option(parser)
    add_map_option(parser)
    add_engine_option(parser)
    add_output_options(parser)
    add_input_option(parser)
    parser.add_argument(
        "--report", metavar="FILE", help="write a page to hand on, too (see `carengine report`)"
    )
    add_report_content_options(parser)
    add_tuning_options(parser)
    parser.add_argument(
        "--fail-on-match", action="store_true", help="exit with 1 when something matched"
    )
    parser.add_argument(
        "--account",
        metavar="FILE",
        help="write what became of all rules and records, and what each rule needed, as JSON",
    )
    add_stream_options(parser)
    parser.add_argument(
        "--follow",
        action="store_true",
        help="keep watching files that grow or are rotated, until interrupted (JSON lines only)",
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        help="with --follow: save the run here as it goes, and go on from here when it is there",
    )
    parser.add_argument(
        "--finish",
        action="store_true",
        help="with --follow: read what is there by now, take it for the end of the data, and stop",
    )
    parser.add_argument(
        "--reload",
        action="store_true",
        help="with --follow: take up the rules of -r when they are edited; windows of rules that "
        "mean the same go on, and while a rule cannot be used, the rules before go on",
    )
    add_jobs_option(parser)
    add_profile_option(parser)
    parser.add_argument(
        "--check-native",
        action="store_true",
        help="let Python look at every line that the native core passes, and name those where the "
        "two differ (slow; one process)",
    )
    parser.add_argument(
        "-w", "--why", action="store_true", help="say of every rule without a match why"
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="say errors and the closing account only"
    )


def add_jobs_option(parser: argparse.ArgumentParser) -> None:
    """``--jobs N``."""
    parser.add_argument(
        "-j",
        "--jobs",
        type=_jobs,
        default=1,
        metavar="N",
        help="share the work between N processes (auto: one for each core); the results are the "
        "same",
    )


def _jobs(text: str) -> int:
    """A number of processes; 0 for as many as there are cores."""
    if text == "auto":
        return 0
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise argparse.ArgumentTypeError(f"a number of processes or auto, not {text}")
    return int(text)


def settings(values: argparse.Namespace) -> HuntSettings:
    """What the command line asks for. Raises `UsageError`."""
    settings = HuntSettings(
        evidence_settings(values),
        rule_settings(values),
        map_names(values),
        engine_file(values),
        output_settings(values),
        tuning_settings(values),
        stream_options(values, follow=values.follow),
        jobs=values.jobs,
        profile=values.profile,
        check_native=values.check_native,
        reload=values.reload,
        account=values.account,
        fail_on_match=values.fail_on_match,
        why=values.why,
        quiet=values.quiet,
        report=_report_settings(values.report, values.title, values.no_process_trees),
    )
    state = values.state
    refuse_overwriting(settings, state)
    if values.follow:
        _refuse_what_is_for_finished_evidence(settings)
        if settings.reload and not settings.rules.paths:
            raise UsageError("carengine hunt: --reload is for rules that -r names")
        paths, output = settings.evidence.paths, settings.output
        follow = FollowSettings(paths, output, state, values.finish, settings.quiet)
        return evolve(settings, follow=follow)
    if state is not None or values.finish or values.reload:
        name = "--reload" if values.reload else "--finish" if state is None else "--state"
        raise UsageError(f"carengine hunt: {name} is for --follow")
    _refuse_check(settings)
    if settings.profile and settings.output.path is None and settings.output.format == "csv":
        raise UsageError("carengine hunt: a profile is a table or JSON lines; CSV is for -o FILE")
    return settings


def _refuse_check(settings: HuntSettings) -> None:
    """Raise `UsageError` where the native core cannot be checked."""
    if not settings.check_native:
        return
    if native_version() is None:
        raise UsageError(
            "carengine hunt: --check-native needs the native core, which is not installed"
        )
    if settings.jobs != 1 or settings.profile:
        raise UsageError("carengine hunt: --check-native is for one process, without --profile")


def _report_settings(path: str | None, title: str, no_process_trees: bool) -> ReportSettings | None:
    """The report that is to be written beside the matches, if any. Raises `UsageError`."""
    if path is None:
        if title or no_process_trees:
            name = "--title" if title else "--no-process-trees"
            raise UsageError(f"carengine hunt: {name} is for --report")
        return None
    return ReportSettings(path, title, not no_process_trees)


def refuse_overwriting(settings: HuntSettings, state: str | None) -> None:
    """Raise `UsageError` where a file to be written is among what is read, or where two of them are
    one."""
    output, account = settings.output.path, settings.account
    report = None if settings.report is None else settings.report.path
    read = [
        *settings.evidence.paths,
        *settings.rules.paths,
        *settings.tuning.exclusions,
        *([] if settings.engine is None else [settings.engine]),
    ]
    for option, path in (
        ("-o", output),
        ("--account", account),
        ("--report", report),
        ("--state", state),
    ):
        clash = path and same_place(path, read)
        if clash:
            raise UsageError(f"carengine hunt: {option} {path} would write into {clash}")
    states = [] if state is None else [state, *_beside(state)]
    written: dict[str, str] = {}
    for option, paths in (
        ("-o", [output]),
        ("--account", [account]),
        ("--report", [report]),
        ("--state", states),
    ):
        for path in paths:
            if path is None or (os.path.exists(path) and not os.path.isfile(path)):
                continue
            other = written.setdefault(os.path.realpath(path), option)
            if other != option:
                raise UsageError(f"carengine hunt: {other} and {option} would both write {path}")


def _beside(state: str) -> tuple[str, str]:
    from .follow import beside

    return beside(state)


def _refuse_what_is_for_finished_evidence(settings: HuntSettings) -> None:
    """Raise `UsageError` for what cannot be, or would do nothing, while files are followed."""
    evidence = settings.evidence
    for name, value in (
        ("--account", settings.account),
        ("--report", settings.report),
        ("--why", settings.why),
        ("--fail-on-match", settings.fail_on_match),
        ("--password", evidence.password),
        ("--include-files", evidence.include),
        ("--exclude-files", evidence.exclude),
    ):
        if value:
            raise UsageError(f"carengine hunt: {name} is for finished evidence, not for --follow")
    if settings.jobs != 1:
        raise UsageError("carengine hunt: --follow is one process; --jobs is for finished evidence")
    if settings.profile:
        raise UsageError("carengine hunt: --profile is shown at the end; --follow has none")
    if settings.output.format == "table":
        raise UsageError("carengine hunt: a table is drawn at the end; --follow has none")
    if "-" in evidence.paths:
        raise UsageError("carengine hunt: standard input ends by itself; --follow is for files")


def run(settings: HuntSettings, screen: Screen) -> int:
    """Hunt. The exit status."""
    if settings.account is not None:
        _write(settings.account, "")  # what cannot be written is known before hours of work
    with rules_loading(settings.rules.paths, screen, quiet=settings.quiet), gc_control.paused():
        rules, maps = load_with_maps(settings.rules, settings.maps, settings.engine)
    broken = report_refused(rules, screen)
    tuning = tuning_of(settings.tuning)
    chosen, left_out = settings.tuning.rules.choose(rules)
    if not chosen:
        screen.say("there is no rule to run, and nothing was read")
        return status.USAGE
    with gc_control.paused():
        engine, lost_rules = engine_of(chosen, maps, screen)
        broken = broken or lost_rules
        # Rules are there to the end; looking them through again and again takes long.
        gc_control.settle()
    if settings.follow is not None:
        from .follow import follow, held, open_session

        state = settings.follow.state
        with held(state) as left_lock:
            session = open_session(state, settings.streams, engine)
            tuned = Tuned.of(session, settings.tuning.times, tuning)
            refused = status.USAGE if broken else status.DONE
            watch = None
            if settings.reload:
                from .reload import rules_watch

                watch = rules_watch(
                    settings.rules, settings.maps, settings.tuning.rules, rules, screen
                )
            done = follow(settings.follow, screen, tuned, left_lock=left_lock, watch=watch)
            return status.gravest(done, refused)
    path = settings.output.path
    try:
        target = opened_to_write(path) if path else None
    except OSError as error:
        raise UsageError(f"carengine hunt: cannot write {path}: {error.strerror}") from None
    with target or nullcontext():
        return _hunt(settings, screen, rules, engine, target, broken, tuning, left_out)


def _hunt(
    settings: HuntSettings,
    screen: Screen,
    rules: RuleSet,
    engine: Engine,
    target: BinaryIO | None,
    broken: bool,
    tuning: Tuning,
    left_out: Counter[str],
) -> int:
    paths = settings.evidence.paths
    writer: Writer
    if not settings.written or (settings.profile and target is None):
        writer = Unwritten(MatchReporter(engine.maps))
    else:
        writer = writer_for(settings.output, engine, screen, target)
    # What is written of a match can be made anywhere, unless the order of matches decides which are
    # shown.
    in_order = tuning.exclusions or tuning.suppressions or settings.report is not None
    apart = None if in_order else writer.apart
    hunting = Run(
        engine,
        paths,
        jobs=settings.jobs,
        options=settings.streams,
        times=settings.tuning.times,
        render=None if apart is None else apart.render,
        password=settings.evidence.password,
        include=settings.evidence.include,
        exclude=settings.evidence.exclude,
        profile=settings.profile,
        check_native=settings.check_native,
    )
    engine = hunting.engine
    tuned = Tuned.of(hunting.session, settings.tuning.times, tuning)
    tuned.inside = hunting.inside

    report = None
    if settings.report is not None:
        from .report_page import ReportFile

        report = ReportFile(settings.report, settings.evidence, engine, settings.jobs)

    def emit(found: Match | bytes) -> None:
        if isinstance(found, bytes):
            assert apart is not None
            apart.put(found)
        elif tuned.admit(found):
            writer.write(found)
            if report is not None:
                report.add(found)

    stopped = ""
    lost = status.DONE
    with hunting:
        reading, session = hunting.reading, hunting.session
        streams_to_terminal = screen.out_terminal and target is None and writer.streaming
        silent = settings.quiet or streams_to_terminal
        try:
            with gc_control.paused():
                hunting.begin()
                gc_control.settle()  # so is what was compiled for the first events
            watching = nullcontext(_nothing) if silent else progress(reading, paths, screen)
            with watching as tick:
                hunting.run(emit, tick)
        except KeyboardInterrupt:
            stopped, lost = "interrupted: ", status.INTERRUPTED
        except WorkerError as error:
            screen.report(error.diagnostics)
            stopped, lost = "stopped by a fault: ", status.FAULT
        writer.finish()
        if hunting.profile is not None:
            rows = hunting.profile.rows(session.stats)
            form = profile_form(settings.output, screen)
            show_profile(rows, form, settings.output.rows, screen)
        screen.flush()
        report_input(reading, screen, quiet=settings.quiet)
        screen.report(session.diagnostics)
        became = rule_statuses(engine, session.stats, hunting.coverage)
        if not settings.quiet:
            report_rules(became, session, hunting.unrecognised, screen, why=settings.why)
        tuned.report(engine, tuning, screen, quiet=settings.quiet)
        screen.say(stopped + _records_line(tuned, reading))
        screen.say(_rules_line(rules, became, left_out))
        screen.say(matches_line(tuned.shown.total(), writer.tally, tuned.parts(), screen))
        if session.merged:
            screen.say(_merged_line(session.merged))
        if not settings.quiet:
            say_where_and_when(writer.tally, {rule.id: rule for rule in engine.rules}, screen)
        if report is not None:
            report.finish(
                *(rules, became, tuned, reading, hunting.unrecognised, left_out),
                stopped.rstrip(": "),
                screen,
            )
        if settings.account is not None:
            _write_account(settings.account, rules, tuned, reading, hunting.coverage, left_out)
        broken = broken or bool(session.stats.faults)
        matched = settings.fail_on_match and tuned.shown.total() > 0
        return status.gravest(
            lost,
            status.USAGE if broken else status.DONE,
            input_status(reading, paths),
            status.of_sight(
                session.stats.events,
                session.stats.shaped,
                len(became),
                sum(not one.outcome.runnable for one in became),
            ),
            status.FINDINGS if matched else status.DONE,
        )


def _nothing() -> None:
    pass


def _records_line(tuned: Tuned, reading: Reading) -> str:
    """What became of all records."""
    stats = tuned.session.stats
    read = stats.events + tuned.outside + reading.unreadable
    told = (
        f"{counted(read, 'record')} = {stats.shaped:,} recognised + {stats.unrecognised:,} not "
        f"recognised + {reading.unreadable:,} unreadable"
        + (f" + {tuned.outside:,} outside the time asked for" if tuned.outside else "")
    )
    if reading.records > read:
        told += f" ({reading.records - read:,} more were read and not looked at)"
    if stats.claimed_twice:
        pairs = "; ".join(" and ".join(names) for names, _ in stats.claimants.most_common(3))
        told += f" ({stats.claimed_twice:,} recognised by two maps: {pairs})"
    if stats.without_fields:
        told += f" ({_without_fields(stats)})"
    return told


def _rules_line(rules: RuleSet, became: list[RuleStatus], left_out: Counter[str]) -> str:
    """What became of all rules."""
    stuck = sum(not one.outcome.runnable for one in became)
    told = [f"{counted(len(rules), 'rule')} loaded", f"{len(rules.refused):,} refused"]
    told += [f"{number:,} {reason}" for reason, number in sorted(left_out.items())]
    told.append(f"{stuck:,} not runnable on this data")
    return ", ".join(told)


def _merged_line(number: int) -> str:
    """What was merged."""
    tell = "tells" if number == 1 else "tell"
    return (
        f"  {counted(number, 'record')} of matches and groups {tell} of what another sensor told, "
        "and were taken for one with it (--no-merge)"
    )


def _without_fields(stats: SessionStats) -> str:
    """The recognised events without fields: how many, of which kind, where."""
    places = sorted(
        stats.without_fields.items(), key=lambda item: (-item[1], item[0][0], *map(str, item[0]))
    )
    # Of a file in an archive its own name: the account has the whole.
    shown = [
        f"{number:,} {kind} of {name}" + (f" in {_last_part(source)}" if source else "")
        for (name, kind, source), number in places[:_PLACES]
    ]
    if len(places) > _PLACES:
        rest = sum(number for _, number in places[_PLACES:])
        shown.append(f"{rest:,} more")
    return f"{stats.without_fields.total():,} of them without fields: {', '.join(shown)}"


def _last_part(source: str) -> str:
    return re.split(r"[!/\\]", source)[-1]


def _write_account(
    path: str,
    rules: RuleSet,
    tuned: Tuned,
    reading: Reading,
    sample: FieldCoverage,
    left_out: Counter[str],
) -> None:
    """The account as data: everything that the last line has, and more."""
    from ..engine.report import needs

    session, sifter = tuned.session, tuned.sifter
    stats = session.stats
    data = {
        "records": {
            "read": stats.events + tuned.outside + reading.unreadable,
            "recognised": stats.shaped,
            "not_recognised": stats.unrecognised,
            "unreadable": reading.unreadable,
            "outside_time": tuned.outside,
            "by_map": dict(sorted(stats.recognised.items())),
            "by_kind": [
                {"map": name, "object": kind.object, "action": kind.action, "events": number}
                for (name, kind), number in sorted(
                    stats.kinds.items(), key=lambda item: (item[0][0], str(item[0][1]))
                )
            ],
            "without_fields": [
                {
                    "map": name,
                    "object": kind.object,
                    "action": kind.action,
                    "source": source,
                    "events": number,
                }
                for (name, kind, source), number in sorted(
                    stats.without_fields.items(), key=lambda item: tuple(map(str, item[0]))
                )
            ],
        },
        "findings": {code.id: number for code, number in reading.found.items()},
        "rules": {
            "loaded": len(rules),
            "refused": [refused.id for refused in rules.refused],
            "left_out": dict(sorted(left_out.items())),
            "run": [one.as_json() for one in needs(session.engine, stats, sample)],
        },
        "matches": {
            "shown": dict(sorted(tuned.shown.items())),
            "excluded": dict(sorted(sifter.excluded.items())),
            "suppressed": dict(sorted(sifter.suppressed.items())),
            "expired_exclusions": [one.name for one in sifter.expired],
            "merged_records": session.merged,
        },
    }
    _write(path, json_document(data) + "\n")


def _write(path: str, text: str) -> None:
    try:
        with replacing(path, "utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"carengine hunt: cannot write {path}: {error.strerror}") from None
