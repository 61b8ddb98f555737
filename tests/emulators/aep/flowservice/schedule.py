"""Rules of ``scheduleParams`` and ``options`` (platform.md 6.1)."""

from __future__ import annotations

from typing import Any

from tests.emulators.aep.flowservice.collection import provider_error
from tests.emulators.aep.gateway import Context
from tests.emulators.aep.numbers import whole

FREQUENCIES = ("once", "minute", "hour", "day", "week")
MINIMUM_MINUTES = 15
_LATEST = 10**15 - 1


def integer(value: Any) -> int | None:
    """A whole number, or a string of one: both are in use (platform.md 16.1.4)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) <= _LATEST else None
    return whole(value) if isinstance(value, str) else None


def boolean(value: Any) -> bool | None:
    """A boolean, or the string of one."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def frequency(params: dict[str, Any]) -> str:
    """The frequency in lower case."""
    return str(params.get("frequency", "")).lower()


def check(ctx: Context, params: Any) -> None:
    """Everything about a schedule that does not depend on what time it is."""
    if not isinstance(params, dict):
        raise provider_error(ctx, "1304-400", "Mandatory field missing", "scheduleParams is missing")
    if frequency(params) not in FREQUENCIES:
        detail = f"frequency {params.get('frequency')!r} is not one of {', '.join(FREQUENCIES)}"
        raise provider_error(ctx, "1397-400", "Invalid frequency", detail)
    if integer(params.get("startTime")) is None:
        raise provider_error(
            ctx, "1304-400", "Mandatory field missing", "scheduleParams.startTime: epoch seconds expected"
        )
    if frequency(params) == "once":
        _check_once(ctx, params)
    else:
        _check_recurring(ctx, params)


def check_start(ctx: Context, params: dict[str, Any]) -> None:
    """A new start time lies ahead."""
    start = integer(params["startTime"])
    if start is not None and start < int(ctx.now - ctx.switches.startTimeToleranceSeconds):
        raise provider_error(ctx, "1360-400", "Invalid start time", "Start time cannot be in the past")


def started(ctx: Context, params: dict[str, Any]) -> bool:
    """Whether the schedule's start time has passed."""
    start = integer(params.get("startTime"))
    return start is not None and start <= ctx.now


def check_options(ctx: Context, options: Any) -> None:
    """``errorDiagnosticsEnabled`` and ``partialIngestionPercent``."""
    if options is None:
        return
    if not isinstance(options, dict):
        raise provider_error(ctx, "1304-400", "Invalid options", "options: an object is expected")
    diagnostics = options.get("errorDiagnosticsEnabled")
    if diagnostics is not None and boolean(diagnostics) is None:
        raise provider_error(ctx, "1304-400", "Invalid options", "errorDiagnosticsEnabled: true or false")
    percent = options.get("partialIngestionPercent")
    if percent is not None and not _positive(percent):
        raise provider_error(ctx, "1304-400", "Invalid options", "partialIngestionPercent: more than 0")


def _check_once(ctx: Context, params: dict[str, Any]) -> None:
    if params.get("interval") is not None:
        raise provider_error(ctx, "1361-400", "Invalid interval", "interval is not allowed with once")
    if params.get("backfill") is not None:
        raise provider_error(ctx, "1364-400", "Invalid backfill", "backfill is not allowed with once")


def _check_recurring(ctx: Context, params: dict[str, Any]) -> None:
    interval = integer(params.get("interval"))
    if interval is None:
        raise provider_error(ctx, "1363-400", "Invalid interval", "interval: a whole number is expected")
    everywhere = ctx.switches.minimumInterval == "fifteen"
    least = MINIMUM_MINUTES if everywhere or frequency(params) == "minute" else 1
    if interval < least:
        detail = f"interval {interval} is below the minimum of {least} for {frequency(params)}"
        raise provider_error(ctx, "1362-400", "Invalid interval", detail)
    if params.get("backfill") is not None and boolean(params["backfill"]) is None:
        raise provider_error(ctx, "1304-400", "Invalid backfill", "backfill: true or false is expected")


def _positive(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and float(value) > 0
    except (TypeError, ValueError):
        return False
