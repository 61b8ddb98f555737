"""What the contract leaves open about Azure Blob Storage; numbers are sections of landing-zone.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class BlobSwitches(BaseModel):
    """The switches of the blob service, changed by ``PATCH /switches/blob``."""

    model_config = ConfigDict(validate_assignment=True, extra="forbid")

    lifeSeconds: Annotated[float, Field(gt=0)] = Field(
        7 * 86400, description="life of a blob after its last change, on the emulators' clock (E.1)"
    )
    endedSasCode: Literal["AuthenticationFailed", "AuthorizationFailure"] = Field(
        "AuthenticationFailed",
        description="code of the 403 for a SAS that was replaced or has expired: the real service's, or "
        "Azurite's (E.5, L)",
    )
    existingBlob: Literal["BlobAlreadyExists", "ConditionNotMet", "InvalidBlockList"] = Field(
        "BlobAlreadyExists",
        description="what Put Block List with If-None-Match says if the blob exists: 409, 412, or the 400 of "
        "blocks that are gone (K.2)",
    )
    largestPutBlob: int | None = Field(
        None, ge=1, description="bytes of a Put Blob before 413; null: by the request's x-ms-version (K.2)"
    )
