"""What the README shows is what there is."""

from __future__ import annotations

import re
from typing import Any

import yaml

from crmflow.clock import ENVIRONMENT_VARIABLE
from crmflow.reconcile.connection.conditions import CONDITIONS as CONNECTION_CONDITIONS
from crmflow.reconcile.core.conditions import READY
from crmflow.reconcile.dataflow.conditions import CONDITIONS as DATAFLOW_CONDITIONS
from crmflow.reconcile.dataflow.conditions import EXTRACTED, INGESTION_COMPLETE
from crmflow.settings import PREFIX, Settings, parse_duration
from hack.demo import report
from hack.demo.story import CONNECTION, DATAFLOW, FILES_DATAFLOW
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


def test_it_shows_the_conditions_of_both_ways() -> None:
    shown = {name: _first_column(f"Conditions of {name}") for name in (CONNECTION, DATAFLOW, FILES_DATAFLOW)}
    of_dataflow = [READY, *(type_.name for type_ in DATAFLOW_CONDITIONS)]
    of_files = [EXTRACTED.name, INGESTION_COMPLETE.name]
    assert shown == {
        CONNECTION: [READY, *(type_.name for type_ in CONNECTION_CONDITIONS)],
        DATAFLOW: [name for name in of_dataflow if name not in of_files],
        FILES_DATAFLOW: of_dataflow,
    }


def test_it_shows_what_each_dataflow_ingested() -> None:
    names = [name.partition("/")[2] for name in (DATAFLOW, FILES_DATAFLOW)]
    assert _first_column(report.RUNS_TITLE) == names


def _first_column(title: str) -> list[str]:
    """Of a table that the demo prints, without its header."""
    (table,) = re.findall(rf"^{title}\n.*\n((?:.+\n)+)", README, re.MULTILINE)
    return [line.split()[0] for line in table.splitlines()]


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
