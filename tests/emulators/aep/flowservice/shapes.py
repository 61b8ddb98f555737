"""The types of what a client may send; what must be there is each collection's own rule."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tests.emulators.aep import errors


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class SpecReference(_Shape):
    """``connectionSpec`` and ``flowSpec``."""

    id: str | None = None
    version: str | None = None


class Auth(_Shape):
    """``auth`` of a base connection."""

    specName: str | None = None
    params: dict[str, str] | None = None


class Named(_Shape):
    """What every object has."""

    name: str | None = None
    description: str | None = None


class ConnectionShape(Named):
    """A base connection."""

    connectionSpec: SpecReference | None = None
    auth: Auth | None = None


class Column(_Shape):
    """A column as explore prints it."""

    name: str
    type: str
    xdm: dict[str, Any] | None = None


class SourceParams(_Shape):
    """``params`` of a source connection."""

    tableName: str | None = None
    columns: list[Column] | None = None
    path: str | None = None
    type: str | None = None
    recursive: bool | None = None


class SourceData(_Shape):
    """``data`` of a source connection."""

    format: str | None = None
    properties: dict[str, Any] | None = None


class SourceConnectionShape(Named):
    """A source connection."""

    connectionSpec: SpecReference | None = None
    baseConnectionId: str | None = None
    params: SourceParams | None = None
    data: SourceData | None = None


class TargetSchema(_Shape):
    """``data.schema`` of a target connection."""

    id: str | None = None
    version: str | None = None


class TargetData(_Shape):
    """``data`` of a target connection."""

    schema_: TargetSchema | None = Field(None, alias="schema")


class TargetParams(_Shape):
    """``params`` of a target connection."""

    dataSetId: str | None = None


class TargetConnectionShape(Named):
    """A target connection."""

    connectionSpec: SpecReference | None = None
    params: TargetParams | None = None
    data: TargetData | None = None


class DeltaColumn(_Shape):
    """``deltaColumn`` of Copy."""

    name: str | None = None


class TransformationParams(_Shape):
    """``params`` of Copy and Mapping."""

    deltaColumn: DeltaColumn | None = None
    mappingId: str | None = None


class Transformation(_Shape):
    """One of ``transformations``."""

    name: str
    params: TransformationParams | None = None


class FlowShape(Named):
    """A flow. Scalars of a schedule may be strings or not (platform.md 16.1.4)."""

    flowSpec: SpecReference | None = None
    sourceConnectionIds: list[str] | None = None
    targetConnectionIds: list[str] | None = None
    transformations: list[Transformation] | None = None
    scheduleParams: dict[str, str | int | bool] | None = None
    options: dict[str, Any] | None = None
    labels: list[str] | None = None


def check(shape: type[BaseModel], body: dict[str, Any]) -> None:
    """Raise a 400 that names the members of the wrong type."""
    try:
        shape.model_validate(body)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise errors.generic(400, "BadRequestError", reasons) from None
