"""The names of ECS over what cloud services write themselves.

Elastic's integrations turn CloudTrail's ``eventName`` into ``event.action``, and
``userIdentity.sessionContext.sessionIssuer.arn`` into
``aws.cloudtrail.user_identity.session_context.session_issuer.arn``. A rule in the second form runs
over events in the first: some names are listed here, the others follow from how an integration
spells a service's own ones. What goes through lists gives every value in them.

Not given is what an integration looks up elsewhere: autonomous systems, places. The categories of
events are those that an integration gives most events of their kind.

https://www.elastic.co/docs/reference/integrations
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from attrs import field, frozen

from .. import ir
from .model import Entry, FieldMap, NativeNames, first_of

_Path = tuple[str, ...]
_Spell = Callable[[_Path], _Path]


def _at(path: _Path) -> ir.Value:
    """What stands at a path; where there are lists on the way, all of it. A number is a place in a
    list."""
    number = next((n for n, key in enumerate(path) if key.isdigit()), None)
    if number:
        item = ir.Call("item", (_at(path[:number]), ir.Constant(int(path[number]))))
        rest = path[number + 1 :]
        return ir.Call("values_at", (item, ir.Constant(".".join(rest)))) if rest else item
    plain = ir.Raw(path)
    if len(path) == 1:
        return plain
    below = ir.Call("values_at", (ir.Raw(path[:1]), ir.Constant(".".join(path[1:]))))
    return ir.Call("first", (plain, below))


def _camel(path: _Path) -> _Path:
    return tuple(re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), key) for key in path)


def _itself(path: _Path) -> _Path:
    return path


def _text(path: str) -> ir.Value:
    return ir.Call("json_text", (_at(tuple(path.split("."))),))


def _first(*paths: str) -> ir.Value:
    return first_of([_at(tuple(path.split("."))) for path in paths])


def _named(items: str, key: str, name: str, value: str = "Value") -> ir.Value:
    """Of a list of names and values, the value of a name."""
    return ir.Call(
        "listed",
        (_at(tuple(items.split("."))), ir.Constant(key), ir.Constant(name), ir.Constant(value)),
    )


def _chosen(value: ir.Value, table: Mapping[str, str], other: str | None = None) -> ir.Value:
    pairs = [ir.Constant(text) for pair in table.items() for text in pair]
    return ir.Call("choose", (value, *pairs, ir.Constant(other)))


def _or(value: ir.Value, text: str) -> ir.Value:
    return ir.Call("first", (value, ir.Constant(text)))


@frozen
class _CloudLog:
    """A service's log: its data set, and its names.

    ``fields`` are values of names of ECS, ``paths`` names with the native path each is, and
    ``below`` gives prefixes with the native path below which a spelling finds the rest of a name.
    ``special`` makes values of what stands behind a prefix.
    """

    dataset: str | ir.Value
    module: str
    fields: Mapping[str, ir.Value] = field(factory=dict)
    paths: Mapping[str, str] = field(factory=dict)
    below: tuple[tuple[str, str, _Spell], ...] = ()
    special: tuple[tuple[str, Callable[[str], ir.Value]], ...] = ()

    def value(self, name: str) -> ir.Value | None:
        """The value of a name of ECS; None for one that the log does not have."""
        match name:
            case "event.kind":
                return ir.Constant("event")
            case "event.module":
                return ir.Constant(self.module)
            case "event.dataset" | "data_stream.dataset":
                found = self.dataset
                return ir.Constant(found) if isinstance(found, str) else found
            case _:
                pass
        if name in self.fields:
            return self.fields[name]
        if name in self.paths:
            return _at(tuple(self.paths[name].split(".")))
        for prefix, make in self.special:
            if name.startswith(prefix):
                return make(name[len(prefix) :])
        for prefix, base, spell in self.below:
            if name.startswith(prefix):
                rest = spell(tuple(name[len(prefix) :].split(".")))
                return _at((*filter(None, base.split(".")), *rest))
        return None

    def names(self) -> tuple[str, ...]:
        """The names that are listed."""
        return ("event.kind", "event.module", "event.dataset", *self.fields, *self.paths)


_AWS = _CloudLog(
    "aws.cloudtrail",
    "aws",
    {
        "event.type": ir.Constant("info"),
        "event.outcome": ir.Call(
            "choose",
            (
                _or(_at(("errorCode",)), ""),
                ir.Constant(""),
                _chosen(
                    _or(_first("responseElements.ConsoleLogin"), "Success"),
                    {"Failure": "failure"},
                    "success",
                ),
                ir.Constant("failure"),
            ),
        ),
        "event.category": _chosen(
            _at(("eventSource",)),
            {
                "iam.amazonaws.com": "iam",
                "signin.amazonaws.com": "authentication",
                "sts.amazonaws.com": "authentication",
            },
            "configuration",
        ),
        "user.name": _first(
            "userIdentity.userName", "userIdentity.sessionContext.sessionIssuer.userName"
        ),
        "cloud.account.id": _first("recipientAccountId", "userIdentity.accountId"),
        "cloud.provider": ir.Constant("aws"),
        "aws.cloudtrail.request_parameters": _text("requestParameters"),
        "aws.cloudtrail.response_elements": _text("responseElements"),
        "aws.cloudtrail.additional_eventdata": _text("additionalEventData"),
        "aws.cloudtrail.resources.arn": _first("resources.ARN", "resources.arn"),
    },
    {
        "event.action": "eventName",
        "event.provider": "eventSource",
        "event.id": "eventID",
        "source.ip": "sourceIPAddress",
        "source.address": "sourceIPAddress",
        "user.id": "userIdentity.principalId",
        "user_agent.original": "userAgent",
        "cloud.region": "awsRegion",
    },
    (
        ("aws.cloudtrail.flattened.request_parameters.", "requestParameters", _itself),
        ("aws.cloudtrail.flattened.response_elements.", "responseElements", _itself),
        ("aws.cloudtrail.flattened.additional_eventdata.", "additionalEventData", _itself),
        ("aws.cloudtrail.", "", _camel),
    ),
)
_OKTA = _CloudLog(
    "okta.system",
    "okta",
    {
        "event.outcome": _chosen(
            _or(_at(("outcome", "result")), ""),
            {"SUCCESS": "success", "ALLOW": "success", "FAILURE": "failure", "DENY": "failure"},
            "unknown",
        ),
    },
    {
        "event.action": "eventType",
        "event.id": "uuid",
        "source.ip": "client.ipAddress",
        "client.ip": "client.ipAddress",
        "client.user.name": "actor.displayName",
        "client.user.id": "actor.id",
        "source.user.name": "actor.displayName",
        "source.user.id": "actor.id",
        "user.name": "actor.displayName",
        "user.id": "actor.id",
        "user_agent.original": "client.userAgent.rawUserAgent",
        "source.as.number": "securityContext.asNumber",
        "source.as.organization.name": "securityContext.asOrg",
        "source.geo.country_name": "client.geographicalContext.country",
        "source.geo.region_name": "client.geographicalContext.state",
        "client.geo.country_name": "client.geographicalContext.country",
    },
    (
        ("okta.debug_context.debug_data.flattened.", "debugContext.debugData", _itself),
        ("okta.client.ip", "client.ipAddress", _itself),
        ("okta.", "", _camel),
    ),
)
_AZURE_DATASETS = {
    "SignInLogs": "azure.signinlogs",
    "NonInteractiveUserSignInLogs": "azure.signinlogs",
    "ServicePrincipalSignInLogs": "azure.signinlogs",
    "ManagedIdentitySignInLogs": "azure.signinlogs",
    "ADFSSignInLogs": "azure.signinlogs",
    "AuditLogs": "azure.auditlogs",
    "MicrosoftGraphActivityLogs": "azure.graphactivitylogs",
    "RiskyUsers": "azure.identity_protection",
    "UserRiskEvents": "azure.identity_protection",
    "ServicePrincipalRiskEvents": "azure.identity_protection",
    "Administrative": "azure.activitylogs",
    "Action": "azure.activitylogs",
    "Write": "azure.activitylogs",
    "Delete": "azure.activitylogs",
    "Policy": "azure.activitylogs",
    "Security": "azure.activitylogs",
    "ServiceHealth": "azure.activitylogs",
    "Autoscale": "azure.activitylogs",
    "Alert": "azure.activitylogs",
}
_AZURE_RESULTS = {
    "0": "success",
    "Success": "success",
    "Succeeded": "success",
    "Start": "success",
    "Started": "success",
    "Accept": "success",
    "Accepted": "success",
}
_AZURE_LOGS = ("signinlogs", "auditlogs", "activitylogs", "platformlogs", "graphactivitylogs")
_AZURE = _CloudLog(
    _chosen(_at(("category",)), _AZURE_DATASETS, "azure.platformlogs"),
    "azure",
    {
        "event.category": _chosen(
            _chosen(_at(("category",)), _AZURE_DATASETS, ""),
            {
                "azure.signinlogs": "authentication",
                "azure.auditlogs": "iam",
                "azure.identity_protection": "iam",
                "azure.graphactivitylogs": "web",
            },
        ),
        "event.type": _chosen(_at(("category",)), {"MicrosoftGraphActivityLogs": "access"}, "info"),
        "url.path": ir.Call(
            "between",
            (
                _at(("properties", "requestUri")),
                ir.Constant("graph.microsoft.com"),
                ir.Constant("?"),
            ),
        ),
        "url.domain": ir.Call(
            "between",
            (_at(("properties", "requestUri")), ir.Constant("://"), ir.Constant("/")),
        ),
        "event.outcome": _chosen(
            _or(_first("resultType", "properties.result", "resultSignature"), "success"),
            _AZURE_RESULTS,
            "failure",
        ),
        "source.ip": _first("callerIpAddress", "properties.ipAddress"),
        "source.address": _first("callerIpAddress", "properties.ipAddress"),
        "user_agent.original": _first("properties.userAgent", "userAgent"),
        "user.name": _first("properties.userPrincipalName", "identity.claims.upn"),
        "user.id": _first("properties.userId", "properties.initiatedBy.user.id"),
        "azure.resource.group": ir.Call(
            "part", (_at(("resourceId",)), ir.Constant("/"), ir.Constant(4))
        ),
        "azure.resource.name": ir.Call(
            "part", (_at(("resourceId",)), ir.Constant("/"), ir.Constant(-1))
        ),
        "azure.activitylogs.identity.claims_initiated_by_user.name": _first(
            "identity.claims.name",
            "identity.claims.http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
        ),
    },
    {
        "event.action": "operationName",
        "url.original": "properties.requestUri",
        "http.request.method": "properties.requestMethod",
        "http.response.status_code": "properties.responseStatusCode",
        "azure.resource.id": "resourceId",
        "azure.tenant_id": "tenantId",
        "azure.correlation_id": "correlationId",
        "cloud.region": "location",
    },
    (
        *(
            (f"azure.{log}.{part}.", part, _itself)
            for log in ("platformlogs", "activitylogs")
            for part in ("properties.log", "identity.claims")
        ),
        *((f"azure.{log}.", "", _camel) for log in (*_AZURE_LOGS, "identityprotection")),
    ),
)
# https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema
_RECORD_TYPES = {
    "1": "ExchangeAdmin",
    "2": "ExchangeItem",
    "3": "ExchangeItemGroup",
    "4": "SharePoint",
    "6": "SharePointFileOperation",
    "7": "OneDrive",
    "8": "AzureActiveDirectory",
    "9": "AzureActiveDirectoryAccountLogon",
    "10": "DataCenterSecurityCmdlet",
    "11": "ComplianceDLPSharePoint",
    "13": "ComplianceDLPExchange",
    "14": "SharePointSharingOperation",
    "15": "AzureActiveDirectoryStsLogon",
    "18": "SecurityComplianceCenterEOPCmdlet",
    "19": "ExchangeAggregatedOperation",
    "20": "PowerBIAudit",
    "24": "Discovery",
    "25": "MicrosoftTeams",
    "28": "ThreatIntelligence",
    "30": "MicrosoftFlow",
    "40": "SecurityComplianceAlerts",
    "41": "ThreatIntelligenceUrl",
    "47": "ThreatIntelligenceAtpContent",
    "50": "ExchangeItemAggregated",
    "64": "AirInvestigation",
}


_CATEGORIES = {
    "UserLoggedIn": "authentication",
    "UserLoginFailed": "authentication",
    **dict.fromkeys(
        (
            *("Add user.", "Delete user.", "Update user.", "Change user password."),
            *("Reset user password.", "Add group.", "Delete group.", "Update group."),
            *("Add member to group.", "Remove member from group.", "Add member to role."),
        ),
        "iam",
    ),
    **dict.fromkeys(
        (
            *("FileAccessed", "FileDownloaded", "FileModified", "FileDeleted", "FileUploaded"),
            *("FileCopied", "FileMoved", "FileRenamed", "FilePreviewed", "FileRecycled"),
            *("FileSyncDownloadedFull", "FileSyncUploadedFull", "FileMalwareDetected"),
        ),
        "file",
    ),
}


def _modified(rest: str) -> ir.Value:
    """``Role_DisplayName.NewValue`` of the properties that were changed."""
    name, _, value = rest.rpartition(".")
    return _named("ModifiedProperties", "Name", name.replace("_", "."), value)


_M365 = _CloudLog(
    "o365.audit",
    "o365",
    {
        "event.outcome": _chosen(
            _or(_at(("ResultStatus",)), "Succeeded"),
            {"Failed": "failure", "False": "failure"},
            "success",
        ),
        "event.code": _chosen(_at(("RecordType",)), _RECORD_TYPES),
        "event.category": _chosen(_at(("Operation",)), _CATEGORIES, "web"),
        "event.type": ir.Constant("info"),
        "source.ip": _first("ClientIP", "ClientIPAddress", "ActorIpAddress"),
        "source.address": _first("ClientIP", "ClientIPAddress", "ActorIpAddress"),
        "user_agent.original": first_of(
            [_at(("UserAgent",)), _named("ExtendedProperties", "Name", "UserAgent")]
        ),
        "o365.audit.RecordType": _at(("RecordType",)),
    },
    {
        "event.action": "Operation",
        "event.provider": "Workload",
        "event.id": "Id",
        "user.id": "UserId",
        "user.email": "UserId",
        "organization.id": "OrganizationId",
        "file.name": "SourceFileName",
        "file.extension": "SourceFileExtension",
        "file.directory": "SourceRelativeUrl",
        "url.original": "ObjectId",
    },
    (("o365.audit.", "", _itself),),
    (
        ("o365.audit.Parameters.", lambda name: _named("Parameters", "Name", name)),
        ("o365.audit.ExtendedProperties.", lambda name: _named("ExtendedProperties", "Name", name)),
        ("o365.audit.DeviceProperties.", lambda name: _first(f"DeviceProperties.{name}")),
        ("o365.audit.ModifiedProperties.", _modified),
    ),
)
_GCP = _CloudLog(
    "gcp.audit",
    "gcp",
    {
        "event.outcome": _chosen(
            _or(_first("protoPayload.status.code"), "0"), {"0": "success"}, "failure"
        ),
        "event.type": ir.Constant("info"),
    },
    {
        "event.action": "protoPayload.methodName",
        "event.id": "insertId",
        "event.provider": "protoPayload.serviceName",
        "service.name": "protoPayload.serviceName",
        "source.ip": "protoPayload.requestMetadata.callerIp",
        "user_agent.original": "protoPayload.requestMetadata.callerSuppliedUserAgent",
        "user.email": "protoPayload.authenticationInfo.principalEmail",
        "client.user.email": "protoPayload.authenticationInfo.principalEmail",
        "client.user.id": "protoPayload.authenticationInfo.principalEmail",
        "cloud.project.id": "resource.labels.project_id",
    },
    (
        ("gcp.audit.request.", "protoPayload.request", _itself),
        ("gcp.audit.response.", "protoPayload.response", _itself),
        ("gcp.audit.", "protoPayload", _camel),
    ),
    (
        # A label's name has dots of its own.
        (
            "gcp.audit.labels.",
            lambda name: ir.Call("member", (ir.Raw(("labels",)), ir.Constant(name))),
        ),
    ),
)


def _parameter(rest: str) -> ir.Value:
    """A parameter of an event of Google Workspace: ``setting.name`` is SETTING_NAME or
    setting_name."""
    name = rest.replace(".", "_")
    values = ("value", "boolValue", "intValue", "multiValue")
    return first_of(
        [
            _named("events.parameters", "name", spelling, value)
            for spelling in dict.fromkeys((name.upper(), name))
            for value in values
        ]
    )


_WORKSPACE = _CloudLog(
    ir.Call("concat", (ir.Constant("google_workspace."), _at(("id", "applicationName")))),
    "google_workspace",
    {
        "event.action": _first("events.name"),
        "event.category": _chosen(
            _at(("id", "applicationName")),
            {"login": "authentication", "drive": "file", "saml": "authentication"},
            "iam",
        ),
        "event.type": ir.Constant("info"),
        "file.extension": ir.Call(
            "substring",
            (
                ir.Call("extension", (_named("events.parameters", "name", "doc_title"),)),
                ir.Constant(1),
            ),
        ),
        "google_workspace.event.type": _first("events.type"),
    },
    {
        "event.provider": "id.applicationName",
        "source.ip": "ipAddress",
        "user.email": "actor.email",
        "source.user.email": "actor.email",
        "user.id": "actor.profileId",
        "google_workspace.actor.type": "actor.callerType",
    },
    (),
    tuple(
        (f"google_workspace.{application}.", _parameter)
        for application in ("admin", "drive", "login", "token", "device", "groups", "saml")
    ),
)


def _annotation(rest: str) -> ir.Value:
    """An annotation by its name, whose dots an integration writes as underscores."""
    name, slash, key = rest.partition("/")
    spelt = (rest, f"{name.replace('_', '.')}{slash}{key}")
    annotations = ir.Raw(("annotations",))
    return first_of([ir.Call("member", (annotations, ir.Constant(one))) for one in spelt])


_KUBERNETES = _CloudLog(
    "kubernetes.audit_logs",
    "kubernetes",
    {},
    {
        "event.action": "verb",
        "event.id": "auditID",
        "user_agent.original": "userAgent",
        "source.ip": "sourceIPs",
        "user.name": "user.username",
    },
    (("kubernetes.audit.", "", _itself),),
    (("kubernetes.audit.annotations.", _annotation),),
)
_GITHUB = _CloudLog(
    "github.audit",
    "github",
    {
        "github.category": ir.Call("part", (_at(("action",)), ir.Constant("."), ir.Constant(0))),
        "event.category": ir.Call(
            "several", tuple(map(ir.Constant, ("configuration", "web", "iam")))
        ),
        "event.type": _chosen(
            _at(("operation_type",)),
            {"create": "creation", "modify": "change", "remove": "deletion", "access": "access"},
            "info",
        ),
    },
    {
        "event.action": "action",
        "user.name": "actor",
        "source.ip": "actor_ip",
        "user_agent.original": "user_agent",
        "group.name": "team",
    },
    (("github.", "", _itself),),
)
_LOGS: Mapping[str, _CloudLog] = {
    "aws.cloudtrail": _AWS,
    "okta.system_log": _OKTA,
    "azure.diagnostics": _AZURE,
    "m365.activity": _M365,
    "gcp.entry": _GCP,
    "gcp.workspace": _WORKSPACE,
    "devops.kubernetes": _KUBERNETES,
    "devops.github": _GITHUB,
}


@frozen
class CloudNames(Mapping[str, ir.Value]):
    """The names of ECS in the log of a field map. The listed ones are gone through; asked for, it
    has all that follow from them.

    >>> CloudNames("okta.system_log")["okta.actor.alternate_id"].arguments[0].path
    ('actor', 'alternateId')
    >>> "okta" in CloudNames("okta.system_log"), "event.action" in CloudNames("okta.system_log")
    (False, True)
    """

    log: str

    def __getitem__(self, name: str) -> ir.Value:
        found = _LOGS[self.log].value(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_LOGS[self.log].names())

    def __len__(self) -> int:
        return len(_LOGS[self.log].names())


def cloud_entry(fieldmap: FieldMap, kind: ir.EventKind) -> Entry | None:
    """The events of a service's log under the names of ECS; None for a map that is of no such
    log."""
    if fieldmap.name not in _LOGS or not fieldmap.entries:
        return None
    first = fieldmap.entries[0]
    fields = {"time": first.fields["time"]} if "time" in first.fields else {}
    names: Mapping[str, ir.Value] = CloudNames(fieldmap.name)
    return Entry(kind, ir.Truth(True), fields, first.span, NativeNames(None, names))
