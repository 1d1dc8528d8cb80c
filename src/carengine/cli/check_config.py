"""Which findings ``carengine check`` shows, and how grave they are: a file of settings, and options
that go before it.

The file is ``carengine.toml``, in the current folder unless ``--config`` names another::

    [check]
    disable = ["CE822", "CE83"]          # codes, or how they begin
    baseline = "known-findings.json"     # as seen from the file
    attack = "enterprise-attack.json"    # the ATT&CK that tags are held against

    [check.severity]
    CE828 = "error"
"""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from ..diagnostics import Diagnostic, Severity
from ..filewrite import bounded_text
from . import UsageError

FILE = "carengine.toml"
_KEYS = ("disable", "only", "severity", "baseline", "attack")
_CODE = re.compile(r"CE[0-9]{1,3}")


@frozen
class FindingSettings:
    """What is shown. ``disabled`` and ``only`` are codes or how they begin; ``severities`` are by
    code."""

    disabled: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    severities: Mapping[str, Severity] = field(factory=dict, hash=False)
    baseline: str | None = None
    write_baseline: bool = False
    attack: str | None = None

    def chosen(self, found: Iterable[Diagnostic]) -> tuple[list[Diagnostic], int]:
        """The findings that are wanted, with their severities, and how many are not."""
        kept, left_out = [], 0
        for item in found:
            code = item.code.id
            if (self.only and not code.startswith(self.only)) or (
                self.disabled and code.startswith(self.disabled)
            ):
                left_out += 1
                continue
            severity = self.severities.get(code)
            if severity is not None and severity is not item.severity:
                item = evolve(item, code=evolve(item.code, severity=severity))
            kept.append(item)
        return kept, left_out


def add_finding_options(parser: argparse.ArgumentParser) -> None:
    """``--disable``, ``--only``, ``--severity``, ``--config``, ``--attack`` and the baseline's."""
    group = parser.add_argument_group("which findings", f"also in {FILE}, under [check]")
    group.add_argument(
        "--disable",
        action="append",
        default=[],
        metavar="CODE",
        help="leave findings of this code out, or of all that begin so (CE82); may be repeated",
    )
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CODE",
        help="only findings of this code, or of all that begin so; may be repeated",
    )
    group.add_argument(
        "--severity",
        action="append",
        default=[],
        metavar="CODE=SEVERITY",
        help="how grave findings of a code are: error, warning or note; may be repeated",
    )
    group.add_argument(
        "--baseline", metavar="FILE", help="show only findings that are not in this file"
    )
    group.add_argument(
        "--write-baseline",
        action="store_true",
        help="write what is found to the file of --baseline, and be content with it",
    )
    group.add_argument(
        "--attack",
        metavar="FILE",
        help="a STIX bundle of ATT&CK to hold the tags of Sigma rules against "
        "(default: the version that ships)",
    )
    group.add_argument("--config", metavar="FILE", help=f"a file of settings (default: {FILE})")


def settings(values: argparse.Namespace) -> FindingSettings:
    """What the options and the file say. Raises `UsageError`."""
    told = _of_file(values.config)
    severities = dict(told.severities)
    for given in values.severity:
        code, _, name = given.partition("=")
        severities[_code(code, "--severity")] = _severity(name, f"--severity {given}")
    baseline = values.baseline or told.baseline
    if values.write_baseline and baseline is None:
        raise UsageError("carengine check: --write-baseline wants --baseline FILE to write to")
    return FindingSettings(
        (*told.disabled, *(_code(code, "--disable") for code in values.disable)),
        tuple(_code(code, "--only") for code in values.only) or told.only,
        severities,
        baseline,
        values.write_baseline,
        values.attack or told.attack,
    )


def _code(text: str, where: str) -> str:
    code = text.strip().upper()
    if _CODE.fullmatch(code) is None:
        raise UsageError(f"carengine check: {where} wants a code such as CE828, not {text}")
    return code


def _severity(name: object, where: str) -> Severity:
    try:
        return Severity(str(name).strip().lower())
    except ValueError:
        message = f"carengine check: {where}: a severity is error, warning or note"
        raise UsageError(message) from None


def _of_file(path: str | None) -> FindingSettings:
    if path is None and not Path(FILE).is_file():
        return FindingSettings()
    name = path or FILE
    try:
        document = tomllib.loads(bounded_text(name, "utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(f"carengine check: {name} cannot be read: {error}") from None
    table = document.get("check", {})
    if not isinstance(table, dict):
        raise UsageError(f"carengine check: {name}: [check] is a table")
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        known = ", ".join(_KEYS)
        raise UsageError(f"carengine check: {name}: [check] has {known}, and not {unknown[0]}")
    severities = table.get("severity", {})
    if not isinstance(severities, dict):
        raise UsageError(f"carengine check: {name}: [check.severity] is a table")
    folder = Path(name).parent
    return FindingSettings(
        _codes(table, "disable", name),
        _codes(table, "only", name),
        {_code(c, name): _severity(s, f"{name}: {c}") for c, s in severities.items()},
        _path(table, "baseline", folder, name),
        False,
        _path(table, "attack", folder, name),
    )


def _codes(table: Mapping[str, object], key: str, name: str) -> tuple[str, ...]:
    listed = table.get(key, [])
    if not isinstance(listed, list):
        raise UsageError(f"carengine check: {name}: {key} is a list of codes")
    return tuple(_code(str(item), f"{name}: {key}") for item in listed)


def _path(table: Mapping[str, object], key: str, folder: Path, name: str) -> str | None:
    given = table.get(key)
    if given is None:
        return None
    if not isinstance(given, str):
        raise UsageError(f"carengine check: {name}: {key} is a file's name")
    return str(folder / given)
