"""What the site has beside the pages in this folder: the papers that lie at the top of the
repository.

A hook of MkDocs (`mkdocs.yml`). The README is the site's first page; CONTRIBUTING, CHANGELOG and
SECURITY are pages. Their links into ``docs/`` and to each other are turned to the pages' places, and
links of pages to them likewise. Links to ``examples/`` become code: a site has no place for them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

TOP = Path(__file__).parents[1]
PAPERS = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the papers as pages."""
    for name, page in PAPERS.items():
        text = (TOP / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_LINK.sub(_from_the_top, text)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links of a page to the papers."""
    return _LINK.sub(_from_a_page, markdown)


def _from_the_top(link: re.Match[str]) -> str:
    text, target = link[1], link[2]
    path, _, anchor = target.partition("#")
    if path in PAPERS:
        return f"[{text}]({PAPERS[path]}{'#' + anchor if anchor else ''})"
    if path.startswith("docs/"):
        return f"[{text}]({target.removeprefix('docs/')})"
    if path.startswith("examples/"):
        return f"`{path}`"
    return link[0]


def _from_a_page(link: re.Match[str]) -> str:
    text, target = link[1], link[2]
    up = re.fullmatch(r"((?:\.\./)+)([\w./-]+)", target)
    if up is None:
        return link[0]
    if up[2] in PAPERS:
        steps = up[1].count("../") - 1
        return f"[{text}]({'../' * steps}{PAPERS[up[2]]})"
    if up[2].startswith("examples/"):
        return f"`{up[2]}`"
    return link[0]
