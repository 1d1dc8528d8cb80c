"""The functions of field maps that take apart what products write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carengine.functions import FUNCTIONS, call
from strategies import values

C = "C:\\Windows\\System32"
CASES: list[tuple[str, list[Any], Any]] = [
    ("has_bits", ["0x120089", "0x1"], True),
    ("has_bits", ["0x120088", 1], False),
    ("has_bits", [6, "0x2"], True),
    ("has_bits", ["%%1537", "0x1"], None),
    ("has_bits", [2.5, 1], None),
    ("has_bits", [None, 1], None),
    ("later", [1588206048.5, 10.25], 1588206058.75),
    ("later", ["1693975906.5", "-"], 1693975906.5),
    ("later", [None, 1], None),
    ("later", [5, None], 5.0),
    ("later", ["2020-04-30T07:34:08.500000Z", 10.25], 1588232058.75),
    ("later", [1588206048500, "10.25"], 1588206058.75),
    ("later", ["soon", 1], None),
    ("url", ["http", "x.org", "/a"], "http://x.org/a"),
    ("url", ["http", "x.org", None], "http://x.org"),
    ("url", ["http", "proxy", "http://x.org/a"], "http://x.org/a"),
    ("url", ["http", None, "/a"], None),
    ("joined", [["a", 1, None, "b"], " "], "a 1 b"),
    ("joined", ["a"], "a"),
    ("joined", [[]], None),
    ("joined", [None], None),
    ("item", [["a", "b"], 0], "a"),
    ("item", [["a", "b"], -1], "b"),
    ("item", [["a"], 1], None),
    ("item", ["a", 0], "a"),
    ("item", [None, 0], None),
    ("utf16", ["570069006E0044006500660065006E0064002F0031000000"], "WinDefend/1"),
    ("utf16", ["57"], None),
    ("utf16", ["00D8"], None),
    ("utf16", ["zz"], None),
    ("unescape_xml", ["&lt;Task a=&quot;1&quot;/&gt;"], '<Task a="1"/>'),
    ("unescape_xml", ["<a>&lt;</a>"], "<a>&lt;</a>"),
    ("program", [f'"{C}\\svchost.exe" -k rpcss'], f"{C}\\svchost.exe"),
    ("program", [f"{C}\\svchost.exe -k x.exe"], f"{C}\\svchost.exe"),
    ("program", ["C:\\Program Files\\A b\\c.EXE /s"], "C:\\Program Files\\A b\\c.EXE"),
    ("program", ["rundll32.exe C:\\a.dll,b"], "rundll32.exe"),
    ("program", ["%COMSPEC% /C start C:\\a.exe"], "%COMSPEC%"),
    ("program", ["\\??\\C:\\a.sys"], "\\??\\C:\\a.sys"),
    ("program", ["  "], None),
    ("program", ['"'], None),
    ("trim", [" NtLmSsp "], "NtLmSsp"),
    ("trim", ["  "], None),
    ("registry_path", ["\\REGISTRY\\MACHINE\\SOFTWARE\\x", "v"], "HKLM\\SOFTWARE\\x\\v"),
    ("registry_path", ["\\registry\\user\\S-1"], "HKU\\S-1"),
    ("registry_path", ["HKEY_LOCAL_MACHINE"], "HKLM"),
    ("registry_path", ["\\REGISTRY\\MACHINERY\\x"], "\\REGISTRY\\MACHINERY\\x"),
    ("registry_path", ["HKLM\\x", None], "HKLM\\x"),
    ("registry_path", [None, "v"], None),
    ("inside", ["/tmp", "x.sh"], "/tmp/x.sh"),
    ("inside", ["/tmp", "./x.sh"], "/tmp/x.sh"),
    ("inside", ["/", "x"], "/x"),
    ("inside", ["/tmp", "/etc/x"], "/etc/x"),
    ("inside", ["C:\\a", "D:\\x"], "D:\\x"),
    ("inside", [None, "x"], "x"),
    ("inside", ["/tmp", None], None),
    ("full_path", [C, "cmd.exe"], f"{C}\\cmd.exe"),
    ("full_path", [f"{C}\\CMD.exe", "cmd.exe"], f"{C}\\CMD.exe"),
    ("full_path", [f"{C}\\xcmd.exe", "cmd.exe"], f"{C}\\xcmd.exe\\cmd.exe"),
    ("full_path", ["/usr/bin", "ls"], "/usr/bin/ls"),
    ("full_path", [None, "ls"], "ls"),
    ("listed", [[{"a": 1, "v": "x"}, {"a": "2", "v": "y"}], "a", 2, "v"], "y"),
    ("listed", [[{"a": {"b": 1}, "v": "x"}], "a.b", 1, "v"], "x"),
    ("listed", [{"a": 1, "v": "x"}, "a", 1, "v"], "x"),
    ("listed", [["x", None], "a", 1, "v"], None),
    ("given", [0, "there"], "there"),
    ("given", [None, "there"], None),
    ("given", [[], "there"], None),
    ("no_number", ["49667"], None),
    ("no_number", ["\\pipe\\lsass"], "\\pipe\\lsass"),
    ("unless", ["-", "-", ""], None),
    ("unless", [["-", "a"], "-"], ["a"]),
    ("unless", [0, "0"], 0),
    ("between", ["{saddr_fam=inet laddr=10.0.0.1 lport=445}", "lport=", "}"], "445"),
    ("between", ["{saddr_fam=inet laddr=10.0.0.1}", "laddr=", " "], "10.0.0.1"),
    ("between", ["x", "laddr=", " "], None),
    ("xml_event", ["<Event><System><EventID>1</EventID></System></Event>"], {"Event": {"System": {"EventID": 1}}}),
    ("xml_event", ["sysmon: <Event><a>x</a></Event>"], {"Event": {"a": "x"}}),
    ("xml_event", ["<Event"], None),
    ("xml_event", ["no XML"], None),
    ("values_at", [{"a": {"b": 1}}, "a.b"], [1]),
    ("values_at", [[{"a": [{"b": 1}, {"b": [2, None]}]}, {"a": {"b": 3}}, 7], "a.b"], [1, 2, 3]),
    ("values_at", [{"a": 1}, "a.b"], None),
    ("values_at", [None, "a"], None),
    ("several", ["a", None, ["b", 3]], ["a", "b", 3]),
    ("several", [None, [], None], None),
    ("json_text", [{"a": [1, "x"]}], '{"a":[1,"x"]}'),
    ("json_text", [[{"a": 1}, "x"]], '[{"a":1},"x"]'),
    ("json_text", [[]], None),
    ("json_text", [5], "5"),
    ("json_text", [None], None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given_", "expected"), CASES)
def test_a_function(name: str, given_: list[Any], expected: Any) -> None:
    found = call(name, given_)
    assert found == expected
    assert type(found) is type(expected)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_function_fails_on_any_value(data: st.DataObject) -> None:
    function = FUNCTIONS[data.draw(st.sampled_from(sorted(FUNCTIONS)))]
    number = data.draw(st.integers(function.least, min(function.most, function.least + 3)))
    call(function.name, [data.draw(values()) for _ in range(number)])
