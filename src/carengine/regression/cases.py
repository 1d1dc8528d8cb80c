"""Which logs a rule is to be held to: those its regression data names, and those beside it.

Rules stand in folders or in archives, and so does their data. The paths in a rule and in its
``info.yml`` are relative to the root of the repository: the nearest folder above the rule in which
there is such a file. Both are texts that others wrote, so that a path may not leave that root.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from attrs import define, field, frozen

from .. import yamltext
from ..diagnostics import Block, CarError, Diagnostic, Source, Span, codes
from ..filewrite import bounded_text
from ..loading.files import rule_files
from ..rule import Rule

_MAX_INFO_BYTES = 4_000_000
_MAX_CASES = 1_000
_KEY = "regression_tests_path"
_WORDS = (".match.", ".nomatch.")


@frozen
class RegressionCase:
    """A log that a rule is held to.

    ``path`` is the file, ``archive!member`` inside an archive. ``least`` is the number of matches
    that there have to be; 0 says that there must be none. ``pipelines`` and ``filters`` are those
    that ``info.yml`` asks for; ``native`` says that the events have Sigma's own names for fields,
    as SigmaHQ's JSON files do. ``span`` is where the case is written.
    """

    rule: Rule
    name: str
    path: str
    least: int = 1
    pipelines: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    native: bool = False
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class BrokenCase:
    """A case, or a whole ``info.yml``, that cannot be used, and why."""

    rule: Rule
    name: str
    path: str
    finding: Diagnostic


def cases(rules: Iterable[Rule]) -> Iterator[RegressionCase | BrokenCase]:
    """The cases of rules, in the order of the rules; of those that have none, nothing."""
    archives: dict[str, _Archive] = {}
    for rule in rules:
        archive, mark, member = rule.path.partition("!")
        if not mark:
            place: _Folder | _Archive = _Folder()
            inner = rule.path
        else:
            place = archives.setdefault(archive, _Archive(archive))
            inner = member
        if rule.metadata.regression_tests:
            yield from _named(rule, place, inner)
        yield from _beside(rule, place, inner)


# Places


class _Folder:
    """Files on disk."""

    def root_of(self, file: str, wanted: str) -> str | None:
        """The nearest folder above a file that has a file of this relative path."""
        for folder in Path(file).absolute().parents:
            if (folder / wanted).is_file():
                return str(folder)
        return None

    def join(self, root: str, path: str) -> str:
        return str(Path(root) / path)

    def holds(self, root: str, path: str) -> bool:
        """Whether the file is there, also after links have been followed, below the root."""
        try:
            real = (Path(root) / path).resolve(strict=True)
        except (OSError, RuntimeError):
            return False
        return real.is_file() and real.is_relative_to(Path(root).resolve())

    def text(self, path: str) -> str:
        """The text of a file. Raises `OSError` or `ValueError`."""
        if Path(path).stat().st_size > _MAX_INFO_BYTES:
            raise ValueError(f"it is larger than {_MAX_INFO_BYTES:,} bytes")
        return bounded_text(path, "utf-8-sig")

    def beside(self, file: str) -> list[str]:
        """The files in a file's folder whose names begin with its stem."""
        path = Path(file)
        if not path.is_file():
            return []
        return sorted(
            str(other) for other in path.parent.glob(_escaped(path.stem) + ".*") if other.is_file()
        )


@define(eq=False)
class _Archive:
    """Members of an archive. Their texts are read once, when the first is asked for."""

    path: str
    _texts: dict[str, str] | None = None

    @property
    def texts(self) -> dict[str, str]:
        if self._texts is None:
            found: list[Diagnostic] = []
            files = rule_files(Path(self.path), (".yml", ".yaml"), found)
            self._texts = {
                file.name.partition("!")[2]: file.text
                for file in files
                if _KEY not in file.text and "regression_tests_info" in file.text
            }
        return self._texts

    def root_of(self, file: str, wanted: str) -> str | None:
        for folder in PurePosixPath(file).parents:
            if str(folder / wanted) in self.texts:
                return str(folder)
        return None

    def join(self, root: str, path: str) -> str:
        return f"{self.path}!{PurePosixPath(root) / path}"

    def holds(self, root: str, path: str) -> bool:
        """An archive is read in order: whether a log is in it, reading tells."""
        return True

    def text(self, path: str) -> str:
        return self.texts[path.partition("!")[2]]

    def beside(self, file: str) -> list[str]:
        return []


def _escaped(stem: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in stem)


# Regression data


def _named(
    rule: Rule, place: _Folder | _Archive, file: str
) -> Iterator[RegressionCase | BrokenCase]:
    written = rule.metadata.regression_tests
    span = _span_of(rule)

    def broken(message: str, where: Span | None = span, path: str = written) -> BrokenCase:
        found = Diagnostic(codes.REGRESSION_DATA, message, where, origin=rule.path)
        return BrokenCase(rule, "regression data", path, found)

    relative = _relative(written)
    if relative is None:
        yield broken(f"{written} is no path below the root of the rules")
        return
    root = place.root_of(file, relative)
    if root is None or not place.holds(root, relative):
        yield broken(f"there is no {written} in a folder above the rule")
        return
    info = place.join(root, relative)
    try:
        text = place.text(info)
        node = yamltext.load_yaml(Block.whole(Source(info, text)), codes.REGRESSION_DATA)
    except (OSError, ValueError) as error:
        yield broken(f"{written} cannot be read: {error}")
        return
    except CarError as error:
        yield broken(error.diagnostics[0].message, error.diagnostics[0].span)
        return
    if not isinstance(node, yamltext.Mapping):
        yield broken("regression data is a mapping of keys", node.span)
        return
    stranger = _stranger(rule, node)
    if stranger is not None:
        yield broken(f"the regression data is of another rule: {stranger.text}", stranger.span)
        return
    listed = node.get("regression_tests_info")
    if not isinstance(listed, yamltext.ListNode) or not listed.items:
        yield broken("regression data lists its logs under regression_tests_info", node.span)
        return
    for number, item in enumerate(listed.items[:_MAX_CASES], 1):
        case = _case(rule, item, number)
        if isinstance(case, Diagnostic):
            yield BrokenCase(rule, f"test {number}", written, case)
            continue
        relative = _relative(case.path)
        if relative is None:
            yield broken(f"{case.path} is no path below the root of the rules", case.span)
        elif not place.holds(root, relative):
            yield broken(f"there is no file {case.path}", case.span, case.path)
        else:
            yield _at(case, place.join(root, relative))
    if len(listed.items) > _MAX_CASES:
        yield broken(f"more than {_MAX_CASES} logs; the others are not run", listed.span)


def _at(case: RegressionCase, path: str) -> RegressionCase:
    return RegressionCase(
        case.rule,
        case.name,
        path,
        case.least,
        case.pipelines,
        case.filters,
        case.native,
        case.span,
    )


def _relative(path: str) -> str | None:
    """A path with slashes, or None where it could lead out of the root."""
    parts = PurePosixPath(path.replace("\\", "/"))
    outside = parts.is_absolute() or ".." in parts.parts or ":" in path or "\0" in path
    return None if outside or not parts.parts else str(parts)


def _span_of(rule: Rule) -> Span | None:
    at = rule.block.text.find(_KEY)
    return rule.block.span(at, at + len(_KEY)) if at >= 0 else None


def _stranger(rule: Rule, node: yamltext.Mapping) -> yamltext.Scalar | None:
    """The id of another rule, where the data names only others."""
    listed = node.get("rule_metadata")
    found = []
    for item in listed.items if isinstance(listed, yamltext.ListNode) else ():
        id_ = item.get("id") if isinstance(item, yamltext.Mapping) else None
        if isinstance(id_, yamltext.Scalar) and id_.value is not None:
            found.append(id_)
    own = rule.id.lower().partition("#")[0]
    return None if not found or any(id_.text.lower() == own for id_ in found) else found[0]


def _case(rule: Rule, item: yamltext.Node, number: int) -> RegressionCase | Diagnostic:
    if not isinstance(item, yamltext.Mapping):
        return Diagnostic(codes.REGRESSION_DATA, "a test is a mapping of keys", item.span)
    texts: dict[str, str] = {}
    for key in ("name", "type", "path"):
        node = item.get(key)
        if isinstance(node, yamltext.Scalar) and node.value is not None:
            texts[key] = node.text
        elif node is not None and not isinstance(node, yamltext.Scalar):
            return Diagnostic(codes.REGRESSION_DATA, f"{key} is a text", node.span)
    if "path" not in texts:
        return Diagnostic(codes.REGRESSION_DATA, "a test has a path", item.span)
    least = item.get("match_count")
    count = 1
    if isinstance(least, yamltext.Scalar) and least.value is not None:
        if not isinstance(least.value, int) or isinstance(least.value, bool) or least.value < 0:
            return Diagnostic(codes.REGRESSION_DATA, "match_count is a number", least.span)
        count = least.value
    return RegressionCase(
        rule,
        texts.get("name", f"test {number}"),
        texts["path"],
        count,
        _texts(item.get("pipelines")),
        _texts(item.get("filters")),
        texts.get("type", "evtx").lower() != "evtx",
        item.span,
    )


def _texts(node: yamltext.Node | None) -> tuple[str, ...]:
    match node:
        case yamltext.Scalar() if node.value is not None:
            return (node.text,)
        case yamltext.ListNode(items):
            return tuple(item.text for item in items if isinstance(item, yamltext.Scalar))
        case _:
            return ()


# Beside a rule


def _beside(rule: Rule, place: _Folder | _Archive, file: str) -> Iterator[RegressionCase]:
    for other in place.beside(file):
        rest = Path(other).name.removeprefix(Path(file).stem)
        for word, least in zip(_WORDS, (1, 0), strict=True):
            if rest.startswith(word):
                yield RegressionCase(rule, Path(other).name, other, least, native=True)


def wanted_members(found: Mapping[str, object], archive: str) -> list[str]:
    """The paths within an archive of the files that cases name."""
    start = archive + "!"
    return [path.removeprefix(start) for path in found if path.startswith(start)]
