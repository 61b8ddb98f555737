"""connectionSpecs and flowSpecs as this organization is offered them (platform.md 11)."""

from __future__ import annotations

from typing import Any

from tests.emulators.aep import seed_data as ids
from tests.emulators.aep.switches import FLOW_SPEC_HIDDEN, SPEC_HIDDEN, AepSwitches

Spec = dict[str, Any]

ZOHO_AUTH_PARAMS = ("endpoint", "accountsUrl", "clientId", "clientSecret", "accessToken", "refreshToken")
UNDOCUMENTED_AUTH_PARAM = "useEncryptedEndpoints"
SECRET_AUTH_PARAMS = frozenset({"clientSecret", "accessToken", "refreshToken", "password"})
_DRAFT_07 = "http://json-schema.org/draft-07/schema#"


def connection_specs(switches: AepSwitches) -> list[Spec]:
    """All connection specs that are offered."""
    specs = [_dynamics(), _google_cloud_storage(), _data_lake()]
    if switches.zohoSource not in SPEC_HIDDEN:
        specs.insert(0, _zoho(switches))
    if switches.landingZoneSource not in SPEC_HIDDEN:
        specs.append(_landing_zone())
    return [_spelled(spec, switches) for spec in specs]


def connection_spec(switches: AepSwitches, id: str) -> Spec | None:
    """One connection spec, None if it is not offered."""
    return next((spec for spec in connection_specs(switches) if spec["id"] == id), None)


def flow_specs(switches: AepSwitches) -> list[Spec]:
    """``CRMToAEP``, and a flow spec for files that must not be taken for it."""
    return [_spelled(spec, switches) for spec in (_crm_to_aep(switches), _cloud_storage_to_aep(switches))]


def flow_spec(switches: AepSwitches, id: str) -> Spec | None:
    """One flow spec."""
    return next((spec for spec in flow_specs(switches) if spec["id"] == id), None)


def required_auth_params(switches: AepSwitches) -> tuple[str, ...]:
    """What Zoho's auth spec insists on (platform.md 16.3.1)."""
    match switches.requiredAuthParams:
        case "all":
            return ZOHO_AUTH_PARAMS
        case "undocumented":
            return (*ZOHO_AUTH_PARAMS, UNDOCUMENTED_AUTH_PARAM)
        case "tokenAndEndpoint":
            return ("endpoint", "accessToken")
        case _:
            return ()


def _zoho(switches: AepSwitches) -> Spec:
    params = (*ZOHO_AUTH_PARAMS, UNDOCUMENTED_AUTH_PARAM)
    auth = _auth_spec(switches.authSpecName, "BasicAuthentication", params, required_auth_params(switches))
    return _table_source(ids.ZOHO_SPEC, "zoho", auth)


def _dynamics() -> Spec:
    params = ("serviceUri", "username", "password")
    auth = _auth_spec("Basic Authentication for Dynamics-Online", "BasicAuthentication", params, params)
    return _table_source(ids.DYNAMICS_SPEC, "dynamics-online", auth)


def _google_cloud_storage() -> Spec:
    params = ("accessKeyId", "secretAccessKey")
    auth = _auth_spec("Basic Authentication for google-cloud", "KeyBased", params, params)
    return {
        **_spec(ids.GOOGLE_CLOUD_STORAGE_SPEC, "google-cloud"),
        "authSpec": [auth],
        "sourceSpec": _source_spec({"path": {"type": "string"}}, ["path"], "cloudStorage"),
        "attributes": _attributes("Cloud Storage"),
    }


def _landing_zone() -> Spec:
    """No authSpec: Platform reads with its own credentials (landing-zone.md E.2)."""
    kinds = {"type": "string", "enum": ["file", "folder"]}
    properties = {"path": {"type": "string"}, "type": kinds, "recursive": {"type": "boolean"}}
    return {
        **_spec(ids.LANDING_ZONE_SPEC, "landing-zone"),
        "sourceSpec": _source_spec(properties, ["path"], "cloudStorage"),
        "exploreSpec": {"name": "FileSystem", "type": "FileSystem"},
        "attributes": _attributes("Cloud Storage"),
    }


def _data_lake() -> Spec:
    return {
        **_spec(ids.DATA_LAKE_SPEC, "datalake"),
        "targetSpec": {"spec": _object({"dataSetId": {"type": "string"}}, ["dataSetId"])},
        "attributes": {"isTarget": True},
    }


def _table_source(id: str, name: str, auth: Spec) -> Spec:
    column = _object(
        {"name": {"type": "string"}, "type": {"type": "string"}, "meta": {"type": "object"}}, ["name", "type"]
    )
    properties = {"tableName": {"type": "string"}, "columns": {"type": "array", "items": column}}
    return {
        **_spec(id, name),
        "authSpec": [auth],
        "sourceSpec": _source_spec(properties, ["tableName", "columns"], "crm"),
        "exploreSpec": {"name": "Table", "type": "Table"},
        "attributes": _attributes("CRM"),
    }


def _spec(id: str, name: str) -> Spec:
    return {
        "id": id,
        "name": name,
        "providerId": ids.PROVIDER,
        "version": "1.0",
        "permissionsInfo": {"view": [_permission("read")], "manage": [_permission("write")]},
    }


def _auth_spec(name: str, type_: str, params: tuple[str, ...], required: tuple[str, ...]) -> Spec:
    properties = {
        param: {"type": "string", "format": "password"} if param in SECRET_AUTH_PARAMS else {"type": "string"}
        for param in params
    }
    return {
        "name": name,
        "type": type_,
        "spec": {"$schema": _DRAFT_07, **_object(properties, list(required))},
    }


def _source_spec(properties: Spec, required: list[str], category: str) -> Spec:
    return {
        "spec": _object(properties, required),
        "attributes": {"uiAttributes": {"isSource": True, "category": {"key": category}}},
    }


def _attributes(category: str) -> Spec:
    return {
        "category": category,
        "isSource": True,
        "uiAttributes": {"apiFeatures": {"explorePaginationSupported": False}},
    }


def _object(properties: Spec, required: list[str]) -> Spec:
    return {"type": "object", "properties": properties, "required": required}


def _permission(name: str) -> Spec:
    return {"@type": "lowLevel", "name": "EnterpriseSource", "permissions": [name]}


def _crm_to_aep(switches: AepSwitches) -> Spec:
    hidden = switches.zohoSource in FLOW_SPEC_HIDDEN
    sources = [id for id in ids.CRM_SOURCE_SPECS if not (hidden and id == ids.ZOHO_SPEC)]
    delta_column = _object({n: {"type": "string"} for n in ("name", "dateFormat", "timezone")}, ["name"])
    window = {n: {"type": "integer"} for n in ("startTime", "windowStartTime", "windowEndTime")}
    return {
        **_spec(ids.CRM_FLOW_SPEC, "CRMToAEP"),
        "sourceConnectionSpecIds": sources,
        "targetConnectionSpecIds": [ids.DATA_LAKE_SPEC],
        "optionSpec": _option_spec(),
        "transformationSpecs": [
            {"name": "Copy", "spec": _object({"deltaColumn": delta_column}, ["deltaColumn"])},
            {"name": "Mapping", "spec": _mapping_params()},
        ],
        "scheduleSpec": _schedule_spec(),
        "runSpec": {
            "name": "ProviderParams",
            "spec": _object({**window, "deltaColumn": delta_column}, [*window, "deltaColumn"]),
        },
        "attributes": _flow_attributes(),
    }


def _cloud_storage_to_aep(switches: AepSwitches) -> Spec:
    sources = [ids.GOOGLE_CLOUD_STORAGE_SPEC]
    if switches.landingZoneSource not in FLOW_SPEC_HIDDEN:
        sources.append(ids.LANDING_ZONE_SPEC)
    window = {n: {"type": "integer"} for n in ("startTime", "windowStartTime", "windowEndTime")}
    return {
        **_spec(ids.CLOUD_STORAGE_FLOW_SPEC, "CloudStorageToAEP"),
        "sourceConnectionSpecIds": sources,
        "targetConnectionSpecIds": [ids.DATA_LAKE_SPEC],
        "optionSpec": _option_spec(),
        "transformationSpecs": [{"name": "Mapping", "spec": _mapping_params()}],
        "scheduleSpec": _schedule_spec(),
        "runSpec": {"name": "ProviderParams", "spec": _object(window, list(window))},
        "attributes": _flow_attributes(),
    }


def _mapping_params() -> Spec:
    return _object({"mappingId": {"type": "string"}, "mappingVersion": {"type": "string"}}, ["mappingId"])


def _option_spec() -> Spec:
    properties = {
        "errorDiagnosticsEnabled": {"type": "boolean", "default": False},
        "partialIngestionPercent": {"type": "number", "exclusiveMinimum": 0},
    }
    return {"name": "OptionSpec", "spec": _object(properties, [])}


def _schedule_spec() -> Spec:
    properties = {
        "startTime": {"type": "integer", "description": "epoch seconds"},
        "frequency": {"type": "string", "enum": ["once", "minute", "hour", "day", "week"]},
        "interval": {"type": "integer"},
        "backfill": {"type": "boolean", "default": True},
    }
    once = {"properties": {"frequency": {"const": "once"}}}
    minute = {"properties": {"frequency": {"const": "minute"}}}
    interval = {"if": minute, "then": _minimum(15), "else": _minimum(1)}
    return {
        "name": "PeriodicSchedule",
        "type": "Periodic",
        "spec": {
            **_object(properties, ["startTime", "frequency"]),
            "if": once,
            "then": {"allOf": [{"not": {"required": ["interval"]}}, {"not": {"required": ["backfill"]}}]},
            "else": {"required": ["interval"], **interval},
        },
    }


def _minimum(value: int) -> Spec:
    return {"properties": {"interval": {"minimum": value}}}


def _flow_attributes() -> Spec:
    return {
        "isSourceFlow": True,
        "flacValidationSupported": True,
        "isDraftModeSupported": True,
        "recordTypeEnabled": True,
        "defaultRecordType": "profile",
        "frequency": "batch",
        "notification": {"category": "sources", "flowRun": {"enabled": True}},
    }


def _spelled(spec: Spec, switches: AepSwitches) -> Spec:
    """The older spelling of a few members, if it is switched on (platform.md 16.1.18)."""
    if switches.specSpelling == "new":
        return spec
    old = dict(spec)
    if "transformationSpecs" in old:
        old["transformationSpec"] = old.pop("transformationSpecs")
    old["permissionsInfo"] = {name: permissions[0] for name, permissions in old["permissionsInfo"].items()}
    return old
