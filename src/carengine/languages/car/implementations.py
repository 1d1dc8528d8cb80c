"""A rule in the languages that an analytic's page shows beside the pseudocode.

``translations_of`` writes it for Splunk and Sigma over Sysmon's names, and in EQL over EQL's::

    EventCode=11 Image="C:\\\\Windows\\\\*\\\\taskmgr.exe"      not   EventCode=11 OR EventID=11 OR EventId=11

A query for a page is written for logs that call each thing by one name, as people write them.
Outputs that single events decide become one query, so that it finds what the rule finds.
"""

from __future__ import annotations

from attrs import evolve, frozen

from ... import ir
from ...diagnostics import Block, CarError, Diagnostic, Source
from ...fieldmap import find_maps
from ...rule import Implementation, Rule
from ..lowered import raw_names
from ..writing import translate


@frozen
class Shown:
    """A translation that pages show: the target and the field map, and what CAR calls the two.

    ``without`` are the names of the field map that other shippers of such logs use.
    """

    target: str
    fieldmap: str
    type: str
    data_model: str
    description: str
    without: frozenset[str] = frozenset()


# Splunk's add-on for Sysmon calls the event's number EventCode; NXLog has the two last ones.
_OTHERS = frozenset({"EventId", "EventTypeOrignal", "Message"})
_THE_SAME = "The pseudocode above over Sysmon's events, for"
SHOWN = (
    Shown(
        "splunk",
        "sysmon.flat",
        "Splunk",
        "Sysmon native",
        f"{_THE_SAME} Splunk.",
        _OTHERS | {"EventID"},
    ),
    Shown(
        "eql",
        "eql",
        "EQL",
        "EQL native",
        "The pseudocode above in EQL.",
        frozenset({"event_type_full", "opcode"}),
    ),
    Shown(
        "sigma",
        "sysmon.flat",
        "Sigma",
        "Sysmon native",
        f"{_THE_SAME} Sigma.",
        _OTHERS | {"EventCode"},
    ),
)
"""What pages show, in their order."""


def translations_of(rule: Rule) -> tuple[list[Implementation], list[Diagnostic]]:
    """The rule in each language that a page shows, and what was said of those that cannot say it.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search File:Create where file_name = "a.exe" output a')
    >>> [made.type for made in translations_of(rule)[0]]
    ['Splunk', 'EQL', 'Sigma']
    """
    made: list[Implementation] = []
    said: list[Diagnostic] = []
    name = next((item.name for item in rule.publication.implementations), "")
    shown = _in_one(rule)
    for one in SHOWN:
        [fieldmap] = find_maps(one.fieldmap)
        present = raw_names(fieldmap) - one.without
        try:
            found = translate(shown, one.target, fieldmap, present=present, recognise=False)
        except CarError as error:
            said += error.diagnostics
            continue
        text = found.queries[0].text if len(found.queries) == 1 else found.text
        code = Block.whole(Source(f"<{one.target}>", text.strip()))
        made.append(Implementation(name, one.type, one.description, one.data_model, code))
        said += found.notes
    return made, said


def _in_one(rule: Rule) -> Rule:
    """The rule with all that its outputs find as one output, where single events decide."""
    outputs = rule.program.outputs
    if len(outputs) < 2 or not rule.stateless:
        return rule
    first = outputs[0]
    whole = evolve(first, name=rule.id, plan=ir.Union(tuple(output.plan for output in outputs)))
    return evolve(rule, program=evolve(rule.program, outputs=(whole,)))
