"""Every log under the names of the Elastic Common Schema.

Elastic's rules are written in ECS. A log in ECS has these names itself (``maps/ecs.yaml``). Of any
other, the field map says which of its events are which CAR events, and where CAR's fields are; from
that follows where the fields of ECS are. So for each entry of a map there is one more, for events
of the source ``ecs/event``, whose native names are those of ECS::

    process/create of sysmon.flat      when: EventID = 1    fields: {image_path: Image, …}
    ecs/event of sysmon.flat           when: EventID = 1    names: {process.executable: Image,
                                                                    event.category: "process", …}

Windows events have two things more: ``event.code``, ``winlog.channel`` and the like, and each field
of the event below ``winlog.event_data``, wherever the shape puts it. Those that are no CAR event
are there as well.

The entries are made when an engine has rules that search for them, and cost nothing otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import evolve

from .. import ir
from .deferred import Deferred, Maker
from .ecs_cloud import cloud_entry
from .load import exclusive
from .logsource import ECS
from .model import Entry, FieldMap, NativeNames

_EVENT_DATA = "winlog.event_data"
_SECURITY = "Microsoft-Windows-Security-Auditing"

# What Elastic's endpoint writes into event.category, event.type and event.action.
# https://www.elastic.co/docs/reference/ecs/ecs-allowed-values-event-category
_KINDS: Mapping[str, tuple[str, str, str]] = {
    "process/create": ("process", "start", "exec"),
    "process/terminate": ("process", "end", "end"),
    "process/access": ("process", "access", "access"),
    "file/create": ("file", "creation", "creation"),
    "file/modify": ("file", "change", "modification"),
    "file/write": ("file", "change", "modification"),
    "file/delete": ("file", "deletion", "deletion"),
    "file/read": ("file", "access", "open"),
    "registry/add": ("registry", "creation", "creation"),
    "registry/value_edit": ("registry", "change", "modification"),
    "registry/key_edit": ("registry", "change", "modification"),
    "registry/edit": ("registry", "change", "modification"),
    "registry/remove": ("registry", "deletion", "deletion"),
    "module/load": ("library", "start", "load"),
    "driver/load": ("driver", "start", "load"),
    "flow/start": ("network", "start", "connection_attempted"),
    "flow/end": ("network", "end", "disconnect_received"),
    "flow/message": ("network", "protocol", "lookup_requested"),
    "authentication/success": ("authentication", "start", "logged-in"),
    "authentication/failure": ("authentication", "start", "logon-failed"),
    "user_session/login": ("authentication", "start", "logged-in"),
    "user_session/logout": ("authentication", "end", "logged-out"),
    "service/create": ("configuration", "creation", "service-installed"),
}
_OUTCOMES = {
    "authentication/success": "success",
    "authentication/failure": "failure",
    "user_session/login": "success",
}
_CATEGORIES = {
    "process": "process",
    "thread": "process",
    "file": "file",
    "registry": "registry",
    "flow": "network",
    "socket": "network",
    "http": "web",
    "module": "library",
    "driver": "driver",
    "authentication": "authentication",
    "user_session": "session",
    "email": "email",
}

_Make = Callable[[ir.Value], ir.Value]


def _itself(value: ir.Value) -> ir.Value:
    return value


def _applied(function: str, *rest: str | int) -> _Make:
    return lambda value: ir.Call(function, (value, *map(ir.Constant, rest)))


def _argument_count(value: ir.Value) -> ir.Value:
    return ir.Call("count", (ir.Call("arguments", (value,)),))


# ECS's field, the CAR field that it is made of, and how. The first that an entry has is taken.
_FIELDS: tuple[tuple[str, str, _Make], ...] = (
    ("process.executable", "image_path", _itself),
    ("process.name", "exe", _itself),
    ("process.pid", "pid", _itself),
    ("process.entity_id", "guid", _itself),
    ("process.command_line", "command_line", _itself),
    ("process.args", "command_line", _applied("arguments")),
    ("process.args_count", "command_line", _argument_count),
    ("process.working_directory", "current_working_directory", _itself),
    ("process.parent.executable", "parent_image_path", _itself),
    ("process.parent.name", "parent_exe", _itself),
    ("process.parent.pid", "ppid", _itself),
    ("process.parent.entity_id", "parent_guid", _itself),
    ("process.parent.command_line", "parent_command_line", _itself),
    ("process.parent.args", "parent_command_line", _applied("arguments")),
    ("process.parent.args_count", "parent_command_line", _argument_count),
    ("process.pe.original_file_name", "original_file_name", _itself),
    ("process.pe.company", "company", _itself),
    ("process.pe.product", "product", _itself),
    ("process.pe.description", "description", _itself),
    ("process.pe.file_version", "file_version", _itself),
    ("process.pe.imphash", "imphash", _itself),
    ("process.Ext.token.integrity_level_name", "integrity_level", _itself),
    ("process.env_vars", "env_vars", _itself),
    ("user.name", "user", _applied("user_of")),
    ("user.domain", "user", _applied("domain_of")),
    ("user.id", "uid", _itself),
    ("host.name", "hostname", _itself),
    ("host.hostname", "hostname", _itself),
    ("host.id", "hostname", _itself),
    ("file.path", "file_path", _itself),
    ("file.name", "file_name", _itself),
    ("file.extension", "extension", _applied("substring", 1)),
    ("file.directory", "file_path", _applied("dirname")),
    ("file.owner", "owner", _itself),
    ("file.group", "group", _itself),
    ("file.mode", "mode", _itself),
    ("file.mime_type", "mime_type", _itself),
    ("file.target_path", "link_target", _itself),
    ("registry.hive", "hive", _itself),
    ("registry.value", "value", _itself),
    ("registry.data.strings", "new_content", _itself),
    ("registry.data.strings", "data", _itself),
    ("dll.path", "module_path", _itself),
    ("dll.name", "module_name", _itself),
    ("source.ip", "src_ip", _itself),
    ("source.address", "src_ip", _itself),
    ("source.port", "src_port", _itself),
    ("source.domain", "src_hostname", _itself),
    ("destination.ip", "dest_ip", _itself),
    ("destination.address", "dest_ip", _itself),
    ("destination.port", "dest_port", _itself),
    ("destination.domain", "dest_fqdn", _itself),
    ("destination.domain", "dest_hostname", _itself),
    ("network.transport", "transport_protocol", _itself),
    ("network.protocol", "application_protocol", _itself),
    ("network.direction", "network_direction", _itself),
    ("dns.question.name", "proto_info.query", _itself),
    ("dns.resolved_ip", "proto_info.answers", _itself),
    ("http.request.referrer", "request_referrer", _itself),
    ("http.request.body.content", "request_body_content", _itself),
    ("http.response.status_code", "response_status_code", _itself),
    ("url.full", "url_full", _itself),
    ("url.original", "url_full", _itself),
    ("url.domain", "url_domain", _itself),
    ("url.path", "url_remainder", _itself),
    ("url.scheme", "url_scheme", _itself),
    ("user_agent.original", "user_agent_full", _itself),
    ("winlog.logon.type", "login_type", _itself),
    ("event.start", "start_time", _itself),
    ("event.end", "end_time", _itself),
)
# Hashes and signatures are of the file that an event is about.
_ABOUT = {"process": "process", "file": "file", "module": "dll", "driver": "dll"}
_OF_A_FILE = (
    ("hash.md5", "md5_hash"),
    ("hash.sha1", "sha1_hash"),
    ("hash.sha256", "sha256_hash"),
    ("code_signature.subject_name", "signer"),
    ("code_signature.trusted", "signature_valid"),
)
# Native names of Windows events that have one of their own in ECS.
_WINDOWS = (
    ("event.code", "EventID"),
    ("event.provider", "Provider_Name"),
    ("winlog.event_id", "EventID"),
    ("winlog.channel", "Channel"),
    ("winlog.provider_name", "Provider_Name"),
    ("winlog.computer_name", "Computer"),
    ("winlog.keywords", "Keywords"),
    ("winlog.task", "Task"),
    ("winlog.opcode", "Opcode"),
    ("winlog.record_id", "EventRecordID"),
    ("message", "Message"),
    ("powershell.file.script_block_text", "ScriptBlockText"),
    ("powershell.file.script_block_id", "ScriptBlockId"),
    ("host.name", "Computer"),
    ("host.hostname", "Computer"),
    ("host.id", "Computer"),
    ("user.id", "SubjectUserSid"),
    ("user.name", "SubjectUserName"),
    ("user.domain", "SubjectDomainName"),
    ("source.ip", "IpAddress"),
    ("source.port", "IpPort"),
)
_SYSTEMS = {
    "sysmon": "windows",
    "eventlog": "windows",
    "windows": "windows",
    "mordor": "windows",
    "defender": "windows",
    "auditd": "linux",
}


def with_ecs(maps: Iterable[FieldMap], installed: Sequence[FieldMap]) -> tuple[FieldMap, ...]:
    """The maps with their events under the names of ECS, too.

    Among the ``installed`` ones are those that know the native names of Windows events.

    >>> from carengine.fieldmap import find_maps, installed_maps, lower
    >>> [sysmon] = with_ecs(find_maps("sysmon.flat"), installed_maps())
    >>> stage = ir.Stage((ECS,), ir.IsNull(ir.Field("process.executable")))
    >>> len(lower(stage, sysmon)) == len(find_maps("sysmon.flat")[0].entries)
    True
    """
    listed = tuple(maps)
    return tuple(_with_ecs(one, listed, installed) for one in listed)


def _with_ecs(
    fieldmap: FieldMap, maps: Sequence[FieldMap], installed: Sequence[FieldMap]
) -> FieldMap:
    if any(entry.kind == ECS for entry in fieldmap.entries):
        return fieldmap
    cloud = cloud_entry(fieldmap, ECS)
    if cloud is not None:
        return evolve(fieldmap, entries=(*fieldmap.entries, cloud))
    windows = _everything_of_windows(fieldmap, installed)
    known: list[Entry] = []
    made: list[Entry] = []
    for entry in fieldmap.entries:
        if entry.native is not None:
            continue
        # An event that is two CAR events is one event of ECS.
        twice = [other.when for other in known if not exclusive(other.when, entry.when)]
        known.append(entry)
        when = ir.simplify(ir.And((entry.when, *(ir.Not(ir.IsTrue(one)) for one in twice))))
        made.append(_entry(fieldmap, entry, when, windows))
    if fieldmap.family == "windows" and windows is not None:
        rest = windows.when
        shape = fieldmap.name.partition(".")[2]
        for other in maps:
            if other.family in ("sysmon", "eventlog") and other.name.partition(".")[2] == shape:
                whens = tuple(entry.when for entry in other.entries if entry.native is None)
                there = ir.And((other.recognise, ir.Or(whens)))
                rest = ir.And((rest, ir.Not(ir.IsTrue(there))))
        made.append(_rest(windows, ir.simplify(rest)))
    if not made:
        return fieldmap
    return evolve(fieldmap, entries=(*fieldmap.entries, *made))


def _everything_of_windows(fieldmap: FieldMap, installed: Sequence[FieldMap]) -> Entry | None:
    """The entry of all Windows events in the shape that a map is of; None for other logs."""
    if fieldmap.family not in ("sysmon", "eventlog", "windows"):
        return None
    shape = fieldmap.name.partition(".")[2]
    names = (f"windows.{shape}", "windows.flat")
    found = {one.name: one for one in installed if one.name in names}
    for name in names:
        for entry in found[name].entries if name in found else ():
            if entry.kind == ir.EventKind("windows", "*"):
                return entry
    return None


def _entry(fieldmap: FieldMap, entry: Entry, when: ir.Condition, windows: Entry | None) -> Entry:
    makers: dict[str, Maker] = {}
    kind = str(entry.kind)
    object_ = entry.kind.object

    def add(name: str, of: str, make: _Make) -> None:
        if of in entry.fields:
            makers.setdefault(name, lambda: make(entry.fields[of]))

    def say(name: str, text: str) -> None:
        if text:
            makers.setdefault(name, lambda: ir.Constant(text))

    category, type_, action = _KINDS.get(kind, (_CATEGORIES.get(object_, ""), "info", ""))
    system = _SYSTEMS.get(fieldmap.family, "")
    if kind == "process/create" and system == "windows":
        action = "start"
    say("event.kind", "event")
    say("event.category", category)
    say("event.type", type_)
    say("event.action", action)
    say("event.outcome", _OUTCOMES.get(kind, ""))
    if object_ == "http":
        say("http.request.method", entry.kind.action.upper())
    for name, of, make in _FIELDS:
        add(name, of, make)
    if object_ in _ABOUT:
        for name, of in _OF_A_FILE:
            add(f"{_ABOUT[object_]}.{name}", of, _itself)
        if object_ == "driver":
            add("dll.path", "image_path", _itself)
    if "key" in entry.fields:
        makers.setdefault("registry.path", lambda: _registry_path(entry))
        makers.setdefault("registry.key", lambda: entry.fields["key"])
    makers.setdefault("host.os.type", lambda: _system(system, entry, windows))
    if "time" in entry.fields:
        makers.setdefault("@timestamp", lambda: entry.fields["time"])
    fields = {"time": entry.fields["time"]} if "time" in entry.fields else {}
    if windows is None or windows.native is None:
        return Entry(ECS, when, fields, entry.span, NativeNames(None, Deferred(makers)))
    return Entry(ECS, when, fields, entry.span, _windows(windows.native, makers))


def _rest(windows: Entry, when: ir.Condition) -> Entry:
    """The Windows events that are no CAR event of a map in use."""
    assert windows.native is not None
    makers: dict[str, Maker] = {"host.os.type": lambda: ir.Constant("windows")}
    return Entry(ECS, when, windows.fields, windows.span, _windows(windows.native, makers))


def _windows(native: NativeNames, makers: Mapping[str, Maker]) -> NativeNames:
    """The names of ECS beside the native names of Windows events.

    Beats write both: what is in the event under ECS's own name comes first there.
    """
    all_makers = dict(makers)
    for name, own in _WINDOWS:
        value = native.value(own)
        if value is not None and name not in all_makers:
            all_makers[name] = lambda value=value: value  # type: ignore[misc]
    beats = native.prefix is not None and native.prefix[:1] == ("winlog",)
    if beats:
        all_makers = {name: _or_there(native, name, make) for name, make in all_makers.items()}
    kept = {name: (lambda name=name: native.names[name]) for name in native.names}
    return evolve(native, names=Deferred({**kept, **all_makers}), own=_EVENT_DATA)


def _or_there(native: NativeNames, name: str, make: Maker) -> Maker:
    def value() -> ir.Value:
        return ir.Call("first", (native.placed(tuple(name.split("."))), make()))

    return value


def _registry_path(entry: Entry) -> ir.Value:
    """A key with its value's name behind it, as ECS has a registry path."""
    key = entry.fields["key"]
    if "value" not in entry.fields:
        return key
    whole = ir.Call("full_path", (key, entry.fields["value"]))
    return ir.Call("first", (whole, key))


def _system(system: str, entry: Entry, windows: Entry | None) -> ir.Value:
    """What ``host.os.type`` is."""
    if windows is not None and windows.native is not None:
        channel = windows.native.value("Channel") or ir.Constant(None)
        linux = (ir.Constant("Linux-Sysmon/Operational"), ir.Constant("linux"))
        return ir.Call("choose", (ir.Call("first", (channel, ir.Constant(""))), *linux, _WINDOWS_))
    if system:
        return ir.Constant(system)
    for name in ("image_path", "file_path", "parent_image_path"):
        if name in entry.fields:
            # Only Windows has drives.
            drive = ir.Call("substring", (entry.fields[name], ir.Constant(1), ir.Constant(3)))
            return ir.Call("choose", (drive, ir.Constant(":\\"), _WINDOWS_))
    return ir.Constant(None)


_WINDOWS_ = ir.Constant("windows")
