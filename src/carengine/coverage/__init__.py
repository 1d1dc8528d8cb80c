"""What rules cover of ATT&CK, on these logs: three layers that are never mixed.

* *Claimed*: a rule's tags name the technique.
* *Runnable*: the logs (or the field maps, where no logs are given) have what the rule needs.
* *Seen*: the rule matched on these logs.

And of each analytic of ATT&CK, which of the log sources that it asks for are there, and which rules
serve it::

    from carengine.coverage import measure_coverage

    coverage = measure_coverage(rules, events)
    for missing in coverage.missing[:5]:
        print(missing.label, len(missing.rules), len(missing.completed))

``model`` has what there is to tell, ``measuring`` the way to it, ``asked`` the events that log
sources ask for, ``serving`` which rules look at them, and ``navigator`` writes layers for MITRE's
Navigator.
"""

from __future__ import annotations

from .asked import AskedCounter
from .measuring import CoverageMeter, measure_coverage
from .model import (
    AnalyticCoverage,
    Coverage,
    MissingEvents,
    RulesByLayer,
    SourceCoverage,
    SourceState,
    StrategyCoverage,
    TagFinding,
    TechniqueCoverage,
)
from .navigator import navigator_layers

__all__ = [
    "AnalyticCoverage",
    "AskedCounter",
    "Coverage",
    "CoverageMeter",
    "MissingEvents",
    "RulesByLayer",
    "SourceCoverage",
    "SourceState",
    "StrategyCoverage",
    "TagFinding",
    "TechniqueCoverage",
    "measure_coverage",
    "navigator_layers",
]
