"""What the guide shows is what there is."""

from __future__ import annotations

import re

import yaml
from pydantic import SecretStr

from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.cli.redirect import DEFAULT_REDIRECT_URI
from crmflow.cli.secret import KEYS
from crmflow.reconcile.credentials import ZohoCredentials
from crmflow.zoho.scopes import DEFAULT_SCOPES
from hack.install import ROOT

FOLDER = ROOT / "docs" / "guides"
GUIDE = (FOLDER / "authorize-zoho.md").read_text()
MAIN = (ROOT / "operator" / "crmflow" / "cli" / "main.py").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def test_its_scopes_are_those_that_are_asked_for() -> None:
    assert re.findall(r"^\| `(ZohoCRM\.[^`]+)` \|", GUIDE, re.MULTILINE) == list(DEFAULT_SCOPES)


def test_the_redirect_uri_is_the_default_one_everywhere() -> None:
    assert [block.strip() for block in _blocks("text")] == [DEFAULT_REDIRECT_URI]
    assert f"Default: {DEFAULT_REDIRECT_URI}." in MAIN


def test_its_manifests_are_valid() -> None:
    connection, secret, with_grant_token = (yaml.safe_load(block) for block in _blocks("yaml"))
    spec = ZohoSourceConnectionSpec.model_validate(connection["spec"])
    assert spec.zoho.credentials_secret_ref.name == secret["metadata"]["name"]
    assert tuple(secret["stringData"]) == KEYS
    data = {key: SecretStr(value) for key, value in with_grant_token["stringData"].items()}
    assert ZohoCredentials.from_secret(data).grant_token is not None


def test_its_options_exist() -> None:
    shown = {option for block in _blocks("sh") for option in re.findall(r"authorize .*", block)}
    options = {option for line in shown for option in re.findall(r"(--[a-z-]+)", line.split("|")[0])}
    assert {"--client-id", "--client-secret-file", "--paste", "--grant-token", "--print"} <= options
    for option in options:
        assert f'"{option}"' in MAIN or f"    {option[2:].replace('-', '_')}: " in MAIN


def test_its_links_and_pictures_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", GUIDE)
    assert targets
    for target in targets:
        assert (FOLDER / target).exists(), target


def test_each_picture_is_shown() -> None:
    pictures = {path.name for path in (ROOT / "docs" / "images" / "authorize").glob("*.png")}
    assert pictures == set(re.findall(r"images/authorize/([a-z-]+\.png)", GUIDE))
