"""The token store: one Secret per credential, in the operator's own namespace.

So a restart asks for no token, a crash loop does not use a service's budget up, and a resource can still be
deleted when the user's Secret went first. Users' Secrets are only read; this is the only place for what the
operator obtains itself.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

from pydantic import SecretStr

from crmflow.api.kinds import GROUP
from crmflow.observability import redaction
from crmflow.reconcile.credentials import fingerprint
from crmflow.runtime.kube import Kubernetes, KubernetesError, NotFoundError, StaleError, StoredSecret
from crmflow.transport.errors import ErrorClass, RemoteError

log = logging.getLogger("crmflow.tokens")

_SERVICE_LABEL = f"{GROUP}/token-of"
_INSTANCE_LABEL = f"{GROUP}/instance"
_HOLDER = f"holder.{GROUP}/"
_PUSHED = f"pushed.{GROUP}/"


class Service(StrEnum):
    """Whose tokens a record holds."""

    ZOHO = "zoho"
    ADOBE = "adobe"


class Record:
    """One credential's Secret: read once, kept in memory, written through.

    A *holder* is a connection that uses the credential, as ``namespace/name``.
    """

    def __init__(self, store: TokenStore, service: Service, name: str) -> None:
        self._store = store
        self._service = service
        self.name = name
        self._fields: dict[str, SecretStr] | None = None
        self._annotations: dict[str, str] = {}
        self._unsaved_fields: set[str] = set()
        self._unsaved_annotations: set[str] = set()
        self._reading = asyncio.Lock()

    async def fields(self) -> Mapping[str, SecretStr]:
        """What the store knows of the credential. Raises RemoteError when it can't be read."""
        async with self._reading:  # a second answer would undo what was written since the first
            if self._fields is None:
                self.take(await self._store.read(self.name))
        return MappingProxyType(self._fields or {})

    def take(self, secret: StoredSecret | None) -> None:
        """Use what was just read."""
        self._fields = {} if secret is None else _decoded(secret.data)
        self._annotations = {} if secret is None else dict(secret.annotations)
        self._unsaved_fields, self._unsaved_annotations = set(), set()

    async def write(self, **fields: str | SecretStr | None) -> None:
        """Set fields; None removes one. Raises RemoteError when the store does not take them."""
        await self.fields()
        known = self._fields or {}
        for name, value in fields.items():
            if value is None:
                known.pop(name, None)
            else:
                known[name] = value if isinstance(value, SecretStr) else SecretStr(value)
        self._fields = known
        self._unsaved_fields.update(fields)
        await self._save()

    def discard(self, name: str) -> None:
        """Take a field back whose write failed; the next write removes it, should it have arrived."""
        if self._fields is not None:
            self._fields.pop(name, None)
            self._unsaved_fields.add(name)

    async def hold(self, holder: str) -> None:
        """Note that ``holder`` uses the credential. Raises RemoteError."""
        await self.fields()
        if self._annotations.get(_key(_HOLDER, holder)) != holder:
            await self._annotate({_key(_HOLDER, holder): holder})

    async def release(self, holder: str) -> None:
        """``holder`` uses the credential no more. Raises RemoteError."""
        await self.fields()
        held = [key for key in (_key(_HOLDER, holder), _key(_PUSHED, holder)) if key in self._annotations]
        if held:
            await self._annotate(dict.fromkeys(held))

    @property
    def holders(self) -> Sequence[str]:
        """The connections that use the credential, as far as is known."""
        return [value for key, value in self._annotations.items() if key.startswith(_HOLDER)]

    def pushed(self, holder: str) -> str | None:
        """The fingerprint of the token that ``holder`` last gave to its base connection."""
        return self._annotations.get(_key(_PUSHED, holder))

    async def note_pushed(self, holder: str, token: str) -> None:
        """Note that. Raises RemoteError."""
        if self.pushed(holder) != token:
            await self._annotate({_key(_PUSHED, holder): token})

    async def remove(self) -> None:
        """Delete the record. Raises RemoteError."""
        await self._store.remove(self.name)
        self.take(None)

    async def _annotate(self, changes: Mapping[str, str | None]) -> None:
        self._annotations.update({key: value for key, value in changes.items() if value is not None})
        for key in [key for key, value in changes.items() if value is None]:
            self._annotations.pop(key, None)
        self._unsaved_annotations.update(changes)
        await self._save()

    async def _save(self) -> None:
        """Write what changed, and with it whatever an earlier write failed to bring."""
        data = {name: _encode(value) for name, value in (self._fields or {}).items()}
        names, keys = frozenset(self._unsaved_fields), frozenset(self._unsaved_annotations)
        change = {
            "metadata": {"annotations": {key: self._annotations.get(key) for key in keys}},
            "data": {name: data.get(name) for name in names},
        }
        whole = {"metadata": {"annotations": dict(self._annotations)}, "data": data}
        self._unsaved_fields -= names
        self._unsaved_annotations -= keys
        try:
            await self._store.save(self._service, self.name, change, whole)
        except BaseException:
            self._unsaved_fields |= names
            self._unsaved_annotations |= keys
            raise


class TokenStore:
    """All records of one installation."""

    def __init__(self, kubernetes: Kubernetes, namespace: str, instance: str) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._instance = instance
        self._records: dict[str, Record] = {}

    def record(self, service: Service, *credential: str | SecretStr) -> Record:
        """The record of a credential, named by a hash of what makes it up; always the same object."""
        return self._known(service, f"crmflow-{service}-{fingerprint(self._instance, *credential)}")

    def _known(self, service: Service, name: str) -> Record:
        return self._records.setdefault(name, Record(self, service, name))

    async def records(self, service: Service) -> Sequence[Record]:
        """Every record of this installation. Raises RemoteError."""
        selector = f"{_SERVICE_LABEL}={service},{_INSTANCE_LABEL}={self._instance}"
        try:
            secrets = await self._kubernetes.list_own_secrets(self._namespace, selector)
        except KubernetesError as error:
            raise self._error(error) from error
        for secret in secrets:
            if secret.name not in self._records:
                self._known(service, secret.name).take(secret)
        return [self._known(service, secret.name) for secret in secrets]

    async def read(self, name: str) -> StoredSecret | None:
        """The Secret of a record, None if there is none. Raises RemoteError."""
        try:
            return await self._kubernetes.read_own_secret(self._namespace, name)
        except NotFoundError:
            return None
        except KubernetesError as error:
            raise self._error(error) from error

    async def save(
        self, service: Service, name: str, change: Mapping[str, object], whole: Mapping[str, object]
    ) -> None:
        """Merge ``change`` into the Secret of a record, or create it as a ``whole``. Raises RemoteError."""
        try:
            try:
                await self._kubernetes.merge_own_secret(self._namespace, name, change)
            except NotFoundError:
                await self._create(service, name, whole)
        except KubernetesError as error:
            raise self._error(error) from error

    async def remove(self, name: str) -> None:
        """Delete the Secret of a record. Raises RemoteError."""
        self._records.pop(name, None)
        try:
            await self._kubernetes.delete_own_secret(self._namespace, name)
        except NotFoundError:
            return
        except KubernetesError as error:
            raise self._error(error) from error

    async def _create(self, service: Service, name: str, whole: Mapping[str, object]) -> None:
        metadata = whole["metadata"]
        labels = {
            "app.kubernetes.io/managed-by": "crmflow",
            _SERVICE_LABEL: str(service),
            _INSTANCE_LABEL: self._instance,
        }
        body = {
            "type": "Opaque",
            "data": whole["data"],
            "metadata": {**(metadata if isinstance(metadata, dict) else {}), "name": name, "labels": labels},
        }
        try:
            await self._kubernetes.create_own_secret(self._namespace, body)
        except StaleError:  # somebody else created it between the two calls
            await self._kubernetes.merge_own_secret(self._namespace, name, whole)

    def _error(self, error: KubernetesError) -> RemoteError:
        if error.status == 403:
            return RemoteError(
                "Kubernetes",
                "tokenStore",
                ErrorClass.TERMINAL,
                "TokenStoreForbidden",
                f'The operator may not keep its tokens in Secrets of its own namespace "{self._namespace}".',
                advice="Give its ServiceAccount the rights that come with the installation.",
                status=403,
            )
        return RemoteError(
            "Kubernetes",
            "tokenStore",
            ErrorClass.TRANSIENT,
            "KubernetesUnavailable",
            f"the operator's own Secrets can't be reached ({error})",
            status=error.status,
        )


def _key(prefix: str, holder: str) -> str:
    return prefix + fingerprint(holder)


def _encode(value: SecretStr) -> str:
    return base64.b64encode(value.get_secret_value().encode()).decode()


_SECRET_FIELDS = frozenset({"accessToken", "refreshToken", "newRefreshToken"})


def _decoded(data: Mapping[str, str]) -> dict[str, SecretStr]:
    fields = {}
    for name, value in data.items():
        text = base64.b64decode(value).decode("utf-8", errors="replace")
        if name in _SECRET_FIELDS:
            redaction.register(text)
        fields[name] = SecretStr(text)
    return fields


def text(value: SecretStr | None) -> str:
    """A field as text; empty if it is missing."""
    return value.get_secret_value() if value is not None else ""


def number(value: SecretStr | None) -> float:
    """A field as a number; 0 if it is missing, or was edited into something else."""
    try:
        return float(text(value) or 0)
    except ValueError:
        return 0.0


def numbers(value: SecretStr | None) -> list[float]:
    """A field as a list of numbers, likewise."""
    try:
        parsed = json.loads(text(value) or "[]")
    except ValueError:
        return []
    return (
        [float(item) for item in parsed if isinstance(item, int | float)] if isinstance(parsed, list) else []
    )
