r"""Run a rule over the events of a product that carengine does not know, with a field map for it.

The map is ``acme.yaml``. The rule is written in CAR's names and knows nothing of the product.

It prints::

    process/create cmd.exe CORP\ann
    the output signed needs signer; acme has none
    match: shells
"""

from __future__ import annotations

from pathlib import Path

import carengine

MAP = Path(__file__).with_name("acme.yaml")
RULE = """
    shells = search Process:Create where exe = "cmd.exe" and command_line contains "whoami"
    signed = filter shells where signer = "Acme"
    output shells, signed
"""
EVENT = {
    "sensor": "acme",
    "type": "proc.start",
    "ts": 1716190872,
    "host": "ws1",
    "image": r"C:\Windows\System32\cmd.exe",
    "args": "cmd /c whoami",
    "who": {"domain": "CORP", "name": "ann"},
}


def main() -> None:
    """Show the event in CAR's names, what the map lacks, and the match."""
    maps = carengine.find_maps(MAP)
    [event] = carengine.normalize(EVENT, maps)
    print(event.kind, event.fields["exe"], event.fields["user"])

    engine = carengine.Engine([carengine.parse_rule(RULE)], maps)
    for gap in engine.gaps:
        print(
            f"the output {gap.output} needs {', '.join(gap.missing)}; {gap.fieldmap.name} has none"
        )
    for match in engine.run([EVENT]):
        print("match:", match.output)


if __name__ == "__main__":
    main()
