"""Names of rule files: the characters, and the beginning that says the log source.

https://github.com/SigmaHQ/sigma-specification/blob/main/sigmahq/sigmahq-filename-convention.md
"""

from __future__ import annotations

import re

from ...diagnostics import Fix, codes
from ...languages.sigma.document import SigmaLogSource
from .finding import DocumentFindings

_NAME = re.compile(r"[a-z0-9_]+\.yml")
_SHORTEST, _LONGEST = 10, 90
_SYSTEMS = {"windows": "win", "linux": "lnx", "macos": "macos"}

# The first of these whose parts are those of the log source: product, category, service.
_PREFIXES: tuple[tuple[tuple[str, str, str], str], ...] = (
    *(
        (("", category, ""), prefix)
        for category, prefix in (
            ("create_remote_thread", "create_remote_thread_win_"),
            ("create_stream_hash", "create_stream_hash_"),
            ("dns_query", "dns_query_{os}_"),
            ("driver_load", "driver_load_{os}_"),
            ("file_access", "file_access_{os}_"),
            ("file_change", "file_change_{os}_"),
            ("file_delete", "file_delete_{os}_"),
            ("file_event", "file_event_{os}_"),
            ("file_rename", "file_rename_{os}_"),
            ("image_load", "image_load_"),
            ("network_connection", "net_connection_{os}_"),
            ("pipe_created", "pipe_created_"),
            ("ps_classic_start", "posh_pc_"),
            ("ps_module", "posh_pm_"),
            ("ps_script", "posh_ps_"),
            ("process_access", "proc_access_{os}_"),
            ("process_creation", "proc_creation_{os}_"),
            ("registry_add", "registry_add_"),
            ("registry_delete", "registry_delete_"),
            ("registry_event", "registry_event_"),
            ("registry_set", "registry_set_"),
            ("webserver", "web_"),
            ("proxy", "proxy_"),
            ("antivirus", "av_"),
        )
    ),
    *(
        (("linux", "", service), f"lnx_{service}_")
        for service in ("auditd", "auth", "clamav", "cron", "guacamole", "sshd", "sudo", "syslog")
    ),
    *(
        (("windows", "", service), f"win_{name}_")
        for service, name in (
            ("applocker", "applocker"),
            ("bits-client", "bits_client"),
            ("codeintegrity-operational", "codeintegrity"),
            ("firewall-as", "firewall_as"),
            ("security", "security"),
            ("system", "system"),
            ("taskscheduler", "taskscheduler"),
            ("windefend", "defender"),
            ("wmi", "wmi"),
        )
    ),
    *(
        ((product, "", ""), prefix)
        for product, prefix in (
            ("aws", "aws_"),
            ("azure", "azure_"),
            ("gcp", "gcp_"),
            ("m365", "microsoft365_"),
            ("okta", "okta_"),
            ("onelogin", "onelogin_"),
            ("github", "github_"),
            ("bitbucket", "bitbucket_"),
            ("kubernetes", "kubernetes_"),
            ("modsecurity", "modsec_"),
        )
    ),
)


def file_name(path: str) -> str:
    """The last part of a path, also of one within an archive; empty for a text that is no file.

    >>> file_name("all.tar.gz!rules/x.yml"), file_name("<text>")
    ('x.yml', '')
    """
    name = re.split(r"[/\\!]", path)[-1]
    return "" if path.startswith("<") or not name.lower().endswith((".yml", ".yaml")) else name


def check_file_name(findings: DocumentFindings, source: SigmaLogSource | None) -> None:
    """The findings about the name of the file that a rule stands in."""
    name = file_name(findings.document.path)
    if not name:
        return
    if _NAME.fullmatch(name) is None:
        better = re.sub(r"[^a-z0-9]+", "_", name.rpartition(".")[0].lower()).strip("_") + ".yml"
        message = f"{name} is not of a to z, digits and _, with the ending .yml"
        findings.say(codes.SIGMA_FILE_NAME, message, None, Fix(f"call it {better}"))
        return
    if not _SHORTEST <= len(name) <= _LONGEST:
        message = f"{name} has {len(name)} characters; {_SHORTEST} to {_LONGEST} are usual"
        findings.say(codes.SIGMA_FILE_NAME, message)
        return
    prefix = None if source is None else prefix_of(source)
    if prefix is not None and not name.startswith(prefix):
        message = f"rules for {source} are in files {prefix}*"
        findings.say(codes.SIGMA_FILE_PREFIX, message, None, Fix(f"call it {prefix}…"))


def prefix_of(source: SigmaLogSource) -> str | None:
    """How SigmaHQ begins the names of files of a log source; None where nothing is agreed.

    >>> prefix_of(SigmaLogSource("windows", "process_creation"))
    'proc_creation_win_'
    """
    for (product, category, service), prefix in _PREFIXES:
        if (
            product in ("", source.product)
            and category in ("", source.category)
            and service in ("", source.service)
            and not (category and source.service)
        ):
            system = _SYSTEMS.get(source.product)
            if "{os}" in prefix and system is None:
                return None
            return prefix.replace("{os}", system or "")
    return None
