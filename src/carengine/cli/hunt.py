"""``carengine hunt``: rules over events.

The results go out as they are found (JSON lines, CSV) or when all is read (the table, which groups
by rule). What became of every rule and every record is said on standard error, and in its last line
in numbers that add up.
"""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from typing import BinaryIO

from .. import gc_control
from ..diagnostics import counted
from ..engine import Engine, Match, Session, StreamOptions
from ..engine.report.needs import needs
from ..engine.report.rule_status import FieldCoverage, Outcome, RuleStatus, rule_statuses
from ..engine.report.unrecognised import UnrecognisedShapes
from ..readers import Reading
from ..rule import Rule, RuleSet
from ..runner import Run, WorkerError
from ..tuning import Tuning
from . import UsageError, status
from .encode import json_document
from .evidence import add_events_argument, input_status, progress, report_input, same_place
from .follow import beside, follow, held, open_session
from .profile import Unwritten, add_profile_option, profile_form, show_profile
from .results import Writer, writer_for
from .rules import (
    add_engine_option,
    add_input_option,
    add_map_option,
    add_rules_option,
    load_with_maps,
    report_refused,
)
from .screen import Screen
from .streams import add_stream_options, report_streams, stream_options
from .tuning import Tuned, add_tuning_options, rule_filter, time_range, tuning_of

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
command is not right, 3 evidence could not be read (the rest was), 70 a process of the run was lost, 130 interrupted.
Of several, 130 comes first, then 70, 2, 3, 1.
"""
_IDS = 12


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``hunt`` takes."""
    parser.epilog = _EXAMPLES
    add_events_argument(parser)
    add_rules_option(parser)
    add_map_option(parser)
    add_engine_option(parser)
    parser.add_argument(
        "-f",
        "--format",
        choices=["table", "jsonl", "csv"],
        help="how matches are shown (default: a table on a terminal, JSON lines otherwise)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write the matches to a file (not one inside the folders that are read)",
    )
    add_input_option(parser)
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
        "-j",
        "--jobs",
        type=_jobs,
        default=1,
        metavar="N",
        help="share the work between N processes (auto: one for each core); the results are the same",
    )
    add_profile_option(parser)
    parser.add_argument("--no-raw", action="store_true", help="leave the events' own text out")
    parser.add_argument(
        "--rows",
        type=int,
        default=50,
        metavar="N",
        help="rows shown for a rule in the table (default: 50; 0: all)",
    )
    parser.add_argument(
        "-w", "--why", action="store_true", help="say of every rule without a match why"
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="say errors and the closing account only"
    )


def _jobs(text: str) -> int:
    """A number of processes; 0 for as many as there are cores."""
    if text == "auto":
        return 0
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise argparse.ArgumentTypeError(f"a number of processes or auto, not {text}")
    return int(text)


def run(options: argparse.Namespace, screen: Screen) -> int:
    """Hunt. The exit status."""
    if options.output == "-":
        options.output = None
    for option, path in (
        ("-o", options.output),
        ("--account", options.account),
        ("--state", options.state),
    ):
        clash = path and same_place(
            path,
            [*options.events, *(options.rules or []), *options.exclude, *_named(options.engine)],
        )
        if clash:
            raise UsageError(f"carengine hunt: {option} {path} would write into {clash}")
    _refuse_one_file_for_two(options)
    if options.follow:
        _refuse_what_is_for_finished_evidence(options)
    if options.account is not None:
        _write(options.account, "")  # what cannot be written is known before hours of work
    if not options.follow and (options.state is not None or options.finish):
        name = "--finish" if options.state is None else "--state"
        raise UsageError(f"carengine hunt: {name} is for --follow")
    if options.follow and options.jobs != 1:
        raise UsageError("carengine hunt: --follow is one process; --jobs is for finished evidence")
    if options.profile:
        profile_form(options, screen)
    settings = stream_options(options)
    rules, maps = load_with_maps(options, screen)
    broken = report_refused(rules, screen)
    tuning = tuning_of(options)
    time_range(options)  # what is wrong with it is said before anything is read
    chosen, left_out = rule_filter(options).choose(rules)
    if not chosen:
        screen.say("there is no rule to run, and nothing was read")
        return status.USAGE
    with gc_control.paused():
        engine = Engine(chosen, maps)
        gc_control.settle()  # rules are there to the end; looking them through again and again takes long
    if options.follow:
        with held(options.state):
            tuned = Tuned.of(open_session(options, settings, engine), options, tuning)
            return follow(options, screen, tuned)
    try:
        target = open(options.output, "wb") if options.output else None  # noqa: SIM115
    except OSError as error:
        raise UsageError(
            f"carengine hunt: cannot write {options.output}: {error.strerror}"
        ) from None
    with target or nullcontext():
        return _hunt(options, screen, rules, engine, target, broken, tuning, left_out, settings)


def _refuse_one_file_for_two(options: argparse.Namespace) -> None:
    """Raise `UsageError` where two of the files to be written are one."""
    written: dict[str, str] = {}
    state = [] if options.state is None else [options.state, *beside(options.state)]
    for option, paths in (
        ("-o", [options.output]),
        ("--account", [options.account]),
        ("--state", state),
    ):
        for path in paths:
            if path is None or (os.path.exists(path) and not os.path.isfile(path)):
                continue
            other = written.setdefault(os.path.realpath(path), option)
            if other != option:
                raise UsageError(f"carengine hunt: {other} and {option} would both write {path}")


def _refuse_what_is_for_finished_evidence(options: argparse.Namespace) -> None:
    """Raise `UsageError` for options that would do nothing while files are followed."""
    for name, value in (
        ("--account", options.account),
        ("--why", options.why),
        ("--fail-on-match", options.fail_on_match),
        ("--password", options.password),
        ("--include-files", options.include_files),
        ("--exclude-files", options.exclude_files),
    ):
        if value:
            raise UsageError(f"carengine hunt: {name} is for finished evidence, not for --follow")


def _hunt(
    options: argparse.Namespace,
    screen: Screen,
    rules: RuleSet,
    engine: Engine,
    target: BinaryIO | None,
    broken: bool,
    tuning: Tuning,
    left_out: Counter[str],
    settings: StreamOptions,
) -> int:
    writer: Writer
    if options.profile and target is None:
        writer = Unwritten()
    else:
        writer = writer_for(options, engine.rules, screen, target)
    # What is written of a match can be made anywhere, unless the order of matches decides which are
    # shown.
    apart = None if tuning.exclusions or tuning.suppressions else writer.apart
    hunting = Run(
        engine,
        options.events,
        jobs=options.jobs,
        options=settings,
        times=time_range(options),
        render=None if apart is None else apart.render,
        password=options.password,
        include=options.include_files,
        exclude=options.exclude_files,
        profile=options.profile,
    )
    engine = hunting.engine
    tuned = Tuned.of(hunting.session, options, tuning)
    tuned.inside = hunting.inside

    def emit(found: Match | bytes) -> None:
        if isinstance(found, bytes):
            assert apart is not None
            apart.put(found)
        elif tuned.admit(found):
            writer.write(found)

    stopped = ""
    lost = status.DONE
    with hunting:
        reading, session = hunting.reading, hunting.session
        streams_to_terminal = screen.out_terminal and target is None and writer.streaming
        silent = options.quiet or streams_to_terminal
        try:
            with gc_control.paused():
                hunting.begin()
                gc_control.settle()  # so is what was compiled for the first events
            watching = (
                nullcontext(_nothing) if silent else progress(reading, options.events, screen)
            )
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
            show_profile(rows, profile_form(options, screen), options.rows, screen)
        screen.flush()
        report_input(reading, screen, quiet=options.quiet)
        report_streams(session, screen)
        became = rule_statuses(engine, session.stats, hunting.coverage)
        if not options.quiet:
            _report_standings(became, session, hunting.unrecognised, screen, why=options.why)
        tuned.report(engine, tuning, screen, quiet=options.quiet)
        screen.say(stopped + _account(rules, became, tuned, reading, left_out))
        if options.account is not None:
            _write_account(options.account, rules, tuned, reading, hunting.coverage, left_out)
        matched = options.fail_on_match and tuned.shown.total() > 0
        return status.gravest(
            lost,
            status.USAGE if broken else status.DONE,
            input_status(reading, options.events),
            status.FINDINGS if matched else status.DONE,
        )


def _named(path: str | None) -> list[str]:
    return [] if path is None else [path]


def _nothing() -> None:
    pass


def _account(
    rules: RuleSet,
    became: list[RuleStatus],
    tuned: Tuned,
    reading: Reading,
    left_out: Counter[str],
) -> str:
    """The last line: everything that went in, and what became of it."""
    stats = tuned.session.stats
    read = stats.events + tuned.outside + reading.unreadable
    parts = [
        f"{counted(read, 'record')} = {stats.shaped:,} recognised + {stats.unrecognised:,} not recognised"
        f" + {reading.unreadable:,} unreadable"
        + (f" + {tuned.outside:,} outside the time asked for" if tuned.outside else "")
    ]
    if reading.records > read:
        parts[0] += f" ({reading.records - read:,} more were read and not looked at)"
    if stats.claimed_twice:
        pairs = "; ".join(" and ".join(names) for names, _ in stats.claimants.most_common(3))
        parts[0] += f" ({stats.claimed_twice:,} recognised by two maps: {pairs})"
    stuck = sum(not one.outcome.runnable for one in became)
    told = [f"{counted(len(rules), 'rule')} loaded", f"{len(rules.refused):,} refused"]
    told += [f"{number:,} {reason}" for reason, number in sorted(left_out.items())]
    told.append(f"{stuck:,} not runnable on this data")
    parts.append(", ".join(told))
    shown = tuned.shown
    hits = sorted(shown.items())
    by_rule = ", ".join(f"{rule} {number:,}" for rule, number in hits)
    total = shown.total()
    parts.append(f"{counted(total, 'match', 'matches')}{': ' if hits else ''}{by_rule}")
    parts += tuned.parts()
    return "; ".join(parts)


def _write_account(
    path: str,
    rules: RuleSet,
    tuned: Tuned,
    reading: Reading,
    sample: FieldCoverage,
    left_out: Counter[str],
) -> None:
    """The account as data: everything that the last line has, and more."""
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
        },
    }
    _write(path, json_document(data) + "\n")


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"carengine hunt: cannot write {path}: {error.strerror}") from None


def _report_standings(
    became: list[RuleStatus],
    session: Session,
    unknown: UnrecognisedShapes,
    screen: Screen,
    *,
    why: bool,
) -> None:
    stats = session.stats
    stuck = [one for one in became if not one.outcome.runnable]
    if stuck:
        screen.say(f"not runnable on this data: {counted(len(stuck), 'rule')}")
        _by_reason(stuck, screen)
    partly: dict[str, list[Rule]] = {}
    for one in became:
        for text in one.partly if one.outcome.runnable else ():
            partly.setdefault(text, []).append(one.rule)
    if partly:
        screen.say("blind on part of this data:")
        for text, found in sorted(partly.items()):
            screen.say(f"  {text}: {_ids(found)}")
    if unknown.counts:
        screen.say(f"not recognised: {counted(stats.unrecognised, 'record')}, the commonest")
        for line in unknown.lines():
            screen.say(f"  {line}")
    if why or not stats.matches.total():
        _why(became, session, screen)


def _why(became: list[RuleStatus], session: Session, screen: Screen) -> None:
    stats = session.stats
    without = [one for one in became if one.outcome is not Outcome.MATCHED]
    if not stats.events:
        screen.say("nothing matched: no record was read")
        return
    if not stats.matches.total():
        screen.say(
            f"nothing matched: of {counted(stats.events, 'record')} {stats.shaped:,} have a known shape"
        )
    kinds: dict[str, int] = {}
    for (_, kind), number in stats.kinds.items():
        kinds[str(kind)] = kinds.get(str(kind), 0) + number
    ranked = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    if ranked:
        screen.say("the data has: " + ", ".join(f"{kind} {number:,}" for kind, number in ranked))
    open_ = [one for one in without if one.outcome.runnable]
    if open_:
        screen.say(f"without a match: {counted(len(open_), 'rule')}")
        _by_reason(open_, screen)


def _by_reason(found: Iterable[RuleStatus], screen: Screen) -> None:
    groups: dict[tuple[Outcome, str], list[Rule]] = {}
    for one in found:
        groups.setdefault((one.outcome, one.reason), []).append(one.rule)
    for (_, reason), rules in sorted(groups.items(), key=lambda item: item[0]):
        screen.say(f"  {reason}: {_ids(rules)}")


def _ids(rules: list[Rule]) -> str:
    ids = [rule.id for rule in rules]
    more = f" and {len(ids) - _IDS} more" if len(ids) > _IDS else ""
    return ", ".join(ids[:_IDS]) + more
