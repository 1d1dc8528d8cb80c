"""Loading rules from files, folders and archives. What a file holds is told by its ending.

YAML is a CAR analytic, or Sigma's, or no rule, which its keys tell. CAR's own formats, YAML and
Markdown, are read leniently; ``.car`` files when that is asked for. All Sigma files of a call are
read together, since filters and correlations speak of rules in other files. One bad file never
keeps the others from loading: what it has to say goes to the set's diagnostics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from attrs import define, field

from .. import gc_control
from ..diagnostics import (
    Block,
    CarError,
    Diagnostic,
    Source,
    codes,
    fault,
    has_errors,
    refuse_missing,
)
from ..languages.car import carfile, caryaml, page
from ..rule.model import Draft, Metadata, Parameters, Rule, RuleSet, from_drafts
from .files import RuleFile, rule_files

_ENDINGS = (".car", ".md", ".yaml", ".yml")
_PASSED_OVER = (codes.NOT_A_PAGE, codes.NOT_A_RULE)
# The first two keys are Sigma's own wherever they stand, in YAML or JSON; other YAML has the others
# further in.
_SIGMA = re.compile(
    r"""(?:^|[\r\n{,])[ \t-]*["']?(?:detection|logsource)["']?[ \t]*:"""
    r"""|^["']?(?:correlation|filter)["']?[ \t]*:""",
    re.MULTILINE,
)

_Reads = Callable[
    [Iterable[Source], Mapping[str, Sequence[str]]], tuple[list[Draft], list[Diagnostic]]
]


def load_rules(
    *paths: str | Path,
    parameters: Parameters | None = None,
    lenient: bool = False,
    must_exist: bool = True,
) -> RuleSet:
    """The rules in files, folders (searched through, in sorted order) and archives (tar, zip).

    ``parameters`` gives values to the programs' ``input`` names, and lists of values to the
    placeholders of Sigma rules. With ``lenient``, ``.car`` files are repaired where they can be, as
    CAR's YAML and Markdown always are. Markdown and YAML in a folder that is no rule is passed over
    with a note. Problems in what is there are in the set's ``diagnostics`` and ``refused``; nothing
    is raised for them.

    Raises `PathNotFoundError`, which is a `CarError` and a `FileNotFoundError`, when a path does
    not exist. With ``must_exist=False`` that is one of the set's diagnostics (CE301), too.

    >>> import carengine
    >>> rules = carengine.load_rules(carengine.shipped_rules())
    >>> rules.get("CAR-2019-08-001").attack
    ('T1003.001',)
    """
    if must_exist:
        refuse_missing(paths, codes.UNREADABLE_RULE)
    with gc_control.paused():
        loading = _Loading(lenient)
        for path in paths:
            loading.path(Path(path))
        loading.sigma(parameters or {})
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
    """What was read so far: drafts, findings about files that gave none, and the Sigma files put
    aside."""

    lenient: bool
    drafts: list[Draft] = field(factory=list)
    found: list[Diagnostic] = field(factory=list)
    put_aside: list[Source] = field(factory=list)

    def path(self, path: Path) -> None:
        """Read the files at a path."""
        before = len(self.found), len(self.drafts), len(self.put_aside)
        for file in rule_files(path, _ENDINGS, self.found):
            try:
                self._file(file, named=file.name == str(path))
            except CarError:
                raise
            except Exception as error:
                self.found.append(fault(f"the reading of {file.name}", error, origin=file.name))
        passed_over = all(item.code in _PASSED_OVER for item in self.found[before[0] :])
        if passed_over and before[1:] == (len(self.drafts), len(self.put_aside)):
            endings = ", ".join("*" + ending for ending in _ENDINGS)
            message = f"there is no rule file ({endings}) in it"
            self.found.append(Diagnostic(codes.NO_RULES, message, origin=str(path)))

    def _file(self, file: RuleFile, *, named: bool) -> None:
        source = Source(file.name, file.text)
        match file.ending:
            case ".md" if not named and not page.is_page(file.text):
                message = (
                    "passed over: it has neither front matter nor a heading that says pseudocode"
                )
                self.found.append(Diagnostic(codes.NOT_A_PAGE, message, origin=file.name))
            case ".md":
                self.drafts += page.read(source)
            case ".yaml" | ".yml" if caryaml.is_analytic(file.text):
                self.drafts += caryaml.read(source, folder=file.folder)
            case ".yaml" | ".yml" if _SIGMA.search(file.text):
                self.put_aside.append(source)
            case ".yaml" | ".yml":
                # Folders hold YAML of other kinds; a file that somebody named is to be a rule.
                code = codes.NO_RULES if named else codes.NOT_A_RULE
                message = "it has the keys neither of a CAR analytic nor of a Sigma rule"
                self.found.append(Diagnostic(code, message, origin=file.name))
            case _:
                self.drafts += carfile.read(source, folder=file.folder, lenient=self.lenient)

    def sigma(self, parameters: Parameters) -> None:
        """Read the Sigma files."""
        if not self.put_aside:
            return
        try:
            # An extra that stands on this package, so that it is known here by its name only.
            read: _Reads = import_module("carengine.languages.sigma").read
        except ImportError as error:
            message = f"pySigma cannot be imported: {error}"
            for source in self.put_aside:
                missing = (Diagnostic(codes.SIGMA_NOT_INSTALLED, message, origin=source.name),)
                stem = carfile.stem_of(source.name)
                self.drafts.append(Draft(stem, Metadata(), None, Block.whole(source), missing))
            return
        values = {
            name: [str(value)] if isinstance(value, str | int | float) else list(value)
            for name, value in parameters.items()
        }
        drafts, said = read(self.put_aside, values)
        self.drafts += drafts
        self.found += said
