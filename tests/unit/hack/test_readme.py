"""What the README shows is what there is."""

from __future__ import annotations

import re
from typing import Any

import yaml

from crmflow.clock import ENVIRONMENT_VARIABLE
from crmflow.settings import PREFIX, Settings, parse_duration
from hack.install import ROOT

README = (ROOT / "README.md").read_text()
DEMO = ROOT / "deploy" / "demo"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def _settings_table() -> dict[str, str]:
    rows = re.findall(r"^\| (`CRMFLOW_[^|]*) \| ([^|]*) \|", README, re.MULTILINE)
    return {name: default.strip("`") for names, default in rows for name in re.findall(r"`(\w+)`", names)}


def test_its_manifests_are_the_demos() -> None:
    files = sorted(path for path in DEMO.glob("*.yaml") if path.name[0] in "34")
    assert [yaml.safe_load(block) for block in _blocks("yaml")] == [
        yaml.safe_load(path.read_text()) for path in files
    ]


def test_its_table_has_every_setting() -> None:
    expected = {PREFIX + name.upper() for name in Settings.model_fields} | {ENVIRONMENT_VARIABLE}
    assert set(_settings_table()) == expected


def test_its_defaults_are_the_settings() -> None:
    told = _settings_table()
    for name, field in Settings.model_fields.items():
        default: Any = field.default
        if default not in (None, (), False):
            text = told[PREFIX + name.upper()]
            is_duration = isinstance(default, float) and text.endswith(("s", "m", "h"))
            assert (parse_duration(text) if is_duration else type(default)(text)) == default


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
