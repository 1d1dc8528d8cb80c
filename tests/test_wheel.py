"""An installed wheel, far from the checkout, finds its grammar, its rules, its data model and its
field maps."""

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
    assert "carengine/shipped/grammar/car.lark" in names
    for folder, pattern, inside in (
        ("rules", "*.car", "carengine/shipped/rules"),
        ("src/carengine/fieldmap/maps", "*.yaml", "carengine/fieldmap/maps"),
        ("src/carengine/datamodel/objects", "*.yaml", "carengine/datamodel/objects"),
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
    assert told["rules"] == len(list((ROOT / "rules").rglob("*.car")))
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
