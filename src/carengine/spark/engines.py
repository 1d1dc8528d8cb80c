"""The engine where the work is done: sent once, made once for each Python worker."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from ..engine import Engine, ShardPlan

# A worker is used for one job after the other, and may meet several sets of rules.
_KEPT = 2
_KNOWN: OrderedDict[tuple[str, int, bool], ShardPlan] = OrderedDict()


@frozen
class SentEngine:
    """An engine on its way to the workers: rules and field maps as plain data.

    ``data`` is a broadcast of Spark, where the session has such; its ``value`` is what
    `Engine.dump` gave. Loading it runs no code.
    """

    data: Any = field(repr=False)
    name: str
    shards: int
    live: bool = False

    def plan(self) -> ShardPlan:
        """The engine with its shards; it is made for the first task of a worker."""
        key = (self.name, self.shards, self.live)
        plan = _KNOWN.get(key)
        if plan is None:
            value = self.data if isinstance(self.data, bytes) else self.data.value
            plan = _KNOWN[key] = ShardPlan(Engine.load(value), self.shards, live=self.live)
            while len(_KNOWN) > _KEPT:
                _KNOWN.popitem(last=False)
        _KNOWN.move_to_end(key)
        return plan


def sent(plan: ShardPlan, broadcast: Callable[[bytes], Any] | None) -> SentEngine:
    """An engine for the workers, divided as a plan says. Without ``broadcast`` (Spark Connect has
    none) it goes along with each task."""
    data = plan.engine.dump()
    name = hashlib.sha256(data).hexdigest()
    packed = data if broadcast is None else broadcast(data)
    return SentEngine(packed, name, plan.count, plan.live)
