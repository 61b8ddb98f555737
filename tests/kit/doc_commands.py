"""The commands in the documentation: which there are, how one is tried in the demo, and why one is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hack.install import ROOT
from hack.site.stage import pages

_BLOCK = re.compile(
    r"(?P<before>[^\n]*\n)(?P<indent> *)```(?P<language>console|sh|)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_PROGRAMS = r"^(?:\w+=\S+ )*(?:kubectl|helm|make|pipx?|python3|sed|curl|docker|gh|ln|status=|test|\.)"
"""How a line begins that a person types."""
_QUICKSTART = "docs/quickstart.md"

NAMES = {
    "-n team-a": "-n crm-demo",
    "-n crm-team ": "-n crm-demo ",
    "-n crm ": "-n crm-demo ",
    "NAMESPACE": "crm-demo",
    "KIND NAME": "cdf contacts",
    "cdf NAME": "cdf contacts",
    "zsc NAME": "zsc zoho-eu",
    "doctor NAME": "doctor zoho-eu",
    "CONNECTION": "zoho-eu",
    "involvedObject.name=NAME": "involvedObject.name=contacts",
    "dataflow.yaml": "deploy/demo/4-crmdataflow.yaml",
    "report.md": "build/demo/report.md",
}
"""What stands in the pages for a name of the reader's, and what it is in the demo."""

ELSEWHERE = {
    r"make (setup|check|test|test-unit)": ".ci/run",
    r"make (demo|demo-down)": "tests/cluster/test_quickstart.py",
    r"make emulators|curl .*": "tests/contract",
    r"make image .*": "tests/image",
    r"helm install .*replica=1": "tests/chart/test_render.py",
    r"helm (install|upgrade|rollback|uninstall) .*": "tests/cluster/chart/test_releases.py",
    r"kubectl delete (crd|namespace) .*": "tests/cluster/chart/test_releases.py",
    r"kubectl delete \S*zohosourceconnections .*": "tests/cluster/chart/test_releases.py",
    r"kubectl apply (--server-side -f crds/|-k deploy/base)": "tests/cluster/test_deploy.py",
    r"kubectl -n crmflow-system get lease crmflow": "tests/cluster/test_high_availability.py",
    r"kubectl crmflow authorize .*": "tests/cluster/test_authorize.py",
    r"kubectl crmflow approve .*": "tests/cluster/test_replacement.py",
    r"kubectl crmflow (import|plan -f manifests) .*": "tests/cluster/test_import.py",
    r"kubectl apply .*-f manifests.*": "tests/cluster/test_import.py",
    r"kubectl create -f - <<EOF|kubectl wait cdfr/.*|wait -n; .*": "tests/cluster/test_dataflow_runs.py",
    r"kubectl crmflow errors .*": "tests/cluster/test_status_command.py",
    r"kubectl annotate crmdataflow contacts .*approve-plan=.*": "tests/cluster/test_replacement.py",
    r"kubectl wait .*lastHandledReconcileAt.*": "tests/cluster/test_lifecycle.py",
    r"status=0|kubectl kustomize overlays/prod .*|test \"\$status\" -ne 1": "tests/cluster/test_plan.py",
}
"""What other tests do, in these words or in Python, and where."""

NOT_RUN = {
    r"docker push .*": "needs a registry",
    r"gh pr comment .*": "needs a forge",
    r"pip install 'crmflow\[cli\]'": "no index holds a release",
    r"pipx install .*|python3 -m venv ~/.*|ln -s ~/.*": "would install into a home",
    r"kubectl -n crmflow-system (rollout|logs) .*": "needs an operator in a Pod",
    r"helm history .*": "Helm's own",
    r"kubectl patch configmap argocd-cm .*": "needs Argo CD",
    r"make (crash|cost|property|stage)\b.*": "takes hours; `make test` has a sample",
}
"""What no test runs, and why."""

_WRITES = re.compile(r"kubectl (?:-n \S+ )?(?:annotate|patch|apply|delete)\b")


@dataclass(frozen=True)
class Command:
    """A line of a page that a person types."""

    page: str
    text: str

    @property
    def in_the_demo(self) -> str:
        """The same with the demo's names. What would write is sent as a dry run to the API server."""
        text = self.text
        for name, ours in NAMES.items():
            text = text.replace(name, ours)
        return f"{text} --dry-run=server" if _WRITES.match(text) else text


def documented() -> Iterator[Command]:
    """Every command of every page but the quickstart and the scenes, which are played as a whole."""
    seen = set()
    for page in pages():
        name = page.relative_to(ROOT).as_posix()
        for block in _BLOCK.finditer(f"\n{page.read_text(encoding='utf-8')}"):
            if name == _QUICKSTART or "<!-- scene:" in block["before"]:
                continue
            for text in _typed(block["body"]):
                if text not in seen:
                    seen.add(text)
                    yield Command(name, text)


def quickstart() -> list[list[str]]:
    """The commands of each block of the quickstart."""
    text = (ROOT / _QUICKSTART).read_text(encoding="utf-8")
    return [_typed(block["body"]) for block in _BLOCK.finditer(text)]


def reason(command: Command) -> str | None:
    """Which test runs it, or why none does; None for what is tried in the demo."""
    for pattern, why in {**ELSEWHERE, **NOT_RUN}.items():
        if re.fullmatch(pattern, command.text):
            return why
    return None


def _typed(body: str) -> list[str]:
    """With a prompt those lines, without one all that begin with a program; a backslash joins lines."""
    lines = [line.split(" # ")[0].rstrip() for line in body.replace("\\\n", " ").splitlines()]
    if any(line.startswith("$ ") for line in lines):
        return [" ".join(line[2:].split()) for line in lines if line.startswith("$ ")]
    return [" ".join(line.split()) for line in lines if re.match(_PROGRAMS, line)]
