"""Notification channels: kept and listed; nothing is ever sent to them (zoho.md 3.9)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from .call import Call
from .errors import CrmError, invalid_data, mandatory_not_found, required_param_missing

LONGEST_LIFE = timedelta(weeks=1)
_DEFAULT_LIFE = timedelta(days=1)
_EVENT = re.compile(r"^(\w+)\.(create|edit|delete|all)$")

Channel = dict[str, Any]


def subscribe(call: Call) -> dict[str, Any]:
    """``POST``: new channels, or new terms for known ones."""
    return _write(call, lambda given: given)


def replace(call: Call) -> dict[str, Any]:
    """``PUT``: known channels become what is given."""

    def replaced(given: Channel) -> Channel:
        _known(call, given)
        return given

    return _write(call, replaced)


def extend(call: Call) -> dict[str, Any]:
    """``PATCH``: events are added to known channels, all else is replaced."""

    def extended(given: Channel) -> Channel:
        old = _known(call, given)
        return {**old, **given, "events": list(dict.fromkeys([*old["events"], *given.get("events", [])]))}

    return _write(call, extended)


def channels(call: Call) -> dict[str, Any] | None:
    """``GET``: those that have not expired; None (204) if there are none."""
    live = list(_live(call).values())
    return {"watch": live} if live else None


def unsubscribe(call: Call) -> dict[str, Any]:
    """``DELETE ?channel_ids=…``."""
    names = [name for name in call.query.get("channel_ids", "").split(",") if name]
    if not names:
        raise required_param_missing("channel_ids")
    found = [_known(call, {"channel_id": name}) for name in names]
    for channel in found:
        del _mine(call)[channel["channel_id"]]
    return {"watch": [_success(channel, "channel_id") for channel in found]}


def _write(call: Call, make: Callable[[Channel], Channel]) -> dict[str, Any]:
    given = call.body.get("watch") if isinstance(call.body, dict) else None
    if not isinstance(given, list) or not given or not all(isinstance(item, dict) for item in given):
        raise mandatory_not_found("watch")
    made = [_checked(call, make(item)) for item in given]
    _mine(call).update({channel["channel_id"]: channel for channel in made})
    return {"watch": [_success(channel, "channel_id", "channel_expiry", "events") for channel in made]}


def _checked(call: Call, given: Channel) -> Channel:
    for name in ("channel_id", "events", "notify_url"):
        if not given.get(name):
            raise mandatory_not_found(name)
    if not str(given["channel_id"]).isdecimal():
        raise invalid_data("channel_id")
    events = given["events"]
    for event in events if isinstance(events, list) else [None]:
        match = _EVENT.match(str(event))
        if match is None or match[1] not in call.organization.modules:
            raise invalid_data("events")
    now = datetime.fromtimestamp(call.state.now(), call.organization.timezone)
    try:
        expiry = datetime.fromisoformat(str(given.get("channel_expiry") or (now + _DEFAULT_LIFE).isoformat()))
    except ValueError:
        raise invalid_data("channel_expiry") from None
    if expiry.tzinfo is None or not now < expiry <= now + LONGEST_LIFE:
        raise invalid_data("channel_expiry")
    return {
        "channel_id": str(given["channel_id"]),
        "events": events,
        "notify_url": given["notify_url"],
        "token": given.get("token"),
        "channel_expiry": expiry.isoformat(timespec="seconds"),
    }


def _mine(call: Call) -> dict[str, Channel]:
    key = (call.organization.zgid, call.user.id, call.token.grant.client_id)
    return call.state.channels.setdefault(key, {})


def _live(call: Call) -> dict[str, Channel]:
    now = call.state.now()
    return {
        name: channel
        for name, channel in _mine(call).items()
        if datetime.fromisoformat(channel["channel_expiry"]).timestamp() > now
    }


def _known(call: Call, given: Channel) -> Channel:
    channel = _live(call).get(str(given.get("channel_id", "")))
    if channel is None:
        details = {"channel_id": given.get("channel_id")}
        raise CrmError(400, "NOT_SUBSCRIBED", "the channel is not subscribed", details)
    return channel


def _success(channel: Channel, *shown: str) -> dict[str, Any]:
    details = {name: channel[name] for name in shown}
    return {"code": "SUCCESS", "details": details, "message": "Successfully done", "status": "success"}
