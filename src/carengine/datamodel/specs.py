"""Objects, actions and fields, and finding them by any spelling.

Inside carengine a name of the data model is in snake case: the object ``user_session``, the action
``remote_create``, the field ``image_path``. People write it as they like; every look-up here folds
case, underscores, hyphens and spaces away. Programs are printed with one spelling, the *title*:
``UserSession``, ``RemoteCreate``, ``HTTP``::

    model().object("User Session")                 ObjectSpec "user_session"
    model().object("thread").action("RemoteCreate")   Action "remote_create"
    model().object("process").field("command_Line")   FieldSpec "command_line"
    model().object("flow").field("proto_info.pipe")   FieldSpec "proto_info.pipe", type any
    model().title_of_action("thread", "remote_create")   "Thread:RemoteCreate"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen

from ..ir import Type
from .spellings import fold_name, nearest


def camel_case(name: str) -> str:
    """A name in snake case as programs are printed with it.

    >>> camel_case("remote_create")
    'RemoteCreate'
    """
    return "".join(word.capitalize() for word in name.split("_"))


@frozen
class Action:
    """Something that happens to an object. ``name`` is in snake case."""

    name: str
    description: str

    @property
    def title(self) -> str:
        """The name as programs are printed with it: ``RemoteCreate``."""
        return camel_case(self.name)


@frozen
class FieldSpec:
    """A field of an object.

    ``base_name_of`` names the field of the same object that holds the full path whose last part
    this one is: a text with a separator in it never equals this field. ``extension`` tells fields
    that CAR's model lacks, and ``reason`` why they are here. Below an ``open`` field every dotted
    path is a field as well (``proto_info.pipe``), of type any.
    """

    name: str
    description: str
    type: Type = Type.TEXT
    example: str | None = None
    extension: bool = False
    base_name_of: str | None = None
    reason: str = ""
    open: bool = False


TIME = FieldSpec(
    "time",
    "When the event happened.",
    Type.TIME,
    example="2019-10-27T05:45:39.851Z",
    extension=True,
    reason="Every event has a time, and every analytic that joins or groups events needs it.",
)
"""The field that every object has without saying so."""


@frozen(eq=False)
class ObjectSpec:
    """A kind of thing that events are about.

    ``actions`` and ``fields`` are by name, in the order of the file, ``time`` first. ``identity``
    names the fields that tell one thing of this kind from another; a set difference compares them
    where the program does not say what to compare. ``reason`` says why the object is here, where
    CAR's model lacks it.
    """

    name: str
    title: str
    description: str
    actions: Mapping[str, Action]
    fields: Mapping[str, FieldSpec]
    identity: tuple[str, ...]
    reason: str = ""
    _actions: Mapping[str, Action] = field(init=False, repr=False)
    _fields: Mapping[str, FieldSpec] = field(init=False, repr=False)

    @_actions.default
    def _fold_actions(self) -> Mapping[str, Action]:
        return {fold_name(name): action for name, action in self.actions.items()}

    @_fields.default
    def _fold_fields(self) -> Mapping[str, FieldSpec]:
        return {fold_name(name): spec for name, spec in self.fields.items()}

    def action(self, spelling: str) -> Action | None:
        """The action of this name in any spelling, or None."""
        return self._actions.get(fold_name(spelling))

    def field(self, spelling: str) -> FieldSpec | None:
        """The field of this name in any spelling, or None.

        Below an open field, what follows the first dot is kept as it is written; no part of it may
        be empty.
        """
        top, dot, path = spelling.partition(".")
        spec = self._fields.get(fold_name(top))
        if not dot or spec is None:
            return spec
        if not spec.open or not all(part.strip() for part in path.split(".")):
            return None
        return evolve(
            spec,
            name=f"{spec.name}.{path}",
            description=f"A part of `{spec.name}`. {spec.description}",
            type=Type.ANY,
            example=None,
        )

    def nearest_fields(self, spelling: str, n: int = 3) -> tuple[str, ...]:
        """The names of fields that the spelling may stand for, the likeliest first."""
        return nearest(spelling, self.fields, n)

    def nearest_actions(self, spelling: str, n: int = 3) -> tuple[str, ...]:
        """The names of actions that the spelling may stand for, the likeliest first."""
        return nearest(spelling, self.actions, n)


def _by_name(objects: Iterable[ObjectSpec]) -> Mapping[str, ObjectSpec]:
    return {spec.name: spec for spec in objects}


@frozen(eq=False)
class DataModel:
    """All objects, by name. It can be made from any iterable of ``ObjectSpec``."""

    objects: Mapping[str, ObjectSpec] = field(converter=_by_name)
    _objects: Mapping[str, ObjectSpec] = field(init=False, repr=False)

    @_objects.default
    def _fold_objects(self) -> Mapping[str, ObjectSpec]:
        return {fold_name(name): spec for name, spec in self.objects.items()}

    def object(self, spelling: str) -> ObjectSpec | None:
        """The object of this name in any spelling, or None."""
        return self._objects.get(fold_name(spelling))

    def nearest_objects(self, spelling: str, n: int = 3) -> tuple[str, ...]:
        """The names of objects that the spelling may stand for, the likeliest first."""
        return nearest(spelling, self.objects, n)

    def title_of_action(self, object: str, action: str) -> str:
        """An event kind as programs are printed with it: ``UserSession:Login``.

        Raises ``KeyError`` where there is no such object or action.
        """
        spec = self._objects[fold_name(object)]
        return f"{spec.title}:{spec._actions[fold_name(action)].title}"
