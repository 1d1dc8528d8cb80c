"""All formats have the same matches, in the order of time, whatever the number of processes.

The usual run reads the samples that ship and three recorded archives; ``make formats`` reads all
(``CARENGINE_ALL_EVIDENCE=1``).
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from carengine.cli import main
from carengine.cli.options import FORMATS

HERE = Path(__file__).parent
SAMPLES = HERE / "samples"
MORDOR = HERE.parents[1] / "shared" / "mordor"
ARCHIVES = sorted(MORDOR.glob("*.zip"), key=lambda path: path.stat().st_size)
ALL = bool(os.environ.get("CARENGINE_ALL_EVIDENCE"))
EVIDENCE = [
    (SAMPLES / "lsass_dump.jsonl", None),
    (SAMPLES / "uac_bypass.jsonl", SAMPLES / "sigma"),
    (SAMPLES / "cloudtrail.json", SAMPLES / "sigma"),
    *((path, None) for path in (ARCHIVES if ALL else ARCHIVES[4:7])),
]
TEMPLATE = """{% for m in matches %}{% for e in m.events %}\
{{ [e.time, m.rule.id, e.source, e.record, m.time] | tojson }}
{% endfor %}{% endfor %}"""
csv.field_size_limit(1 << 30)

Event = tuple[str, str, str, str]
"""Time, rule, source, record."""


def told(out: str, format_: str) -> Iterator[tuple[str | None, Event]]:
    """The events of the matches in the order written, each with the time that it is sorted by."""
    if format_ in ("csv", "timeline"):
        time, rule = ("time", "rule") if format_ == "csv" else ("datetime", "rule_id")
        for row in csv.DictReader(io.StringIO(out, newline="")):
            when = row[time].replace("+00:00", "Z")
            yield when or None, (when, row[rule], row["source"], row["record"])
    elif format_ == "template":
        for line in out.splitlines():
            when, rule_id, source, record, of_match = json.loads(line)
            yield of_match, (when or "", rule_id, source, str(record))
    else:
        for data in map(json.loads, out.splitlines()):
            if format_ == "jsonl":
                of_match, rule_id, events = data["time"], data["rule"]["id"], data["events"]
            elif format_ == "ecs":
                of_match, rule_id = data["@timestamp"], data["rule"]["id"]
                events = data["carengine"]["events"]
            else:
                of_match = f"{data['time']:020}"
                rule_id = data["finding_info"]["analytic"]["uid"]
                events = [one["data"] for one in data["evidences"]]
            for event in events:
                when = event["time"] or ""
                yield of_match, (when, rule_id, event["source"], str(event["record"]))


def of_report(page: bytes) -> tuple[list[float], Counter[tuple[str, int]], Counter[str]]:
    """Times of the matches in a report, rules with the numbers of their events, and rules."""
    found = re.findall(rb'class="block" id="([\w-]+)"[^>]*>([^<]*)<', page)
    held = {name.decode(): gzip.decompress(base64.b64decode(data)) for name, data in found}
    details = {
        int(name.split("-")[1]): json.loads(data)
        for name, data in held.items()
        if name.startswith("detail-")
    }
    times: list[float] = []
    rules: Counter[tuple[str, int]] = Counter()
    matches: Counter[str] = Counter()
    for number in range(sum(name.startswith("index-") for name in held)):
        data, names = held[f"index-{number}"], json.loads(held[f"names-{number}"])
        size = len(data) // 28
        times += struct.unpack_from(f"<{size}d", data)
        columns = [struct.unpack_from(f"<{size}I", data, size * (8 + 4 * n)) for n in range(5)]
        for rule, _, _, block, place in zip(*columns, strict=True):
            detail = details[block][place]
            rules[names["rules"][rule], len(detail["events"]) + detail["more"]] += 1
            matches[names["rules"][rule]] += 1
    return times, rules, matches


@pytest.mark.parametrize(("evidence", "rules"), EVIDENCE, ids=lambda one: getattr(one, "name", ""))
def test_all_formats_have_the_same_matches(
    evidence: Path, rules: Path | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["hunt", str(evidence), "-q", *([] if rules is None else ["-r", str(rules)])]
    (tmp_path / "t.j2").write_text(TEMPLATE)
    wanted: Counter[Event] | None = None
    by_match: Counter[tuple[str, int]] = Counter()
    for format_ in (*(name for name in FORMATS if name != "table"), "template"):
        for jobs in ("1", "2") if ALL or format_ in ("jsonl", "csv") else ("1",):
            more = (
                ["--template", str(tmp_path / "t.j2")] if format_ == "template" else ["-f", format_]
            )
            main([*asked, *more, "--sort", "time", "--no-raw", "-j", jobs])
            out = capsys.readouterr().out
            rows = list(told(out, format_))
            times = [time for time, _ in rows if time is not None]
            assert times == sorted(times), (format_, jobs)
            assert [time for time, _ in rows[: len(times)]] == times, "without a time: last"
            found = Counter(event for _, event in rows)
            wanted = found if wanted is None else wanted
            assert found == wanted, (format_, jobs)
            if format_ == "jsonl" and jobs == "1":
                lines = [json.loads(line) for line in out.splitlines()]
                by_match = Counter((line["rule"]["id"], len(line["events"])) for line in lines)
    page = tmp_path / "report.html"
    for jobs in ("1", "2") if ALL else ("1",):
        main([*asked, "--report", str(page), "--no-process-trees", "-j", jobs, "-f", "table"])
        written = capsys.readouterr().out
        index, found_by_match, matches = of_report(page.read_bytes())
        timed = [time for time in index if time == time]
        assert timed == sorted(timed) == index[: len(timed)]
        assert found_by_match == by_match
        heads = re.findall(r"^\S+ .*?  ([\d,]+) match(?:es)?$\n +(?:.* )?(\S+)$", written, re.M)
        if "by rule and host" not in written:
            assert {id_: int(number.replace(",", "")) for number, id_ in heads} == matches
