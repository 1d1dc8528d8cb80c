"""An installed wheel, far from the checkout, finds its grammar, its rules, its data model and its
field maps, and a type checker finds the same types in it as in the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import carengine

ROOT = Path(__file__).parents[1]
SCRIPT = """
import json, carengine
from carengine.fieldmap import installed_maps
rules = carengine.load_rules(carengine.shipped_rules())
engine = carengine.Engine(rules)
event = json.load(open("event.json"))
print(json.dumps({
    "home": carengine.__file__,
    "rules": len(rules),
    "refused": len(rules.refused),
    "maps": [found.name for found in installed_maps()],
    "matches": [match.rule.id for match in engine.run([event])],
}))
"""
EVENT = {
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "EventID": 11,
    "UtcTime": "2024-05-20 07:41:12.518",
    "Image": "C:\\Windows\\System32\\Taskmgr.exe",
    "TargetFilename": "C:\\Users\\ann\\AppData\\Local\\Temp\\lsass.DMP",
}


def _run(*command: str | Path, cwd: Path) -> str:
    """What a command prints, away from the checkout's own settings; the test fails where it fails."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout without touching the network."""
    for needed in ("build", "hatchling", "pip"):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    command = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    _run(*command, cwd=folder)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel in it, and this one's libraries within reach.

    They are reached by a path file, which does not make this environment's own carengine visible.
    """
    home = tmp_path_factory.mktemp("fresh") / "venv"
    _run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home.parent)
    binary = home / ("Scripts" if os.name == "nt" else "bin")
    python = binary / "python"
    _run(
        *(sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"),
        *("install", "--quiet", "--no-deps", "--no-index", wheel),
        cwd=home.parent,
    )
    site = Path(_run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=home))
    libraries = sysconfig.get_path("purelib")
    Path(str(site).strip(), "libraries.pth").write_text(libraries + "\n", encoding="utf-8")
    return binary


def test_what_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "carengine/py.typed" in names
    assert "carengine/package-data/grammar/car.lark" in names
    for folder, pattern, inside in (
        ("rules", "*.car", "carengine/package-data/rules"),
        ("src/carengine/fieldmap/maps", "*.yaml", "carengine/fieldmap/maps"),
        ("src/carengine/datamodel/objects", "*.yaml", "carengine/datamodel/objects"),
        ("src/carengine/report/assets", "*.*", "carengine/report/assets"),
        ("src/carengine", "*.py", "carengine"),
    ):
        for path in (ROOT / folder).rglob(pattern):
            if "__pycache__" not in path.parts:
                assert f"{inside}/{path.relative_to(ROOT / folder).as_posix()}" in names
    assert not [name for name in names if name.startswith("tests")]
    metadata = next(name for name in names if name.endswith("/METADATA"))
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    assert "License-Expression: Apache-2.0" in text
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_library_works_from_the_wheel(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(json.dumps(EVENT), encoding="utf-8")
    told = json.loads(_run(fresh / "python", "-c", SCRIPT, cwd=tmp_path))
    assert Path(told["home"]).is_relative_to(fresh.parent)
    assert told["rules"] == len(list((ROOT / "rules" / "car").rglob("*.car")))
    assert told["refused"] == 0
    assert "sysmon.flat" in told["maps"]
    assert "CAR-2019-08-001" in told["matches"]


def test_the_command_works_from_the_wheel(fresh: Path, tmp_path: Path) -> None:
    if find_spec("rich") is None or find_spec("orjson") is None:
        pytest.skip("the command line's libraries are not installed")
    (tmp_path / "event.json").write_text(json.dumps(EVENT), encoding="utf-8")
    command = shutil.which("carengine", path=str(fresh))
    assert command is not None
    out = _run(command, "hunt", "event.json", "-f", "jsonl", cwd=tmp_path)
    ids = [json.loads(line)["rule"]["id"] for line in out.splitlines()]
    assert "CAR-2019-08-001" in ids
    assert "carengine" in _run(command, "--version", cwd=tmp_path)


# What embedders write, each in a file of its own. They are checked one after another with one
# cache: what mypy remembers of a program must not change what it says of the next.
TYPED = {
    "first.py": """
import carengine

rules = carengine.load_rules(carengine.shipped_rules())
reveal_type(carengine.shipped_rules())
rule = rules["CAR-2019-08-001"]
reveal_type(rule.attack)
reveal_type(rules[0:2])
""",
    "second.py": """
from datetime import timedelta

import carengine

folder = carengine.shipped_rules()
reveal_type(folder / "x.car")
engine = carengine.Engine(carengine.load_rules(folder))
options = carengine.StreamOptions(lateness=timedelta(minutes=5), horizon="30 days")
with engine.session(options) as session:
    for record in carengine.read_events("-"):
        for match in session.feed(record.event):
            reveal_type(match.time)
    session.flush()
carengine.StreamOptions(lateness=300)
""",
    "third.py": """
from carengine import CarError, load_rule, shipped_rules, translate

try:
    rule = load_rule(shipped_rules() / "CAR-2019-08-001.car")
except CarError as error:
    reveal_type(error.diagnostics)
    raise
reveal_type(translate(rule, "splunk").text)
rule.titel
""",
}
SAID = {
    "first.py": ["pathlib.Path", "tuple[str, ...]", "tuple[carengine.rule.model.Rule, ...]"],
    "second.py": ["pathlib.Path", "int | None", 'has incompatible type "int"'],
    "third.py": ["Diagnostic, ...]", '"str"', 'has no attribute "titel"; maybe "title"?'],
}


def test_types_are_the_same_in_the_wheel(fresh: Path, tmp_path: Path) -> None:
    """Strictly checked programs against the installed wheel, in a row, with a warm cache."""
    if find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    for name, text in TYPED.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--python-executable",
        fresh / "python",
    ]
    for name in (*TYPED, *reversed(TYPED), *TYPED):
        out = _mypy(*command, tmp_path / name, cwd=tmp_path)
        lines = [line for line in out.splitlines() if line.startswith(name)]
        assert len(lines) == len(SAID[name]), out
        for line, said in zip(lines, SAID[name], strict=True):
            assert said in line, out
    # A name that the package exports is never a module to the checker.
    everything = "import carengine\n" + "".join(
        f"reveal_type(carengine.{name})\n" for name in carengine.__all__
    )
    (tmp_path / "names.py").write_text(everything, encoding="utf-8")
    out = _mypy(*command, tmp_path / "names.py", cwd=tmp_path)
    assert out.count("Revealed type") == len(carengine.__all__)
    assert "ModuleType" not in out
    assert 'Any"' not in out


def _mypy(*command: str | Path, cwd: Path) -> str:
    """What mypy says of a program, with errors or without."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MYPYPATH")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 1), f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
