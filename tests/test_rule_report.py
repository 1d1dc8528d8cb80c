"""What hunt says of many rules: short, by title, with what to do next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carengine.cli import main


def rules(folder: Path, source: str, number: int, start: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    for n in range(start, start + number):
        (folder / f"{n}.yml").write_text(
            f"title: Rule number {n}\nid: 00000000-0000-4000-8000-{n:012}\n"
            f"logsource: {source}\ndetection:\n  s: {{x: {n}}}\n  condition: s\n",
            "utf-8",
        )


@pytest.fixture
def log(tmp_path: Path) -> str:
    (tmp_path / "app.jsonl").write_text('{"x": 1, "who": {"name": "ann"}}\n', "utf-8")
    return str(tmp_path / "app.jsonl")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{category: shop}", 'no map gives "shop": carengine map new, or --logsource shop '),
        (
            "{product: acme, service: till}",
            'no map gives "acme/till": carengine map new, or --logsource acme/till ',
        ),
        (
            "{product: acme, category: till, service: s}",
            'no map gives "acme/till": carengine map new, or --logsource acme/till ',
        ),
    ],
)
def test_one_line_says_why_and_what_next(
    source: str, said: str, log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules(tmp_path / "r", source, 3)
    assert main(["hunt", log, "-r", str(tmp_path / "r")]) == 4
    lines = [line for line in capsys.readouterr().err.splitlines() if "no map gives" in line]
    assert lines == [f"  {said}(Rule number 0, Rule number 1, Rule number 2)"]


def test_at_most_ten_by_title_and_the_rest_counted(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules(tmp_path / "r", "{product: acme, service: till}", 40)
    account = tmp_path / "account.json"
    main(["hunt", log, "-r", str(tmp_path / "r"), "--account", str(account)])
    err = capsys.readouterr().err
    [line] = [line for line in err.splitlines() if "no map gives" in line]
    assert line.count("Rule number") == 10
    assert line.endswith("and 30 more)")
    assert "0000-4000" not in err
    assert len(json.loads(account.read_text("utf-8"))["rules"]["run"]) == 40


def test_never_a_wall(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(30):
        rules(tmp_path / "r", f"{{product: acme, service: s{n}}}", 7, n * 7)
    main(["hunt", log, "-r", str(tmp_path / "r"), "-m", "auto"])
    err = capsys.readouterr().err
    assert len(err.splitlines()) < 25
    assert max(map(len, err.splitlines())) < 400
    assert "140 rules for 20 other reasons; --account FILE lists all" in err
    # All of them match: the end of the run names five.
    for n in range(210):
        path = tmp_path / "r" / f"{n}.yml"
        path.write_text(path.read_text("utf-8").replace(f"x: {n}", "x: 1"), "utf-8")
    main(["hunt", log, "-r", str(tmp_path / "r"), "-m", "raw"])
    err = capsys.readouterr().err
    assert "\n210 matches: " in err
    assert err.splitlines()[-1].endswith(" and 205 more")


def test_after_a_match_each_kind_of_blindness_is_one_line(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(30):
        rules(tmp_path / "r", f"{{product: acme, service: s{n}}}", 7 + (n == 3), n * 8)
    (tmp_path / "r" / "car.car").write_text(
        'a = search Process:Create where exe = "x.exe" output a', "utf-8"
    )
    event = {"object": "process", "action": "create", "exe": "x.exe", "hostname": "H"}
    Path(log).write_text(f'{json.dumps(event)}\n{{"k": 1}}\n', "utf-8")
    main(["hunt", log, "-r", str(tmp_path / "r")])
    err = capsys.readouterr().err
    wanted = "211 rules for events that are not here (acme/s3 8, acme/s0 7, acme/s1 7, acme/s10 7, "
    assert wanted + "acme/s11 7 and 25 more); --why says more, --account FILE lists all" in err
    assert "not recognised: 1 record, the commonest 1 with the keys k" in err
    closing = err[err.index("not runnable") :].splitlines()
    assert len(closing) <= 10
    main(["hunt", log, "-r", str(tmp_path / "r"), "--why"])
    assert "other reasons; --account FILE lists all" in capsys.readouterr().err


def test_many_refused_rules_are_counted(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules(tmp_path / "r", "{product: acme, service: s}", 25)
    for n in range(20):
        path = tmp_path / "r" / f"{n}.yml"
        path.write_text(path.read_text("utf-8").replace("condition: s", "condition: t"), "utf-8")
    assert main(["hunt", log, "-r", str(tmp_path / "r"), "-m", "raw"]) == 2
    err = capsys.readouterr().err
    assert "refused: 20 rules: Rule number 0" in err
    assert "`carengine check` says why of each" in err
    assert err.count("error[") == 10
