"""Write the pictures of the documentation: what a terminal of 80 and of 120 columns shows.

``python docs/screens.py`` (``make screens``) runs the commands over the samples that ship and writes
``docs/screens/*.svg``, by rich's own export of what the program writes to a terminal: an event and
the shipped rules, a join of two events, Sigma rules over a workstation, Sigma rules over a cloud's
log. Given a folder with the shared evidence, it also writes the screens of thirty Sigma rules over a
recorded attack and of a recorded cloud log, to ``build/screens``: recorded logs are not part of the
repository.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile
import tempfile
from pathlib import Path
from unittest import mock

from rich.console import Console
from rich.text import Text

from carengine.cli import main
from carengine.cli.screen import Screen

TOP = Path(__file__).resolve().parents[1]
SAMPLE = "tests/samples/lsass_dump.jsonl"
WIDTHS = (80, 120)
JOIN = """---
id: DUMP-THEN-RUN
title: Task Manager dumps LSASS, and a dumper runs on a machine within the hour
level: high
attack: [T1003.001]
---
dump = search File:Create where file_name = "lsass*.dmp"
tool = search Process:Create where command_line = "*lsass*"
both = join (dump, tool) where dump.time <= tool.time < dump.time + 1 hour
output both
"""
SIGMA_SAMPLES = (
    ("sigma", "tests/samples/uac_bypass.jsonl", "win_*.yml"),
    ("cloud", "tests/samples/cloudtrail.json", "aws_*.yml"),
)
SIGMA = 30


def shown(arguments: list[str], width: int) -> str:
    """What a terminal of so many columns gets of a command, with its colours."""
    out = io.StringIO()
    screen = Screen(out, out, True, False, True, True)
    with (
        mock.patch.object(Screen, "standard", return_value=screen),
        mock.patch.dict(os.environ, {"COLUMNS": str(width)}),
    ):
        main(arguments)
    return out.getvalue()


def picture(command: str, text: str, width: int) -> str:
    """A text with colours as SVG."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    svg = console.export_svg(title=f"$ {command}", unique_id="carengine")
    # Nothing is fetched to show a picture: fonts are those of whoever looks at it.
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def write(name: str, arguments: list[str], said: str, folder: Path) -> None:
    """Write the pictures of a command."""
    folder.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        svg = picture(f"carengine {said}", shown(arguments, width), width)
        (folder / f"{name}-{width}.svg").write_text(svg.rstrip() + "\n", encoding="utf-8")


def shipped(folder: Path) -> None:
    """The screens of the samples that ship."""
    asked = ["hunt", SAMPLE, "-r", "rules/car/CAR-2019-08-001.car"]
    write("seed", asked, " ".join(asked), folder)
    asked = ["stats", SAMPLE, "-q"]
    write("stats", asked, " ".join(asked), folder)
    rule = "rules/car/CAR-2019-08-001.car"
    asked = ["timeline", SAMPLE, "-r", rule, "--minutes", "30", "-q"]
    write("timeline", asked, " ".join(asked), folder)
    asked = ["coverage", SAMPLE, "--technique", "T1003.001", "-q"]
    write("coverage", asked, " ".join(asked), folder)
    with tempfile.TemporaryDirectory() as made:
        rule = Path(made) / "dump-then-run.car"
        rule.write_text(JOIN, encoding="utf-8")
        asked = ["hunt", SAMPLE, "-r", str(rule)]
        write("join", asked, f"hunt {SAMPLE} -r dump-then-run.car", folder)
    for name, sample, rules in SIGMA_SAMPLES:
        with tempfile.TemporaryDirectory() as made:
            for rule in sorted(Path("tests/samples/sigma").glob(rules)):
                (Path(made) / rule.name).write_bytes(rule.read_bytes())
            write(name, ["hunt", sample, "-r", made], f"hunt {sample} -r sigma/", folder)


def recorded(shared: Path, folder: Path) -> None:
    """Thirty Sigma rules that speak of processes and PowerShell, over a recorded attack."""
    evidence = shared / "mordor" / "empire_uac_shellapi_fodhelper.zip"
    with tempfile.TemporaryDirectory() as made:
        with tarfile.open(shared / "sigma" / "sigmahq-rules-windows.tar.gz") as archive:
            words = ("fodhelper", "empire", "whoami", "powershell_base64")
            names = [m for m in archive if m.isfile() and any(w in m.name for w in words)]
            for member in names[:SIGMA]:
                file = archive.extractfile(member)
                assert file is not None
                (Path(made) / Path(member.name).name).write_bytes(file.read())
        said = "hunt empire_uac_shellapi_fodhelper.zip -r sigma/"
        write("sigma", ["hunt", str(evidence), "-r", made], said, folder)
    evidence = shared / "mordor-cloud" / "ec2_proxy_s3_exfiltration.zip"
    with tempfile.TemporaryDirectory() as made:
        with tarfile.open(shared / "sigma" / "sigmahq-rules-all.tar.gz") as archive:
            cloud = [m for m in archive if m.isfile() and m.name.startswith("rules/cloud/aws/")]
            for member in cloud:
                file = archive.extractfile(member)
                assert file is not None
                (Path(made) / Path(member.name).name).write_bytes(file.read())
        said = "hunt ec2_proxy_s3_exfiltration.zip -r sigma/rules/cloud/aws"
        write("cloud", ["hunt", str(evidence), "-r", made], said, folder)


if __name__ == "__main__":
    os.chdir(TOP)
    shipped(TOP / "docs" / "screens")
    if len(sys.argv) > 1:
        recorded(Path(sys.argv[1]), TOP / "build" / "screens")
