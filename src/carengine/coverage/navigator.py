"""Layers for MITRE's ATT&CK Navigator, in version 4.5 of its format.

One file holds three layers, *claimed*, *runnable* and *seen*, each with a colour of its own. The
score of a technique is the number of its rules in the layer. Source:
https://github.com/mitre-attack/attack-navigator/blob/master/layers/spec/v4.5/layerformat.md
"""

from __future__ import annotations

from typing import Any

from .model import Coverage

LAYERS = {
    "claimed": ("#d6e4f0", "#1f5f99", "a rule's tags name the technique"),
    "runnable": ("#fbe7c6", "#b26a00", "a rule for it has the events and fields it needs"),
    "seen": ("#f6cfcf", "#a31515", "a rule for it matched on these logs"),
}
"""For each layer the colours of its lowest and its highest score, and what it says."""

_NAVIGATOR = "5.2.0"
_MOST_NAMED = 50


def navigator_layers(coverage: Coverage, title: str = "carengine coverage") -> list[dict[str, Any]]:
    """The three layers as plain data, for a file that the Navigator opens.

    Without events there is nothing seen; that layer is there, and empty.

    >>> from carengine.coverage import measure_coverage
    >>> layers = navigator_layers(measure_coverage([], fieldmap="sysmon.flat"))
    >>> [(layer["name"], len(layer["techniques"])) for layer in layers]
    [('carengine coverage: claimed', 0), ('carengine coverage: runnable', 0), \
('carengine coverage: seen', 0)]
    """
    return [_layer(coverage, name, f"{title}: {name}") for name in LAYERS]


def _layer(coverage: Coverage, name: str, title: str) -> dict[str, Any]:
    low, high, told = LAYERS[name]
    rules = {
        one.technique.id: ids for one in coverage.techniques if (ids := getattr(one.rules, name))
    }
    most = max(map(len, rules.values()), default=1)
    on = "field maps" if coverage.events is None else f"{coverage.events:,} events"
    return {
        "name": title,
        "versions": {
            "attack": coverage.attack.version.partition(".")[0],
            "navigator": _NAVIGATOR,
            "layer": "4.5",
        },
        "domain": "enterprise-attack",
        "description": f"{name}: {told}; {len(rules)} techniques, on {on}",
        "sorting": 3,
        "layout": {"layout": "side", "showID": True, "showName": True},
        "hideDisabled": False,
        "techniques": [
            {
                "techniqueID": id_,
                "score": len(ids),
                "comment": _comment(ids),
                "enabled": True,
                "metadata": [{"name": "rules", "value": str(len(ids))}],
            }
            for id_, ids in rules.items()
        ],
        "gradient": {"colors": [low, high], "minValue": 0, "maxValue": max(most, 1)},
        "legendItems": [{"label": f"{name}: {told}", "color": high}],
        "metadata": [
            {"name": "ATT&CK", "value": coverage.attack.version},
            {"name": "layer", "value": name},
        ],
    }


def _comment(ids: tuple[str, ...]) -> str:
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return ", ".join(ids[:_MOST_NAMED]) + more
