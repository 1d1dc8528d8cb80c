"""The fields of a Windows event that came without their names, as ``Get-WinEvent`` gives it.

PowerShell's objects hold the values of an event by their place (``Properties``) and the message
that is shown. Sysmon's message has each field under its own name. The Security log's has labels in
sections, which are put back into names here; where the event is a frequent one and its values are
there, their places say more, in any language::

    Process Create:                      A new process has been created.
    Image: C:\\a.exe                     Creator Subject:
    CommandLine: a.exe -x                    Account Name:       ann
                                         Process Information:
    {"Image": …, "CommandLine": …}           New Process Name:   C:\\a.exe
                                         {"SubjectUserName": "ann", "NewProcessName": …}

Places and names are those of the providers' manifests (``wevtutil gp NAME /ge /gm:true``), see
https://learn.microsoft.com/windows/security/threat-protection/auditing/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_MOST_TEXT = 1_000_000
_LABEL = re.compile(
    r"^([ \t]*)([^\s:][^:\r\n]{0,79}):(?:[ \t]+([^\r\n]*?))?[ \t]*\r?$", re.MULTILINE
)

_SUBJECT = ("SubjectUserSid", "SubjectUserName", "SubjectDomainName", "SubjectLogonId")
_MEMBER = ("MemberName", "MemberSid", "TargetUserName", "TargetDomainName", "TargetSid", *_SUBJECT)
_CLIENT = ("IpAddress", "IpPort")
_TASK = (*_SUBJECT, "TaskName", "TaskContent")

_SECURITY: dict[str, tuple[str, ...]] = {
    "4624": (
        *_SUBJECT,
        *("TargetUserSid", "TargetUserName", "TargetDomainName", "TargetLogonId", "LogonType"),
        *("LogonProcessName", "AuthenticationPackageName", "WorkstationName", "LogonGuid"),
        *("TransmittedServices", "LmPackageName", "KeyLength", "ProcessId", "ProcessName"),
        *(*_CLIENT, "ImpersonationLevel", "RestrictedAdminMode", "TargetOutboundUserName"),
        *("TargetOutboundDomainName", "VirtualAccount", "TargetLinkedLogonId", "ElevatedToken"),
    ),
    "4625": (
        *_SUBJECT,
        *("TargetUserSid", "TargetUserName", "TargetDomainName", "Status", "FailureReason"),
        *("SubStatus", "LogonType", "LogonProcessName", "AuthenticationPackageName"),
        *("WorkstationName", "TransmittedServices", "LmPackageName", "KeyLength", "ProcessId"),
        *("ProcessName", *_CLIENT),
    ),
    "4648": (
        *_SUBJECT,
        *("LogonGuid", "TargetUserName", "TargetDomainName", "TargetLogonGuid"),
        *("TargetServerName", "TargetInfo", "ProcessId", "ProcessName", *_CLIENT),
    ),
    "4657": (
        *_SUBJECT,
        *("ObjectName", "ObjectValueName", "HandleId", "OperationType", "OldValueType"),
        *("OldValue", "NewValueType", "NewValue", "ProcessId", "ProcessName"),
    ),
    "4663": (
        *_SUBJECT,
        *("ObjectServer", "ObjectType", "ObjectName", "HandleId", "AccessList", "AccessMask"),
        *("ProcessId", "ProcessName", "ResourceAttributes"),
    ),
    "4672": (*_SUBJECT, "PrivilegeList"),
    "4688": (
        *_SUBJECT,
        *("NewProcessId", "NewProcessName", "TokenElevationType", "ProcessId", "CommandLine"),
        *("TargetUserSid", "TargetUserName", "TargetDomainName", "TargetLogonId"),
        *("ParentProcessName", "MandatoryLabel"),
    ),
    "4689": (*_SUBJECT, "Status", "ProcessId", "ProcessName"),
    "4697": (
        *_SUBJECT,
        *("ServiceName", "ServiceFileName", "ServiceType", "ServiceStartType", "ServiceAccount"),
    ),
    "4698": _TASK,
    "4699": _TASK,
    "4700": _TASK,
    "4701": _TASK,
    "4702": (*_SUBJECT, "TaskName", "TaskContentNew"),
    "4720": ("TargetUserName", "TargetDomainName", "TargetSid", *_SUBJECT, "PrivilegeList"),
    "4728": _MEMBER,
    "4732": _MEMBER,
    "4756": _MEMBER,
    "4768": (
        *("TargetUserName", "TargetDomainName", "TargetSid", "ServiceName", "ServiceSid"),
        *("TicketOptions", "Status", "TicketEncryptionType", "PreAuthType", *_CLIENT),
    ),
    "4769": (
        *("TargetUserName", "TargetDomainName", "ServiceName", "ServiceSid", "TicketOptions"),
        *("TicketEncryptionType", *_CLIENT, "Status", "LogonGuid", "TransmittedServices"),
    ),
    "4771": (
        *("TargetUserName", "TargetSid", "ServiceName", "TicketOptions", "Status"),
        *("PreAuthType", *_CLIENT),
    ),
    "4776": ("PackageName", "TargetUserName", "Workstation", "Status"),
    "5140": (
        *(*_SUBJECT, "ObjectType", *_CLIENT),
        *("ShareName", "ShareLocalPath", "AccessMask", "AccessList"),
    ),
    "5145": (
        *(*_SUBJECT, "ObjectType", *_CLIENT, "ShareName", "ShareLocalPath"),
        *("RelativeTargetName", "AccessMask", "AccessList", "AccessReason"),
    ),
    "5156": (
        *("ProcessID", "Application", "Direction", "SourceAddress", "SourcePort", "DestAddress"),
        *("DestPort", "Protocol", "FilterRTID", "LayerName", "LayerRTID", "RemoteUserID"),
        "RemoteMachineID",
    ),
}
_POWERSHELL = {
    "4103": ("ContextInfo", "UserData", "Payload"),
    "4104": ("MessageNumber", "MessageTotal", "ScriptBlockText", "ScriptBlockId", "Path"),
}
_PLACES: dict[str, Mapping[str, tuple[str, ...]]] = {
    "security": _SECURITY,
    "system": {"7045": ("ServiceName", "ImagePath", "ServiceType", "StartType", "AccountName")},
    "microsoft-windows-powershell/operational": _POWERSHELL,
    "powershellcore/operational": _POWERSHELL,
}

# Whom a section of a message of the Security log is about; what another section says has no prefix.
_SECTIONS = {
    "subject": "Subject",
    "creator subject": "Subject",
    "target subject": "Target",
    "target account": "Target",
    "new account": "Target",
    "new logon": "Target",
    "group": "Target",
    "account for which logon failed": "Target",
    "account whose credentials were used": "Target",
    "account that was locked out": "Target",
    "account information": "Target",
    "member": "Member",
}
_PERSON = {
    "security id": "UserSid",
    "account name": "UserName",
    "account domain": "DomainName",
    "logon id": "LogonId",
    "group name": "UserName",
    "group domain": "DomainName",
    "supplied realm name": "DomainName",
    "user id": "Sid",
}
_LABELS = {
    "new process id": "NewProcessId",
    "new process name": "NewProcessName",
    "creator process id": "ProcessId",
    "caller process id": "ProcessId",
    "creator process name": "ParentProcessName",
    "caller process name": "ProcessName",
    "process command line": "CommandLine",
    "source network address": "IpAddress",
    "client address": "IpAddress",
    "source port": "IpPort",
    "client port": "IpPort",
    "logon process": "LogonProcessName",
    "authentication package": "AuthenticationPackageName",
    "package name (ntlm only)": "LmPackageName",
    "target server name": "TargetServerName",
    "additional information": "TargetInfo",
    "object value name": "ObjectValueName",
    "failure reason": "FailureReason",
    "sub status": "SubStatus",
    "accesses": "AccessList",
    "access mask": "AccessMask",
    "privileges": "PrivilegeList",
    "application name": "Application",
    "source address": "SourceAddress",
    "destination address": "DestAddress",
    "destination port": "DestPort",
    "ticket encryption type": "TicketEncryptionType",
    "result code": "Status",
    "failure code": "Status",
    "error code": "Status",
    "pre-authentication type": "PreAuthType",
    "source workstation": "Workstation",
    "task new content": "TaskContentNew",
}
# The same label is another field in another event.
_LABELS_OF = {
    "4688": {"mandatory label": "MandatoryLabel"},
    "4697": {"service account": "ServiceAccount"},
    "4776": {"logon account": "TargetUserName", "authentication package": "PackageName"},
    "5156": {"process id": "ProcessID", "source port": "SourcePort"},
    "7045": {
        "service file name": "ImagePath",
        "service start type": "StartType",
        "service account": "AccountName",
    },
}


def fields_of_message(
    log: str, number: str, message: str, values: Sequence[Any] = ()
) -> dict[str, Any]:
    """The fields of an event of a log, by its number, its message and its values in order.

    >>> fields_of_message("System", "7045", "x\\nService Name:  Updater\\nService Account: ann")
    {'ServiceName': 'Updater', 'AccountName': 'ann'}
    """
    made = _of_labels(log, number, message)
    names = _PLACES.get(log.lower(), {}).get(number, ())
    if len(values) >= min(4, len(names)):
        for name, value in zip(names, values, strict=False):
            if isinstance(value, Mapping):
                value = value.get("Value")
            made[name] = value
    return made


def _of_labels(log: str, number: str, message: str) -> dict[str, Any]:
    if len(message) > _MOST_TEXT:
        return {}
    flat = log.lower().endswith("sysmon/operational")
    own = _LABELS_OF.get(number, {})
    made: dict[str, Any] = {}
    prefix = ""
    for _, label, value in _LABEL.findall(message):
        if flat:
            if value:
                made.setdefault(label.replace(" ", ""), value)
            continue
        key = label.lower()
        if not value:
            # The head of a section, or a field that is empty.
            if key not in _PERSON and key not in _LABELS:
                prefix = _SECTIONS.get(key, "")
            continue
        name = own.get(key)
        if name is None and prefix and key in _PERSON:
            name = prefix + _PERSON[key]
        if name is None:
            name = _LABELS.get(key) or label.replace(" ", "")
        made.setdefault(name, value)
    return made
