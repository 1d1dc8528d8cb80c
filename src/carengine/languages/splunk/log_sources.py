r"""Searches over logs that CAR has no objects for: read under the names that the log itself has.

What says where data lies (a source type, one of the macros of Splunk's security content) says which
log it is. A search over CloudTrail's events asks for ``eventName`` and
``requestParameters.userName``, which is what the log has; so it becomes a search of the log source
``aws/cloudtrail``, as Sigma's rules are. Windows events have a few names of Splunk's own, which are
turned back::

    `powershell` EventCode=4104 ScriptBlockText=*x* | stats count by dest user
      Filter(Search((windows/*,)), And((EventID = 4104, ScriptBlockText = "*x*")))

Names that Splunk's add-ons make for the Common Information Model (``dest``, ``user``) are in no
event. Where they only show what was found they are left out, and said. Where no log is named, the
search is one over events with exactly its names, which ``-m raw`` gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import assert_never

from attrs import evolve, frozen

from ... import ir
from ...diagnostics import Diagnostic, codes, ordered
from ..plan_parts import columns_of, shown_group, span_of_plan, with_columns
from ..query import QueryReading, names_of

_OWN_NAMES = ir.EventKind("splunk", "event")
_WINDOWS = (ir.EventKind("windows", "*"),)
_LINUX = (ir.EventKind("linux", "auditd"),)


def _kinds(*texts: str) -> tuple[ir.EventKind, ...]:
    return tuple(ir.EventKind(*text.split("/")) for text in texts)


# What source types, sources and macros begin with, in small letters, and the log that they are of.
# https://docs.splunk.com/Documentation/AddOns/released/Overview/Splunkaddons
# https://github.com/splunk/security_content/tree/develop/macros
_LOGS: tuple[tuple[str, tuple[ir.EventKind, ...]], ...] = (
    (r"(?:\*)?(?:xml)?wineventlog", _WINDOWS),
    (r".*(?:microsoft-windows|windows powershell)", _WINDOWS),
    (r"(?:sysmon|powershell|applocker|printservice|capi2_operational|ms_defender)$", _WINDOWS),
    (r"(?:certificateservices_lifecycle|subjectinterfacepackage|ntlm_audit)$", _WINDOWS),
    (r"(?:remoteconnectionmanager|wmi|rdp|windows_defender)$", _WINDOWS),
    (r"linux[:_]audit", _LINUX),
    (r"(?:aws:)?cloudtrail", _kinds("aws/cloudtrail")),
    (r"o365(?::management:activity|_management_activity)", _kinds("m365/audit")),
    (
        r"(?:azure:monitor:aad|azure_monitor_aad|azuread)",
        _kinds("azure/auditlogs", "azure/signinlogs"),
    ),
    (r"(?:mscs:azure:audit|azure_audit|azure_monitor_activity)", _kinds("azure/activitylogs")),
    (r"okta", _kinds("okta/okta")),
    (r"gws[:_]reports[:_]login", _kinds("gcp/google_workspace.login")),
    (r"gws[:_]", _kinds("gcp/google_workspace.admin")),
    (r"google[:_]gcp[:_]pubsub", _kinds("gcp/gcp.audit")),
    (r"kube(?::apiserver:audit|_audit)", _kinds("kubernetes/audit")),
    (r"github", _kinds("github/audit")),
    (
        r"(?:access_combined|nginx_access_logs|apache:access|nginx:plus:access)",
        _kinds("*/webserver"),
    ),
    (r"(?:ms:)?iis", _kinds("*/webserver")),
)
_PATTERNS = tuple((re.compile(text), kinds) for text, kinds in _LOGS)

# Windows events: the names that Splunk's add-on gives, and those of the events.
# https://docs.splunk.com/Documentation/WindowsAddOn/latest/User/Fieldmappings
_WINDOWS_NAMES = {
    "EventCode": "EventID",
    "EventID": "EventID",
    "signature_id": "EventID",
    "ComputerName": "Computer",
    "Computer": "Computer",
    "dest": "Computer",
    "dvc": "Computer",
    "host": "Computer",
    "SourceName": "Provider_Name",
    "Source_Workstation": "Workstation",
}
# What the add-on makes of them for the Common Information Model, for most events of the Security log.
_WINDOWS_CIM = {
    "user": "TargetUserName",
    "src_user": "SubjectUserName",
    "src": "IpAddress",
    "src_ip": "IpAddress",
    "src_port": "IpPort",
    "process_name": "ProcessName",
    "service_name": "ServiceName",
    "object": "ObjectName",
}
# Names of classic events are written out: `New_Process_Name` is NewProcessName.
_WRITTEN_OUT = re.compile(r"[A-Z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+")
# What the Common Information Model names, none of it a name of these logs.
_CIM_NAMES = """
    action app body category change_type command dest dest_nt_domain dvc file_hash file_name
    file_path host object object_attrs object_category object_id object_path original_file_name
    parent_process parent_process_exec parent_process_guid parent_process_id parent_process_name
    parent_process_path process process_exec process_guid process_hash process_id
    process_integrity_level process_name process_path result result_id service service_name
    signature signature_id src src_ip src_nt_domain src_user src_user_name status user user_agent
    user_id user_name user_type vendor_account vendor_product vendor_region registry_hive
    registry_key_name registry_path registry_value_data registry_value_name registry_value_type
    tenant_id
"""
_CIM = frozenset(_CIM_NAMES.split())


@frozen
class _OwnNames:
    """How the names of a search are those of a log."""

    kinds: tuple[ir.EventKind, ...]

    @property
    def is_windows(self) -> bool:
        return self.kinds == _WINDOWS

    def name(self, name: str) -> str:
        """The log's own name for one of the search's."""
        if name == "_time":
            return "time"
        if not self.is_windows:
            return name
        known = _WINDOWS_NAMES.get(name) or _WINDOWS_CIM.get(name)
        if known is not None:
            return known
        return name.replace("_", "") if _WRITTEN_OUT.fullmatch(name) else name

    def is_absent(self, name: str) -> bool:
        """Whether a name is one that an add-on makes, and no event has."""
        return name in _CIM and not (self.is_windows and name in _WINDOWS_NAMES)


def log_sources_of(places: Iterable[str]) -> tuple[ir.EventKind, ...]:
    """The log sources that are named by what says where data lies; none where that is not known.

    >>> log_sources_of(["index=main", "sourcetype=aws:cloudtrail"])
    (EventKind(object='aws', action='cloudtrail'),)
    """
    made: dict[ir.EventKind, None] = {}
    for place in places:
        name = place.rpartition("=")[2].lower()
        for pattern, kinds in _PATTERNS:
            if pattern.match(name):
                made.update(dict.fromkeys(kinds))
                break
    return tuple(made)


def under_own_names(reading: QueryReading, places: Iterable[str]) -> QueryReading:
    """The reading of a search as one over the log that it names, or over events with its names.

    >>> from carengine.diagnostics import Block
    >>> from carengine.languages.splunk.reader import read_search
    >>> found = read_search(Block.of("sourcetype=aws:cloudtrail eventName=x"))
    >>> str(under_own_names(found.reading, found.places).program.outputs[0].plan.plan.kinds[0])
    'aws/cloudtrail'
    """
    if reading.program is None:
        return reading
    kinds = log_sources_of(places) or (_OWN_NAMES,)
    names = _OwnNames(kinds)
    [output] = reading.program.outputs
    shown = shown_group(output.plan)
    said = list(reading.diagnostics)
    plan = output.plan
    if shown is not None:
        plan, left = _without(plan, shown, names)
        if left:
            message = f"events have no {', '.join(left)}; what was found is not shown by it"
            note = "Splunk's add-ons make these names"
            place = span_of_plan(shown)
            said.append(Diagnostic(codes.NATIVE_NAME, message, place, notes=(note,)))
    plan = _renamed(plan, names)
    missing = sorted({name for name in names_of(plan) if name in _CIM} - _made(plan))
    if missing and kinds != (_OWN_NAMES,):
        message = f"events of {' and '.join(map(str, kinds))} have no {', '.join(missing)}"
        note = "Splunk's add-ons make these names; write the log's own"
        place = span_of_plan(output.plan)
        said.append(Diagnostic(codes.NATIVE_NAME, message, place, notes=(note,)))
    program = evolve(reading.program, outputs=(evolve(output, plan=plan),))
    return evolve(reading, program=program, diagnostics=ordered(said), raised=True)


def _without(plan: ir.Plan, shown: ir.Group, names: _OwnNames) -> tuple[ir.Plan, list[str]]:
    """The plan whose group, which only shows what was found, goes without keys that no event
    has."""
    below = {name for part in shown.plans for name in columns_of(part)}
    left = [key.name for key in shown.keys if names.is_absent(key.name) and key.name not in below]
    if not left:
        return plan, []

    def shows(column: ir.Column) -> bool:
        return not (isinstance(column.value, ir.Field) and column.value.name in left)

    def change(part: ir.Plan) -> ir.Plan:
        match part:
            case ir.Aggregated(group, columns):
                keys = tuple(key for key in group.keys if key.name not in left)
                kept = tuple(filter(shows, columns))
                return evolve(part, group=evolve(group, keys=keys), columns=kept)
            case ir.Project(inner, columns):
                return evolve(part, plan=change(inner), columns=tuple(filter(shows, columns)))
            case _:
                return ir.map_plans(part, change)

    return change(plan), left


def _renamed(plan: ir.Plan, names: _OwnNames) -> ir.Plan:
    """The plan with the log's own names, over its events. Columns keep the names they have."""
    made = _made_below(plan)

    def value(leaf: ir.Value) -> ir.Value:
        match leaf:
            case ir.Field(name, None) if name not in made:
                return evolve(leaf, name=names.name(name))
            case _:
                return leaf

    def key(field: ir.Field) -> ir.Field:
        return field if field.name in made else evolve(field, name=names.name(field.name))

    def columns(given: tuple[ir.Column, ...]) -> tuple[ir.Column, ...]:
        return with_columns(given, value)

    below = ir.map_plans(plan, lambda inner: _renamed(inner, names))
    match below:
        case ir.Search(_, span):
            return ir.Search(names.kinds, span)
        case ir.Filter(_, condition):
            return evolve(below, condition=ir.rewrite_condition(condition, value))
        case ir.Assign(_, _, of):
            return evolve(below, value=ir.rewrite_value(of, value))
        case ir.Group(_, keys):
            return evolve(below, keys=tuple(map(key, keys)))
        case ir.Project(_, given) | ir.Aggregated(_, given):
            return evolve(below, columns=columns(given))
        case ir.Distinct(_, of):
            return evolve(below, value=key(of))
        case ir.Join() | ir.Window() | ir.Sequence() | ir.Difference() | ir.Union():
            # Splunk's commands make none of these.
            return below
        case _:
            assert_never(below)


def _made(plan: ir.Plan) -> set[str]:
    """The names that a plan and those below it make."""
    return {name for part in ir.every_plan((plan,)) for name in columns_of(part)}


def _made_below(plan: ir.Plan) -> set[str]:
    """The names that the plans below one make, which are not the log's."""
    parts = ir.plans_below(plan)
    groups = [part for part in parts if isinstance(part, ir.Group)]
    parts = (*parts, *(inner for group in groups for inner in ir.plans_below(group)))
    return {name for part in parts for name in columns_of(part)}
