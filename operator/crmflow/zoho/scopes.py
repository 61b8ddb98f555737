"""The OAuth scopes that a grant needs, and what a granted one includes (zoho.md 1.2, 3.1)."""

from __future__ import annotations

from collections.abc import Iterable

from crmflow.api.base import Transport

SOURCE_SCOPES = (
    "ZohoCRM.modules.READ",
    "ZohoCRM.settings.modules.READ",
    "ZohoCRM.settings.fields.READ",
)
"""What records are read with, by whomever: records, and which tables and columns there are."""

LANDING_ZONE_SCOPES = ("ZohoCRM.coql.READ", "ZohoCRM.bulk.READ")
"""What the operator reads with besides, where it writes the files of a landing zone itself (zoho.md 3.1)."""

VERIFICATION_SCOPES = ("ZohoCRM.org.READ", "ZohoCRM.users.READ")
"""What only checks of ours read with. Data flows without them."""

DEFAULT_SCOPES = (*SOURCE_SCOPES, *LANDING_ZONE_SCOPES, *VERIFICATION_SCOPES)


def scopes_to_ask_for(transport: Transport) -> tuple[str, ...]:
    """What a consent is asked for where the connection's spec names that way; ``Auto`` may come to either."""
    if transport is Transport.PLATFORM_SOURCE:
        return (*SOURCE_SCOPES, *VERIFICATION_SCOPES)
    return DEFAULT_SCOPES


def parse_scopes(text: str) -> tuple[str, ...]:
    """Scopes out of a text: asked for with commas, answered with spaces (zoho.md 1.2, 1.3)."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def missing_scopes(needed: Iterable[str], granted: Iterable[str]) -> tuple[str, ...]:
    """Those of ``needed`` that no granted scope includes."""
    held = tuple(granted)
    return tuple(scope for scope in needed if not any(_includes(one, scope) for one in held))


def _includes(granted: str, needed: str) -> bool:
    """``ZohoCRM.settings.ALL`` includes ``ZohoCRM.settings.fields.READ``; case does not matter."""
    *path, operation = granted.casefold().split(".")
    *needed_path, needed_operation = needed.casefold().split(".")
    return operation in (needed_operation, "all") and len(path) > 1 and needed_path[: len(path)] == path
