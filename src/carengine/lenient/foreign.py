"""What other products and other people call the things of CAR's data model.

The tables are by CAR object: the names that Sysmon, Windows, Splunk's common information model,
Winlogbeat, HELK and EQL have for a field of it. Spelling does not count (``ParentImage`` and
``parent_image`` are one name). A name is only here if it means the same as the CAR field: Sysmon's
``TargetObject``, which holds key and value in one, is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from ..datamodel import DataModel, fold_name

folded = fold_name

ELLIPSIS = re.compile(r"[\[,]\s*(\.\.\.|…)\s*(?=[\],\r\n])")
PLACEHOLDER = re.compile(
    r"_{2,}[A-Za-z]\w*?_{2,}|<[a-z][a-z_ -]*>|\{\{(?!pipe\}\})[a-z_ ]+\}\}", re.ASCII
)
PIPE = "{{pipe}}"

_TIME = "timestamp event_time @timestamp utc_time time_created date_time datetime _time"
_HOST = "computer computer_name host host_name machine machine_name device_name dvc"
_USER = "user_name account_name user_account account subject_user_name username"
_HASHES = {
    "md5_hash": "md5 hash_md5 process_hash_md5 file_hash_md5",
    "sha1_hash": "sha1 hash_sha1",
    "sha256_hash": "sha256 hash_sha256",
}
_IMAGE = "image process_path process_image process_image_path executable process_executable"
_EXE = "process_name image_name proc_name exe_name executable_name"

_TABLES: Mapping[str, Mapping[str, str]] = {
    "process": {
        **_HASHES,
        "image_path": f"{_IMAGE} new_process_name path exe_path source_image",
        "exe": _EXE,
        "parent_image_path": "parent_image parent_process_path parent_path process_parent_path "
        "parent_process_image parent_executable parent_process_executable",
        "parent_exe": "parent_process_name process_parent_name parent_name parent_process "
        "parent_image_name",
        "command_line": "cmdline cmd_line process_command_line process_cmdline commandline_args "
        "process",
        "parent_command_line": "parent_cmdline parent_cmd_line parent_process_command_line "
        "process_parent_command_line",
        "pid": "process_id proc_id",
        "ppid": "parent_process_id parent_pid process_parent_id process_ppid",
        "guid": "process_guid process_entity_id",
        "parent_guid": "parent_process_guid process_parent_guid",
        "current_working_directory": "current_directory cwd working_directory "
        "process_current_directory process_working_directory",
        "integrity_level": "process_integrity_level",
        "access_level": "granted_access access_mask",
        "target_image_path": "target_image target_process_path",
        "target_pid": "target_process_id",
        "original_file_name": "original_name",
        "user": _USER,
    },
    "file": {
        **_HASHES,
        "file_path": "target_filename target_file_path path full_path",
        "image_path": _IMAGE,
        "exe": _EXE,
        "extension": "file_extension ext",
        "pid": "process_id",
        "guid": "process_guid",
        "creation_time": "creation_utc_time",
        "previous_creation_time": "previous_creation_utc_time",
        "user": _USER,
    },
    "registry": {
        "key": "registry_key registry_key_path registry_key_name key_name key_path",
        "value": "registry_value registry_value_name value_name",
        "data": "value_data registry_data registry_value_data registry_key_value details",
        "image_path": _IMAGE,
        "exe": _EXE,
        "pid": "process_id",
        "user": _USER,
    },
    "flow": {
        "src_ip": "source_ip source_address src_ip_addr src_address src source_addr client_ip",
        "dest_ip": "destination_ip destination_address dst_ip dst_ip_addr dest_address dst dest "
        "remote_ip remote_address",
        "src_port": "source_port sport",
        "dest_port": "destination_port dst_port dport port remote_port",
        "src_hostname": "source_hostname source_host src_host",
        "dest_hostname": "destination_hostname destination_host dest_host dst_hostname",
        "transport_protocol": "network_protocol network_transport transport",
        "application_protocol": "app_protocol service_protocol",
        "image_path": _IMAGE,
        "exe": _EXE,
        "pid": "process_id",
        "user": _USER,
    },
    "module": {
        **_HASHES,
        "module_path": "image_loaded module_loaded dll_path loaded_image",
        "module_name": "dll dll_name",
        "image_path": _IMAGE,
        "exe": _EXE,
        "signer": "signature signed_by",
        "pid": "process_id",
        "user": _USER,
    },
    "driver": {
        **_HASHES,
        "image_path": "image_loaded driver_path image_loaded_path driver_loaded image",
        "module_name": "driver_name",
        "signer": "signature",
    },
    "thread": {
        "src_image_path": "source_image src_image source_process_path",
        "tgt_image_path": "target_image tgt_image target_process_path process_target_path",
        "src_exe": "source_process_name",
        "tgt_exe": "target_process_name process_target_name",
        "src_pid": "source_process_id source_pid",
        "tgt_pid": "target_process_id target_pid process_target_id",
        "src_tid": "source_thread_id",
        "tgt_tid": "new_thread_id target_thread_id",
        "user": _USER,
    },
    "service": {
        "name": "service_name",
        "image_path": "service_file_name service_image_path binary_path service_path image",
        "start_type": "service_start_type",
        "exe": "process_name",
        "user": _USER,
    },
    "user_session": {
        "user": f"{_USER} target_user_name target_user",
        "login_type": "logon_type",
        "login_id": "logon_id target_logon_id",
        "authentication_package": "authentication_package_name auth_package",
        "logon_process": "logon_process_name",
        "src_ip": "ip_address source_ip source_address source_network_address",
        "src_port": "ip_port source_port",
        "src_hostname": "workstation workstation_name source_workstation",
        "ad_domain": "target_domain_name domain",
        "dest_ip": "destination_ip",
    },
    "authentication": {
        "user": "subject_user_name",
        "target_user": "target_user_name user_name account_name username",
        "login_type": "logon_type",
        "login_id": "logon_id",
        "authentication_package": "authentication_package_name",
        "logon_process": "logon_process_name",
        "src_ip": "ip_address source_ip source_address source_network_address",
        "src_hostname": "workstation workstation_name",
        "target_ad_domain": "target_domain_name",
    },
    "http": {
        "url_full": "url uri",
        "user_agent_full": "user_agent useragent",
        "response_status_code": "status status_code http_status",
    },
    "socket": {"image_path": _IMAGE, "exe": _EXE, "pid": "process_id"},
    "email": {"src_address": "sender sender_address", "dest_address": "recipient recipients"},
}
_EVERYWHERE = {"time": _TIME, "hostname": _HOST}

# Protocols below the application; every other protocol's name is an application's.
TRANSPORTS = frozenset(
    [
        "tcp",
        "udp",
        "icmp",
        "icmpv6",
        "igmp",
        "sctp",
        "gre",
        "esp",
        "ah",
        "tcp6",
        "udp6",
        "ip",
        "ipv6",
    ]
)

_ACTIONS: Mapping[str, Mapping[str, str]] = {
    "process": {
        "create": "start started launch spawn exec execute creation created new",
        "terminate": "end stop exit kill termination terminated stopped",
        "access": "open opened accessed",
    },
    "file": {
        "create": "creation created new add",
        "delete": "remove deleted deletion",
        "modify": "change edit update modified modification changed",
        "read": "open access",
    },
    "registry": {
        "add": "create creation created new key_create create_key",
        "remove": "delete deleted deletion removed key_delete delete_key",
        "value_edit": "set set_value value_set value_modify",
        "key_edit": "rename rename_key key_rename",
    },
    "flow": {"start": "create connect open connection begin", "end": "close stop terminate finish"},
    "module": {"load": "loaded create"},
    "driver": {"load": "loaded create"},
    "service": {"create": "install creation created new add", "delete": "remove uninstall"},
    "thread": {"remote_create": "create_remote remote_creation", "terminate": "end exit"},
    "user_session": {
        "login": "logon sign_in signin log_on log_in",
        "logout": "logoff sign_out log_off log_out",
    },
    "authentication": {"success": "succeeded successful", "failure": "fail failed"},
}
# Actions that stand for more than one of CAR's.
_SEVERAL = {
    ("registry", "edit"): ("value_edit", "key_edit"),
    ("registry", "modify"): ("value_edit", "key_edit"),
    ("registry", "change"): ("value_edit", "key_edit"),
    ("registry", "update"): ("value_edit", "key_edit"),
}
_OBJECTS = {
    "flow": "network network_connection connection netflow net_flow network_flow",
    "module": "dll image image_load",
    "user_session": "session logon login",
    "process": "proc processes",
    "file": "files",
    "registry": "reg registry_key",
    "thread": "remote_thread threads",
    "service": "services",
}

# Actions that begin something, and those that end it, whatever the object calls them.
ANALOGUES = (
    ("create", "start", "load", "add", "login"),
    ("terminate", "end", "unload", "remove", "delete", "logout", "close"),
)


@cache
def _fields(name: str) -> Mapping[str, str]:
    table = {**_EVERYWHERE, **_TABLES.get(name, {})}
    made: dict[str, str] = {}
    for car, others in table.items():
        for other in others.split():
            made.setdefault(fold_name(other), car)
    return made


def field_of(object_: str, spelling: str) -> str | None:
    """The CAR field that other products call so, for an object of the data model.

    >>> field_of("process", "ParentImage")
    'parent_image_path'
    """
    return _fields(object_).get(fold_name(spelling))


def actions_of(object_: str, spelling: str) -> tuple[str, ...]:
    """The CAR actions that an action's foreign name stands for; empty where it is not known."""
    wanted = fold_name(spelling)
    several = _SEVERAL.get((object_, wanted))
    if several is not None:
        return several
    for action, others in _ACTIONS.get(object_, {}).items():
        if wanted in map(fold_name, others.split()):
            return (action,)
    return ()


def object_of(spelling: str) -> str | None:
    """The CAR object that a foreign name stands for."""
    wanted = fold_name(spelling)
    for name, others in _OBJECTS.items():
        if wanted in map(fold_name, others.split()):
            return name
    return None


def field_names(datamodel: DataModel) -> frozenset[str]:
    """All folded names of fields, CAR's and foreign ones."""
    names = {fold_name(field) for spec in datamodel.objects.values() for field in spec.fields}
    for spec in datamodel.objects.values():
        names.update(_fields(spec.name))
    return frozenset(names)
