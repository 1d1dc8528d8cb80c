"""``carengine compile``: rules and field maps into one file that starts at once.

Reading thousands of rules takes seconds each time. The file holds what reading them gave; ``hunt
--engine`` takes it up in a fraction of that. It is plain data, bound to this version of the
package.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from attrs import frozen

from ..diagnostics import counted
from . import UsageError, status
from .evidence import same_place
from .options import (
    MapNames,
    RuleSettings,
    add_input_option,
    add_map_option,
    add_rules_option,
    map_choice,
    map_names,
    rule_settings,
)
from .rules import engine_of, load, report_refused
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine compile -r sigma/rules/windows -o windows.engine
  carengine hunt logs/ --engine windows.engine         the same rules, without the wait

Rules that are refused are named, and are not in the file. A newer carengine refuses the file: compile it anew.

exit status: 0 done, 2 a rule was refused (the others are in the file), or nothing was written
"""


@frozen
class CompileSettings:
    """What ``compile`` was asked for. ``output`` is the file to write."""

    output: str
    rules: RuleSettings
    maps: MapNames = ()


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``compile`` takes."""
    parser.epilog = _EXAMPLES
    add_rules_option(parser)
    add_map_option(parser)
    add_input_option(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the file to write the engine to"
    )


def settings(values: argparse.Namespace) -> CompileSettings:
    """What the command line asks for. Raises `UsageError` for an output among the input."""
    rules, maps = rule_settings(values), map_names(values)
    files = [name for name in maps if isinstance(name, str) and Path(name).exists()]
    clash = same_place(values.output, [*rules.paths, *files])
    if clash:
        raise UsageError(f"carengine compile: -o {values.output} would write into {clash}")
    return CompileSettings(values.output, rules, maps)


def run(settings: CompileSettings, screen: Screen) -> int:
    """Compile. The exit status."""
    rules = load(settings.rules)
    broken = report_refused(rules, screen)
    if not rules.rules:
        screen.say("there is no rule to compile, and nothing was written")
        return status.USAGE
    engine, lost_rules = engine_of(rules, map_choice(settings.maps), screen)
    broken = broken or lost_rules
    engine.save(settings.output)
    refused = f", {len(rules.refused):,} refused" if rules.refused else ""
    size = Path(settings.output).stat().st_size / 1e6
    screen.say(
        f"{settings.output}: {counted(len(rules), 'rule')}{refused}, "
        f"{counted(len(engine.maps), 'field map')}, {size:,.1f} MB"
    )
    return status.USAGE if broken else status.DONE
