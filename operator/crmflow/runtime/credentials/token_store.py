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
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from weakref import WeakValueDictionary

from pydantic import SecretStr

from crmflow.api.kinds import GROUP
from crmflow.http.errors import RemoteError
from crmflow.observability import redaction
from crmflow.reconcile.credentials import fingerprint
from crmflow.runtime.kubernetes.client import Kubernetes, StoredSecret
from crmflow.runtime.kubernetes.errors import KubernetesError, NotFoundError, StaleError, remote_error
from crmflow.single_flight import SingleFlight

log = logging.getLogger("crmflow.tokens")

_SERVICE_LABEL = f"{GROUP}/token-of"
_INSTANCE_LABEL = f"{GROUP}/instance"
_USER = f"holder.{GROUP}/"
_PUSHED = f"pushed.{GROUP}/"
_NEXT_PAGE = f"{GROUP}/next-users"
FULL = 600
"""So many annotations, and a Secret takes no more users. With the longest name one needs 401 bytes for both
of its annotations, so they stay below the 256 KiB that an object may have of them.
"""


class Service(StrEnum):
    """Whose tokens a record holds."""

    ZOHO = "zoho"
    ADOBE = "adobe"


class Document:
    """One Secret of ours: read once, kept in memory, written through. Changes that meet a write under way go
    together with the next one, so many connections that come at once cost few writes.
    """

    def __init__(self, store: TokenStore, kind: str, name: str) -> None:
        """``kind`` is the value of the label by which the Secret is listed."""
        self._store = store
        self._kind = kind
        self.name = name
        self._fields: dict[str, SecretStr] | None = None
        self.annotations: dict[str, str] = {}
        """Those of the Secret, once it is loaded; to be changed by :meth:`note`."""
        self._unsaved_fields: set[str] = set()
        self._unsaved_annotations: set[str] = set()
        self._reading: SingleFlight[None] = SingleFlight()
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Have what is stored in memory. Raises RemoteError when it can't be read."""
        if self._fields is None:  # read once: a second answer would undo what was written since the first
            await self._reading.run(self, self._read)

    def take(self, secret: StoredSecret | None) -> None:
        """Use what was just read."""
        self._fields = {} if secret is None else _decoded(secret.data)
        self.annotations = {} if secret is None else dict(secret.annotations)
        self._unsaved_fields, self._unsaved_annotations = set(), set()

    def note(self, changes: Mapping[str, str | None]) -> None:
        """Set annotations; None removes one. They are written with the next :meth:`save`, at the latest by
        :meth:`TokenStore.flush`.
        """
        self.annotations.update({key: value for key, value in changes.items() if value is not None})
        for key in [key for key, value in changes.items() if value is None]:
            self.annotations.pop(key, None)
        self._unsaved_annotations.update(changes)
        self._store.flush_later(self)

    async def save(self, annotation: str | None = None) -> None:
        """Write what changed, and with it whatever an earlier write failed to bring; nothing if that went
        with another's write meanwhile, or ``annotation`` did. Raises RemoteError.
        """
        async with self._writing:
            if annotation is not None and annotation not in self._unsaved_annotations:
                return
            if self._unsaved_fields or self._unsaved_annotations:
                await self._write_changes()

    async def delete(self) -> None:
        """Delete the Secret, and what is known of it. Raises RemoteError."""
        async with self._writing:
            await self._store.remove(self.name)
            self.take(None)

    async def _read(self) -> None:
        self.take(await self._store.read(self.name))

    async def _write_changes(self) -> None:
        data = {name: _encode(value) for name, value in (self._fields or {}).items()}
        names, keys = frozenset(self._unsaved_fields), frozenset(self._unsaved_annotations)
        change = {
            "metadata": {"annotations": {key: self.annotations.get(key) for key in keys}},
            "data": {name: data.get(name) for name in names},
        }
        whole = {"metadata": {"annotations": dict(self.annotations)}, "data": data}
        self._unsaved_fields -= names
        self._unsaved_annotations -= keys
        try:
            await self._store.save(self._kind, self.name, change, whole)
        except BaseException:
            self._unsaved_fields |= names
            self._unsaved_annotations |= keys
            raise


class Record(Document):
    """What is stored of one credential: fields, and the connections that use it, as ``namespace/name``.

    Users are annotations of the record's Secret. A Secret takes 256 KiB of annotations, so those that find
    no room there are on further Secrets, the *pages*, each of which names the next one.
    """

    def __init__(self, store: TokenStore, service: Service, name: str) -> None:
        super().__init__(store, service, name)
        self.requesting = asyncio.Lock()
        """Held while a token is asked for with what the record is about: one request at a time."""
        self._pages: list[Document] = []
        self._knows_pages = False

    async def fields(self) -> Mapping[str, SecretStr]:
        """What the store knows of the credential. Raises RemoteError when it can't be read."""
        await self.load()
        return MappingProxyType(self._fields or {})

    async def load(self) -> None:
        """As of every document, with all pages."""
        if self._fields is None or not self._knows_pages:
            await self._reading.run(self, self._load)

    async def write(self, **fields: str | SecretStr | None) -> None:
        """Set fields; None removes one. Raises RemoteError when the store does not take them."""
        await self.load()
        known = self._fields or {}
        for name, value in fields.items():
            if value is None:
                known.pop(name, None)
            else:
                known[name] = value if isinstance(value, SecretStr) else SecretStr(value)
        self._fields = known
        self._unsaved_fields.update(fields)
        await self.save()

    def discard(self, name: str) -> None:
        """Take a field back whose write failed; the next write removes it, should it have arrived."""
        if self._fields is not None:
            self._fields.pop(name, None)
            self._unsaved_fields.add(name)

    async def add_user(self, user: str) -> None:
        """Store that ``user`` uses the credential; those who come at once share a write. Raises
        RemoteError.
        """
        await self.load()
        if self._document_of(user) is None:
            document = await self._document_with_room()
            key = _key(_USER, user)
            document.note({key: user})
            await document.save(key)

    async def remove_users(self, *users: str) -> None:
        """``users`` use the credential no more. Raises RemoteError."""
        await self.load()
        documents = {document for user in users if (document := self._document_of(user)) is not None}
        for document in documents:
            document.note({_key(prefix, user): None for user in users for prefix in (_USER, _PUSHED)})
            await document.save()

    @property
    def users(self) -> Sequence[str]:
        """The connections that use the credential, as far as is known."""
        return [user for document in self._documents for user in _users_of(document)]

    def has_user(self, user: str) -> bool:
        """True if ``user`` is one of them."""
        return self._document_of(user) is not None

    async def pushed(self, user: str) -> str | None:
        """The fingerprint of the token that ``user`` last gave to its base connection. Raises RemoteError."""
        await self.load()
        document = self._document_of(user)
        return document.annotations.get(_key(_PUSHED, user)) if document else None

    async def note_pushed(self, user: str, token: str) -> None:
        """Note that. It is stored with what others note, by the next flush: should the process die before,
        the token is given once more. Raises RemoteError.
        """
        if await self.pushed(user) != token:
            (self._document_of(user) or self).note({_key(_PUSHED, user): token})

    async def remove(self, only_if: Callable[[], bool] = lambda: True) -> None:
        """Delete the record, if that is right once nobody else writes it: what is noted from then on is no
        part of what is deleted. Raises RemoteError, and then everything is as before.
        """
        await self.load()
        async with self._writing:
            if not only_if():
                return
            fields, annotations, pages = self._fields, self.annotations, self._pages
            self.take(None)
            self._pages = []
            try:
                for page in pages:
                    await page.delete()
                await self._store.remove(self.name)
            except BaseException:
                self._fields = {**(fields or {}), **(self._fields or {})}
                self.annotations = {**annotations, **self.annotations}
                self._pages = [*pages, *self._pages]
                raise

    @property
    def _documents(self) -> Sequence[Document]:
        return (self, *self._pages)

    async def _load(self) -> None:
        if self._fields is None:
            await self._read()
        pages: list[Document] = []
        while (name := (self, *pages)[-1].annotations.get(_NEXT_PAGE)) is not None:
            page = self._page(name)
            await page.load()
            pages.append(page)
        self._pages, self._knows_pages = pages, True

    def _document_of(self, user: str) -> Document | None:
        key = _key(_USER, user)
        return next((each for each in self._documents if each.annotations.get(key) == user), None)

    async def _document_with_room(self) -> Document:
        for document in self._documents:
            if len(document.annotations) < FULL:
                return document
        last, page = self._documents[-1], self._page(f"{self.name}-users-{len(self._pages) + 1}")
        page.take(None)
        self._pages.append(page)
        last.note({_NEXT_PAGE: page.name})
        await last.save()  # first: a page that nothing names would be found by nobody
        return page

    def _page(self, name: str) -> Document:
        return Document(self._store, f"{self._kind}-users", name)


class TokenStore:
    """All records of one installation.

    There is one object for each stored Secret, for as long as anybody uses it: who changes a record changes
    it for all. What nobody uses is let go, and read again when it is needed.
    """

    def __init__(self, kubernetes: Kubernetes, namespace: str, instance: str) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._instance = instance
        self._records: WeakValueDictionary[str, Record] = WeakValueDictionary()
        self._unsaved: dict[str, Document] = {}
        self._changed_meanwhile: list[set[str]] = []
        """For each listing that is under way, the Secrets that were written since it began."""

    def record(self, service: Service, *credential: str | SecretStr) -> Record:
        """The record of a credential, named by a hash of what makes it up; always the same object."""
        return self._known(service, f"crmflow-{service}-{fingerprint(self._instance, *credential)}")

    def document(self, kind: str, *about: str) -> Document:
        """What is stored of ``kind`` about something else than a credential; a new object at each call, of
        which nobody may have two.
        """
        return Document(self, kind, f"crmflow-{kind}-{fingerprint(self._instance, *about)}")

    def _known(self, service: Service, name: str) -> Record:
        record = self._records.get(name)
        if record is None:
            record = self._records[name] = Record(self, service, name)
        return record

    async def records(self, service: Service) -> Sequence[Record]:
        """Every record of this installation. Raises RemoteError."""
        selector = f"{_SERVICE_LABEL}={service},{_INSTANCE_LABEL}={self._instance}"
        changed: set[str] = set()
        self._changed_meanwhile.append(changed)
        try:
            with self._call():
                secrets = await self._kubernetes.list_own_secrets(self._namespace, selector)
        finally:
            self._changed_meanwhile = [other for other in self._changed_meanwhile if other is not changed]
        records = []
        for secret in secrets:
            is_news = secret.name not in self._records and secret.name not in changed
            record = self._known(service, secret.name)
            if is_news:
                record.take(secret)
            records.append(record)
        for record in records:
            await record.fields()  # of those that changed meanwhile
        return records

    def flush_later(self, document: Document) -> None:
        """Something was noted in ``document``."""
        self._unsaved[document.name] = document

    async def flush(self) -> None:
        """Write what is only noted so far, one write for each Secret. Raises RemoteError; what could not be
        written is tried again with the next flush.
        """
        await one_by_one(self._flush(name, document) for name, document in list(self._unsaved.items()))

    async def _flush(self, name: str, document: Document) -> None:
        self._unsaved.pop(name, None)
        try:
            await document.save()
        except BaseException:
            self._unsaved.setdefault(name, document)
            raise

    async def read(self, name: str) -> StoredSecret | None:
        """The Secret of a record, None if there is none. Raises RemoteError."""
        with self._call(), suppress(NotFoundError):
            return await self._kubernetes.read_own_secret(self._namespace, name)
        return None

    async def save(self, kind: str, name: str, change: Mapping[str, Any], whole: Mapping[str, Any]) -> None:
        """Merge ``change`` into the Secret of a record, or create it as a ``whole``. Raises RemoteError.

        Our labels go with every write: without them a record is found by nobody but who knows its name, and
        whoever restores or edits a Secret may have lost them.
        """
        with self._call(changes=name):
            try:
                await self._kubernetes.merge_own_secret(self._namespace, name, self._labeled(kind, change))
            except NotFoundError:
                await self._create(name, self._labeled(kind, whole))

    async def remove(self, name: str) -> None:
        """Delete the Secret of a record. Raises RemoteError."""
        with self._call(changes=name), suppress(NotFoundError):
            await self._kubernetes.delete_own_secret(self._namespace, name)

    @contextmanager
    def _call(self, changes: str | None = None) -> Iterator[None]:
        """While the API server is called. Raises RemoteError instead of what that raises. A listing that
        began before may show the Secret that is named by ``changes`` as it was.
        """
        try:
            yield
        except KubernetesError as error:
            raise remote_error(
                error,
                "tokenStore",
                "TokenStoreForbidden",
                f'The operator may not keep its tokens in Secrets of its own namespace "{self._namespace}"',
                f"the operator's own Secrets can't be reached ({error})",
            ) from error
        finally:
            if changes is not None:
                for changed in self._changed_meanwhile:
                    changed.add(changes)

    def _labeled(self, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        labels = {
            "app.kubernetes.io/managed-by": "crmflow",
            _SERVICE_LABEL: kind,
            _INSTANCE_LABEL: self._instance,
        }
        return {**body, "metadata": {**body["metadata"], "labels": labels}}

    async def _create(self, name: str, whole: Mapping[str, Any]) -> None:
        body = {**whole, "type": "Opaque", "metadata": {**whole["metadata"], "name": name}}
        try:
            await self._kubernetes.create_own_secret(self._namespace, body)
        except StaleError:  # somebody else created it between the two calls
            await self._kubernetes.merge_own_secret(self._namespace, name, whole)


async def one_by_one(calls: Iterable[Awaitable[None]]) -> None:
    """Await ``calls`` in their order. One that fails keeps no other from being made: only then the first
    RemoteError is raised.
    """
    failure: RemoteError | None = None
    for call in calls:
        try:
            await call
        except RemoteError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def _key(prefix: str, user: str) -> str:
    return prefix + fingerprint(user)


def _users_of(document: Document) -> list[str]:
    return [value for key, value in document.annotations.items() if key.startswith(_USER)]


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
