"""The Sigma rules that analytics link to, where a collection of rules is at hand.

CAR publishes its Sigma implementations as links to files of the public collection, whose files have
been renamed since: ``win_renamed_paexec.yml`` is ``proc_creation_win_renamed_paexec.yml`` today.
``SigmaCollection`` finds the rules whose names end as the linked one's does behind its product::

    SigmaCollection.at("sigmahq-rules-windows.tar.gz").find("https://…/win_renamed_paexec.yml")
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from ..diagnostics import Block, Diagnostic, Source
from ..loading.files import rule_files

_LINK = re.compile(r"https?://[^\s)\"'<>]+\.ya?ml")
_PRODUCT = re.compile(r"^(?:win|sysmon)_")


def link_in(text: str) -> str:
    """The first link to a YAML file in a text, or nothing.

    >>> link_in("[Sigma](https://example.org/rules/win_x.yml) has one")
    'https://example.org/rules/win_x.yml'
    """
    found = _LINK.search(text)
    return found[0] if found else ""


@frozen
class SigmaCollection:
    """Rule files by their names without ending."""

    files: Mapping[str, str] = field(hash=False, repr=False)

    @classmethod
    def at(cls, path: str | Path) -> SigmaCollection:
        """The rules of a folder or an archive; what cannot be read is left out."""
        said: list[Diagnostic] = []
        found = rule_files(Path(path), (".yml", ".yaml"), said)
        return cls({Path(file.name.replace("!", "/")).stem: file.text for file in found})

    def find(self, link: str) -> tuple[tuple[str, ...], Block | None]:
        """The names of the rules that a link means today, and their texts as one; nothing where
        there is none."""
        stem = link.rpartition("/")[2].rpartition(".")[0]
        core = "_" + _PRODUCT.sub("", stem)
        names = tuple(sorted(n for n in self.files if n == stem or n.endswith(core)))
        if not names:
            return (), None
        text = "\n---\n".join(self.files[name] for name in names)
        return names, Block.whole(Source(f"<{', '.join(names)}>", text))
