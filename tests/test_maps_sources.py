"""Log sources of clouds and services: events written from the products' documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import carengine
import test_maps_sources_hosts
import test_maps_sources_network
from carengine.fieldmap import installed_maps, recognise, unwrap
from source_cases import KEYS, SHARED, Source, archive, check_own, check_sigmahq, needs_sigmahq
from test_docs import generator

TRAIL: dict[str, Any] = {
    "eventVersion": "1.09", "eventTime": "2024-05-20T07:58:41Z", "eventSource": "ec2.amazonaws.com",
    "eventName": "CreateRoute", "awsRegion": "eu-west-1", "sourceIPAddress": "192.0.2.7",
    "userAgent": "console.amazonaws.com", "eventType": "AwsApiCall", "recipientAccountId": "111122223333",
    "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ann", "userName": "ann"},
    "requestParameters": {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"},
    "responseElements": {"_return": True},
}  # fmt: skip
DIAGNOSTIC: dict[str, Any] = {
    "time": "2024-05-20T07:58:41.1234567Z", "resourceId": "/tenants/t1/providers/Microsoft.aadiam",
    "operationName": "Add service principal", "category": "AuditLogs", "tenantId": "t1", "resultSignature": "None",
    "properties": {
        "activityDisplayName": "Add service principal", "category": "ApplicationManagement", "result": "success",
        "loggedByService": "Core Directory", "initiatedBy": {"user": {"userPrincipalName": "ann@corp.example"}},
        "targetResources": [
            {"type": "ServicePrincipal", "displayName": "app", "modifiedProperties": [
                {"displayName": "ConsentContext.IsAdminConsent", "oldValue": None, "newValue": "False"}]},
        ],
    },
}  # fmt: skip
SIGN_IN: dict[str, Any] = {
    "time": "2024-05-20T07:58:41Z", "resourceId": "/tenants/t1/providers/Microsoft.aadiam",
    "operationName": "Sign-in activity", "category": "SignInLogs", "resultType": "50053", "location": "NL",
    "resultDescription": "account is locked", "callerIpAddress": "192.0.2.7",
    "properties": {"userPrincipalName": "ann@corp.example", "riskState": "none", "deviceDetail": {"deviceId": ""}},
}  # fmt: skip
ACTIVITY: dict[str, Any] = {
    "time": "2024-05-20T07:58:41Z", "resourceId": "/SUBSCRIPTIONS/S1/RESOURCEGROUPS/G1/PROVIDERS/X",
    "operationName": "MICROSOFT.PORTAL/CONSOLES/WRITE", "category": "Administrative", "resultType": "Success",
    "callerIpAddress": "192.0.2.7", "properties": {"eventCategory": "Administrative"},
}  # fmt: skip
AUDIT_365: dict[str, Any] = {
    "CreationTime": "2024-05-20T07:58:41", "Id": "1", "Operation": "New-InboxRule", "RecordType": 1, "Workload": "Exchange",
    "ResultStatus": "True", "UserId": "ann@corp.example", "ClientIP": "192.0.2.7",
    "Parameters": [{"Name": "MoveToFolder", "Value": "RSS"}, {"Name": "Name", "Value": "x"}],
}  # fmt: skip
ALERT_365: dict[str, Any] = {
    "CreationTime": "2024-05-20T07:58:41", "Id": "1", "Operation": "AlertTriggered", "RecordType": 40,
    "Workload": "SecurityComplianceCenter", "ResultStatus": "Succeeded", "Name": "Impossible travel activity",
    "Source": "Cloud App Security", "Status": "Active", "AlertId": "a1", "Severity": "Medium",
}  # fmt: skip
OKTA: dict[str, Any] = {
    "eventType": "user.lifecycle.create", "published": "2024-05-20T07:58:41.000Z", "severity": "INFO",
    "actor": {"id": "00u1", "type": "User", "alternateId": "ann@corp.example"}, "outcome": {"result": "SUCCESS"},
    "target": [{"type": "User", "displayName": "bob"}, {"type": "AppInstance", "displayName": "Okta Admin Console"}],
    "displayMessage": "Create okta user", "debugContext": {"debugData": {"requestUri": "/api/v1/users"}},
}  # fmt: skip
GOOGLE: dict[str, Any] = {
    "logName": "projects/p1/logs/cloudaudit.googleapis.com%2Factivity", "timestamp": "2024-05-20T07:58:41Z",
    "resource": {"type": "gcs_bucket"},
    "protoPayload": {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "storage.googleapis.com",
        "methodName": "storage.buckets.list",
        "authorizationInfo": [{"permission": "storage.buckets.list", "granted": True}],
    },
}  # fmt: skip
WORKSPACE: dict[str, Any] = {
    "logName": "organizations/1/logs/cloudaudit.googleapis.com%2Factivity", "timestamp": "2024-05-20T07:58:41Z",
    "protoPayload": {
        "serviceName": "admin.googleapis.com", "methodName": "google.admin.AdminService.removePrivilege",
        "metadata": {"event": [{"eventName": "REMOVE_PRIVILEGE", "parameter": [{"name": "ROLE_NAME", "value": "r"}]}]},
    },
}  # fmt: skip
K8S: dict[str, Any] = {
    "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Request", "auditID": "a1", "stage": "ResponseComplete",
    "requestURI": "/api/v1/secrets", "verb": "list", "user": {"username": "ann"}, "userAgent": "kubectl/v1.30",
    "objectRef": {"resource": "secrets", "apiVersion": "v1"}, "responseStatus": {"code": 200},
    "requestReceivedTimestamp": "2024-05-20T07:58:41.000000Z", "stageTimestamp": "2024-05-20T07:58:41.100000Z",
}  # fmt: skip
GITHUB: dict[str, Any] = {
    "action": "repo.pages_public", "actor": "ann", "org": "corp", "repo": "corp/x", "@timestamp": 1716191921123,
    "_document_id": "d1",
}  # fmt: skip
BITBUCKET: dict[str, Any] = {
    "auditType": {"action": "User login failed", "area": "USER_MANAGEMENT", "category": "Authentication", "level": "ADVANCED"},
    "author": {"id": "1", "name": "ann", "type": "user"}, "source": "192.0.2.7",
    "timestamp": {"epochSecond": 1716191921, "nano": 5}, "version": "1.0",
}  # fmt: skip


def inside(event: dict[str, Any], key: str, **changes: Any) -> dict[str, Any]:
    """A change below one key."""
    return {key: {**event[key], **changes}}


CASES: dict[str, Source] = {
    "aws/-/cloudtrail": Source(TRAIL, {"eventName": "DeleteRoute"}, "{eventName: CreateRoute}", "aws_cloudtrail_new_route_added"),
    "aws/-/cloudtrail words in the parameters": Source(
        {**TRAIL, "eventSource": "s3.amazonaws.com", "eventName": "PutBucketVersioning",
         "requestParameters": {"VersioningConfiguration": {"Status": "Suspended"}}},
        {"requestParameters": {"VersioningConfiguration": {"Status": "Enabled"}}},
        '{"requestParameters|contains": Suspended}', "aws_disable_bucket_versioning"),
    "aws/-/cloudtrail Filebeat": Source(
        {"@timestamp": "2024-05-20T07:58:41Z", "event": {"provider": "ec2.amazonaws.com", "action": "CreateRoute"},
         "aws": {"cloudtrail": {"event_type": "AwsApiCall", "user_identity": {"type": "IAMUser"}}}},
        {"event": {"provider": "ec2.amazonaws.com", "action": "DeleteRoute"}},
        "{userIdentity.type: IAMUser, eventName: CreateRoute}", "aws_cloudtrail_new_route_added"),
    "azure/-/auditlogs": Source(
        DIAGNOSTIC, {"operationName": "Add group", **inside(DIAGNOSTIC, "properties", activityDisplayName="Add group")},
        "{properties.message: Add service principal, LoggedByService: Core Directory, targetResources.type: ServicePrincipal}",
        "azure_service_principal_created"),
    "azure/-/auditlogs inside the changed properties": Source(
        DIAGNOSTIC, inside(DIAGNOSTIC, "properties", targetResources=[]),
        '{"TargetResources.modifiedProperties|contains": IsAdminConsent}', "azure_app_end_user_consent"),
    "azure/-/auditlogs Log Analytics": Source(
        {"TimeGenerated": "2024-05-20T07:58:41Z", "Type": "AuditLogs", "OperationName": "Add service principal",
         "ActivityDisplayName": "Add service principal", "Category": "ApplicationManagement", "LoggedByService": "Core Directory",
         "Result": "success"},
        {"OperationName": "Add group", "ActivityDisplayName": "Add group"},
        "{OperationName: Add service principal, category: ApplicationManagement}", "azure_service_principal_created"),
    "azure/-/auditlogs Graph": Source(
        {"activityDateTime": "2024-05-20T07:58:41Z", "activityDisplayName": "Disable PIM Alert", "loggedByService": "PIM",
         "category": "RoleManagement", "result": "success"},
        {"activityDisplayName": "Enable PIM alert"}, "{ActivityDisplayName: Disable PIM Alert}", "azure_pim_alerts_disabled"),
    "azure/-/signinlogs": Source(SIGN_IN, {"resultType": "0"}, "{ResultType: 50053, location: NL}", "azure_account_lockout"),
    "azure/-/signinlogs Log Analytics": Source(
        {"TimeGenerated": "2024-05-20T07:58:41Z", "Type": "SigninLogs", "OperationName": "Sign-in activity",
         "ResultType": "50053", "Category": "SignInLogs"},
        {"ResultType": "50126"}, "{ResultType: 50053}", "azure_account_lockout"),
    "azure/-/activitylogs": Source(
        ACTIVITY, {"operationName": "MICROSOFT.PORTAL/CONSOLES/DELETE"}, "{operationName: MICROSOFT.PORTAL/CONSOLES/WRITE}",
        "azure_new_cloudshell_created"),
    "azure/-/activitylogs REST": Source(
        {"eventTimestamp": "2024-05-20T07:58:41Z", "operationName": {"value": "Microsoft.Portal/consoles/write", "localizedValue": "Write"},
         "category": {"value": "Administrative"}, "status": {"value": "Succeeded"}},
        {"operationName": {"value": "Microsoft.Portal/consoles/delete"}},
        "{OperationNameValue: MICROSOFT.PORTAL/CONSOLES/WRITE, CategoryValue: Administrative}", "azure_new_cloudshell_created"),
    "azure/-/riskdetection": Source(
        {**SIGN_IN, "category": "UserRiskEvents", "operationName": "User Risk Detection",
         "properties": {"riskEventType": "passwordSpray", "riskState": "atRisk"}},
        {"properties": {"riskEventType": "newCountry"}}, "{riskEventType: passwordSpray, RiskState: atRisk}",
        "azure_identity_protection_password_spray"),
    "azure/-/riskdetection Graph": Source(
        {"id": "1", "riskEventType": "passwordSpray", "detectedDateTime": "2024-05-20T07:58:41Z", "activity": "signin"},
        {"riskEventType": "newCountry"}, "{riskEventType: passwordSpray}", "azure_identity_protection_password_spray"),
    "azure/-/pim": Source(
        {"@odata.type": "#microsoft.graph.staleSignInAlertIncident", "id": "1", "lastSignInDateTime": "2024-05-20T07:58:41Z",
         "createdDateTime": "2024-05-21T00:00:00Z"},
        {"@odata.type": "#microsoft.graph.redundantAssignmentAlertIncident"}, "{riskEventType: staleSignInAlertIncident}",
        "azure_pim_account_stale"),
    "m365/-/audit": Source(
        AUDIT_365, {"Parameters": [{"Name": "From", "Value": "x"}]}, '{"Parameters|contains": MoveToFolder}',
        "microsoft365_susp_inbox_rule_creation_or_update_activity"),
    "m365/-/audit Elastic": Source(
        {"@timestamp": "2024-05-20T07:58:41Z", "event": {"dataset": "o365.audit"}, "o365": {"audit": AUDIT_365}},
        {"o365": {"audit": {**AUDIT_365, "Operation": "Get-InboxRule"}}}, "{Operation: New-InboxRule, Workload: Exchange}",
        "microsoft365_susp_inbox_rule_creation_or_update_activity"),
    "m365/-/audit Sentinel": Source(
        {"TimeGenerated": "2024-05-20T07:58:41Z", "OfficeWorkload": "Exchange", "Operation": "New-InboxRule",
         "Parameters": '[{"Name":"MoveToFolder","Value":"RSS"}]'},
        {"Operation": "Get-InboxRule"}, "{Workload: Exchange, Operation: New-InboxRule}",
        "microsoft365_susp_inbox_rule_creation_or_update_activity"),
    "m365/-/threat_management": Source(
        ALERT_365, {"Name": "Unusual travel"}, "{eventName: Impossible travel activity, status: success}",
        "microsoft365_impossible_travel_activity"),
    "m365/-/threat_detection": Source(
        {**ALERT_365, "Name": "Activity from suspicious IP addresses"}, {"Name": "Activity from an IP address"},
        "{eventSource: SecurityComplianceCenter, eventName: Activity from suspicious IP addresses}",
        "microsoft365_from_susp_ip_addresses"),
    "m365/-/exchange": Source(
        {**AUDIT_365, "Operation": "Add-FederatedDomain"}, {"ResultStatus": "False"}, "{eventSource: Exchange, status: success}",
        "microsoft365_new_federated_domain_added_exchange"),
    "okta/-/okta": Source(OKTA, {"eventType": "user.lifecycle.delete"}, "{eventType: user.lifecycle.create, target.displayName: bob}", "okta_user_created"),
    "okta/-/okta Elastic": Source(
        {"@timestamp": "2024-05-20T07:58:41Z", "event": {"dataset": "okta.system"},
         "okta": {"event_type": "user.lifecycle.create", "outcome": {"result": "SUCCESS"}, "actor": {"alternate_id": "a"}}},
        {"okta": {"event_type": "user.lifecycle.delete"}}, "{eventType: user.lifecycle.create, outcome.result: SUCCESS}", "okta_user_created"),
    "onelogin/-/onelogin.events": Source(
        {"id": 1, "created_at": "2024-05-20T07:58:41Z", "account_id": 5, "event_type_id": 3, "user_name": "ann", "actor_user_id": 9},
        {"event_type_id": 5}, "{event_type_id: 3, user_name: ann}", "onelogin_assumed_another_user"),
    "gcp/-/gcp.audit": Source(
        GOOGLE, inside(GOOGLE, "protoPayload", methodName="storage.buckets.get", authorizationInfo=[]),
        "{gcp.audit.method_name: storage.buckets.list, data.protoPayload.authorizationInfo.permission: storage.buckets.list}",
        "gcp_bucket_enumeration"),
    "gcp/-/gcp.audit Pub/Sub": Source(
        {"data": GOOGLE, "attributes": {}}, {"data": {**GOOGLE, **inside(GOOGLE, "protoPayload", methodName="storage.buckets.get")}},
        "{data.protoPayload.methodName: storage.buckets.list, data.protoPayload.resource.type: gcs_bucket}", "gcp_bucket_enumeration"),
    "gcp/-/gcp.audit Elastic": Source(
        {"@timestamp": "2024-05-20T07:58:41Z", "event": {"action": "storage.buckets.list", "dataset": "gcp.audit"},
         "gcp": {"audit": {"method_name": "storage.buckets.list", "type": "x"}}},
        {"gcp": {"audit": {"method_name": "storage.buckets.get"}}}, "{gcp.audit.method_name: storage.buckets.list}",
        "gcp_bucket_enumeration"),
    "gcp/-/google_workspace.admin": Source(
        WORKSPACE, inside(WORKSPACE, "protoPayload", metadata={"event": [{"eventName": "ADD_PRIVILEGE"}]}),
        "{eventService: admin.googleapis.com, eventName: REMOVE_PRIVILEGE}", "gcp_gworkspace_role_privilege_deleted"),
    "gcp/-/google_workspace.admin Reports API": Source(
        {"kind": "admin#reports#activity", "id": {"time": "2024-05-20T07:58:41Z", "applicationName": "admin"},
         "events": [{"type": "DELEGATED_ADMIN_SETTINGS", "name": "REMOVE_PRIVILEGE", "parameters": [{"name": "NEW_VALUE", "value": "false"}]}]},
        {"events": [{"name": "ADD_PRIVILEGE"}]}, '{new_value: "false", eventName: REMOVE_PRIVILEGE}', "gcp_gworkspace_role_privilege_deleted"),
    "gcp/-/google_workspace.login": Source(
        {**WORKSPACE, "protoPayload": {"serviceName": "login.googleapis.com", "methodName": "google.login.LoginService.govAttackWarning",
                                       "metadata": {"event": [{"eventName": "gov_attack_warning"}]}}},
        {"protoPayload": {"serviceName": "login.googleapis.com", "metadata": {"event": [{"eventName": "login_success"}]}}},
        "{protoPayload.metadata.event.eventName: gov_attack_warning}", "gcp_gworkspace_govattack"),
    "github/-/audit": Source(GITHUB, {"action": "repo.pages_private"}, "{action: repo.pages_public, actor: ann}", "github_pages_site_changed_to_public"),
    "bitbucket/-/audit": Source(
        BITBUCKET, inside(BITBUCKET, "auditType", action="User login"), "{auditType.category: Authentication, auditType.action: User login failed}",
        "bitbucket_audit_user_login_failure_detected"),
    "kubernetes/-/audit": Source(
        {**K8S, "responseStatus": {"code": 403}}, {"responseStatus": {"code": 200}}, "{responseStatus.code: 403}",
        "kubernetes_audit_unauthorized_unauthenticated_actions"),
    "kubernetes/application/audit": Source(
        K8S, {"verb": "get"}, "{verb: list, objectRef.resource: secrets}", "kubernetes_audit_secrets_enumeration"),
    "kubernetes/application/audit what a pod asks for": Source(
        {**K8S, "verb": "create", "objectRef": {"resource": "pods"}, "requestObject": {"spec": {
            "volumes": [{"name": "v", "hostPath": {"path": "/"}}], "containers": [{"name": "c"}]}}},
        {"requestObject": {"spec": {"volumes": [{"name": "v"}]}}}, "{hostPath: /, verb: create}", "kubernetes_audit_hostpath_mount"),
    "kubernetes/-/audit Elastic": Source(
        {"@timestamp": "2024-05-20T07:58:41Z", "kubernetes": {"audit": {**K8S, "responseStatus": {"code": 403}}}},
        {"kubernetes": {"audit": K8S}}, "{responseStatus.code: 403, objectRef.resource: secrets}",
        "kubernetes_audit_unauthorized_unauthenticated_actions"),
}  # fmt: skip


def source_of(name: str) -> str:
    """The log source that a case's name begins with."""
    return name.partition(" ")[0]


@pytest.mark.parametrize("name", CASES)
def test_an_event_and_a_near_miss(name: str) -> None:
    check_own(source_of(name), CASES[name])


@needs_sigmahq
@pytest.mark.parametrize("name", CASES)
def test_a_rule_of_sigmahq(name: str) -> None:
    check_sigmahq(CASES[name])


@pytest.mark.skipif(not (SHARED / "mordor-cloud").is_dir(), reason="the real logs are not here")
def test_every_record_of_the_real_logs_is_recognised() -> None:
    seen = 0
    for record in carengine.read_events(SHARED / "mordor-cloud"):
        if record.event.get("LICENSE"):
            continue
        seen += 1
        assert recognise(unwrap(record.event), installed_maps()), record.event
    assert seen > 100


NO_EVENT = {
    "paloalto/file_event/globalprotect": "no log of PAN-OS's tells of the files that are created",
}


@needs_sigmahq
def test_every_log_source_of_sigmahq_has_a_case() -> None:
    """Those of Windows have their tests in test_sigma and test_fieldmap."""
    named = set()
    for text in archive().values():
        for document in yaml.load_all(text, yaml.CSafeLoader):
            source = document.get("logsource") if isinstance(document, dict) else None
            if source and source.get("product") != "windows":
                named.add("/".join(str(source.get(key) or "-") for key in KEYS).lower())
    cases = [*CASES, *test_maps_sources_hosts.CASES, *test_maps_sources_network.CASES]
    assert named - {source_of(name) for name in cases} == set(NO_EVENT)


@needs_sigmahq
def test_at_least_97_in_100_rules_of_sigmahq_can_run() -> None:
    page = (Path(__file__).parents[1] / "docs" / "log-sources.md").read_text(encoding="utf-8")
    made = generator().log_sources()
    assert page == made, "run `make docs`"
    shares = re.findall(r"^\| (?:rules[a-z-]*|all) \| .* \| ([0-9.]+) % \|$", made, re.MULTILINE)
    assert len(shares) == 5
    assert all(float(share) >= 97 for share in shares)
