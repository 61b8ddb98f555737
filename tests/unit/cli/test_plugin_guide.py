"""What the plugin's guide and the doctor's table say is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from crmflow.cli.doctor.checks import Subject
from crmflow.cli.main import app
from hack.install import ROOT

FOLDER = ROOT / "docs" / "guides"
GUIDE = (FOLDER / "plugin.md").read_text()
TROUBLESHOOTING = (FOLDER / "troubleshooting.md").read_text()
COMMANDS = (
    "authorize",
    "explore",
    "allowlist",
    "doctor",
    "approve",
    "status",
    "errors",
    "plan",
    "import",
    "new dataflow",
)


def help_of(command: str) -> str:
    return CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"}).output


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_command_is_in_it() -> None:
    root = CliRunner().invoke(app, ["--help"]).output
    for command in COMMANDS:
        assert f"`{command}`" in GUIDE
        assert f"\n  {command.split()[0]} " in root


def test_its_commands_and_options_exist() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    used = [line.split()[2:] for line in lines if line.startswith("kubectl crmflow ")]
    used.remove(["--version"])
    named = [" ".join(words[:2]) if words[0] == "new" else words[0] for words in used]
    assert set(named) == set(COMMANDS) - {"authorize"}
    for command, arguments in zip(named, used, strict=True):
        told = help_of(command)
        options = {word for word in arguments if word.startswith("-")}
        assert [option for option in options if not re.search(rf"(^|[\s,]){option}\b", told)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_chooses_its_cluster_as_kubectl_does(command: str) -> None:
    told = help_of(command)
    for option in (
        "-n, --namespace",
        "--kubeconfig",
        "--context",
        "--as",
        "--as-group",
        "--as-uid",
        "--user",
    ):
        assert f"  {option} " in told


def test_every_option_of_kubectls_is_in_it() -> None:
    told = GUIDE.split("## Which cluster, and as whom")[1].split("## What it may do")[0]
    options = set(re.findall(r"(--[a-z-]+)", help_of("doctor").split("--output")[1])) - {"--help"}
    assert {"--as-user-extra", "--request-timeout", "--tls-server-name"} <= options
    assert [option for option in sorted(options) if f"`{option}`" not in told] == []


def test_each_check_is_explained() -> None:
    table = TROUBLESHOOTING.split("## What the doctor checks")[1]
    explained = {
        subject
        for line in table.splitlines()
        if line.startswith("| ")
        for subject in line.split("|")[1].strip().split(", ")
    }
    assert explained - {"check"} == {str(subject) for subject in Subject}


def test_what_it_shows_of_the_doctor_is_what_the_doctor_says() -> None:
    shown = "".join(blocks("text"))
    unseen = {Subject.CONNECTIONS, Subject.RESOURCE}
    assert [subject for subject in Subject if f"  {subject} " not in shown and subject not in unseen] == []


def test_its_role_is_a_role() -> None:
    (role,) = map(yaml.safe_load, blocks("yaml"))
    assert role["kind"] == "Role"
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "patch"}
    changed = [rule["resources"] for rule in role["rules"] if "patch" in rule["verbs"]]
    assert changed == [["crmdataflows"]]


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", GUIDE)
    assert targets
    for target in targets:
        file, _, anchor = target.partition("#")
        path = FOLDER / file if file else Path(FOLDER / "plugin.md")
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text()), target
