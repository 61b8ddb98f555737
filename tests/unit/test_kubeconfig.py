"""Which API server is asked, and as whom; tests/cluster/test_kubeconfig.py compares it with kubectl."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from crmflow.environment import SettingError
from crmflow.kubeconfig import access, credential_plugin
from crmflow.kubeconfig.access import choose, environment_proxy, request_seconds
from crmflow.kubeconfig.client import configure
from crmflow.kubeconfig.credential_plugin import ExecCredential
from crmflow.kubeconfig.options import ClusterOptions
from tests.kit.servers import CERTIFICATE

POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
ENCRYPTED = base64.b64encode(b"-----BEGIN ENCRYPTED PRIVATE KEY-----").decode()


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is mounted into a Pod."""
    directory = tmp_path / "serviceaccount"
    directory.mkdir()
    (directory / "token").write_text("of-the-pod\n")
    (directory / "namespace").write_text("team-a\n")
    (directory / "ca.crt").write_text(CERTIFICATE.read_text())
    monkeypatch.setattr(access, "ACCOUNT", directory)
    return directory


def write(
    path: Path, user: dict[str, Any], context: dict[str, str] | None = None, **cluster: Any
) -> dict[str, str]:
    """A kubeconfig; the variables that lead to it."""
    entry = {"server": "https://api.example:6443", **cluster}
    content = {
        "clusters": [{"name": "c", "cluster": entry}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", **(context or {})}}],
        "current-context": "x",
    }
    (path / "kubeconfig").write_text(json.dumps(content))
    return {"KUBECONFIG": str(path / "kubeconfig")}


@pytest.mark.parametrize("host", ["10.96.0.1", "fd00::1"])
def test_without_a_kubeconfig_a_pod_asks_as_its_service_account(host: str, account: Path) -> None:
    chosen = choose(ClusterOptions(), {**POD, "KUBERNETES_SERVICE_HOST": host})
    assert chosen.server == f"https://{f'[{host}]' if ':' in host else host}:443"
    assert (chosen.namespace, chosen.identity.token) == ("team-a", "of-the-pod")
    assert chosen.identity.token_file == account / "token"
    assert (chosen.authority or "").startswith("-----BEGIN CERTIFICATE-----")


def test_a_pod_impersonates_if_it_is_told_to(account: Path) -> None:
    chosen = choose(ClusterOptions(as_user="jane", token="of-the-option"), POD)
    assert chosen.identity.impersonation == (("Impersonate-User", "jane"),)
    assert chosen.identity.token == "of-the-option"


@pytest.mark.parametrize(
    ("context", "option", "environ", "namespace"),
    [
        ({}, None, POD, "team-a"),
        ({}, None, {**POD, "POD_NAMESPACE": "team-b"}, "team-b"),
        ({"namespace": "default"}, None, POD, "default"),
        ({"namespace": "crm"}, None, POD, "crm"),
        ({"namespace": "crm"}, "mine", POD, "mine"),
        ({}, None, {}, "default"),
    ],
)
def test_the_namespace(
    context: dict[str, str],
    option: str | None,
    environ: dict[str, str],
    namespace: str,
    account: Path,
    tmp_path: Path,
) -> None:
    found = {**write(tmp_path, {"token": "t"}, context), **environ}
    assert choose(ClusterOptions(namespace=option), found).namespace == namespace


@pytest.mark.parametrize(
    ("server", "environ", "proxy"),
    [
        ("https://api.example:6443", {"HTTPS_PROXY": "http://proxy:1"}, "http://proxy:1"),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://127.0.0.2:6443", {"HTTPS_PROXY": "http://proxy:1"}, None),
        ("https://[::1]:6443", {"HTTPS_PROXY": "http://proxy:1"}, None),
        ("https://localhost:6443", {"HTTPS_PROXY": "http://proxy:1"}, None),
        ("http://api.example", {"HTTPS_PROXY": "http://proxy:1"}, None),
    ],
)
def test_the_proxy_of_the_environment(server: str, environ: dict[str, str], proxy: str | None) -> None:
    assert environment_proxy(server, environ) == proxy


def test_the_proxy_of_the_kubeconfig_comes_first(tmp_path: Path) -> None:
    environ = write(tmp_path, {"token": "t"}, **{"proxy-url": "https://proxy.example:1"})
    chosen = choose(ClusterOptions(), {**environ, "HTTPS_PROXY": "http://other:1", "NO_PROXY": "*"})
    assert chosen.proxy == "https://proxy.example:1"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, 30.0), ("45", 45.0), ("1m30s", 90.0), ("500ms", 0.5), ("0", float("inf")), ("0s", float("inf"))],
)
def test_how_long_a_request_may_take(text: str | None, seconds: float) -> None:
    assert request_seconds(text, 30.0) == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "1 m", "1d"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(SettingError, match="--request-timeout"):
        request_seconds(text, 30.0)


def oidc(expires: float) -> dict[str, Any]:
    body = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode().rstrip("=")
    return {"auth-provider": {"name": "oidc", "config": {"id-token": f"e30.{body}.hunter2"}}}


def test_an_oidc_token_is_used_until_it_expires(tmp_path: Path) -> None:
    environ = write(tmp_path, oidc(time.time() + 600))
    assert choose(ClusterOptions(), environ).identity.token.endswith(".hunter2")


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (oidc(time.time() - 1), "OIDC token has expired.*kubectl"),
        ({"auth-provider": {"name": "oidc"}}, "OIDC token has expired"),
        ({"auth-provider": {"name": "azure", "config": {}}}, '"azure" is not supported'),
        ({"token": "hunter2\nhunter2"}, "token holds a line break"),
        ({"token": "t", "as": "jane\r\nImpersonate-Group: x"}, "impersonated holds a line break"),
        ({"client-certificate-data": "aHVudGVyMg==", "client-key-data": ENCRYPTED}, "passphrase"),
        ({"client-key-data": "hunter2!"}, "client-key-data is not base64"),
        ({}, "no credentials"),
    ],
)
def test_what_can_not_be_taken_is_refused_in_words(user: dict[str, Any], words: str, tmp_path: Path) -> None:
    environ = write(tmp_path, user)
    with pytest.raises(SettingError, match=words) as raised:
        choose(ClusterOptions(), environ)
    assert f'KUBECONFIG="{environ["KUBECONFIG"]}"' in str(raised.value)
    assert "hunter2" not in str(raised.value)


async def test_requests_that_wait_for_an_exec_plugin_share_its_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does not answer would else be run again for each."""
    runs = 0

    async def run(*_: Any) -> ExecCredential:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        if runs == 2:
            raise SettingError("exec", None, "no answer", "Log in")
        return ExecCredential(token=f"token-{runs}", expires_at=1.0)

    monkeypatch.setattr(credential_plugin, "run", run)
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "login",
            "interactiveMode": "Never",
        }
    }
    async with AsyncExitStack() as files:
        configuration = await configure(choose(ClusterOptions(), write(tmp_path, user)), files)
        hook: Any = configuration.refresh_api_key_hook
        ends = await asyncio.gather(*(hook(configuration) for _ in range(12)), return_exceptions=True)
        assert {type(end) for end in ends} == {SettingError}
        assert runs == 2
        await asyncio.gather(*(hook(configuration) for _ in range(12)))
    assert (runs, configuration.api_key["BearerToken"]) == (3, "Bearer token-3")


def test_nothing_of_a_credential_is_printed(tmp_path: Path) -> None:
    user = {"token": "hunter2", "client-certificate-data": "aHVudGVyMg==", "client-key-data": "aHVudGVyMg=="}
    shown = repr(choose(ClusterOptions(), write(tmp_path, user)))
    assert "hunter2" not in shown
    assert "api.example" in shown
