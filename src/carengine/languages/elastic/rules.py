"""Elastic's detection rules, as its repository publishes them: TOML with a table ``[rule]``.

The types ``eql``, ``query`` (KQL), ``threshold`` and ``new_terms`` are read; others are refused by
their names. What a rule says about itself becomes metadata: the tables of ATT&CK, the severity as
level (or the risk score, in Elastic's bands), references, false positives, and the index patterns
and required fields as what it needs of data.

* A ``threshold`` is a window as long as the rule looks back, over the events with equal fields: it
  fires with the event that reaches the count (and the number of different values, where the rule has
  a ``cardinality``).
* ``new_terms`` finds an event if no other with the same values was there in the time before it that
  ``history_window_start`` gives. A value whose first event opens the log is new.

Elasticsearch asks both at intervals, and so can find one event fewer or more at their borders.

https://www.elastic.co/docs/solutions/security/detect-and-alert/about-detection-rules
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from ... import ir
from ...diagnostics import Block, Diagnostic, Source, Span, codes, has_errors
from ...rule.drafts import Draft
from ...rule.model import LEVELS, Metadata, Technique, written_in
from ..eql.reader import read_elastic
from ..kuery import reader as kuery
from ..query import QueryReading, Refusal, unsupported, wrong
from .filters import filters_of
from .queries import text_block

OUTPUT = "matches"
_DEFAULT_LOOKBACK = 6 * 60 * 1_000_000
_DURATION = re.compile(r"now-(\d{1,6})([smhdwM])")
_UNITS = {
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 7 * 86_400_000_000,
    "M": 30 * 86_400_000_000,
}
_STATUSES = {"production": "stable", "development": "experimental", "deprecated": "deprecated"}
# Elastic's own bands of the risk score.
_BANDS = ((21, "low"), (47, "medium"), (73, "high"), (100, "critical"))


def read_rules(source: Source) -> list[Draft]:
    """The rule of a TOML file; always one, with diagnostics for what is wrong in it.

    >>> [draft] = read_rules(Source("x.toml", '''
    ... [rule]
    ... rule_id = "1"
    ... name = "At"
    ... type = "eql"
    ... language = "eql"
    ... query = 'process where process.name == "at.exe"'
    ... '''))
    >>> draft.id, draft.metadata.title, draft.program is not None
    ('1', 'At', True)
    """
    block = Block.whole(source)
    stem = Path(source.name.replace("!", "/")).stem or source.name
    try:
        document = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        place = _place_of(error, block)
        bad = Diagnostic(codes.BAD_ELASTIC, f"this is no TOML: {error}", place)
        return [Draft(stem, Metadata(), None, block, (bad,), place=place)]
    except RecursionError:
        bad = Diagnostic(codes.BAD_ELASTIC, "this is nested too deep", block.span(0, 0))
        return [Draft(stem, Metadata(), None, block, (bad,), place=block.span(0, 0))]
    rule = document.get("rule")
    table = rule if isinstance(rule, Mapping) else {}
    return [_Reader(source, table, _table(document, "metadata"), stem).draft()]


def index_patterns(block: Block) -> tuple[str, ...]:
    """The index patterns that a rule of Elastic looks in; none of a text that is no such rule.

    >>> index_patterns(Block.of('rule = {index = ["logs-endpoint.events.*"]}'))
    ('logs-endpoint.events.*',)
    """
    if "rule" not in block.text or "index" not in block.text:
        return ()
    try:
        rule = tomllib.loads(block.text).get("rule")
    except (tomllib.TOMLDecodeError, RecursionError):
        return ()
    return _texts(rule.get("index")) if isinstance(rule, Mapping) else ()


def _place_of(error: tomllib.TOMLDecodeError, block: Block) -> Span:
    found = re.search(r"at line (\d+), column (\d+)", str(error))
    if found is None:
        return block.span(0, 0)
    lines = block.text.split("\n")[: int(found[1]) - 1]
    start = sum(len(line) + 1 for line in lines) + int(found[2]) - 1
    return block.span(start, start + 1)


@define
class _Reader:
    """One rule while it is read."""

    source: Source
    rule: Mapping[str, Any]
    about: Mapping[str, Any]
    stem: str
    said: list[Diagnostic] = field(factory=list)

    def draft(self) -> Draft:
        place = self.place("rule_id")
        id_ = _text(self.rule, "rule_id") or self.stem
        metadata = self.metadata()
        written = _text(self.rule, "query")
        block = text_block(self.source, "query", written)
        program: ir.Program | None = None
        try:
            reading = self.reading(block)
            self.said += reading.diagnostics
            if reading.program is not None:
                [output] = reading.program.outputs
                plan = self.plan(output.plan)
                program = ir.Program((ir.Output(OUTPUT, plan, output.span),))
        except Refusal as refused:
            self.said.append(refused.diagnostic)
        if has_errors(self.said):
            program = None
        language = "EQL" if _text(self.rule, "type") == "eql" else "KQL"
        written_as = written_in(language, block, "ECS native")
        return Draft(
            id_,
            metadata,
            program,
            block,
            tuple(self.said),
            place=place,
            publication=written_as,
        )

    def place(self, key: str) -> Span:
        """Where a key of the rule stands."""
        pattern = rf"^[ \t]*(?:\[+[ \t]*rule\.)?{re.escape(key)}(?=[ \t]*[=\].])"
        found = re.search(pattern, self.source.text, re.MULTILINE)
        if found is None:
            # A key that is missing is missing in the table.
            found = re.search(r"^[ \t]*\[[ \t]*rule[ \t]*\]", self.source.text, re.MULTILINE)
        return Span(self.source, *(found.span() if found else (0, 0)))

    # The query

    def reading(self, block: Block) -> QueryReading:
        """The query as its language means it. Raises `Refusal`."""
        type_, language = _text(self.rule, "type"), _text(self.rule, "language")
        if type_ not in ("eql", "query", "threshold", "new_terms"):
            what = f"a rule of the type {type_}" if type_ else "a rule without a type"
            raise unsupported(what, self.place("type"))
        language = language or ("eql" if type_ == "eql" else "kuery")
        if not block.text.strip() and "query" not in self.rule:
            raise wrong("the rule has no query", self.place("type"))
        match language:
            case "eql" if type_ == "eql":
                category = _text(self.rule, "event_category_override") or "event.category"
                return read_elastic(block, category)
            case "kuery" if type_ != "eql":
                return kuery.read(block)
            case _:
                what = f"a rule of the type {type_} in the language {language}"
                raise unsupported(what, self.place("language"))

    def plan(self, plan: ir.Plan) -> ir.Plan:
        """The query's plan with what the rule adds to it. Raises `Refusal`."""
        conditions = filters_of(self.rule.get("filters"), self.place("filters"))
        if conditions and not isinstance(plan, ir.Filter):
            raise unsupported("filters of a rule about several events", self.place("filters"))
        if conditions and isinstance(plan, ir.Filter):
            whole = ir.simplify(ir.And((plan.condition, *conditions)))
            plan = evolve(plan, condition=whole)
        self._note_exceptions()
        match _text(self.rule, "type"):
            case "threshold":
                return self._threshold(plan)
            case "new_terms":
                return self._new_terms(plan)
            case _:
                return plan

    def _note_exceptions(self) -> None:
        for item in _tables(self.rule.get("exceptions_list")):
            name = _text(item, "list_id") or _text(item, "id")
            message = f"the exceptions of the list {name} are not known here"
            note = "it is kept in Kibana; exclusions of one's own are in the tuning file"
            place = self.place("exceptions_list")
            self.said.append(Diagnostic(codes.FOREIGN_NEAR, message, place, notes=(note,)))

    def _threshold(self, plan: ir.Plan) -> ir.Plan:
        place = self.place("threshold")
        found = _table(self.rule, "threshold")
        least = found.get("value")
        if not isinstance(least, int) or isinstance(least, bool) or least < 1:
            raise wrong("a threshold has a value, a whole number from 1", place)
        keys = tuple(map(ir.Field, _texts(found.get("field"))))
        columns = [ir.Column("count", ir.Aggregate("count", None))]
        count = ir.Field("count", None, ir.Type.INTEGER)
        asked: list[ir.Condition] = [
            ir.Compare(count, ir.Relation.GREATER_EQUAL, ir.Constant(least), ir.Type.INTEGER)
        ]
        for number, item in enumerate(_tables(found.get("cardinality")), 1):
            name, wanted = _text(item, "field"), item.get("value")
            if not name or not isinstance(wanted, int) or isinstance(wanted, bool):
                raise wrong("a cardinality has a field and a value", place)
            column = f"different_{number}"
            columns.append(ir.Column(column, ir.Aggregate("distinct_count", ir.Field(name))))
            value = ir.Field(column, None, ir.Type.INTEGER)
            asked.append(
                ir.Compare(value, ir.Relation.GREATER_EQUAL, ir.Constant(wanted), ir.Type.INTEGER)
            )
        span = self._duration("from", _DEFAULT_LOOKBACK)
        return ir.Window((plan,), keys, span, tuple(columns), ir.conjunction(tuple(asked)))

    def _new_terms(self, plan: ir.Plan) -> ir.Plan:
        place = self.place("new_terms")
        found = _table(self.rule, "new_terms")
        names = _texts(found.get("value") or self.rule.get("new_terms_fields"))
        if not names:
            raise wrong("the fields of the new terms are missing", place)
        history = self.rule.get("history_window_start")
        for item in _tables(found.get("history_window_start")):
            history = item.get("value")
        within = _duration(history)
        if within is None:
            raise wrong("the start of the history is not like now-7d", place)
        keys = tuple(map(ir.Field, names))
        steps = (ir.Step(plan, keys, absent=True), ir.Step(plan, keys))
        return ir.Sequence(steps, (False,) * len(keys), within, span=plan_span(plan))

    def _duration(self, key: str, default: int) -> int:
        written = self.rule.get(key)
        if written is None:
            return default
        found = _duration(written)
        if found is None:
            raise wrong(f"`{key}` is not like now-9m", self.place(key))
        return found

    # What is said about it

    def metadata(self) -> Metadata:
        """The rule's metadata; what is wrong in it never keeps the rule from running."""
        level = _text(self.rule, "severity").lower()
        score = self.rule.get("risk_score")
        if level not in LEVELS:
            if level:
                message = f"the severity {level} is none of {', '.join(LEVELS)}"
                self.said.append(
                    Diagnostic(codes.ELASTIC_METADATA, message, self.place("severity"))
                )
            level = next(
                (word for most, word in _BANDS if isinstance(score, int) and score <= most), ""
            )
        tags = _texts(self.rule.get("tags"))
        platforms = [tag.removeprefix("OS:").strip().lower() for tag in tags if tag[:3] == "OS:"]
        if isinstance(score, int | float):
            tags = (*tags, f"Risk score: {score}")
        if not _text(self.rule, "name"):
            message = "the rule has no name"
            self.said.append(Diagnostic(codes.ELASTIC_METADATA, message, self.place("rule_id")))
        return Metadata(
            title=_text(self.rule, "name"),
            description=_text(self.rule, "description").strip(),
            status=_STATUSES.get(_text(self.about, "maturity"), ""),
            level=level,
            author=", ".join(_texts(self.rule.get("author"))),
            date=_text(self.about, "creation_date").replace("/", "-"),
            platforms=tuple(dict.fromkeys(platforms)),
            attack=_attack(self.rule.get("threat")),
            tags=tags,
            references=_texts(self.rule.get("references")),
            notes=tuple(filter(None, (_text(self.rule, "setup").strip(),))),
            false_positives=tuple(t.strip() for t in _texts(self.rule.get("false_positives"))),
            data=self._data(),
        )

    def _data(self) -> str:
        parts = []
        patterns = _texts(self.rule.get("index"))
        if patterns:
            parts.append(f"indices {', '.join(patterns)}")
        needed = [_text(item, "name") for item in _tables(self.rule.get("required_fields"))]
        if any(needed):
            parts.append(f"fields {', '.join(filter(None, needed))}")
        return "; ".join(parts)


def plan_span(plan: ir.Plan) -> Span | None:
    """Where a plan is written, if that is known."""
    found = getattr(plan, "span", None)
    return found if isinstance(found, Span) else None


def _duration(written: object) -> int | None:
    found = _DURATION.fullmatch(written) if isinstance(written, str) else None
    return None if found is None else int(found[1]) * _UNITS[found[2]]


def _attack(threat: Any) -> tuple[Technique, ...]:
    """The techniques of the tables ``[[rule.threat]]``; a tactic without one has none to stand
    with."""
    made: dict[str, Technique] = {}
    for item in _tables(threat):
        if "ATT&CK" not in _text(item, "framework"):
            continue
        tactic = _text(_table(item, "tactic"), "id")
        for technique in _tables(item.get("technique")):
            id_ = _text(technique, "id")
            if not id_:
                continue
            below = tuple(_text(sub, "id") for sub in _tables(technique.get("subtechnique")))
            known = made.get(id_, Technique(id_))
            made[id_] = evolve(
                known,
                subtechniques=tuple(dict.fromkeys((*known.subtechniques, *filter(None, below)))),
                tactics=tuple(dict.fromkeys((*known.tactics, *filter(None, (tactic,))))),
            )
    return tuple(made.values())


def _text(table: Mapping[str, Any], key: str) -> str:
    found = table.get(key)
    return found if isinstance(found, str) else ""


def _texts(found: Any) -> tuple[str, ...]:
    listed = found if isinstance(found, Sequence) and not isinstance(found, str) else [found]
    return tuple(item for item in listed if isinstance(item, str) and item)


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = table.get(key)
    return found if isinstance(found, Mapping) else {}


def _tables(found: Any) -> list[Mapping[str, Any]]:
    listed = found if isinstance(found, list) else [found]
    return [item for item in listed if isinstance(item, Mapping)]
