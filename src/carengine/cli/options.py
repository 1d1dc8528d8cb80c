"""What several commands take: groups of options, and the settings that they are read into.

A command line is read once. argparse gives a namespace; the command's ``settings`` makes a frozen
object of it, out of the groups below and what the command has for itself; everything else gets that
object or a part of it. What is wrong with an option is said while it is read: each function here
that reads one raises `UsageError`, and none touches rules or evidence.

For each group there is a function that adds its options to a parser, the class of its settings, and
a function that reads them.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from attrs import field, frozen

from ..engine import StreamOptions
from ..engine.streams import length_of, moment_of
from ..fieldmap import MapChoice, NamedLogSource
from ..rule.model import LEVELS
from ..tuning import RuleFilter, TimeRange, time_of_option
from . import UsageError

FOLLOW_LATENESS = timedelta(minutes=5)
"""How late events may be while files are followed, unless told."""

_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


# Rules


@frozen
class RuleSettings:
    """Which rules are loaded, and how.

    ``paths`` are files, folders and archives; where there is none, the shipped rules are meant.
    ``inputs`` gives values to the rules' ``input`` names, ``placeholders`` to the placeholders of
    Sigma rules, of which not all need be in a rule. ``cache`` tells whether rules may come from the
    cache folder, and go there. ``macros`` names files with macros of Splunk's.
    """

    paths: tuple[str, ...] = ()
    lenient: bool = False
    inputs: Mapping[str, str | Sequence[str]] = field(factory=dict)
    placeholders: Mapping[str, Sequence[str]] = field(factory=dict)
    cache: bool = True
    macros: tuple[str, ...] = ()


def add_rules_option(
    parser: argparse.ArgumentParser,
    told: str = "a rule file or a folder of them; may be repeated (default: the shipped rules)",
) -> None:
    """``-r RULES``, as often as wanted, ``--lenient`` and ``--no-cache``."""
    parser.add_argument(
        "-r",
        "--rules",
        action="append",
        metavar="RULES",
        help=told,
    )
    add_lenient_option(parser)
    add_cache_option(parser)


def add_cache_option(parser: argparse.ArgumentParser) -> None:
    """``--no-cache``."""
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="read the rules afresh, and keep nothing of them in the cache folder "
        "($CARENGINE_CACHE, or ~/.cache/carengine)",
    )


def add_lenient_option(parser: argparse.ArgumentParser) -> None:
    """``--lenient``."""
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="repair .car files where it is certain what is meant, and say so; "
        "CAR's YAML and Markdown always are",
    )


def add_input_option(parser: argparse.ArgumentParser) -> None:
    """``--input NAME=VALUE`` and ``--macros FILE``, as often as wanted."""
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the value of an `input` of the rules, or of a placeholder of Sigma rules, which takes "
        "several; may be repeated",
    )
    parser.add_argument(
        "--placeholders",
        action="append",
        default=[],
        metavar="FILE",
        help="values for the placeholders of Sigma rules (%%name%%): a YAML file of names with "
        "lists, a pySigma pipeline with vars, or a folder of NAME.txt; may be repeated",
    )
    add_macros_option(parser)


def add_macros_option(parser: argparse.ArgumentParser) -> None:
    """``--macros FILE``, as often as wanted."""
    parser.add_argument(
        "--macros",
        action="append",
        default=[],
        metavar="FILE",
        help="the macros of Splunk searches: macros.conf, or YAML as in Splunk's security content, "
        "or a folder; macros among the rules are known anyway; may be repeated",
    )


def rule_settings(values: argparse.Namespace) -> RuleSettings:
    """The rules that the options name. Raises `UsageError` for an ``--input`` without ``=``."""
    inputs: dict[str, list[str]] = {}
    for given in values.input:
        name, equals, value = given.partition("=")
        if not equals or not name:
            raise UsageError(f"carengine: --input wants NAME=VALUE, not {given}")
        inputs.setdefault(name, []).append(value)
    return RuleSettings(
        tuple(values.rules or ()),
        values.lenient,
        {name: several[0] if len(several) == 1 else several for name, several in inputs.items()},
        _placeholders(values.placeholders),
        cache=not values.no_cache,
        macros=tuple(values.macros),
    )


def _placeholders(paths: Sequence[str]) -> dict[str, list[str]]:
    """The placeholders of files. Raises `CarError` (CE816)."""
    values: dict[str, list[str]] = {}
    for path in paths:
        from ..loading.placeholders import read_placeholders

        for name, several in read_placeholders(path).items():
            values[name] = [*values.get(name, ()), *several]
    return values


# Field maps


MapNames = tuple[str | NamedLogSource, ...]
"""What ``-m`` and ``--logsource`` gave."""


def add_map_option(parser: argparse.ArgumentParser) -> None:
    """``-m MAP`` and ``--logsource SOURCE``, as often as wanted."""
    parser.add_argument(
        "-m",
        "--mapping",
        action="append",
        default=[],
        metavar="MAP",
        help="field map: a name (sysmon, sysmon.flat), a YAML file or a folder of them; "
        "raw, which takes fields by their own names; a pySigma pipeline; may be repeated "
        "(default: auto, which recognises each event's shape)",
    )
    parser.add_argument(
        "--logsource",
        action="append",
        default=[],
        metavar="SOURCE",
        help="what the events are, so that rules for it run on them by the names of their own "
        "fields: aws/cloudtrail, webserver, 'acme/audit where tenant exists'; may be repeated",
    )


def map_names(values: argparse.Namespace) -> MapNames:
    """The field maps and log sources that the options name. Raises `CarError` (CE407)."""
    return (*values.mapping, *map(NamedLogSource.parse, values.logsource))


def map_choice(maps: MapNames) -> MapChoice:
    """The field maps to use: those that were named, or all; with what the events are said to be."""
    named = any(isinstance(item, str) for item in maps)
    return maps if named else ("auto", *maps)


def add_engine_option(parser: argparse.ArgumentParser) -> None:
    """``--engine FILE``, instead of ``-r`` and ``-m``."""
    parser.add_argument(
        "--engine",
        metavar="FILE",
        help="rules and field maps that `carengine compile` put into a file, instead of -r and -m: "
        "thousands of rules start at once",
    )


def engine_file(values: argparse.Namespace) -> str | None:
    """The file of ``--engine``. Raises `UsageError` where something is beside it that is in it."""
    if values.engine is None:
        return None
    for option, given in (
        ("-r", values.rules),
        ("-m", values.mapping),
        ("--logsource", values.logsource),
        ("--input", values.input),
        ("--macros", values.macros),
        ("--placeholders", values.placeholders),
        ("--lenient", values.lenient),
    ):
        if given:
            raise UsageError(
                f"carengine: {option} has no place beside --engine; compile anew with it"
            )
    return str(values.engine)


# Evidence


@frozen
class EvidenceSettings:
    """Where events come from, and how they are read."""

    paths: tuple[str, ...]
    password: str = field(default="", repr=False)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


def add_events_argument(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    """``EVENTS…``, and how they are to be read."""
    parser.add_argument(
        "events",
        nargs="+" if needed else "*",
        metavar="EVENTS",
        help="files, folders, archives, or - for stdin",
    )
    parser.add_argument(
        "--password", default="", metavar="TEXT", help="the password of encrypted zip archives"
    )
    parser.add_argument(
        "--include-files",
        "--include",
        action="append",
        default=[],
        metavar="GLOB",
        help="in folders and archives, read only files of such names ('*.evtx'); may be repeated",
    )
    parser.add_argument(
        "--exclude-files",
        action="append",
        default=[],
        metavar="GLOB",
        help="in folders and archives, do not look into files of such names; may be repeated",
    )


def evidence_settings(values: argparse.Namespace) -> EvidenceSettings:
    """The evidence that the options name."""
    return EvidenceSettings(
        tuple(values.events),
        values.password,
        tuple(values.include_files),
        tuple(values.exclude_files),
    )


# Tuning


@frozen
class TuningSettings:
    """What is left out: rules, events outside a range of time, and matches.

    ``exclusions`` are files of exclusions and suppressions, ``suppressions`` texts such as ``rule,
    hostname for 1 hour``.
    """

    rules: RuleFilter = field(factory=RuleFilter)
    times: TimeRange = field(factory=TimeRange)
    exclusions: tuple[str, ...] = ()
    suppressions: tuple[str, ...] = ()


def add_tuning_options(parser: argparse.ArgumentParser) -> None:
    """Filters of rules and events, ``--exclude`` and ``--suppress``."""
    group = parser.add_argument_group(
        "what to leave out", "everything that is left out is counted in the closing account"
    )
    group.add_argument(
        "--level",
        choices=LEVELS,
        help="only rules of this level and above; those that state none are left out",
    )
    for name, what in (
        ("status", "of this status"),
        ("tag", "with this tag"),
        ("technique", "for this ATT&CK technique (T1003 includes T1003.001)"),
        ("platform", "for this platform"),
    ):
        group.add_argument(
            f"--{name}",
            action="append",
            default=[],
            metavar=name.upper(),
            help=f"only rules {what}; may be repeated",
        )
    group.add_argument(
        "--from",
        dest="start",
        metavar="TIME",
        help="only events from this time on (2024-05-01, 2024-05-01T10:00:00Z; UTC)",
    )
    group.add_argument("--to", dest="end", metavar="TIME", help="only events before this time")
    group.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="FILE",
        help="a file of exclusions and suppressions (YAML); may be repeated",
    )
    group.add_argument(
        "--suppress",
        action="append",
        default=[],
        metavar="'FIELDS for PERIOD'",
        help="report one of the matches that agree in these fields within the period: "
        "'rule, hostname for 1 hour'; may be repeated",
    )


def tuning_settings(values: argparse.Namespace) -> TuningSettings:
    """What the options leave out. Raises `UsageError` for a time that is none."""
    rules = RuleFilter(
        values.level,
        tuple(values.status),
        tuple(values.tag),
        tuple(values.technique),
        tuple(values.platform),
    )
    times = _time_range(values.start, values.end)
    return TuningSettings(rules, times, tuple(values.exclude), tuple(values.suppress))


def _time_range(first: str | None, last: str | None) -> TimeRange:
    try:
        start, end = (None if text is None else time_of_option(text) for text in (first, last))
    except ValueError as problem:
        raise UsageError(f"carengine: {problem}") from None
    if start is not None and end is not None and start >= end:
        raise UsageError("carengine: --from is not before --to, so that no event could fit")
    return TimeRange(start, end)


# Joins, groups and baselines


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    """``--lateness``, ``--horizon``, ``--now``, ``--max-events``, ``--max-bytes``,
    ``--no-merge``."""
    group = parser.add_argument_group("joins, groups and baselines")
    group.add_argument(
        "--lateness",
        metavar="TIME",
        help="how long after a later event an event may still come: 30s, '10 minutes' "
        "(default: as long as the data lasts; with --follow 5 minutes)",
    )
    group.add_argument(
        "--horizon",
        metavar="TIME",
        help="how far apart events may be in a join or a group for which the rule gives no time "
        "(default: 30 days; none: no bound)",
    )
    group.add_argument(
        "--now", metavar="TIME", help="the reference time of the rules (default: the last event's)"
    )
    group.add_argument(
        "--max-events",
        type=int,
        default=1_000_000,
        metavar="N",
        help="the most rows held for joins and groups (default: 1000000)",
    )
    group.add_argument(
        "--max-bytes",
        default="1g",
        metavar="SIZE",
        help="the most memory held for them, estimated: 500m, 2g (default: 1g)",
    )
    group.add_argument(
        "--no-merge",
        action="store_true",
        help="take records of several sensors that tell of one happening (Sysmon 1 and Security "
        "4688) for several events; matches are then told as they come",
    )


def stream_options(values: argparse.Namespace, *, follow: bool) -> StreamOptions:
    """How a session treats time and memory. Raises `UsageError`."""
    lateness = FOLLOW_LATENESS if follow else None
    if values.lateness is not None:
        lateness = _length("--lateness", values.lateness)
    horizon = StreamOptions().horizon
    if values.horizon is not None:
        none = values.horizon.lower() == "none"
        horizon = None if none else _length("--horizon", values.horizon)
    try:
        now = moment_of(values.now)
    except ValueError:
        raise UsageError(
            f"carengine hunt: --now wants a time such as 2024-05-01T10:00:00Z, not {values.now}"
        ) from None
    try:
        size = _size(values.max_bytes)
        merge = not values.no_merge
        return StreamOptions(lateness, horizon, now, values.max_events, size, merge)
    except ValueError as error:
        raise UsageError(f"carengine hunt: {error}") from None


def _length(name: str, text: str) -> timedelta:
    try:
        return length_of(text)
    except ValueError:
        raise UsageError(
            f"carengine hunt: {name} wants a time such as 30s or '10 minutes', not {text}"
        ) from None


def _size(text: str) -> int:
    parts = re.fullmatch(r"(\d{1,15})([kmg]?)b?", text.strip().lower(), re.ASCII)
    if parts is None:
        raise UsageError(f"carengine hunt: --max-bytes wants a size such as 500m or 2g, not {text}")
    return int(parts[1]) * _SIZES[parts[2]]


# Output

FORMATS = ("table", "jsonl", "csv", "timeline", "ecs", "ocsf")
"""What ``-f`` takes."""


@frozen
class OutputSettings:
    """Where matches go and how they are shown.

    ``path`` is None for standard output, ``format`` for what suits the place. ``raw`` includes the
    events' own text, ``rows`` bounds the rows of a rule in a table (0: all), ``full`` shows values
    whole. ``sort`` is ``time``, ``none``, or None for what suits the format; ``template`` is the
    file of a template.
    """

    path: str | None = None
    format: str | None = None
    raw: bool = True
    rows: int = 10
    full: bool = False
    sort: str | None = None
    template: str | None = None


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """How matches are written: ``-f``, ``--template``, ``-o``, ``--no-raw``, ``--sort``, ``--rows``
    and ``--full``."""
    parser.add_argument(
        "-f",
        "--format",
        choices=FORMATS,
        help="how matches are shown (default: a table on a terminal, JSON lines otherwise); "
        "timeline is CSV for Timeline Explorer and Timesketch, ecs and ocsf are JSON lines",
    )
    parser.add_argument(
        "--template",
        metavar="FILE",
        help="write the matches through a Jinja template, which runs in a sandbox",
    )
    parser.add_argument(
        "--sort",
        choices=["time", "none"],
        help="the order of matches: by time, or as they come (default: by time in CSV and templates)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write the matches to a file (not one inside the folders that are read)",
    )
    parser.add_argument("--no-raw", action="store_true", help="leave the events' own text out")
    parser.add_argument(
        "--rows",
        type=int,
        default=10,
        metavar="N",
        help="rows shown for a rule in the table (default: 10; 0: all)",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="show every row of the table, and every value whole (in CSV too)",
    )


def output_settings(values: argparse.Namespace) -> OutputSettings:
    """Where the options send matches. Raises `UsageError` for options that exclude each other."""
    if values.template is not None and values.format is not None:
        raise UsageError("carengine: --template says how matches are written, and so does -f")
    rows = 0 if values.full else values.rows
    return OutputSettings(
        output_path(values.output),
        values.format,
        not values.no_raw,
        rows,
        values.full,
        values.sort,
        values.template,
    )


def output_path(path: str | None) -> str | None:
    """The file that ``-o`` names; None for standard output, which is also called ``-``."""
    return None if path == "-" else path


@frozen
class FollowSettings:
    """What is watched, and how.

    ``state`` is the file that the run is saved in; with ``finish`` what is there by now is the end
    of the data.
    """

    paths: tuple[str, ...]
    output: OutputSettings
    state: str | None = None
    finish: bool = False
    quiet: bool = False


@frozen
class ReportSettings:
    """A report that is to be written: its file, its title, and whether with trees of processes."""

    path: str
    title: str = ""
    processes: bool = True


def add_report_content_options(parser: argparse.ArgumentParser) -> None:
    """``--title`` and ``--no-process-trees``."""
    parser.add_argument("--title", default="", metavar="TEXT", help="the title of the report")
    parser.add_argument(
        "--no-process-trees",
        action="store_true",
        help="no processes around the matches in the report; the evidence is read once only",
    )
