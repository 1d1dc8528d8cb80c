"""The formats of rule files: a row of ``FORMATS`` for each, told by ending and by content.

A row names the endings of its files, how its text is told from others with the same ending, and the
function that reads the files. Readers of languages are imported when there is a file for them. All
files of a format that reads ``together`` are read in one call, since its rules speak of each other
(Sigma's filters and correlations); those of other formats one at a time, so that a fault in one
stays with it::

    RuleFormat("sigma", "Sigma rule", (".yml", ".yaml"), _is_sigma, _read_sigma, together=True)

A further language is a further row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from attrs import field, frozen

from ..diagnostics import Block, Diagnostic, Source, codes
from ..languages.car import carfile, caryaml, page
from ..rule.drafts import Draft
from ..rule.model import Metadata
from .files import RuleFile

Read = tuple[list[Draft], list[Diagnostic]]
"""The rules of files, and findings that belong to none of them."""


@frozen
class ReadingOptions:
    """How files are read: whether pseudocode is repaired, the values of placeholders, and further
    files with macros of Splunk's."""

    lenient: bool = False
    placeholders: Mapping[str, Sequence[str]] = field(factory=dict)
    macros: tuple[Source, ...] = ()


@frozen
class RuleFormat:
    """One format of rule files.

    ``recognises`` tells from the text of a file with one of the ``endings`` whether it is of this
    format. ``read`` gives the rules of such files; with ``together`` it is given all of a call.

    >>> [one.name for one in FORMATS if ".eql" in one.endings]
    ['eql']
    """

    name: str
    title: str
    endings: tuple[str, ...]
    recognises: Callable[[RuleFile], bool]
    read: Callable[[Sequence[RuleFile], ReadingOptions], Read]
    together: bool = False


def source_of(file: RuleFile) -> Source:
    """The text of a file, under its name."""
    return Source(file.name, file.text)


def _always(file: RuleFile) -> bool:
    return True


def _read_car(files: Sequence[RuleFile], reading: ReadingOptions) -> Read:
    drafts: list[Draft] = []
    for file in files:
        drafts += carfile.read(source_of(file), folder=file.folder, lenient=reading.lenient)
    return drafts, []


def _read_page(files: Sequence[RuleFile], reading: ReadingOptions) -> Read:
    return [draft for file in files for draft in page.read(source_of(file))], []


def _read_analytic(files: Sequence[RuleFile], reading: ReadingOptions) -> Read:
    drafts: list[Draft] = []
    for file in files:
        drafts += caryaml.read(source_of(file), folder=file.folder)
    return drafts, []


# The first two keys are Sigma's own wherever they stand, in YAML or JSON; other YAML has the others
# further in.
_SIGMA = re.compile(
    r"""(?:^|[\r\n{,])[ \t-]*["']?(?:detection|logsource)["']?[ \t]*:"""
    r"""|^["']?(?:correlation|filter)["']?[ \t]*:""",
    re.MULTILINE,
)


def _is_sigma(text: str) -> bool:
    return _SIGMA.search(text) is not None


def _read_sigma(files: Sequence[RuleFile], reading: ReadingOptions) -> Read:
    sources = [source_of(file) for file in files]
    try:
        # An extra that stands on this package, so that it is known here by its name only.
        read: Callable[[Sequence[Source], Mapping[str, Sequence[str]]], Read] = import_module(
            "carengine.languages.sigma"
        ).read
    except ImportError as error:
        message = f"pySigma cannot be imported: {error}"
        return [_not_read(source, message) for source in sources], []
    drafts, said = read(sources, reading.placeholders)
    return list(drafts), list(said)


def _not_read(source: Source, message: str) -> Draft:
    missing = (Diagnostic(codes.SIGMA_NOT_INSTALLED, message, origin=source.name),)
    return Draft(carfile.stem_of(source.name), Metadata(), None, Block.whole(source), missing)


def _by_module(module: str) -> Callable[[Sequence[RuleFile], ReadingOptions], Read]:
    """What reads files with a module's function ``read_rules``, imported at the first file."""

    def read(files: Sequence[RuleFile], reading: ReadingOptions) -> Read:
        read_rules: Callable[[Source], list[Draft]] = import_module(module).read_rules
        return [draft for file in files for draft in read_rules(source_of(file))], []

    return read


def _read_splunk(files: Sequence[RuleFile], reading: ReadingOptions) -> Read:
    read: Callable[[Sequence[Source], Sequence[Source]], Read] = import_module(
        "carengine.languages.splunk.rules"
    ).read
    return read([source_of(file) for file in files], reading.macros)


# Imported with the first of their files only, so that what they are told by stands here.
_CONF = re.compile(r"^[ \t]*\[[^\n]*\][ \t]*\r?$", re.MULTILINE)
_CONF_KEY = re.compile(r"^[ \t]*(?:search|definition)[ \t]*=", re.MULTILINE)
_CONTENT_NAME = re.compile(r"^name[ \t]*:", re.MULTILINE)
_CONTENT = re.compile(
    r"^(?:how_to_implement|known_false_positives|data_source|datamodel)[ \t]*:", re.MULTILINE
)
_CONTENT_KEY = re.compile(r"^(?P<key>search|definition)[ \t]*:", re.MULTILINE)


def _is_conf(text: str) -> bool:
    """Whether a text is a ``savedsearches.conf`` or a ``macros.conf``."""
    return _CONF.search(text) is not None and _CONF_KEY.search(text) is not None


def _is_content(text: str) -> bool:
    """Whether a YAML text is a search or a macro of Splunk's security content."""
    if _CONTENT_NAME.search(text) is None:
        return False
    keys = {found["key"] for found in _CONTENT_KEY.finditer(text)}
    return "definition" in keys or ("search" in keys and _CONTENT.search(text) is not None)


def _is_splunk(file: RuleFile) -> bool:
    match file.ending:
        case ".spl":
            return True
        case ".conf":
            return _is_conf(file.text)
        case _:
            return _is_content(file.text)


_ELASTIC = re.compile(r"^[ \t]*\[[ \t]*rule[ \t]*\]", re.MULTILINE)


def _by_text(recognises: Callable[[str], bool]) -> Callable[[RuleFile], bool]:
    return lambda file: recognises(file.text)


def _is_elastic(text: str) -> bool:
    return _ELASTIC.search(text) is not None


FORMATS: tuple[RuleFormat, ...] = (
    RuleFormat("car", "CAR rule", (".car",), _always, _read_car),
    RuleFormat("page", "Markdown page of a rule", (".md",), _by_text(page.is_page), _read_page),
    RuleFormat(
        "analytic",
        "CAR analytic",
        (".yaml", ".yml"),
        _by_text(caryaml.is_analytic),
        _read_analytic,
    ),
    RuleFormat(
        "splunk",
        "Splunk search",
        (".spl", ".conf", ".yaml", ".yml"),
        _is_splunk,
        _read_splunk,
        together=True,
    ),
    RuleFormat(
        "sigma", "Sigma rule", (".yaml", ".yml"), _by_text(_is_sigma), _read_sigma, together=True
    ),
    RuleFormat("eql", "EQL query", (".eql",), _always, _by_module("carengine.languages.eql.rules")),
    RuleFormat(
        "kuery",
        "KQL query",
        (".kql", ".kuery"),
        _always,
        _by_module("carengine.languages.kuery.rules"),
    ),
    RuleFormat(
        "logpoint",
        "LogPoint query",
        (".logpoint", ".lp"),
        _always,
        _by_module("carengine.languages.logpoint.rules"),
    ),
    RuleFormat(
        "elastic",
        "Elastic detection rule",
        (".toml",),
        _by_text(_is_elastic),
        _by_module("carengine.languages.elastic.rules"),
    ),
)
"""The formats of rule files. Of several with one ending, the first that recognises a text reads
it."""

ENDINGS: tuple[str, ...] = tuple(
    dict.fromkeys(ending for format_ in FORMATS for ending in format_.endings)
)
"""The endings of rule files."""

MACRO_ENDINGS = (".conf", ".yaml", ".yml")
"""The endings of files with macros of Splunk's, in a folder of them."""

DEFAULT = FORMATS[0]
"""What a file is read as whose ending is none of these, when somebody names it."""


def format_of(file: RuleFile, *, named: bool) -> RuleFormat | None:
    """The format of a file, or None where its text is of none that its ending may have.

    A Markdown file that was ``named`` is read as a page whatever is in it, and so is pseudocode
    under an ending of its own.

    >>> text = "[rule]\\nrule_id = '1'\\n"
    >>> format_of(RuleFile("x.toml", text, ".toml", None), named=True).name
    'elastic'
    """
    rows = [row for row in FORMATS if file.ending in row.endings]
    if not rows:
        return DEFAULT
    if named and len(rows) == 1 and file.ending == ".md":
        return rows[0]
    return next((row for row in rows if row.recognises(file)), None)


def is_regression_data(file: RuleFile) -> bool:
    """Whether a file is the ``info.yml`` of SigmaHQ's regression data, which rules name.

    >>> is_regression_data(RuleFile("info.yml", "id: 1\\nregression_tests_info: []", ".yml", None))
    True
    """
    found = re.search(r"^regression_tests_info[ \t]*:", file.text, re.MULTILINE)
    return file.ending in (".yml", ".yaml") and found is not None


def refusal_of(file: RuleFile, *, named: bool) -> Diagnostic:
    """What is said of a file that is of no format.

    Folders hold YAML, TOML and Markdown of other kinds; a file that somebody named is to be a rule.
    """
    if file.ending == ".md":
        message = "passed over: it has neither front matter nor a heading that says pseudocode"
        return Diagnostic(codes.NOT_A_PAGE, message, origin=file.name)
    match file.ending:
        case ".toml":
            message = "it has no table [rule], as Elastic's detection rules have"
        case ".conf":
            message = "it has neither saved searches nor macros of Splunk's"
        case _:
            message = "it has the keys of no rule: neither of a Sigma rule, nor of a CAR analytic,"
            message += " nor of a Splunk search"
    code = codes.NO_RULES if named else codes.NOT_A_RULE
    return Diagnostic(code, message, origin=file.name)
