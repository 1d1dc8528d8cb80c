"""A run as one page: a file of HTML that opens offline and can be sent on.

``document`` writes the file while the run goes on, ``match_view`` says what the page holds of a
match, ``processes`` finds the processes around the matches, ``summary`` what is said once (rules,
ATT&CK, what was blind, the account), ``page`` puts the assets together::

    with open("report.html", "wb") as target:
        document = ReportDocument(target, engine, "Host H1")
        for match in matches:
            document.add(match)
        document.finish(summary)

The assets are plain modules of JavaScript without any library. Every text of a rule or an event
reaches the page as a text node; the page's policy forbids requests, other scripts and other styles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand

if TYPE_CHECKING:
    from .document import ReportDocument
    from .identity import Identity, host_name, identity_in, identity_of
    from .processes import ProcessStore, collect_processes
    from .summary import RunNotes, summary_of
else:
    __getattr__ = names_on_demand(
        globals(),
        document="ReportDocument",
        identity="Identity host_name identity_in identity_of",
        processes="ProcessStore collect_processes",
        summary="RunNotes summary_of",
    )

__all__ = [
    "Identity",
    "ProcessStore",
    "ReportDocument",
    "RunNotes",
    "collect_processes",
    "host_name",
    "identity_in",
    "identity_of",
    "summary_of",
]
