"""What a match says in every output: the same matches, harmless, readable, in the order of time."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import carengine
from carengine.cli import main, status
from carengine.cli.json_lines import JsonLines
from carengine.cli.layout import cut_around, flow, line_width, marked, text_width
from carengine.cli.match_table import SourceForm, TimeForm
from carengine.cli.options import FORMATS
from carengine.cli.results import line_of
from carengine.matches import (
    SCHEMAS,
    MatchReporter,
    ReportedValue,
    TimeSorter,
    bounded,
    deciding_values,
    fields_read,
    schema,
)

SAMPLE = Path(__file__).parent / "samples" / "lsass_dump.jsonl"
RULE = """---
id: R-1
title: An evil program
level: high
attack: [T1003.001]
---
a = search Process:Create where exe = "evil*" and not user = "root"
output a
"""


def event(second: int, **more: Any) -> dict[str, Any]:
    own = {"object": "process", "action": "create", "exe": "evil.exe", "hostname": "h1"}
    return {**own, "time": f"2024-05-20T10:00:{second:02}Z", "user": "ann", **more}


def hunt(
    folder: Path, capsys: pytest.CaptureFixture[str], *events: Any, more: tuple[str, ...] = ()
) -> str:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "R-1.car").write_text(RULE)
    (folder / "x.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    code = main(["hunt", str(folder / "x.jsonl"), "-r", str(folder / "rules"), *more])
    assert code == status.DONE
    return capsys.readouterr().out


# Hostile values

LONG = "A" * 1_000_000
LINK = "javascript:alert(document.domain)"
csv.field_size_limit(1 << 30)
HOSTILE = [
    "<script>alert(1)</script>",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202egnp.exe\u2066",
    "=cmd|' /C calc'!A0",
    "  @SUM(1+1)",
    "a\r\nb\0c\x9b31m",
    "\ud800",
    LONG,
    LINK,
    "a\u2028b\u2029c\x85d",
    "\u200b\u00ad\ufeff\U000e0041",
    "'-2+3",
    "\t=1+1",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} ${7} %s %(x)s \\N{BULLET}",
    "[red]rich[/red] :smile:",
    "x" * 70 + "\u0301" * 500,
]
NAMES = ("exe", "user", "hostname", "command_line")
# What a rule says is written by others, too.
HOSTILE_RULE = """---
id: {text}
title: {text}
level: high
attack: [T1003.001]
author: {text}
references: [{text}]
description: {text}
---
a = search Process:Create where exe = "evil*"
output a
"""


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("format_", [*FORMATS, "full"])
def test_hostile_values_are_harmless_in_every_column(
    format_: str, hostile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = dict.fromkeys(NAMES, hostile) | {"exe": "evil" + hostile}
    more = ("-f", "table", "--full") if format_ == "full" else ("-f", format_)
    out = hunt(tmp_path, capsys, event(1, **fields), more=more)
    for character in set(out) - {"\n", "\r"}:
        assert character.isprintable(), hex(ord(character))
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    if format_ in ("csv", "timeline"):
        rows = list(csv.reader(io.StringIO(out, newline="")))
        assert len(rows) == 2
        for cell in rows[1]:
            assert not cell.lstrip(" ").startswith(("=", "+", "-", "@"))
            assert "\n" not in cell
            assert "\r" not in cell
    elif format_ in SCHEMAS:
        [line] = out.splitlines()
        assert json.loads(line)
    elif format_ == "table":
        assert max(map(len, out.splitlines())) < 2_000


@pytest.mark.parametrize(
    "hostile", [one for one in HOSTILE if len(one) < 1_000], ids=lambda text: ascii(text)[:20]
)
@pytest.mark.parametrize("format_", [*FORMATS, "template"])
def test_hostile_rules_and_file_names_are_harmless(
    format_: str, hostile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Title, id, author, references of a rule; names of files; the closing lines as well."""
    name = "".join(c for c in hostile if c not in "/\0\ud800").strip() or "x"
    try:
        (tmp_path / name[:40]).mkdir()
        log = tmp_path / name[:40] / "x.jsonl"
        log.write_text(json.dumps(event(1)) + "\n")
    except (OSError, UnicodeError):
        pytest.skip("this system has no such names of files")
    text = HOSTILE_RULE.format(text=json.dumps(hostile))
    (tmp_path / "r.car").write_text(text, "utf-8", "surrogatepass")
    template = tmp_path / "t.txt"
    template.write_text("{% for m in matches %}{{ m.rule.title | tojson }}\n{% endfor %}")
    asked = ["hunt", str(log), "-r", str(tmp_path / "r.car")]
    more = ["--template", str(template)] if format_ == "template" else ["-f", format_]
    main([*asked, *more])
    told = capsys.readouterr()
    for character in set(told.out + told.err) - {"\n", "\r"}:
        assert character.isprintable(), hex(ord(character))
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    if format_ in ("csv", "timeline") and told.out:
        for row in list(csv.reader(io.StringIO(told.out, newline="")))[1:]:
            assert not [cell for cell in row if cell.lstrip(" ").startswith(("=", "+", "-", "@"))]


def test_a_hostile_value_is_harmless_in_a_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "x.html.j2"
    page.write_text("{% for m in matches %}<p>{{ m.events[0].fields.exe }}</p>{% endfor %}")
    fields = {"exe": "evil<script>"}
    out = hunt(tmp_path, capsys, event(1, **fields), more=("--template", str(page)))
    assert out == "<p>evil&lt;script&gt;</p>"


@pytest.mark.parametrize(
    "text",
    [
        "{{ total.__class__.__mro__ }}",
        "{% include '/etc/passwd' %}",
        "{{ missing }}",
        "{{ 1 / 0 }}",
        "{% for",
    ],
)
def test_a_template_has_no_way_out(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.txt").write_text(text)
    (tmp_path / "R.car").write_text(RULE)
    (tmp_path / "x.jsonl").write_text(json.dumps(event(1)) + "\n")
    asked = ["hunt", str(tmp_path / "x.jsonl"), "-r", str(tmp_path / "R.car")]
    assert main([*asked, "--template", str(tmp_path / "t.txt")]) == status.USAGE
    assert "template" in capsys.readouterr().err
    assert main([*asked, "--template", str(tmp_path / "none")]) == status.USAGE
    assert main([*asked, "--template", str(tmp_path / "t.txt"), "-f", "csv"]) == status.USAGE


# Order, and the same matches everywhere


def test_csv_is_in_the_order_of_time_across_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "R.car").write_text(RULE)
    logs = tmp_path / "logs"
    logs.mkdir()
    for name, seconds in (("a", (9, 1, 5)), ("b", (4, 2)), ("c", (3,))):
        text = "".join(json.dumps(event(second)) + "\n" for second in seconds)
        (logs / f"{name}.jsonl").write_text(text + json.dumps({**event(0), "time": None}) + "\n")
    for format_, column in (("csv", "time"), ("timeline", "datetime")):
        assert main(["hunt", str(logs), "-r", str(tmp_path / "R.car"), "-f", format_]) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
        times = [row[column] for row in rows]
        assert times[:6] == sorted(times[:6])
        assert times[6:] == ["", "", ""]
    for sort, ordered in (("time", True), ("none", False)):
        main(["hunt", str(logs), "-r", str(tmp_path / "R.car"), "--sort", sort])
        found = [json.loads(line)["time"] for line in capsys.readouterr().out.splitlines()]
        timed = [time for time in found if time]
        assert (timed == sorted(timed)) is ordered


@pytest.mark.parametrize("memory", [1, 500, 1 << 20])
def test_rows_are_sorted_on_the_disk(memory: int) -> None:
    times = [None if n % 17 == 0 else (n * 7919) % 101 - 50 for n in range(700)]
    with TimeSorter(memory) as rows:
        for number, time in enumerate(times):
            rows.add(time, str(number).encode())
        found = [int(data) for data in rows]
    assert found == sorted(range(700), key=lambda n: (times[n] is None, times[n] or 0, n))


def test_lines_fit_their_schemas_and_have_no_field_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    for name in SCHEMAS:
        check = jsonschema.Draft202012Validator(schema(name))
        for more in ([], ["--no-raw"]):
            main(["hunt", str(SAMPLE), "-f", name, *more])
            lines = capsys.readouterr().out.splitlines()
            assert len(lines) == 4
            for line in lines:
                check.validate(json.loads(line, object_pairs_hook=once))


def test_without_raw_a_line_says_what_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = hunt(tmp_path, capsys, event(1), more=("--no-raw",))
    data = json.loads(out)
    assert (data["time"], data["host"], data["user"]) == ("2024-05-20T10:00:01.000Z", "h1", "ann")
    [one] = data["events"]
    assert one["reads"] == ["exe"]
    assert one["fields"]["exe"] == "evil.exe"
    assert "event" not in one


# The model

SIGMA = """
title: Local accounts
id: 11111111-0000-4000-8000-000000000001
status: test
level: low
logsource: {category: process_creation, product: windows}
detection:
  a: {Image|endswith: '\\whoami.exe'}
  b: {ParentImage|endswith: '\\setup.exe'}
  condition: a and not b
fields: [ParentCommandLine]
"""
SYSMON = {
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "EventID": 1,
    "UtcTime": "2024-05-20 10:00:00",
    "Hostname": "ws1.corp.example",
    "User": "CORP\\ann",
    "Image": "C:\\Windows\\System32\\whoami.exe",
    "CommandLine": "whoami /groups",
    "ParentCommandLine": "cmd",
    "ParentImage": "C:\\Windows\\System32\\cmd.exe",
}


NESTED = """
title: Nested names
id: 11111111-0000-4000-8000-000000000002
status: test
level: low
logsource: {product: aws, service: cloudtrail}
detection:
  a: {eventName: ConsoleLogin, userIdentity.userName|contains: a}
  condition: a
"""
LINES = (
    """
a = search Process:Create where exe = "*" output a
b = search Process:Create where exe = "evil*" output b
""",
    """
a = search Process:Create where exe = "evil*"
b = search Process:Create where exe = "good*"
c = join (a, b) where a.hostname = b.hostname
output c
""",
    """
a = search Process:Create where exe = "*"
b = group a by hostname within 1 hour
c = from b select count(user) as users
d = filter c where users > 1
output d
""",
)


@pytest.mark.parametrize("raw", [True, False])
def test_a_json_line_is_what_its_row_says(raw: bool, tmp_path: Path) -> None:
    for number, text in enumerate(LINES):
        (tmp_path / f"{number}.car").write_text(text)
    for number, text in enumerate((SIGMA, NESTED)):
        (tmp_path / f"{number}.yml").write_text(text)
    engine = carengine.Engine(carengine.load_rules(tmp_path))
    events: list[dict[str, Any]] = [
        event(place, exe=f"{exe}{hostile}"[:2_000], user=hostile[:2_000], note=hostile[:2_000])
        for place, hostile in enumerate(HOSTILE)
        for exe in ("evil", "good")
    ]
    events += [SYSMON, {**SYSMON, "User": "\xe9\u0301 \ud800", "Other": {"a.b": [1.5, None]}}]
    events += [
        {
            "eventVersion": "1.08",
            "eventSource": "signin.amazonaws.com",
            "eventName": "ConsoleLogin",
            "eventTime": "2024-05-20T10:00:00Z",
            "userIdentity": {"userName": name, "type": "IAMUser"},
        }
        for name in ("ann", "hannah")
    ]
    matches = list(engine.run(events))
    assert {len(match.events) for match in matches} > {1, 2}
    assert {match.rule for match in matches} == set(engine.rules)
    reporter = MatchReporter(engine.maps)
    lines = JsonLines(reporter, raw)
    for match in matches * 2:
        row = reporter.row(match, deciding=False, context=False)
        host, line = lines.line(match)
        assert host == row.host
        assert json.loads(line) == json.loads(line_of("jsonl", row, raw=raw))
        assert line.endswith(b"\n")
        assert carengine.diagnostics.visible(line[:-1].decode()) == line[:-1].decode()


def test_a_sigma_match_says_host_user_fields_and_what_decided(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(SIGMA)
    rules = carengine.load_rules(tmp_path)
    engine = carengine.Engine(rules)
    [match] = engine.run([SYSMON])
    row = MatchReporter(engine.maps).row(match)
    assert (row.host, row.user) == ("ws1", "CORP\\ann")
    told = [(value.name, value.decides, value.read) for value in row.events[0].values]
    assert told == [
        ("ParentCommandLine", False, True),
        ("Image", True, True),
        ("ParentImage", False, True),
        ("CommandLine", False, False),
    ]
    [decided] = deciding_values(match.rule, match.events[0])
    [(start, end)] = decided.spans
    assert str(SYSMON["Image"])[start:end] == "\\whoami.exe"


@pytest.mark.parametrize(
    ("condition", "value", "spans"),
    [
        ('exe = "x.exe"', "X.exe", ((0, 5),)),
        ('exe = "*b*d*"', "abcde", ((1, 2), (3, 4))),
        ('exe = "a*" or exe = "*z"', "abc", ((0, 1),)),
        ('exe match "b+"', "abbc", ((1, 3),)),
    ],
)
def test_the_parts_that_decided(
    condition: str, value: str, spans: tuple[tuple[int, int], ...]
) -> None:
    rule = carengine.parse_rule(f"a = search Process:Create where {condition} output a")
    [match] = carengine.Engine([rule]).run([event(1, exe=value)])
    [decided] = deciding_values(rule, match.events[0])
    assert (decided.name, decided.spans) == ("exe", spans)


def test_what_only_exceptions_read_comes_last() -> None:
    rule = carengine.parse_rule(RULE)
    assert fields_read(rule) == ("exe", "user")


# The table

TEXTS = ["", "a", "漢字" * 30, "x" * 500, "C:\\Windows\\System32\\cmd.exe /c " + "y" * 300]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("width", [8, 20, 76, 196])
def test_values_fit_their_width(text: str, width: int) -> None:
    size = len(text)
    for spans in ((), ((0, min(3, size)),), ((size // 2, min(size, size // 2 + 9)),)):
        value = ReportedValue("n", text, spans)
        assert line_width(cut_around(marked(value, ("bold",)), width)) <= width
        if width >= 20:
            for line in flow([value] * 5, width, 3):
                assert line_width(line) <= width
            whole = flow([value], width, None)
            shown = "".join(piece.text for line in whole for piece in line)
            assert shown.removeprefix("n ") == text or not text
        assert len(bounded(value, 100).text) <= 102


def test_what_decided_stays_when_a_value_is_cut() -> None:
    text = "p" * 300 + "MARK" + "q" * 300
    line = cut_around(marked(ReportedValue("n", text, ((300, 304),)), ("bold",)), 40)
    assert "MARK" in [piece.text for piece in line]
    assert text_width("".join(piece.text for piece in line)) <= 40


def test_what_is_common_is_said_once() -> None:
    day = 86_400_000_000
    assert TimeForm([day, day + 5_000]).common == "1970-01-02 UTC"
    assert TimeForm([day, 40 * day]).of(40 * day) == "02-10 00:00:00"
    assert TimeForm([day, 400 * day]).of(day) == "1970-01-02 00:00:00"
    form = SourceForm({"d/x.zip!a.json", "d/x.zip!b.json"})
    assert (form.common, form.record("d/x.zip!b.json", 7)) == ("records of d/x.zip", "b.json:7")


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_table_fits_a_terminal(
    width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from carengine.cli.screen import Screen

    monkeypatch.setattr(Screen, "width", property(lambda self: width))
    long = event(1, command_line="x" * 400, exe="evil" + "e" * 300, hostname="h" * 90)
    out = hunt(tmp_path, capsys, event(2), long, more=("-f", "table"))
    assert max(map(text_width, out.splitlines())) <= width
    assert "10:00:01" in out
    assert "+1" not in out.splitlines()[2]


def test_a_join_is_one_row_and_a_list_of_its_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "J.car").write_text(
        'a = search Process:Create where exe = "a.exe"\n'
        'b = search Process:Create where exe = "b.exe"\n'
        "j = join (a, b) where a.hostname = b.hostname\noutput j"
    )
    events = [event(1, exe="a.exe"), event(3, exe="b.exe")]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    main(["hunt", str(tmp_path / "x.jsonl"), "-r", str(tmp_path / "J.car"), "-f", "table"])
    shown = [line.split() for line in capsys.readouterr().out.splitlines()[3:]]
    assert shown[0] == ["10:00:03", "h1", "ann", "2", "events"]
    assert shown[1][:4] == ["a", "10:00:01", "exe", "a.exe"]
    assert shown[2][:4] == ["b", "10:00:03", "exe", "b.exe"]


def test_a_group_is_one_row_and_a_line_for_each_event(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the row says is not said again below it."""
    from carengine.cli.screen import Screen

    monkeypatch.setattr(Screen, "width", property(lambda self: 80))
    (tmp_path / "G.car").write_text(
        "a = search Process:Create\n"
        "g = group a by hostname, exe within 1 minute\n"
        "n = from g select hostname, exe, count(*) as starts\n"
        "f = filter n where starts > 7\noutput f"
    )
    logs = tmp_path / "logs"
    logs.mkdir()
    events = [event(n, command_line="evil.exe " + "y" * 90) for n in range(8)]
    (logs / "x.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    main(["hunt", str(logs), "-r", str(tmp_path / "G.car"), "-f", "table"])
    shown = capsys.readouterr().out.splitlines()[3:]
    assert shown[0].split() == ["10:00:07", "h1", "ann", "8", "events", "of", "x.jsonl"]
    assert shown[1].split() == ["hostname", "h1", "exe", "evil.exe", "starts", "8"]
    assert [line.split()[-1] for line in shown[2:8]] == [f":{n}" for n in range(1, 7)]
    assert not any("exe evil.exe" in line for line in shown[2:8])
    assert shown[8].strip() == "… and 2 more events (--full)"


def test_a_long_value_goes_on_in_lines_that_are_free() -> None:
    text = "powershell.exe " + "a" * 100 + " -enc " + "b" * 300
    span = (text.index("-enc"), text.index("-enc") + 4)
    for width in (40, 72, 90):
        lines = flow(
            [ReportedValue("", "×2"), ReportedValue("CommandLine", text, (span,))], width, 3
        )
        assert len(lines) <= 3
        assert "-enc" in [piece.text.strip() for line in lines for piece in line if piece.styles]
    wide = (0, 400)
    [*_, last] = flow([ReportedValue("n", text, (wide,))], 60, 1)
    assert line_width(last) <= 60


SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_cloud_log_says_who_and_what_is_inside_its_fields(
    jobs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when matches come from another process: their fields are a plain mapping then."""
    asked = ["hunt", str(SAMPLES / "cloudtrail.json"), "-r", str(SAMPLES / "sigma"), "-j", jobs]
    main([*asked, "-f", "table"])
    out = capsys.readouterr().out
    assert "11:02:51  build-agent" in out
    assert "requestParameters.userName a.lund" in out
    assert "requestParameters.policyArn arn:aws:iam::aws:policy/AdministratorAccess" in out
    main([*asked, "-f", "jsonl"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["user"] for line in lines] == ["build-agent", "build-agent", "a.lund"]
    assert lines[0]["events"][0]["fields"]["requestParameters.userName"] == "a.lund"


def test_severe_rules_come_last_and_many_matches_are_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = hunt(
        tmp_path,
        capsys,
        *(event(n % 60, exe=f"evil{n}", hostname=f"h{n % 7}") for n in range(1_200)),
        more=("-f", "table"),
    )
    assert "1,200 matches by rule and host" in out
    assert re.search(r"high  1,200  An evil program", out)
    assert "more hosts" in out
    assert len(out.splitlines()) < 10
    main(["hunt", str(SAMPLE), "-f", "table"])
    levels = re.findall(r"^(high|low|informational)  ", capsys.readouterr().out, re.M)
    assert levels == ["informational", "low", "high", "high"]


def test_the_end_of_a_run_is_ten_lines(capsys: pytest.CaptureFixture[str]) -> None:
    main(["hunt", str(SAMPLE)])
    said = capsys.readouterr().err.splitlines()
    closing = said[next(n for n, line in enumerate(said) if line.startswith("13 records = ")) :]
    assert len(closing) <= 10
    assert closing[2] == "4 matches: 2 high, 1 low, 1 informational"


# While files are followed


def test_a_followed_match_is_one_harmless_line_above_a_status_line() -> None:
    from carengine.cli.live_lines import LiveWriter, StatusLine
    from carengine.cli.screen import Screen
    from carengine.matches import MatchTally

    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err, True, True, False, False)
    engine = carengine.Engine([carengine.parse_rule(RULE)])
    writer = LiveWriter(screen, MatchReporter(engine.maps), MatchTally())
    status_line = StatusLine(screen)
    for hostile in HOSTILE:
        fields = dict.fromkeys(NAMES, hostile) | {"exe": "evil" + hostile}
        for match in engine.run([event(1, **fields)]):
            status_line.show("watching" + hostile)
            status_line.wipe()
            writer.write(match)
    lines = out.getvalue().splitlines()
    assert len(lines) == len(HOSTILE)
    for line in lines:
        assert line.isprintable()
        assert text_width(line) <= screen.width
        assert line.startswith("2024-05-20 10:00:01  high")
    assert writer.tally.levels["high"] == len(HOSTILE)
    said = err.getvalue().replace("\r", "").replace("\x1b[K", "")
    assert said.isprintable()


def test_following_on_a_terminal_shows_a_line_each_and_a_status_line(tmp_path: Path) -> None:
    """A real terminal of 90 columns: matches stay, the status line is drawn below and wiped."""
    pty = pytest.importorskip("pty")
    import fcntl
    import os
    import select
    import signal
    import struct
    import subprocess
    import sys
    import termios
    import time

    log, rules = tmp_path / "x.jsonl", tmp_path / "R.car"
    rules.write_text(RULE)
    log.write_text(json.dumps(event(1, command_line="evil.exe \x1b[2J" + "y" * 200)) + "\n")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 90, 0, 0))
    program = "import sys; from carengine.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "hunt", str(log), "-r", str(rules), "--follow"]
    environment = {**os.environ, "TERM": "xterm-256color"}
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    shown = b""

    def wait_for(wanted: bytes) -> None:
        nonlocal shown
        end = time.monotonic() + 60
        while wanted not in shown and time.monotonic() < end:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    shown += os.read(master, 65_536)
                except OSError:
                    break
        assert wanted in shown, shown

    try:
        wait_for(b"10:00:01")
        wait_for(b"1 match")
        with open(log, "a", encoding="ascii") as file:
            file.write(json.dumps(event(2)) + "\n")
        wait_for(b"10:00:02")
        wait_for(b"2 matches")
        child.send_signal(signal.SIGINT)
        assert child.wait(60) in (status.DONE, status.INTERRUPTED)
    finally:
        child.kill()
        child.wait()
        os.close(master)
    text = shown.decode("utf-8", "replace")
    # Colours, wiping of a line, and what rich hides the cursor with; no clearing of the screen.
    plain = re.sub(r"\x1b\[(?:[0-9;]*[mKA]|\?25[lh])", "", text)
    assert "\x1b" not in plain, "nothing of an event steers the terminal"
    matches = [line for line in re.split(r"[\r\n]+", plain) if "An evil program" in line]
    assert len([line for line in matches if line.startswith("2024-05-20")]) == 2
    assert all(text_width(line) <= 90 for line in matches)
