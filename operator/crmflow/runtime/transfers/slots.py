"""Who wants to extract, and who may next, in each organization."""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.reconcile.extraction.slots import Waiting, served


class SlotQueue:
    """The dataflows that wait for a slot, and those that hold one without a Job yet: between the answer that
    they may start one and the Job nobody else may be told the same.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._waiting: dict[str, tuple[str, Waiting]] = {}
        self._holding: dict[str, tuple[str, int]] = {}
        """Organization and expected credits, by uid."""

    def ask(self, organization: str, waiting: Waiting, credits: int, running: int) -> bool:
        """Whether the dataflow holds a slot from now on, while ``running`` are taken by Jobs; it waits
        otherwise.
        """
        held, _ = self._holding.get(waiting.uid, (None, 0))
        if held == organization:
            self._holding[waiting.uid] = (organization, credits)
            return True
        self.leave(waiting.uid)
        self._waiting[waiting.uid] = (organization, waiting)
        if waiting not in self.next(organization, running):
            return False
        del self._waiting[waiting.uid]
        self._holding[waiting.uid] = (organization, credits)
        return True

    def leave(self, uid: str) -> str | None:
        """The dataflow neither waits nor holds a slot; the organization where it did either."""
        waited, _ = self._waiting.pop(uid, (None, None))
        held, _ = self._holding.pop(uid, (waited, 0))
        return held

    def next(self, organization: str, running: int) -> Sequence[Waiting]:
        """Those that would be given a slot now, while ``running`` are taken by Jobs."""
        waiting = [one for where, one in self._waiting.values() if where == organization]
        holding = sum(where == organization for where, _ in self._holding.values())
        return served(waiting, running + holding, self._slots)

    def credits(self, organization: str, besides: str) -> int:
        """What those who hold a slot are expected to spend, without the dataflow ``besides``."""
        holding = self._holding.items()
        return sum(cost for uid, (where, cost) in holding if where == organization and uid != besides)

    def uids(self) -> set[str]:
        """Of all who wait or hold one."""
        return {*self._waiting, *self._holding}
