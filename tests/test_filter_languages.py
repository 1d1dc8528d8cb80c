"""ES|QL, Kusto and Lucene read: each construct as a table against events, what is refused, and what
their converters get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine.diagnostics import Block
from carengine.engine import Engine
from carengine.languages.reading import as_rule, native_map, read
from carengine.verify import (
    Verdict,
    backend,
    check_conversion,
    compare_subjects,
    subject_of,
    subjects_of_text,
)


class Converter:
    """What stands for a backend of pySigma, which need not be installed."""

    pipelines: tuple[str, ...] = ()

    def __init__(self, name: str, query: str) -> None:
        self.name = name
        self.query = query

    def queries(self, text: str) -> tuple[str, ...]:
        """The query."""
        return (self.query,)


# A language, a test, an event's field X that it finds, and one that it does not (None: no field).
FOUND: list[tuple[str, str, Any, Any]] = [
    ("esql", 'X == "a"', "a", "A"),
    ("esql", 'X != "a"', "b", None),
    ("esql", "X == 5", 5, 6),
    ("esql", 'X in ("a", "b c")', "b c", "c"),
    ("esql", 'ends_with(X, "\\\\cmd.exe")', "C:\\cmd.exe", "C:\\CMD.exe"),
    ("esql", 'starts_with(X, "a*")', "a*b", "ab"),
    ("esql", 'X like "a*\\\\*?"', "ab*c", "abc"),
    ("esql", 'X rlike "a.*b"', "axb", "axbx"),
    ("esql", 'X rlike "a$"', "a$", "a"),
    ("esql", 'cidr_match(X, "10.0.0.0/8", "192.168.0.0/16")', "192.168.1.1", "11.0.0.1"),
    ("esql", "X is null", None, "a"),
    ("esql", "X is not null", "a", None),
    # Not of a test of nothing is not true.
    ("esql", 'not (X == "a")', "b", None),
    ("esql", 'not X like "a*" and X < 5 or X == "z"', "4", "5"),
    ("kusto", 'X == "a"', "a", "A"),
    ("kusto", 'X =~ "a"', "A", "b"),
    ("kusto", 'X =~ ""', None, "a"),
    ("kusto", 'X != "a"', None, "a"),
    ("kusto", 'X contains "b" and X endswith "C"', "abc", "ab"),
    ("kusto", 'X has "b"', "a-B c", "ab"),
    ("kusto", 'X startswith_cs "A"', "Ab", "ab"),
    ("kusto", 'X in~ ("a", "B")', "b", "c"),
    ("kusto", 'X matches regex "a.c$"', "xabc", "xABC"),
    ("kusto", 'not(X endswith "a")', None, "a"),
    ("kusto", "isnotempty(X)", "a", ""),
    ("kusto", "isempty(X)", "", "a"),
    ("kusto", 'ipv4_is_in_range(X, "10.0.0.0/8")', "10.1.1.1", "11.1.1.1"),
    ("kusto", 'T | where X == 5 or X == "q"', 5, 6),
    ("lucene", "X:a", "a", "A"),
    ("lucene", 'X:"a b*"', "a b*", "a bc"),
    ("lucene", r"X:*\\cmd.exe", "C:\\cmd.exe", "cmd.exe"),
    ("lucene", r"X:a\ \*?", "a *b", "a bb"),
    ("lucene", "X:(a OR b*)", "bc", "ac"),
    ("lucene", "NOT X:a", None, "a"),
    ("lucene", "_exists_:X", "a", None),
    ("lucene", "X:/a.*b/", "axb", "axbx"),
    ("lucene", "X:>5 AND X:<=7", 7, 8),
    ("lucene", "X:4624", 4624, 4625),
]


@pytest.mark.parametrize(("language", "text", "found", "missed"), FOUND)
def test_what_queries_find(language: str, text: str, found: Any, missed: Any) -> None:
    if language == "esql":
        text = f"from logs-* metadata _id | where {text}"
    reading = read(Block.of(text), language, raise_names=False)
    assert reading.program is not None, reading.diagnostics
    engine = Engine([as_rule(reading, "query")], fieldmap=native_map(reading))
    for value, expected in ((found, True), (missed, False)):
        event = {"other": 1} if value is None else {"X": value}
        assert bool(list(engine.run([event]))) is expected, (text, event)


REFUSED = [
    ("esql", "from x"),
    ("esql", "from x | where"),
    ("esql", "from x | where a == "),
    ("esql", "from x | where md5(a) == 1"),
    ("esql", 'from x | where a rlike "<1-5>"'),
    ("esql", 'from x | where a == "b" | limit 5'),
    ("kusto", 'X has_none "a"'),
    ("kusto", '"keyword"'),
    ("kusto", "T | summarize count()"),
    ("kusto", 'X == "a" and'),
    ("kusto", "X ??"),
    ("lucene", "a:b c:d"),
    ("lucene", "a:[1 TO 5]"),
    ("lucene", "a:b~2"),
    ("lucene", "(a:b"),
    ("lucene", "a:b)"),
    ("lucene", 'a:"'),
    ("lucene", ""),
    ("kusto", ""),
]


@pytest.mark.parametrize(("language", "text"), REFUSED)
def test_what_is_refused(language: str, text: str) -> None:
    reading = read(Block.of(text), language, raise_names=False)
    assert reading.program is None
    assert reading.diagnostics


@pytest.mark.parametrize("language", ["esql", "kusto", "lucene"])
def test_hostile_texts(language: str) -> None:
    for text in (
        "(" * 5_000,
        "not " * 5_000 + "a",
        "NOT " * 5_000 + "a",
        "\\",
        '"' * 99,
        "a" * 50_000,
        "a:" * 999,
    ):
        for head in ("", "from x | where "):
            assert read(Block.of(head + text), language, raise_names=False).diagnostics


RULE = """title: t
id: 00000000-0000-4000-8000-000000000001
logsource:
    category: process_creation
    product: windows
detection:
    selection:
        Image|endswith: '\\cmd.exe'
        EventID: 1
    filter:
        User: alice
    condition: selection and not filter
"""
V = Verdict
CONVERTED = [
    ("kusto", 'Image endswith "\\\\cmd.exe" and EventID == 1 and not(User =~ "alice")', V.SAME),
    # Only this case is found, and users in another case are not left out.
    ("lucene", r"Image:*\\cmd.exe AND EventID:1 AND NOT User:alice", V.OVERLAPS),
    # An event without a user is lost.
    (
        "esql",
        'from * | where ends_with(Image, "\\\\cmd.exe") and EventID==1 and not User=="alice"',
        V.OVERLAPS,
    ),
]


@pytest.mark.parametrize(("name", "query", "verdict"), CONVERTED)
def test_conversions(name: str, query: str, verdict: Verdict, tmp_path: Path) -> None:
    path = tmp_path / "rule.yml"
    path.write_text(RULE, encoding="utf-8")
    rule = carengine.load_rule(path)
    made: Any = Converter(name, query)
    assert check_conversion(rule, made).relation.verdict is verdict
    ignoring = check_conversion(rule, made, any_case=True).relation.verdict
    assert ignoring is (V.SAME if name != "esql" else V.COVERS)


def test_a_number_may_be_asked_for_as_a_text(tmp_path: Path) -> None:
    """As the backend for Kusto writes lists of numbers; one spelling is taken for granted."""
    path = tmp_path / "rule.yml"
    text = RULE.replace("EventID: 1", "EventID: [4656, 4663]")
    path.write_text(text, encoding="utf-8")
    rule = carengine.load_rule(path)
    query = 'Image endswith "\\\\cmd.exe" and EventID in~ ("4656", "4663") and not(User =~ "alice")'
    same: Any = Converter("kusto", query)
    relation = check_conversion(rule, same).relation
    assert relation.verdict is V.SAME
    assert "whole numbers in logs are spelt with their digits alone" in relation.assumptions
    other: Any = Converter("kusto", query.replace("4663", "4664"))
    assert check_conversion(rule, other).relation.verdict is not V.SAME


@pytest.mark.parametrize(
    ("name", "pipelines", "verdict"),
    [
        # This pipeline does not say that the events are those of a started process.
        ("splunk", ["splunk_windows"], V.OVERLAPS),
        # Defender's FolderPath is what CAR's image_path is made of: which is not known here.
        ("kusto", ["microsoft_xdr"], V.UNDECIDED),
    ],
)
def test_a_pipeline_changes_the_names(
    name: str, pipelines: list[str], verdict: Verdict, tmp_path: Path
) -> None:
    """With pySigma's own backends, where they are installed."""
    package = {"splunk": "sigma.backends.splunk", "kusto": "sigma.backends.kusto"}[name]
    pytest.importorskip(package, reason=f"the backend {name} of pySigma is not installed")
    path = tmp_path / "rule.yml"
    path.write_text(RULE.replace("        EventID: 1\n", ""), encoding="utf-8")
    rule = carengine.load_rule(path)
    plain, piped = (check_conversion(rule, backend(name, several)) for several in ((), pipelines))
    assert plain.relation.verdict is V.SAME
    assert piped.relation.verdict is verdict
    assert "FolderPath" in piped.query or name == "splunk"
    assert piped.relation.reasons or verdict is not V.UNDECIDED
    with pytest.raises(carengine.CarError, match="pipelines"):
        backend(name, ["no_such_pipeline"])


def test_a_field_without_a_name_in_car_settles_nothing() -> None:
    """The rule's image_path and the query's FolderPath may be the same."""
    text = 'DeviceProcessEvents | where FolderPath endswith "\\\\cmd.exe"'
    [query], _ = subjects_of_text(text, "kusto")
    rule = carengine.parse_rule(
        r'a = search Process:Create where image_path = "*\cmd.exe" output a'
    )
    relation = compare_subjects(subject_of(rule), query)
    assert relation.verdict is V.UNDECIDED
    assert "FolderPath" in relation.reasons[0]
