"""Events in shapes that no field map describes, brought into one that field maps do.

Tools write the same Windows event in many ways. Most ways are a shape of a field map; those here
need more than another path::

    EventData.Data: [{"@Name": "Image", "#text": "a.exe"}]   xmltodict and other XML converters
    System.EventID: {"Value": 1}                             Velociraptor's parse_evtx()
    Provider_attributes: {"Name": …}                         evtx_dump --separate-json-attributes
    Payload: "{\\"EventData\\": …}"                            EvtxECmd, as JSON or CSV
    EventData: "<EventData>…" or "{…}" beside EventID        Microsoft Sentinel's tables
    EventData: {…} beside EventID and Channel                Velociraptor's hunts
    data.win: {"system": …, "eventdata": …}                  Wazuh's alerts
    EventLog, ProcessId_string, …                            Sentinel's table Event
    SyslogMessage: "type=AUOMS_EXECVE …"                     Linux audit in Sentinel
    Channel: "ForwardedEvents"                               a collector's channel
    Id, LogName, ProviderName, Message                       Get-WinEvent | ConvertTo-Json, CSV
    EventData: {"Lat": 1, "Lat_1": 2}                        EVTX as JSON: elements of one name
    "New Value"                                              a name with blanks, in any shape

Sigma's specification strips the blanks of field names ("Field Usage"), so that a field is found
under its name with and without them. Nothing that the event had is taken away.

The engine reads lines of JSON in part (`engine.prefilter`). For that a shape here must be one that
no field map recognises as it is, or whose line the prefilter refuses: the ``recognise`` conditions
of the maps, and ``prefilter.decoding.WRAPPERS``, see to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from ..eventxml import EventXmlError, event_of_xml
from ..jsontext import UnreadableError, decode
from .messages import fields_of_message

Event = Mapping[str, Any]

_DEPTH = 16
_MOST_TEXT = 1_000_000
_JSON_DEPTH = 64

# What XML converters call an attribute, the mapping of all of them, and an element's text.
_NAME_KEYS = ("@Name", "Name", "-Name", "_Name", "@name", "name")
_ATTRIBUTE_KEYS = ("#attributes", "@attributes", "$", "_attributes", "attributes", "@")
_TEXT_KEYS = ("#text", "_", "$t", "$value", "_text", "@Value", "Value", "value", "text", "content")


def in_known_shape(event: Event) -> Event:
    """The event in a shape that field maps know; the event itself where it has one.

    >>> in_known_shape({"System": {"EventID": {"Value": 1}}, "EventData": {"New Value": "x"}})
    {'System': {'EventID': 1}, 'EventData': {'New Value': 'x', 'NewValue': 'x'}}
    """
    found = event
    if not _TRIGGERS.isdisjoint(event):
        for key, change in _CHANGES.items():
            if key in event:
                changed = change(found)
                if changed is not None:
                    found = changed
                    break
    found = _forwarded(found)
    return _without_blanks(found, _DEPTH) if _may_have_blanks(found) else found


# Names with blanks


def _may_have_blanks(event: Event) -> bool:
    """Whether a name has blanks; also True where that is not so quickly told."""
    try:
        if " " in "".join(event):
            return True
        for value in event.values():
            if type(value) is dict and value and _may_have_blanks(value):
                return True
    except (TypeError, RecursionError):
        return True
    return False


def _without_blanks(event: Event, depth: int) -> Event:
    """The mapping with every name that has blanks also under the name without them."""
    changed: dict[str, Any] | None = None
    # One look at all names together is what an event without blanks costs.
    if " " in _joined(event):
        changed = dict(event)
        for name, value in event.items():
            if isinstance(name, str) and " " in name and (bare := name.replace(" ", "")):
                changed.setdefault(bare, value)
    if depth:
        for name, value in list((changed or event).items()):
            if type(value) is dict and value:
                inner = _without_blanks(value, depth - 1)
                if inner is not value:
                    changed = dict(event) if changed is None else changed
                    changed[name] = inner
    return event if changed is None else changed


def _joined(names: Iterable[Any]) -> str:
    try:
        return "".join(names)
    except TypeError:
        return "".join(name for name in names if isinstance(name, str))


# One Windows event in other words


def _of_event(event: Event) -> Event | None:
    """An event below ``Event`` (EVTX as JSON)."""
    inner = event.get("Event")
    if not isinstance(inner, Mapping):
        return None
    changed = _of_system(inner)
    return None if changed is None else {**event, "Event": changed}


def _of_system(event: Event) -> Event | None:
    """An event with ``System`` and ``EventData`` or ``UserData``."""
    changed: dict[str, Any] = {}
    system = event.get("System")
    if isinstance(system, Mapping):
        again = _system(system)
        if again is not None:
            changed["System"] = again
    data = event.get("EventData")
    if isinstance(data, Mapping):
        listed = data.get("Data")
        # The text alone, as a list or below `#text`, is what fields without a name are.
        if isinstance(listed, list | Mapping) and (named := _named(listed)):
            changed["EventData"] = {**{k: v for k, v in data.items() if k != "Data"}, **named}
        elif isinstance(system, Mapping) and "_1" in _joined(data):
            channel = changed.get("System", system).get("Channel")
            if channel not in _WITHOUT_REPEATED and (lists := _numbered(data)):
                changed["EventData"] = {**data, **lists}
    elif isinstance(data, list) and (named := _named(data)):
        changed["EventData"] = named
    elif isinstance(data, str) and (read := _data_of_text(data)) is not None:
        changed["EventData"] = read
    return {**event, **changed} if changed else None


# Channels whose providers' manifests have no names twice; `prefilter.odd_names` knows them too.
_WITHOUT_REPEATED = frozenset(
    {
        *("Security", "Windows PowerShell", "Microsoft-Windows-PowerShell/Operational"),
        *("PowerShellCore/Operational", "Microsoft-Windows-Sysmon/Operational"),
        *("Linux-Sysmon/Operational",),
    }
)


def _numbered(data: Event) -> dict[str, list[Any]]:
    """The values of fields that are numbered from the second on: ``Lat``, ``Lat_1``, ``Lat_2``.

    The numbered one comes after the first; where a field's own name is ``Lat_1``, readers put it
    before (`eventxml.marked_genuine`).
    """
    made: dict[str, list[Any]] = {}
    before: set[str] = set()
    for name in data:
        before.add(name)
        if not isinstance(name, str) or not name.endswith("_1"):
            continue
        base = name[:-2]
        if base not in before or isinstance(data[base], list | Mapping):
            continue
        values = [data[base]]
        while (following := f"{base}_{len(values)}") in data:
            values.append(data[following])
        made[base] = values
    return made


def _system(system: Event) -> Event | None:
    changed: dict[str, Any] | None = None
    number = system.get("EventID")
    if isinstance(number, Mapping):
        # The maps know `#text` themselves.
        for key in _TEXT_KEYS[1:]:
            if number.get(key) is not None:
                changed = {**system, "EventID": number[key]}
                break
    if system.get("Provider_attributes") is not None:
        changed = dict(system) if changed is None else changed
        for name, attributes in system.items():
            if isinstance(name, str) and name.endswith("_attributes") and attributes:
                plain = name.removesuffix("_attributes")
                if changed.get(plain) is None:
                    changed[plain] = {"#attributes": attributes}
        del changed["Provider_attributes"]
    return changed


def _named(listed: Any) -> dict[str, Any]:
    """The fields of a list of elements that have names; what has none stays ``Data``."""
    made: dict[str, Any] = {}
    unnamed: list[Any] = []
    for item in listed if isinstance(listed, list) else (listed,):
        name, value = _element(item)
        if name is None:
            unnamed.append(value)
        else:
            add_repeated(made, name, value)
    if not made:
        return {}
    if unnamed:
        made["Data"] = {"#text": unnamed[0] if len(unnamed) == 1 else unnamed}
    return made


def _element(item: Any) -> tuple[str | None, Any]:
    if not isinstance(item, Mapping):
        return None, item
    places = [item, *(item[key] for key in _ATTRIBUTE_KEYS if isinstance(item.get(key), Mapping))]
    for place in places:
        for key in _NAME_KEYS:
            if isinstance(name := place.get(key), str):
                return name, next((item[key] for key in _TEXT_KEYS if key in item), None)
    return None, next((item[key] for key in _TEXT_KEYS if key in item), None)


def add_repeated(made: dict[str, Any], name: str, value: Any) -> None:
    """Add a field; one whose name is there already makes a list of its values.

    >>> made = {"a": 1}
    >>> add_repeated(made, "a", 2); made
    {'a': [1, 2]}
    """
    if name not in made:
        made[name] = value
    elif isinstance(made[name], list):
        made[name].append(value)
    else:
        made[name] = [made[name], value]


# EvtxECmd


def _of_evtxecmd(event: Event) -> Event | None:
    """A record of EvtxECmd, whose event data is a JSON text in ``Payload``."""
    if event.get("EventId") is None:
        return None
    payload = event.get("Payload")
    read = _json(payload) if isinstance(payload, str) else None
    body = read if isinstance(read, Mapping) else {}
    if "Event" in body and isinstance(body["Event"], Mapping):
        body = body["Event"]
    if not ("EventData" in body or "UserData" in body):
        # Flat events, which may write the event's number so; this name the maps have for all.
        return {**{k: v for k, v in event.items() if k != "EventId"}, "EventID": event["EventId"]}
    made = _framed(event, body)
    return {"Event": _of_system(made) or made}


def _framed(event: Event, body: Event) -> dict[str, Any]:
    """An event out of columns and a body with ``EventData`` or ``UserData``."""
    first = _first_of(event)
    system = {
        "Provider": {"#attributes": {"Name": first("Provider", "ProviderName", "SourceName")}},
        "EventID": first("EventID", "EventId", "Id"),
        "Level": first("Level"),
        "Task": first("Task"),
        "Opcode": first("Opcode"),
        "Keywords": first("Keywords"),
        "TimeCreated": {
            "#attributes": {
                "SystemTime": first(
                    "TimeCreated", "EventTime", "SystemTime", "TimeGenerated", "@timestamp"
                )
            }
        },
        "EventRecordID": first("EventRecordID", "EventRecordId", "RecordId"),
        "Execution": {
            "#attributes": {"ProcessID": first("ProcessId"), "ThreadID": first("ThreadId")}
        },
        "Channel": first("Channel", "LogName"),
        "Computer": first("Computer", "MachineName", "Hostname"),
        "Security": {"#attributes": {"UserID": first("UserId", "UserSID", "SystemUserId")}},
    }
    made: dict[str, Any] = {"System": system}
    for key in ("EventData", "UserData"):
        if body.get(key) not in (None, ""):
            made[key] = body[key]
    return made


def _first_of(event: Event) -> Callable[..., Any]:
    def first(*names: str) -> Any:
        return next((event[name] for name in names if event.get(name) not in (None, "")), None)

    return first


# EventData beside the columns of a table


_COLUMNS = frozenset({"EventID", "Channel", "Computer", "Provider", "EventSourceName"})


def _of_table(event: Event) -> Event | None:
    """A row of a table whose columns are the event's frame, and whose ``EventData`` is a mapping,
    or one as JSON or XML in a text."""
    if "System" in event:
        return _of_system(event)
    data = event.get("EventData")
    if isinstance(data, str):
        data = _data_of_text(data)
        if data is None:
            # Not read; the columns are what there is.
            return {key: value for key, value in event.items() if key != "EventData"}
    elif isinstance(data, list):
        data = _named(data)
    elif isinstance(data, Mapping):
        again = _of_system({"EventData": data})
        data = data if again is None else again["EventData"]
    if not isinstance(data, Mapping):
        return None
    # What is the event's own goes before the table's, but for what says which event it is.
    rest = {key: value for key, value in event.items() if key != "EventData"}
    own = {key: value for key, value in data.items() if key not in _COLUMNS or not rest.get(key)}
    user = event.get("UserData")
    if isinstance(user, str):
        user = _data_of_text(user)
    if isinstance(user, Mapping):
        inner = [value for value in user.values() if isinstance(value, Mapping)]
        own = {**(inner[0] if len(inner) == 1 else user), **own}
        rest.pop("UserData", None)
    made = {**rest, **own}
    # The table `Event` calls the channel otherwise.
    return made if "EventLog" not in made else _of_row(made) or made


def _data_of_text(text: str) -> Event | None:
    """The fields of an ``EventData`` that is written as JSON or XML."""
    start = text.lstrip()[:1]
    if start == "{" or start == "[":
        read = _json(text)
        if isinstance(read, list):
            return _named(read) or None
        if not isinstance(read, Mapping):
            return None
        inner = read.get("EventData", read)
        again = _of_system({"EventData": inner})
        found = inner if again is None else again["EventData"]
        return found if isinstance(found, Mapping) else None
    if start == "<":
        return _xml_data(text)
    return None


_DATA_ITEM = re.compile(r"<(EventData|UserData)(?=[\s/>]).*</\1\s*>", re.DOTALL)


@lru_cache(maxsize=64)
def _xml_data(text: str) -> Event | None:
    if len(text) > _MOST_TEXT:
        return None
    found = _DATA_ITEM.search(text)
    if found is None:
        return None
    try:
        event = event_of_xml(f"<Event>{found[0]}</Event>")["Event"]
    except EventXmlError:
        return None
    data = event.get(found[1])
    if found[1] == "UserData" and isinstance(data, Mapping):
        data = next((value for value in data.values() if isinstance(value, Mapping)), data)
    if not isinstance(data, Mapping):
        return None
    return {name: value for name, value in data.items() if name != "#attributes"}


@lru_cache(maxsize=64)
def _json(text: str) -> Any:
    if len(text) > _MOST_TEXT:
        return None
    try:
        return decode(text.encode("utf-8", "surrogatepass"), _JSON_DEPTH)
    except UnreadableError:
        return None


# Wazuh


def _of_wazuh(event: Event) -> Event | None:
    """An alert of Wazuh about a Windows event: ``data.win``, names with a small first letter."""
    data = event.get("data")
    windows = data.get("win") if isinstance(data, Mapping) else None
    if not isinstance(windows, Mapping):
        return None
    given = windows.get("system")
    system = given if isinstance(given, Mapping) else {}
    first = _first_of(system)
    made: dict[str, Any] = {
        "System": {
            "Provider": {"#attributes": {"Name": first("providerName")}},
            "EventID": first("eventID"),
            "Level": first("level"),
            "Task": first("task"),
            "Opcode": first("opcode"),
            "Keywords": first("keywords"),
            "TimeCreated": {
                "#attributes": {"SystemTime": first("systemTime") or event.get("timestamp")}
            },
            "EventRecordID": first("eventRecordID"),
            "Execution": {
                "#attributes": {"ProcessID": first("processID"), "ThreadID": first("threadID")}
            },
            "Channel": first("channel"),
            "Computer": first("computer"),
        }
    }
    for key, name in (("eventdata", "EventData"), ("eventData", "EventData")):
        if isinstance(fields := windows.get(key), Mapping):
            made[name] = _own_names(fields)
    for key in ("userdata", "userData"):
        if isinstance(fields := windows.get(key), Mapping):
            made["UserData"] = {
                name: _own_names(value) if isinstance(value, Mapping) else value
                for name, value in fields.items()
            }
    if "EventData" not in made and "UserData" not in made:
        # Of some providers Wazuh has one element whose name it made up from theirs.
        others = [v for k, v in windows.items() if k != "system" and isinstance(v, Mapping)]
        if others:
            made["EventData"] = _own_names(others[0])
    return {"Event": made}


def _own_names(fields: Event) -> dict[str, Any]:
    """The fields under the names that Windows has for them: ``commandLine`` is ``CommandLine``.

    Some are small there as well (``param1``): these are found under both names.
    """
    made: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, str) and "\\\\" in value and "\\" not in value.replace("\\\\", ""):
            # Wazuh escapes the backslashes of values before it writes them as JSON.
            value = value.replace("\\\\", "\\")
        if isinstance(name, str) and name:
            made.setdefault(name[0].upper() + name[1:], value)
            made.setdefault(name, value)
    return made


# Events that another machine forwarded


# Providers that write into one channel of those that rules ask for. Of one with several (AppLocker,
# SMBClient, PrintService) the provider does not tell the channel.
_CHANNEL_OF = {
    "Microsoft-Windows-Sysmon": "Microsoft-Windows-Sysmon/Operational",
    "Microsoft-Windows-Security-Auditing": "Security",
    "Microsoft-Windows-Eventlog": "Security",
    "Service Control Manager": "System",
    "Microsoft-Windows-PowerShell": "Microsoft-Windows-PowerShell/Operational",
    "PowerShell": "Windows PowerShell",
    "Microsoft-Windows-Windows Defender": "Microsoft-Windows-Windows Defender/Operational",
    "Microsoft-Windows-TaskScheduler": "Microsoft-Windows-TaskScheduler/Operational",
    "Microsoft-Windows-WMI-Activity": "Microsoft-Windows-WMI-Activity/Operational",
    "Microsoft-Windows-NTLM": "Microsoft-Windows-NTLM/Operational",
    "Microsoft-Windows-Bits-Client": "Microsoft-Windows-Bits-Client/Operational",
    "Microsoft-Windows-TerminalServices-LocalSessionManager": (
        "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"
    ),
    "Microsoft-Windows-CodeIntegrity": "Microsoft-Windows-CodeIntegrity/Operational",
    "Microsoft-Windows-DNS-Client": "Microsoft-Windows-DNS-Client/Operational",
    "Microsoft-Windows-DNS-Server-Service": "DNS Server",
    "Microsoft-Windows-Windows Firewall With Advanced Security": (
        "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall"
    ),
    "Microsoft-Windows-AppXDeployment-Server": (
        "Microsoft-Windows-AppXDeploymentServer/Operational"
    ),
    "Microsoft-Windows-DriverFrameworks-UserMode": (
        "Microsoft-Windows-DriverFrameworks-UserMode/Operational"
    ),
    "Microsoft-Windows-LDAP-Client": "Microsoft-Windows-LDAP-Client/Debug",
    "Microsoft-Windows-CAPI2": "Microsoft-Windows-CAPI2/Operational",
    "OpenSSH": "OpenSSH/Operational",
    "PowerShellCore": "PowerShellCore/Operational",
}
_FORWARDED = "ForwardedEvents"


def _forwarded(event: Event) -> Event:
    """An event of the channel that collects forwarded ones, in the channel of its provider."""
    if event.get("Channel") == _FORWARDED:
        for name in ("SourceName", "Provider_Name", "ProviderName", "Provider"):
            if (channel := _CHANNEL_OF.get(str(event.get(name)))) is not None:
                return {**event, "Channel": channel}
        return event
    inner = event.get("winlog")
    if isinstance(inner, Mapping) and inner.get("channel") == _FORWARDED:
        channel = _CHANNEL_OF.get(str(inner.get("provider_name")))
        return event if channel is None else {**event, "winlog": {**inner, "channel": channel}}
    if event.get("winlog.channel") == _FORWARDED:
        channel = _CHANNEL_OF.get(str(event.get("winlog.provider_name")))
        return event if channel is None else {**event, "winlog.channel": channel}
    if event.get("log_name") == _FORWARDED:
        channel = _CHANNEL_OF.get(str(event.get("source_name")))
        return event if channel is None else {**event, "log_name": channel}
    outer = event.get("Event")
    if isinstance(outer, Mapping):
        changed = _forwarded_system(outer)
        return event if changed is outer else {**event, "Event": changed}
    return _forwarded_system(event)


def _forwarded_system(event: Event) -> Event:
    system = event.get("System")
    if not isinstance(system, Mapping) or system.get("Channel") != _FORWARDED:
        return event
    provider = system.get("Provider")
    name: Any = provider
    if isinstance(provider, Mapping):
        attributes = provider.get("#attributes")
        place = attributes if isinstance(attributes, Mapping) else provider
        name = place.get("Name", place.get("@Name"))
    channel = _CHANNEL_OF.get(str(name))
    return event if channel is None else {**event, "System": {**system, "Channel": channel}}


# Rows of Microsoft Sentinel's tables that have no channel


_TEXT_COLUMN = "EventData_string"
_TYPED = re.compile(r"(.+)_(?:string|dynamic|long|int|real|guid|datetime|bool)\Z")


def _of_row(event: Event) -> Event | None:
    """A row of the table ``Event``, or one that has lost its channel; of VMConnection."""
    if event.get("ConnectionId") is not None and event.get("DestinationIp") is not None:
        return _of_connection(event)
    if event.get("EventID") is None or event.get("Channel") is not None:
        return None
    channel = event.get("EventLog")
    if channel is None and event.get("FilterRTID") is not None:
        # Only the filtering platform's events have it, and these are the Security log's.
        channel = "Security"
    if channel is None:
        return None
    made = {key: value for key, value in event.items() if key != "EventLog"} | {"Channel": channel}
    if (provider := event.get("Source")) is not None:
        made.setdefault("Provider_Name", provider)
    for key, value in event.items():
        # Where a column of the name has another type, Log Analytics adds the type to it.
        if isinstance(key, str) and key != _TEXT_COLUMN and (typed := _TYPED.match(key)):
            made.setdefault(typed[1], value)
    if isinstance(text := event.get(_TEXT_COLUMN), str):
        read = _xml_data(text)
        if read is not None:
            made = {**read, **made}
    return made


def _of_connection(event: Event) -> Event:
    """A connection that the agent of VM insights saw, in CAR's words."""
    made = {
        "object": "flow",
        "action": "start",
        "time": event.get("TimeGenerated"),
        "fqdn" if "." in str(event.get("Computer")) else "hostname": event.get("Computer"),
        "exe": event.get("ProcessName"),
        "src_ip": event.get("SourceIp"),
        "dest_ip": event.get("DestinationIp"),
        "dest_port": event.get("DestinationPort"),
        "transport_protocol": event.get("Protocol"),
        "network_direction": event.get("Direction"),
        "out_bytes": event.get("BytesSent"),
        "in_bytes": event.get("BytesReceived"),
    }
    return {key: value for key, value in made.items() if value is not None}


_COMMAND_OF_AUOMS = re.compile(
    r'\scmdline="(.*?)"(?:\s+(?:redactors|containerid)=|\s*\Z)', re.DOTALL
)
_PAIR = re.compile(r"(?:^|\s)([A-Za-z_][\w]*)=(?=(\S*))")


def _of_syslog(event: Event) -> Event | None:
    """A program's start that the Linux agent's audit writes to syslog (``AUOMS_EXECVE``), under the
    names that Sysmon for Linux has for it."""
    message = event.get("SyslogMessage")
    if not isinstance(message, str) or "type=AUOMS_EXECVE" not in message[:200]:
        return None
    if len(message) > _MOST_TEXT:
        return None
    # A command line holds quotes as they are: it ends where the next field begins.
    command = _COMMAND_OF_AUOMS.search(message)
    before = message if command is None else message[: command.start()]
    found = {name: value.strip('"') for name, value in _PAIR.findall(before)}
    moment = re.search(r"audit\((\d{1,12}\.\d{1,6}):\d+\)", message[:200])
    made = {
        "Channel": "Linux-Sysmon/Operational",
        "Provider_Name": "auoms",
        "EventID": 1,
        "UtcTime": float(moment[1]) if moment else event.get("EventTime"),
        "Computer": event.get("Computer"),
        "Image": found.get("exe"),
        "CommandLine": command[1] if command else None,
        "CurrentDirectory": found.get("cwd"),
        "ProcessId": found.get("pid"),
        "ParentProcessId": found.get("ppid"),
        "User": found.get("user"),
        "LogonId": found.get("ses"),
    }
    return {key: value for key, value in made.items() if value is not None}


# Get-WinEvent


def _of_winevent(event: Event) -> Event | None:
    """What PowerShell's ``Get-WinEvent`` gives, as ``ConvertTo-Json`` or ``Export-Csv`` write it.

    Its fields have no names but in the message.
    """
    if event.get("LogName") in (None, "") or event.get("Id") in (None, ""):
        return None
    if any(event.get(name) not in (None, "") for name in ("EventID", "EventId", "EventCode")):
        return None
    time = event.get("TimeCreated")
    if isinstance(time, Mapping):
        # Windows PowerShell puts what it shows beside the date.
        time = time.get("value", time.get("DateTime"))
    if isinstance(time, str) and (
        dated := re.fullmatch(r"/Date\((-?\d{1,17})(?:[+-]\d{4})?\)/", time)
    ):
        time = int(dated[1]) / 1000
    number, log = event.get("Id"), event.get("LogName")
    message = event.get("Message")
    user = event.get("UserId")
    if isinstance(user, Mapping):
        user = user.get("Value")
    columns = {**event, "TimeCreated": time, "UserId": user}
    values = _property_values(event.get("Properties"))
    data = fields_of_message(
        str(log), str(number), message if isinstance(message, str) else "", values
    )
    made = _framed(columns, {"EventData": data})
    if isinstance(message, str):
        made["Message"] = message
    return {"Event": made}


def _property_values(properties: Any) -> tuple[Any, ...]:
    if not isinstance(properties, list):
        return ()
    return tuple(p.get("Value") if isinstance(p, Mapping) else p for p in properties)


# Which key leads to which change; the first that applies is the one.
_CHANGES: dict[str, Callable[[Event], Event | None]] = {
    "SyslogMessage": _of_syslog,
    "Event": _of_event,
    "System": _of_system,
    "Payload": _of_evtxecmd,
    "EventData": _of_table,
    "data": _of_wazuh,
    "LogName": _of_winevent,
    "EventLog": _of_row,
    "FilterRTID": _of_row,
    "ConnectionId": _of_row,
}
_TRIGGERS = frozenset(_CHANGES)

RESHAPING_KEYS = _TRIGGERS
"""`in_known_shape` changes an event only where it has one of these keys at its top, a name with
blanks, or is of the channel of forwarded events."""

FORWARDED = _FORWARDED
"""The channel of forwarded events."""

CHANNEL_PATHS: tuple[tuple[str, ...], ...] = (
    ("Channel",),
    ("winlog", "channel"),
    ("winlog.channel",),
    ("log_name",),
)
"""Where an event without such a key has its channel."""
