"""``carengine corpus``: what became of each block of published pseudocode, as a page of Markdown."""

from __future__ import annotations

import argparse

from attrs import frozen

from ..check import check_rule
from ..diagnostics import counted
from ..loading import load_rules
from ..loading.corpus import corpus_report
from ..verify import load_analytics
from ..verify.corpus import corpus_table
from . import status
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine corpus car/analytics/ > corpus.md    one row a block: as published, repaired, refused

exit status: 0 done, 2 the command is not right.
"""


@frozen
class CorpusSettings:
    """What ``corpus`` was asked for. ``languages``: compare the blocks in other languages, too."""

    paths: tuple[str, ...]
    languages: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``corpus`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "rules", nargs="+", metavar="RULES", help="analytics: YAML, Markdown or .car, or folders"
    )
    parser.add_argument(
        "--languages",
        action="store_true",
        help="compare the blocks in other languages as well (slow)",
    )


def settings(values: argparse.Namespace) -> CorpusSettings:
    """What the command line asks for."""
    return CorpusSettings(tuple(values.rules), values.languages)


def run(settings: CorpusSettings, screen: Screen) -> int:
    """Write the page. The exit status."""
    rules = load_rules(*settings.paths, lenient=True, must_exist=False)
    screen.show(corpus_report(rules, check_rule).rstrip("\n"))
    if settings.languages:
        screen.show()
        screen.show(corpus_table(load_analytics(*settings.paths)).rstrip("\n"))
    screen.say(
        f"{counted(len(rules) + len(rules.refused), 'rule')}: {len(rules):,} usable, {len(rules.refused):,} refused"
    )
    return status.DONE
