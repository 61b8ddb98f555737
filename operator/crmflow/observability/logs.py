"""Logging: one line per record, as JSON for machines or as text for people, without secrets in either."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import structlog
from structlog.typing import EventDict

from crmflow.observability.redaction import MASK, redact

QUIET = ("asyncio", "kopf", "kubernetes", "aiohttp", "httpx", "httpcore")
"""Loggers that tell more than anybody wants, and at DEBUG whole bodies, Secrets included."""


def configure(log_format: str, level: str) -> None:
    """Send every record of the process, kopf's included, through one handler on stderr."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _without_secrets,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def context(**fields: str) -> AbstractContextManager[None]:
    """Every record that is logged in the block, by whomever, has these fields; a record's own come first."""
    return structlog.contextvars.bound_contextvars(**fields)


def _without_secrets(_: Any, __: str, fields: EventDict) -> EventDict:
    """Redact every field of a record. Done before it is rendered, since
    cutting something out of a JSON text would break it. Fields without a value go.
    """
    return {
        name: MASK if _names_a_secret(name) else _redacted(value)
        for name, value in fields.items()
        if value is not None
    }


def _redacted(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {
                str(key): MASK if _names_a_secret(key) else _redacted(item) for key, item in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [_redacted(item) for item in value]
        case _:
            return redact(str(value))


def _names_a_secret(key: object) -> bool:
    return redact(assigned := f"{key}=x") != assigned
