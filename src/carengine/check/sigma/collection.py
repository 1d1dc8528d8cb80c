"""The checks of all Sigma documents that were loaded together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ... import yamltext
from ...attack import Attack, enterprise_attack
from ...diagnostics import Block, Diagnostic, Label, Source, codes, fault, ordered
from ...languages.sigma.document import Document, documents, log_source
from .detections import check_detections
from .file_names import check_file_name, file_name
from .finding import DocumentFindings, items_of
from .log_sources import check_fields_list, check_log_source
from .metadata import check_metadata
from .tags import check_tags

_KINDS = ("detection", "correlation", "filter")


def check_sigma(
    sources: Iterable[Source | Block], attack: Attack | None = None
) -> tuple[Diagnostic, ...]:
    """What there is to say about Sigma files beside their logic, sorted by file and place.

    ``attack`` is the version of ATT&CK that tags are held against (default: the one that ships).
    Files that cannot be read are passed over: loading says what is wrong with them.

    >>> text = "title: Detects x.\\ntags: [attack.t1086]\\ndetection: {a: {b: 1}, condition: a}\\n"
    >>> found = check_sigma([Source("x_y_z_rule.yml", text)])
    >>> sorted({item.code.id for item in found})
    ['CE820', 'CE821', 'CE824', 'CE831']
    """
    known = enterprise_attack() if attack is None else attack
    found: list[Diagnostic] = []
    all_of_them: list[Document] = []
    for document in _documents(sources):
        all_of_them.append(document)
        findings = DocumentFindings(document)
        try:
            _check(findings, known)
        except Exception as error:
            broke = fault(f"the check of {document.id}", error, document.place)
            findings.found.append(broke)
        found += findings.found
    found += _together(all_of_them)
    return ordered(found)


def _documents(sources: Iterable[Source | Block]) -> Iterator[Document]:
    for source in sources:
        for document in documents(source):
            if isinstance(document, Document) and any(
                document.root.get(kind) is not None for kind in _KINDS
            ):
                yield document


def _check(findings: DocumentFindings, attack: Attack) -> None:
    document = findings.document
    source, _ = log_source(document)
    if document.root.get("filter") is None:
        check_metadata(findings)
        check_file_name(findings, source)
    check_tags(findings, attack)
    check_detections(findings)
    check_fields_list(findings)
    if source is not None:
        check_log_source(findings, source)


# What several documents have in common


def _together(documents_: list[Document]) -> Iterator[Diagnostic]:
    titles: dict[str, Document] = {}
    names: dict[str, str] = {}
    ids = {document.written_id.lower() for document in documents_}
    paths = {document.path for document in documents_}
    for document in documents_:
        title = document.root.get("title")
        if isinstance(title, yamltext.Scalar) and title.text.strip() and document.sharing == 1:
            first = titles.setdefault(title.text.strip().lower(), document)
            if first is not document and first.root.get("title") is not title:
                yield Diagnostic(
                    codes.SIGMA_TITLE_TWICE,
                    "another rule has this title",
                    title.span,
                    labels=(Label(first.place, "first here"),),
                    notes=(f"the other one is in {first.path}",),
                )
        name = file_name(document.path)
        first_path = names.setdefault(name, document.path)
        if name and first_path != document.path:
            names[name] = document.path
            yield Diagnostic(
                codes.SIGMA_FILE_TWICE,
                f"another file is called {name}",
                document.place,
                notes=(f"the other one is {first_path}",),
            )
        if len(paths) > 1:
            yield from _dangling(document, ids)


def _dangling(document: Document, ids: set[str]) -> Iterator[Diagnostic]:
    for item in items_of(document.root.get("related")):
        if not isinstance(item, yamltext.Mapping):
            continue
        id_, type_ = item.get("id"), item.get("type")
        if not isinstance(id_, yamltext.Scalar) or not isinstance(type_, yamltext.Scalar):
            continue
        gone = type_.text.strip() in ("renamed", "merged", "obsolete")
        if id_.text.strip().lower() not in ids and not gone:
            message = f"no loaded rule has the id {id_.text.strip()}"
            yield Diagnostic(codes.SIGMA_RELATED_UNKNOWN, message, id_.span)
