r"""Say why an event does not match a rule: the tree of its conditions, each with its verdict.

It prints::

    CAR-2019-08-001 matches: False
    file/create through the field map sysmon.flat
      True: file_name = "lsass*.dmp"
        "lsass.dmp" matches it
      False: image_path = "C:\Windows\*\taskmgr.exe"
        "C:\Windows\explorer.exe" does not match it
"""

from __future__ import annotations

import carengine

EVENT = {
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "EventID": 11,
    "Image": r"C:\Windows\explorer.exe",
    "TargetFilename": r"C:\Users\ann\lsass.dmp",
}


def main() -> None:
    """Explain one shipped rule on one event."""
    rule = carengine.load_rules(carengine.shipped_rules()).get("CAR-2019-08-001")
    assert rule is not None
    explanation = carengine.explain(rule, EVENT)
    print(rule.id, "matches:", explanation.verdict)
    for view in explanation.views:
        print(f"{view.kind} through the field map {view.fieldmap}")
        for test in view.tests:
            for node in test.tree.children if test.tree else ():
                print(f"  {node.verdict}: {node.condition}")
                print(f"    {node.reason}")


if __name__ == "__main__":
    main()
