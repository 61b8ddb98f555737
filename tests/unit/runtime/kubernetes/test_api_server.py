"""Credentials for the API server that are exchanged while the operator runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.config import incluster_config

from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.environment import SettingError
from crmflow.runtime.kubernetes.api_server import ApiServer
from crmflow.runtime.kubernetes.client import Kubernetes
from crmflow.runtime.kubernetes.errors import KubernetesError
from tests.kit.servers import CERTIFICATE, server_context
from tests.unit.http.test_pool import OTHER_AUTHORITY, exchange
from tests.unit.runtime.fakes import make_object


class Seen:
    """The Authorization headers that the API server has seen."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization", ""))
        answer = web.json_response(make_object())
        answer.force_close()  # the next request makes a connection of its own
        return answer


@pytest.fixture
async def seen() -> Seen:
    return Seen()


@pytest.fixture
async def server(seen: Seen) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", seen.handle)
    server = TestServer(app, host="localhost", scheme="https")
    await server.start_server(ssl=server_context())
    yield server
    await server.close()


class Mounted:
    """What a kubelet mounts into a Pod."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.token, self.authority = directory / "token", directory / "ca.crt"
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(self.token))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(self.authority))


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: TestServer) -> Mounted:
    mounted = Mounted(tmp_path, monkeypatch)
    mounted.token.write_text("token-1")
    mounted.authority.write_bytes(CERTIFICATE.read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "localhost")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return mounted


async def ask(api_server: ApiServer) -> None:
    """One read over new connections."""
    kubernetes = Kubernetes(api_server.connect())
    try:
        await kubernetes.get(CRM_DATAFLOW, "crm", "contacts")
    finally:
        await kubernetes.close()


async def test_a_token_that_is_renewed_is_used_with_the_next_request(pod: Mounted, seen: Seen) -> None:
    """Whatever the system's clock says: the library would look once a minute by it."""
    api_server = ApiServer()
    await api_server.load()
    await ask(api_server)
    exchange(pod.token, b"token-2")
    await ask(api_server)
    assert seen.tokens == ["bearer token-1", "bearer token-2"]
    assert (await api_server.connection_info()).as_http_headers() == {"Authorization": "Bearer token-2"}


@pytest.mark.parametrize("content", [b"", None])
async def test_a_token_that_can_not_be_read_is_said_and_the_one_before_is_used(
    pod: Mounted, seen: Seen, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    api_server = ApiServer()
    await api_server.load()
    if content is None:
        pod.token.unlink()
    else:
        exchange(pod.token, content)
    await ask(api_server)
    await ask(api_server)
    assert seen.tokens == ["bearer token-1", "bearer token-1"]
    [record] = [
        record
        for record in caplog.records
        if record.name.startswith("crmflow") and record.levelname == "ERROR"
    ]
    assert str(pod.token) in record.getMessage()
    exchange(pod.token, b"token-3")
    await ask(api_server)
    assert seen.tokens[-1] == "bearer token-3"


async def test_a_renewed_authority_is_trusted_by_both_clients(
    pod: Mounted, seen: Seen, server: TestServer
) -> None:
    pod.authority.write_bytes(OTHER_AUTHORITY.read_bytes())
    api_server = ApiServer()
    await api_server.load()
    with pytest.raises(KubernetesError):
        await ask(api_server)
    exchange(pod.authority, CERTIFICATE.read_bytes())
    await ask(api_server)
    info = await api_server.connection_info()
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=info.as_ssl_context())) as session,
        session.get(server.make_url("/")) as answer,
    ):
        assert answer.status == 200


async def test_a_broken_authority_takes_no_trust_away(
    pod: Mounted, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    api_server = ApiServer()
    await api_server.load()
    kubernetes = Kubernetes(api_server.connect())
    await kubernetes.get(CRM_DATAFLOW, "crm", "contacts")
    exchange(pod.authority, b"not a certificate")
    await kubernetes.get(CRM_DATAFLOW, "crm", "contacts")
    await kubernetes.close()
    assert len(seen.tokens) == 2
    assert "can't be used" in caplog.text


def write_kubeconfig(path: Path, server: TestServer, user: dict[str, Any], host: str = "localhost") -> None:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [
            {
                "name": "it",
                "cluster": {
                    "server": f"https://{host}:{server.port}",
                    "certificate-authority": str(CERTIFICATE),
                },
            }
        ],
        "users": [{"name": "it", "user": user}],
    }
    exchange(path, json.dumps(content).encode())


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kubeconfig"
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


async def test_a_kubeconfig_that_is_written_anew_is_read_anew(
    kubeconfig: Path, seen: Seen, server: TestServer
) -> None:
    write_kubeconfig(kubeconfig, server, {"token": "token-1"})
    api_server = ApiServer()
    await api_server.load()
    await ask(api_server)
    write_kubeconfig(kubeconfig, server, {"token": "token-2"})
    await ask(api_server)
    assert [token.partition(" ")[2] for token in seen.tokens] == ["token-1", "token-2"]


async def test_a_token_file_of_a_kubeconfig_is_followed(
    kubeconfig: Path, tmp_path: Path, seen: Seen, server: TestServer
) -> None:
    token = tmp_path / "token"
    token.write_text("token-1")
    write_kubeconfig(kubeconfig, server, {"tokenFile": str(token)})
    api_server = ApiServer()
    await api_server.load()
    await ask(api_server)
    exchange(token, b"token-2")
    await ask(api_server)
    assert [token.partition(" ")[2] for token in seen.tokens] == ["token-1", "token-2"]


async def test_an_exec_plugin_that_fails_later_is_said_once_and_what_it_gave_is_used_on(
    kubeconfig: Path, tmp_path: Path, seen: Seen, server: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    given = tmp_path / "given"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "token-1", "expirationTimestamp": "2020-01-01T00:00:00Z"},
    }
    given.write_text(json.dumps(credential))
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "cat",
        "args": [str(given)],
        "interactiveMode": "Never",
    }
    write_kubeconfig(kubeconfig, server, {"exec": plugin})
    api_server = ApiServer()
    await api_server.load()
    given.unlink()
    await ask(api_server)
    await ask(api_server)
    assert [token.partition(" ")[2] for token in seen.tokens] == ["token-1", "token-1"]
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "can't be renewed" in errors[0]
    given.write_text(json.dumps({**credential, "status": {"token": "token-2"}}))
    await ask(api_server)
    assert seen.tokens[-1].endswith("token-2")


async def test_a_kubeconfig_that_names_another_server_is_said(
    kubeconfig: Path, seen: Seen, server: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The resources of another cluster are others: nothing in memory would be true of them."""
    write_kubeconfig(kubeconfig, server, {"token": "token-1"})
    api_server = ApiServer()
    await api_server.load()
    write_kubeconfig(kubeconfig, server, {"token": "token-2"}, host="127.0.0.1")
    await ask(api_server)
    assert seen.tokens[-1].endswith("token-1")
    assert "another API server" in caplog.text


async def test_in_a_pod_without_a_token_no_kubeconfig_is_looked_for(pod: Mounted) -> None:
    pod.token.unlink()
    with pytest.raises(SettingError, match="token"):
        await ApiServer().load()
