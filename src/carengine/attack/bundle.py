"""Reading ATT&CK from a STIX 2.1 bundle, as MITRE publishes it (``enterprise-attack-18.1.json``).

The objects that are read are ``attack-pattern``, ``x-mitre-tactic``,
``x-mitre-detection-strategy``, ``x-mitre-analytic``, ``x-mitre-data-component``,
``x-mitre-collection`` (for the version) and the relationships ``detects`` and ``revoked-by``. The
same objects gathered by kind, in a JSON object with ``techniques``, ``detection_strategies``,
``analytics`` and ``data_components``, are read as well. Source: the ATT&CK data model,
https://github.com/mitre-attack/attack-data-model.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..diagnostics import CarError, Diagnostic, codes
from .model import Analytic, Attack, DataComponent, LogSource, Strategy, Tactic, Technique

MAX_BYTES = 512 * 1024 * 1024
"""What a bundle may hold when it is unpacked, in bytes. ATT&CK's own is 50 MB."""

_TACTICS = (
    ("TA0043", "reconnaissance", "Reconnaissance"),
    ("TA0042", "resource-development", "Resource Development"),
    ("TA0001", "initial-access", "Initial Access"),
    ("TA0002", "execution", "Execution"),
    ("TA0003", "persistence", "Persistence"),
    ("TA0004", "privilege-escalation", "Privilege Escalation"),
    ("TA0005", "defense-evasion", "Defense Evasion"),
    ("TA0006", "credential-access", "Credential Access"),
    ("TA0007", "discovery", "Discovery"),
    ("TA0008", "lateral-movement", "Lateral Movement"),
    ("TA0009", "collection", "Collection"),
    ("TA0011", "command-and-control", "Command and Control"),
    ("TA0010", "exfiltration", "Exfiltration"),
    ("TA0040", "impact", "Impact"),
)
"""The tactics of the enterprise matrix, from the left, for bundles that do not list them."""

_UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
)
# What a file that is no bundle can raise while it is unpacked, decoded and looked through.

_Objects = Mapping[str, list[Mapping[str, Any]]]


def read_bundle(path: str | Path) -> Attack:
    """The version of ATT&CK in a STIX bundle, plain or compressed by gzip.

    Revoked and deprecated techniques are kept, with the technique that took their place where the
    bundle (or, failing that, the table that ships) says which. Raises `CarError` (CE330) for a file
    that cannot be read or holds no techniques.
    """
    try:
        with Path(path).open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else Path(path).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        attack = from_objects(_by_type(json.loads(raw)))
        if not attack.techniques:
            raise ValueError("it holds no techniques (objects of the type attack-pattern)")
    except _UNREADABLE as error:
        message = f"no ATT&CK bundle can be read from it: {error}"
        raise CarError([Diagnostic(codes.NO_ATTACK, message, origin=str(path))]) from None
    return attack


_OTHERS = ("intrusion-set", "campaign", "malware", "tool", "course-of-action")
"""The types of objects of which the names are kept."""


def from_objects(objects: _Objects) -> Attack:
    """A version of ATT&CK from STIX objects, gathered by type."""
    ids = {str(item["id"]): _external_id(item) for items in objects.values() for item in items}
    successors = {
        ids.get(str(item["source_ref"]), ""): ids.get(str(item["target_ref"]), "")
        for item in objects.get("relationship", ())
        if item.get("relationship_type") == "revoked-by"
    }
    detects = {
        str(item["source_ref"]): ids.get(str(item["target_ref"]), "")
        for item in objects.get("relationship", ())
        if item.get("relationship_type") == "detects"
    }
    tactics = _tactics(objects.get("x-mitre-tactic", ()))
    order = [tactic.short_name for tactic in tactics]
    techniques = [_technique(item, order, successors) for item in objects.get("attack-pattern", ())]
    components = [
        DataComponent(_external_id(item), str(item["name"]))
        for item in _current(objects.get("x-mitre-data-component", ()))
    ]
    strategies: dict[str, Strategy] = {}
    owners: dict[str, str] = {}
    for item in _current(objects.get("x-mitre-detection-strategy", ())):
        id_ = _external_id(item)
        refs = [str(ref) for ref in item.get("x_mitre_analytic_refs", ())]
        technique = detects.get(str(item["id"]), "") or "".join(item.get("detects", ())[:1])
        owners.update(dict.fromkeys(refs, id_))
        analytics = tuple(sorted(ids[ref] for ref in refs if ref in ids))
        strategies[id_] = Strategy(id_, str(item["name"]), technique, analytics)
    analytics_ = [
        _analytic(item, owners, ids) for item in _current(objects.get("x-mitre-analytic", ()))
    ]
    others = [
        (_external_id(item), str(item["name"]))
        for type_ in _OTHERS
        for item in objects.get(type_, ())
        if not item.get("revoked") and _external_id(item)
    ]
    version, date = _version(objects)
    return Attack(
        version,
        date,
        tactics,
        {item.id: item for item in sorted(techniques, key=lambda item: item.id)},
        dict(sorted(strategies.items())),
        {item.id: item for item in sorted(analytics_, key=lambda item: item.id)},
        {item.id: item for item in sorted(components, key=lambda item: item.id)},
        dict(sorted(others)),
    )


def _by_type(document: Any) -> _Objects:
    """The objects of a document by their STIX type, whichever of the two layouts it has."""
    objects: dict[str, list[Mapping[str, Any]]] = {}
    if "objects" in document:
        for item in document["objects"]:
            if "enterprise-attack" in item.get("x_mitre_domains", ("enterprise-attack",)):
                objects.setdefault(str(item["type"]), []).append(item)
        return objects
    kinds = {
        "techniques": "attack-pattern",
        "detection_strategies": "x-mitre-detection-strategy",
        "analytics": "x-mitre-analytic",
        "data_components": "x-mitre-data-component",
    }
    for key, type_ in kinds.items():
        objects[type_] = [_expanded(item) for item in document.get(key, ())]
    found = re.search(r"\bv([0-9]+(?:\.[0-9]+)*)", str(document.get("source", "")))
    if found:
        version = {"id": "", "name": "Enterprise ATT&CK", "x_mitre_version": found[1]}
        objects["x-mitre-collection"] = [version]
    return objects


def _expanded(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A gathered object with STIX's own names for what it says."""
    return {
        **item,
        "id": item["stix_id"],
        "external_references": [
            {"source_name": "mitre-attack", "external_id": item["external_id"]}
        ],
        "kill_chain_phases": [
            {"kill_chain_name": "mitre-attack", "phase_name": name}
            for name in item.get("tactics", ())
        ],
        "x_mitre_platforms": item.get("platforms", ()),
        "x_mitre_deprecated": item.get("deprecated", False),
        "x_mitre_analytic_refs": item.get("analytic_refs", ()),
        "x_mitre_log_source_references": item.get("log_source_references", ()),
        "x_mitre_mutable_elements": item.get("mutable_elements", ()),
    }


def _external_id(item: Mapping[str, Any]) -> str:
    for reference in item.get("external_references", ()):
        if reference.get("source_name") == "mitre-attack":
            return str(reference.get("external_id", ""))
    return ""


def _current(items: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [
        item
        for item in items
        if not item.get("revoked") and not item.get("x_mitre_deprecated") and _external_id(item)
    ]


def _tactics(items: Iterable[Mapping[str, Any]]) -> tuple[Tactic, ...]:
    """The tactics of the bundle in the order of the matrix, those it adds behind the known."""
    order = [short_name for _, short_name, _ in _TACTICS]
    tactics = {
        str(item["x_mitre_shortname"]): Tactic(
            _external_id(item), str(item["x_mitre_shortname"]), str(item["name"])
        )
        for item in _current(items)
    }
    if not tactics:
        return tuple(Tactic(*row) for row in _TACTICS)
    known = [tactics.pop(name) for name in order if name in tactics]
    return (*known, *sorted(tactics.values(), key=lambda tactic: tactic.id))


def _technique(
    item: Mapping[str, Any], order: list[str], successors: Mapping[str, str]
) -> Technique:
    id_ = _external_id(item)
    phases = {str(phase["phase_name"]) for phase in item.get("kill_chain_phases", ())}
    tactics = [name for name in order if name in phases]
    status = "current"
    if item.get("revoked"):
        status = "revoked"
    elif item.get("x_mitre_deprecated"):
        status = "deprecated"
    successor = successors.get(id_) or _SUCCESSORS.get(id_, "") if status == "revoked" else ""
    platforms = tuple(map(str, item.get("x_mitre_platforms", ())))
    return Technique(id_, str(item["name"]), tuple(tactics), platforms, status, successor)


def _analytic(
    item: Mapping[str, Any], owners: Mapping[str, str], ids: Mapping[str, str]
) -> Analytic:
    sources = tuple(
        LogSource(
            _words(reference.get("name", "")),
            _words(reference.get("channel", "")),
            ids.get(str(reference.get("x_mitre_data_component_ref", "")), ""),
        )
        for reference in item.get("x_mitre_log_source_references", ())
    )
    elements = tuple(
        _words(element.get("field", "")) for element in item.get("x_mitre_mutable_elements", ())
    )
    platforms = tuple(map(str, item.get("x_mitre_platforms", ())))
    owner = owners.get(str(item["id"]), "")
    return Analytic(_external_id(item), owner, platforms, sources, elements)


def _words(value: object) -> str:
    """A text on one line; ``None``, written out or not, is no text."""
    text = " ".join(str(value).split())
    return "" if text == "None" else text


def _version(objects: _Objects) -> tuple[str, str]:
    for item in objects.get("x-mitre-collection", ()):
        if "enterprise" in str(item.get("name", "")).lower():
            version = str(item.get("x_mitre_version", ""))
            return version, str(item.get("modified", ""))[:10] or _DATES.get(
                version.partition(".")[0], ""
            )
    return "", ""


_DATES = {"17": "2025-04-22", "18": "2025-10-28"}
"""When main versions came out, for bundles that do not say it
(https://attack.mitre.org/resources/versions/)."""

_SUCCESSORS = dict(
    pair.split(">")
    for pair in [
        "T1002>T1560",
        "T1004>T1547.004",
        "T1009>T1027.001",
        "T1013>T1547.010",
        "T1015>T1546.008",
        "T1017>T1072",
        "T1019>T1542.001",
        "T1022>T1560",
        "T1023>T1547.009",
        "T1024>T1573",
        "T1028>T1021.006",
        "T1031>T1543.003",
        "T1032>T1573",
        "T1035>T1569.002",
        "T1038>T1574.001",
        "T1042>T1546.001",
        "T1044>T1574.010",
        "T1045>T1027.002",
        "T1050>T1543.003",
        "T1054>T1562.006",
        "T1058>T1574.011",
        "T1060>T1547.001",
        "T1063>T1518.001",
        "T1065>T1571",
        "T1066>T1027.005",
        "T1067>T1542.003",
        "T1073>T1574.001",
        "T1075>T1550.002",
        "T1076>T1021.001",
        "T1077>T1021.002",
        "T1079>T1573",
        "T1081>T1552.001",
        "T1084>T1546.003",
        "T1085>T1218.011",
        "T1086>T1059.001",
        "T1088>T1548.002",
        "T1089>T1562.001",
        "T1093>T1055.012",
        "T1094>T1095",
        "T1096>T1564.004",
        "T1097>T1550.003",
        "T1099>T1070.006",
        "T1100>T1505.003",
        "T1101>T1547.005",
        "T1103>T1546.010",
        "T1107>T1070.004",
        "T1109>T1542.002",
        "T1116>T1553.002",
        "T1117>T1218.010",
        "T1118>T1218.004",
        "T1121>T1218.009",
        "T1122>T1546.015",
        "T1126>T1070.005",
        "T1128>T1546.007",
        "T1130>T1553.004",
        "T1131>T1547.002",
        "T1138>T1546.011",
        "T1139>T1552.003",
        "T1141>T1056.002",
        "T1142>T1555.001",
        "T1143>T1564.003",
        "T1144>T1553.001",
        "T1145>T1552.004",
        "T1146>T1070.003",
        "T1147>T1564.002",
        "T1148>T1562.003",
        "T1150>T1647",
        "T1151>T1036.006",
        "T1152>T1569.001",
        "T1154>T1546.005",
        "T1155>T1059.002",
        "T1156>T1546.004",
        "T1157>T1574.004",
        "T1158>T1564.001",
        "T1159>T1543.001",
        "T1160>T1543.004",
        "T1161>T1546.006",
        "T1162>T1547.015",
        "T1163>T1037.004",
        "T1164>T1547.007",
        "T1165>T1037.005",
        "T1166>T1548.001",
        "T1167>T1555.002",
        "T1168>T1053",
        "T1169>T1548.003",
        "T1170>T1218.005",
        "T1171>T1557.001",
        "T1172>T1090.004",
        "T1173>T1559.002",
        "T1174>T1556.002",
        "T1177>T1547.008",
        "T1178>T1134.005",
        "T1179>T1056.004",
        "T1180>T1546.002",
        "T1181>T1055.011",
        "T1182>T1546.009",
        "T1183>T1546.012",
        "T1184>T1563.001",
        "T1186>T1055.013",
        "T1188>T1090.003",
        "T1191>T1218.003",
        "T1192>T1566.002",
        "T1193>T1566.001",
        "T1194>T1566.003",
        "T1196>T1218.002",
        "T1198>T1553.003",
        "T1206>T1548.003",
        "T1208>T1558.003",
        "T1209>T1547.003",
        "T1214>T1552.002",
        "T1215>T1547.006",
        "T1223>T1218.001",
        "T1483>T1568.002",
        "T1487>T1561.002",
        "T1488>T1561.001",
        "T1492>T1565.001",
        "T1493>T1565.002",
        "T1494>T1565.003",
        "T1500>T1027.004",
        "T1501>T1543.002",
        "T1502>T1134.004",
        "T1503>T1555.003",
        "T1504>T1546.013",
        "T1506>T1550.004",
        "T1514>T1548.004",
        "T1519>T1546.014",
        "T1522>T1552.005",
        "T1527>T1550.001",
        "T1536>T1578.004",
        "T1053.001>T1053.002",
        "T1547.011>T1647",
        "T1574.002>T1574.001",
    ]
)
"""Techniques that have moved, and where to, for bundles that leave ``revoked-by`` out. Source: the
redirections of attack.mitre.org (each page of a revoked technique names the one in its place)."""
