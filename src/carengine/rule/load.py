"""Loading rules from files and folders. What a file holds is told by its ending.

YAML is a CAR analytic. CAR's own formats, YAML and Markdown, are read leniently; ``.car`` files when that is asked for.
One bad file never keeps the others from loading: what it has to say goes to the set's diagnostics.
"""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..diagnostics import CarError, Diagnostic, Source, Span, codes, has_errors
from . import carfile, caryaml, page
from .model import Draft, Parameters, Rule, RuleSet, from_drafts

_ENDINGS = (".car", ".md", ".yaml", ".yml")
_MAX_BYTES = 8_000_000


def load_rules(
    *paths: str | Path, parameters: Parameters | None = None, lenient: bool = False
) -> RuleSet:
    """The rules in files and folders (searched through, in sorted order).

    ``parameters`` gives values to the programs' ``input`` names. With ``lenient``, ``.car`` files are repaired
    where they can be, as CAR's YAML and Markdown always are. A Markdown file in a folder that is no analytic is
    passed over with a note. Problems are in the set's ``diagnostics`` and
    ``refused``; nothing is raised.

    >>> import carengine
    >>> rules = carengine.load_rules(carengine.shipped_rules())
    >>> rules.get("CAR-2019-08-001").attack
    ('T1003.001',)
    """
    found: list[Diagnostic] = []
    drafts: list[Draft] = []
    for path in paths:
        named = not Path(path).is_dir()
        files = list(_files(Path(path)))
        made = len(drafts), len(found)
        for file in files:
            drafts += _drafts(file, found, lenient, named=named)
        passed_over = all(item.code is codes.NOT_A_PAGE for item in found[made[1] :])
        if len(drafts) == made[0] and passed_over:
            found.append(
                Diagnostic(
                    codes.NO_RULES,
                    f"there is no rule file ({', '.join('*' + e for e in _ENDINGS)}) in it",
                    origin=str(path),
                )
            )
    return from_drafts(drafts, parameters=parameters, diagnostics=found)


def load_rule(
    path: str | Path, *, parameters: Parameters | None = None, lenient: bool = False
) -> Rule:
    """The one rule of a file. Raises `CarError` when it cannot be used, or when there are several."""
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


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    # A link that leads nowhere stays: it is a rule that somebody wanted here.
    yield from sorted(
        p
        for p in path.rglob("*")
        if p.suffix.lower() in _ENDINGS and (p.is_file() or not p.exists())
    )


def _drafts(path: Path, found: list[Diagnostic], lenient: bool, *, named: bool) -> Iterable[Draft]:
    """The rules of a file; ``named`` where it was asked for by itself, not found in a folder."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        found.append(_unreadable(path, error.strerror or str(error)))
        return []
    if len(content) > _MAX_BYTES:
        found.append(_unreadable(path, f"it is larger than {_MAX_BYTES:,} bytes"))
        return []
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found.append(_not_utf8(path, content, error))
        return []
    source = Source(str(path), text)
    if path.suffix.lower() == ".md":
        if not named and not page.is_page(text):
            message = "passed over: it has neither front matter nor a heading that says pseudocode"
            found.append(Diagnostic(codes.NOT_A_PAGE, message, origin=str(path)))
            return []
        return page.read(source)
    if path.suffix.lower() in (".yaml", ".yml"):
        if caryaml.is_analytic(text):
            return caryaml.read(source, folder=path.parent)
        message = "the file is no CAR analytic: it has none of the keys of one"
        found.append(Diagnostic(codes.NO_RULES, message, origin=str(path)))
        return []
    return carfile.read(source, folder=path.parent, lenient=lenient)


def _unreadable(path: Path, reason: str) -> Diagnostic:
    message = f"the rule file cannot be read: {reason}"
    return Diagnostic(codes.UNREADABLE_RULE, message, origin=str(path))


def _not_utf8(path: Path, content: bytes, error: UnicodeDecodeError) -> Diagnostic:
    """The finding about a file in another encoding, at the first byte that shows it."""
    mark = content[:3] == BOM_UTF8
    right = error.object[: error.start].decode("utf-8")
    source = Source(str(path), right)
    note = "rules are UTF-8 text"
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        note = "this is UTF-16, and rules are UTF-8: save the file in that encoding"
    return Diagnostic(
        codes.UNREADABLE_RULE,
        f"the rule file cannot be read: byte {error.start + 3 * mark + 1:,} is not UTF-8",
        Span(source, len(right), len(right)),
        notes=(note,),
        origin=str(path),
    )
