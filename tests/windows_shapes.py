"""One Windows event in the shapes that people have it in, made from what the event itself says.

An event is a channel, a number, a machine, a time and its data by native names; ``SHAPES`` has a
function for each shape. HELK's names are those of its pipelines, written down here apart from the
map that reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

COMPUTER = "WS1.corp.example"
TIME = "2024-05-20T07:41:12.518Z"
AUDIT_FAILURE = 0x8010000000000000
AUDIT_SUCCESS = 0x8020000000000000

_PROVIDERS = {
    "Security": "Microsoft-Windows-Security-Auditing",
    "System": "Service Control Manager",
    "Microsoft-Windows-Sysmon/Operational": "Microsoft-Windows-Sysmon",
}


@frozen
class Windows:
    """What a Windows event says."""

    channel: str
    id: int
    data: Mapping[str, str] = field(factory=dict)
    user_data: Mapping[str, str] = field(factory=dict)
    refused: bool = False
    message: str = ""
    element: str = "EventXML"

    @property
    def provider(self) -> str:
        """The provider's name."""
        return _PROVIDERS.get(self.channel, self.channel.partition("/")[0])


def flat(event: Windows) -> dict[str, Any]:
    """As NXLog writes it."""
    keywords = AUDIT_FAILURE if event.refused else AUDIT_SUCCESS
    made: dict[str, Any] = {
        "EventTime": "2024-05-20 09:41:12",
        "@timestamp": TIME,
        "Hostname": COMPUTER,
        "host": "collector",
        "Keywords": keywords - (1 << 64),
        "EventType": "INFO",
        "EventID": event.id,
        "SourceName": event.provider,
        "Channel": event.channel,
        "ExecutionProcessID": 4,
        "Message": event.message or _message(event),
    }
    if event.channel == "Security":
        made["EventType"] = "AUDIT_FAILURE" if event.refused else "AUDIT_SUCCESS"
    elif event.channel.startswith("Microsoft-Windows-Sysmon"):
        made |= {"AccountName": "SYSTEM", "Domain": "NT AUTHORITY", "UserID": "S-1-5-18"}
    lost = {"EventType"}
    return made | {k: v for k, v in {**event.data, **event.user_data}.items() if k not in lost}


def _message(event: Windows) -> str:
    lines = [f"{name}: {value}" for name, value in {**event.data, **event.user_data}.items()]
    return "\r\n".join(["Told:", *lines])


def splunk(event: Windows) -> dict[str, Any]:
    """As Splunk's search gives it."""
    fields = {
        "_time": TIME,
        "EventCode": str(event.id),
        "ComputerName": COMPUTER,
        "LogName": event.channel,
        "SourceName": event.provider,
        "Keywords": "Audit Failure" if event.refused else "Audit Success",
    }
    return {"preview": False, "result": fields | {**event.data, **event.user_data}}


def winlogbeat(event: Windows) -> dict[str, Any]:
    """As Winlogbeat 7 and 8 write it."""
    winlog: dict[str, Any] = {
        "channel": event.channel,
        "event_id": event.id,
        "computer_name": COMPUTER,
        "provider_name": event.provider,
        "keywords": ["Audit Failure" if event.refused else "Audit Success"],
        "process": {"pid": 4},
    }
    if event.data:
        winlog["event_data"] = dict(event.data)
    if event.user_data:
        winlog["user_data"] = dict(event.user_data)
    return {
        "@timestamp": TIME,
        "winlog": winlog,
        "event": {"code": event.id, "kind": "event"},
        "host": {"name": "collector"},
        "message": event.message,
    }


def winlogbeat6(event: Windows) -> dict[str, Any]:
    """As Winlogbeat 6 wrote it."""
    made: dict[str, Any] = {
        "@timestamp": TIME,
        "log_name": event.channel,
        "source_name": event.provider,
        "event_id": event.id,
        "computer_name": COMPUTER,
        "keywords": ["Audit Failure" if event.refused else "Audit Success"],
        "process_id": 4,
    }
    if event.data:
        made["event_data"] = dict(event.data)
    if event.user_data:
        made["user_data"] = dict(event.user_data)
    return made


def evtx(event: Windows) -> dict[str, Any]:
    """As the `evtx` package reads it from a log."""
    inner: dict[str, Any] = {
        "System": {
            "Provider": {"#attributes": {"Name": event.provider}},
            "EventID": event.id if event.channel != "System" else {"#attributes": {"Qualifiers": 1}, "#text": event.id},
            "Keywords": hex(AUDIT_FAILURE if event.refused else AUDIT_SUCCESS),
            "TimeCreated": {"#attributes": {"SystemTime": TIME}},
            "Execution": {"#attributes": {"ProcessID": 4, "ThreadID": 8}},
            "Channel": event.channel,
            "Computer": COMPUTER,
        }
    }  # fmt: skip
    if event.data:
        inner["EventData"] = dict(event.data)
    if event.user_data:
        inner["UserData"] = {
            event.element: {"#attributes": {"xmlns": "Event_NS"}, **event.user_data}
        }
    return {"Event": {"#attributes": {"xmlns": "x"}, **inner}}


_SUBJECT = {
    "SubjectUserSid": "user_sid",
    "SubjectUserName": "user_name",
    "SubjectDomainName": "user_domain",
    "SubjectLogonId": "user_logon_id",
}
_REPORTER = {
    "SubjectUserSid": "user_reporter_sid",
    "SubjectUserName": "user_reporter_name",
    "SubjectDomainName": "user_reporter_domain",
    "SubjectLogonId": "reporter_logon_id",
}
_TARGET = {
    "TargetUserSid": "user_sid",
    "TargetSid": "user_sid",
    "TargetUserName": "user_name",
    "TargetDomainName": "user_domain",
    "TargetLogonId": "user_logon_id",
}
_LOGON = {
    **_REPORTER,
    **_TARGET,
    "LogonType": "logon_type",
    "WorkstationName": "src_host_name",
    "IpPort": "src_port",
    "LogonProcessName": "logon_process_name",
    "AuthenticationPackageName": "logon_authentication_package_name",
    "Status": "event_status",
    "SubStatus": "event_sub_status",
}
_OBJECT = {
    **_SUBJECT,
    "AccessMask": "object_access_mask_requested",
    "AccessList": "object_access_list_requested",
    "ObjectName": "object_name",
    "ObjectType": "object_type",
    "ObjectValueName": "object_value_name",
    "OperationType": "object_operation_type",
    "NewValue": "object_value_new",
    "NewValueType": "object_value_new_type",
}
_PLATFORM = {
    "DestPort": "dst_port",
    "Direction": "network_direction",
    "ProcessID": "process_id",
    "Protocol": "network_protocol",
    "SourcePort": "src_port",
}
_KERBEROS = {
    **_TARGET,
    "IpPort": "src_port",
    "ServiceName": "service_ticket_name",
    "Status": "event_status",
}
_SERVICE = {
    "ServiceName": "service_name",
    "ServiceFileName": "service_image_path",
    "ImagePath": "service_image_path",
    "ServiceAccount": "service_account_name",
    "AccountName": "user_name",
    "ServiceType": "service_type",
    "ServiceStartType": "service_start_type",
    "StartType": "service_start_type",
}
_SHARE = {
    **_OBJECT,
    "IpPort": "src_port",
    "RelativeTargetName": "share_relative_target_name",
    "ShareLocalPath": "share_local_path",
    "ShareName": "share_name",
}
_TASK = {**_SUBJECT, "TaskContentNew": "task_new_content", "TaskName": "task_name"}
_BY_ID: dict[int, dict[str, str]] = {
    4624: _LOGON,
    4625: _LOGON,
    4634: {**_TARGET, "LogonType": "logon_type"},
    4647: _TARGET,
    4656: _OBJECT,
    4657: _OBJECT,
    4663: _OBJECT,
    4670: _OBJECT,
    4688: {
        **_SUBJECT,
        "CommandLine": "process_command_line",
        "TargetDomainName": "user_principal_domain",
        "TargetUserSid": "user_principal_sid",
        "TargetUserName": "user_principal_name",
        "TargetLogonId": "user_principal_id",
        "MandatoryLabel": "process_mandatory_sid",
        "ProcessId": "process_parent_id",
    },
    4689: {**_SUBJECT, "Status": "event_status"},
    4697: {**_SUBJECT, **_SERVICE},
    4701: _TASK,
    4702: _TASK,
    4768: _KERBEROS,
    4769: _KERBEROS,
    4771: _KERBEROS,
    4776: {
        "PackageName": "logon_authentication_package_name",
        "TargetUserName": "user_name",
        "Workstation": "src_host_name",
        "Status": "event_status",
    },
    4800: {**_TARGET, "SessionId": "user_session_id"},
    4801: {**_TARGET, "SessionId": "user_session_id"},
    5140: _SHARE,
    5145: _SHARE,
    5154: _PLATFORM,
    5156: _PLATFORM,
    5158: _PLATFORM,
    7045: _SERVICE,
}
# Renamed in every event, after the others.
_EVERYWHERE = {
    "Application": "process_path",
    "NewProcessName": "process_path",
    "ProcessName": "process_path",
    "ParentProcessName": "process_parent_path",
    "ProcessId": "process_id",
    "NewProcessId": "process_id",
    "IpAddress": "src_ip_addr",
    "SourceAddress": "src_ip_addr",
    "DestAddress": "dst_ip_addr",
}


def helk(event: Windows) -> dict[str, Any] | None:
    """As HELK's pipelines store it; None for events that they leave as they are."""
    names = _BY_ID.get(event.id)
    if names is None or event.user_data:
        return None
    made: dict[str, Any] = {
        "@timestamp": TIME,
        "log_name": event.channel,
        "source_name": event.provider,
        "event_id": event.id,
        "host_name": COMPUTER.lower(),
        "keywords": ["Audit Failure" if event.refused else "Audit Success"],
    }
    for name, value in event.data.items():
        # A dash alone is left out.
        if value != "-":
            made[names.get(name) or _EVERYWHERE.get(name, name)] = value
    return made


def _flattened(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The same with one key for each path, as Elasticsearch exports of fields have it."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            made |= _flattened(value, f"{prefix}{name}.")
        else:
            made[prefix + name] = value
    return made


SHAPES: dict[str, Callable[[Windows], dict[str, Any] | None]] = {
    "flat": flat,
    "splunk": splunk,
    "winlogbeat": winlogbeat,
    "winlogbeat6": winlogbeat6,
    "evtx": evtx,
    "bare": lambda event: evtx(event)["Event"],
    "dotted": lambda event: _flattened(winlogbeat(event)),
    "helk": helk,
}
