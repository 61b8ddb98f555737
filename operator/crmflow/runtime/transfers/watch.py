"""Follows the objects of one kind that have our labels: listed, watched, and listed again when that is
needed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crmflow.clock import Clock
from crmflow.runtime.kubernetes.errors import ExpiredError, KubernetesError
from crmflow.runtime.kubernetes.jobs import Jobs, ListedKind
from crmflow.runtime.transfers.store import Store

log = logging.getLogger("crmflow.transfers")

WATCH_SECONDS = 240
"""A watch ends by itself and begins again; neither liveness nor freshness may depend on bookmarks."""
RECONNECT_SECONDS = (0.2, 15.0)
_REFUSALS = (403, 404)


@dataclass
class StoreWatch:
    """Keeps a store equal to what the API server has."""

    api: Jobs
    what: ListedKind
    selector: str
    store: Store[Any]
    clock: Clock
    answered: Callable[[ListedKind, KubernetesError | None], None]
    """Is told whether listing and watching are allowed: why they are not, or None."""

    def __post_init__(self) -> None:
        self._version: str | None = None
        self._refusal: KubernetesError | None = None
        """Of the watch: that listing is allowed does not end it."""
        self._pause = RECONNECT_SECONDS[0]

    async def list(self) -> None:
        """List everything. Raises KubernetesError if the API server can't be asked; that it refuses is only
        told.
        """
        try:
            version, objects = await self.api.list(self.what, self.selector)
        except KubernetesError as error:
            self._version = None
            if error.status not in _REFUSALS:
                raise
            self.answered(self.what, error)
            return
        self.answered(self.what, self._refusal)
        self.store.listed(version, objects)
        self._version = version

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            try:
                if self._version is None:
                    await self.list()
                if self._version is not None:
                    await self._watch(self._version)
                    self._pause = RECONNECT_SECONDS[0]
            except KubernetesError as error:
                if error.status in _REFUSALS:
                    self._version, self._refusal = None, error
                    self.answered(self.what, error)
                elif isinstance(error, ExpiredError):
                    self._version = None
                else:
                    log.warning("The watch of %s of transfers was interrupted: %s", self.what.plural, error)
            await self.clock.sleep(self._pause)
            self._pause = min(RECONNECT_SECONDS[1], self._pause * 2)

    async def _watch(self, version: str) -> None:
        """Take in what changes after ``version`` until the watch ends. Raises KubernetesError."""
        watching = self.api.watch(self.what, self.selector, version, WATCH_SECONDS, self._connected)
        async for kind, obj in watching:
            self._version, self._pause = obj["metadata"]["resourceVersion"], RECONNECT_SECONDS[0]
            if kind == "DELETED":
                self.store.gone(obj["metadata"]["name"])
            elif kind != "BOOKMARK":
                self.store.see(obj)

    def _connected(self) -> None:
        self._refusal = None
        self.answered(self.what, None)
