"""What keeps a process from starting is said in one line: the setting, its value, what to do."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from crmflow import __main__
from crmflow.runtime.app import Application
from hack.install import ROOT

KUBECONFIG = {
    "clusters": [
        {"name": "c", "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True}}
    ],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
}
# The system knows no user of this process: a real UID without an entry needs root, see tests/cluster.
NOBODY = (
    "import pwd, runpy, sys\n"
    "def unknown(uid):\n    raise KeyError(f'getpwuid(): uid not found: {uid}')\n"
    "pwd.getpwuid = unknown\n"
    "module = sys.argv.pop(1)\n"
    "runpy.run_module(module, run_name='__main__', alter_sys=True)\n"
)


def process(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it until it ends, as a user whom the system does not know."""
    return subprocess.run(
        [sys.executable, "-c", NOBODY, module, *arguments],
        cwd="/",
        env={"PYTHONPATH": str(ROOT / "operator"), "PATH": os.environ["PATH"], **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Started(BaseException):
    """Nothing kept the operator from starting."""


class Operator:
    """The command in this process, which is quicker; it ends where it would begin to work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, **environment: str) -> tuple[int, str]:
        """Its exit status, and what it has said."""
        for name in list(os.environ):
            self._monkeypatch.delenv(name)
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        status = __main__.main(["run"])
        written = self._capsys.readouterr()
        assert written.out == ""
        return status, written.err


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    async def serve(*_: object) -> None:
        raise Started

    monkeypatch.setattr(Application, "_serve", serve)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Operator(monkeypatch, capsys)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """A sound one, of an API server that nobody asks in these tests."""
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(KUBECONFIG))
    return path


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@dataclass(frozen=True)
class Fault:
    """One setting that can't be used, and what its line has to hold besides its name."""

    name: str
    environment: dict[str, str]
    words: tuple[str, ...]
    never: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    kubeconfig: dict[str, object] | None = None


def changed(part: str, **changes: object) -> dict[str, object]:
    """The kubeconfig with its only cluster or user changed."""
    entry = {**KUBECONFIG[f"{part}s"][0][part], **changes}  # type: ignore[index]
    return {**KUBECONFIG, f"{part}s": [{"name": part[0], part: entry}]}


FAULTS = [
    Fault("CRMFLOW_LISTEN", {"CRMFLOW_LISTEN": "127.0.0.1:{port}"}, ("127.0.0.1:{port}", "another port")),
    Fault("CRMFLOW_LISTEN", {"CRMFLOW_LISTEN": "192.0.2.1:8080"}, ('"192.0.2.1:8080"', "no such address")),
    Fault("CRMFLOW_LISTEN", {"CRMFLOW_LISTEN": "no.such.host.invalid:8080"}, ("no such address",)),
    Fault("CRMFLOW_LISTEN", {"CRMFLOW_LISTEN": f"{'x' * 80}.example:8080"}, ("no such address",)),
    Fault(
        "CRMFLOW_LISTEN_FILE",
        {"CRMFLOW_LISTEN_FILE": "/nonexistent/address"},
        ('"/nonexistent/address"', "No such file or directory", "can be written"),
    ),
    Fault("CRMFLOW_LISTEN_FILE", {"CRMFLOW_LISTEN_FILE": "/proc/address"}, ("/proc/address",)),
    Fault(
        "SSL_CERT_FILE", {"SSL_CERT_FILE": "/nonexistent/ca.pem"}, ('"/nonexistent/ca.pem"', "No such file")
    ),
    Fault(
        "SSL_CERT_FILE",
        {"SSL_CERT_FILE": "{directory}/ca.pem"},
        ("no certificate", "PEM"),
        files={"ca.pem": ""},
    ),
    Fault("SSL_CERT_FILE", {"SSL_CERT_FILE": "/"}, ('"/"', "Is a directory")),
    Fault("SSL_CERT_DIR", {"SSL_CERT_DIR": "/nonexistent"}, ('"/nonexistent"', "No such file or directory")),
    Fault(
        "HTTPS_PROXY",
        {"HTTPS_PROXY": "socks5://user:hunter2@proxy:1080"},
        ("socks5://***@proxy:1080", "http://HOST:PORT"),
        ("hunter2",),
    ),
    Fault("https_proxy", {"https_proxy": "http://user:hunter2"}, ("a host and a port",), ("hunter2",)),
    Fault("HTTP_PROXY", {"HTTP_PROXY": "http://[::1:3128"}, ("a host and a port",)),
    Fault("HTTP_PROXY", {"HTTP_PROXY": "http://"}, ("a host and a port",)),
    Fault("HTTP_PROXY", {"HTTP_PROXY": "http://proxy:99999"}, ("a host and a port",)),
    Fault("KUBECONFIG", {"KUBECONFIG": ""}, ("no kubeconfig", "--kubeconfig")),
    Fault("KUBECONFIG", {"KUBECONFIG": "", "HOME": "/nonexistent"}, ("no kubeconfig",)),
    Fault("KUBECONFIG", {"KUBECONFIG": "/nonexistent/config"}, ('"/nonexistent/config"', "no kubeconfig")),
    Fault("KUBECONFIG", {"KUBECONFIG": "/"}, ("Is a directory",)),
    Fault(
        "KUBECONFIG",
        {"KUBECONFIG": "{directory}/k"},
        ("line 1", "YAML"),
        ("hunter2",),
        {"k": "token: [hunter2"},
    ),
    Fault(
        "KUBECONFIG", {"KUBECONFIG": "{directory}/k"}, ("not a kubeconfig",), ("hunter2",), {"k": "hunter2"}
    ),
    Fault("KUBECONFIG", {}, ('no context "away"',), kubeconfig={**KUBECONFIG, "current-context": "away"}),
    Fault("KUBECONFIG", {}, ("no current-context",), kubeconfig={**KUBECONFIG, "current-context": ""}),
    Fault(
        "KUBECONFIG",
        {},
        ("certificate-authority-data", "base64"),
        kubeconfig=changed(
            "cluster", **{"certificate-authority-data": "hunter2", "insecure-skip-tls-verify": False}
        ),
        never=("hunter2",),
    ),
    Fault(
        "KUBECONFIG",
        {},
        ("impersonation", "credentials of its own"),
        kubeconfig=changed("user", **{"as": "jane"}),
    ),
    Fault(
        "CRMFLOW_POD_NAMESPACE",
        {"CRMFLOW_LEADER_ELECTION": "true"},
        ("leader election", "CRMFLOW_LEADER_ELECTION"),
    ),
    Fault(
        "/var/run/secrets/kubernetes.io/serviceaccount",
        {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1", "KUBECONFIG": ""},
        ("ServiceAccount", "automountServiceAccountToken"),
    ),
    Fault("CRMFLOW_WORKERS", {"CRMFLOW_WORKERS": "many"}, ('"many"', "integer")),
    Fault("CRMFLOW_LOG_LEVEL", {"CRMFLOW_LOG_LEVEL": "debug"}, ('"debug"', "DEBUG, INFO, WARNING or ERROR")),
    Fault(
        "CRMFLOW_PLATFORM_URL",
        {"CRMFLOW_PLATFORM_URL": "https://user:hunter2@platform"},
        ("https://***@platform", "without a user"),
        ("hunter2",),
    ),
    Fault("CRMFLOW_CLOCK", {"CRMFLOW_CLOCK": "/"}, ('"/"', "Is a directory")),
]


@pytest.mark.parametrize(
    "fault", FAULTS, ids=[f"{fault.name.lower()}-{number}" for number, fault in enumerate(FAULTS)]
)
def test_one_line_with_the_setting_and_what_to_do(
    fault: Fault, operator: Operator, kubeconfig: Path, taken_port: int, tmp_path: Path
) -> None:
    def filled(text: str) -> str:
        return text.replace("{directory}", str(tmp_path)).replace("{port}", str(taken_port))

    for name, text in fault.files.items():
        (tmp_path / name).write_text(text)
    if fault.kubeconfig is not None:
        kubeconfig.write_text(yaml.safe_dump(fault.kubeconfig))
    environment = {"KUBECONFIG": str(kubeconfig), "CRMFLOW_LISTEN": "127.0.0.1:0", **fault.environment}
    status, text = operator(**{name: filled(value) for name, value in environment.items()})
    [line] = text.splitlines()
    said = json.loads(line)["event"] if line.startswith("{") else line
    assert fault.name in said
    assert [word for word in map(filled, fault.words) if word not in said] == []
    assert [word for word in fault.never if word in text] == []
    assert status == 2


def test_a_sound_one_starts(operator: Operator, kubeconfig: Path) -> None:
    with pytest.raises(Started):
        operator(KUBECONFIG=str(kubeconfig), CRMFLOW_LISTEN="127.0.0.1:0")


def test_all_settings_that_are_wrong_are_told_at_once(operator: Operator) -> None:
    status, text = operator(CRMFLOW_WORKERS="0", CRMFLOW_LISTEN=":99999", CRMFLOW_INSTANCE="A\nb")
    assert [line.partition("=")[0] for line in text.splitlines()] == [
        "CRMFLOW_INSTANCE",
        "CRMFLOW_WORKERS",
        "CRMFLOW_LISTEN",
    ]
    assert status == 2


def test_a_process_of_an_unknown_user_says_it_and_ends(kubeconfig: Path, taken_port: int) -> None:
    listen = f"127.0.0.1:{taken_port}"
    ended = process("crmflow", "run", KUBECONFIG=str(kubeconfig), CRMFLOW_LISTEN=listen)
    [line] = ended.stderr.splitlines()
    assert f'CRMFLOW_LISTEN="{listen}": another process listens there' in json.loads(line)["event"]
    assert (ended.returncode, ended.stdout) == (2, "")


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("crmflow", ["--help"]),
        ("crmflow", ["--version"]),
        ("crmflow.cli", ["doctor", "--help"]),
    ],
)
def test_help_is_given_anywhere(module: str, arguments: list[str]) -> None:
    ended = process(
        module, *arguments, SSL_CERT_FILE="/nonexistent", HTTPS_PROXY="ftp://", KUBECONFIG="/nonexistent"
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "crmflow" in ended.stdout


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"KUBECONFIG": ""}, ("no kubeconfig",)),
        ({"KUBECONFIG": "/nonexistent"}, ("/nonexistent", "no kubeconfig")),
        ({"SSL_CERT_FILE": "/nonexistent/ca.pem"}, ("SSL_CERT_FILE", "/nonexistent/ca.pem")),
        ({"HTTPS_PROXY": "ftp://user:hunter2@proxy"}, ("HTTPS_PROXY", "ftp://***@proxy")),
        ({"CRMFLOW_IMS_URL": "ims.example"}, ("CRMFLOW_IMS_URL", '"ims.example"', "https://")),
    ],
)
def test_the_plugin_says_it_too(
    environment: dict[str, str], words: tuple[str, ...], kubeconfig: Path
) -> None:
    given = {"KUBECONFIG": str(kubeconfig), **environment}
    ended = process("crmflow.cli", "doctor", "zoho-eu", "-n", "crm", "--live", **given)
    said = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert [word for word in words if word not in said[0]] == []
    assert "Traceback" not in ended.stderr
    assert "hunter2" not in ended.stderr
    assert ended.returncode == 1
