"""Users' Secrets: noticed through their metadata, read only when needed, never written."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable, Mapping

from pydantic import SecretStr

from crmflow.clock import Clock
from crmflow.observability import redaction
from crmflow.runtime.kube import ExpiredError, Kubernetes, KubernetesError, NotFoundError
from crmflow.transport.errors import ErrorClass, RemoteError

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
            return None
        except KubernetesError as error:
            raise _remote_error(name, error) from error
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


class SecretWatch:
    """Follows the metadata of all Secrets of one namespace, or of all, and reports which ones changed."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        reader: SecretReader,
        clock: Clock,
        steady: Clock,
        namespace: str | None,
        changed: Callable[[str, str], None],
    ) -> None:
        """``steady`` tells how long it is since the watch connected."""
        self._kubernetes = kubernetes
        self._reader = reader
        self._clock = clock
        self._steady = steady
        self._namespace = namespace
        self._changed = changed
        self._connected_at = steady.now()

    @property
    def age(self) -> float:
        """Seconds since the watch last connected, or all Secrets were listed."""
        return self._steady.now() - self._connected_at

    async def run(self) -> None:
        """Watch for ever; list again when the version is too old."""
        first, longest = RECONNECT_SECONDS
        pause, version = first, None
        while True:
            try:
                if version is None:
                    version = await self.list()
                async for kind, metadata in self._kubernetes.watch_secret_metadata(
                    self._namespace, version, WATCH_SECONDS, self._connected
                ):
                    version = metadata["resourceVersion"]
                    if kind != "BOOKMARK":
                        self._note(metadata, deleted=kind == "DELETED")
                pause = first
                await self._clock.sleep(first)
            except ExpiredError:
                version = None
            except KubernetesError as error:
                log.warning("The watch of Secrets was interrupted: %s", error)
                await self._clock.sleep(pause)
                pause = min(longest, pause * 2)

    async def list(self) -> str:
        """Take stock of all Secrets; the version to watch from. Raises KubernetesError."""
        version, items = await self._kubernetes.list_secret_metadata(self._namespace)
        self._connected()
        for metadata in items:
            self._note(metadata, deleted=False)
        present = {(metadata["namespace"], metadata["name"]) for metadata in items}
        for namespace, name in self._reader.known() - present:
            if self._namespace in (None, namespace):
                self._note({"namespace": namespace, "name": name}, deleted=True)
        return version

    def _connected(self) -> None:
        self._connected_at = self._steady.now()

    def _note(self, metadata: Mapping[str, str], *, deleted: bool) -> None:
        namespace, name = metadata["namespace"], metadata["name"]
        if self._reader.is_new(namespace, name, None if deleted else metadata["resourceVersion"]):
            self._changed(namespace, name)


def _remote_error(name: str, error: KubernetesError) -> RemoteError:
    if error.status == 403:
        return RemoteError(
            "Kubernetes",
            "readSecret",
            ErrorClass.TERMINAL,
            "SecretForbidden",
            f'The operator may not read Secret "{name}".',
            advice="Give its ServiceAccount the rights that come with the installation.",
            status=403,
        )
    return RemoteError(
        "Kubernetes",
        "readSecret",
        ErrorClass.TRANSIENT,
        "KubernetesUnavailable",
        str(error),
        status=error.status,
    )


def _decode(value: str) -> str:
    """Bytes that are no text can't be a credential; they must not end the pass either."""
    return base64.b64decode(value).decode(errors="replace")
