"""Log sources and their fields, held against the field maps and Sigma's taxonomy.

The fields of a category are those of the events that it stands for: Sysmon's, PowerShell's, W3C's.
https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-appendix-taxonomy.md
https://learn.microsoft.com/sysinternals/downloads/sysmon
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from ... import ir, yamltext
from ...datamodel import nearest
from ...diagnostics import Edit, Fix, Span, codes
from ...fieldmap import installed_maps
from ...languages.sigma.document import SigmaLogSource
from .detections import detections_of, written_items
from .finding import DocumentFindings, items_of, replacing


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of every Windows event.
_SYSTEM = _names(
    "EventID Channel Provider_Name ProviderName Computer ComputerName Hostname Level Task Opcode "
    "Keywords EventRecordID TimeCreated Execution_ProcessID Execution_ThreadID Security_UserID "
    "Message EventType Version"
)
_SYSMON = _SYSTEM | _names("RuleName UtcTime ProcessGuid ProcessId User Image")
_FILE = _names(
    "FileVersion Description Product Company OriginalFileName Hashes md5 sha1 sha256 Imphash "
    "Signed Signature SignatureStatus"
)
# What collectors add to every event of a process.
_PROCESS = _names(
    "CommandLine ParentImage ParentCommandLine ParentProcessId ParentProcessGuid ParentUser "
    "IntegrityLevel LogonId LogonGuid CurrentDirectory GrandParentImage GrandparentCommandLine "
    "TerminalSessionId"
)
_CONNECTION = _names(
    "Protocol Initiated SourceIsIpv6 SourceIp SourceHostname SourcePort SourcePortName "
    "DestinationIsIpv6 DestinationIp DestinationHostname DestinationPort DestinationPortName"
)
_TARGET = _names(
    "TargetFilename CreationUtcTime PreviousCreationUtcTime Hashes IsExecutable Archived"
)
_REGISTRY = _names("TargetObject Details NewName EventType")
_PAIR = _names(
    "SourceProcessGuid SourceProcessGUID SourceProcessId SourceThreadId SourceImage "
    "TargetProcessGuid TargetProcessGUID TargetProcessId TargetImage GrantedAccess CallTrace "
    "SourceUser TargetUser NewThreadId StartAddress StartModule StartFunction SourceCommandLine "
    "SourceParentImage TargetParentProcessId TargetCommandLine TargetParentImage"
)
_POWERSHELL = _SYSTEM | _names("User UserId HostName HostApplication HostVersion")
_W3C = _names(
    "date time s-sitename s-computername s-ip s-port cs-method cs-uri-stem cs-uri-query cs-uri "
    "cs-username c-ip c-port cs-version cs-user-agent cs-useragent cs-cookie cs-referer "
    "cs-referrer cs-host cs-content-type sc-status sc-substatus sc-win32-status sc-bytes cs-bytes "
    "time-taken x-forwarded-for r-dns r-ip sc-filter-result c-uri c-uri-extension c-uri-query "
    "c-uri-stem c-useragent c-user-agent src_ip dst_ip dst_port src_port cs-protocol"
)

_FIELDS: Mapping[str, frozenset[str]] = {
    "process_creation": _SYSMON | _PROCESS | _FILE,
    "process_termination": _SYSMON | _PROCESS,
    "process_tampering": _SYSMON | _PROCESS | _names("Type"),
    "file_event": _SYSMON | _PROCESS | _TARGET,
    "file_change": _SYSMON | _PROCESS | _TARGET,
    "file_delete": _SYSMON | _PROCESS | _TARGET,
    "file_block_executable": _SYSMON | _PROCESS | _TARGET,
    "file_executable_detected": _SYSMON | _PROCESS | _TARGET,
    "network_connection": _SYSMON | _PROCESS | _CONNECTION,
    "image_load": _SYSMON | _PROCESS | _FILE | _names("ImageLoaded"),
    "driver_load": _SYSMON | _FILE | _names("ImageLoaded"),
    "registry_add": _SYSMON | _PROCESS | _REGISTRY,
    "registry_delete": _SYSMON | _PROCESS | _REGISTRY,
    "registry_event": _SYSMON | _PROCESS | _REGISTRY,
    "registry_rename": _SYSMON | _PROCESS | _REGISTRY,
    "registry_set": _SYSMON | _PROCESS | _REGISTRY,
    "process_access": _SYSMON | _PAIR,
    "create_remote_thread": _SYSMON | _PAIR,
    "pipe_created": _SYSMON | _PROCESS | _names("PipeName"),
    "dns_query": _SYSMON
    | _PROCESS
    | _names("QueryName QueryStatus QueryResults record_type query answer"),
    "create_stream_hash": _SYSMON | _PROCESS | _TARGET | _names("Hash Contents"),
    "ps_script": _POWERSHELL
    | _names("ScriptBlockText ScriptBlockId Path MessageNumber MessageTotal"),
    "ps_module": _POWERSHELL | _names("Payload ContextInfo UserData"),
    "webserver": _W3C,
    "proxy": _W3C,
}

# Categories that stand for one event of Sysmon.
_OF_SYSMON = {
    1: "process_creation",
    2: "file_change",
    3: "network_connection",
    5: "process_termination",
    6: "driver_load",
    7: "image_load",
    8: "create_remote_thread",
    9: "raw_access_thread",
    10: "process_access",
    11: "file_event",
    13: "registry_set",
    15: "create_stream_hash",
    22: "dns_query",
    23: "file_delete",
    25: "process_tampering",
    26: "file_delete_detected",
}
# What the taxonomy names, and no field map gives.
_TAXONOMY = frozenset({("", "database", ""), ("", "edr", ""), ("", "authentication", "")})


@cache
def known_kinds() -> frozenset[ir.EventKind]:
    """The kinds of events that the installed field maps give, CAR's own left out."""
    return frozenset(kind for one in installed_maps() for kind in one.by_kind)


def check_log_source(findings: DocumentFindings, source: SigmaLogSource) -> None:
    """The findings about a rule's log source and the fields that the rule reads of it."""
    _known(findings, source)
    _generic(findings, source)
    _fields(findings, source)


def _known(findings: DocumentFindings, source: SigmaLogSource) -> None:
    kinds = known_kinds()
    name = source.category or source.service
    asked = set(ir.searched(source.search()))
    products = {kind.object for kind in kinds}
    if asked & kinds or (source.product, source.category, source.service) in _TAXONOMY:
        return
    if not name and source.product in products:
        return
    node = findings.document.root.get("logsource")
    if not isinstance(node, yamltext.Mapping):
        return
    near: Iterable[str]
    if source.product and source.product not in products:
        key, near = "product", nearest(source.product, sorted(products), 1)
    else:
        key = "category" if source.category else "service"
        same = {kind.action for kind in kinds if kind.object in (source.product, "*")}
        near = nearest(name, sorted(same), 1)
    written = node.get(key)
    better = next(iter(near), None)
    fix = Fix("`carengine map new` writes a field map for it")
    if better is not None and isinstance(written, yamltext.Scalar):
        fix = replacing(f"if it is misspelt, write {better}", written, better, safe=False)
    message = f"no field map gives {source}"
    findings.say(codes.SIGMA_LOG_SOURCE, message, node if written is None else written, fix)


def _generic(findings: DocumentFindings, source: SigmaLogSource) -> None:
    if source.service != "sysmon" or source.category:
        return
    numbers: set[int] = set()
    for _, written in detections_of(findings).values():
        for item in written_items(written):
            if item.field == "EventID" and not item.modifiers:
                numbers |= {v.value for v in item.values if isinstance(v.value, int)}
    categories = {_OF_SYSMON.get(number) for number in numbers}
    if len(categories) == 1 and (category := next(iter(categories))) is not None:
        node = findings.document.root.get("logsource")
        message = f"these are events of the category {category}, which other logs have as well"
        fix = Fix(f"write category: {category}, and leave EventID out")
        findings.say(codes.SIGMA_GENERIC_SOURCE, message, node, fix)


def _fields(findings: DocumentFindings, source: SigmaLogSource) -> None:
    known = _FIELDS.get(source.category)
    if known is None or source.service or findings.text("taxonomy") not in ("", "sigma"):
        return
    folded = {name.lower().replace("_", ""): name for name in known}
    said: set[str] = set()
    for _, node in detections_of(findings).values():
        for item in written_items(node):
            if not item.field or item.field in known or item.key is None or item.field in said:
                continue
            said.add(item.field)
            better = folded.get(item.field.lower().replace("_", "").replace(" ", ""))
            if better is None:
                better = next(iter(nearest(item.field, sorted(known), 1)), None)
            fix = None
            if better is not None:
                block = item.key.text_block
                edit = Edit(block.span(0, len(item.field)), better)
                fix = Fix(f"write {better}", (edit,) if item.key.is_plain else ())
            message = f"events of {source} have no {item.field}"
            findings.say(codes.SIGMA_FIELD, message, _name_of(item.key, item.field), fix)


def _name_of(key: yamltext.Scalar, field: str) -> Span:
    return key.text_block.span(0, len(field))


def check_fields_list(findings: DocumentFindings) -> None:
    """The findings about `fields`, the fields that an analyst is to see."""
    for item in items_of(findings.document.root.get("fields")):
        if isinstance(item, yamltext.Scalar) and not item.text.strip():
            findings.say(codes.SIGMA_NAMES, "this field is empty", item)
