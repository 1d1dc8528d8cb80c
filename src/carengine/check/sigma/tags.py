"""Tags: namespaces, and the names that each has.

https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-appendix-tags.md
"""

from __future__ import annotations

import re

from ... import yamltext
from ...attack import Attack
from ...datamodel import nearest
from ...diagnostics import Fix, codes
from .finding import DocumentFindings, items_of, replacing, without_item

_FORMS = {
    "car": (r"\d{4}-\d{2}-\d{3}", "car.2016-04-005"),
    "cve": (r"\d{4}-\d{4,}", "cve.2021-44228"),
    "d3fend": (
        r"(?i:d3[a-z]*-[a-z0-9-]+|model|harden|detect|isolate|deceive|evict|restore)",
        "d3fend.d3-am",
    ),
    "detection": (r"dfir|emerging-threats|threat-hunting", "detection.threat-hunting"),
    "stp": (r"[1-5][auk]?", "stp.3k"),
    "tlp": (r"red|amber|amber-strict|green|clear|white", "tlp.amber"),
}
_NAMESPACES = ("attack", *_FORMS)
_OF_ONE_S_OWN = re.compile(r"[a-z0-9][a-z0-9_-]*")
# Tactics that ATT&CK has from version 19 on, in which Defense Evasion is two.
_NEWER_TACTICS = ("stealth", "defense-impairment")
_TECHNIQUE = re.compile(r"t(\d{4})(\.\d{3})?")
_OTHER = re.compile(r"([gscm])(\d{4})")
_DATA_SOURCE = re.compile(r"(?:ds|dc|a|ta)\d{4}")


def check_tags(findings: DocumentFindings, attack: Attack) -> None:
    """The findings about tags."""
    node = findings.document.root.get("tags")
    if isinstance(node, yamltext.Scalar) and node.value is not None:
        findings.say(codes.SIGMA_TAG, "tags are a list, also a single one", node)
    seen: dict[str, yamltext.Scalar] = {}
    for item in items_of(node):
        if not isinstance(item, yamltext.Scalar) or not item.text.strip():
            fix = without_item("leave it out", item)
            findings.say(codes.SIGMA_NAMES, "this tag is empty", item, fix)
            continue
        tag = item.text.strip()
        if tag.lower() in seen:
            fix = without_item("leave one of them out", item)
            findings.say(codes.SIGMA_TAG, f"{tag} is there twice", item, fix)
            continue
        seen[tag.lower()] = item
        _tag(findings, item, tag, attack)


def _tag(findings: DocumentFindings, item: yamltext.Scalar, tag: str, attack: Attack) -> None:
    namespace, dot, name = tag.partition(".")
    if not dot or not name:
        message = f"{tag} has no namespace (attack.t1003)"
        findings.say(codes.SIGMA_TAG, message, item)
        return
    lower = namespace.lower()
    if lower not in _NAMESPACES:
        meant = next(iter(nearest(lower, _NAMESPACES, 1)), None)
        if meant and len(lower) > 3:
            fix = replacing(f"write {meant}.{name}", item, f"{meant}.{name}", safe=False)
            message = f"{namespace} is no namespace of tags; {meant} is"
            findings.say(codes.SIGMA_TAG, message, item, fix)
        elif _OF_ONE_S_OWN.fullmatch(namespace) is None:
            message = f"a namespace is in lower case, without spaces: {namespace}"
            findings.say(codes.SIGMA_TAG, message, item)
        return
    better = tag
    if lower != "d3fend":
        better = f"{lower}.{name.lower()}"
    if lower == "attack" and not _TECHNIQUE.fullmatch(name.lower()):
        better = better.replace("_", "-").replace(" ", "-")
    if lower == "cve":
        better = re.sub(r"^cve\.(?:cve-)?(\d{4})[._](\d+)$", r"cve.\1-\2", better)
    if lower == "car":
        better = better.replace("car.car-", "car.")
    if lower == "detection":
        better = better.replace("_", "-")
    if better != tag and _is_right(better, attack):
        fix = replacing(f"write {better}", item, better)
        findings.say(codes.SIGMA_TAG, f"{tag} is written {better}", item, fix)
        return
    if lower == "attack":
        _attack(findings, item, name.lower(), attack)
        return
    form, example = _FORMS[lower]
    if re.fullmatch(form, name) is None:
        message = f"{tag} is no tag of {lower}: it is written {example}"
        findings.say(codes.SIGMA_TAG, message, item)


def _is_right(tag: str, attack: Attack) -> bool:
    namespace, _, name = tag.partition(".")
    if namespace != "attack":
        return re.fullmatch(_FORMS[namespace][0], name) is not None
    return (
        attack.tactic(name) is not None
        or name in _NEWER_TACTICS
        or attack.technique(name) is not None
        or _OTHER.fullmatch(name) is not None
    )


def _attack(findings: DocumentFindings, item: yamltext.Scalar, name: str, attack: Attack) -> None:
    version = f"ATT&CK {attack.version}"
    if _TECHNIQUE.fullmatch(name):
        _technique(findings, item, name.upper(), attack)
        return
    other = _OTHER.fullmatch(name)
    if other is not None:
        if attack.others and name.upper() not in attack.others:
            last = max(
                (int(id_[1:]) for id_ in attack.others if id_[0] == other[1].upper()), default=0
            )
            newer = int(other[2]) > last
            code = codes.SIGMA_TAG_NEWER if newer else codes.SIGMA_TAG_UNKNOWN
            findings.say(code, f"{version} does not know {name.upper()}", item)
        return
    if attack.tactic(name) is not None or _DATA_SOURCE.fullmatch(name):
        return
    if name in _NEWER_TACTICS:
        return
    tactics = [tactic.short_name for tactic in attack.tactics]
    meant = next(iter(nearest(name, (*tactics, *_NEWER_TACTICS), 1)), None)
    fix = None
    if meant:
        fix = replacing(f"write attack.{meant}", item, f"attack.{meant}", safe=False)
    findings.say(codes.SIGMA_TAG_UNKNOWN, f"{version} has no {name}", item, fix)


def _technique(findings: DocumentFindings, item: yamltext.Scalar, id_: str, attack: Attack) -> None:
    version = f"ATT&CK {attack.version}"
    known = attack.techniques.get(id_)
    if known is None:
        parents = (int(other.id[1:5]) for other in attack.techniques.values())
        parent = attack.techniques.get(id_[:5])
        # A known technique may have got a further sub-technique.
        newer = int(id_[1:5]) > max(parents, default=0) or (parent is not None and "." in id_)
        code = codes.SIGMA_TAG_NEWER if newer else codes.SIGMA_TAG_UNKNOWN
        findings.say(code, f"{version} does not know {id_}", item)
        return
    if known.status == "current":
        return
    successor = attack.technique(id_)
    if successor is not None and successor.id != id_ and successor.status == "current":
        better = f"attack.{successor.id.lower()}"
        message = f"{id_} was revoked: it is {successor.id} now ({successor.name})"
        there = {
            other.text.strip().lower()
            for other in items_of(findings.document.root.get("tags"))
            if isinstance(other, yamltext.Scalar)
        }
        if better in there:
            fix = without_item(f"leave it out, {better} is there", item)
        else:
            fix = replacing(f"write {better}", item, better)
        findings.say(codes.SIGMA_TAG_REVOKED, message, item, fix)
    else:
        what = "revoked" if known.status == "revoked" else "deprecated, and nothing takes its place"
        message = f"{id_} ({known.name}) is {what} in {version}"
        findings.say(codes.SIGMA_TAG_REVOKED, message, item, Fix("choose another technique"))
