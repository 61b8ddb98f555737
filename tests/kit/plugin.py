"""``kubectl crmflow`` as a process, run by somebody with just the rights that a test gives them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.kit import canary, prefork
from tests.kit.person import Rule, person
from tests.kit.tenant import Tenant

READ_CONNECTIONS: Rule = {
    "apiGroups": ["crmflow.io"],
    "resources": ["zohosourceconnections", "crmdataflows"],
    "verbs": ["get", "list"],
}
READ_SECRETS: Rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
ENOUGH = (READ_CONNECTIONS, READ_SECRETS)
"""The rights that the reading commands need."""


class Run:
    """A finished command."""

    def __init__(self, command: subprocess.CompletedProcess[str]) -> None:
        self.status, self.stdout, self.stderr = command.returncode, command.stdout, command.stderr

    @property
    def lines(self) -> list[list[str]]:
        """The words of each line of standard output."""
        return [line.split() for line in self.stdout.splitlines()]

    def json(self) -> Any:
        """Standard output, parsed."""
        return json.loads(self.stdout)


class Plugin:
    """The person, their kubeconfig, and what every run has shown them."""

    def __init__(self, tenant: Tenant, kubectl: Kubectl, directory: Path) -> None:
        self.tenant = tenant
        self.directory = directory
        self._kubectl = kubectl
        self.kubeconfig = directory / "kubeconfig"
        self._shown: dict[str, str] = {}
        self.give_rights(*ENOUGH)

    def give_rights(self, *rules: Rule) -> None:
        """These and no others from now on."""
        person(self._kubectl, self.tenant.namespace, self.kubeconfig, rules)

    def __call__(self, *arguments: str, **environment: str) -> Run:
        """Run ``kubectl crmflow ARGUMENTS``."""
        return self.run([*arguments, f"--kubeconfig={self.kubeconfig}"], environment)

    def run(self, arguments: Sequence[str], environment: dict[str, str]) -> Run:
        """The same with these arguments alone."""
        inherited = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        settings = self.tenant.emulators.operator_settings()
        command = prefork.run_plugin(arguments, env={**inherited, **settings, **environment}, cwd=ROOT)
        self._shown[f"run {len(self._shown)}"] = command.stdout + command.stderr
        return Run(command)

    def check(self) -> None:
        """No run may have shown a secret or a traceback, nor left one in a file."""
        files = {path.name: path.read_text() for path in self.directory.glob("*") if path != self.kubeconfig}
        assert not [name for name, text in self._shown.items() if "Traceback" in text]
        canary.assert_no_secrets(self.tenant.emulators.secrets(), {**self._shown, **files})
