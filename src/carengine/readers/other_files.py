"""Files that lie beside evidence and are none: scripts, settings, documents, pictures, programs.

A folder or an archive of evidence holds such files, and nobody wants a warning for each. What a
file is says its content first, and its name where the content leaves it open: ``rule.yml`` with
lines of JSON in it is read. They are counted by kind and told in one line for each folder. A file
that is named on the command line itself is no such file: there it is said what it looks like.
"""

from __future__ import annotations

import re
from collections import Counter

from attrs import define, field

from ..diagnostics import codes, counted
from .record import ReadReport

_KINDS = {
    "picture": "png jpg jpeg gif bmp ico webp tif tiff svg heic psd",
    "script or source": (
        "ps1 psm1 psd1 ps1xml bat cmd vbs vbe wsf hta sh bash zsh py pyi rb pl pm php lua js jse ts"
        " c h cpp hpp cs go rs java kt swift sql kql ipynb"
    ),
    "rule or setting": "yaml yml toml ini cfg conf properties car eql spl rules lock",
    "document": (
        "md rst adoc html htm css pdf doc docx docm xls xlsx xlsm ppt pptx odt ods odp rtf tex epub"
    ),
    "program": "exe dll sys so dylib jar war class o a msi whl pyc apk deb rpm lnk",
    "font, sound or film": "ttf otf woff woff2 mp3 mp4 wav avi mov webm mkv",
}
_KIND_OF = {ending: kind for kind, endings in _KINDS.items() for ending in endings.split()}
_PACKED = re.compile(r"\.(?:gz|bz2|xz|zst)\Z", re.IGNORECASE)
_NAMED = 3


def kind_by_name(name: str) -> str | None:
    """What a file is that its name says to be no evidence; None for any other.

    >>> kind_by_name("x.zip!rules/A.YML"), kind_by_name("a.ps1.gz"), kind_by_name("a.jsonl")
    ('rule or setting', 'script or source', None)
    """
    last = re.split(r"[/\\!]", _PACKED.sub("", name))[-1]
    stem, dot, ending = last.rpartition(".")
    return _KIND_OF.get(ending.lower()) if dot and stem else None


@define(eq=False)
class OtherFiles:
    """What was passed over, for each folder or archive that was named."""

    _kinds: dict[str, Counter[str]] = field(factory=dict)
    _names: dict[str, list[str]] = field(factory=dict)

    def add(self, within: str, name: str, kind: str) -> None:
        """Count a file of a kind."""
        self._kinds.setdefault(within, Counter())[kind] += 1
        names = self._names.setdefault(within, [])
        if len(names) < _NAMED:
            names.append(name.removeprefix(within).lstrip("/\\!"))

    def tell(self, within: str, report: ReadReport) -> None:
        """Say what was passed over there, in one line (CE508)."""
        kinds, names = self._kinds.pop(within, None), self._names.pop(within, [])
        if not kinds:
            return
        number = kinds.total()
        by_kind = ", ".join(f"{kind} {n:,}" for kind, n in sorted(kinds.items()))
        more = f" and {number - len(names):,} more" if number > len(names) else ""
        message = (
            f"has {counted(number, 'file')} that no program writes events to: {by_kind} "
            f"({', '.join(names)}{more}); one is read where it is named itself"
        )
        report.say(codes.SKIPPED_FILE, within, message)
