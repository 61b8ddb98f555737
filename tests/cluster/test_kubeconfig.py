"""The plugin reads a kubeconfig as kubectl does: each case is given to both, and what reaches the server is
compared.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from kubernetes.aio import client

from crmflow.cli.api_server import call
from crmflow.cli.cluster import Cluster as PluginCluster
from crmflow.cli.main import app
from crmflow.cli.problem import Problem
from crmflow.kubeconfig.access import choose
from crmflow.kubeconfig.client import api_client
from crmflow.kubeconfig.options import ClusterOptions
from hack.controlplane import find_assets
from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.kit import manifests
from tests.kit.cluster import Cluster
from tests.kit.person import person, secrets
from tests.kit.plugin import READ_CONNECTIONS
from tests.kit.recorder import Recorder, recorder
from tests.kit.servers import CERTIFICATE as PEM

CERTIFICATE = PEM.read_text()
DATA = base64.b64encode(PEM.read_bytes()).decode()
REFUSED = "refused"


@dataclass(frozen=True)
class Case:
    """A kubeconfig that differs from the plain one, and how both are called."""

    name: str
    user: dict[str, Any] = field(default_factory=dict)
    cluster: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    expected: Any = None
    """What the server is told: its headers, or the rest of the record by its keys, or that nothing comes."""


def jwt(expires_in: float) -> str:
    """An OIDC token; nobody checks its signature."""
    body = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time() + expires_in)}).encode()).decode()
    return f"eyJhbGciOiJub25lIn0.{body.rstrip('=')}.c2ln"


def exec_plugin(**changes: Any) -> dict[str, Any]:
    """A user whose credentials a program gives."""
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "./plugin",
            "interactiveMode": "Never",
            **changes,
        }
    }


def prints(status: dict[str, Any], *, version: str = "v1") -> str:
    """A plugin that gives these credentials."""
    answer = {
        "apiVersion": f"client.authentication.k8s.io/{version}",
        "kind": "ExecCredential",
        "status": status,
    }
    return f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\n"


SHOWS_ITS_VARIABLE = (
    '#!/bin/sh\nprintf \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
    '"status":{"token":"%s-%s"}}\' "$FROM_THE_KUBECONFIG" "$1"\n'
)
SHOWS_THE_CLUSTER = (
    "#!/bin/sh\n"
    f'exec {sys.executable} -c \'import json, os; info = json.loads(os.environ["KUBERNETES_EXEC_INFO"]);'
    ' print(json.dumps({"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": {"token":'
    ' "-".join([info["spec"]["cluster"]["config"]["audience"], str(info["spec"]["interactive"]),'
    ' str(sorted(info["spec"]["cluster"]))])}}))\'\n'
)


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


CASES = [
    Case("token", {"token": "plain"}, expected=bearer("plain")),
    Case("nobody", {}, expected=REFUSED),
    Case("tokenFile", {"tokenFile": "token"}, files={"token": "in-a-file\n"}, expected=bearer("in-a-file")),
    Case("tokenFile-blank", {"tokenFile": "token"}, files={"token": "\n"}, expected=REFUSED),
    Case("tokenFile-missing", {"tokenFile": "token"}, expected=REFUSED),
    Case(
        "tokenFile-before-token",
        {"tokenFile": "token", "token": "in-line"},
        files={"token": "in-a-file\r\n"},
        expected=bearer("in-a-file"),
    ),
    Case("tokenFile-or-token", {"tokenFile": "token", "token": "in-line"}, expected=bearer("in-line")),
    Case("token-with-line-break", {"token": "plain\n"}, expected=REFUSED),
    Case("token-and-password", {"token": "plain", "username": "u", "password": "p"}, expected=REFUSED),
    Case(
        "password",
        {"username": "u", "password": "p"},
        expected=[("authorization", "Basic " + base64.b64encode(b"u:p").decode())],
    ),
    Case(
        "token-option",
        {"tokenFile": "token"},
        files={"token": "in-a-file"},
        options=("--token=of-the-option",),
        expected=bearer("in-a-file"),
    ),
    Case(
        "as",
        {"token": "plain", "as": "jane"},
        expected=[*bearer("plain"), ("impersonate-user", "jane")],
    ),
    Case(
        "as-everything",
        {
            "token": "plain",
            "as": "jane",
            "as-uid": "42",
            "as-groups": ["a", "b"],
            "as-user-extra": {"example.com/Scopes": ["view", "edit"], "reason": ["drill"]},
        },
        expected=[
            *bearer("plain"),
            ("impersonate-extra-example.com%2fscopes", "edit"),
            ("impersonate-extra-example.com%2fscopes", "view"),
            ("impersonate-extra-reason", "drill"),
            ("impersonate-group", "a"),
            ("impersonate-group", "b"),
            ("impersonate-uid", "42"),
            ("impersonate-user", "jane"),
        ],
    ),
    Case("as-groups-alone", {"token": "plain", "as-groups": ["a"]}, expected=REFUSED),
    Case(
        "as-options",
        {"token": "plain"},
        options=("--as=jane", "--as-group=a", "--as-group=b,c", "--as-uid=42"),
        expected=[
            *bearer("plain"),
            ("impersonate-group", "a"),
            ("impersonate-group", "b,c"),
            ("impersonate-uid", "42"),
            ("impersonate-user", "jane"),
        ],
    ),
    Case(
        "as-options-before-the-kubeconfig",
        {"token": "plain", "as": "joe", "as-groups": ["a"]},
        options=("--as=jane",),
        expected=[*bearer("plain"), ("impersonate-group", "a"), ("impersonate-user", "jane")],
    ),
    Case(
        "as-user-extra-option",
        {"token": "plain"},
        options=("--as=jane", "--as-user-extra=reason=drill"),
        expected=[*bearer("plain"), ("impersonate-extra-reason", "drill"), ("impersonate-user", "jane")],
    ),
    Case("as-group-option-alone", {"token": "plain"}, options=("--as-group=a",), expected=REFUSED),
    Case("no-tls-no-token", {"token": "plain"}, {"server": "http://127.0.0.1:{plain}"}, expected=[]),
    Case(
        "without-tls-but-as",
        {"token": "plain", "as": "jane"},
        {"server": "http://127.0.0.1:{plain}"},
        expected=[("impersonate-user", "jane")],
    ),
    Case(
        "no-scheme",
        {"token": "plain"},
        {"server": "127.0.0.1:{secure}"},
        expected=REFUSED,
    ),
    Case(
        "server-with-path",
        {"token": "plain"},
        {"server": "https://127.0.0.1:{secure}/k8s/clusters/c-1/"},
        expected={"path": "/k8s/clusters/c-1/version"},
    ),
    Case(
        "server-option",
        {"token": "plain"},
        {"server": "https://127.0.0.1:1"},
        options=("--server=https://127.0.0.1:{secure}",),
        expected=bearer("plain"),
    ),
    Case("no-authority", {"token": "plain"}, {"certificate-authority-data": None}, expected=REFUSED),
    Case(
        "authority-file",
        {"token": "plain"},
        {"certificate-authority-data": None, "certificate-authority": "ca.pem"},
        files={"ca.pem": CERTIFICATE},
        expected=bearer("plain"),
    ),
    Case(
        "authority-twice",
        {"token": "plain"},
        {"certificate-authority": "ca.pem"},
        files={"ca.pem": CERTIFICATE},
        expected=REFUSED,
    ),
    Case(
        "authority-file-missing",
        {"token": "plain"},
        {"certificate-authority-data": None, "certificate-authority": "ca.pem"},
        expected=REFUSED,
    ),
    Case("authority-no-pem", {"token": "plain"}, {"certificate-authority-data": "bm8="}, expected=REFUSED),
    Case("authority-no-base64", {"token": "plain"}, {"certificate-authority-data": "§"}, expected=REFUSED),
    Case(
        "insecure",
        {"token": "plain"},
        {"certificate-authority-data": None, "insecure-skip-tls-verify": True},
        expected=bearer("plain"),
    ),
    Case("insecure-and-authority", {"token": "plain"}, {"insecure-skip-tls-verify": True}, expected=REFUSED),
    Case(
        "insecure-option",
        {"token": "plain"},
        options=("--insecure-skip-tls-verify",),
        expected=bearer("plain"),
    ),
    Case(
        "authority-option",
        {"token": "plain"},
        {"certificate-authority-data": None},
        options=("--certificate-authority={directory}/ca.pem",),
        files={"ca.pem": CERTIFICATE},
        expected=bearer("plain"),
    ),
    Case(
        "tls-server-name",
        {"token": "plain"},
        {"tls-server-name": "localhost"},
        expected={"name": "localhost"},
    ),
    Case("tls-server-name-wrong", {"token": "plain"}, {"tls-server-name": "other.example"}, expected=REFUSED),
    Case(
        "tls-server-name-option",
        {"token": "plain"},
        {"tls-server-name": "other.example"},
        options=("--tls-server-name=localhost",),
        expected={"name": "localhost"},
    ),
    Case(
        "tls-server-name-belongs-to-its-server",
        {"token": "plain"},
        {"tls-server-name": "other.example"},
        options=("--server=https://127.0.0.1:{secure}",),
        expected=bearer("plain"),
    ),
    Case(
        "client-certificate-data",
        {"client-certificate-data": DATA, "client-key-data": DATA},
        expected={"certificate": True, "headers": []},
    ),
    Case(
        "client-certificate-file",
        {"client-certificate": "client.pem", "client-key": "client.pem"},
        files={"client.pem": CERTIFICATE},
        expected={"certificate": True},
    ),
    Case("client-certificate-without-key", {"client-certificate-data": DATA}, expected=REFUSED),
    Case(
        "client-certificate-options",
        {"token": "plain"},
        options=("--client-certificate={directory}/client.pem", "--client-key={directory}/client.pem"),
        files={"client.pem": CERTIFICATE},
        expected={"certificate": True, "headers": bearer("plain")},
    ),
    Case(
        "proxy-url-dead",
        {"token": "plain"},
        {"proxy-url": "http://127.0.0.1:1"},
        expected=REFUSED,
    ),
    Case("proxy-url-malformed", {"token": "plain"}, {"proxy-url": "ftp://proxy"}, expected=REFUSED),
    Case(
        "loopback-is-asked-directly",
        {"token": "plain"},
        env={"HTTPS_PROXY": "http://127.0.0.1:1"},
        expected=bearer("plain"),
    ),
    Case(
        "netrc-is-not-read",
        {"client-certificate-data": DATA, "client-key-data": DATA},
        files={".netrc": "machine 127.0.0.1 login u password p\n"},
        expected=[],
    ),
    Case("exec", exec_plugin(), files={"plugin": prints({"token": "given"})}, expected=bearer("given")),
    Case(
        "exec-v1beta1",
        exec_plugin(apiVersion="client.authentication.k8s.io/v1beta1", interactiveMode=None),
        files={"plugin": prints({"token": "given"}, version="v1beta1")},
        expected=bearer("given"),
    ),
    Case(
        "exec-env-and-arguments",
        exec_plugin(env=[{"name": "FROM_THE_KUBECONFIG", "value": "env"}], args=["arg"]),
        files={"plugin": SHOWS_ITS_VARIABLE},
        expected=bearer("env-arg"),
    ),
    Case(
        "exec-cluster",
        exec_plugin(provideClusterInfo=True),
        {"extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "crm"}}]},
        files={"plugin": SHOWS_THE_CLUSTER},
        expected=bearer("crm-False-['certificate-authority-data', 'config', 'server']"),
    ),
    Case(
        "exec-certificate",
        exec_plugin(),
        files={"plugin": prints({"clientCertificateData": CERTIFICATE, "clientKeyData": CERTIFICATE})},
        expected={"certificate": True, "headers": []},
    ),
    Case(
        "exec-and-as",
        {**exec_plugin(), "as": "jane"},
        files={"plugin": prints({"token": "given"})},
        expected=[*bearer("given"), ("impersonate-user", "jane")],
    ),
    Case(
        "exec-but-token",
        {**exec_plugin(), "token": "plain"},
        files={"plugin": prints({"token": "given"})},
        expected=bearer("plain"),
    ),
    Case("exec-fails", exec_plugin(), files={"plugin": "#!/bin/sh\nexit 3\n"}, expected=REFUSED),
    Case("exec-says-nothing", exec_plugin(), files={"plugin": "#!/bin/sh\n"}, expected=REFUSED),
    Case("exec-gives-nothing", exec_plugin(), files={"plugin": prints({})}, expected=REFUSED),
    Case(
        "exec-of-another-version",
        exec_plugin(),
        files={"plugin": prints({"token": "given"}, version="v1beta1")},
        expected=REFUSED,
    ),
    Case("exec-missing", exec_plugin(command="no-such-plugin"), expected=REFUSED),
    Case(
        "exec-without-mode",
        exec_plugin(interactiveMode=None),
        files={"plugin": prints({"token": "given"})},
        expected=REFUSED,
    ),
    Case(
        "exec-needs-a-terminal",
        exec_plugin(interactiveMode="Always"),
        files={"plugin": prints({"token": "given"})},
        expected=REFUSED,
    ),
    Case(
        "oidc",
        {
            "auth-provider": {
                "name": "oidc",
                "config": {"id-token": jwt(3600), "client-id": "c", "idp-issuer-url": "https://127.0.0.1:1"},
            }
        },
        expected={},
    ),
    Case("gcp", {"auth-provider": {"name": "gcp", "config": {"access-token": "old"}}}, expected=REFUSED),
    Case("no-such-context", {"token": "plain"}, options=("--context=nowhere",), expected=REFUSED),
    Case("no-such-user", {"token": "plain"}, options=("--user=nobody",), expected=REFUSED),
    Case("no-such-cluster", {"token": "plain"}, options=("--cluster=nowhere",), expected=REFUSED),
    Case(
        "cluster-and-user-without-a-context",
        {"token": "plain"},
        config={"current-context": ""},
        options=("--cluster=here", "--user=me"),
        expected=bearer("plain"),
    ),
    Case("no-current-context", {"token": "plain"}, config={"current-context": ""}, expected=REFUSED),
    Case(
        "a-name-twice",
        config={"users": [{"name": "me", "user": {"token": "a"}}, {"name": "me", "user": {"token": "b"}}]},
        expected=REFUSED,
    ),
    Case("nulls", {"token": "plain", "as-groups": None, "exec": None}, expected=bearer("plain")),
    Case(
        "client-certificate-twice",
        {"client-certificate-data": DATA, "client-key-data": DATA, "client-certificate": "client.pem"},
        files={"client.pem": CERTIFICATE},
        expected=REFUSED,
    ),
    Case(
        "client-certificate-options-before-data",
        {"client-certificate-data": DATA, "client-key-data": DATA},
        options=("--client-certificate={directory}/client.pem", "--client-key={directory}/client.pem"),
        files={"client.pem": CERTIFICATE},
        expected={"certificate": True},
    ),
    Case("another-version", {"token": "plain"}, config={"apiVersion": "v2"}, expected=REFUSED),
    Case("another-kind", {"token": "plain"}, config={"kind": "Pod"}, expected=REFUSED),
    Case("numbers", {"token": 1234567}, expected=REFUSED),
    Case("lists-that-are-none", config={"users": "me"}, expected=REFUSED),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Recorder]:
    with recorder() as running:
        yield running


@pytest.fixture(scope="module")
def binary() -> str:
    return find_assets().binary("kubectl")


def write(case: Case, server: Recorder, directory: Path) -> Path:
    """The case's files; its kubeconfig."""
    cluster = {
        "server": "https://127.0.0.1:{secure}",
        "certificate-authority-data": DATA,
        **case.cluster,
    }
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": cluster}],
        "users": [{"name": "me", "user": case.user}],
        "contexts": [{"name": "mine", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "mine",
        **case.config,
    }
    for name, text in case.files.items():
        (directory / name).write_text(text)
        (directory / name).chmod(stat.S_IRWXU)
    path = directory / "kubeconfig"
    path.write_text(filled(yaml.safe_dump(content, allow_unicode=True), server, directory))
    return path


def filled(text: str, server: Recorder, directory: Path) -> str:
    return (
        text.replace("{secure}", str(server.secure))
        .replace("{plain}", str(server.plain))
        .replace("{directory}", str(directory))
    )


def ask_kubectl(binary: str, server: Recorder, options: list[str], environ: dict[str, str]) -> Any:
    server.take()
    done = subprocess.run(
        [binary, "get", "--raw=/version", "--request-timeout=20s", *options],
        env=environ,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return server.take() if done.returncode == 0 else REFUSED


def ask_plugin(server: Recorder, options: list[str], environ: dict[str, str]) -> Any:
    """The plugin's own way, up to the request; a refusal is a Problem, whose words are given."""
    server.take()
    command = typed(options)
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        asyncio.run(_version(command))
    except Problem as problem:
        return REFUSED if problem.message and "plain" not in problem.message else str(problem)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return server.take()


def typed(options: list[str]) -> ClusterOptions:
    """What the plugin makes of its command line."""
    command: Any = typer.main.get_command(app)
    return ClusterOptions.of(command.commands["doctor"].make_context("doctor", list(options)).params)


async def _version(options: ClusterOptions) -> None:
    cluster = await PluginCluster.connect(options)
    try:
        await call(client.VersionApi(cluster.api).get_code(_request_timeout=cluster.seconds), "its version")
    finally:
        await cluster.close()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_both_say_the_same_to_the_server(case: Case, server: Recorder, binary: str, tmp_path: Path) -> None:
    path = write(case, server, tmp_path)
    options = [filled(option, server, tmp_path) for option in case.options]
    environ = {
        "HOME": str(tmp_path),
        "KUBECONFIG": str(path),
        "PATH": os.environ["PATH"],
        **case.env,
    }
    theirs = ask_kubectl(binary, server, options, environ)
    ours = ask_plugin(server, options, environ)
    assert ours == theirs
    if isinstance(case.expected, dict):
        assert {name: ours[name] for name in case.expected} == case.expected
    elif case.expected == REFUSED:
        assert ours == REFUSED
    else:
        assert ours["headers"] == case.expected


SEVERAL = {
    "first": {
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "first"}}],
        "users": [{"name": "u", "user": {"tokenFile": "token"}}],
    },
    "second/config": {
        "current-context": "two",
        "contexts": [
            {"name": "one", "context": {"cluster": "x", "user": "x", "namespace": "second"}},
            {"name": "two", "context": {"cluster": "c", "user": "v"}},
        ],
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": "https://127.0.0.1:{secure}", "certificate-authority": "ca.pem"},
            }
        ],
        "users": [
            {"name": "u", "user": {"token": "of the second file"}},
            {"name": "v", "user": {"client-certificate": "c.pem", "client-key": "c.pem"}},
        ],
    },
}


@pytest.mark.parametrize("context", [None, "two"])
def test_of_several_files_the_first_counts_and_each_has_its_own_paths(
    context: str | None, server: Recorder, binary: str, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    for name, content in SEVERAL.items():
        (tmp_path / name).write_text(filled(yaml.safe_dump(content), server, tmp_path))
    (tmp_path / "token").write_text("of-the-first\n")
    for name in ("ca.pem", "c.pem"):
        (tmp_path / "second" / name).write_text(CERTIFICATE)
    paths = ["", tmp_path / "missing", *(tmp_path / name for name in SEVERAL)]
    environ = {"KUBECONFIG": ":".join(map(str, paths)), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    options = [f"--context={context}"] if context else []
    theirs = ask_kubectl(binary, server, options, environ)
    assert ask_plugin(server, options, environ) == theirs
    assert (theirs["headers"], theirs["certificate"]) == (
        ([], True) if context else (bearer("of-the-first"), False)
    )
    chosen = choose(ClusterOptions(context=context), environ)
    assert chosen.namespace == ("default" if context else "first")
    assert choose(ClusterOptions(namespace="mine"), environ).namespace == "mine"


@pytest.mark.parametrize(
    ("environ", "options"),
    [
        ({}, []),
        ({"KUBECONFIG": "/nonexistent"}, []),
        ({"KUBECONFIG": "/"}, []),
        ({}, ["--kubeconfig=/nonexistent"]),
        ({}, ["--token=abc"]),
    ],
    ids=["no-home", "missing-files", "a-directory", "missing-file", "no-server"],
)
def test_where_nothing_is_to_be_read_both_refuse(
    environ: dict[str, str], options: list[str], server: Recorder, binary: str
) -> None:
    path = {"PATH": os.environ["PATH"]}
    assert ask_kubectl(binary, server, options, {**path, **environ}) == REFUSED
    assert ask_plugin(server, options, {**path, **environ}) == REFUSED


def test_the_plugin_has_no_more_rights_than_the_impersonated(
    cluster: Cluster, kubectl: Kubectl, namespace: str, kubeconfig: Path, tmp_path: Path
) -> None:
    """Whoever may do everything asks as somebody who may read connections, by kubeconfig and by option."""
    cluster.apply(manifests.connection(namespace))
    cluster.apply(manifests.secret(namespace, manifests.ZOHO_SECRET, {"clientId": "1000.X"}))
    person(kubectl, namespace, tmp_path / "person", [READ_CONNECTIONS, secrets("list")])
    jane = f"system:serviceaccount:{namespace}:person"
    impersonating = kubectl.json("config", "view", "--minify", "--flatten", "--raw")
    impersonating["users"][0]["user"]["as"] = jane
    file = tmp_path / "impersonating"
    file.write_text(json.dumps(impersonating))

    def doctor(*options: str) -> dict[str, dict[str, str]]:
        done = subprocess.run(
            [sys.executable, "-m", "crmflow.cli", "doctor", "-n", namespace, "-o", "json", *options],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT / "operator"), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        sections = json.loads(done.stdout)["sections"]
        return {check["check"]: check for section in sections for check in section["checks"]}

    as_admin = doctor(f"--kubeconfig={kubeconfig}")
    assert "may not" not in as_admin["Zoho Secret"]["message"]
    assert "403" not in as_admin["Zoho Secret"]["message"]
    for options in ([f"--kubeconfig={file}"], [f"--kubeconfig={kubeconfig}", f"--as={jane}"]):
        secret = doctor(*options)["Zoho Secret"]
        assert f'User "{jane}" cannot get resource "secrets"' in secret["message"]
    groups = doctor(f"--kubeconfig={kubeconfig}", "--as=jane", "--as-group=system:masters")
    assert groups["Zoho Secret"]["message"] == as_admin["Zoho Secret"]["message"]


def test_a_token_that_is_exchanged_is_followed(server: Recorder, tmp_path: Path) -> None:
    case = Case("", {"tokenFile": "token"}, files={"token": "first\n"})
    environ = {"KUBECONFIG": str(write(case, server, tmp_path))}
    told: list[Any] = []

    async def twice() -> None:
        api = await api_client(choose(ClusterOptions(), environ))
        try:
            for token in ("first", "second", None):
                if token is None:
                    (tmp_path / "token").unlink()
                else:
                    (tmp_path / "token").write_text(f"{token}\n")
                await client.VersionApi(api).get_code()
                told.append((server.take() or {})["headers"])
        finally:
            await api.close()

    asyncio.run(twice())
    assert told == [bearer("first"), bearer("second"), bearer("second")]


def test_credentials_of_a_plugin_are_renewed_when_they_have_expired(server: Recorder, tmp_path: Path) -> None:
    times = tmp_path / "times"
    script = (
        f'#!/bin/sh\necho x >> {times}\nprintf \'{{"apiVersion":"client.authentication.k8s.io/v1",'
        '"kind":"ExecCredential","status":{"token":"number-%s","expirationTimestamp":"%s"}}\' '
        f'"$(wc -l < {times} | tr -d " ")" "$(cat {tmp_path}/expires)"\n'
    )
    environ = {"KUBECONFIG": str(write(Case("", exec_plugin(), files={"plugin": script}), server, tmp_path))}
    told: list[Any] = []

    async def ask() -> None:
        (tmp_path / "expires").write_text("2020-01-01T00:00:00Z")
        api = await api_client(choose(ClusterOptions(), environ))
        try:
            (tmp_path / "expires").write_text("2120-01-01T00:00:00Z")
            for _ in range(2):
                await client.VersionApi(api).get_code()
                told.append((server.take() or {})["headers"])
        finally:
            await api.close()

    asyncio.run(ask())
    assert told == [bearer("number-2"), bearer("number-2")]
