"""Loading rules from files, folders and archives. What a file holds is told by its ending.

One bad file never keeps the others from loading: what it has to say goes to the set's diagnostics. YAML is
Sigma's where it has a Sigma document's keys; all Sigma files of a call are read together, since filters and
correlations speak of rules in other files.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from ..diagnostics import Block, CarError, Diagnostic, Source, codes, has_errors
from . import carfile, page
from .files import RuleFile, rule_files
from .model import Draft, Metadata, Parameters, Rule, RuleSet, from_drafts

_ENDINGS = (".car", ".md", ".yml", ".yaml")
_SIGMA = re.compile(r"^(?:detection|correlation|filter)[ \t]*:", re.MULTILINE)

_Reads = Callable[
    [Iterable[Source], Mapping[str, Sequence[str]]], tuple[list[Draft], list[Diagnostic]]
]


def load_rules(*paths: str | Path, parameters: Parameters | None = None) -> RuleSet:
    """The rules in files, folders (searched through, in sorted order) and archives (tar, zip).

    ``parameters`` gives values to the programs' ``input`` names, and lists of values to the placeholders of
    Sigma rules. Problems are in the set's ``diagnostics`` and ``refused``; nothing is raised.

    >>> import carengine
    >>> rules = carengine.load_rules(carengine.shipped_rules())
    >>> rules.get("CAR-2019-08-001").attack
    ('T1003.001',)
    """
    with _no_collection():
        return _loaded(paths, parameters)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the cyclic garbage collector from running: rules are many objects, none of them garbage."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _loaded(paths: Iterable[str | Path], parameters: Parameters | None) -> RuleSet:
    found: list[Diagnostic] = []
    drafts: list[Draft] = []
    sigma: list[Source] = []
    for path in paths:
        some = False
        before = len(found)
        for file in rule_files(Path(path), _ENDINGS, found):
            some = True
            drafts += _drafts(file, sigma, found)
        if not some and len(found) == before:
            found.append(
                Diagnostic(
                    codes.NO_RULES,
                    f"there is no rule file ({', '.join('*' + e for e in _ENDINGS)}) in it",
                    origin=str(path),
                )
            )
    drafts += _sigma_drafts(sigma, parameters or {}, found)
    return from_drafts(drafts, parameters=parameters, diagnostics=found)


def load_rule(path: str | Path, *, parameters: Parameters | None = None) -> Rule:
    """The one rule of a file. Raises `CarError` when it cannot be used, or when there are several."""
    return _only(load_rules(path, parameters=parameters), str(path))


def parse_rule(text: str, name: str = "<text>", *, parameters: Parameters | None = None) -> Rule:
    """The rule of a ``.car`` text, with or without front matter. Raises `CarError`.

    >>> parse_rule('a = search Process:Create output a').program.outputs[0].name
    'a'
    """
    return _only(from_drafts(carfile.read(Source(name, text)), parameters=parameters), name)


def _only(rules: RuleSet, name: str) -> Rule:
    if rules.refused or has_errors(rules.diagnostics):
        raise CarError(rules.diagnostics)
    if len(rules) != 1:
        message = f"one rule is wanted, and there are {len(rules)}"
        raise CarError([Diagnostic(codes.NO_RULES, message, origin=name)])
    return rules.rules[0]


def _drafts(file: RuleFile, sigma: list[Source], found: list[Diagnostic]) -> Iterable[Draft]:
    """The drafts of one file; a Sigma file is put aside for later."""
    source = Source(file.name, file.text)
    if file.ending == ".md":
        return page.read(source)
    if file.ending not in (".yml", ".yaml"):
        return carfile.read(source, folder=file.folder)
    if _SIGMA.search(file.text):
        sigma.append(source)
    else:
        message = "neither a detection nor a correlation nor a filter is in it"
        found.append(Diagnostic(codes.NOT_SIGMA, message, origin=file.name))
    return []


def _sigma_drafts(
    sources: list[Source], parameters: Parameters, found: list[Diagnostic]
) -> Iterator[Draft]:
    if not sources:
        return
    try:
        # An extra that stands on this package, so that it is known here by its name only.
        read: _Reads = import_module("carengine.sigma").read
    except ImportError as error:
        for source in sources:
            message = f"pySigma cannot be imported: {error}"
            missing = (Diagnostic(codes.SIGMA_NOT_INSTALLED, message, origin=source.name),)
            stem = carfile.stem_of(source.name)
            yield Draft(stem, Metadata(), None, Block.whole(source), missing)
        return
    values = {
        name: [str(value)] if isinstance(value, str | int | float) else list(value)
        for name, value in parameters.items()
    }
    drafts, said = read(sources, values)
    found += said
    yield from drafts
