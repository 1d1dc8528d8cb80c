r"""Files of Splunk searches: each search a rule.

* ``.spl``: the text of one search. A comment before it (between three backticks) is its title.
* ``savedsearches.conf``: each stanza with a ``search``. The settings of Enterprise Security's
  correlation searches become metadata: label, description, severity, ATT&CK.
* Splunk's security content: YAML with ``search``, ``type``, ``how_to_implement`` and tags.
* ``macros.conf`` and ``macros/NAME.yml``: the texts of macros, for all searches of a call.

A search is turned into CAR's names where it asks for events that CAR has, so that it runs on every
log with a field map. Otherwise it is read under the names of the log that its source types and
macros name (`log_sources`).

A saved search that counts does so in the stretch of time that each of its runs looks at
(``dispatch.earliest_time``). A lower bound of a count becomes a window of that length.

https://docs.splunk.com/Documentation/Splunk/latest/Admin/Savedsearchesconf
https://github.com/splunk/security_content
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from ... import ir, yamltext
from ...diagnostics import Block, CarError, Diagnostic, Source, Span, codes, has_errors
from ...rule.drafts import Draft
from ...rule.frontmatter import FrontMatterFields, technique_of
from ...rule.model import LEVELS, Metadata, Technique, written_in
from ..query import QueryReading, Refusal, unsupported
from ..raising import raised
from .conf import Stanza, stanzas_of
from .log_sources import log_sources_of, under_own_names
from .macros import Macro, Macros, expanded, known_macros, macros_of_conf, macros_of_yaml
from .reader import SplunkReading, read_search
from .schedule import Schedule, in_stretches, scheduled

OUTPUT = "matches"
_TECHNIQUE = re.compile(r"T\d{4}(?:\.\d{3})?")
_COMMENT = re.compile(r"\s*```(?P<text>[\s\S]*?)```")
_CONF_KEY = re.compile(r"^[ \t]*(?P<key>search|definition)[ \t]*=", re.MULTILINE)
_YAML_SEARCH = re.compile(r"^search[ \t]*:", re.MULTILINE)
# The severities of an alert, as Splunk's screens call them.
_SEVERITIES = {"1": "informational", "2": "low", "3": "medium", "4": "high", "5": "critical"}
_STATUSES = {"production": "stable", "experimental": "experimental", "deprecated": "deprecated"}
_BANDS = ((20, "informational"), (40, "low"), (60, "medium"), (80, "high"), (100, "critical"))
_CONDITION = re.compile(r"\s*(?:search|where)\b", re.IGNORECASE)


def read(
    sources: Sequence[Source], macro_sources: Sequence[Source] = ()
) -> tuple[list[Draft], list[Diagnostic]]:
    """The rules of files, and what there is to say of files that give none.

    ``macro_sources`` have further macros, which count before those among the files.

    >>> searches = Source("savedsearches.conf", "[Tools]\\nsearch = EventCode=1 `tools`\\n")
    >>> macros = Source("macros.conf", "[tools]\\ndefinition = Image=*psexec.exe\\n")
    >>> [draft], said = read([searches], [macros])
    >>> draft.id, draft.program is not None
    ('Tools', True)
    """
    said: list[Diagnostic] = []
    macros: list[Macro] = []
    searches: list[Source] = []
    for source in (*sorted(sources, key=_is_local), *macro_sources):
        if _is_yaml(source):
            is_macro = _YAML_SEARCH.search(source.text) is None
            found, wrong = macros_of_yaml(source) if is_macro else ([], [])
        else:
            is_macro = source in macro_sources or _keeps_macros(source)
            found, wrong = macros_of_conf(source) if is_macro else ([], [])
        macros += found
        said += wrong
        if not is_macro:
            searches.append(source)
        elif not found and not wrong:
            message = "there is no macro in it"
            said.append(Diagnostic(codes.SPLUNK_SETTING, message, origin=source.name))
    known = known_macros(macros)
    order = {source: number for number, source in enumerate(sources)}
    drafts: list[Draft] = []
    for source in sorted(searches, key=lambda found: order.get(found, -1)):
        if _is_yaml(source):
            drafts.append(_of_content(source, known))
        elif source.name.lower().endswith(".conf"):
            made, wrong = _of_conf(source, known)
            drafts += made
            said += wrong
        else:
            drafts.append(_of_text(source, known))
    return drafts, said


def _is_yaml(source: Source) -> bool:
    return source.name.lower().endswith((".yml", ".yaml"))


def _is_local(source: Source) -> bool:
    """Whether a file is of an app's folder ``local``, whose settings count before others."""
    return "/local/" in source.name.replace("\\", "/").replace("!", "/")


def _keeps_macros(source: Source) -> bool:
    """Whether a file has definitions and no searches."""
    if not source.name.lower().endswith(".conf"):
        return False
    return all(found["key"] == "definition" for found in _CONF_KEY.finditer(source.text))


# The three kinds of files


def _of_text(source: Source, macros: Macros) -> Draft:
    block = Block.whole(source)
    comment = _COMMENT.match(source.text)
    title = " ".join(comment["text"].split())[:200] if comment else ""
    stem = Path(source.name.replace("!", "/")).stem or source.name
    search = _SearchReader(block, macros, block.span(0, 0))
    return search.draft(stem, Metadata(title=title))


def _of_conf(source: Source, macros: Macros) -> tuple[list[Draft], list[Diagnostic]]:
    stanzas, said = stanzas_of(source)
    drafts = []
    for stanza in stanzas:
        block = stanza.settings.get("search")
        if block is None:
            message = f"the stanza [{stanza.name}] has no search"
            said.append(Diagnostic(codes.SPLUNK_SETTING, message, stanza.span))
            continue
        search = _SearchReader(block, macros, stanza.span)
        about = _saved_metadata(stanza, search)
        drafts.append(search.draft(stanza.name, about, stanza))
    return drafts, said


def _of_content(source: Source, macros: Macros) -> Draft:
    block = Block.whole(source)
    stem = Path(source.name.replace("!", "/")).stem or source.name
    try:
        root = yamltext.load_yaml(block, codes.FOREIGN_SYNTAX)
    except CarError as error:
        return Draft(stem, Metadata(), None, block, error.diagnostics)
    fields = FrontMatterFields(root if isinstance(root, yamltext.Mapping) else None)
    written = fields.node("search")
    node = fields.node("id")
    place = root.span if node is None else node.span
    if not isinstance(written, yamltext.Scalar):
        message = "the search is a text"
        wrong = Diagnostic(codes.FOREIGN_SYNTAX, message, root.span)
        return Draft(stem, Metadata(), None, block, (wrong,), place=place)
    search = _SearchReader(written.text_block, macros, place)
    about = _content_metadata(fields)
    # What is wrong in what a rule says about itself never keeps it from running.
    search.said += [evolve(item, code=codes.SPLUNK_SETTING) for item in fields.found]
    return search.draft(fields.text("id") or stem, about)


@define
class _SearchReader:
    """One search while it is read; ``said`` is what there is to say of it."""

    block: Block
    macros: Macros
    place: Span
    said: list[Diagnostic] = field(factory=list)

    def draft(self, id_: str, about: Metadata, stanza: Stanza | None = None) -> Draft:
        """The draft of the rule; ``stanza`` is that of a saved search."""
        program: ir.Program | None = None
        try:
            block = expanded(self.block, self.macros)
            if stanza is not None and (asked := stanza.settings.get("alert_condition")):
                block = _with_condition(block, asked)
            found = read_search(block)
            reading = self.reading(found)
            self.said += reading.diagnostics
            program = reading.program
            if program is not None:
                [output] = program.outputs
                plan = _with_null_keys(output.plan) if found.keeps_null else output.plan
                if found.bin is not None:
                    plan, notes = in_stretches(plan, found.bin, self.place)
                    self.said += notes
                elif stanza is not None:
                    plan, notes = scheduled(plan, _schedule(stanza), self.place)
                    self.said += notes
                program = ir.Program((ir.Output(OUTPUT, plan, output.span),))
        except Refusal as refused:
            self.said.append(refused.diagnostic)
        if has_errors(self.said):
            program = None
        return Draft(
            id_,
            about,
            program,
            self.block,
            tuple(self.said),
            place=self.place,
            publication=written_in("Splunk", self.block, "Splunk native"),
        )

    def reading(self, found: SplunkReading) -> QueryReading:
        """The search in CAR's names, or else in those of its log."""
        reading, places = found.reading, found.places
        if reading.program is None:
            return reading
        logs = log_sources_of(places)
        if any(kind.object != "windows" for kind in logs):
            return under_own_names(reading, places)
        in_cars = raised(reading)
        if any(said.code is codes.NATIVE_ABSENT for said in in_cars.diagnostics):
            # A name that CAR has for other events only is one that the log has for these.
            return under_own_names(reading, places) if logs else in_cars
        if in_cars.program is not None and _asks_cars_fields(in_cars.program):
            return in_cars
        if any("datamodel" in _names(plan) for plan in _plans(reading.program)):
            # A data model's names are no event's.
            return in_cars
        return under_own_names(reading, places)


def _with_null_keys(plan: ir.Plan) -> ir.Plan:
    """The plan whose groups have the events without a key, too, as one group."""

    def change(part: ir.Plan) -> ir.Plan:
        match ir.map_plans(part, change):
            case ir.Group(plans, keys, _, span) as group:
                made = list(plans)
                for key in dict.fromkeys(keys):
                    number = key.type in (ir.Type.INTEGER, ir.Type.NUMBER)
                    other = ir.Constant(0) if number else ir.Constant("unknown")
                    value = ir.Call("first", (key, other), key.type)
                    made = [ir.Assign(one, key.name, value, span) for one in made]
                return evolve(group, plans=tuple(made))
            case other_plan:
                return other_plan

    return change(plan)


def _plans(program: ir.Program) -> Iterable[ir.Plan]:
    return ir.every_plan(output.plan for output in program.outputs)


def _names(plan: ir.Plan) -> Iterable[str]:
    return (f.name for value in ir.values_of_plan(plan) for f in ir.fields_in(value))


def _asks_cars_fields(program: ir.Program) -> bool:
    """Whether a program in CAR's names searches for certain kinds of events, or asks for one of
    their fields: a search of which nothing became CAR's is about other events."""
    from ...datamodel import model

    for plan in _plans(program):
        kinds = ir.searched(plan)
        if any(name != "time" and _is_cars(name, kinds, model()) for name in _names(plan)):
            return True
    searches = [plan for plan in _plans(program) if isinstance(plan, ir.Search)]
    return all(len(search.kinds) <= 4 for search in searches)


def _is_cars(name: str, kinds: Iterable[ir.EventKind], known: Any) -> bool:
    specs = [known.object(kind.object) for kind in kinds]
    return any(spec is not None and spec.field(name) is not None for spec in specs)


def _with_condition(block: Block, condition: Block) -> Block:
    """The search with the condition of its alert behind it, which is a command or terms."""
    joint = " | " if _CONDITION.match(condition.text) else " | search "
    last = block.offsets[-1]
    offsets = [*block.offsets[:-1], *[last] * len(joint), *condition.offsets]
    return Block(block.source, f"{block.text}{joint}{condition.text}", offsets)


# What is said about a search


def _saved_metadata(stanza: Stanza, search: _SearchReader) -> Metadata:
    severity = stanza.text("action.notable.param.severity").lower()
    if severity in ("", "unknown"):
        severity = _SEVERITIES.get(stanza.text("alert.severity"), "")
    elif severity not in LEVELS:
        message = f"the severity {severity} is none of {', '.join(LEVELS)}"
        place = stanza.settings["action.notable.param.severity"]
        search.said.append(
            Diagnostic(codes.SPLUNK_SETTING, message, place.span(0, len(place.text)))
        )
        severity = ""
    tags = []
    if score := stanza.text("action.risk.param._risk_score"):
        tags.append(f"Risk score: {score}")
    if stanza.text("disabled").lower() in ("1", "true"):
        tags.append("disabled")
    every, start = stanza.text("cron_schedule"), stanza.text("dispatch.earliest_time")
    end = stanza.text("dispatch.latest_time")
    asked = [f"searched at {every}"] if every else []
    asked += [f"from {start} to {end or 'now'}"] if start else []
    description = stanza.text("description") or stanza.text("action.correlationsearch.description")
    return Metadata(
        title=stanza.text("action.correlationsearch.label") or stanza.name,
        description=description or stanza.text("action.notable.param.rule_description"),
        level=severity,
        attack=_annotated(stanza, search),
        tags=tuple(tags),
        data=" ".join(asked),
    )


def _annotated(stanza: Stanza, search: _SearchReader) -> tuple[Technique, ...]:
    """The techniques of ``action.correlationsearch.annotations``, which is JSON."""
    block = stanza.settings.get("action.correlationsearch.annotations")
    if block is None or not block.text.strip():
        return ()
    place = block.span(0, len(block.text))
    try:
        found = json.loads(block.text)
    except (ValueError, RecursionError):
        message = "the annotations are no JSON"
        search.said.append(Diagnostic(codes.SPLUNK_SETTING, message, place))
        return ()
    listed = found.get("mitre_attack") if isinstance(found, dict) else None
    listed = listed if isinstance(listed, list) else [listed] if listed else []
    return _techniques(str(item) for item in listed)


def _techniques(ids: Iterable[str]) -> tuple[Technique, ...]:
    """The techniques of ids; what is none (a tactic, a group) is left out."""
    made: dict[str, Technique] = {}
    for text in ids:
        for id_ in _TECHNIQUE.findall(text.replace("/", ".").upper()):
            one = technique_of(id_)
            known = made.get(one.id, one)
            below = dict.fromkeys((*known.subtechniques, *one.subtechniques))
            made[one.id] = evolve(known, subtechniques=tuple(below))
    return tuple(made.values())


def _content_metadata(fields: FrontMatterFields) -> Metadata:
    node = fields.node("tags")
    tags = FrontMatterFields(node if isinstance(node, yamltext.Mapping) else None)
    ids = (*fields.texts("mitre_attack_id"), *tags.texts("mitre_attack_id"))
    scores = [*_scores(fields.node("rba"), "risk_objects"), *_scores(node, "")]
    scores += _scores(fields.node("intermediate_findings"), "entities")
    scores += _scores(fields.node("finding"), "entity")
    score = max(scores, default=None)
    level = next((word for most, word in _BANDS if score is not None and score <= most), "")
    kind = fields.text("type")
    shown = [*tags.texts("analytic_story"), *fields.texts("analytic_story")]
    shown += [f"Type: {kind}"] if kind else []
    shown += [f"Risk score: {score}"] if score is not None else []
    fields.found += tags.found
    return Metadata(
        title=fields.text("name"),
        description=fields.text("description"),
        status=_STATUSES.get(fields.text("status").lower(), ""),
        level=level,
        author=fields.text("author"),
        date=fields.text("date") or fields.text("creation_date"),
        attack=_techniques(ids),
        tags=tuple(dict.fromkeys(shown)),
        references=fields.texts("references"),
        notes=tuple(filter(None, (fields.text("how_to_implement"),))),
        false_positives=tuple(filter(None, (fields.text("known_false_positives"),))),
        data=", ".join(fields.texts("data_source")),
    )


def _scores(node: yamltext.Node | None, below: str) -> list[int]:
    """The risk scores of a mapping, or of the items it has under a key."""
    if not isinstance(node, yamltext.Mapping):
        return []
    plain = yamltext.plain(node)
    listed = plain.get(below) if below else [plain]
    listed = listed if isinstance(listed, list) else [listed]
    found = [
        item.get(key)
        for item in listed
        if isinstance(item, dict)
        for key in ("risk_score", "score")
    ]
    return [one for one in found if isinstance(one, int) and not isinstance(one, bool)]


def _schedule(stanza: Stanza) -> Schedule:
    """How a saved search is run, and from how many results on it alerts. Raises `Refusal`."""
    start, end = stanza.text("dispatch.earliest_time"), stanza.text("dispatch.latest_time")
    kind = (stanza.text("counttype") or stanza.text("alert_type")).lower()
    relation = (stanza.text("relation") or stanza.text("alert_comparator")).lower()
    quantity = stanza.text("quantity") or stanza.text("alert_threshold")
    if kind in ("", "always", "custom"):
        relation = quantity = ""
    elif kind != "number of events":
        what = f"an alert from the {kind} on"
        raise unsupported(what, stanza.span)
    return Schedule(start, end, relation, quantity)
