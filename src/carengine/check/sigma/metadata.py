"""What a Sigma rule says about itself: ids, titles, dates, references and so on."""

from __future__ import annotations

import re
from datetime import date

from ... import yamltext
from ...datamodel import nearest
from ...diagnostics import Edit, Fix, codes
from ...languages.sigma.formatting import KEYS
from .finding import DocumentFindings, items_of, replacing, without_item

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_LONGEST_TITLE = 120
_SHORTEST_DESCRIPTION = 16
_SEPARATED_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")

_WANTED = ("status", "description", "references", "author", "date", "tags", "level")
_WANTED_LAST = ("falsepositives",)
_OF_CORRELATIONS = frozenset({"references", "tags", "falsepositives"})

# What may stand in a title in lower case.
_SMALL = frozenset(
    word
    for word in [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "for",
        "from",
        "has",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "la",
        "nor",
        "not",
        "of",
        "off",
        "on",
        "onto",
        "or",
        "out",
        "over",
        "per",
        "so",
        "than",
        "that",
        "the",
        "then",
        "through",
        "to",
        "up",
        "upon",
        "using",
        "via",
        "vs",
        "was",
        "were",
        "when",
        "where",
        "which",
        "while",
        "with",
        "within",
        "without",
        "yet",
        "e.g.",
        "i.e.",
        "aka",
        "non",
    ]
)
_TITLE_WORD = re.compile(r"(?<![\w'\"(\[<{./\\:=*%$@~-])[a-z][a-z]+(?![\w'\"/\\:=*%$@.-])")
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")

_RELATIONS = ("derived", "obsolete", "merged", "renamed", "similar")

_LINK = re.compile(r"https?://\S+\.\S+|https?://localhost\b\S*", re.IGNORECASE)
_ATTACK_LINK = re.compile(
    r"https?://attack\.mitre\.org/(?:tactics|techniques|groups|software|mitigations|campaigns)/",
    re.IGNORECASE,
)
_BRANCH = r"(?:main|master|develop|dev|trunk|HEAD)"
_BRANCH_LINK = re.compile(
    rf"https?://(?:"
    rf"(?:www\.)?github\.com/[^/]+/[^/]+/(?:blob|tree|raw|blame)/(?:refs/heads/)?{_BRANCH}(?:/|$)"
    rf"|raw\.githubusercontent\.com/[^/]+/[^/]+/(?:refs/heads/)?{_BRANCH}/"
    rf"|gitlab\.com/\S+?/-/(?:blob|tree|raw)/{_BRANCH}(?:/|$)"
    rf"|bitbucket\.org/[^/]+/[^/]+/(?:src|raw)/{_BRANCH}(?:/|$))"
)
# What SigmaHQ writes where there is no public source.
_NO_LINK = frozenset({"internal research", "internal", "own research"})

_SAYS_NOTHING = re.compile(
    r"(?i)none\b.{0,10}|n/?a|no(?: known)?(?: false[ -]?positives?)?"
    r"|pen(?:etration)?[ -]?test(?:s|ing|ers?)?"
    r"|red[ -]?team(?:s|ing)?"
)

_DEFINED = (*KEYS, "regression_tests_path", "simulation", "examples", "timeframe", "custom")
_ALIASES = {
    "false_positives": "falsepositives",
    "falsepositive": "falsepositives",
    "reference": "references",
    "tag": "tags",
    "authors": "author",
    "severity": "level",
    "log_source": "logsource",
    "detections": "detection",
    "field": "fields",
}


def check_metadata(findings: DocumentFindings) -> None:
    """The findings about everything but tags."""
    _keys(findings)
    _id(findings)
    _title(findings)
    _missing(findings)
    _description(findings)
    _dates(findings)
    _author(findings)
    _references(findings)
    _false_positives(findings)
    _related(findings)


def _keys(findings: DocumentFindings) -> None:
    root = findings.document.root
    there = {str(key.value) for key, _ in root.entries}
    for key, _ in root.entries:
        name = str(key.value)
        if name in _DEFINED:
            continue
        folded = name.lower().replace("-", "_").replace(" ", "_")
        meant = _ALIASES.get(folded) or (folded if folded in KEYS else None)
        if meant is None and len(name) > 4:
            meant = next(iter(nearest(name.lower(), KEYS, 1)), None)
        if meant and meant not in there:
            message = f"nobody reads {name}; Sigma's key is {meant}"
            fix = replacing(f"write {meant}", key, str(meant), safe=False)
            findings.say(codes.SIGMA_KEY, message, key, fix)


def _id(findings: DocumentFindings) -> None:
    node = findings.scalar("id")
    if node is None:
        fix = Fix("add an id: python -c 'import uuid; print(uuid.uuid4())'")
        findings.say(codes.SIGMA_ID, "the rule has no id", None, fix)
    elif _UUID.fullmatch(node.text.strip()) is None:
        message = f"{node.text.strip()[:60]} is no UUID"
        findings.say(codes.SIGMA_ID, message, node, Fix("give it a UUID of its own"))


def _title(findings: DocumentFindings) -> None:
    node = findings.scalar("title")
    if node is None:
        return  # which loading says
    title = node.text.strip()
    if len(title) > _LONGEST_TITLE:
        message = f"the title has {len(title)} characters; {_LONGEST_TITLE} are enough"
        findings.say(codes.SIGMA_TITLE, message, node)
    if title.endswith(".") and not title.endswith(("..", "etc.")):
        fix = replacing("leave the full stop out", node, title[:-1].rstrip())
        findings.say(codes.SIGMA_TITLE, "the title ends with a full stop", node, fix)
    if re.match(r"(?i)detect(?:s|ing|ion of)?\b", title):
        message = "that something is detected, every title could say"
        findings.say(codes.SIGMA_TITLE, message, node, Fix("say what it is that is detected"))
    small = [
        found[0] for found in _TITLE_WORD.finditer(_QUOTED.sub("", title)) if found[0] not in _SMALL
    ]
    if small:
        shown = ", ".join(small[:3])
        message = f"in the title, {shown} begin{'s' if len(small) == 1 else ''} in lower case"
        findings.say(codes.SIGMA_TITLE_CASE, message, node)


def _missing(findings: DocumentFindings) -> None:
    root = findings.document.root
    correlation = root.get("correlation") is not None
    missing = [
        key
        for key in (*_WANTED, *_WANTED_LAST)
        if (root.get(key) is None or _is_empty(root.get(key)))
        and not (correlation and key in _OF_CORRELATIONS)
    ]
    if missing:
        findings.say(codes.SIGMA_MISSING, f"the rule does not say: {', '.join(missing)}")


def _is_empty(node: yamltext.Node | None) -> bool:
    match node:
        case yamltext.Scalar(value):
            return value is None or not str(value).strip()
        case yamltext.ListNode(items):
            return not items
        case _:
            return False


def _description(findings: DocumentFindings) -> None:
    node = findings.scalar("description")
    text = findings.text("description")
    if node is None or not text:
        return
    if len(text) < _SHORTEST_DESCRIPTION:
        message = f"{len(text)} characters describe no rule"
        findings.say(codes.SIGMA_DESCRIPTION, message, node)
    elif text.rstrip(".").lower() == findings.text("title").rstrip(".").lower():
        message = "the description only repeats the title"
        findings.say(codes.SIGMA_DESCRIPTION, message, node)


def _dates(findings: DocumentFindings) -> None:
    read: dict[str, date] = {}
    for key in ("date", "modified"):
        node = findings.scalar(key)
        if node is None:
            continue
        text = node.text.strip()
        try:
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) is None:
                raise ValueError
            read[key] = date.fromisoformat(text)
        except ValueError:
            fix = None
            parts = _SEPARATED_DATE.fullmatch(text)
            if parts is not None:
                better = f"{parts[1]}-{int(parts[2]):02}-{int(parts[3]):02}"
                try:
                    read[key] = date.fromisoformat(better)
                    fix = Fix(f"write {better}", (Edit(node.span, better),), safe=True)
                except ValueError:
                    fix = None
            message = f"{text[:40]} is no date as in 2024-05-01"
            findings.say(codes.SIGMA_DATE, message, node, fix)
    if len(read) == 2 and read["modified"] < read["date"]:
        message = f"it was modified before it was written ({read['date']})"
        findings.say(codes.SIGMA_DATE, message, findings.scalar("modified"))


def _author(findings: DocumentFindings) -> None:
    node = findings.document.root.get("author")
    if isinstance(node, yamltext.ListNode):
        names = [item.text for item in node.items if isinstance(item, yamltext.Scalar)]
        fix = Fix(f"write {', '.join(names)}" if names else "write their names")
        findings.say(codes.SIGMA_AUTHOR, "authors are one text, and this is a list", node, fix)


def _references(findings: DocumentFindings) -> None:
    node = findings.document.root.get("references")
    if isinstance(node, yamltext.Scalar) and node.value is not None:
        message = "references are a list, also a single one"
        findings.say(codes.SIGMA_REFERENCE, message, node)
    seen: dict[str, yamltext.Node] = {}
    for item in items_of(node):
        if not isinstance(item, yamltext.Scalar):
            findings.say(codes.SIGMA_REFERENCE, "a reference is a link", item)
            continue
        text = item.text.strip()
        if not text:
            fix = without_item("leave it out", item)
            findings.say(codes.SIGMA_NAMES, "this reference is empty", item, fix)
            continue
        if text in seen:
            fix = without_item("leave one of them out", item)
            findings.say(codes.SIGMA_REFERENCE, f"{text} is there twice", item, fix)
        seen.setdefault(text, item)
        if _LINK.fullmatch(text.split(" ", 1)[0]) is None and text.lower() not in _NO_LINK:
            findings.say(codes.SIGMA_REFERENCE, f"{text[:80]} is no link", item)
        elif _ATTACK_LINK.match(text):
            message = "what is on ATT&CK's site is said by a tag"
            findings.say(codes.SIGMA_REFERENCE_MOVES, message, item, Fix("make it a tag"))
        elif _BRANCH_LINK.match(text):
            fix = Fix("link to a commit: on its page, press y")
            message = "this is a branch, which shows another text tomorrow"
            findings.say(codes.SIGMA_REFERENCE_MOVES, message, item, fix)


def _false_positives(findings: DocumentFindings) -> None:
    node = findings.document.root.get("falsepositives")
    if isinstance(node, yamltext.Scalar) and node.value is not None:
        message = "false positives are a list, also a single one"
        findings.say(codes.SIGMA_FALSE_POSITIVES, message, node)
    for item in items_of(node):
        if not isinstance(item, yamltext.Scalar):
            continue
        text = item.text.strip()
        if not text or item.value is None:
            fix = without_item("leave it out", item)
            findings.say(codes.SIGMA_NAMES, "this entry is empty", item, fix)
        elif _SAYS_NOTHING.fullmatch(text.rstrip(".")):
            none = re.match(r"(?i)n", text) is not None
            fix = replacing("write Unlikely, or Unknown", item, "Unlikely", safe=False)
            said = fix if none else Fix("say what harmless thing looks the same")
            findings.say(codes.SIGMA_FALSE_POSITIVES, f"{text} says nothing", item, said)
        elif text[0].islower() and re.match(r"[a-z]+ ", text) and "." not in text.split(" ")[0]:
            better = text[0].upper() + text[1:]
            fix = replacing(f"write {better[:30]}", item, better)
            message = "a false positive begins with a capital letter"
            findings.say(codes.SIGMA_FALSE_POSITIVES, message, item, fix)


def _related(findings: DocumentFindings) -> None:
    node = findings.document.root.get("related")
    if node is None or (isinstance(node, yamltext.Scalar) and node.value is None):
        return
    if not isinstance(node, yamltext.ListNode):
        findings.say(codes.SIGMA_RELATED, "`related` is a list of rules", node)
        return
    own = findings.text("id").lower()
    for item in node.items:
        if not isinstance(item, yamltext.Mapping):
            message = "a related rule has an id and a type"
            findings.say(codes.SIGMA_RELATED, message, item)
            continue
        id_, type_ = item.get("id"), item.get("type")
        if not isinstance(id_, yamltext.Scalar) or _UUID.fullmatch(id_.text.strip()) is None:
            findings.say(codes.SIGMA_RELATED, "this is no id of a rule", id_ or item)
        elif id_.text.strip().lower() == own:
            findings.say(codes.SIGMA_RELATED, "the rule is related to itself", id_)
        if not isinstance(type_, yamltext.Scalar) or type_.text.strip() not in _RELATIONS:
            message = f"the type is one of {', '.join(_RELATIONS)}"
            findings.say(codes.SIGMA_RELATED, message, type_ or item)
