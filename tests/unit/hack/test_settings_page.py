"""The reference of settings says what the settings are."""

from __future__ import annotations

import re

import pytest

from crmflow.clock import ENVIRONMENT_VARIABLE
from crmflow.settings import PREFIX, Settings, parse_duration
from hack.generators.settings import settings_page

ROWS = {
    name: (default, meaning)
    for name, default, meaning in re.findall(
        r"^\| `(\w+)` \| (.*?) \| (.*) \|$", settings_page(), re.MULTILINE
    )
}


def test_it_has_every_setting() -> None:
    assert set(ROWS) == {PREFIX + name.upper() for name in Settings.model_fields} | {ENVIRONMENT_VARIABLE}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_its_default_is_that_of_the_setting(name: str) -> None:
    told, _ = ROWS[PREFIX + name.upper()]
    value = Settings.model_fields[name].default
    if value in (None, ()):
        assert "`" not in told
        return
    assert told == f"`{told[1:-1]}`"
    text = told[1:-1]
    if isinstance(value, float) and text[-1] in "smh":
        assert parse_duration(text) == value
    else:
        assert text == str(value).lower() or text == str(value)


def test_it_names_no_file_of_the_code() -> None:
    assert [meaning for _, meaning in ROWS.values() if ".py" in meaning or "platform.md" in meaning] == []
