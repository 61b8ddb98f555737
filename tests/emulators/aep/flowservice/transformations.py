"""Rules of ``transformations``: Copy with its delta column, and Mapping (platform.md 6.1)."""

from __future__ import annotations

from typing import Any

from tests.emulators.aep import errors
from tests.emulators.aep.dataprep import mapping_sets
from tests.emulators.aep.dataprep.validation import problems
from tests.emulators.aep.flowservice.collection import Body, provider_error
from tests.emulators.aep.flowservice.schedule import frequency, integer
from tests.emulators.aep.gateway import Context
from tests.emulators.aep.media import major_version
from tests.emulators.aep.seed_data import CLOUD_STORAGE_FLOW_SPEC


def named(transformations: Any, name: str) -> Body | None:
    """The transformation of that name."""
    if not isinstance(transformations, list):
        return None
    return next((t for t in transformations if isinstance(t, dict) and t.get("name") == name), None)


def delta_column(transformations: Any) -> Body | None:
    """Copy's delta column."""
    copy = named(transformations, "Copy")
    params = copy.get("params") if copy else None
    column = params.get("deltaColumn") if isinstance(params, dict) else None
    return column if isinstance(column, dict) else None


def check(ctx: Context, body: Body, source: Body, target: Body) -> None:
    """All rules; raises the refusal."""
    if body["flowSpec"]["id"] == CLOUD_STORAGE_FLOW_SPEC:
        _refuse_copy(ctx, body)
    else:
        _check_copy(ctx, body)
    mapping_set = _check_mapping(ctx, body.get("transformations"))
    _check_schemas(ctx, mapping_set, target)
    columns = {str(c["name"]) for c in source["params"]["columns"]} if _tabular(source) else None
    found = [p for per_mapping in problems(ctx.sandbox, mapping_set, columns) for p in per_mapping]
    if found:
        detail = "; ".join(f"{p.destination}: {p.exception}" for p in found[:5])
        raise errors.flow("FLOW-1419-400", "Mapping validation failed", detail)


def _check_copy(ctx: Context, body: Body) -> None:
    once = frequency(body["scheduleParams"]) == "once"
    column = delta_column(body.get("transformations"))
    if column is not None and not column.get("name"):
        raise provider_error(ctx, "1367-400", "Delta column required", "deltaColumn.name is missing")
    if not once:
        if column is None:
            detail = "A delta column is required in the Copy transformation of a CRM connector"
            raise provider_error(ctx, "1367-400", "Delta column required", detail)
        return
    wanted = ctx.switches.deltaColumnWhenOnce
    if column is not None and wanted == "refused":
        detail = "A delta column in Copy is not allowed when the frequency is once"
        raise provider_error(ctx, "1369-400", "Delta column not allowed", detail)
    if column is None and wanted == "required":
        raise provider_error(ctx, "1367-400", "Delta column required", "A delta column is required")


def _refuse_copy(ctx: Context, body: Body) -> None:
    """Files have no delta column (landing-zone.md E.2)."""
    if named(body.get("transformations"), "Copy") is not None:
        detail = "A flow of files takes no Copy transformation"
        raise provider_error(ctx, ctx.switches.copyRefusalCode, "Copy not allowed", detail)


def _check_mapping(ctx: Context, transformations: Any) -> Body:
    mapping = named(transformations, "Mapping")
    params = mapping.get("params") if mapping else None
    id = params.get("mappingId") if isinstance(params, dict) else None
    if not isinstance(params, dict) or not id:
        detail = "The Mapping transformation is missing"
        raise provider_error(ctx, ctx.switches.mappingMissingCode, "Mapping transformation missing", detail)
    version = integer(params.get("mappingVersion", 0))
    found = None if version is None else mapping_sets.find(ctx.sandbox, str(id), version)
    if found is None:
        detail = f"There is no version {params.get('mappingVersion', 0)} of the mapping set {id}"
        raise errors.flow("FLOW-1412-400", "Invalid mapping version", detail)
    return found


def _check_schemas(ctx: Context, mapping_set: Body, target: Body) -> None:
    """Dataset, mapping and target name the same schema and major version (platform.md 6.1, 1425)."""
    schema_ref = ctx.sandbox.datasets.get(target["params"]["dataSetId"], {}).get("schemaRef", {})
    of_dataset = schema_ref.get("id"), major_version(schema_ref.get("contentType"))
    of_mapping = mapping_sets.output_schema(mapping_set)
    schema = target["data"].get("schema")
    of_target = (schema["id"], major_version(schema.get("version"))) if schema else of_dataset
    if not of_dataset == of_mapping == of_target:
        detail = f"dataset {of_dataset}, mapping {of_mapping}, target connection {of_target}"
        raise errors.flow("FLOW-1425-400", "Schemas differ", f"Same id and version expected: {detail}")


def _tabular(source: Body) -> bool:
    return isinstance(source.get("params", {}).get("columns"), list)
