"""What the AEP emulator holds when it starts."""

from __future__ import annotations

from dataclasses import dataclass

from tests.emulators.aep import catalog, xdm_parts
from tests.emulators.aep import seed_data as ids
from tests.emulators.aep.registry.schemas import compose
from tests.emulators.aep.resource import Author
from tests.emulators.aep.state import AepState, Credential, Sandbox

_AGE = 90 * 86400
"""Seconds that the seeded objects are old."""


@dataclass(frozen=True)
class _Schema:
    id: str
    title: str
    parts: tuple[str, ...]
    union: bool = False


@dataclass(frozen=True)
class _Dataset:
    id: str
    name: str
    schema: str
    version: int = 1
    profile: bool = False


_SCHEMAS = (
    _Schema(
        ids.CONTACTS_SCHEMA,
        "CRM Contacts",
        (
            ids.PROFILE_CLASS,
            xdm_parts.PERSON_DETAILS,
            xdm_parts.PERSONAL_DETAILS,
            xdm_parts.WORK_DETAILS,
            xdm_parts.AUDIT_DETAILS,
            xdm_parts.CONTACT_FIELDS,
        ),
        union=True,
    ),
    _Schema(
        ids.ACCOUNTS_SCHEMA,
        "CRM Accounts and Deals",
        (ids.ACCOUNT_CLASS, xdm_parts.ACCOUNT_DETAILS, xdm_parts.AUDIT_DETAILS, xdm_parts.DEAL_FIELDS),
    ),
)
_DATASETS = (
    _Dataset(ids.CONTACTS_DATASET, "CRM Contacts", ids.CONTACTS_SCHEMA),
    _Dataset(ids.PROFILE_DATASET, "CRM Contacts for Profile", ids.CONTACTS_SCHEMA, profile=True),
    _Dataset(ids.ACCOUNTS_DATASET, "CRM Accounts and Deals", ids.ACCOUNTS_SCHEMA),
    _Dataset(ids.NEXT_VERSION_DATASET, "CRM Contacts, next version", ids.CONTACTS_SCHEMA, version=2),
)


def seed(state: AepState) -> None:
    """Fill an empty state."""
    state.organization = ids.ORGANIZATION
    state.tenant = ids.TENANT
    state.credentials[ids.CLIENT_ID] = Credential(
        ids.CLIENT_ID, ids.CLIENT_SECRET, ids.ORGANIZATION, ids.TECHNICAL_ACCOUNT, ids.SCOPES
    )
    born = state.now() - _AGE
    for sandbox in (
        Sandbox("prod", "Prod", "production", "NLD2", is_default=True, created=born, modified=born),
        Sandbox("dev", "Development", "development", "NLD2", created=born, modified=born),
        Sandbox("fresh", "Fresh", "development", "NLD2", "creating", created=born, modified=born),
    ):
        state.sandboxes[sandbox.name] = sandbox
    fill(state, state.sandboxes["prod"])
    fill(state, state.sandboxes["dev"])


def fill(state: AepState, sandbox: Sandbox) -> None:
    """Schemas and datasets; outside ``prod`` the same under other ids, as AEP would number them."""
    for group in xdm_parts.tenant_field_groups(state.tenant):
        sandbox.field_groups[group["$id"]] = group
    for schema in _SCHEMAS:
        _add_schema(state, sandbox, schema)
    for dataset in _DATASETS:
        _add_dataset(state, sandbox, dataset)
    id = _id_in(sandbox, ids.EMAIL_DESCRIPTOR)
    sandbox.descriptors[id] = {
        "@id": id,
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": _id_in(sandbox, ids.CONTACTS_SCHEMA),
        "xdm:sourceVersion": "1",
        "xdm:sourceProperty": "/personalEmail/address",
        "xdm:namespace": "Email",
        "xdm:property": "xdm:code",
        "xdm:isPrimary": True,
        "imsOrg": ids.ORGANIZATION,
        "version": "1",
        "meta:containerId": "tenant",
        "meta:sandboxId": sandbox.id,
        "meta:sandboxType": sandbox.type,
    }


def _add_schema(state: AepState, sandbox: Sandbox, schema: _Schema) -> None:
    id = _id_in(sandbox, schema.id)
    body = {
        "type": "object",
        "title": schema.title,
        "description": f"{schema.title} as they come from a CRM",
        "allOf": [{"$ref": part} for part in schema.parts],
        "meta:immutableTags": ["union"] if schema.union else [],
    }
    groups = sandbox.field_groups.values()
    sandbox.schemas[id] = {1: compose(groups, id, body, state.tenant, "1.3")}
    if schema.union:
        sandbox.schemas[id][2] = compose(groups, id, body, state.tenant, "2.0")


def _add_dataset(state: AepState, sandbox: Sandbox, dataset: _Dataset) -> None:
    id = _id_in(sandbox, dataset.id)
    enabled = ["enabled:true"]
    body = {
        "name": dataset.name,
        "schemaRef": {
            "id": _id_in(sandbox, dataset.schema),
            "contentType": f"{ids.XED};version={dataset.version}",
        },
        "tags": {"unifiedProfile": enabled, "unifiedIdentity": enabled} if dataset.profile else {},
    }
    sandbox.datasets[id] = catalog.dataset(
        ids.ORGANIZATION, Author(ids.TECHNICAL_ACCOUNT, ids.CLIENT_ID), sandbox.created, body, id
    )


def _id_in(sandbox: Sandbox, id: str) -> str:
    if sandbox.name == "prod":
        return id
    return f"{id[:-6]}{sum(sandbox.name.encode()):04x}{id[-2:]}"
