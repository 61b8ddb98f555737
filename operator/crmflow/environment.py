"""What the process finds around it: its settings, and the home of a user, which it may lack."""

from __future__ import annotations

import json
import os
import re
from collections.abc import MutableMapping
from pathlib import Path

NO_HOME = "/"
"""The home of a user who has none, as container runtimes set it."""

_LONGEST_SHOWN = 120
# Greedy: a password may itself hold an "@" or a "/".
_USER_OF_A_URL = re.compile(r"^((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)?.*@", re.DOTALL)


class SettingError(ValueError):
    """A setting, or a file that it names, can't be used: one line for whoever has to correct it.

    ``name`` is the environment variable or the option, ``value`` what it was set to, None where it is not
    set, ``problem`` what is wrong and ``advice`` what to do.
    """

    def __init__(self, name: str, value: str | None, problem: str, advice: str = "") -> None:
        self.name = name
        self.problem = problem
        self.advice = advice
        setting = name if value is None else f"{name}={shown(value)}"
        super().__init__(f"{setting}: {'. '.join(part.rstrip('.') for part in (problem, advice) if part)}.")


def shown(value: str) -> str:
    """A setting's value as it may be read by anybody: quoted, on one line, cut, without what stands before
    the host in a URL, which may be a password.
    """
    value = _USER_OF_A_URL.sub(r"\1***@", value)
    if len(value) > _LONGEST_SHOWN:
        value = value[: _LONGEST_SHOWN - 1] + "…"
    return json.dumps(value, ensure_ascii=not value.isprintable())


def reason(error: OSError) -> str:
    """What the system says of a failure, without the path that the setting shows anyway."""
    return error.strerror or type(error).__name__


def ensure_home(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let ``environ`` name a home where the system knows none, as for the arbitrary UID that OpenShift gives
    a container: the Kubernetes client asks for it when it is imported. Call it before that.
    """
    try:
        Path.home()
    except RuntimeError:
        environ["HOME"] = NO_HOME
