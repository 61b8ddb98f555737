"""What the operator is made of: ``python -m hack.sbom`` writes two files into ``build/sbom``.

``crmflow.cdx.json`` is a bill of materials in CycloneDX, made by CycloneDX's own tool from an environment
that holds the locked packages of the operator and nothing else; the tool checks it against the format's
schema. It names no machine, place or time, so that equal locks give equal bytes. ``licenses.md`` is a table
for people.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from crmflow import __version__
from hack.console import Step, ToolError, say
from hack.install import ROOT

_TOOL_VERSION = "7.5.0"
_BUILD = ROOT / "build"
_TOOL = _BUILD / f"cyclonedx-bom-{_TOOL_VERSION}"
_REFUSED = "GPL"
"""Licenses that bind whoever distributes the image, by what their names have in common."""


def main() -> int:
    """Write both files; returns the exit status."""
    output = _BUILD / "sbom"
    output.mkdir(parents=True, exist_ok=True)
    try:
        bill = _bill(output / "crmflow.cdx.json")
        table = licenses(bill)
    except (ToolError, subprocess.CalledProcessError) as error:
        say(f"error: {error}")
        return 1
    (output / "licenses.md").write_text(table)
    say(f"{len(bill['components'])} packages: {output / 'crmflow.cdx.json'}, {output / 'licenses.md'}")
    return 0


def licenses(bill: Any) -> str:
    """The table of a bill's packages. Raises ToolError for one without a license, or with a GPL."""
    rows = []
    for component in sorted(bill["components"], key=lambda component: component["name"].lower()):
        name, terms = component["name"], _terms(component)
        if not terms:
            raise ToolError(f"{name} names no license: find out which it has before it is shipped")
        if _REFUSED in terms:
            raise ToolError(f"{name} has the license {terms}, which does not go with Apache-2.0: replace it")
        rows.append(f"| {name} | {component['version']} | {terms} |\n")
    return "".join(["| package | version | license, as it declares it |\n|---|---|---|\n", *rows])


def _terms(component: Any) -> str:
    """The licenses of a package, classifiers only where nothing is more precise."""
    precise, vague = [], []
    for entry in component.get("licenses", ()):
        text = entry.get("expression") or entry["license"].get("id")
        if text:
            precise.append(text)
        else:
            vague.append(entry["license"]["name"].removeprefix("License :: OSI Approved :: "))
    return ", ".join(precise or vague)


def _bill(path: Path) -> Any:
    if not (_TOOL / "bin" / "cyclonedx-py").exists():
        with Step(f"Installing cyclonedx-bom {_TOOL_VERSION}"):
            _run(sys.executable, "-m", "venv", "--clear", str(_TOOL))
            _run(str(_TOOL / "bin" / "pip"), "install", "-q", f"cyclonedx-bom=={_TOOL_VERSION}")
    environment = _BUILD / "runtime"
    with Step("Installing the operator's packages"):
        python = str(environment / "bin" / "python")
        _run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(environment))
        locked = ["--require-hashes", "-r", "requirements/runtime.txt"]
        _run(str(_TOOL / "bin" / "pip"), "--python", python, "install", "-q", *locked)
    options = ["--pyproject", "pyproject.toml", "--output-reproducible", "--validate", "-o", str(path)]
    _run(str(_TOOL / "bin" / "cyclonedx-py"), "environment", *options, python)
    bill = json.loads(path.read_text())
    bill["metadata"]["component"]["version"] = (
        __version__  # the tool knows no versions that a build finds out
    )
    path.write_text(json.dumps(bill, indent=2) + "\n")
    return bill


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
