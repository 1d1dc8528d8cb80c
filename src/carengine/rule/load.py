"""Loading rules from files and folders. What a file holds is told by its ending.

One bad file never keeps the others from loading: what it has to say goes to the set's diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..diagnostics import CarError, Diagnostic, Source, codes, has_errors
from . import carfile, page
from .model import Draft, Parameters, Rule, RuleSet, from_drafts

_ENDINGS = (".car", ".md")
_MAX_BYTES = 8_000_000


def load_rules(*paths: str | Path, parameters: Parameters | None = None) -> RuleSet:
    """The rules in files and folders (searched through, in sorted order).

    ``parameters`` gives values to the programs' ``input`` names. Problems are in the set's
    ``diagnostics`` and ``refused``; nothing is raised.

    >>> import carengine
    >>> rules = carengine.load_rules(carengine.shipped_rules())
    >>> rules.get("CAR-2019-08-001").attack
    ('T1003.001',)
    """
    found: list[Diagnostic] = []
    drafts: list[Draft] = []
    for path in paths:
        files = list(_files(Path(path)))
        if not files:
            found.append(
                Diagnostic(
                    codes.NO_RULES,
                    f"there is no rule file ({', '.join('*' + e for e in _ENDINGS)}) in it",
                    origin=str(path),
                )
            )
        for file in files:
            drafts += _drafts(file, found)
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


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    yield from sorted(p for p in path.rglob("*") if p.suffix in _ENDINGS and p.is_file())


def _drafts(path: Path, found: list[Diagnostic]) -> Iterable[Draft]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        message = f"the rule file cannot be read: {error}"
        found.append(Diagnostic(codes.UNREADABLE_RULE, message, origin=str(path)))
        return []
    source = Source(str(path), text)
    if path.suffix == ".md":
        return page.read(source)
    return carfile.read(source, folder=path.parent)
