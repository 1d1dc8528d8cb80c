"""Tuning that survives updates of the rules: what to leave out, in files and options of one's own.

Rules are somebody else's, and come again with the next update; what one knows of one's own network
is kept apart from them::

    exclusions.yaml ──load_tuning──▶ Tuning ──▶ MatchFilter ──admit(match)──▶ reported, excluded
                                                                           or suppressed
    --level, --tag, … ──▶ RuleFilter ──choose(rules)──▶ the rules to run, and why not the others
    --from, --to ──▶ TimeRange ──▶ events outside it are not looked at

* An ``Exclusion`` takes matches away that somebody has looked into: a condition in the language of
  the rules, for some rules or all, with a reason, and a last day if it is not for ever.
* A ``Suppression`` reports one of many matches that are alike within a period.
* Whatever is taken away is counted under the name of what took it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand

if TYPE_CHECKING:
    from .exclusions import Exclusion, Tuning
    from .files import load_tuning, parse_tuning
    from .filters import InTime, RuleFilter, TimeRange, time_of_option
    from .match_filter import MatchFilter
    from .suppression import Suppression, parse_suppression
else:
    __getattr__ = names_on_demand(
        globals(),
        exclusions="Exclusion Tuning",
        files="load_tuning parse_tuning",
        filters="InTime RuleFilter TimeRange time_of_option",
        match_filter="MatchFilter",
        suppression="Suppression parse_suppression",
    )

__all__ = [
    "Exclusion",
    "InTime",
    "MatchFilter",
    "RuleFilter",
    "Suppression",
    "TimeRange",
    "Tuning",
    "load_tuning",
    "parse_suppression",
    "parse_tuning",
    "time_of_option",
]
