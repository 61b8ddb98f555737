"""Logging: one line per record, as JSON for machines or as text for people, with secrets taken out last."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from crmflow.observability.redaction import redact

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
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting(formatter))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class _Redacting(logging.Formatter):
    """The last hand on a line: whatever got into it, no secret leaves."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return redact(self._inner.format(record))
