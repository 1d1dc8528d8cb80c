"""What a field holds, as far as the form of a text can be held against it.

Of CAR's fields the data model says it. Of fields under the names of a log (Sysmon's, as Sigma rules
use them, and the Elastic Common Schema's) a table says it, after their documentation:
https://learn.microsoft.com/sysinternals/downloads/sysmon and
https://www.elastic.co/guide/en/ecs/current/ecs-field-reference.html.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import cache

from attrs import frozen

from .. import ir
from ..datamodel import model
from ..solver.facts import Facts


class FieldForm(enum.Enum):
    """The kinds of texts whose form is known."""

    PATH = "the full path of a file"
    NAME = "the name of a file, without its folder"
    KEY = "the path of a registry key"
    DOTTED_EXTENSION = "the end of a file's name, from its last dot on"
    EXTENSION = "the end of a file's name, behind its last dot"
    INTEGRITY = "an integrity level"
    HASH = "a hash"
    HASHES = "hashes, each behind its name"
    NUMBER = "a number"
    ADDRESS = "an IP address"


@frozen
class KnownForm:
    """What a field holds. ``digits`` is how many a hash has; ``native`` tells a log's own field."""

    form: FieldForm
    digits: int = 0
    native: bool = False


DIGITS: Mapping[str, int] = {"md5": 32, "imphash": 32, "sha1": 40, "sha256": 64}
"""How many hexadecimal digits the hashes have that logs name."""

_NATIVE: Mapping[FieldForm, tuple[str, ...]] = {
    FieldForm.PATH: (
        "Image",
        "ImageLoaded",
        "NewProcessName",
        "ParentImage",
        "ParentProcessName",
        "SourceImage",
        "TargetFilename",
        "TargetImage",
        "dll.path",
        "file.path",
        "process.executable",
        "process.parent.executable",
    ),
    FieldForm.NAME: (
        "OriginalFileName",
        "dll.name",
        "file.name",
        "process.name",
        "process.parent.name",
        "process.pe.original_file_name",
    ),
    FieldForm.KEY: ("TargetObject", "registry.path"),
    FieldForm.EXTENSION: ("file.extension",),
    FieldForm.INTEGRITY: ("IntegrityLevel", "winlog.event_data.IntegrityLevel"),
    FieldForm.HASHES: ("Hashes",),
    FieldForm.NUMBER: (
        "DestinationPort",
        "EventID",
        "ParentProcessId",
        "ProcessId",
        "SourcePort",
        "destination.port",
        "process.pid",
        "source.port",
    ),
    FieldForm.ADDRESS: ("DestinationIp", "SourceIp", "destination.ip", "source.ip"),
}
_BY_NAME = {name: KnownForm(form, native=True) for form, names in _NATIVE.items() for name in names}
_OF_HASHES = ("dll.hash.", "file.hash.", "process.hash.", "process.parent.hash.", "process.pe.")
_HASH_NAMES = {"md5_hash": 32, "sha1_hash": 40, "sha256_hash": 64, "imphash": 32}


def form_of(value: ir.Value, facts: Facts) -> KnownForm | None:
    """What a field of a plan's rows holds; None where nothing is known that its texts can be held
    against."""
    if not isinstance(value, ir.Field):
        return None
    specs = facts.specs(value)
    if specs:
        found = {
            _of_spec(spec.name, spec.type, base=spec.base_name_of is not None) for spec in specs
        }
        return next(iter(found)) if len(found) == 1 else None
    if value.source is None and _is_of_a_log(facts.plan):
        return _of_log(value.name)
    return None


def _is_of_a_log(plan: ir.Plan) -> bool:
    """Whether the rows are events under the names of a log, not CAR's."""
    while isinstance(plan, ir.Filter | ir.Distinct):
        plan = plan.plan
    return isinstance(plan, ir.Search) and all(
        kind.object not in model().objects for kind in plan.kinds
    )


def _of_log(name: str) -> KnownForm | None:
    found = _BY_NAME.get(name)
    if found is not None:
        return found
    for start in _OF_HASHES:
        if name.startswith(start) and name.removeprefix(start) in DIGITS:
            return KnownForm(FieldForm.HASH, DIGITS[name.removeprefix(start)], native=True)
    if name.lower() in DIGITS:
        return KnownForm(FieldForm.HASH, DIGITS[name.lower()], native=True)
    return None


def _of_spec(name: str, type_: ir.Type, *, base: bool) -> KnownForm | None:
    if base:
        return KnownForm(FieldForm.NAME)
    if name in _paths():
        return KnownForm(FieldForm.PATH)
    if name in _HASH_NAMES:
        return KnownForm(FieldForm.HASH, _HASH_NAMES[name])
    match name, type_:
        case "extension", _:
            return KnownForm(FieldForm.DOTTED_EXTENSION)
        case "integrity_level", _:
            return KnownForm(FieldForm.INTEGRITY)
        case "key", _:
            return KnownForm(FieldForm.KEY)
        case _, ir.Type.INTEGER | ir.Type.NUMBER:
            return KnownForm(FieldForm.NUMBER)
        case _, ir.Type.ADDRESS:
            return KnownForm(FieldForm.ADDRESS)
        case _:
            return None


@cache
def _paths() -> frozenset[str]:
    """The fields that hold a full path: those whose last part another field holds."""
    return frozenset(
        spec.base_name_of
        for one in model().objects.values()
        for spec in one.fields.values()
        if spec.base_name_of is not None
    )
