"""sigma-rule-matcher: ``SigmaRule.from_yaml`` of pySigma, then ``RuleMatcher(rule).match(event)``."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

import orjson
from protocol import Loaded, Rules, serve, why
from sigma.rule import SigmaRule
from sigma_rule_matcher import RuleMatcher


def load(rules: Rules) -> Loaded:
    """All rules that it makes a matcher of."""
    taken = []
    loaded = Loaded(version("sigma-rule-matcher"), 0)
    for name, path in rules.files.items():
        try:
            rule = SigmaRule.from_yaml(path.read_text(encoding="utf-8"))
            taken.append((name, RuleMatcher(rule).match))
        except Exception as error:
            loaded.refused[name] = why(error)
    loaded.rules = len(taken)

    def one(number: int, line: bytes) -> Iterable[str]:
        event = orjson.loads(line)
        found = []
        for name, match in taken:
            try:
                if match(event):
                    found.append(name)
            except Exception as error:
                loaded.raised.append((number, name, why(error)))
        return found

    loaded.one = one
    return loaded


if __name__ == "__main__":
    serve(load)
