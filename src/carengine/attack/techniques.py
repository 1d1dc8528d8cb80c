"""The names of ATT&CK's tactics and techniques, and the addresses of their pages.

The table is a file beside this module, an id and a name a line. An id that is not in it is shown as
it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

_SITE = "https://attack.mitre.org"


@cache
def _names() -> Mapping[str, str]:
    text = (Path(__file__).parent / "techniques.tsv").read_text(encoding="utf-8")
    pairs = (line.split("\t", 1) for line in text.splitlines() if not line.startswith("#"))
    return {line[0]: line[1] for line in pairs}


def name_of(id_: str) -> str:
    """The name of a tactic or technique, or its id where there is none.

    >>> name_of("T1003.001"), name_of("TA0006"), name_of("T9999")
    ('LSASS Memory', 'Credential Access', 'T9999')
    """
    return _names().get(id_, id_)


def link_to(id_: str) -> str:
    """A Markdown link to the page of a tactic or technique, under its name.

    >>> link_to("T1003.001")
    '[LSASS Memory](https://attack.mitre.org/techniques/T1003/001/)'
    """
    kind = "tactics" if id_.startswith("TA") else "techniques"
    return f"[{name_of(id_)}]({_SITE}/{kind}/{id_.replace('.', '/')}/)"
