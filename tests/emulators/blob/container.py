"""A container of Azurite: who may use it, and when each blob was last changed on the emulators' clock."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import AccessPolicy, ContainerSasPermissions, generate_container_sas
from azure.storage.blob.aio import ContainerClient

from tests.emulators.blob.azurite import CONTAINER, Account

_PERMISSIONS = "racwdlm"
_POLICY_LIFE = timedelta(days=3650)


@dataclass(frozen=True)
class Blob:
    """A blob as its folder shows it; ``changed`` in whole seconds of the emulators' clock."""

    name: str
    size: int
    changed: int


@dataclass(frozen=True)
class Sas:
    """A shared access signature that rests on a stored access policy."""

    policy: str
    token: str


class Container:
    """One container, alone in its account. The policies live long in Azurite; when they end is kept here."""

    def __init__(self, account: Account, now: Callable[[], float], life: Callable[[], float]) -> None:
        """``life`` gives the seconds that a blob lives."""
        self.account = account
        self._now = now
        self._life = life
        self._ends: dict[str, float] = {}
        self._changed: dict[str, int] = {}
        self._azurite = ContainerClient(
            account.url,
            CONTAINER,
            credential={"account_name": account.name, "account_key": account.key},
            retry_total=0,
        )
        self._busy = asyncio.Lock()

    async def begin(self) -> None:
        """Exist, without a blob; what an earlier user left is gone."""
        with suppress(ResourceNotFoundError):
            await self._azurite.delete_container()
        await self._azurite.create_container()
        self._ends.clear()
        self._changed.clear()

    async def close(self) -> None:
        """Remove the container, if Azurite is still there to do it."""
        with suppress(AzureError):
            await self._azurite.delete_container()
        await self._azurite.close()

    # Signatures

    async def sas(self, ends: float) -> Sas:
        """A new one for the whole container, until ``ends``; every earlier one ends now."""
        policy = f"dlz-{uuid.uuid4()}"
        kept = AccessPolicy(permission=_PERMISSIONS, start=None, expiry=datetime.now(UTC) + _POLICY_LIFE)
        await self._azurite.set_container_access_policy({policy: kept})
        self._ends = dict.fromkeys(self._ends, 0.0) | {policy: ends}
        token = generate_container_sas(
            self.account.name,
            CONTAINER,
            account_key=self.account.key,
            policy_id=policy,
            permission=ContainerSasPermissions.from_string(_PERMISSIONS),
        )
        return Sas(policy, token)

    def has_ended(self, policy: str) -> bool:
        """Whether a signature on that policy was good once, and is no longer."""
        return self._ends.get(policy, float("inf")) <= self._now()

    # Blobs

    def note_change(self, name: str, at: float | None = None) -> None:
        """The blob was committed or changed, just now unless ``at`` says otherwise."""
        self._changed[name] = int(self._now() if at is None else at)

    def changed(self, name: str) -> int | None:
        """When the blob was last changed; None if that was not through the proxy, or before its time."""
        return self._changed.get(name)

    async def expire(self) -> None:
        """Delete what is too old: folders go with their blobs (E.1)."""
        due = int(self._now()) - self._life()
        async with self._busy:
            for name in [name for name, changed in self._changed.items() if changed <= due]:
                del self._changed[name]
                with suppress(ResourceNotFoundError):
                    await self._azurite.delete_blob(name)

    async def blobs(self, prefix: str = "", *, expired: bool = False) -> list[Blob]:
        """The blobs below ``prefix``, by name; with ``expired`` also those that are due to be deleted."""
        if not expired:
            await self.expire()
        return [
            Blob(found.name, found.size, self._changed.get(found.name, int(found.last_modified.timestamp())))
            async for found in self._azurite.list_blobs(name_starts_with=prefix or None)
        ]

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """The content of a blob in pieces; raises ResourceNotFoundError."""
        download = await self._azurite.download_blob(name)
        async for chunk in download.chunks():
            yield chunk
