"""Azure's side of the landing zones: one storage account per sandbox, made when it is first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tests.emulators.blob.azurite import SharedAzurite
from tests.emulators.blob.switches import BlobSwitches

if TYPE_CHECKING:
    from tests.emulators.blob.container import Container


class BlobState:
    """The containers of this process. ``url`` is the proxy's address, known once it listens."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.url = ""
        self.before_request: Callable[[], Awaitable[None]]
        """Called before anything is read, changed or deleted."""
        self.switches = BlobSwitches()
        self._azurite = SharedAzurite()
        self._accounts: dict[str, Container] = {}
        self._owners: dict[str, Container] = {}
        self._spare: list[Container] = []
        self._making = asyncio.Lock()

    def reset(self) -> None:
        """Default switches, and containers that begin anew when they are next needed."""
        for name, value in BlobSwitches():
            setattr(self.switches, name, value)
        self._spare += self._owners.values()
        self._owners.clear()

    async def container(self, owner: str) -> Container:
        """The container of a sandbox. Starts Azurite first, which takes some seconds; raises ToolError."""
        async with self._making:
            if owner not in self._owners:
                found = self._spare.pop() if self._spare else await self._new()
                await found.begin()
                self._owners[owner] = found
            return self._owners[owner]

    def of_account(self, name: str) -> Container | None:
        """The container of an account in use."""
        return self._accounts.get(name)

    async def close(self) -> None:
        """Remove the containers and leave Azurite."""
        for container in self._accounts.values():
            await container.close()
        self._azurite.leave()

    def dump(self) -> dict[str, Any]:
        """The accounts, by sandbox."""
        return {owner: {"account": found.account.name} for owner, found in self._owners.items()}

    def snapshot(self) -> Any:
        """Nothing: blobs live for days only, and no snapshot holds them."""
        return {}

    def restore(self, snapshot: Any) -> None:
        """Nothing."""

    async def _new(self) -> Container:
        # Microsoft's SDK takes a while to import, and most users of the emulators have no landing zone.
        from tests.emulators.blob.container import Container

        account = await asyncio.to_thread(self._azurite.account)
        found = Container(account, self.now, lambda: self.switches.lifeSeconds)
        self._accounts[account.name] = found
        return found
