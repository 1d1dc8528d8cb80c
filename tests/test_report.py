"""Reports: what the file holds, and what a browser makes of it.

The tests in a browser use Debian's Chromium, by its path, through Playwright. They are skipped
where either is missing.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import struct
import tracemalloc
from array import array
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine.cli import main, status
from carengine.report import ProcessStore, ReportDocument
from carengine.report.identity import Identity, host_name
from carengine.report.page import policy, script

CHROMIUM = Path("/usr/bin/chromium")
NO_RULES = carengine.Engine([], "car")
RLO = "‮"
HOSTILE = [
    "<script>globalThis.pwned = 1</script>",
    "</script><script>globalThis.pwned = 1</script>",
    "<img src=x onerror='globalThis.pwned = 1'>",
    "javascript:globalThis.pwned=1",
    "\x00\x07\x1b[31mred\x9b",
    f"invoice{RLO}fdp.exe",
    "a\u2028b\u200bc\ufeffd",
    "\ud800 alone",
    '=HYPERLINK("http://evil")',
    "{{title}} {{style}} ${1}",
    "مرحبا exe.txt",
]
RULES = {
    "R-1": """---
title: <b>Suspicious</b> start of evil.exe
level: high
attack:
  - technique: T1059
    subtechniques: [T1059.001]
references:
  - javascript:alert(1)
  - https://example.com/advisory
---
a = search Process:Create where exe = "evil*" output a
""",
    "R-2": """---
title: Files in the temporary folder
level: medium
attack:
  - technique: T1003
---
a = search File:Create where file_name = "dump*" and not user = "SYSTEM" output a
""",
    "R-3": """---
title: Never
level: critical
attack:
  - technique: T1055
---
a = search Flow:Start where dest_port = 4444 output a
""",
}


def sysmon(number: int, second: int, **data: Any) -> dict[str, Any]:
    """An event of Sysmon as forwarders write it."""
    return {
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "EventID": number,
        "Hostname": "WS1.example.com",
        "UtcTime": f"2024-05-20 07:{second // 60:02}:{second % 60:02}.000",
        **data,
    }


def guid(number: int) -> str:
    return f"{{11111111-2222-3333-4444-{number:012}}}"


def start(number: int, parent: int, second: int, image: str, command: str) -> dict[str, Any]:
    return sysmon(
        1,
        second,
        ProcessGuid=guid(number),
        ProcessId=number,
        ParentProcessGuid=guid(parent),
        ParentProcessId=parent,
        ParentImage="C:\\Windows\\explorer.exe",
        Image=image,
        CommandLine=command,
        User="CORP\\ann",
    )


EVENTS = [
    start(10, 1, 1, "C:\\Program Files\\winword.exe", "winword.exe /n invoice.doc"),
    start(20, 10, 2, "C:\\Windows\\System32\\cmd.exe", "cmd /c start evil"),
    start(30, 20, 3, "C:\\Users\\ann\\evil.exe", "evil.exe --needle"),
    start(40, 30, 4, "C:\\Windows\\System32\\whoami.exe", "whoami /all"),
    start(50, 1, 5, "C:\\Windows\\notepad.exe", "notepad unrelated"),
    sysmon(
        11,
        6,
        ProcessGuid=guid(30),
        ProcessId=30,
        Image="C:\\Users\\ann\\evil.exe",
        TargetFilename="C:\\Temp\\dump.bin",
        User="CORP\\ann",
    ),
    *(
        start(100 + place, 30, 60 + place, f"C:\\Temp\\evil{place}.exe", text)
        for place, text in enumerate([*HOSTILE, "x" * 1_000_000 + "END"])
    ),
]
MATCHES = len(HOSTILE) + 1 + 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    (folder / "rules").mkdir()
    for name, text in RULES.items():
        (folder / "rules" / f"{name}.car").write_text(text, encoding="utf-8")
    with open(folder / "events.jsonl", "w", encoding="ascii") as file:
        for event in EVENTS:
            file.write(json.dumps(event) + "\n")
        file.write('{"what": "is this"}\nno JSON\n')
    arguments = ["report", str(folder / "events.jsonl"), "-r", str(folder / "rules")]
    title = "Case <script>7</script> & {{style}}"
    code = main([*arguments, "-q", "-o", str(folder / "report.html"), "--title", title])
    assert code == status.UNREADABLE, "one record is no JSON"
    return folder


def blocks(page: bytes) -> dict[str, Any]:
    """The blocks of a page by their names."""
    found = re.findall(
        rb'<script type="text/plain" class="block" id="([\w-]+)"[^>]*>([^<]*)<', page
    )
    held = {
        name.decode(): gzip.decompress(base64.b64decode(data, validate=True))
        for name, data in found
    }
    return {
        name: data if name.startswith("index-") else json.loads(data) for name, data in held.items()
    }


def indexed(held: dict[str, Any]) -> list[tuple[float, str, str, str, int, int]]:
    """The matches of a page in its order: time, rule, host, user, block, place."""
    told: list[tuple[float, str, str, str, int, int]] = []
    for number in range(sum(name.startswith("index-") for name in held)):
        data, names = held[f"index-{number}"], held[f"names-{number}"]
        size = len(data) // 28
        times = struct.unpack_from(f"<{size}d", data)
        columns = [struct.unpack_from(f"<{size}I", data, size * (8 + 4 * n)) for n in range(5)]
        for time, rule, host, user, block, place in zip(times, *columns, strict=True):
            who = (names["rules"][rule], names["hosts"][host], names["users"][user])
            told.append((time, *who, block, place))
    return told


def test_the_page_holds_matches_rules_and_account(folder: Path) -> None:
    page = (folder / "report.html").read_bytes()
    held = blocks(page)
    rows, details, summary = indexed(held), held["detail-0"], held["summary"]
    assert len(rows) == len(details) == len(held["texts-0"]["summary"]) == MATCHES
    assert {host for _, _, host, *_ in rows} == {"WS1"}
    assert held["rules"]["R-1"] == RULES["R-1"]
    assert summary["rules"].keys() == {"R-1", "R-2"}
    assert summary["rules"]["R-1"]["tactics"] == ["TA0002"]
    assert summary["attack"]["techniques"]["T1059.001"]["parent"].startswith("Command and")
    blind = {note["title"]: note["number"] for note in summary["blind"]}
    assert blind["Records that no field map recognises"] == 1
    assert any("1 unreadable" in text for text in summary["account"])
    # Matches of processes wait for other records of them, and come last.
    [whole] = [event for one in details for event in one["events"] if event["event"] == EVENTS[5]]
    assert [item["value"] for item in whole["deciding"]] == ["dump.bin"]
    assert whole["why"][0]["verdict"] is True


def test_processes_are_those_around_the_matches(folder: Path) -> None:
    rows = blocks((folder / "report.html").read_bytes())["processes-0"]["rows"]
    pids = {row["pid"] for row in rows}
    assert {"10", "20", "30", "40"} <= pids
    assert "50" not in pids, "a process that no match comes from or has started"


def test_process_numbers_are_given_again() -> None:
    """Without ids of their own, the last start before the child's is the parent."""
    store = ProcessStore()
    for time, pid, parent in ((1, "5", "4"), (2, "7", "5"), (10, "5", "9"), (11, "8", "5")):
        store.start(Identity(host="H", pid=pid, ppid=parent, image=f"{pid}@{time}"), time)
    store.start(Identity(host="OTHER", pid="8", ppid="5", image="elsewhere"), 12)
    store.want(Identity(host="H", pid="8"))
    [part] = store.around()
    assert [row["image"] for row in part["rows"]] == ["5@10", "8@11"]
    store.close()


def test_a_circle_of_parents_ends() -> None:
    store = ProcessStore()
    store.start(Identity(guid="a", parent_guid="b"), 1)
    store.start(Identity(guid="b", parent_guid="a"), 2)
    store.start(Identity(guid="\ud800", parent_guid="\ud800", pid="\x00"), None)
    store.want(Identity(guid="a"))
    store.want(Identity(guid="\ud800"))
    assert len(next(iter(store.around()))["rows"]) == 3
    store.close()


def test_nothing_of_an_event_leaves_its_block(folder: Path) -> None:
    """Outside the blocks, which are base64, the page is the same for all evidence but its title."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    frame = re.sub(r'<script type="text/plain".*?</script>\n', "", page)
    empty = io.BytesIO()
    ReportDocument(empty, NO_RULES, "T").finish({})
    expected = re.sub(r'<script type="text/plain".*?</script>\n', "", empty.getvalue().decode())
    title = "<title>Case &lt;script&gt;7&lt;/script&gt; &amp; {{style}}</title>"
    assert frame == expected.replace("<title>T</title>", title)


def test_the_policy_allows_the_script_and_the_style_only() -> None:
    class Elements(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[tuple[str, dict[str, str | None]]] = []

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            self.seen.append((tag, dict(attributes)))

    target = io.BytesIO()
    ReportDocument(target, NO_RULES, "T").finish({})
    parser = Elements()
    parser.feed(target.getvalue().decode())
    assert policy().startswith("default-src 'none'; ")
    assert "unsafe" not in policy()
    for tag, attributes in parser.seen:
        assert "src" not in attributes
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")], tag
        assert tag not in ("link", "iframe", "img", "object", "form")
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "fetch(",
    ):
        assert word not in script()
    assert "import " not in re.sub(r"//.*", "", script()).split("class ")[0]


def test_memory_does_not_grow_with_the_matches(folder: Path) -> None:
    engine = carengine.Engine(carengine.load_rules(folder / "rules"))

    def peak(size: int) -> int:
        session = engine.session()
        with open(folder / "large.html", "wb") as target:
            document = ReportDocument(target, engine, "T")
            tracemalloc.start()
            for number in range(size):
                event = start(number, 1, 1, "C:\\evil.exe", f"evil {number}")
                for match in session.feed(event):
                    document.add(match)
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert document.matches == size
        return most

    peak(600)
    assert peak(3_000) < 1.5 * peak(1_000)


def test_hunt_writes_a_report_beside_its_matches(folder: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "hits.jsonl", tmp_path / "report.html"
    arguments = ["hunt", str(folder / "events.jsonl"), "-r", str(folder / "rules"), "-q"]
    assert main([*arguments, "-o", str(out), "--report", str(report)]) == status.UNREADABLE
    written = [json.loads(line) for line in out.read_bytes().splitlines()]
    held = blocks(report.read_bytes())
    told = sorted((place, rule, host, user) for _, rule, host, user, _, place in indexed(held))
    assert [one[1:] for one in told] == [
        (match["rule"]["id"], match["host"] or "", match["user"] or "") for match in written
    ]


def test_the_index_is_in_the_order_of_time_and_has_every_match(tmp_path: Path) -> None:
    """Past the sorter's memory, several blocks and parts; hosts and users by their names."""
    rule = carengine.parse_rule('a = search Process:Create where exe = "x" output a')
    session = carengine.Engine([rule], "car").session()
    path = tmp_path / "r.html"
    size = 1_300
    with open(path, "wb") as target:
        document = ReportDocument(target, NO_RULES, "T")
        for number in range(size):
            second = number * 7919 % size
            own = {
                "object": "process",
                "action": "create",
                "exe": "x",
                "hostname": f"H{number % 9}",
            }
            when = (
                None if number % 50 == 0 else f"2024-05-20T10:{second // 60:02}:{second % 60:02}Z"
            )
            for match in session.feed({**own, "time": when, "user": f"\ud800{number}"}):
                document.add(match)
        document.finish({})
    held = blocks(path.read_bytes())
    rows = indexed(held)
    times = [time for time, *_ in rows]
    timed = [time for time in times if time == time]
    assert timed == sorted(timed) == times[: len(timed)]
    assert len(rows) == size
    assert len({(block, place) for *_, block, place in rows}) == size
    for _, _, host, user, block, place in rows:
        number = block * 500 + place
        assert (host, user) == (f"H{number % 9}", f"\ud800{number}")


def test_several_processes_write_the_same_report(folder: Path, tmp_path: Path) -> None:
    told = []
    for jobs in ("1", "2"):
        path = tmp_path / f"{jobs}.html"
        arguments = ["report", str(folder / "events.jsonl"), "-r", str(folder / "rules")]
        assert (
            main([*arguments, "-q", "-j", jobs, "-o", str(path), "--title", "T"])
            == status.UNREADABLE
        )
        held = blocks(path.read_bytes())
        held["summary"].pop("written")
        told.append(held)
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["report", "{events}", "-o", "{events}"], "would write into"),
        (["report", "{events}", "-o", "-"], "to a file"),
        (["hunt", "{events}", "--title", "x"], "--title is for --report"),
        (["hunt", "{events}", "-o", "{new}", "--report", "{new}"], "would both write"),
        (["report", "{events}", "-o", "/nowhere/x.html"], "cannot write"),
    ],
)
def test_what_cannot_be_is_said(
    arguments: list[str],
    says: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = {"events": str(folder / "events.jsonl"), "new": str(tmp_path / "new")}
    given = [argument.format(**names) for argument in arguments]
    assert main(given) == status.USAGE
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "name"), [("ws1.a.b", "WS1"), ("fe80::1", "FE80::1"), ("10.1.2.3", "10.1.2.3")]
)
def test_hosts_have_one_spelling(written: str, name: str) -> None:
    assert host_name(written) == name


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if find_spec("playwright") is None:
        pytest.skip("Playwright for Python is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"there is no {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any, folder: Path) -> Iterator[Any]:
    """The report in a browser; afterwards: no request, no error, nothing that an event did."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    requests: list[str] = []
    errors: list[str] = []
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console",
        lambda message: errors.append(message.text) if message.type == "error" else None,
    )
    address = (folder / "report.html").as_uri()
    opened.goto(address)
    opened.wait_for_selector("html[data-ready]", state="attached")
    yield opened
    assert requests == [address]
    assert errors == []
    assert opened.evaluate("globalThis.pwned") is None
    context.close()


def tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def open_all(page: Any, inside: str) -> None:
    """Open everything that is folded. A listener fills it afterwards; so two rounds and a frame."""
    page.evaluate(
        """async (inside) => {
          for (let round = 0; round < 2; round += 1) {
            for (const one of document.querySelectorAll(`${inside} details`)) one.open = true;
            await new Promise((done) => setTimeout(done, 30));
          }
        }""",
        inside,
    )


def test_it_opens_and_filters(page: Any) -> None:
    assert page.inner_text("output") == f"{MATCHES} matches"
    assert page.inner_text("h1") == "Case <script>7</script> & {{style}}"
    page.fill("#search", "dump.bin")
    page.wait_for_selector("output:text-matches('^1 of')")
    assert "Files in the temporary folder" in page.inner_text(".list")
    page.fill("#search", "")
    page.wait_for_selector(f"output:text-is('{MATCHES} matches')")
    page.select_option("select[aria-label=Technique]", label="T1003 OS Credential Dumping")
    assert page.inner_text("output").startswith("1 of")
    page.get_by_role("button", name="Remove the filter T1003").click()
    page.click(".tile.medium")
    assert page.inner_text("output").startswith("1 of")


def test_search_inside_events(page: Any) -> None:
    page.fill("#search", "ParentProcessGuid 000000000020}")
    page.wait_for_selector("output:text-matches('^0 of')")
    page.get_by_role("button", name="Search inside events").click()
    page.wait_for_selector("output:text-matches('^1 of')")


def test_views_filter_each_other(page: Any) -> None:
    tab(page, "ATT&CK")
    page.get_by_role("button", name=re.compile("PowerShell")).click()
    page.wait_for_selector(f"output:text-matches('^{MATCHES - 1} of')")
    page.get_by_role("button", name="Show what was watched, too").click()
    tab(page, "Hosts")
    page.get_by_role("button", name=re.compile("WS1, Execution")).click()
    page.wait_for_selector(f"output:text-matches('^{MATCHES - 1} of')")
    page.get_by_role("button", name="Clear all").click()
    tab(page, "Rules")
    page.locator("details.rule summary").first.click()
    # What is in a rule's row is made when the row is opened.
    page.locator("details.rule a", has_text="example.com").first.wait_for()
    assert page.locator("details.rule a", has_text="example.com").count() == 1
    assert page.locator("a[href^='javascript']").count() == 0
    assert "javascript:alert(1)" in page.inner_text("details.rule[open]")
    tab(page, "Blind spots")
    assert "no field map recognises: 1" in page.inner_text(".panel.open")
    tab(page, "Account")
    assert "1 unreadable" in page.inner_text(".panel.open")


def test_a_match_has_its_reason_and_its_processes(page: Any) -> None:
    page.click(".match >> text=Files in the temporary folder")
    page.wait_for_selector(".processes")
    detail = page.inner_text(".detail")
    assert "dump.bin" in detail
    tree = page.inner_text(".processes")
    order = ["winword.exe", "cmd.exe", "evil.exe", "this match", "whoami.exe"]
    places = [tree.index(name) for name in order]
    assert places == sorted(places)
    page.click("summary:has-text('Reason')")
    assert "true" in page.inner_text(".why")
    page.click("summary:has-text('Event as it was read')")
    assert "TargetFilename" in page.inner_text(".event pre")


def test_hostile_events_are_shown_harmless(page: Any) -> None:
    """Each hostile value is opened everywhere; what cannot be seen is spelt out."""
    listed = page.locator(".list")
    listed.focus()
    seen = ""
    for _ in range(MATCHES):
        page.keyboard.press("ArrowDown")
        page.wait_for_selector(".detail .event")
        open_all(page, ".detail")
        seen += page.inner_text(".detail")
    for unseen in "\x00\x07\x1b\x9b\u2028\u200b\ufeff" + RLO:
        assert unseen not in seen
    assert "\\u202efdp.exe" in seen
    assert "\\u001b[31mred" in seen
    assert "<img src=x onerror=" in seen
    assert page.locator("script:not(.block)").count() == 1
    assert page.locator("img, iframe, object").count() == 0
    # The last is the value of a megabyte.
    page.get_by_role("button", name=re.compile("Show all 1,00")).click()
    assert "xEND" in page.inner_text(".detail .event pre")


def test_it_is_used_by_keyboard(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("evil")
    page.wait_for_selector("output:text-matches(' of ')")
    page.keyboard.press("Tab")
    for _ in range(60):
        if page.evaluate("document.activeElement.getAttribute('role')") == "tab":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "ATT&CK"
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "listbox"
    page.keyboard.press("End")
    page.wait_for_selector(".detail h2")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.className") == "detail"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "listbox"


def test_the_timeline_zooms(page: Any) -> None:
    page.focus("canvas")
    page.keyboard.press("+")
    assert " of " in page.inner_text("output")
    page.keyboard.press("Home")
    assert page.inner_text("output") == f"{MATCHES} matches"
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 40)
    page.mouse.up()
    assert " of " in page.inner_text("output")
    page.fill("input[aria-label='From, UTC']", "yesterday")
    page.keyboard.press("Enter")
    assert page.get_attribute("input[aria-label='From, UTC']", "aria-invalid") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page: Any, scheme: str) -> None:
    if find_spec("axe_playwright_python") is None:
        pytest.skip("axe-playwright-python, which brings axe-core, is not installed")
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    page.click(".match >> nth=1")
    page.wait_for_selector(".processes")
    for name in ("Matches", "ATT&CK", "Hosts", "Rules", "Blind spots", "Account"):
        tab(page, name)
        open_all(page, ".panel.open")
        found = Axe().run(page).response["violations"]
        grave = [one for one in found if one["impact"] in ("serious", "critical")]
        told = [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in grave]
        assert told == [], name


def test_narrow_pages_do_not_scroll_sideways(page: Any) -> None:
    """At 400 % zoom a screen of 1280 pixels is 320 wide."""
    page.set_viewport_size({"width": 320, "height": 640})
    for name in ("Matches", "ATT&CK", "Hosts", "Rules", "Blind spots", "Account"):
        tab(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, name


def test_it_is_printed_whole(page: Any) -> None:
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#printed tbody tr").count() == MATCHES
    page.emulate_media(media="print")
    printed = page.inner_text("body")
    for text in (
        "Files in the temporary folder",
        "Hosts and tactics",
        "What this run could not see",
    ):
        assert text in printed
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#printed tbody tr").count() == 0


def test_the_theme_is_switched(page: Any) -> None:
    def back() -> str:
        color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return color

    page.emulate_media(color_scheme="light")
    light = back()
    page.click("#theme")
    assert back() == light
    page.click("#theme")
    assert back() != light
    page.click("#theme")
    page.emulate_media(color_scheme="dark")
    assert back() != light


def test_a_long_list_has_few_rows_in_the_page(browser: Any, tmp_path: Path) -> None:
    """Past the height that browsers draw, the bar reaches the last row all the same."""
    rule = carengine.parse_rule('a = search Process:Create where exe = "x" output a')
    path = tmp_path / "long.html"
    size = 200_000
    texts = {
        "summary": [f"row {number}" for number in range(size)],
        "marks": [[4, 5]] * size,
        "source": [""] * size,
    }
    times = array("d", (1_700_000_000_000 + number for number in range(size)))
    columns: list[array[Any]] = [
        times,
        *(array("I", bytes(4 * size)) for _ in range(4)),
        array("I", range(size)),
    ]
    with open(path, "wb") as target:
        document = ReportDocument(target, NO_RULES, "Long")
        document._put("texts-0", "texts", json.dumps(texts).encode())
        names = {"rules": [rule.id], "hosts": ["H"], "users": [""]}
        document._put("names-0", "names", json.dumps(names).encode())
        document._put("index-0", "index", b"".join(column.tobytes() for column in columns))
        document._block = 1
        document.finish({})
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.inner_text("output") == "200,000 matches"
    page.focus(".list")
    page.keyboard.press("End")
    page.wait_for_selector("text=row 199999")
    assert page.locator(".match").count() < 60
    page.close()
