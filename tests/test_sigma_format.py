"""The canonical form of Sigma files: what a file says stays, comments too."""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carengine import CarError
from carengine.cli import main
from carengine.languages.sigma.formatting import format_sigma

MESSY = r"""# A header.

logsource: {product: windows, category: process_creation, definition: "what"}
title: 'A title'   # the title

# above the id
id: "aaaaaaaa-0000-4000-8000-000000000001"
level:   high
detection:
  # about the condition
  condition: 1 of sel* and not filter


  sel_a: # behind a key
    - Image|endswith: \a.exe
      CommandLine|contains|all:
      - "it's"
      - plain   # behind an item
      # - at the end
    # before an item
    - 'EventID': 4688
      Hash: "\x41\\n"
  sel_b:
    '|all':
        - on
        - 'x: y'
  filter:
    Text: |   # of a block
      one
        two

      three
    Null:
    Empty: []
    Day: 2024-01-02
tags:
- attack.t1003
# the end
x_own: 'null'
date: 2024-01-02
description:
   folded
   over lines
"""

CANONICAL = r"""# A header.

title: A title # the title

# above the id
id: aaaaaaaa-0000-4000-8000-000000000001
description: folded over lines
date: 2024-01-02
tags:
    - attack.t1003
logsource:
    category: process_creation
    product: windows
    definition: what
detection:

    sel_a: # behind a key
        - Image|endswith: '\a.exe'
          CommandLine|contains|all:
              - "it's"
              - 'plain' # behind an item
              # - at the end
        # before an item
        - EventID: 4688
          Hash: 'A\n'
    sel_b:
        '|all':
            - 'on'
            - 'x: y'
    filter:
        Text: | # of a block
            one
              two

            three
        Null:
        Empty: []
        Day: '2024-01-02'
    # about the condition
    condition: 1 of sel* and not filter
level: high
# the end
x_own: 'null'
"""


def test_the_canonical_form() -> None:
    assert format_sigma(MESSY) == CANONICAL
    assert format_sigma(CANONICAL) == CANONICAL


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ("", ""),
        ("# nothing else\n", "# nothing else\n"),
        ("title: a\r\nid: b\r\n", "title: a\nid: b\n"),
        ("id: b\n---\ntitle: c\n--- # d\ne: f\n", None),
        ("action: global\nid: 1\n---\n# next\ndetection: {a: [x]}\n", None),
        ("title: '2024-01-02'\n", "title: '2024-01-02'\n"),
        ("title: yes\n", "title: 'yes'\n"),
        ("detection:\n    a:\n        - - b\n", None),
        ("title: >-\n  a\n  b\n\n  c\n", "title: >-\n    a\n    b\n\n    c\n"),
        ('detection: {a: {b: "\'\\\\"}}\n', "detection:\n    a:\n        b: '''\\'\n"),
        ("a: # one\n  # two\n  b\n", None),
        ("- # one\n  a: b\n", None),
        ("a: 'b # no comment' # one\n", "a: 'b # no comment' # one\n"),
        ("a: b#c\n", "a: b#c\n"),
        ("a:\n    - b\n\n\n\n    - c\n", "a:\n    - b\n\n    - c\n"),
        ("a: |\n  # no comment\n  b\n# one\n", "a: |\n    # no comment\n    b\n# one\n"),
        ("a: {b: c, # one\n  d: e} # two\n", None),
        ('a: "\\u2028\\0"\n', 'a: "\\u2028\\x00"\n'),
    ],
)
def test_layouts(text: str, better: str | None) -> None:
    made = format_sigma(text)
    assert format_sigma(made) == made
    assert better is None or made == better


@pytest.mark.parametrize(
    "text", ["a: !!str 1\n", "a: |1\n  b\n", "a: |+\n  b\n\n\nc: d\n", "a: [", "a: &x b\nc: *x\n"]
)
def test_what_has_no_canonical_form_is_left(text: str) -> None:
    with pytest.raises(CarError):
        format_sigma(text)


SCALARS = st.one_of(
    st.text(st.sampled_from("a'\"#:-\\ \n\t1.*é\u2028{}[]|>%@&"), max_size=8),
    st.sampled_from(["on", "null", "0x10", "1_000", "12:30", "2024-01-01", "~", "-", "- a"]),
    st.integers(-5, 99),
    st.none(),
    st.booleans(),
)
NODES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["title", "detection", "b|c", "|all", "#x"]), inner),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["level", "detection", "title", "x"]), NODES, min_size=1),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_values_with_comments_between(
    values: dict[str, object], flow: bool, pick: random.Random
) -> None:
    """What `format_sigma` gives says the same, or it raises: never anything else."""
    import yaml

    text = yaml.safe_dump(values, default_flow_style=flow, sort_keys=False, allow_unicode=True)
    lines = text.split("\n")
    for _ in range(2):
        place = pick.randrange(len(lines))
        lines[place : place + 1] = [lines[place], " " * pick.randrange(9) + "# a comment"]
    for candidate in (text, "\n".join(lines)):
        try:
            made = format_sigma(candidate)
        except CarError:
            continue
        assert format_sigma(made) == made


def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_bytes(b"\xef\xbb\xbf" + MESSY.encode())
    (tmp_path / "other.yml").write_text("a: 'no rule'\n")
    assert main(["fmt", "--check", str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{rule}\n"
    assert main(["fmt", "--diff", str(tmp_path)]) == 0
    assert "+title: A title # the title" in capsys.readouterr().out
    assert main(["fmt", "--write", str(tmp_path)]) == 0
    assert rule.read_bytes() == b"\xef\xbb\xbf" + CANONICAL.encode()
    assert main(["fmt", "--check", str(tmp_path)]) == 0
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(MESSY.encode())))
    assert main(["fmt", "-"]) == 0
    assert capsys.readouterr().out == CANONICAL
    rule.write_text(MESSY + "y: !!str 1\n")
    assert main(["fmt", "--write", str(rule)]) == 2
    assert "CE813" in capsys.readouterr().err
    assert rule.read_text() == MESSY + "y: !!str 1\n"


SHARED = Path(__file__).parents[2] / "shared" / "sigma" / "sigmahq-rules-all.tar.gz"


@pytest.mark.skipif(not SHARED.is_file(), reason="SigmaHQ's rules are not here")
def test_a_sample_of_sigmahq() -> None:
    """`format_sigma` reads what it has written again, and compares; it must not give up."""
    with tarfile.open(SHARED) as archive:
        members = [m for m in archive.getmembers() if m.name.endswith(".yml")]
        for member in random.Random(13).sample(members, 120):
            content = archive.extractfile(member)
            assert content is not None
            format_sigma(content.read().decode(), member.name)
