"""The page around the data: frame, style and modules, and the policy that binds them.

The modules in ``assets/`` are JavaScript as it is: each imports what it uses from the others. A
file that is opened from a disk cannot import another, so they are written into one script, one
after the other; nothing is translated, and no tool is needed. The policy names that script and the
style by their hashes. It forbids everything else: requests, pictures, frames, forms, other scripts.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from functools import cache
from pathlib import Path

_ASSETS = Path(__file__).parent / "assets"
MODULES = ("text", "dom", "data", "filters", "list", "timeline", "panels", "detail", "main")
"""The modules, each after those that it imports."""
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


@cache
def script() -> str:
    """All modules as one. Raises `ValueError` where one imports what does not come before it."""
    parts: list[str] = []
    for position, name in enumerate(MODULES):
        text = (_ASSETS / f"{name}.js").read_text(encoding="utf-8")
        for other in _IMPORT.findall(text):
            if other not in MODULES[:position]:
                raise ValueError(f"{name}.js imports {other}.js, which comes later")
        parts.append(_EXPORT.sub("", _IMPORT.sub("", text)))
    joined = "\n" + "\n".join(parts)
    if "</script" in joined.lower() or "<!--" in joined:
        raise ValueError("a module has a text that would end the script")
    return joined


@cache
def style() -> str:
    """The style sheet."""
    return "\n" + (_ASSETS / "page.css").read_text(encoding="utf-8")


def policy() -> str:
    """The content security policy of the page."""
    return (
        f"default-src 'none'; script-src '{_hash(script())}'; style-src '{_hash(style())}'; "
        "base-uri 'none'; form-action 'none'"
    )


def page_start(title: str) -> bytes:
    """Everything before the data."""
    frame = (_ASSETS / "page.html").read_text(encoding="utf-8")
    return (
        frame.replace("{{policy}}", html.escape(policy()))
        .replace("{{style}}", style())
        .replace("{{title}}", html.escape(title))
        .encode("utf-8", "backslashreplace")
    )


def page_end() -> bytes:
    """Everything after the data."""
    return f'<script type="module">{script()}</script>\n</body>\n</html>\n'.encode()


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
