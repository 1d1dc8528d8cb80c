"""Conditions that stand alone, with no search: the kind of event has to be in them.

People who work with Windows logs write what they look for as a condition on the log and the event
code. Where an event of that code is one of CAR's kinds, the condition is a search for it::

    log_name == "System" and event_code == 7036 and param1 in ["…"] and param2 == "stopped"
    events = search Service:Stop where (name in ["…"])

The parts that choose the event (``log_name``, ``event_code``, and here ``param2``) are left out;
the others are renamed to CAR's fields. A condition with no event code is a search for the one
object that has all its fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from ..datamodel import DataModel, fold_name
from ..diagnostics import Block, codes
from ..syntax import ast, parse_program
from ..syntax.lexical import Lexeme
from ..syntax.walking import all_in, fields_in
from . import foreign
from .editing import Repair, Text

_CODES = frozenset(["eventcode", "eventid", "eventidcode", "evtid", "event.code", "winlog.eventid"])
_CHANNELS = frozenset(["logname", "channel", "eventlog", "log", "winlog.channel"])
_SOURCES = frozenset(["sourcename", "provider", "providername", "source", "eventsource"])
_SYSMON = "sysmon"


@frozen
class Meaning:
    """What an event of a Windows log is in CAR.

    ``kind`` is object and action; ``fields`` names CAR's fields for those of the event; ``when``
    holds fields with the text that makes the event this one; ``always`` fields with texts that
    every such event has.
    """

    kind: str
    fields: Mapping[str, str] = {}
    when: Mapping[str, str] = {}
    always: Mapping[str, tuple[str, ...]] = {}


_INFORMATION = dict.fromkeys(
    ("severity", "level", "loglevel", "eventtype", "type"), ("information", "info", "0", "4")
)
_SUCCESS = {**_INFORMATION, "keywords": ("audit success", "success")}
_LOGON = {
    "targetusername": "user",
    "accountname": "user",
    "authenticationpackagename": "authentication_package",
    "authenticationpackage": "authentication_package",
    "logontype": "login_type",
    "logonprocessname": "logon_process",
    "ipaddress": "src_ip",
    "sourcenetworkaddress": "src_ip",
    "ipport": "src_port",
    "workstationname": "src_hostname",
    "targetdomainname": "ad_domain",
    "targetlogonid": "login_id",
    "processname": "image_path",
}
_FAILED_LOGON = {**_LOGON, "targetusername": "target_user", "targetdomainname": "target_ad_domain"}
_SESSION = {"accountname": "user", "targetusername": "user", "targetlogonid": "login_id"}
_SUBJECT = {"subjectusername": "user", "processname": "image_path", "processid": "pid"}

# By channel and event id. Ids of the Security and System logs are unmistakable without their
# channel.
_EVENTS: Mapping[tuple[str, int], tuple[Meaning, ...]] = {
    ("security", 4624): (Meaning("user_session/login", _LOGON, {}, _SUCCESS),),
    ("security", 4625): (Meaning("authentication/failure", _FAILED_LOGON, {}, _INFORMATION),),
    ("security", 4634): (Meaning("user_session/logout", _SESSION, {}, _SUCCESS),),
    ("security", 4647): (Meaning("user_session/logout", _SESSION, {}, _SUCCESS),),
    ("security", 4778): (Meaning("user_session/reconnect", _SESSION, {}, _SUCCESS),),
    ("security", 4800): (Meaning("user_session/lock", _SESSION, {}, _SUCCESS),),
    ("security", 4801): (Meaning("user_session/unlock", _SESSION, {}, _SUCCESS),),
    ("security", 4688): (
        Meaning(
            "process/create",
            {
                "newprocessname": "image_path",
                "processcommandline": "command_line",
                "newprocessid": "pid",
                "processid": "ppid",
                "parentprocessname": "parent_image_path",
                "creatorprocessname": "parent_image_path",
                "subjectusername": "user",
            },
            {},
            _SUCCESS,
        ),
    ),
    ("security", 4689): (Meaning("process/terminate", _SUBJECT, {}, _SUCCESS),),
    ("security", 4657): (
        Meaning(
            "registry/value_edit",
            {**_SUBJECT, "objectname": "key", "objectvaluename": "value", "newvalue": "data"},
            {},
            _SUCCESS,
        ),
    ),
    ("security", 4670): (
        Meaning(
            "file/acl_modify",
            {
                **_SUBJECT,
                "objectname": "file_path",
                "subjectusersid": "uid",
                "subjectsecurityid": "user",
            },
            {"objecttype": "file"},
            _SUCCESS,
        ),
    ),
    ("security", 4697): (
        Meaning(
            "service/create",
            {"servicename": "name", "servicefilename": "image_path", "subjectusername": "user"},
            {},
            _SUCCESS,
        ),
    ),
    ("security", 5156): (
        Meaning(
            "flow/start",
            {
                "sourceaddress": "src_ip",
                "sourceport": "src_port",
                "destaddress": "dest_ip",
                "destport": "dest_port",
                "application": "image_path",
                "applicationname": "image_path",
            },
            {},
            _SUCCESS,
        ),
    ),
    ("system", 7036): (
        Meaning("service/stop", {"param1": "name"}, {"param2": "stopped"}, _INFORMATION),
        Meaning("service/start", {"param1": "name"}, {"param2": "running"}, _INFORMATION),
    ),
    ("system", 7045): (
        Meaning(
            "service/create",
            {"servicename": "name", "servicefilename": "image_path", "imagepath": "image_path"},
            {},
            _INFORMATION,
        ),
    ),
    (_SYSMON, 1): (Meaning("process/create", {}, {}, _INFORMATION),),
    (_SYSMON, 2): (Meaning("file/timestomp", {}, {}, _INFORMATION),),
    (_SYSMON, 3): (Meaning("flow/start", {}, {}, _INFORMATION),),
    (_SYSMON, 5): (Meaning("process/terminate", {}, {}, _INFORMATION),),
    (_SYSMON, 6): (Meaning("driver/load", {}, {}, _INFORMATION),),
    (_SYSMON, 7): (Meaning("module/load", {}, {}, _INFORMATION),),
    (_SYSMON, 8): (Meaning("thread/remote_create", {}, {}, _INFORMATION),),
    (_SYSMON, 10): (Meaning("process/access", {}, {}, _INFORMATION),),
    (_SYSMON, 11): (Meaning("file/create", {}, {}, _INFORMATION),),
    (_SYSMON, 13): (Meaning("registry/value_edit", {}, {}, _INFORMATION),),
    (_SYSMON, 14): (Meaning("registry/key_edit", {}, {}, _INFORMATION),),
    (_SYSMON, 23): (Meaning("file/delete", {}, {}, _INFORMATION),),
}

_BEFORE = "x = search Process where (\n"


def bare_condition(text: Text, part: Sequence[Lexeme], datamodel: DataModel) -> list[Repair]:
    """The repairs that make a condition that stands alone a search and an output."""
    start, end = part[0].start, part[-1].end
    parsed = parse_program(Block.of(f"{_BEFORE}{text.text[start:end]}\n)\noutput x"))
    statements = parsed.program.statements
    if (
        parsed.diagnostics
        or len(statements) != 2
        or not isinstance(statements[0], ast.DefineStatement)
    ):
        return []
    search = statements[0].value
    if not isinstance(search, ast.SearchExpression) or search.condition is None:
        return []
    reader = _LoneConditionReader(text, start - len(_BEFORE), datamodel)
    followed = bool(text.text[end:].strip())
    return reader.read(search.condition, start, end, followed)


@frozen
class _LoneConditionReader:
    """``shift`` leads from places in the parsed text to places in the present one."""

    text: Text
    shift: int
    datamodel: DataModel

    def read(self, condition: ast.Expression, start: int, end: int, followed: bool) -> list[Repair]:
        names = {fold_name(item.text) for item in fields_in(condition)}
        if names & (_CODES | _CHANNELS | _SOURCES):
            made = self._by_event(condition, start, end)
        else:
            made = self._by_fields(condition, start, end)
        if made and followed:
            self.text.refuse(start, end, "a condition stands alone beside other statements")
            return []
        return made

    # Conditions on an event code

    def _by_event(self, condition: ast.Expression, start: int, end: int) -> list[Repair]:
        items = condition.items if isinstance(condition, ast.AndExpression) else (condition,)
        found = self._event(items)
        if found is None:
            self._refuse(condition, start, end)
            return []
        meaning, chosen = found
        kept = [item for item in items if id(item) not in chosen]
        object_, action = meaning.kind.split("/")
        title = self.datamodel.title_of_action(object_, action)
        made: list[Repair] = []
        words = f"events = search {title}"
        if kept:
            words += " where (\n"
        message = f"the condition stands alone; it is about events that are {title}"
        made.append(Repair(start, start, words, codes.SEARCH_ADDED, message))
        tail = "\noutput events"
        made.append(Repair(end, end, ")" + tail if kept else tail, codes.SEARCH_ADDED))
        made += self._without(items, chosen, start, end)
        for item in kept:
            made += self._renamed(item, meaning, object_)
        return made

    def _event(self, items: Sequence[ast.Expression]) -> tuple[Meaning, frozenset[int]] | None:
        """The one kind of event that the parts choose, and the parts that say nothing beyond it."""
        codes_: list[int] = []
        channel = ""
        chosen: set[int] = set()
        for item in items:
            name, values = _equality(item)
            if name in _CODES:
                numbers = [int(value) for value in values if value.isdigit()]
                if not numbers or len(numbers) != len(values) or codes_:
                    return None
                codes_ = numbers
                chosen.add(id(item))
            elif name in _CHANNELS | _SOURCES and len(values) == 1:
                channel = channel or _channel(values[0])
                chosen.add(id(item))
        if not codes_:
            return None
        meanings = [self._meaning(channel, number, items) for number in codes_]
        first = meanings[0]
        if first is None or any(other is None or other.kind != first.kind for other in meanings):
            return None
        for item in items:
            name, values = _equality(item)
            if len(values) != 1:
                continue
            value = values[0].lower()
            if first.when.get(name) == value or value in first.always.get(name, ()):
                chosen.add(id(item))
        return first, frozenset(chosen)

    def _meaning(
        self, channel: str, number: int, items: Sequence[ast.Expression]
    ) -> Meaning | None:
        channels = [channel] if channel else ["security", "system"]
        said = {name: values for name, values in map(_equality, items) if name}
        for log in channels:
            for meaning in _EVENTS.get((log, number), ()):
                if all(
                    [value.lower() for value in said.get(name, ())] == [wanted]
                    for name, wanted in meaning.when.items()
                ):
                    return meaning
        return None

    def _without(
        self, items: Sequence[ast.Expression], chosen: frozenset[int], start: int, end: int
    ) -> list[Repair]:
        """The repairs that take out parts of a conjunction, with the connective that goes with
        each."""
        made: list[Repair] = []
        gone = [id(item) in chosen for item in items]
        if all(gone):
            return [Repair(start, end, "", codes.IMPLIED_BY_KIND)]
        places = [(item.span.start + self.shift, item.span.end + self.shift) for item in items]
        for number, dropped in enumerate(gone):
            if not dropped:
                continue
            begin, stop = places[number]
            if not all(gone[number:]):
                stop = places[number + 1][0]
            else:
                begin = places[number - 1][1]
            shown = " ".join(self.text.text[places[number][0] : places[number][1]].split())
            message = f"every event of this kind has `{shown}`"
            made.append(Repair(begin, stop, "", codes.IMPLIED_BY_KIND, message))
        return made

    def _renamed(self, item: ast.Expression, meaning: Meaning, object_: str) -> list[Repair]:
        made: list[Repair] = []
        spec = self.datamodel.objects[object_]
        for field in fields_in(item):
            name = fold_name(field.text)
            new = meaning.fields.get(name) or foreign.field_of(object_, field.text)
            if new is None or spec.field(field.text) is not None:
                continue
            if name == "subjectsecurityid" and _is_sid(item):
                new = "uid"
            message = f"{field.text} is {new} in CAR's data model"
            span = field.span
            made.append(
                Repair(
                    span.start + self.shift,
                    span.end + self.shift,
                    new,
                    codes.FIELD_READ_AS,
                    message,
                )
            )
        return made

    def _refuse(self, condition: ast.Expression, start: int, end: int) -> None:
        events = sorted(
            {
                value
                for item in all_in(condition)
                for name, values in [_equality(item)]
                if name in _CODES
                for value in values
            }
        )
        what = f"events with the code {', '.join(events)}" if events else "events of a log"
        self.text.refuse(
            start,
            end,
            f"the condition is about {what}, for which CAR's data model has no object and action",
            codes.NO_CAR_OBJECT,
            notes=("a rule searches for one of CAR's objects: name = search Object:Action",),
        )

    # Conditions on fields alone

    def _by_fields(self, condition: ast.Expression, start: int, end: int) -> list[Repair]:
        paths = [item.text for item in fields_in(condition)]
        found = [
            spec
            for spec in self.datamodel.objects.values()
            if paths and all(_has(self.datamodel, spec.name, path) for path in paths)
        ]
        if len(found) != 1:
            which = ", ".join(spec.title for spec in found) or "none"
            self.text.refuse(
                start,
                end,
                "the condition stands alone, and its fields do not tell what events it is about",
                notes=(f"objects that have all its fields: {which}",),
            )
            return []
        title = found[0].title
        message = f"the condition stands alone; only {title} has all its fields"
        head = f"events = search {title} where (\n"
        return [
            Repair(start, start, head, codes.SEARCH_ADDED, message),
            Repair(end, end, ")\noutput events", codes.SEARCH_ADDED),
        ]


def _has(datamodel: DataModel, object_: str, path: str) -> bool:
    spec = datamodel.objects[object_]
    return spec.field(path) is not None or foreign.field_of(object_, path) is not None


def _channel(value: str) -> str:
    lower = value.lower()
    for known in (_SYSMON, "security", "system"):
        if lower == known or (known == _SYSMON and known in lower):
            return known
    return lower


def _equality(expr: ast.Expression) -> tuple[str, list[str]]:
    """The folded field and the texts of ``field = value`` and ``field in [values]``; nothing for
    others."""
    match expr:
        case ast.ComparisonExpression(ast.FieldPath() as field, ((ast.Operator.EQUAL, value),)):
            values: Sequence[ast.Expression] = (value,)
        case ast.InExpression(ast.FieldPath() as field, ast.ListExpression(items), False):
            values = items
        case _:
            return "", []
    texts = [
        str(item.value)
        for item in values
        if isinstance(item, ast.StringLiteral | ast.NumberLiteral)
    ]
    return (fold_name(field.text), texts) if len(texts) == len(values) else ("", [])


def _is_sid(expr: ast.Expression) -> bool:
    return any(
        isinstance(item, ast.StringLiteral) and item.value.upper().startswith("S-1-")
        for item in all_in(expr)
    )
