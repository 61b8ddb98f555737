"""kubectl as a function, for what a person would do with it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from hack.console import ToolError


class Kubectl:
    """One kubectl binary used on one cluster."""

    def __init__(self, binary: str, kubeconfig: Path | None) -> None:
        """``kubeconfig`` None means the one that kubectl finds by itself."""
        self.binary = binary
        self.kubeconfig = kubeconfig

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run ``kubectl ARGUMENTS`` and return its output. Raises ToolError with kubectl's message."""
        selected = [f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else []
        command = [self.binary, *selected, *arguments]
        answer = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise ToolError(f"kubectl {' '.join(arguments)}: {answer.stderr.strip()}")
        return answer.stdout

    def json(self, *arguments: str) -> Any:
        """The same with ``-o json``, parsed."""
        return json.loads(self(*arguments, "-o", "json"))
