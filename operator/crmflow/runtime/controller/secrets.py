"""Users' Secrets: noticed through their metadata, read only when needed, never written."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from crmflow.clock import Clock
from crmflow.observability import redaction
from crmflow.runtime.controller.served_namespaces import Operation, ServedNamespaces, is_refusal
from crmflow.runtime.kubernetes.client import Kubernetes
from crmflow.runtime.kubernetes.errors import ExpiredError, KubernetesError, NotFoundError, remote_error

log = logging.getLogger("crmflow.secrets")

WATCH_SECONDS = 240
"""A watch ends by itself and begins again; neither liveness nor freshness may depend on bookmarks."""
RECONNECT_SECONDS = (0.2, 15.0)

_SECRET_KEY = re.compile(r"secret|token|password", re.IGNORECASE)

Name = tuple[str, str]


class SecretReader:
    """Reads Secrets, and remembers a body for as long as the watch says that it has not changed."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self._versions: dict[Name, str] = {}
        self._bodies: dict[Name, tuple[str, Mapping[str, SecretStr]]] = {}

    async def read(self, namespace: str, name: str) -> Mapping[str, SecretStr] | None:
        """The data of a Secret, None if there is no such Secret. Raises RemoteError."""
        version = self._versions.get((namespace, name))
        known = self._bodies.get((namespace, name))
        if known is not None and known[0] == version:
            return known[1]
        try:
            read_version, encoded = await self._kubernetes.read_secret(namespace, name)
        except NotFoundError:
            self._bodies.pop((namespace, name), None)
            return None
        except KubernetesError as error:
            what = f'The operator may not read Secret "{name}"'
            raise remote_error(error, "readSecret", "SecretForbidden", what, str(error)) from error
        data = {key: SecretStr(_decode(value)) for key, value in encoded.items()}
        for key, value in data.items():
            if _SECRET_KEY.search(key):
                redaction.register(value.get_secret_value().strip())
        self._bodies[namespace, name] = (read_version, data)
        return data

    def is_new(self, namespace: str, name: str, version: str | None) -> bool:
        """Note the version of a Secret (None: deleted); True if that is news."""
        if self._versions.get((namespace, name)) == version:
            return False
        if version is None:
            del self._versions[namespace, name]
        else:
            self._versions[namespace, name] = version
        self._bodies.pop((namespace, name), None)
        return True

    def known(self) -> set[Name]:
        """Every Secret whose version is known."""
        return set(self._versions)


@dataclass
class SecretWatch:
    """Follows the metadata of all Secrets of one namespace, or of all, and reports which ones changed."""

    kubernetes: Kubernetes
    reader: SecretReader
    clock: Clock
    steady: Clock
    """Tells how long it is since the watch connected."""
    namespace: str | None
    served: ServedNamespaces
    """Is told of refusals."""
    changed: Callable[[str, str], None]

    def __post_init__(self) -> None:
        self._connected_at = self.steady.now()

    @property
    def age(self) -> float:
        """Seconds since the watch last connected, all Secrets were listed, or that was refused: then the API
        server has answered, and a new process would be told the same.
        """
        return self.steady.now() - self._connected_at

    async def run(self) -> None:
        """Watch for ever; list again when the version is too old."""
        first, longest = RECONNECT_SECONDS
        pause, version = first, None
        while True:
            try:
                if version is None:
                    version = await self.list()
                async for kind, metadata in self.kubernetes.watch_secret_metadata(
                    self.namespace, version, WATCH_SECONDS, self._connected
                ):
                    version, pause = metadata["resourceVersion"], first
                    if kind != "BOOKMARK":
                        self._note(metadata, deleted=kind == "DELETED")
                pause = first
                await self.clock.sleep(first)
            except KubernetesError as error:
                if isinstance(error, ExpiredError):
                    version = None
                elif is_refusal(error):
                    self._refused(error)
                    version = None  # what went meanwhile is told by no watch
                else:
                    log.warning("The watch of Secrets was interrupted: %s", error)
                await self.clock.sleep(pause)
                pause = min(longest, pause * 2)

    async def list(self) -> str:
        """List all Secrets and note which have changed; the version to watch from. Raises KubernetesError."""
        try:
            version, items = await self.kubernetes.list_secret_metadata(self.namespace)
        except KubernetesError as error:
            if is_refusal(error):
                self._refused(error)
            raise
        self._connected()
        for metadata in items:
            self._note(metadata, deleted=False)
        present = {(metadata["namespace"], metadata["name"]) for metadata in items}
        for namespace, name in self.reader.known() - present:
            if self.namespace in (None, namespace):
                self._note({"namespace": namespace, "name": name}, deleted=True)
        return version

    def _connected(self) -> None:
        self._connected_at = self.steady.now()
        self.served.note_allowed(self.namespace, Operation.SECRETS)

    def _refused(self, error: KubernetesError) -> None:
        self._connected_at = self.steady.now()
        self.served.note_refused(self.namespace, Operation.SECRETS, error)

    def _note(self, metadata: Mapping[str, str], *, deleted: bool) -> None:
        namespace, name = metadata["namespace"], metadata["name"]
        if self.reader.is_new(namespace, name, None if deleted else metadata["resourceVersion"]):
            self.changed(namespace, name)


def _decode(value: str) -> str:
    """Bytes that are no text can't be a credential; they must not end the pass either."""
    return base64.b64decode(value).decode(errors="replace")
