"""``carengine fmt``: CAR's and Sigma's rules in their canonical spelling and layout."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

from ..check import format_rule
from ..diagnostics import CarError, Diagnostic, codes, counted, fault
from ..filewrite import bounded_bytes, rewrite
from ..loading.files import RuleFile, rule_files
from ..loading.formats import format_of
from . import UsageError, status
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine fmt rule.car              print it as it should be
  carengine fmt - < rule.car          the same for a text
  carengine fmt --write rules/        put it in its place, in all files
  carengine fmt --check rules/        name the files that are not canonical, and fail
  carengine fmt --diff rules/         show what would change

Rules are .car files and Sigma's YAML. Objects, actions and fields of pseudocode get the data model's spelling;
Sigma rules get the specification's order of keys, indentation and quotes. Comments, the front matter and what
a rule means stay. Rules in other languages have no canonical form here, and are named.
exit status: 0 done, 1 (with --check) a file is not canonical, 2 syntax errors, 3 a file cannot be read.
"""

# Larger is no rule.
_MOST_BYTES = 64 << 20
_BOM = "\ufeff"
_KEYS = re.compile(r"^(?:detection|correlation|filter)[ \t]*:", re.MULTILINE)


@frozen
class FormatSettings:
    """What ``fmt`` was asked for. ``mode`` is ``print``, ``check``, ``diff`` or ``write``."""

    paths: tuple[str, ...]
    mode: str = "print"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``fmt`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "rules",
        nargs="+",
        metavar="RULES",
        help=".car files and Sigma files, folders of them, or - for a text",
    )
    how = parser.add_mutually_exclusive_group()
    for mode, text in (
        ("check", "only say which files are not canonical"),
        ("diff", "show what would change"),
        ("write", "change the files"),
    ):
        how.add_argument(f"--{mode}", dest="mode", action="store_const", const=mode, help=text)


def settings(values: argparse.Namespace) -> FormatSettings:
    """What the command line asks for. Raises `UsageError`."""
    if values.mode == "write" and "-" in values.rules:
        raise UsageError("carengine fmt: a text from standard input has no file to --write to")
    return FormatSettings(tuple(values.rules), values.mode or "print")


def run(settings: FormatSettings, screen: Screen) -> int:
    """Format. The exit status."""
    files = list(_files(settings.paths))
    mode = settings.mode
    if mode == "print" and len(files) > 1:
        raise UsageError("carengine fmt: of several files, say --check, --diff or --write")
    codes = {status.DONE}
    different = failed = kept = 0
    for name in files:
        try:
            text = _read(name)
            if (language := _without_canonical_form(name, text)) is not None:
                screen.say(f"{name}: {language} has no canonical form here; left as it is")
                kept += 1
                if mode == "print":
                    screen.write_bytes(text.encode("utf-8"))
                continue
            better = _formatted(text.removeprefix(_BOM), "<stdin>" if name == "-" else name)
        except CarError as error:
            screen.report(error.diagnostics)
            codes.add(status.USAGE)
            failed += 1
            continue
        except Exception as error:
            if not isinstance(error, OSError | UnicodeDecodeError):
                screen.report([fault(f"the formatting of {name}", error, origin=name)])
                codes.add(status.FAULT)
                failed += 1
                continue
            screen.say(f"{name}: cannot be read: {error}")
            codes.add(status.UNREADABLE)
            failed += 1
            continue
        if text.startswith(_BOM):
            better = _BOM + better
        different += better != text
        if mode == "check":
            if better != text:
                screen.show(name)
                codes.add(status.FINDINGS)
        elif mode == "diff":
            _show_difference(name, text, better, screen)
        elif mode == "write":
            if better != text:
                rewrite(name, better)
        else:
            screen.write_bytes(better.encode("utf-8"))
    if mode != "print":
        what = "changed" if mode == "write" else "not canonical"
        screen.say(
            f"{counted(len(files), 'file')}: {different:,} {what}, "
            f"{len(files) - different - failed - kept:,} canonical, {failed:,} with errors"
            + (f", {kept:,} of languages without a canonical form" if kept else "")
        )
    return status.gravest(*codes)


def _formatted(text: str, name: str) -> str:
    """The text in its canonical form. Raises `CarError`."""
    if not _is_sigma(text, name):
        return format_rule(text, name)
    try:
        # It stands on the extra `sigma`.
        from ..languages.sigma.formatting import format_sigma
    except ImportError as error:
        message = f"pySigma cannot be imported: {error}"
        missing = Diagnostic(codes.SIGMA_NOT_INSTALLED, message, origin=name)
        raise CarError([missing]) from None
    return format_sigma(text, name)


def _is_sigma(text: str, name: str) -> bool:
    """Whether a text is in Sigma: a YAML file that is, or a nameless text with Sigma's keys."""
    ending = Path(name).suffix.lower()
    if ending in (".yml", ".yaml"):
        return True
    file = RuleFile(name, text, ".yml", None)
    found = None if ending else format_of(file, named=True)
    return found is not None and found.name == "sigma" and _KEYS.search(text) is not None


def _files(paths: Iterable[str]) -> Iterator[str]:
    """The files to format. A folder stands for the ``.car`` files and Sigma's in it."""
    for path in paths:
        if path != "-" and Path(path).is_dir():
            unreadable: list[Diagnostic] = []
            for file in rule_files(Path(path), (".car", ".yml", ".yaml"), unreadable):
                row = format_of(file, named=False)
                if row is not None and row.name in ("car", "sigma"):
                    yield file.name
            # Whoever reads them says so.
            yield from (item.origin for item in unreadable)
        else:
            yield path


def _read(name: str) -> str:
    data = sys.stdin.buffer.read(_MOST_BYTES) if name == "-" else bounded_bytes(name, _MOST_BYTES)
    return data.decode("utf-8")


def _without_canonical_form(name: str, text: str) -> str | None:
    """The title of the rule format of a file, where it has no canonical form; None where it has."""
    path = Path(name)
    file = RuleFile(name, text, path.suffix.lower(), None)
    row = None if name == "-" else format_of(file, named=True)
    return (
        None
        if row is None or row.name in ("car", "sigma")
        else f"{_article(row.title)} {row.title}"
    )


def _article(title: str) -> str:
    return "an" if title[0] in "AEIOU" else "a"


def _show_difference(name: str, text: str, better: str, screen: Screen) -> None:
    lines = difflib.unified_diff(
        text.splitlines(), better.splitlines(), name, f"{name} (canonical)", lineterm=""
    )
    for line in lines:
        screen.show_text("", line)
