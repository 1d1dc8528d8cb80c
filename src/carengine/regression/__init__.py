"""Regression data: logs on which a rule has to match, kept beside rules.

SigmaHQ keeps the events that a rule was written for. The rule names a file, ``info.yml``, and that
file names logs and how often the rule matches in them at least::

    regression_tests_path: regression_data/rules/windows/…/info.yml          in the rule

    regression_tests_info:                                                   in info.yml
      - name: Positive Detection Test
        type: evtx
        match_count: 1
        path: regression_data/rules/windows/…/e3c6d245-7b8f-4e2a-c17f-a9d0e5b38f62.evtx

Logs may also lie beside a rule, under its name: ``x.match.evtx`` has to match ``x.yml``, and
``x.nomatch.jsonl`` must not. ``cases`` finds what there is to run, `run_regression` runs it.

https://github.com/SigmaHQ/sigma-specification/blob/main/sigmahq/sigmahq-regression-data.md
"""

from .cases import RegressionCase
from .run import CaseOutcome, CaseResult, run_regression

__all__ = ["CaseOutcome", "CaseResult", "RegressionCase", "run_regression"]
