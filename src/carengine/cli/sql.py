"""``carengine sql``: rules as queries in DuckDB, over logs that need not fit in memory."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from typing import Any, BinaryIO

from attrs import frozen

from ..diagnostics import CarError, Diagnostic, codes, counted
from ..filewrite import opened_to_write
from ..readers import Reading, Record
from ..rule import RuleSet
from ..sql import SqlHunt, load
from . import UsageError, status
from .evidence import input_status, open_events, progress, report_input, same_place
from .options import (
    EvidenceSettings,
    MapNames,
    OutputSettings,
    RuleSettings,
    add_cache_option,
    add_events_argument,
    add_input_option,
    add_lenient_option,
    add_map_option,
    add_output_options,
    evidence_settings,
    map_choice,
    map_names,
    output_settings,
    rule_settings,
)
from .results import writer_for
from .rules import load as load_chosen
from .rules import report_refused
from .run_summary import matches_line, say_where_and_when
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine sql rules/ logs/                        every rule that translates, as queries in DuckDB
  carengine sql my.car events.parquet -f jsonl      a JSON line for each match, as `hunt` writes it
  carengine sql rules/ logs/ --database hunt.duckdb --memory 2GB
                                                    keep the tables; hold no more than that in memory

The logs are loaded into a table (`events`) of a database file, and each rule is asked as a query, joins and groups
included: DuckDB writes to the disk what does not fit in memory. Rules that cannot be said in SQL are named, with the
reason; so is what the notes of the queries say. `carengine hunt` runs all rules, and needs no table.

exit status: 0 done, 2 a rule was refused or not translated (the others ran) or the command is not right, 3 evidence could
not be read (the rest was), 4 no event was recognised, 70 a query and the engine disagreed.
"""
_MOST = 20


@frozen
class SqlSettings:
    """What ``sql`` was asked for.

    ``database`` is the file that the tables are kept in, None for one that is removed afterwards;
    ``memory`` is DuckDB's limit, as DuckDB writes it (``2GB``).
    """

    rules: RuleSettings
    evidence: EvidenceSettings
    maps: MapNames
    output: OutputSettings
    database: str | None = None
    memory: str | None = None
    quiet: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``sql`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "rules", nargs=1, metavar="RULES", help="a file, folder or archive of rules"
    )
    add_events_argument(parser)
    add_lenient_option(parser)
    add_cache_option(parser)
    add_map_option(parser)
    add_output_options(parser)
    add_input_option(parser)
    parser.add_argument(
        "--database", metavar="FILE", help="a new DuckDB file, to keep the tables in"
    )
    parser.add_argument(
        "--memory", metavar="SIZE", help="how much DuckDB may hold in memory (2GB, 512MB)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no notes on queries")


def settings(values: argparse.Namespace) -> SqlSettings:
    """What the command line asks for. Raises `UsageError`."""
    made = SqlSettings(
        rule_settings(values),
        evidence_settings(values),
        map_names(values),
        output_settings(values),
        values.database,
        values.memory,
        values.quiet,
    )
    for option, path in (("-o", made.output.path), ("--database", made.database)):
        clash = path and same_place(path, [*made.rules.paths, *made.evidence.paths])
        if clash:
            raise UsageError(f"carengine sql: {option} {path} would write into {clash}")
    if made.database is not None and os.path.lexists(made.database):
        raise UsageError(f"carengine sql: {made.database} is there already; name a new file")
    return made


def run(settings: SqlSettings, screen: Screen) -> int:
    """Hunt by queries. The exit status."""
    try:
        import duckdb
    except ImportError:
        message = "`carengine sql` needs DuckDB: pip install 'carengine[duckdb]'"
        raise CarError([Diagnostic(codes.MISSING_LIBRARY, message)]) from None
    rules = load_chosen(settings.rules)
    broken = report_refused(rules, screen)
    if not len(rules):
        screen.say("there is no rule to run, and nothing was read")
        return status.USAGE
    path = settings.output.path
    try:
        target = opened_to_write(path) if path else None
    except OSError as error:
        raise UsageError(f"carengine sql: cannot write {path}: {error.strerror}") from None
    with ExitStack() as stack:
        stack.enter_context(target or nullcontext())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="carengine-sql-"))
        database = settings.database or os.path.join(folder, "events.duckdb")
        try:
            connection = duckdb.connect(database)
            stack.callback(connection.close)
            connection.execute(f"SET temp_directory = '{folder.replace(chr(39), chr(39) * 2)}'")
            if settings.memory is not None:
                connection.execute("SET memory_limit = ?", [settings.memory])
            return _hunt(settings, screen, rules, connection, target, broken)
        except duckdb.Error as error:
            raise UsageError(f"carengine sql: DuckDB: {error}") from None


def _ticking(reading: Reading, tick: Callable[[], None]) -> Iterator[Record]:
    for number, record in enumerate(reading):
        if not number & 1023:
            tick()
        yield record


def _hunt(
    settings: SqlSettings,
    screen: Screen,
    rules: RuleSet,
    connection: Any,
    target: BinaryIO | None,
    broken: bool,
) -> int:
    reading = open_events(settings.evidence)
    with progress(reading, settings.evidence.paths, screen) as tick:
        table = load(connection, _ticking(reading, tick), events=True)
    hunt = SqlHunt(connection, rules, table, map_choice(settings.maps))
    writer = writer_for(settings.output, hunt.engine, screen, target)
    for match in hunt.run():
        writer.write(match)
    writer.finish()
    screen.flush()
    report_input(reading, screen, quiet=settings.quiet)
    refused = [item for found in hunt.refused.values() for item in found]
    screen.report(list(dict.fromkeys(refused)), _MOST)
    screen.report(hunt.disagreements)
    if not settings.quiet:
        for message, number in Counter(note.message for note in hunt.notes).most_common():
            screen.say(f"note on {counted(number, 'query', 'queries')}: {message}")
    recognised = sum(hunt.recognised.values())
    shapes = ", ".join(f"{number:,} {name}" for name, number in sorted(hunt.recognised.items()))
    screen.say(
        f"{counted(reading.records, 'record')} = {table.rows:,} in the table + "
        f"{reading.unreadable:,} unreadable; {hunt.unrecognised:,} of no shape that is known"
        + (f"; by shape {shapes}" if shapes else "")
    )
    asked = {found.rule for found in hunt.queries} - set(hunt.refused)
    screen.say(
        f"{counted(len(rules), 'rule')} loaded, {len(rules.refused):,} refused, {len(asked):,} asked as "
        f"queries, {len(hunt.refused):,} not translated for all of the logs, {len(hunt.nothing):,} "
        "not about these logs"
    )
    screen.say(matches_line(writer.tally.total, writer.tally, [], screen))
    if not settings.quiet:
        say_where_and_when(writer.tally, {rule.id: rule for rule in hunt.engine.rules}, screen)
    return status.gravest(
        status.FAULT if hunt.disagreements else status.DONE,
        status.USAGE if broken or hunt.refused else status.DONE,
        input_status(reading, settings.evidence.paths),
        status.BLIND if table.rows and not recognised else status.DONE,
    )
