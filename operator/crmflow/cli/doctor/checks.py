"""A check's result, as data: one line for people, one object for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from crmflow.cli.problem import Problem, sentence
from crmflow.http.errors import RemoteError

THROTTLED = frozenset({"TokenThrottled", "RateLimited"})
"""Reasons that say nothing about what was to be checked: the service answers no request at the moment."""


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Subject(StrEnum):
    """What is checked, beside the conditions, which go by their own names."""

    API_SERVER = "API server"
    DEFINITIONS = "resource definitions"
    OPERATOR = "operator"
    CONNECTIONS = "connections"
    RESOURCE = "resource"
    ZOHO_CREDENTIALS = "Zoho Secret"
    ADOBE_CREDENTIALS = "Adobe Secret"
    RECONCILED = "reconciled"
    ZOHO_ACCOUNTS_HOST = "Zoho accounts host"
    ZOHO_API_HOST = "Zoho API host"
    ZOHO_ACCESS = "Zoho token"
    ZOHO_SCOPES = "Zoho scopes"
    ZOHO_ORGANIZATION = "Zoho organization"
    ZOHO_USER = "Zoho user"
    IMS_HOST = "Adobe IMS host"
    PLATFORM_HOST = "Platform host"
    ADOBE_ACCESS = "Adobe token"
    SANDBOX = "sandbox"
    PERMISSIONS = "permissions"
    SOURCE_OFFERED = "source offered"
    LANDING_ZONE = "landing zone"
    LANDING_ZONE_CREDENTIALS = "landing zone SAS"
    LANDING_ZONE_FILES = "landing zone files"
    BASE_CONNECTION = "base connection"
    CONNECTION_TEST = "connection test"


@dataclass(frozen=True)
class Check:
    """One line. Message and fix are safe to show; a fix says what to do, and is empty if all is well."""

    subject: str
    level: Level
    message: str
    fix: str = ""
    reason: str = ""
    """The reason that docs/guides/troubleshooting.md explains, if there is one."""


@dataclass(frozen=True)
class Section:
    """Checks of one thing."""

    title: str
    checks: tuple[Check, ...]


def ok(subject: str, message: str) -> Check:
    """All is well."""
    return Check(subject, Level.OK, sentence(message))


def warning(subject: str, message: str, fix: str, reason: str = "") -> Check:
    """Not as it should be, or not to be found out; data may flow all the same."""
    return Check(subject, Level.WARNING, sentence(message), sentence(fix), reason)


def failed(subject: str, message: str, fix: str, reason: str = "") -> Check:
    """Data can't flow like this."""
    return Check(subject, Level.FAILED, sentence(message), sentence(fix), reason)


def failed_by(subject: str, error: Problem | RemoteError) -> Check:
    """What went wrong while checking: a failure, unless the service was only busy."""
    problem = Problem.of(error)
    reason = error.reason if isinstance(error, RemoteError) else ""
    make = warning if reason in THROTTLED else failed
    return make(subject, problem.message, problem.advice or "Run the doctor again in a few minutes", reason)


def count(sections: Iterable[Section], level: Level) -> int:
    """How many checks ended so."""
    return sum(check.level is level for section in sections for check in section.checks)
