"""What the process finds around it, and how a value is shown."""

from __future__ import annotations

import pwd

import pytest

from crmflow.environment import NO_HOME, SettingError, ensure_home, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (":8080", '":8080"'),
        ("https://platform.adobe.io", '"https://platform.adobe.io"'),
        ("http://user:pa/ss@w@rd@proxy:3128", '"http://***@proxy:3128"'),
        ("user:password@proxy:3128", '"***@proxy:3128"'),
        ("//user:password@proxy", '"//***@proxy"'),
        ("a\nb\u202e", '"a\\nb\\u202e"'),
        ("Zürich", '"Zürich"'),
        ("x" * 500, f'"{"x" * 119}…"'),
    ],
)
def test_a_value_is_shown_on_one_line_and_without_a_password(value: str, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SettingError("A", "b", "is wrong", "Correct it"), 'A="b": is wrong. Correct it.'),
        (SettingError("A", None, "is missing", "Set it."), "A: is missing. Set it."),
        (SettingError("A", "", "is empty"), 'A="": is empty.'),
    ],
)
def test_what_is_wrong_is_a_line(error: SettingError, text: str) -> None:
    assert str(error) == text


def test_who_has_no_home_gets_one_that_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    environ: dict[str, str] = {}
    ensure_home(environ)
    assert environ == {"HOME": NO_HOME}


def test_who_has_one_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    environ: dict[str, str] = {}
    ensure_home(environ)
    assert environ == {}
