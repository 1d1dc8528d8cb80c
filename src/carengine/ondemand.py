"""Names of a package that are imported when they are first used.

A package that hands on the names of its modules would load all of them for one name. In its
``__init__`` this stands behind the imports that type checkers read::

    if TYPE_CHECKING:
        from .drafting import draft_map, map_name
    else:
        __getattr__ = names_on_demand(globals(), drafting="draft_map map_name")
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def names_on_demand(package: dict[str, Any], **modules: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package that hands on names of its modules, with blanks between
    them. ``package`` are its own names.

    It raises `AttributeError` for any other name, as every module does.

    >>> get = names_on_demand({"__name__": "carengine.fieldmap"}, model="unwrap view")
    >>> get("unwrap")({"a": 1})
    {'a': 1}
    """
    module_of = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> Any:
        module = module_of.get(name)
        if module is None:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        value = getattr(import_module(f".{module}", package["__name__"]), name)
        package[name] = value  # looked up once
        return value

    return get
