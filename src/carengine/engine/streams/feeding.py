"""What sessions, flows and those who look on ask of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from attrs import frozen

from ... import ir
from ...rule import Rule
from .node import Sink
from .rows import Occurrence, Row

if TYPE_CHECKING:
    from .merging import Output


@frozen
class Stream:
    """A stateful output: its rule, its place among all outputs, and its plan made ready."""

    rule: Rule
    output: str
    place: tuple[int, int]
    plan: ir.Plan


class Feeding(Protocol):
    """What a session asks of its flow while events are fed; `Flow` is one."""

    @property
    def merges(self) -> bool:
        """Whether `merge` is understood."""

    @property
    def clock(self) -> float:
        """How far the clock has come, in microseconds; minus infinity where it has not moved."""

    @property
    def arrived(self) -> Sequence[Sink]:
        """The outputs at which rows have arrived."""

    def is_late(self, time: int) -> bool:
        """Whether an event of this time has come too late."""

    def feed(self, occurrence: Occurrence, stages: Iterable[ir.Stage]) -> None:
        """An event that passed these stages."""

    def merge(self, occurrence: Occurrence, output: Output, stage: ir.Stage) -> None:
        """An event that an output matches by itself, by a stage: one with a sighting."""

    def tick(self, time: int) -> None:
        """An event of this time has come."""

    def take(self) -> list[tuple[Sink, list[Row]]]:
        """The rows that have arrived at outputs."""


Step = TypeVar("Step", bound=Callable[..., None])


class FlowObserver(Protocol):
    """What may look on while a flow works, to tell what its nodes cost."""

    def step(self, rules: Sequence[str], step: Step) -> Step:
        """What is to be called in the place of a step of a node that works for these rules."""
        ...
