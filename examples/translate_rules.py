r"""Write a rule as queries for other products, with what is not exact and what is refused.

It prints::

    --- splunk
    `comment(shells)`
    search EventID=1 Image="*\\winword.exe"
    CE902: splunk: a text that spells a number in another way (11.0, 0x001f) is not [...]
    --- eql
    // shells
    any where (EventID == 1 or EventID == "1") and Image == "*\\winword.exe"
    CE902: eql: numbers are compared as the data holds them; a text that spells a number [...]
    --- sigma
    title: <text> shells
    id: 5062ad9d-2af1-5363-9ac2-8c658b9c8081
    status: experimental
    logsource:
      product: windows
      service: sysmon
    detection:
      selection:
        EventID: 1
        Image|endswith: \winword.exe
      condition: selection
    --- eql, a count
    CE901: eql cannot express a condition on events that were put together
"""

from __future__ import annotations

import textwrap

import carengine

RULE = r"""
    shells = search Process:Create where image_path = "*\winword.exe"
    output shells
"""
# The raw fields that the data has. Others are null, and the queries do not ask for them.
PRESENT = ["EventID", "Image"]
COUNT = """
    shells = search Process:Create where exe = "cmd.exe"
    by_host = count(shells) by hostname
    many = filter by_host where count > 100
    output many
"""


def main() -> None:
    """Translate for Sysmon's own names."""
    rule = carengine.parse_rule(RULE)
    for target in ("splunk", "eql", "sigma"):
        translation = carengine.translate(
            rule, target, "sysmon.flat", present=PRESENT, recognise=False
        )
        print(f"--- {target}")
        print(translation.text.strip())
        for note in translation.notes:
            print(textwrap.shorten(f"{note.code.id}: {note.message}", 90))
    print("--- eql, a count")
    try:
        carengine.translate(carengine.parse_rule(COUNT), "eql", "sysmon.flat")
    except carengine.CarError as error:
        for diagnostic in error.diagnostics:
            if diagnostic.severity.value == "error":
                print(f"{diagnostic.code.id}: {diagnostic.message}")


if __name__ == "__main__":
    main()
