"""What became of the blocks in other languages that a corpus publishes: a table for its page.

Each Splunk, EQL, LogPoint … block is read, run on its analytic's true positives, and compared with
the pseudocode of the same analytic. ``corpus_table`` writes two tables: how many of each language
got how far, and a row for each block with the event that tells it from its pseudocode, or the
reason why it was not read::

    | language | blocks | read | run | agree | differ | not decided | no pseudocode |
    | Splunk | 82 | 68 | …
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable

from attrs import frozen

from ..diagnostics import Severity
from ..languages.sigma import query_reader
from . import assumptions
from .analytic import Candidate, CarAnalytic, Pair, compared, positive, read_code, run_all, run_one
from .comparing import Comparison, Direction
from .sigma_links import SigmaCollection

_HEAD = """## Implementations in other languages

Every block that the analytics publish beside their pseudocode: whether it could be read, whether it
runs over single events, and whether it finds the same events as the analytic's pseudocode. "Agrees"
is proved; for a block that differs, an event is shown, in CAR's names, that one of the two finds
and the other does not. Of several blocks of pseudocode each is compared, and the closest counts. A
block "agrees on its logs" if it finds the same events on the logs that it is about (Sysmon's, for
one), which lack kinds of events or fields that the pseudocode names. It does not agree where these
logs can hold nothing that both find, nor where a condition was lost because CAR has no name for
what it asks: that is "not decided". Beside each proof stands what it takes for granted; all of them
take it that no field holds an empty text.

CAR's Sigma blocks hold no code; they link to files of SigmaHQ's collection. Those that a file of
today's collection stands for (by its name) are read from there; a rule may have changed since CAR
linked to it.
"""

_LANGUAGES = ("Splunk", "EQL", "LogPoint", "Sigma", "DNIF", "Elastic")
_ALWAYS = (assumptions.NO_EMPTY_TEXT,)
_ON_LOGS = "the events are those that logs of"
_LONGEST = 400
_MOST = 3


@frozen
class BlockResult:
    """A published block: the language, and what became of it.

    ``result`` is ``agrees``, ``agrees on its logs``, ``differs``, ``not decided``, ``no
    pseudocode`` or ``not read``; ``why`` an event or a reason.
    """

    analytic: str
    title: str
    language: str
    result: str
    why: str = ""
    runs: bool = False
    misses: bool = False


def block_results(
    analytics: Iterable[CarAnalytic], collection: SigmaCollection | None = None
) -> tuple[BlockResult, ...]:
    """What became of each block that is no pseudocode, in the order of the analytics.

    A block without code that links to a Sigma rule is taken to be that of the ``collection``, where
    it has one.
    """
    made: list[BlockResult] = []
    for analytic in analytics:
        found = run_all(analytic)
        if collection is not None:
            found = [_with_code(item, collection, analytic) for item in found]
        own = [item for item in found if item.language == "pseudocode" and item.program is not None]
        made += [_result(analytic.id, item, own) for item in found if item.language != "pseudocode"]
    return tuple(made)


def _with_code(item: Candidate, collection: SigmaCollection, analytic: CarAnalytic) -> Candidate:
    names, block = collection.find(item.link) if item.link else ((), None)
    if block is None:
        return item
    title = f"{item.title} (today {', '.join(names)})"
    read = read_code(title, block, query_reader.LANGUAGE)
    return run_one(read, positive(analytic))


def _result(id_: str, item: Candidate, own: list[Candidate]) -> BlockResult:
    type_ = re.split(r"[:(]", item.title)[0].strip()
    language = next((name for name in _LANGUAGES if name.lower() == type_.lower()), type_)
    if item.program is None:
        errors = [said for said in item.diagnostics if said.severity is Severity.ERROR]
        why = "; ".join(
            f"{said.code.id} {said.message}" + (f" (line {said.span.line})" if said.span else "")
            for said in errors[:2]
        )
        return BlockResult(id_, item.title, language, "not read", why)
    runs = None not in item.found or not item.found
    misses = False in item.found
    if not own:
        return BlockResult(id_, item.title, language, "no pseudocode", "", runs, misses)
    pairs = [compared(0, 1, (other, item), most=_MOST) for other in own]
    pair = min(pairs, key=_distance)
    best = pair.comparison
    lost = (*best.lost, *(() if pair.on_logs is None else pair.on_logs.lost))
    match best.equivalent:
        case True:
            why = _taken_for_granted(best)
            return BlockResult(id_, item.title, language, "agrees", why, runs, misses)
        case False | None if pair.equivalent:
            assert pair.on_logs is not None
            why = f"of {', '.join(pair.logs)}; {_taken_for_granted(pair.on_logs)}"
            return BlockResult(id_, item.title, language, "agrees on its logs", why, runs, misses)
        case False:
            return BlockResult(id_, item.title, language, "differs", _event(best), runs, misses)
        case None:
            why = "" if best.compared else "one of the two looks at several events at a time"
            if lost:
                why = f"not in what was compared: {'; '.join(lost)}"
            return BlockResult(id_, item.title, language, "not decided", why, runs, misses)


def _taken_for_granted(made: Comparison) -> str:
    """What a proof assumes, beside what each of them does."""
    said = [text for text in made.assumptions if text not in _ALWAYS]
    said = [text for text in said if not text.startswith(_ON_LOGS)]
    return f"if {'; '.join(said)}" if said else ""


def _distance(pair: Pair) -> tuple[int, int]:
    comparison = pair.comparison
    differences = len(comparison.only_first.differences) + len(comparison.only_second.differences)
    return {True: 0, None: 1, False: 2}[pair.equivalent], differences


def _event(comparison: Comparison) -> str:
    parts = []
    for finder, direction in (
        ("only the pseudocode finds", comparison.only_first),
        ("only this block finds", comparison.only_second),
    ):
        shown = _first(direction)
        if shown:
            more = " and others" if len(direction.differences) > 1 else ""
            parts.append(f"{finder} {shown}{more}")
    return "; ".join(parts)


def _first(direction: Direction) -> str:
    for item in direction.differences:
        text = json.dumps(dict(item.event), ensure_ascii=False)
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return ""


def corpus_table(
    analytics: Iterable[CarAnalytic], collection: SigmaCollection | None = None
) -> str:
    """The section of the corpus's page on implementations in other languages, as Markdown."""
    results = block_results(analytics, collection)
    names = [name for name in _LANGUAGES if any(r.language == name for r in results)]
    names += sorted({r.language for r in results} - set(names))
    lines = [
        _HEAD,
        "| language | blocks | read | run alone | agree | agree on their logs | differ "
        "| not decided | without pseudocode | miss a true positive |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in names:
        mine = [r for r in results if r.language == name]
        counts = Counter(r.result for r in mine)
        cells = (
            name,
            len(mine),
            len(mine) - counts["not read"],
            sum(r.runs for r in mine),
            counts["agrees"],
            counts["agrees on its logs"],
            counts["differs"],
            counts["not decided"],
            counts["no pseudocode"],
            sum(r.misses for r in mine),
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "| analytic | block | result | event or reason |", "| --- | --- | --- | --- |"]
    for r in results:
        why = f"`{r.why}`" if r.result == "differs" else r.why
        row = (r.analytic, _cell(r.title), r.result, _cell(why))
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
