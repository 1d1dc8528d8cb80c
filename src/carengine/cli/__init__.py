"""The command line: a thin face on the library's calls.

``COMMANDS`` is the table of what there is. A command is a module of this package with three
functions::

    def arguments(parser: argparse.ArgumentParser) -> None    # what it takes; examples in its help
    def settings(values: argparse.Namespace) -> CheckSettings    # what was given, read once
    def run(settings: CheckSettings, screen: Screen) -> int    # does it, returns the exit status

The settings are a frozen class of the command's own. ``options`` has the groups of options that
several commands share, each with the class of its settings. Nothing but ``settings`` and ``options``
gets to see what argparse gives. A further command is a further row and a further module. The module
is imported when its command is called, and no other.

Results go to standard output, everything else to standard error. The exit status is one of
``status``: 0 done, 1 findings where asked to fail on them, 2 a rule or usage error, 3 unreadable
input, 4 a run that was blind (no event recognised, or most rules not runnable), 70 a fault of
the program, or a process of the run was lost, 130 interrupted, 141 when whoever read the output stopped reading. Where several
apply, the first of 130, 70, 2, 3, 4, 1 is returned.
"""

from __future__ import annotations

import argparse
import atexit
import importlib
import os
import sys
import traceback
import warnings
from contextlib import suppress
from typing import Any, NoReturn

from .. import __version__, gc_control
from ..diagnostics import CarError
from . import status
from .screen import Screen

COMMANDS: dict[str, tuple[str, str]] = {
    "hunt": ("hunt", "run rules over events and show what matches"),
    "report": ("report", "run rules over events and write a page to hand on"),
    "check": ("check", "say everything that is wrong with rules"),
    "fmt": ("fmt", "print rules in their canonical spelling and layout"),
    "test": ("test", "hold rules to the examples they carry"),
    "verify": ("verify", "say whether the implementations of an analytic agree"),
    "diff": ("diff", "say which rules of two versions find more, less or something else"),
    "overlap": ("overlap", "find rules of a set that find the same, or that another covers"),
    "sample": ("sample", "write events that a rule finds, and some that it only just does not"),
    "page": ("page", "write the page of an analytic as CAR publishes it"),
    "explain": ("explain", "show why a rule matches an event or does not"),
    "translate": ("translate", "write rules in other languages: Splunk, EQL, Sigma, SQL"),
    "sql": ("sql", "run rules as queries in DuckDB, over logs larger than memory"),
    "corpus": ("corpus", "say of each block of published pseudocode what became of it"),
    "detect": ("detect", "say what kinds of events logs hold"),
    "map": ("fieldmaps", "write a field map for a log of one's own, or check one"),
    "compile": ("compile", "put rules and field maps into one file that starts at once"),
    "needs": ("needs", "say what rules need against what logs or field maps have"),
    "coverage": ("coverage", "say what rules cover of ATT&CK, claimed, runnable and seen"),
    "timeline": ("timeline", "write events in the order of time, all or those near something"),
    "stats": ("stats", "count events, hosts, users, logons, and what is missing"),
    "normalize": ("normalize", "write events in CAR's names, for other tools"),
    "fields": ("fields", "list objects, actions and fields, and what a field map gives"),
}
"""Name of the command: its module in this package, and what it does in a few words."""

_DESCRIPTION = "Run MITRE CAR analytics: their pseudocode, executed over the logs you have."
_EPILOG = """\
exit status: 0 done, 1 findings where asked to fail on them, 2 a rule or usage error,
3 unreadable input, 4 most of it not understood, 130 interrupted. `carengine COMMAND --help` tells more, with examples.
"""


class _CommandParser(argparse.ArgumentParser):
    """A parser that raises instead of ending the process.

    ``below`` has the parsers of the words that say what a command does: ``new`` behind ``map``.
    """

    below: Any = None

    def add_subparsers(self, **options: Any) -> Any:
        """As argparse has it; what it gives is kept."""
        self.below = super().add_subparsers(**options)
        return self.below

    def error(self, message: str) -> NoReturn:
        # The message quotes arguments, among them names of files that a shell put there.
        raise UsageError(f"{self.prog}: error: {message}", self.format_usage())


class UsageError(Exception):
    """A command line that cannot be carried out; the text says why. Lines that are our own, such
    as a usage, may be said before it."""

    def __init__(self, reason: str, before: str = "") -> None:
        super().__init__(reason)
        self.before = before


def entry() -> NoReturn:
    """The program ``carengine``: `main`, and the end of the process.

    What rules were compiled to is left to the system: to free each of its objects takes longer than
    many a command.
    """
    done: list[int] = []

    def end() -> None:
        if done:
            with suppress(OSError, ValueError):  # nobody reads it any more
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(done[0])

    # What is registered later is done earlier.
    atexit.register(end)
    done.append(main())
    sys.exit(done[0])


def main(argv: list[str] | None = None) -> int:
    """Carry out a command line (without the program's name; `sys.argv` by default); the exit
    status.

    >>> main(["fields", "no_such_object"])
    2
    """
    arguments = sys.argv[1:] if argv is None else argv
    screen = Screen.standard(no_color="--no-color" in arguments)

    def warned(message: Warning | str, category: type[Warning], *place: object) -> None:
        screen.say(f"{category.__name__}: {message}")

    try:
        with warnings.catch_warnings():
            # What a library warns of quotes rules and events, and Python would write it as it is.
            # Its type has a file to write to among its parameters, which `warned` takes as `place`.
            warnings.showwarning = warned  # type: ignore[assignment]
            code = _main(arguments, screen)
        screen.flush()
        return code
    except BrokenPipeError:
        _silence(sys.stdout)
        return status.CLOSED
    except KeyboardInterrupt:
        screen.say("interrupted")
        return status.INTERRUPTED
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        screen.say(f"carengine: {place}{error.strerror or error}")
        return status.USAGE
    except Exception as error:
        # Python's own way to say it would write what rules and events hold as it is.
        screen.say_lines("".join(traceback.format_tb(error.__traceback__)).rstrip("\n"))
        screen.say(f"{type(error).__name__}: {error}")
        screen.say("carengine: stopped by a fault of the program; please report the lines above")
        return status.FAULT


def _main(arguments: list[str], screen: Screen) -> int:
    try:
        with gc_control.paused():
            # What is imported stays: looking it through again and again is in vain.
            values = _parser(arguments).parse_args(arguments)
        if values.command is None:
            raise UsageError("carengine: which command? `carengine --help` lists them")
        command = importlib.import_module(f".{COMMANDS[values.command][0]}", __name__)
        _declare(values)
        code: int = command.run(command.settings(values), screen)
        return code
    except UsageError as error:
        if error.before:
            screen.say_lines(error.before.removesuffix("\n"))
        screen.say(str(error))
        return status.USAGE
    except CarError as error:
        screen.report(error.diagnostics)
        return status.USAGE
    except SystemExit as done:  # argparse's way out of --help and --version
        return done.code if isinstance(done.code, int) else status.DONE


def _declare(values: argparse.Namespace) -> None:
    """Make known what model files and field maps declare, before rules that use it are read."""
    if values.model:
        from ..datamodel import declare_model

        for path in values.model:
            declare_model(path)
    given = getattr(values, "mapping", None) or []
    for item in [given] if isinstance(given, str) else given:
        if item.endswith((".yaml", ".yml")) or os.path.isdir(item):
            from ..fieldmap import find_maps

            find_maps(item)


def _parser(arguments: list[str]) -> _CommandParser:
    """The parser. Only the command that is called gets its arguments: the others need not be
    imported."""
    parser = _CommandParser(
        "carengine",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"carengine {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    called = next((word for word in arguments if not word.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_argument("--no-color", action="store_true", help="no colours (as NO_COLOR=1)")
        if name == called:
            importlib.import_module(f".{module}", __name__).arguments(command)
            _add_model_option(command)
    return parser


def _add_model_option(command: _CommandParser) -> None:
    """``--model FILE``, behind the command, or behind the word that says what the command does."""
    for parser in [command] if command.below is None else command.below.choices.values():
        parser.add_argument(
            "--model",
            action="append",
            default=[],
            metavar="FILE",
            help="objects, actions and fields of one's own beside CAR's, as YAML; may be repeated",
        )


def _silence(stream: object) -> None:
    """Keep Python from writing what is left to a pipe that is closed, when it ends."""
    try:
        descriptor = stream.fileno()  # type: ignore[attr-defined]
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    except (OSError, ValueError, AttributeError):
        pass
