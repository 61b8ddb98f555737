"""The cases of CEL rules, written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crmflow.api.base import OBJECT_NAME, ONE_LINE, RESYNC_INTERVAL, RFC_3339
from crmflow.api.endpoint import ENDPOINT_OF_DATA_CENTER, ZOHO_DOMAINS
from crmflow.api.schema import Rule
from tests.cluster.crd_constraints import Case, Constraint
from tests.cluster.crd_objects import ONCE, REMOVED, Edit, concrete


@dataclass(frozen=True)
class Values:
    """Values that a rule about one value refuses and accepts."""

    rejected: tuple[Any, ...]
    accepted: tuple[Any, ...]

    def cases(self, path: str, text: str) -> Iterator[Case]:
        """One case per refused value; the accepted ones take turns."""
        for index in range(max(len(self.rejected), len(self.accepted))):
            bad = self.rejected[index % len(self.rejected)]
            good = self.accepted[index % len(self.accepted)]
            yield Case(((path, bad),), path, text, ((path, good),))


SHARED_RULES: Mapping[Rule, Values] = {
    ONE_LINE: Values(
        ("a\nb", "a\tb", "a\r", "\x00", "\x7f", "a\x85", "a\u2028b", "a\u2029b"),
        ('Straße 7 [x] "y"', "名前"),
    ),
    OBJECT_NAME: Values(
        ("Zoho", "-a", "a-", "a_b", "a..b", ".a", "a.", "a-.b", "a/b", "a b", "a\n"),
        ("a", "0", "a-b.c-0"),
    ),
    RFC_3339: Values(
        (
            "2026-01-01T00:00:00+99:99",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+23:60",
            "2026-01-01T00:00:00+0530",
            "2026-01-01T00:00:00x5Z",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00Z",
            "2026-01-01T23:59:60Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-12:00",
            "2026-01-01T00:00:00Z\n",
            "tomorrow",
            "",
        ),
        (
            "1970-01-01T00:00:01Z",
            "2026-01-31T08:00:00.123456789+05:30",
            "2026-01-31t08:00:00z",
            "2028-02-29T23:59:59-23:59",
            "2999-12-31T23:59:59-00:00",
        ),
    ),
    RESYNC_INTERVAL: Values(
        (
            "",
            "9m59s",
            "599.9s",
            "1ms",
            "0h",
            "-1h",
            "+1h",
            "10",
            "1d",
            "1H",
            "10.m",
            ".5h",
            "1h30",
            "600000000us",
            "1h 30m",
            " 1h",
            "1h\n",
            "an hour",
        ),
        ("10m", "600s", "600000ms", "9m60s", "0.5h", "1h30m", "168h"),
    ),
}
"""Rules about one value that stand in many places."""

XDM_IDS = Values(
    (
        "",
        "Contacts",
        "_acme.schemas.0f1e2d",
        "http://ns.adobe.com/acme",
        "https://ns.adobe.com/",
        "https://ns.adobe.com.evil.com/acme",
        "https://ns.adobe.com/acme schema",
        "https://ns.adobe.com/acme\n",
    ),
    ("https://ns.adobe.com/acme/schemas/0f1e2d",),
)

SCALAR_RULES: Mapping[str, Values] = {
    "spec.zoho.scopes[]": Values(
        ("", "modules", "ZohoCRM.", ".READ", "ZohoCRM.modules READ", "ZohoCRM.modules.READ,x.y", "a.b\n"),
        (
            "ZohoCRM.modules.READ",
            "ZohoCRM.settings.ALL",
            "ZohoCRM.modules.contacts.READ",
            "aaaserver.profile.READ",
        ),
    ),
    "spec.platform.organization": Values(
        ("1A2B", "1A2B@adobeorg", "@AdobeOrg", "1A2B@AdobeOrg.com", "x 1A2B@AdobeOrg", "1A2B@AdobeOrg\n"),
        ("1A2B@AdobeOrg",),
    ),
    "spec.platform.sandbox": Values(
        ("", "Prod", "prod sandbox", "-prod", "prod/x", "prod\n"),
        ("prod", "dev-2", "dev_2", "0"),
    ),
    **{
        path: Values(
            ("", "My connection", "-5f2e", "5f2e/7a6c", "5f2e\n", "5f2e;7a6c"),
            ("5f2e7a6c-0b1d-4c3e-8a9f-1b2c3d4e5f60",),
        )
        for path in ("spec.connectionId", "spec.flowId")
    },
    "spec.target.schema.id": XDM_IDS,
    "spec.target.schema.create.class": XDM_IDS,
    "spec.target.schema.create.fieldGroups[]": XDM_IDS,
    "spec.extract.fullReadEvery": Values(
        ("", "23h59m59s", "1h", "86399s", "1d", "7d", "24", "-24h", "24h ", "24H", "a day"),
        ("24h", "1440m", "23h60m", "168h", "36.5h"),
    ),
    "spec.mappingSetRef.id": Values(
        ("", "My mapping", "a/b", "a_b", "93ddfa69\n"), ("93ddfa69c4864d978832b1e5ef6ec3b9", "a-b")
    ),
    "spec.target.dataset.id": Values(
        ("", "My dataset", "a/b", "a-b", "6889f4f89b982b2b90bc1207\n"),
        ("6889f4f89b982b2b90bc1207",),
    ),
}
"""Rules about one value that stand in one place, by path."""

ENDPOINTS = Values(
    (
        "",
        "zoho.eu",
        "zoho.com",
        "crm.zoho.com",
        "crm.zoho.eu.evil.com",
        "crm.zoho.eu.evil.com/crm.zoho.eu",
        "evil.com/crm.zoho.eu",
        "evil.com/.zoho.eu",
        "evilzoho.eu",
        "crm.evilzoho.eu",
        "crm.zoho.eu@evil.com",
        "user@crm.zoho.eu",
        "https://user:pass@crm.zoho.eu",
        "crm.zoho.eu:443",
        "crm.zoho.eu:443@evil.com",
        "http://crm.zoho.eu",
        "ftp://crm.zoho.eu",
        "//crm.zoho.eu",
        "https://https://crm.zoho.eu",
        "https:crm.zoho.eu",
        "CRM.ZOHO.EU",
        "HTTPS://crm.zoho.eu",
        "crm.zoho.eu.",
        "crm.zoho.eu?x=y",
        "evil.com?.zoho.eu",
        "evil.com#.zoho.eu",
        "evil.com\\.zoho.eu",
        "crm.zoho.eu/%2e%2e",
        "crm.zoho.eu/a b",
        "crm.zoho.eu\n",
        "evil.com\ncrm.zoho.eu",
        " crm.zoho.eu",
        "crm.z\N{CYRILLIC SMALL LETTER O}ho.eu",
        "EU crm.zoho.eu",
        "x|US crm.zoho.com",
    ),
    (
        "crm.zoho.eu",
        "crm.zoho.eu/crm/private",
        "https://crm.zoho.eu",
        "https://crm.zoho.eu/crm/private/",
        "www.zohoapis.eu",
        "a.b-c.zohoapis.eu/x_y~z.1",
    ),
)

_AUTH_PARAMS = "spec.platform.authParams"
_ENDPOINT = f"{_AUTH_PARAMS}.endpoint"
_SCHEDULE = "spec.schedule"
_COLUMNS = "spec.source.columns"
_MAPPING = "spec.mapping[0]"


def _set(path: str, value: Any) -> tuple[Edit, ...]:
    return ((path, value),)


def _of_each_data_center() -> Iterator[Case]:
    """Each data center takes a host of each of its domains, and none of any other's."""
    codes = list(ZOHO_DOMAINS)
    for code, other in zip(codes, [*codes[1:], codes[0]], strict=True):
        for own, foreign in zip(ZOHO_DOMAINS[code], ZOHO_DOMAINS[other], strict=True):
            center = ("spec.zoho.dataCenter", code)
            yield Case(
                (center, (_ENDPOINT, f"crm.{foreign}")),
                _AUTH_PARAMS,
                ENDPOINT_OF_DATA_CENTER.message,
                (center, (_ENDPOINT, f"crm.{own}")),
            )


def _immutable(path: str, other: Any, *also: Edit) -> list[Case]:
    """A stored resource refuses another value at ``path``, and takes other edits."""
    text = f"{path.rsplit('.', 1)[1]} cannot change after creation"
    return [Case(((path, other), *also), path, text, _set("spec.displayName", "Other"), transition=True)]


def _set_once(path: str) -> list[Case]:
    """A stored resource keeps the value at ``path``: another one is refused, and so is none."""
    text = f"{path.rsplit('.', 1)[1]} cannot change or go once it is set"
    manage = ("spec.managementPolicy", "Manage")
    kept = _set("spec.displayName", "Other")
    return [
        Case(((path, "other"),), path, text, kept, transition=True),
        Case(((path, REMOVED), manage), path, text, kept, transition=True),
    ]


def _needed_to_observe(path: str) -> list[Case]:
    text = f"{path.rsplit('.', 1)[1]} is required when managementPolicy is Observe"
    gone: Edit = (path, REMOVED)
    return [
        Case((gone,), path, text, (gone, ("spec.managementPolicy", "Manage"))),
        Case((gone,), path, text, (gone, ("spec.managementPolicy", REMOVED))),
    ]


def _either(path: str, field: str, other: str, values: dict[str, Any]) -> list[Case]:
    """The object at ``path`` has exactly one of two fields."""
    both, one = {name: values[name] for name in (field, other)}, {field: values[field]}
    text = f"must have exactly one of {field} and {other}"
    dataset = ("spec.target.dataset.create", REMOVED)  # what it needs of the schema does not matter here
    return [
        Case(((path, bad), dataset), path, text, ((path, good), dataset))
        for bad, good in ((both, one), ({}, {other: values[other]}))
    ]


def _long_mapping(characters: int) -> list[dict[str, str]]:
    """Entries with expressions and values of so many characters in all."""
    length = 4000
    count, rest = divmod(characters, length)
    texts = [("expression", length)] * (count - 1) + [("value", length)] + [("value", rest)] * bool(rest)
    return [{"target": f"a{index}", field: "x" * size} for index, (field, size) in enumerate(texts)]


_SCHEMA, _DATASET = "spec.target.schema", "spec.target.dataset"
_SCHEMA_ID = "https://ns.adobe.com/acme/schemas/0f1e2d"
_CREATE_SCHEMA = {"class": "https://ns.adobe.com/xdm/context/profile"}
_MAPPING_SET = {"id": "93ddfa69c4864d978832b1e5ef6ec3b9", "version": 2}


_LANDING_ZONE: tuple[Edit, ...] = (
    ("spec.transport", "LandingZone"),
    ("spec.connectionId", REMOVED),
    ("spec.managementPolicy", "Manage"),  # what observes needs an id
    (_AUTH_PARAMS, REMOVED),
)

OBJECT_RULES: Mapping[tuple[str, str], list[Case]] = {
    ("spec", "a CRMDataflowRun cannot change"): [
        Case(
            _set(path, value),
            "spec",
            "a CRMDataflowRun cannot change",
            _set("spec.dataflowRef.name", "contacts"),
            transition=True,
        )
        for path, value in (
            ("spec.dataflowRef.name", "leads"),
            ("spec.window", REMOVED),
            ("spec.ttlSecondsAfterFinished", 60),
        )
    ],
    ("spec.window", "end must be later than start"): [
        Case(
            _set("spec.window", {"start": start, "end": "2026-01-31T08:00:00Z"}),
            "spec.window.end",
            "end must be later than start",
            _set("spec.window", {"start": start, "end": "2026-01-31T09:00:01+01:00"}),
        )
        for start in ("2026-01-31T08:00:00Z", "2026-01-31t09:00:00+01:00")
    ],
    (_SCHEMA, "must have exactly one of id and title"): _either(
        _SCHEMA, "id", "title", {"id": _SCHEMA_ID, "title": "Contacts"}
    ),
    (_SCHEMA, "create needs title"): [
        Case(
            (
                *_set(_SCHEMA, {"id": _SCHEMA_ID, "create": _CREATE_SCHEMA}),
                (f"{_DATASET}.create", REMOVED),
            ),
            f"{_SCHEMA}.title",
            "create needs title",
            (
                *_set(_SCHEMA, {"title": "Contacts", "create": _CREATE_SCHEMA}),
                (f"{_DATASET}.create", REMOVED),
            ),
        )
    ],
    (_DATASET, "must have exactly one of id and name"): [
        Case(_set(_DATASET, bad), _DATASET, "must have exactly one of id and name", _set(_DATASET, good))
        for bad, good in (
            ({"id": "6889f4f8", "name": "Contacts"}, {"id": "6889f4f8"}),
            ({}, {"name": "Contacts"}),
        )
    ],
    (_DATASET, "create needs name"): [
        Case(
            _set(_DATASET, {"id": "6889f4f8", "create": {}}),
            f"{_DATASET}.name",
            "create needs name",
            _set(_DATASET, {"name": "Contacts", "create": {}}),
        )
    ],
    (f"{_DATASET}.name", "must have no comma"): [
        Case(_set(f"{_DATASET}.name", "a,b"), f"{_DATASET}.name", "no comma", _set(f"{_DATASET}.name", "a;b"))
    ],
    (f"{_DATASET}.create", "upsert needs profile"): [
        Case(
            _set(f"{_DATASET}.create", bad),
            f"{_DATASET}.create.upsert",
            "upsert needs profile",
            _set(f"{_DATASET}.create", good),
        )
        for bad, good in (
            ({"upsert": True}, {"upsert": True, "profile": True}),
            ({"upsert": True, "profile": False}, {"upsert": False}),
        )
    ],
    ("spec.target", "dataset.create.profile needs a schema"): [
        Case(
            _set(f"{_SCHEMA}.create", bad),
            _DATASET,
            "needs a schema that is enabled for Profile",
            good,
        )
        for bad, good in (
            (_CREATE_SCHEMA, _set(_SCHEMA, {"title": "Contacts"})),
            (
                {**_CREATE_SCHEMA, "enableForProfileIrreversibly": False},
                (*_set(f"{_SCHEMA}.create", _CREATE_SCHEMA), *_set(f"{_DATASET}.create", {"profile": False})),
            ),
        )
    ],
    ("spec", "must have exactly one of mapping and mappingSetRef"): [
        Case(
            _set("spec.mappingSetRef", _MAPPING_SET),
            "spec",
            "must have exactly one of mapping and mappingSetRef",
            (("spec.mapping", REMOVED), ("spec.mappingSetRef", _MAPPING_SET)),
        ),
        Case(
            _set("spec.mapping", REMOVED),
            "spec",
            "must have exactly one of mapping and mappingSetRef",
            _set("spec.displayName", "Other"),
        ),
    ],
    ("spec", "endpoint and whatever else names a host must be one of zoho.dataCenter"): [
        *(
            Case(case.rejected, _AUTH_PARAMS, case.text, case.accepted)
            for case in ENDPOINTS.cases(_ENDPOINT, ENDPOINT_OF_DATA_CENTER.message)
        ),
        *_of_each_data_center(),
        Case(
            _set(_AUTH_PARAMS, {"endpoint": "evil.com"}),
            _AUTH_PARAMS,
            ENDPOINT_OF_DATA_CENTER.message,
            _set(_AUTH_PARAMS, {"usePeerVerification": "evil.com"}),
        ),
        Case(
            _set(_AUTH_PARAMS, {"endpoint": "evil.com"}),
            _AUTH_PARAMS,
            ENDPOINT_OF_DATA_CENTER.message,
            _set(_AUTH_PARAMS, REMOVED),
        ),
        *(
            Case(
                _set(_AUTH_PARAMS, {"endpoint": "crm.zoho.eu", key: bad}),
                _AUTH_PARAMS,
                ENDPOINT_OF_DATA_CENTER.message,
                _set(_AUTH_PARAMS, {"endpoint": "crm.zoho.eu", key: good}),
            )
            for key, bad, good in (
                ("Endpoint", "evil.com", "crm.zoho.eu"),
                ("ENDPOINT", "evil.com", "crm.zoho.eu"),
                ("accessTokenUrl", "evil.com", "accounts.zoho.eu"),
                ("tokenUri", "evil.com", "https://accounts.zoho.eu/oauth/v2"),
                ("host", "evil.com", "crm.zoho.eu"),
                ("server", "evil.com", "crm.zoho.eu"),
                ("apiDomain", "evil.com", "www.zohoapis.eu"),
                ("ipAddress", "192.0.2.1", "crm.zoho.eu"),
                ("extra", "https://evil.com", "https://crm.zoho.eu"),
                ("extra", "ftp://evil.com", "evil.com"),
                ("endpoint", "crm.zoho.com", "crm.zoho.eu"),
            )
        ),
    ],
    ("spec", "connectionId cannot change or go"): _set_once("spec.connectionId"),
    ("spec", "connectionId is required"): _needed_to_observe("spec.connectionId"),
    ("spec", "flowId cannot change or go"): _set_once("spec.flowId"),
    ("spec", "flowId is required"): _needed_to_observe("spec.flowId"),
    ("spec.zoho", "dataCenter cannot change"): _immutable(
        "spec.zoho.dataCenter", "US", (_ENDPOINT, "crm.zoho.com")
    ),
    ("spec.zoho", "environment cannot change"): [
        *_immutable("spec.zoho.environment", "Sandbox"),
    ],
    ("spec.platform", "organization cannot change"): _immutable("spec.platform.organization", "2B@AdobeOrg"),
    ("spec.platform", "sandbox cannot change"): _immutable("spec.platform.sandbox", "dev"),
    (_AUTH_PARAMS, "authParams must hold no secrets"): [
        Case(
            _set(f"{_AUTH_PARAMS}.{bad}", "x"),
            _AUTH_PARAMS,
            "hold no secrets",
            _set(f"{_AUTH_PARAMS}.{good}", "x"),
        )
        for bad, good in (
            ("clientId", "client"),
            ("clientSecret", "secretless"),
            ("accessToken", "tokenLife"),
            ("refreshToken", "refresh"),
            ("accountsUrl", "accounts"),
            ("client_secret", "useHostVerification"),
            ("CLIENTSECRET", "keyed"),
            ("password", "passwordless"),
            ("apiKey", "apiVersion"),
        )
    ],
    (_AUTH_PARAMS, "authParams must have keys of 1 to 64 characters"): [
        Case(_set(_AUTH_PARAMS, {bad: "x"}), _AUTH_PARAMS, "keys of 1 to 64", _set(_AUTH_PARAMS, {good: "x"}))
        for bad, good in (("", "a"), ("a" * 65, "a" * 64))
    ],
    ("spec", "deltaColumn is required"): [
        Case(_set("spec.deltaColumn", REMOVED), "spec.deltaColumn", "name the column", ONCE),
    ],
    ("spec", "deltaColumn is not allowed"): [
        Case(ONCE[:1], "spec.deltaColumn", "not allowed when schedule.frequency is Once", ONCE),
    ],
    ("spec", "connectionId is not allowed with transport LandingZone"): [
        Case(_LANDING_ZONE[:1], "spec.connectionId", "connectionId is not allowed with", _LANDING_ZONE),
        Case(_LANDING_ZONE[:1], "spec.connectionId", "remove it", _set("spec.transport", "Auto")),
    ],
    ("spec", "platform.authParams is not allowed with transport LandingZone"): [
        Case(_LANDING_ZONE[:3], "spec.platform", "authParams is not allowed with", _LANDING_ZONE),
        Case(_LANDING_ZONE[:1], "spec.platform", "remove it", _set("spec.transport", REMOVED)),
    ],
    ("spec", "extract is not allowed with transport PlatformSource"): [
        Case(_set("spec.transport", "PlatformSource"), "spec.extract", "extract is not allowed", good)
        for good in (
            (("spec.transport", "PlatformSource"), ("spec.extract", REMOVED)),
            _set("spec.transport", "Auto"),
            _set("spec.transport", REMOVED),
        )
    ],
    ("spec", "extract.deletedRecords: Mark needs the column id"): [
        Case(_set(_COLUMNS, ["Email", "Id"]), "spec.source", "add it to source.columns", good)
        for good in (
            _set(_COLUMNS, ["Email", "id"]),
            _set(_COLUMNS, REMOVED),
            ((_COLUMNS, ["Email"]), ("spec.extract.deletedRecords", "Ignore")),
            ((_COLUMNS, ["Email"]), ("spec.extract.deletedRecords", REMOVED)),
        )
    ],
    ("spec", "extract.fullReadEvery is not allowed when schedule.frequency is Once"): [
        Case(ONCE[:2], "spec.extract", "fullReadEvery is not allowed", ONCE),
    ],
    ("spec.mapping", "must have at most 750,000 characters"): [
        Case(
            _set("spec.mapping", _long_mapping(750_001)),
            "spec.mapping",
            "or use a mapping set that is made elsewhere",
            _set("spec.mapping", _long_mapping(750_000)),
        )
    ],
    ("spec.mapping[]", "must have exactly one of source, expression and value"): [
        Case(
            _set(_MAPPING, {"target": "a", **bad}),
            _MAPPING,
            "exactly one of",
            _set(_MAPPING, {"target": "a", **good}),
        )
        for bad, good in (
            ({}, {"source": "Email"}),
            ({"source": "Email", "value": "x"}, {"value": "x"}),
            ({"source": "Email", "expression": "x"}, {"expression": "x"}),
            ({"expression": "x", "value": "x"}, {"value": "x"}),
            ({"source": "Email", "expression": "x", "value": "x"}, {"source": "Email"}),
        )
    ],
    (_SCHEDULE, "interval is required"): [
        Case(
            _set(f"{_SCHEDULE}.interval", REMOVED),
            f"{_SCHEDULE}.interval",
            "add the number of units",
            _set(f"{_SCHEDULE}.interval", 1),
        ),
    ],
    (_SCHEDULE, "interval is not allowed"): [
        Case((*ONCE, (f"{_SCHEDULE}.interval", 1)), f"{_SCHEDULE}.interval", "interval is not allowed", ONCE),
    ],
    (_SCHEDULE, "interval must be at least 15"): [
        Case(
            (*_set(f"{_SCHEDULE}.frequency", "Minute"), *_set(f"{_SCHEDULE}.interval", 14)),
            f"{_SCHEDULE}.interval",
            "at least 15",
            (*_set(f"{_SCHEDULE}.frequency", frequency), *_set(f"{_SCHEDULE}.interval", interval)),
        )
        for frequency, interval in (("Minute", 15), ("Hour", 1), ("Day", 1), ("Week", 1))
    ],
    (_SCHEDULE, "backfill is not allowed"): [
        Case(
            (*ONCE, (f"{_SCHEDULE}.backfill", value)),
            f"{_SCHEDULE}.backfill",
            "backfill is not allowed",
            ONCE,
        )
        for value in (True, False)
    ],
}
"""Rules about several fields, by the path they stand at and the beginning of their message."""


def rule_cases(constraint: Constraint) -> list[Case]:
    """The cases of a CEL rule; none if nobody wrote any."""
    where = concrete(constraint.kind, constraint.path)
    shared = [values for rule, values in SHARED_RULES.items() if rule.message == constraint.value]
    scalar = [SCALAR_RULES[constraint.path]] if constraint.path in SCALAR_RULES else []
    for values in shared or scalar:
        return list(values.cases(where, constraint.value))
    return [
        case
        for (path, message), found in OBJECT_RULES.items()
        if path == constraint.path and constraint.value.startswith(message)
        for case in found
    ]
