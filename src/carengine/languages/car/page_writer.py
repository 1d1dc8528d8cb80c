"""The page of an analytic, in the form that car.mitre.org gives it.

``write_page`` makes it from a rule: the front matter, the description, the ATT&CK table, the data
model references (from the program itself, not from what a file states), the implementations, the
unit tests and the true positives with their events. What CAR's pages have no place for (the level,
the false positives) stands in the front matter. ``page`` reads it back::

    ---
    title: "CAR-2019-08-001: Credential Dumping via Windows Task Manager"
    layout: analytic
    …
    ### Implementations

    #### File create (Pseudocode, CAR native)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import yaml

from ... import attack
from ...resolve import Reference
from ...rule import Example, Implementation, InputValue, Rule, RuleInput, input_text
from ...rule.model import Technique, TruePositive, UnitTest
from .published import is_pseudocode


def write_page(rule: Rule, translations: Iterable[Implementation] = ()) -> str:
    """The page of a rule, as Markdown.

    ``translations`` are implementations in other languages; they come behind those that the rule
    has already, of which one in the same language for the same data model is replaced.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search File:Create where file_name = "a.exe" output a')
    >>> "[file_name](/data_model/file#file_name)" in write_page(rule)
    True
    """
    made = tuple(translations)
    parts = [
        _front_matter(rule),
        _prose(rule.metadata.description),
        _attack(rule.metadata.attack),
        _analytics(rule),
        _references(rule.references),
        _implementations(rule, made),
        _unit_tests(rule.publication.unit_tests),
        _true_positives(rule),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(rule: Rule) -> str:
    about, shown = rule.metadata, rule.publication
    keys: dict[str, object] = {
        "title": f"{rule.id}: {about.title}" if about.title else rule.id,
        "layout": "analytic",
        "submission_date": about.date.replace("-", "/"),
        "update_date": shown.update_date.replace("-", "/"),
        "information_domain": shown.information_domain,
        "subtypes": ", ".join(shown.subtypes),
        "analytic_type": ", ".join(shown.analytic_types),
        "contributors": about.author,
        "applicable_platforms": ", ".join(about.platforms),
        "status": about.status,
        "level": about.level,
        "tags": list(about.tags),
        "references": list(about.references),
        "false_positives": list(about.false_positives),
        "notes": list(about.notes),
        "data": about.data,
        "inputs": [_input(one) for one in about.inputs],
    }
    kept = {key: value for key, value in keys.items() if value}
    text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=1_000_000)
    return f"---\n{text}---"


def _attack(techniques: Iterable[Technique]) -> str:
    rows = [
        (
            attack.link_to(item.id),
            ", ".join(map(attack.link_to, item.subtechniques)) or "N/A",
            ", ".join(map(attack.link_to, item.tactics)),
            item.coverage,
        )
        for item in techniques
    ]
    head = ("Technique", "Subtechnique(s)", "Tactic(s)", "Level of Coverage")
    return f"### ATT&CK Detection\n\n{_table(head, rows)}" if rows else ""


def _input(one: RuleInput) -> dict[str, object]:
    """An input as front matter has it, from which a page is read back."""
    keys: dict[str, object] = {
        "name": one.name,
        "element": one.element,
        "default": _written(one.default) if one.name else None,
        "description": one.description,
        "changed": None if one.changed is None else _written(one.changed),
        "example": one.shown_by,
        "left_out": one.left_out,
    }
    return {
        key: value
        for key, value in keys.items()
        if value not in (None, "") or (key == "default" and one.name)
    }


def _written(value: InputValue) -> object:
    match value:
        case tuple():
            return list(value)
        case str() | bool() | int() | float():
            return value
        case _:
            return input_text(value)


def _analytics(rule: Rule) -> str:
    """Which analytics of ATT&CK the rule implements, and what stands for their mutable elements."""
    parts = []
    if rule.analytics:
        known = attack.enterprise_attack().analytics
        rows = [
            (
                f"[{id_}]({known[id_].url})" if id_ in known else id_,
                ", ".join(known[id_].platforms) if id_ in known else "",
                "; ".join(f"{s.name} {s.channel}".strip() for s in known[id_].log_sources)
                if id_ in known
                else "",
            )
            for id_ in rule.analytics
        ]
        parts += ["### ATT&CK Analytics", _table(("Analytic", "Platforms", "Log Sources"), rows)]
    named = rule.metadata.inputs
    if named:
        head = ("Input", "Mutable Element", "Default", "Meaning")
        lines = [
            (
                one.name or "none",
                one.element,
                input_text(one.default) if one.name else "",
                one.description or one.left_out,
            )
            for one in named
        ]
        parts += ["### Inputs", _table(head, lines)]
    return "\n\n".join(parts)


def _references(references: Iterable[Reference]) -> str:
    rows = [
        (
            f"[{item.object}](/data_model/{item.object})",
            f"[{item.action}](/data_model/{item.object}#{item.action})",
            f"[{item.field}](/data_model/{item.object}#{item.field})",
        )
        for item in sorted(references, key=lambda r: (r.object, r.action, r.field))
    ]
    head = ("Object", "Action", "Field")
    return f"### Data Model References\n\n{_table(head, rows)}" if rows else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("|" + "|".join(map(_cell, line)) + "|" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _implementations(rule: Rule, translations: tuple[Implementation, ...]) -> str:
    replaced = {_sort(item) for item in translations}
    kept = [
        item
        for item in rule.publication.implementations
        if item.code is not None and not is_pseudocode(item.type) and _sort(item) not in replaced
    ]
    # Of an analytic with several blocks of pseudocode, this rule is one; a rule in another language
    # is what it was written in.
    own = next(
        (
            item
            for item in rule.publication.implementations
            if item.code is not None and item.code == rule.block
        ),
        Implementation("", "Pseudocode", "", "CAR native"),
    )
    parts = ["### Implementations", _implementation(own, rule.block.text)]
    for item in (*(one for one in kept if one is not own), *translations):
        assert item.code is not None
        parts.append(_implementation(item, item.code.text))
    return "\n\n".join(parts)


def _sort(item: Implementation) -> tuple[str, str]:
    return item.type.strip().lower(), item.data_model.strip().lower()


def _implementation(item: Implementation, code: str) -> str:
    kind = ", ".join(part for part in (item.type.strip(), item.data_model.strip()) if part)
    heading = f"{item.name} ({kind})" if item.name else kind
    parts = [f"#### {' '.join(heading.split())}", _prose(item.description), _fenced(code)]
    return "\n\n".join(part for part in parts if part)


def _unit_tests(tests: Iterable[UnitTest]) -> str:
    parts = []
    for number, test in enumerate(tests, 1):
        inner = [f"#### Test Case {number}"]
        if test.configurations:
            inner.append(f"**Configurations:** {', '.join(test.configurations)}")
        inner.append(_prose(test.description))
        if test.commands:
            inner.append(_fenced("\n".join(test.commands)))
        parts.append("\n\n".join(part for part in inner if part))
    return "\n\n".join(["### Unit Tests", *parts]) if parts else ""


def _true_positives(rule: Rule) -> str:
    positives = [example for example in rule.examples if example.match]
    parts = []
    for item in rule.publication.true_positives:
        own = [example for example in positives if _belongs(example, item)]
        positives = [example for example in positives if example not in own]
        parts.append(_true_positive(item, own))
    for example in positives:
        parts.append(_true_positive(TruePositive(example.name), [example]))
    return "\n\n".join(["### True Positives", *parts]) if parts else ""


def _belongs(example: Example, item: TruePositive) -> bool:
    """Whether an example is the events of a true positive, which its name begins with."""
    if not example.name.startswith(item.source):
        return False
    rest = example.name[len(item.source) :]
    return not rest or rest.startswith((" / ", ": "))


def _true_positive(item: TruePositive, examples: list[Example]) -> str:
    parts = [f"#### {' '.join(item.source.split())}", _prose(item.description)]
    if item.full_event:
        parts.append(f"##### [Full Event](/true_positives/{item.full_event})")
    # A file with the full event may be read beside the snippet; the page shows the short one.
    shown = [e for e in examples if not item.full_event or not e.name.endswith(item.full_event)]
    for example in shown[:1] or examples[:1]:
        events = [dict(event) for event in example.events]
        text = json.dumps(events[0] if len(events) == 1 else events, indent=4, ensure_ascii=False)
        parts.append(f"##### Event Snippet\n\n{_fenced(text, 'json')}")
    return "\n\n".join(part for part in parts if part)


def _prose(text: str) -> str:
    """Text between headings: what would be read as a heading or a fence is kept from being one."""
    return re.sub(r"(?m)^([ \t]*)(#{1,6}[ \t]|`{3,}|~{3,})", r"\1\\\2", text.strip())


def _fenced(code: str, language: str = "") -> str:
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code.strip(chr(10))}\n{fence}"
