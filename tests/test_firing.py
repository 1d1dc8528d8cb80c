"""Which rules can never fire: proved, with the reason, and told apart from those that did not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from carengine import Engine, Rule, load_rules, parse_rule
from carengine.cli import main, status
from carengine.engine.report import FieldCoverage
from carengine.engine.report.examples import maps_of_examples
from carengine.verify.firing import FiringProof, firing_proofs

RULES = Path(__file__).parents[1] / "rules"
SYSMON = "Microsoft-Windows-Sysmon/Operational"
EVENTS: list[dict[str, Any]] = [
    {"EventID": 1, "Channel": SYSMON, "Image": "C:\\a.exe", "ProcessId": 1, "User": ""},
    {"EventID": 1, "Channel": SYSMON, "Image": "C:\\b.exe", "ProcessId": 2},
]
JOIN = (
    "a = search Process:Create b = search Process:Create "
    "j = join (a, b) where a.{0} = b.{0} and a.ppid = b.pid output j"
)


def rule_of(text: str, name: str = "R") -> Rule:
    return parse_rule(f"---\nid: {name}\n---\n{text}")


def proof_of(
    rule: Rule, maps: str = "sysmon.flat", lost: tuple[str, ...] = (), events: Any = None
) -> FiringProof:
    engine = Engine([rule], maps)
    session, coverage = engine.session(), FieldCoverage(engine)
    for event in EVENTS if events is None else events:
        session.feed(event)
        coverage.observe(event)
    session.flush()
    return firing_proofs(engine, session.stats, coverage, lost)[0]


@pytest.mark.parametrize(
    ("condition", "verdict", "scope", "said"),
    [
        ('exe = "a.exe"', "fired", None, ""),
        ('exe = "z.exe"', "open", None, ""),
        ('exe = "z" or user = "x"', "open", None, ""),
        ('exe = "z" and not exists user', "open", None, ""),
        ('exe = "z" and user = "x"', "never", "logs", "has user, and each branch"),
        ('exe = "z" and not user = "x"', "never", "logs", "has user, and each branch"),
        ('user = "x" or sid = "y"', "never", "logs", "user or sid"),
        ('env_vars = "x"', "never", "maps", "no process/create has env_vars"),
        ('env_vars = "x" and exe = "z"', "never", "maps", "has env_vars, and"),
        ("pid = 1 and pid = 2", "never", "rule", "can never be true"),
        ('user = "a" and user = "b"', "never", "rule", "can never be true"),
    ],
)
def test_verdicts_on_logs(condition: str, verdict: str, scope: str | None, said: str) -> None:
    text = f"a = search Process:Create where {condition} output a"
    if "exists user" in condition:
        text = text.replace("not exists user", "user = null")
    found = proof_of(rule_of(text))
    assert (found.verdict, found.scope) == (verdict, scope), found
    assert said in " ".join(found.reasons)


def test_kinds_that_are_not_there() -> None:
    none = proof_of(rule_of("a = search Flow:Message output a"))
    assert (none.verdict, none.scope) == ("never", "maps")
    absent = proof_of(rule_of("a = search Registry:Add output a"))
    assert (absent.verdict, absent.scope) == ("never", "logs")
    assert absent.reasons == ("no event of these logs is registry/add",)


def test_joins_need_their_branches_and_keys() -> None:
    assert proof_of(rule_of(JOIN.format("pid"))).scope == "logs"  # ppid is never there
    [reason] = proof_of(rule_of(JOIN.format("pid"))).reasons
    assert "ppid" in reason
    other = JOIN.format("pid").replace("ppid", "pid")
    assert proof_of(rule_of(other)).verdict in ("open", "fired")
    stream = other.replace("b = search Process:Create", "b = search Registry:Add")
    assert proof_of(rule_of(stream)).reasons == ("no event of these logs is registry/add",)


def test_what_was_lost_proves_nothing() -> None:
    rule = rule_of('a = search Process:Create where user = "x" output a')
    found = proof_of(rule, lost=("3 records could not be read",))
    assert (found.verdict, found.scope) == ("open", None)
    assert found.assumptions == ("3 records could not be read",)
    # Of what no log can have, that makes no difference.
    rule = rule_of('a = search Process:Create where env_vars = "x" output a')
    assert proof_of(rule, lost=("3 records could not be read",)).scope == "maps"


def test_events_that_were_not_looked_at_prove_nothing() -> None:
    rule = rule_of('a = search Process:Create where user = "x" output a')
    engine = Engine([rule], "sysmon.flat")
    session, coverage = engine.session(), FieldCoverage(engine)
    for event in EVENTS:
        session.feed(event)
    coverage.observe(EVENTS[0])
    assert firing_proofs(engine, session.stats, coverage)[0].verdict == "open"
    assert firing_proofs(engine, session.stats)[0].verdict == "open"


@pytest.mark.parametrize("value", ["", "x", None, []])
def test_a_native_field_that_is_there_whatever_its_value(tmp_path: Path, value: Any) -> None:
    pytest.importorskip("sigma")
    path = tmp_path / "rule.yml"
    path.write_text(
        "title: x\nlogsource: {product: windows, category: process_creation}\n"
        "detection: {a: {User|exists: true, Image: zzz}, condition: a}\n"
    )
    event = {**EVENTS[1], "User": value}
    [rule] = load_rules(path)
    assert proof_of(rule, "windows.flat", events=[event]).verdict == "open"
    # Where it is not there, that it may be empty somewhere was not looked at: no proof.
    assert proof_of(rule, "windows.flat", events=[EVENTS[1]]).verdict == "open"


def test_no_rule_that_fires_is_said_never_to() -> None:
    """With the matches of the run put aside, so that only the proof speaks."""
    looked_at = 0
    for rule in load_rules(RULES):
        for example in rule.examples:
            if not example.match:
                continue
            engine = Engine([rule], maps_of_examples(rule))
            session, coverage = engine.session(), FieldCoverage(engine)
            matches = 0
            for event in example.events:
                matches += len(session.feed(event))
                coverage.observe(event)
            matches += len(session.flush())
            if not matches:
                continue
            looked_at += 1
            session.stats.matches.clear()
            [found] = firing_proofs(engine, session.stats, coverage)
            assert found.verdict == "open", (rule.id, found.reasons)
    assert looked_at > 50


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules, log = tmp_path / "rules", tmp_path / "log.jsonl"
    rules.mkdir()
    for name, condition in (("A", 'env_vars = "x"'), ("B", 'user = "x"'), ("C", 'exe = "z"')):
        text = f"---\nid: {name}\n---\na = search Process:Create where {condition} output a\n"
        (rules / f"{name}.car").write_text(text)
    log.write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    given = ["needs", str(log), "-r", str(rules), "-m", "sysmon.flat", "--prove"]
    assert main(given) == status.DONE
    said = capsys.readouterr().out
    assert "1 rule can never fire on any log that the field maps in use read:" in said
    assert "1 rule can never fire on these logs:" in said
    assert "3 rules: 2 can never fire, 0 fired, 1 did not" in said
    assert main([*given, "-f", "json"]) == status.DONE
    found = json.loads(capsys.readouterr().out)["rules"]
    assert {one["rule"]: one["proof"]["verdict"] for one in found} == {
        "A": "never",
        "B": "never",
        "C": "open",
    }
    log.write_text(log.read_text() + "{broken\n")
    main([*given, "-f", "json"])
    found = json.loads(capsys.readouterr().out)["rules"]
    assert [one["proof"]["scope"] for one in found] == ["maps", None, None]
