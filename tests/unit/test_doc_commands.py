"""Every command in the documentation is run by a test, or it is said why not."""

from __future__ import annotations

import re

import pytest

from hack.install import ROOT
from tests.kit.doc_commands import ELSEWHERE, NOT_RUN, documented, quickstart, reason

COMMANDS = list(documented())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.text[:60])
def test_a_command_is_tried_or_it_is_said_why_not(command: object) -> None:
    assert isinstance(command, type(COMMANDS[0]))
    assert reason(command) or command.text.startswith("kubectl ")


@pytest.mark.parametrize("pattern", [*ELSEWHERE, *NOT_RUN])
def test_nothing_is_said_of_what_is_gone(pattern: str) -> None:
    assert [command for command in COMMANDS if re.fullmatch(pattern, command.text)]


@pytest.mark.parametrize("where", sorted(set(ELSEWHERE.values())))
def test_the_tests_that_run_them_exist(where: str) -> None:
    assert (ROOT / where).exists()


def test_the_quickstart_begins_and_ends_with_the_demo() -> None:
    commands = [command for block in quickstart() for command in block]
    assert commands[0] == "make demo"
    assert commands[-1] == "make demo-down"
