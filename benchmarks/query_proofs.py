"""How many queries that are written for a rule are proved to ask for the same events.

    python benchmarks/query_proofs.py [LANGUAGE …]

For the shipped rules over ``sysmon.flat``, and for 300 of SigmaHQ's Windows rules taken by chance
over ``windows.flat`` (where the shared data is). docs/translations.md has the figures.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Iterable

import carengine
import data
from carengine.fieldmap import find_maps
from carengine.rule import Rule
from carengine.verify import check_translation

SAMPLE = 300


def proofs(language: str, rules: Iterable[Rule], name: str) -> None:
    """Print what became of each output, and why."""
    [fieldmap] = find_maps(name)
    verdicts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    began = time.process_time()
    for rule in rules:
        for made in check_translation(rule, language, fieldmap):
            verdict = "refused" if made.refused else made.relation.verdict.value
            verdicts[verdict] += 1
            if verdict != "same":
                titles = f"{verdict}: {'; '.join(made.relation.reasons)}"
                reasons[titles[:150]] += 1
    print(language, name, dict(verdicts), f"{time.process_time() - began:.0f} s", flush=True)
    for reason, number in reasons.most_common(12):
        print(f"  {number:3} {reason}", flush=True)


def main(languages: list[str]) -> int:
    """The figures of some languages."""
    for language in languages or ["esql", "kusto"]:
        proofs(language, carengine.load_rules(carengine.shipped_rules()), "sysmon.flat")
        archive = data.sigma_archive()
        if archive is not None:
            rules = list(carengine.load_rules(archive))
            proofs(language, random.Random(1).sample(rules, SAMPLE), "windows.flat")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
