"""``carengine compile``: rules and field maps into one file that starts at once.

Reading thousands of rules takes seconds each time. The file holds what reading them gave; ``hunt
--engine`` takes it up in a fraction of that. It is plain data, bound to this version of the
package.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..diagnostics import counted
from ..engine import Engine
from . import UsageError, status
from .evidence import same_place
from .rules import add_input_option, add_map_option, add_rules_option, load, report_refused
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine compile -r sigma/rules/windows -o windows.engine
  carengine hunt logs/ --engine windows.engine         the same rules, without the wait

Rules that are refused are named, and are not in the file. A newer carengine refuses the file: compile it anew.

exit status: 0 done, 2 a rule was refused (the others are in the file), or nothing was written
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``compile`` takes."""
    parser.epilog = _EXAMPLES
    add_rules_option(parser)
    add_map_option(parser)
    add_input_option(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the file to write the engine to"
    )


def run(options: argparse.Namespace, screen: Screen) -> int:
    """Compile. The exit status."""
    clash = same_place(options.output, [*(options.rules or []), *_map_files(options.mapping or [])])
    if clash:
        raise UsageError(f"carengine compile: -o {options.output} would write into {clash}")
    rules = load(options, screen)
    broken = report_refused(rules, screen)
    if not rules.rules:
        screen.say("there is no rule to compile, and nothing was written")
        return status.USAGE
    engine = Engine(rules, options.mapping or "auto")
    engine.save(options.output)
    refused = f", {len(rules.refused):,} refused" if rules.refused else ""
    size = Path(options.output).stat().st_size / 1e6
    screen.say(
        f"{options.output}: {counted(len(rules), 'rule')}{refused}, "
        f"{counted(len(engine.maps), 'field map')}, {size:,.1f} MB"
    )
    return status.USAGE if broken else status.DONE


def _map_files(named: list[str]) -> list[str]:
    return [name for name in named if Path(name).exists()]
