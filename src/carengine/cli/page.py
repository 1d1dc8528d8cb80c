"""``carengine page``: the page of an analytic, in Markdown."""

from __future__ import annotations

import argparse

from attrs import frozen

from ..filewrite import replacing
from ..languages.car.implementations import SHOWN, translations_of
from ..languages.car.page_writer import write_page
from ..loading import load_rules
from . import UsageError, status
from .evidence import same_place
from .options import add_macros_option
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine page rules/car/CAR-2019-08-001.car              to standard output
  carengine page rules/car/CAR-2019-08-001.car -o page.md   to a file
  carengine verify page.md                              do its implementations agree?

exit status: 0 done, 2 a rule that cannot be used.
"""


@frozen
class PageSettings:
    """What ``page`` was asked for. ``output`` is None for standard output."""

    rule: str
    output: str | None = None
    macros: tuple[str, ...] = ()


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``page`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument("rule", metavar="RULE", help="a rule file")
    parser.add_argument("-o", "--output", metavar="FILE", help="where the page is written to")
    add_macros_option(parser)


def settings(values: argparse.Namespace) -> PageSettings:
    """What the command line asks for. Raises `UsageError`."""
    if values.output is not None and (clash := same_place(values.output, [values.rule])):
        raise UsageError(f"carengine page: -o {values.output} would write into {clash}")
    return PageSettings(values.rule, values.output, tuple(values.macros))


def run(settings: PageSettings, screen: Screen) -> int:
    """Write the page. The exit status."""
    rules = load_rules(settings.rule, must_exist=False, macros=settings.macros)
    if len(rules) != 1 or rules.refused:
        screen.report(rules.diagnostics)
        screen.say(f"carengine: a page shows one rule, and {settings.rule} holds {len(rules)}")
        return status.USAGE
    [rule] = rules.rules
    made, said = translations_of(rule)
    screen.report(said)
    without = [one.type for one in SHOWN if one.type not in {item.type for item in made}]
    if without:
        screen.say(f"the page has no translation into {' and '.join(without)}")
    text = write_page(rule, made)
    if settings.output is None:
        screen.show_lines(text.rstrip("\n"))
    else:
        try:
            with replacing(settings.output, "utf-8") as file:
                file.write(text)
        except OSError as error:
            reason = f"cannot write {settings.output}: {error.strerror}"
            raise UsageError(f"carengine page: {reason}") from None
    return status.DONE
