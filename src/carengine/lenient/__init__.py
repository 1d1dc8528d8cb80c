"""The lenient reading: pseudocode as people publish it, turned into the language, every repair
named.

MITRE's published pseudocode was written for readers, not for a parser. It has typing errors, words
of other languages, and fields of other products. The grammar stays strict; this is a step of its
own in front of it::

    text ──▶ quotes, words, shapes, connectives, brackets ──▶ names, values
         ──▶ canonical text ──▶ strict parser
                      only where the strict parser refuses

Three rules hold:

* A text that the strict parser and the resolver accept is not touched, but for a few values that
  can mean nothing as they stand (``C:\\\\\\\\Windows``, ``"a.exe OR b.exe"``, a path compared with
  a base name).
* Every repair is a diagnostic with a code (CE601 and on), the place in the file, what was wrong,
  what was read instead, and the edit that corrects the source.
* Where two readings would mean different things and nothing decides, the text is refused (CE690 and
  on).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand

if TYPE_CHECKING:
    from .reading import MAX_CHARACTERS, REPAIRS, LenientReading, read
else:
    __getattr__ = names_on_demand(
        globals(),
        reading="MAX_CHARACTERS REPAIRS LenientReading read",
    )

__all__ = ["MAX_CHARACTERS", "REPAIRS", "LenientReading", "read"]
