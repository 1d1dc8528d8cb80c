"""Imports run one way, and importing carengine loads nothing that is heavy.

Which part of the package may import which is the table of layers in docs/architecture.md: it is
read here, so that the page and the test cannot disagree.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import carengine

PACKAGE = Path(carengine.__file__).parent
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"


def declared() -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    """What each part may import, as the table says, and which parts are foundations."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    table = text.split("<!-- layers -->")[1].split("<!-- /layers -->")[0]
    allowed: dict[str, frozenset[str]] = {}
    foundations: set[str] = set()
    everything: set[str] = set()
    for line in table.strip().splitlines()[2:]:
        layer, parts, _, imports = (cell.strip() for cell in line.strip("| ").split(" | ", 3))
        names = re.findall(r"`(\w+)`", parts)
        assert names, line
        if layer == "foundation":
            foundations.update(names)
        for name in names:
            assert name not in allowed, f"{name} has two rows"
            allowed[name] = frozenset(re.findall(r"`(\w+)`", imports))
            if imports == "everything":
                everything.add(name)
    for name in allowed.keys() - foundations:
        whole = frozenset(allowed) if name in everything else allowed[name] | foundations
        allowed[name] = whole
    return allowed, frozenset(foundations)


ALLOWED, FOUNDATIONS = declared()
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: Path) -> str:
    """The package (or the single module) directly below carengine that a file belongs to."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported(module: Path) -> Iterator[tuple[int, str]]:
    """What a module imports of carengine, as parts directly below it, with the lines."""
    package = ("carengine", *module.relative_to(PACKAGE).with_suffix("").parts)[:-1]
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names: list[tuple[str, ...]] = []
        match node:
            case ast.Import(aliases):
                names = [tuple(alias.name.split(".")) for alias in aliases]
            case ast.ImportFrom(target, aliases, level):
                base = package[: len(package) - level + 1] if level else ()
                whole = (*base, *(target.split(".") if target else ()))
                names = [(*whole, alias.name) for alias in aliases]
        for name in names:
            if name[0] == "carengine" and len(name) > 1:
                yield getattr(node, "lineno", 0), name[1]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_what_its_layer_may(module: Path) -> None:
    own = part_of(module)
    if own == "__init__":
        return
    for line, other in imported(module):
        if other not in (own, "__version__"):
            assert other in ALLOWED[own], f"{module}:{line}: {own} imports {other}"


def test_the_table_has_every_part_and_no_more() -> None:
    assert {part_of(module) for module in MODULES} - {"__init__"} == set(ALLOWED)


def test_no_part_imports_in_a_circle() -> None:
    """Between parts, whatever their layers."""
    edges: dict[str, set[str]] = {}
    for module in MODULES:
        own = part_of(module)
        if own != "__init__":
            edges.setdefault(own, set()).update(
                other for _, other in imported(module) if other not in (own, "__version__")
            )
    done: list[str] = []
    while edges:
        free = sorted(part for part, others in edges.items() if others <= set(done))
        assert free, f"a circle among {sorted(edges)}"
        done += free
        for part in free:
            del edges[part]


# Modules that others may import from, past the face of their package: each is a subject of its own.
PUBLIC_MODULES = {
    "datamodel": {"shipped"},
    "diagnostics": {"codes"},
    "engine": {"compiled", "recording"},
    "languages": {"event_table", "expanded", "lowered", "reading", "translation", "writing"},
    "languages.car": {
        *("carfile", "caryaml", "formatting", "implementations", "page", "page_writer"),
        "published",
    },
    "languages.sigma": {
        "arrays",
        "condition",
        "detection",
        "document",
        "formatting",
        "query_reader",
    },
    "languages.elastic": {"rules"},
    "languages.sql": {"dialects", "plans"},
    "languages.two_valued": {"rewriter"},
    "loading": {"corpus", "files", "formats", "placeholders"},
    "readers": {"follow", "pieces"},
    "regex": {"automaton", "literals"},
    "rule": {"drafts", "frontmatter", "model"},
    "solver": {"differences", "facts", "satisfiability", "texts"},
    "syntax": {"ast", "lexical", "parser", "walking"},
    "verify": {"corpus"},
}


def reached(module: Path) -> Iterator[tuple[int, str, str]]:
    """The modules of other parts that a module imports from: package, module, with the lines."""
    own = module.relative_to(PACKAGE).with_suffix("").parts
    package = own[:-1]
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(target, aliases, level) if level:
                base = (*package[: len(package) - level + 1], *(target or "").split("."))
                whole = tuple(filter(None, base))
                for name in [whole, *((*whole, alias.name) for alias in aliases)]:
                    is_module = PACKAGE.joinpath(*name).with_suffix(".py").is_file()
                    if is_module and len(name) > 1 and name[0] != own[0]:
                        yield node.lineno, ".".join(name[:-1]), name[-1]
            case _:
                pass


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_parts_are_used_by_their_faces(module: Path) -> None:
    """What another part needs is in the face of a package, or in a module meant for it."""
    if module.parent == PACKAGE:
        return
    for line, package, name in reached(module):
        allowed = PUBLIC_MODULES.get(package, set())
        assert name in allowed, f"{module}:{line}: {name} is not in the face of {package}"


def private_uses(source: str) -> Iterator[tuple[int, str]]:
    """Where a module sets a private attribute of another object, or uses one that is not its own.

    Objects of one module may know each other, and a class method knows the objects that it makes.
    Patching by ``setattr`` or by ``vars(…).update`` counts too.
    """
    tree = ast.parse(source)
    own: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name) | ast.AnnAssign(ast.Name(name)):
                own.add(name)
            case ast.Assign(targets):
                own.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.Attribute(ast.Name("self" | "cls"), name):
                own.add(name)
            case _:
                pass
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name("self" | "cls")):
                pass
            case ast.Attribute(ast.Call(ast.Name("super"))):
                pass
            case ast.Attribute(attr=name) if not name.startswith("_") or name.endswith("__"):
                pass
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield node.lineno, ast.unparse(node)
            case ast.Attribute(value, name):
                known = ast.unparse(value) in ("os", "zlib")  # `os._exit`, `zlib._Decompress`
                if name not in own and not known:
                    yield node.lineno, ast.unparse(node)
            case ast.Call(ast.Name("setattr" | "delattr")):
                yield node.lineno, ast.unparse(node)
            case ast.Call(ast.Attribute(ast.Call(ast.Name("vars")), "update")):
                yield node.lineno, ast.unparse(node)
            case _:
                pass


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_reaches_into_other_objects(module: Path) -> None:
    assert not list(private_uses(module.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("session._flow = flow", True),
        ("self.session._flow = flow", True),
        ("del session._flow", True),
        ("session._flow += 1", True),
        ("print(session._flow)", True),
        ("setattr(node, 'push', timed)", True),
        ("vars(self).update(learned)", True),
        ("self._flow = flow", False),
        ("super()._flow()", False),
        ("session.flow = flow", False),
        ("type(value).__name__", False),
    ],
)
def test_what_reaches_into_other_objects(line: str, refused: bool) -> None:
    assert bool(list(private_uses(line))) is refused


def test_no_module_is_called() -> None:
    """A module whose class was changed, so that it could be called like a function."""
    for module in MODULES:
        text = module.read_text(encoding="utf-8")
        assert "ModuleType" not in text, module
        assert "__class__ =" not in text, module


def test_files_are_short() -> None:
    long = {
        str(module.relative_to(PACKAGE)): lines
        for module in MODULES
        # The declarations of codes are a list; there is nothing in it to take apart.
        if module.name != "codes.py"
        and (lines := len(module.read_text(encoding="utf-8").splitlines())) > 700
    }
    assert not long


def test_importing_carengine_loads_nothing_heavy() -> None:
    script = "import sys, carengine; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(PACKAGE.parent)},
    )
    loaded = set(done.stdout.split())
    assert "carengine" in loaded
    assert not loaded & {"lark", "yaml", "re2", "attrs", "attr", "rich", "orjson", "ipaddress"}


def test_everything_public_is_there_and_says_what_it_is() -> None:
    assert set(carengine.__all__) <= set(dir(carengine))
    for name in carengine.__all__:
        assert getattr(carengine, name).__doc__, name
    with pytest.raises(AttributeError):
        _ = carengine.no_such_name


def _modules(module: Path) -> Iterator[str]:
    """The packages that a module imports from outside carengine."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(aliases):
                yield from (alias.name.split(".")[0] for alias in aliases)
            case ast.ImportFrom(str(target), _, 0):
                yield target.split(".")[0]


def test_no_executable_configuration_and_no_network() -> None:
    """What would make untrusted input dangerous is not there to be called."""
    forbidden = {"eval", "exec", "compile", "__import__"}
    # Processes of one run exchange messages over their own pipes; no file is ever read this way.
    unpacking = {"pickle", "marshal", "shelve", "dill"}
    network = {"socket", "urllib", "http", "ssl", "ftplib", "requests", "subprocess", "ctypes"}
    for module in MODULES:
        # `diff` has git write the files of a revision into an archive.
        git = module.relative_to(PACKAGE).as_posix() == "cli/revisions.py"
        networked = network - {"subprocess"} if git else network
        if module.relative_to(PACKAGE).as_posix() != "runner/pool.py":
            assert not unpacking & set(_modules(module)), module
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(ast.Name(name)):
                    assert name not in forbidden, f"{module}: {name}"
                case ast.Import(aliases):
                    assert not {a.name.split(".")[0] for a in aliases} & networked, module
                case ast.ImportFrom(str(target), _, 0):
                    assert target.split(".")[0] not in networked, module
