"""The peers, and an environment of its own for each: their dependencies clash with each other's and
with ours.

They are made under ``.venv-peers`` beside the Makefile, once; a changed list of packages makes one
anew.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from attrs import frozen

from measuring import ROOT

PLACE = ROOT / ".venv-peers"


@frozen
class Peer:
    """A library that matches rules too.

    ``packages`` is what pip installs; ``batch`` how many events at most it gets where it takes all
    at once, and None where it takes them one by one. ``python`` where it is written in Python.
    ``note`` is how it is used here.
    """

    name: str
    packages: tuple[str, ...]
    note: str
    script: str
    batch: int | None = None
    python: bool = True


PEERS = (
    Peer(
        "zargunlite",
        (
            "zargunlite",
            "pysigma-backend-sqlite",
            "pysigma-pipeline-sysmon",
            "pysigma-pipeline-windows",
            "orjson",
        ),
        "SQLite; rules as SQL of pySigma's SQLite backend with the pipelines `sysmon` and `windows-logsources`; "
        "events loaded with `load_data`, rules with `execute_zircolite_rule`",
        "run_zargunlite.py",
        batch=10_000,
    ),
    Peer(
        "azuma",
        # It imports `packaging` without asking for it.
        ("azuma", "packaging", "orjson"),
        "`Rule.model_validate_file`, `rule.match(event)`",
        "run_azuma.py",
    ),
    Peer(
        "python-eql",
        ("eql", "orjson"),
        'its `PythonEngine`; queries are our translations (`translate(…, "eql")`), since it reads no Sigma',
        "run_eql.py",
    ),
    Peer(
        "Tenzir",
        ("tenzir",),
        "C++; the pipeline `from_file … read_ndjson | sigma path=… | select …`",
        "run_tenzir.py",
        batch=4_000,
        python=False,
    ),
    Peer(
        "sigma-rule-matcher",
        ("sigma-rule-matcher", "orjson"),
        "`SigmaRule.from_yaml`, `RuleMatcher(rule).match(event)`",
        "run_sigma_rule_matcher.py",
    ),
)

NOT_HERE = {
    "Zircolite": "not on PyPI (its own repository only); zargunlite is its core as a library",
    "cccs-pysigma": "not on PyPI under this name any more; azuma is a fork of it",
}
"""Peers that cannot be installed as packages, with the reason."""


class UnavailableError(Exception):
    """A peer that cannot be installed or run here; says why."""


def interpreter(peer: Peer) -> Path:
    """The Python of a peer's environment, which is made where it is not there.

    Raises `UnavailableError` with pip's last words where that fails.
    """
    folder = PLACE / peer.name
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    ready = folder / ".ready"
    wanted = "\n".join(peer.packages)
    if ready.is_file() and ready.read_text(encoding="utf-8") == wanted:
        return python
    if folder.exists():
        shutil.rmtree(folder)
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([str(python), "-m", "pip", "install", "--quiet", *peer.packages])
    ready.write_text(wanted, encoding="utf-8")
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"could not be installed: {error}") from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        said = (errors or done.stderr.splitlines() or ["no reason was given"])[-1]
        raise UnavailableError(f"could not be installed: {said[:200]}")
