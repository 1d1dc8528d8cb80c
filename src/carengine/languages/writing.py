"""Rules in other languages: SQL, EQL, ES|QL, Kusto, Splunk's SPL, Sigma, and what Sigma's backends write.

``translate`` is all there is to call::

    found = carengine.translate(rule, target="duckdb", fieldmap="sysmon.flat")
    print(found.text)
    for note in found.notes: …        where the query is not exact

``TARGETS`` lists the languages. Each is a module of two functions, from an output of a program to a
query, and from queries to one text. They all start from the stages that ``lowered`` makes of a
program for one log, and must say exactly what the rule says, or tell in a note where they do not,
or refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from attrs import evolve, frozen

from .. import ir
from ..datamodel import nearest
from ..diagnostics import CarError, Diagnostic, Fix, Severity, codes, has_errors
from ..fieldmap import MapChoice
from ..rule import Rule
from .event_table import EventTable
from .lowered import Log, log_of, said_shape
from .translation import Findings, Query, Translation, Untranslatable

__all__ = ["TARGETS", "Query", "Translation", "TranslationTarget", "translate"]


@frozen
class TranslationTarget:
    """A language: the module that writes it, and what it is in a few words."""

    name: str
    module: str
    title: str


def _sql(name: str, title: str) -> TranslationTarget:
    return TranslationTarget(name, "sql.writer", f"SQL for {title}")


TARGETS: dict[str, TranslationTarget] = {
    target.name: target
    for target in (
        TranslationTarget("splunk", "splunk.writer", "Splunk's search language"),
        TranslationTarget("eql", "eql.writer", "EQL, as the eql package and Endgame have it"),
        TranslationTarget("elastic-eql", "eql.writer", "EQL, as Elasticsearch has it"),
        TranslationTarget("esql", "esql.writer", "ES|QL of Elasticsearch"),
        TranslationTarget("kusto", "kusto.writer", "KQL of Sentinel and Defender"),
        TranslationTarget("sigma", "sigma.writer", "Sigma rules"),
        _sql("duckdb", "DuckDB"),
        _sql("postgres", "PostgreSQL"),
        _sql("sqlite", "SQLite"),
        _sql("spark", "Spark"),
        _sql("trino", "Trino"),
        _sql("clickhouse", "ClickHouse"),
        _sql("bigquery", "BigQuery"),
        _sql("snowflake", "Snowflake"),
    )
}
"""The languages that rules are translated into, by name."""


def translate(
    rule: Rule,
    target: str = "splunk",
    fieldmap: MapChoice = "sysmon",
    *,
    present: Iterable[str] | None = None,
    recognise: bool | None = None,
    table: EventTable | None = None,
    checked: bool = True,
) -> Translation:
    """A rule as queries of another language over the logs of one field map.

    ``fieldmap`` names one shape (``sysmon.winlogbeat``); of a family with several the first is
    taken, and a note says so. ``present`` names the raw fields that the data has, where that is
    known: what asks for others is worked out beforehand. With False for ``recognise`` the queries do not
    ask whether an event has the map's shape at all, for an index or table that holds nothing else.
    Where nothing is said, all of the shape is asked, but in Splunk's language only what events say
    themselves (a channel, a source), and a note says so.
    ``table`` says for SQL which columns there are (`carengine.sql.load` gives it) and takes the
    place of ``present``. SQL that is not ``checked`` is not parsed in the product's grammar and not
    laid out, which takes most of the time.

    Raises `CarError` where the target cannot say what the rule says (CE901), where nothing of the
    rule is left (CE904), for an unknown target (CE903) or field map, and where a library is missing
    (CE906).

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search File:Create b = filter a where extension = ".bat" output b')
    >>> found = translate(rule, "duckdb", "car", present=["object", "action", "extension"])
    >>> "extension" in found.text
    True
    """
    wanted, slash, backend = target.lower().partition("/")
    chosen = TARGETS.get(wanted)
    if chosen is None or (slash and (chosen.name != "sigma" or not backend)):
        near = nearest(target, list(TARGETS), 3)
        fix = Fix(f"write {near[0]}") if near else None
        notes = (f"there are {', '.join(TARGETS)}, and sigma/NAME for pySigma's backends",)
        message = f"there is no target {target}"
        raise CarError(
            [Diagnostic(codes.UNKNOWN_TARGET, message, notes=notes, fix=fix, origin=rule.id)]
        )
    kinds = {kind for output in rule.program.outputs for kind in ir.searched(output.plan)}
    log, shapes = log_of(fieldmap, present, recognise is not False, kinds)
    if recognise is None and chosen.module.startswith("splunk."):
        log = evolve(log, shape=said_shape(log.fieldmap.recognise))
    if table is not None:
        if not chosen.module.startswith("sql."):
            raise ValueError(f"{target} asks no table: table is for SQL")
        log = evolve(log, table=table)
    log = evolve(log, checked=checked)
    module = import_module(f"{__package__}.{chosen.module}")
    write: Callable[[ir.Output, Log, str, Findings], Query] = module.query
    name = target.lower()
    findings = Findings(rule.id, name)
    queries = []
    for output in rule.program.outputs:
        findings.place = output.span
        try:
            queries.append(write(output, log, name, findings))
        except Untranslatable:
            continue
    said = findings.all
    if queries and all(
        found.code is codes.NOTHING_TO_TRANSLATE
        for found in said
        if found.severity is Severity.ERROR
    ):
        said = tuple(map(_left_out, said))
    if has_errors(said):
        raise CarError(said)
    if shapes > 1:
        message = f"{log.fieldmap.family} has {shapes} shapes; this is for {log.fieldmap.name}"
        said = (Diagnostic(codes.SHAPE_CHOSEN, message, origin=rule.id), *said)
    made = tuple(queries)
    return Translation(rule.id, chosen.name, log.fieldmap.name, made, module.text_of(made), said)


def _left_out(said: Diagnostic) -> Diagnostic:
    """That there is nothing of an output, where there is something of others."""
    left_out = said.code is codes.NOTHING_TO_TRANSLATE
    return evolve(said, code=codes.OUTPUT_LEFT_OUT) if left_out else said
