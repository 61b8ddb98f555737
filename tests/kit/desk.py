"""A person at their machine, with a connection in their namespace and a client registered at Zoho."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from hack.emulators import Emulators
from hack.kubectl import Kubectl
from tests.kit import canary, manifests
from tests.kit.authorize import Authorize
from tests.kit.cluster import Cluster, Object
from tests.kit.person import READ_CONNECTIONS, Rule, person, secrets

ENOUGH = (READ_CONNECTIONS, secrets("get", "create", "patch"))
"""The rights that the command needs."""

_SECRET_KEY = re.compile("secret|token", re.IGNORECASE)
_ZOHO_TOKEN = re.compile(r"[0-9]{4}\.[0-9a-f]{32}\.[0-9a-f]{32}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Desk:
    """What the person has and does."""

    def __init__(
        self, cluster: Cluster, emulators: Emulators, kubectl: Kubectl, namespace: str, directory: Path
    ) -> None:
        self.cluster, self.emulators, self.namespace = cluster, emulators, namespace
        self._kubectl, self._directory = kubectl, directory
        self.kubeconfig = directory / "kubeconfig"
        self.redirect_uri = f"http://localhost:{_free_port()}/callback"
        self.client = self.register(dataCenters=["eu", "us"])
        self.runs: list[Authorize] = []
        self._begun = int(emulators.control.get("/exchanges", since=10**9)["next"])
        self.give_rights(*ENOUGH)
        cluster.apply(manifests.connection(namespace))

    def register(self, **client: Any) -> Any:
        """A web application in the API console."""
        return self.emulators.control.post(
            "/zoho/grants", **{"clientType": "server", "redirectUri": self.redirect_uri, **client}
        )

    def give_rights(self, *rules: Rule) -> None:
        """These and no others from now on."""
        person(self._kubectl, self.namespace, self.kubeconfig, rules)

    def store(self, **values: str) -> None:
        """A Secret as somebody has made it, by default with the client alone."""
        held = values or {
            "clientId": self.client["clientId"],
            "clientSecret": self.client["clientSecret"],
            "note": "keep me",
        }
        self.cluster.apply(manifests.secret(self.namespace, manifests.ZOHO_SECRET, held))

    def stored(self) -> dict[str, str] | None:
        """What the Secret holds; None if there is none."""
        found = self.cluster.find("Secret", manifests.ZOHO_SECRET, self.namespace)
        if found is None:
            return None
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}

    def register_elsewhere(self, *, same_secret: bool = False) -> None:
        """The client is registered in the US and enabled for Europe, where the connection reads from; the
        Secret holds its European secret (zoho.md 1.8).
        """
        client = self.register(dataCenter="us", dataCenters=["us", "eu"], sameSecret=same_secret)
        self.client = {**client, "clientSecret": client["clientSecrets"]["eu"]}
        self.store()

    def client_options(self) -> list[str]:
        """The registered client on the command line."""
        file = self._directory / "client-secret"
        file.write_text(self.client["clientSecret"] + "\n")
        return [f"--client-id={self.client['clientId']}", f"--client-secret-file={file}"]

    def authorize(self, *options: str, name: str = manifests.CONNECTION) -> Authorize:
        """Run the command with the registered redirect URI."""
        return self._run(name, f"--redirect-uri={self.redirect_uri}", *options)

    def authorize_with_code(self, grant: Any, *options: str) -> Authorize:
        """With a code of a self client, piped in."""
        self.store(clientId=grant["clientId"], clientSecret=grant["clientSecret"])
        return self._run(manifests.CONNECTION, "--grant-token", *options, stdin=grant["grantToken"])

    def _run(self, *arguments: str, stdin: str | None = None) -> Authorize:
        given = [*arguments, f"--kubeconfig={self.kubeconfig}"]
        run = Authorize(given, self.emulators.operator_settings(), stdin)
        self.runs.append(run)
        return run

    def calls(self, path: str) -> list[Object]:
        """The exchanges with Zoho's accounts servers at a path."""
        exchanges: list[Object] = self.emulators.control.get("/exchanges", since=self._begun)["exchanges"]
        return [
            call for call in exchanges if call["path"].endswith(path) and call["service"] == "zoho-accounts"
        ]

    def refreshes(self) -> httpx.Response:
        """Use the stored refresh token."""
        held = self.stored()
        assert held is not None
        return httpx.post(
            f"{self.emulators.info['zohoAccountsUrl']}/dc/eu/oauth/v2/token",
            data={
                "grant_type": "refresh_token",
                "client_id": held["clientId"],
                "client_secret": held["clientSecret"],
                "refresh_token": held["refreshToken"],
            },
            trust_env=False,
        )

    def refresh_tokens(self) -> list[Object]:
        """Those of the registered client that live."""
        live = self.emulators.control.state()["zoho"]["refreshTokens"]
        return [token for token in live if token["clientId"] == self.client["clientId"]]

    def check(self) -> None:
        """End every run; nothing that people or tools can read may hold a secret."""
        sources = {
            **canary.visible(self.cluster, self.namespace),
            "exchange log": self.emulators.exchanges.read_text(),
        }
        for number, run in enumerate(self.runs):
            with run:
                pass
            assert "Traceback" not in run.stderr
            sources[f"run {number}"] = run.stderr
        stored = self.stored() or {}
        held = [value for key, value in stored.items() if _SECRET_KEY.search(key)]
        canary.assert_no_secrets([self.client["clientSecret"], *held], sources)
        # and no code, access token or revoked refresh token either, whatever it was
        assert [name for name, text in sources.items() if _ZOHO_TOKEN.search(text)] == []


@contextmanager
def desk_of(
    cluster: Cluster, emulators: Emulators, kubectl: Kubectl, namespace: str, directory: Path
) -> Iterator[Desk]:
    """A desk for one test, checked at its end."""
    desk = Desk(cluster, emulators, kubectl, namespace, directory)
    try:
        yield desk
    finally:
        desk.check()
