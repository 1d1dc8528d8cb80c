"""Loading rules from files, folders and archives.

Which rule format a file is in, its ending and its content tell (``formats.FORMATS``). CAR's own
formats, YAML and Markdown, are read leniently; ``.car`` files when that is asked for. One bad file
never keeps the others from loading: what it has to say goes to the set's diagnostics.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import define, field

from .. import gc_control
from ..diagnostics import (
    CarError,
    Diagnostic,
    Source,
    codes,
    fault,
    has_errors,
    refuse_missing,
)
from ..languages.car import carfile
from ..rule.drafts import Draft, from_drafts
from ..rule.model import Parameters, Rule, RuleSet
from .files import RuleFile, rule_files
from .formats import (
    ENDINGS,
    FORMATS,
    MACRO_ENDINGS,
    ReadingOptions,
    RuleFormat,
    format_of,
    is_regression_data,
    refusal_of,
    source_of,
)

_PASSED_OVER = (codes.NOT_A_PAGE, codes.NOT_A_RULE)


def load_rules(
    *paths: str | Path,
    parameters: Parameters | None = None,
    lenient: bool = False,
    must_exist: bool = True,
    macros: Sequence[str | Path] = (),
) -> RuleSet:
    """The rules in files, folders (searched through, in sorted order) and archives (tar, zip).

    ``parameters`` gives values to the programs' ``input`` names, and lists of values to the
    placeholders of Sigma rules. With ``lenient``, ``.car`` files are repaired where they can be, as
    CAR's YAML and Markdown always are. ``macros`` are files with macros of Splunk's
    (``macros.conf``, or YAML as in its security content), or folders of them; macros among the
    rules are known anyway. Markdown and YAML in a folder that is no rule is passed over with a
    note. Problems in what is there are in the set's ``diagnostics`` and ``refused``; nothing
    is raised for them.

    Raises `PathNotFoundError`, which is a `CarError` and a `FileNotFoundError`, when a path does
    not exist. With ``must_exist=False`` that is one of the set's diagnostics (CE301), too.

    >>> import carengine
    >>> rules = carengine.load_rules(carengine.shipped_rules())
    >>> rules.get("CAR-2019-08-001").attack
    ('T1003.001',)
    """
    if must_exist:
        refuse_missing((*paths, *macros), codes.UNREADABLE_RULE)
    with gc_control.paused():
        placeholders = {
            name: [str(value)] if isinstance(value, str | int | float) else list(value)
            for name, value in (parameters or {}).items()
        }
        found: list[Diagnostic] = []
        texts = tuple(
            source_of(file)
            for path in macros
            for file in rule_files(Path(path), MACRO_ENDINGS, found)
        )
        loading = _Loading(ReadingOptions(lenient, placeholders, texts), found=found)
        for path in paths:
            loading.path(Path(path))
        loading.together()
        return from_drafts(loading.drafts, parameters=parameters, diagnostics=loading.found)


def load_rule(
    path: str | Path, *, parameters: Parameters | None = None, lenient: bool = False
) -> Rule:
    """The one rule of a file.

    Raises `CarError` when it cannot be used, or when there are several.

    >>> import carengine
    >>> carengine.load_rule(carengine.shipped_rules() / "CAR-2019-08-001.car").id
    'CAR-2019-08-001'
    """
    return _only(load_rules(path, parameters=parameters, lenient=lenient), str(path))


def parse_rule(
    text: str,
    name: str = "<text>",
    *,
    parameters: Parameters | None = None,
    lenient: bool = False,
) -> Rule:
    """The rule of a ``.car`` text, with or without front matter. Raises `CarError`.

    >>> parse_rule('a = search Process:Create output a').program.outputs[0].name
    'a'
    """
    drafts = carfile.read(Source(name, text), lenient=lenient)
    return _only(from_drafts(drafts, parameters=parameters), name)


def _only(rules: RuleSet, name: str) -> Rule:
    if rules.refused or has_errors(rules.diagnostics):
        raise CarError(rules.diagnostics)
    if len(rules) != 1:
        message = f"one rule is wanted, and there are {len(rules)}"
        raise CarError([Diagnostic(codes.NO_RULES, message, origin=name)])
    return rules.rules[0]


@define(eq=False)
class _Loading:
    """What was read so far: drafts, findings about files that gave none, and the files put aside
    whose format reads them together."""

    reading: ReadingOptions
    drafts: list[Draft] = field(factory=list)
    found: list[Diagnostic] = field(factory=list)
    put_aside: dict[str, list[RuleFile]] = field(factory=dict)

    def path(self, path: Path) -> None:
        """Read the files at a path."""
        before = len(self.found), len(self.drafts), self._waiting()
        for file in rule_files(path, ENDINGS, self.found):
            try:
                self._file(file, named=file.name == str(path))
            except CarError:
                raise
            except Exception as error:
                self.found.append(fault(f"the reading of {file.name}", error, origin=file.name))
        passed_over = all(item.code in _PASSED_OVER for item in self.found[before[0] :])
        if passed_over and before[1:] == (len(self.drafts), self._waiting()):
            endings = ", ".join("*" + ending for ending in ENDINGS)
            message = f"there is no rule file ({endings}) in it"
            self.found.append(Diagnostic(codes.NO_RULES, message, origin=str(path)))

    def _waiting(self) -> int:
        return sum(map(len, self.put_aside.values()))

    def _file(self, file: RuleFile, *, named: bool) -> None:
        row = format_of(file, named=named)
        if row is None:
            # Regression data is looked at when the rule that names it is tested.
            if named or not is_regression_data(file):
                self.found.append(refusal_of(file, named=named))
        elif row.together:
            self.put_aside.setdefault(row.name, []).append(file)
        else:
            self._add(row, [file])

    def together(self) -> None:
        """Read the files that were put aside."""
        for row in FORMATS:
            files = self.put_aside.pop(row.name, [])
            if files:
                self._add(row, files)

    def _add(self, row: RuleFormat, files: list[RuleFile]) -> None:
        drafts, said = row.read(files, self.reading)
        self.drafts += drafts
        self.found += said
