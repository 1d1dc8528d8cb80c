"""Log sources of web servers, proxies, firewalls, name servers, network devices, applications."""

from __future__ import annotations

import json
from typing import Any

import pytest

from source_cases import Source, check_own, check_sigmahq, needs_sigmahq

IIS = (
    "#Software: Microsoft Internet Information Services 10.0\n"
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status\n"
    "2024-05-20 07:58:41 10.0.0.5 {method} {path} {query} 443 - 192.0.2.7 {agent} - 200\n"
)
BLUE_COAT = (
    "#Software: SGOS 7.3\n"
    "#Fields: date time time-taken c-ip sc-status s-action cs-method cs-uri-scheme cs-host cs-uri-path cs-uri-query cs-username s-hierarchy cs(User-Agent)\n"
    '2024-05-20 07:58:41 12 10.0.0.9 200 TCP_NC_MISS GET http {host} {path} {query} - DIRECT "{agent}"\n'
)
FORTINET = (
    'date=2024-05-20 time=07:58:41 devname="fw1" devid="FGT60E0000000001" eventtime=1716191921123456789 tz="+0000" '
    'logid="0100044547" type="event" subtype="system" level="information" vd="root" user="admin" '
    'action="{action}" cfgpath="{path}" cfgobj="x" msg="a change"\n'
)
PALO_ALTO = (
    "<14>May 20 07:58:41 fw1 1,2024/05/20 07:58:41,001122,TRAFFIC,end,2560,2024/05/20 07:58:41,10.0.0.1,192.0.2.1,0.0.0.0,"
    "0.0.0.0,rule1,,,telnet,vsys1,trust,untrust,ethernet1/1,ethernet1/2,log,2024/05/20 07:58:41,1,1,50000,{port},0,0,0x0,"
    "tcp,{action},100,50,50,2,2024/05/20 07:58:40,0,any,0\n"
)


def iis(method: str = "GET", path: str = "/", query: str = "-", agent: str = "curl/8.0") -> str:
    return IIS.format(method=method, path=path, query=query, agent=agent)


def blue_coat(
    host: str = "example.org", path: str = "/", query: str = "-", agent: str = "curl/8.0"
) -> str:
    return BLUE_COAT.format(host=host, path=path, query=query, agent=agent)  # fmt: skip


def access(uri: str, agent: str = "curl/8.0") -> str:
    return (
        f'192.0.2.7 - - [20/May/2024:07:58:41 +0000] "GET {uri} HTTP/1.1" 200 512 "-" "{agent}"\n'
    )


def squid(url: str) -> str:
    return f"1716191921.123    120 10.0.0.9 TCP_MISS/200 5120 GET {url} - HIER_DIRECT/192.0.2.1 text/html\n"


def cef(head: str, extension: str) -> str:
    return f"CEF:0|{head}|3|rt=May 20 2024 07:58:41 GMT {extension}\n"


def syslog(app: str, message: str, host: str = "host1") -> str:
    return f"<30>2024-05-20T07:58:41.123Z {host} {app}: {message}\n"


def bind(name: str, kind: str = "A") -> str:
    return f"20-May-2024 07:58:41.123 queries: info: client @0x7f01 10.0.0.9#5353 ({name}): query: {name} IN {kind} +E(0)K (10.0.0.2)\n"


def otlp(language: str, kind: str) -> str:
    record = {
        "timeUnixNano": "1716191921000000000", "severityText": "ERROR", "body": {"stringValue": "unhandled"},
        "attributes": [{"key": "exception.type", "value": {"stringValue": kind}}],
    }  # fmt: skip
    resource = {
        "attributes": [{"key": "telemetry.sdk.language", "value": {"stringValue": language}}]
    }
    scopes = [{"scope": {"name": "app"}, "logRecords": [record]}]
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": scopes}]})


def apm(language: str, framework: str, kind: str) -> dict[str, Any]:
    return {
        "@timestamp": "2024-05-20T07:58:41Z", "processor": {"event": "error", "name": "error"}, "agent": {"name": language},
        "service": {"name": "shop", "language": {"name": language}, "framework": {"name": framework}},
        "error": {"exception": [{"type": kind, "message": "x"}]},
    }  # fmt: skip


ECS_WEB: dict[str, Any] = {
    "@timestamp": "2024-05-20T07:58:41Z", "event": {"dataset": "nginx.access", "module": "nginx", "category": ["web"]},
    "url": {"original": "/site/.git/config", "path": "/site/.git/config"}, "http": {"request": {"method": "GET"}},
    "user_agent": {"original": "wp2shell"}, "source": {"address": "192.0.2.7"},
}  # fmt: skip
CANARY: dict[str, Any] = {
    "dst_host": "10.0.0.5", "dst_port": 21, "local_time": "2024-05-20 07:58:41.123456", "utc_time": "2024-05-20 07:58:41.123456",
    "logdata": {"PASSWORD": "x", "USERNAME": "ann"}, "logtype": 2000, "node_id": "canary-1", "src_host": "192.0.2.7", "src_port": 5,
}  # fmt: skip
MODSECURITY: dict[str, Any] = {
    "transaction": {
        "client_ip": "192.0.2.7", "time_stamp": "Mon May 20 07:58:41 2024", "unique_id": "1", "host_ip": "10.0.0.5",
        "request": {"method": "GET", "http_version": 1.1, "uri": "/.git/config", "headers": {"Host": "www", "User-Agent": "wp2shell"}},
        "response": {"http_code": 200}, "messages": [],
    }
}  # fmt: skip
ZSCALER: dict[str, Any] = {
    "sourcetype": "zscalernss-web",
    "event": {"epochtime": "1716191921", "url": "example.org/a.class", "useragent": "curl", "requestmethod": "GET",
              "hostname": "example.org", "status": "200", "clientIP": "10.0.0.9", "action": "Allowed"},
}  # fmt: skip
DEFENDER: dict[str, Any] = {
    "Channel": "Microsoft-Windows-Windows Defender/Operational", "EventID": 1116, "TimeCreated": "2024-05-20T07:58:41Z",
    "Threat Name": "Backdoor:Win32/Meterpreter", "Path": "file:_C:\\x.exe",
}  # fmt: skip

CASES: dict[str, Source] = {
    "-/webserver/- Apache and nginx": Source(
        access("/x/y?doAs=`id`"), access("/x/y?doAs=ann"), '{"cs-uri-query|startswith": "doAs=`"}',
        "web_cve_2022_33891_spark_shell_command_injection"),
    "-/webserver/- by its user agent": Source(
        access("/", "wp2shell"), access("/", "curl"), "{cs-user-agent: wp2shell, c-ip: 192.0.2.7, sc-status: 200, cs-uri-stem: /}",
        "web_exploit_cve_2026_63030_wp2shell_tool_useragent"),
    "-/webserver/- IIS": Source(
        iis(path="/x", query="doAs=`id`"), iis(path="/x", query="doAs=ann"),
        '{"cs-uri-query|endswith": "?doAs=`id`", cs-uri-stem: /x, "cs-uri|contains": "x?do"}',
        "web_cve_2022_33891_spark_shell_command_injection"),
    "-/webserver/- ECS": Source(
        ECS_WEB, {"user_agent": {"original": "curl"}, "url": {"original": "/"}},
        '{cs-user-agent: wp2shell, "cs-uri-query|contains": .git}', "web_exploit_cve_2026_63030_wp2shell_tool_useragent"),
    "-/webserver/- ModSecurity": Source(
        MODSECURITY, {"transaction": {"time_stamp": "Mon May 20 07:58:41 2024", "request": {"method": "GET", "uri": "/", "headers": {}}}},
        "{cs-user-agent: wp2shell, cs-host: www, sc-status: 200}", "web_exploit_cve_2026_63030_wp2shell_tool_useragent"),
    "-/proxy/- Blue Coat": Source(
        blue_coat(path="/a.class"), blue_coat(path="/a.html"), "{c-uri: http://example.org/a.class, cs-host: example.org, c-uri-extension: class}",
        "proxy_susp_class_extension_request"),
    "-/proxy/- Blue Coat, with a query": Source(
        blue_coat("api.telegram.org", "/bot1/send", "?x=1"), blue_coat("api.example.org", "/bot1/send", "?x=1"),
        "{c-uri: http://api.telegram.org/bot1/send?x=1, cs-method: GET}", "proxy_telegram_api"),
    "-/proxy/- Squid": Source(
        squid("http://example.org/a.class"), squid("http://example.org/a.html"),
        "{c-uri: http://example.org/a.class, cs-host: example.org, sc-status: 200, dst_ip: 192.0.2.1, c-ip: 10.0.0.9, cs-method: GET}", "proxy_susp_class_extension_request"),
    "-/proxy/- Squid, a tunnel": Source(
        "1716191921.123   9 10.0.0.9 TCP_TUNNEL/200 5 CONNECT api.telegram.org:443 - HIER_DIRECT/192.0.2.1 -\n",
        "1716191921.123   9 10.0.0.9 TCP_TUNNEL/200 5 CONNECT www.example.org:443 - HIER_DIRECT/192.0.2.1 -\n",
        "{cs-host: api.telegram.org}", "proxy_telegram_api"),
    "-/proxy/- CEF": Source(
        cef("Zscaler|NSSWeblog|6.1|Allowed|Allowed", "src=10.0.0.9 dst=192.0.2.1 dhost=example.org request=example.org/a.class requestMethod=GET requestClientApplication=curl outcome=200"),
        cef("Zscaler|NSSWeblog|6.1|Allowed|Allowed", "src=10.0.0.9 request=example.org/a.html requestMethod=GET"),
        "{cs-host: example.org, c-useragent: curl, sc-status: 200}", "proxy_susp_class_extension_request"),
    "-/proxy/- Zscaler": Source(
        ZSCALER, {"event": {"epochtime": "1716191921", "url": "example.org/a.html"}}, "{c-useragent: curl, cs-host: example.org}",
        "proxy_susp_class_extension_request"),
    "-/-/apache": Source(
        "[Mon May 20 07:58:41.092345 2024] [core:notice] [pid 7:tid 8] AH00052: child pid 99 exit signal Segmentation fault (11)\n",
        "[Mon May 20 07:58:41.092345 2024] [core:notice] [pid 7:tid 8] AH00094: Command line: '/usr/sbin/apache2'\n",
        '{"message|contains": Segmentation fault, pid: 7}', "web_apache_segfault"),
    "-/-/nginx": Source(
        "2024/05/20 07:58:41 [alert] 7#7: worker process 9 exited on signal 6 (core dumped)\n",
        "2024/05/20 07:58:41 [notice] 7#7: worker process 9 exited with code 0\n", "{level: alert}", "web_nginx_core_dump"),
    "-/dns/- BIND": Source(bind("api.telegram.org", "TXT"), bind("api.example.org"), "{query: api.telegram.org, record_type: TXT}", "net_dns_susp_telegram_api"),
    "-/dns/- dnsmasq": Source(
        syslog("dnsmasq[7]", "query[TXT] api.telegram.org from 10.0.0.9"), syslog("dnsmasq[7]", "query[A] api.example.org from 10.0.0.9"),
        "{query: api.telegram.org, record_type: TXT, src_ip: 10.0.0.9}", "net_dns_susp_telegram_api"),
    "-/dns/- Route 53": Source(
        {"version": "1.1", "query_timestamp": "2024-05-20T07:58:41Z", "query_name": "api.telegram.org.", "query_type": "TXT",
         "query_class": "IN", "rcode": "NOERROR", "answers": [{"Rdata": "x", "Type": "TXT", "Class": "IN"}], "srcaddr": "10.0.0.9"},
        {"query_name": "api.example.org.", "answers": []}, "{query: api.telegram.org, answer: x}", "net_dns_susp_telegram_api"),
    "-/dns/- ECS": Source(
        {"@timestamp": "2024-05-20T07:58:41Z", "event": {"dataset": "dns"}, "source": {"ip": "10.0.0.9"},
         "dns": {"question": {"name": "api.telegram.org", "type": "TXT"}, "answers": [{"data": "x"}]}},
        {"dns": {"question": {"name": "api.example.org"}}}, "{answer: x, record_type: TXT}", "net_dns_susp_telegram_api"),
    "-/dns/- Zeek": Source(
        {"_path": "dns", "ts": 1716191921.5, "uid": "C1", "id.orig_h": "10.0.0.9", "query": "api.telegram.org", "qtype_name": "TXT"},
        {"query": "api.example.org"}, "{record_type: TXT, query: api.telegram.org}", "net_dns_susp_telegram_api"),
    "-/dns/- Sysmon": Source(
        {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 22, "UtcTime": "2024-05-20 07:58:41.123",
         "QueryName": "api.telegram.org", "QueryResults": "::ffff:192.0.2.1;"},
        {"QueryName": "api.example.org"}, "{query: api.telegram.org}", "net_dns_susp_telegram_api"),
    "-/firewall/- Fortinet": Source(
        'date=2024-05-20 time=07:58:41 devname="fw1" devid="FGT60E" logid="0000000013" type="traffic" subtype="forward" srcip=10.0.0.1 srcport=5 dstip=192.0.2.1 dstport=23 action="close"\n',
        'date=2024-05-20 time=07:58:41 devname="fw1" devid="FGT60E" logid="0000000013" type="traffic" subtype="forward" srcip=10.0.0.1 srcport=5 dstip=192.0.2.1 dstport=23 action="deny"\n',
        '{dst_port: 23, blocked: "false"}', "net_firewall_cleartext_protocols"),
    "-/firewall/- Palo Alto": Source(
        PALO_ALTO.format(port=23, action="allow"), PALO_ALTO.format(port=23, action="deny"),
        '{src_ip: 10.0.0.1, dst_ip: 192.0.2.1, dst_port: 23, blocked: "false"}', "net_firewall_cleartext_protocols"),
    "-/firewall/- CEF": Source(
        cef("Check Point|VPN-1|R81|Accept|Accept", "src=10.0.0.1 spt=5 dst=192.0.2.1 dpt=23 act=Accept"),
        cef("Check Point|VPN-1|R81|Drop|Drop", "src=10.0.0.1 spt=5 dst=192.0.2.1 dpt=23 act=Drop"), '{dst_port: 23, blocked: "false"}',
        "net_firewall_cleartext_protocols"),
    "-/firewall/- netfilter": Source(
        syslog("kernel", "[1.1] IN=eth0 OUT= MAC=aa SRC=69.42.98.86 DST=10.0.0.1 LEN=60 PROTO=TCP SPT=5 DPT=22 SYN"),
        syslog("kernel", "[1.1] IN=eth0 OUT= MAC=aa SRC=192.0.2.1 DST=10.0.0.1 LEN=60 PROTO=TCP SPT=5 DPT=22 SYN"),
        "{src_ip: 69.42.98.86, dst_port: 22}", "net_firewall_apt_equationgroup_c2"),
    "-/firewall/- ECS": Source(
        {"@timestamp": "2024-05-20T07:58:41Z", "event": {"category": ["network"], "module": "panw", "type": ["allowed", "connection"]},
         "source": {"ip": "10.0.0.1"}, "destination": {"ip": "192.0.2.1", "port": 23}},
        {"event": {"category": ["network"], "type": ["denied"]}}, '{dst_port: 23, blocked: "false"}', "net_firewall_cleartext_protocols"),
    "-/firewall/- Zeek": Source(
        {"_path": "conn", "ts": 1716191921.5, "uid": "C1", "id.orig_h": "10.0.0.9", "id.resp_h": "192.0.2.1", "id.resp_p": 23, "conn_state": "SF"},
        {"conn_state": "REJ"}, "{dst_port: 23, action: accept}", "net_firewall_cleartext_protocols"),
    "-/-/netflow ECS": Source(
        {"@timestamp": "2024-05-20T07:58:41Z", "event": {"category": ["network"], "module": "netflow", "dataset": "netflow.log"},
         "source": {"ip": "10.0.0.1"}, "destination": {"ip": "192.0.2.1", "port": 23}},
        {"destination": {"ip": "192.0.2.1", "port": 443}}, "{destination.port: 23}", "netflow_cleartext_protocols"),
    "-/-/netflow nfdump": Source(
        {"type": "FLOW", "t_first": "2024-05-20T07:58:41.000", "proto": 6, "src4_addr": "10.0.0.1", "dst4_addr": "192.0.2.1", "src_port": 5, "dst_port": 23},
        {"dst_port": 443}, "{destination.port: 23, source.ip: 10.0.0.1}", "netflow_cleartext_protocols"),
    "-/antivirus/- CEF": Source(
        cef("Trend Micro|Apex Central|2019|AV:File quarantined|Backdoor.Cobalt.A", "fname=x.exe filePath=C:\\\\\\\\Temp\\\\\\\\ cs1=Backdoor.Cobalt.A cs1Label=Virus_Malware_Name act=File quarantined"),
        cef("Trend Micro|Apex Central|2019|AV:File quarantined|EICAR", "fname=x.exe filePath=C:\\\\\\\\Temp\\\\\\\\ cs1=EICAR cs1Label=Virus_Malware_Name act=File quarantined"),
        '{"Filename|endswith": x.exe, Signature: Backdoor.Cobalt.A}', "av_exploitation_framework"),
    "-/antivirus/- Defender": Source(
        DEFENDER, {"Threat Name": "Virus:DOS/EICAR"}, '{"Signature|contains": Meterpreter, "Filename|endswith": x.exe}', "av_exploitation_framework"),
    "-/antivirus/- Symantec": Source(
        syslog("SymantecServer", "Virus found,IP Address: 10.0.0.1,Computer name: WS1,Source: Auto-Protect scan,Risk name: Backdoor.Cobalt,Occurrences: 1,File path: C:\\x.exe,Actual action: Quarantined"),
        syslog("SymantecServer", "Virus found,IP Address: 10.0.0.1,Computer name: WS1,Source: Auto-Protect scan,Risk name: EICAR,Occurrences: 1,File path: C:\\x.exe,Actual action: Quarantined"),
        "{Signature: Backdoor.Cobalt, Filename: 'C:\\x.exe', Action: Quarantined}", "av_exploitation_framework"),
    "-/antivirus/- ClamAV": Source(
        syslog("clamd[7]", "/srv/x: Unix.Trojan.Meterpreter-1 FOUND"), syslog("clamd[7]", "/srv/x: Eicar-Test-Signature FOUND"),
        "{Signature: Unix.Trojan.Meterpreter-1, Filename: /srv/x}", "av_exploitation_framework"),
    "fortigate/-/event": Source(
        FORTINET.format(action="Add", path="user.local"), FORTINET.format(action="Edit", path="user.local"),
        "{action: Add, cfgpath: user.local, user: admin}", "fortinet_fortigate_new_local_user_created"),
    "fortigate/-/event CEF": Source(
        cef("Fortinet|Fortigate|v7.4|44547|event:system", "cat=event:system FTNTFGTaction=Add FTNTFGTcfgpath=user.local"),
        cef("Fortinet|Fortigate|v7.4|44547|event:system", "cat=event:system FTNTFGTaction=Edit FTNTFGTcfgpath=user.local"),
        "{action: Add, cfgpath: user.local}", "fortinet_fortigate_new_local_user_created"),
    "fortios/-/sslvpnd": Source(
        FORTINET.format(action="crash", path="/data/lib/libips.bak"), FORTINET.format(action="crash", path="/data/lib/libips.so"),
        "{action: crash, cfgpath: /data/lib/libips.bak}", "fortios_sslvpnd_exploit_cve_2022_42475_exploitation_indicators"),
    "paloalto/appliance/globalprotect": Source(
        {"level": "error", "task": "1393405-22", "time": "2024-05-20T07:58:41.123456-07:00", "message": "failed to unmarshal session(../../../opt/`id`) map , EOF"},
        {"message": "failed to unmarshal session(b1a1) map , EOF"}, '{"message|contains": session(../}',
        "paloalto_globalprotect_exploit_cve_2024_3400_command_injection"),
    "cisco/-/aaa": Source(
        "<189>2024-05-20T07:58:41Z sw1 45: May 20 07:58:41.123: %PARSER-5-CFGLOG_LOGGEDCMD: User:ann logged command:clear logging\n",
        "<189>2024-05-20T07:58:41Z sw1 45: May 20 07:58:41.123: %PARSER-5-CFGLOG_LOGGEDCMD: User:ann logged command:hostname x\n",
        '{"message|contains": "clear logging"}', "cisco_cli_clear_logs"),
    "cisco/-/aaa TACACS+": Source(
        "2024-05-20T07:58:41Z tac1 tac_plus[7]: 10.0.0.1 ann tty1 10.0.0.9 stop task_id=5 timezone=UTC service=shell priv-lvl=15 cmd=clear logging <cr>\n",
        "2024-05-20T07:58:41Z tac1 tac_plus[7]: 10.0.0.1 ann tty1 10.0.0.9 stop task_id=5 timezone=UTC service=shell priv-lvl=15 cmd=show clock <cr>\n",
        '{"message|contains": "cmd=clear"}', "cisco_cli_clear_logs"),
    "cisco/-/bgp": Source(
        "<187>2024-05-20T07:58:41Z r1 45: May 20 07:58:41.123: %IP-TCP-3-BADAUTH: No MD5 digest from 10.0.0.1:179 to 10.0.0.2:11000\n",
        "<187>2024-05-20T07:58:41Z r1 45: May 20 07:58:41.123: %BGP-5-ADJCHANGE: neighbor 10.0.0.1 Up\n", '{"message|contains": BADAUTH}',
        "cisco_bgp_md5_auth_failed"),
    "cisco/-/ldp": Source(
        "<187>2024-05-20T07:58:41Z r1 45: May 20 07:58:41.123: %LDP-3-SOCKET_TCP_PACKET_MD5_AUTHEN_FAIL: from 10.0.0.1\n",
        "<187>2024-05-20T07:58:41Z r1 45: May 20 07:58:41.123: %LDP-5-NBRCHG: LDP Neighbor 10.0.0.1 is UP\n", '{"message|contains": AUTHEN_FAIL}',
        "cisco_ldp_md5_auth_failed"),
    "cisco/-/syslog": Source(
        "<189>2024-05-20T07:58:41Z r1 45: May 20 07:58:41.123: %SEC_LOGIN-5-WEBLOGIN_SUCCESS: Login Success [user: cisco_tac_admin]\n",
        "<189>2024-05-20T07:58:41Z r1 45: May 20 07:58:41.123: %SEC_LOGIN-5-WEBLOGIN_SUCCESS: Login Success [user: ann]\n",
        '{"message|contains": cisco_tac_admin}', "cisco_syslog_cve_2023_20198_ios_xe_web_ui"),
    "cisco/-/duo": Source(
        {"access_device": {"ip": "192.0.2.7"}, "event_type": "authentication", "factor": "bypass_code", "reason": "bypass_user",
         "result": "success", "timestamp": 1716191921, "txid": "t1", "user": {"name": "ann"}},
        {"reason": "user_approved"}, "{reason: bypass_user, user.name: ann}", "cisco_duo_mfa_bypass_via_bypass_code"),
    "juniper/-/bgp": Source(
        "<28>2024-05-20T07:58:41Z r1 rpd[1234]: tcp_auth_ok: Packet from 10.0.0.1:179 missing MD5 digest\n",
        "<28>2024-05-20T07:58:41Z r1 rpd[1234]: bgp_event: peer 10.0.0.1 established\n", '{"message|contains": MD5}', "juniper_bgp_missing_md5"),
    "huawei/-/bgp": Source(
        "<188>2024-05-20T07:58:41Z r1 %%01BGP/3/BGP_AUTH_FAILED(l)[12]:BGP session authentication failed. (PeerAddr=10.0.0.1:179)\n",
        "<188>2024-05-20T07:58:41Z r1 %%01BGP/3/STATE_CHG_UPDOWN(l)[12]:The status of the peer 10.0.0.1 changed.\n",
        '{"message|contains": authentication failed}', "huawei_bgp_auth_failed"),
    "opencanary/application/-": Source(CANARY, {"logtype": 2001}, "{logtype: 2000, logdata.USERNAME: ann}", "opencanary_ftp_login_attempt"),
    "qualys/-/-": Source(
        "IP,DNS,QID,Title,Severity,Last Detected,Category\n10.0.0.1,h,10693,Default password,5,2024-05-20T07:58:41Z,General\n",
        "IP,DNS,QID,Title,Severity,Last Detected,Category\n10.0.0.1,h,90001,x,5,2024-05-20T07:58:41Z,General\n",
        "{host.scan.vuln: 10693, host.scan.vuln_name: Default password, event.category: General}", "qualys_default_credentials_usage"),
    "rpc_firewall/application/-": Source(
        {"Event": {"System": {"Provider": {"#attributes": {"Name": "RPCFW"}}, "EventID": 3, "Channel": "RPCFW",
                              "TimeCreated": {"#attributes": {"SystemTime": "2024-05-20T07:58:41Z"}}, "Computer": "dc1"},
                   "EventData": {"Data": {"#text": ["NdrServerCallAll", "700", "C:\\lsass.exe", "ncacn_np", "\\pipe\\lsass", "192.0.2.7",
                                                    "6bffd098-a112-3610-9833-46c3f87e345a", "2", "CORP\\ann", "CONNECT", "NTLM"]}}}},
        {"Event": {"System": {"EventID": 3, "Channel": "RPCFW", "TimeCreated": "2024-05-20T07:58:41Z"},
                   "EventData": {"Data": {"#text": ["NdrServerCallAll", "700", "C:\\lsass.exe", "ncacn_np", "\\pipe\\lsass", "192.0.2.7",
                                                    "6bffd098-a112-3610-9833-46c3f87e345a", "3", "CORP\\ann", "CONNECT", "NTLM"]}}}},
        "{EventLog: RPCFW, OpNum: 2, SourceAddress: 192.0.2.7}", "rpc_firewall_sharphound_recon_account"),
    "python/application/-": Source(
        otlp("python", "sqlalchemy.exc.ProgrammingError"), otlp("python", "KeyError"), "[ProgrammingError]",
        "app_python_sql_exceptions"),
    "django/application/-": Source(
        apm("python", "django", "DisallowedHost"), {"error": {"exception": [{"type": "KeyError"}]}}, "[DisallowedHost]", "appframework_django_exceptions"),
    "jvm/application/-": Source(
        otlp("java", "org.xml.sax.SAXParseException"), otlp("java", "java.io.IOException"), "[SAXParseException]", "java_xxe_exploitation_attempt"),
    "spring/application/-": Source(
        apm("java", "Spring Web MVC", "org.springframework.expression.ExpressionException"), {"error": {"exception": [{"type": "IOException"}]}},
        "[ExpressionException]", "spring_spel_injection"),
    "velocity/application/-": Source(
        otlp("java", "org.apache.velocity.exception.ParseErrorException"), otlp("java", "java.io.IOException"), "[ParseErrorException]",
        "velocity_ssti_injection"),
    "nodejs/application/-": Source(
        apm("nodejs", "express", "Error at node:child_process:421"), {"error": {"exception": [{"type": "Error"}]}}, '["node:child_process"]',
        "nodejs_rce_exploitation_attempt"),
    "ruby_on_rails/application/-": Source(
        apm("ruby", "Ruby on Rails", "ActionController::BadRequest"), {"error": {"exception": [{"type": "KeyError"}]}}, '["ActionController::BadRequest"]',
        "appframework_ruby_on_rails_exceptions"),
    "sql/application/-": Source(
        {"timestamp": "2024-05-20 07:58:41.123 UTC", "user": "shop", "pid": 7, "session_id": "s", "error_severity": "ERROR",
         "message": "You have an error in your SQL syntax", "statement": "select '", "backend_type": "client backend"},
        {"message": "division by zero"}, "{error_severity: ERROR, user: shop, \"message|contains\": SQL syntax}", "app_sqlinjection_errors"),
    "-/database/- PostgreSQL": Source(
        {"timestamp": "2024-05-20 07:58:41.123 UTC", "user": "shop", "pid": 7, "session_id": "s", "error_severity": "LOG",
         "message": "statement: truncate table t", "backend_type": "client backend"},
        {"message": "statement: insert into t values (1)"}, '{"message|contains": truncate}', "db_anomalous_query"),
    "-/database/- MySQL": Source(
        {"timestamp": "2024-05-20 07:58:41", "id": 0, "class": "general", "event": "status", "connection_id": 5,
         "general_data": {"command": "Query", "sql_command": "drop_table", "query": "drop table t", "status": 0}},
        {"general_data": {"command": "Query", "sql_command": "insert", "query": "insert into t values (1)"}}, "{general_data.sql_command: drop_table}",
        "db_anomalous_query"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_event_and_a_near_miss(name: str) -> None:
    check_own(name.partition(" ")[0], CASES[name])


@needs_sigmahq
@pytest.mark.parametrize("name", CASES)
def test_a_rule_of_sigmahq(name: str) -> None:
    check_sigmahq(CASES[name])
