"""``carengine page``: the page of an analytic, in Markdown."""

from __future__ import annotations

import argparse
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from ..diagnostics import Block, CarError, Diagnostic, Source
from ..page import write_page
from ..rule import Implementation, Rule, load_rules
from . import status
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine page rules/CAR-2019-08-001.car              to standard output
  carengine page rules/CAR-2019-08-001.car -o page.md   to a file
  carengine verify page.md                              do its implementations agree?

exit status: 0 done, 2 a rule that cannot be used.
"""

_TRANSLATIONS = (
    ("splunk", "sysmon.flat", "Splunk", "Sysmon native"),
    ("eql", "eql", "EQL", "EQL native"),
)
"""Target, field map, and what CAR calls the two."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``page`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument("rule", metavar="RULE", help="a rule file")
    parser.add_argument("-o", "--output", metavar="FILE", help="where the page is written to")


def run(options: argparse.Namespace, screen: Screen) -> int:
    """Write the page. The exit status."""
    rules = load_rules(options.rule)
    if len(rules) != 1 or rules.refused:
        screen.report(rules.diagnostics)
        screen.say(f"carengine: a page shows one rule, and {options.rule} holds {len(rules)}")
        return status.USAGE
    [rule] = rules.rules
    made, said = translations_of(rule)
    screen.report(said)
    without = [type_ for _, _, type_, _ in _TRANSLATIONS if type_ not in {i.type for i in made}]
    if without:
        screen.say(f"the page has no translation into {' and '.join(without)}")
    text = write_page(rule, made)
    if options.output is None:
        screen.show(text.rstrip("\n"))
    else:
        Path(options.output).write_text(text, encoding="utf-8")
    return status.DONE


def translations_of(rule: Rule) -> tuple[list[Implementation], list[Diagnostic]]:
    """The rule in each language that a page shows, and what was said of those that cannot say it."""
    made: list[Implementation] = []
    said: list[Diagnostic] = []
    if find_spec("carengine.translate") is None:
        return made, said
    translating = import_module("carengine.translate")
    name = next((item.name for item in rule.publication.implementations), "")
    for target, fieldmap, type_, data_model in _TRANSLATIONS:
        if target not in translating.TARGETS:
            continue
        try:
            found = translating.translate(rule, target, fieldmap, recognise=False)
        except CarError as error:
            said += error.diagnostics
            continue
        code = Block.whole(Source(f"<{target}>", found.text.strip()))
        made.append(Implementation(name, type_, "", data_model, code))
        said += found.notes
    return made, said
