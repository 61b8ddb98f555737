"""The classes and field groups that the seed composes its schemas of: paths as in XDM, far from complete."""

from __future__ import annotations

from typing import Any

from tests.emulators.aep.seed_data import ACCOUNT_CLASS, PROFILE_CLASS, TENANT

Part = dict[str, Any]

_CONTEXT = "https://ns.adobe.com/xdm/context/"
PERSON_DETAILS = _CONTEXT + "profile-person-details"
PERSONAL_DETAILS = _CONTEXT + "profile-personal-details"
WORK_DETAILS = _CONTEXT + "profile-work-details"
ACCOUNT_DETAILS = "https://ns.adobe.com/xdm/mixins/account/account-details"
AUDIT_DETAILS = "https://ns.adobe.com/xdm/common/external-source-system-audit-attributes"
CONTACT_FIELDS = f"https://ns.adobe.com/{TENANT}/mixins/2a4c6e8f0b1d3f5a7c9e1b3d5f7a9c1e3b5d7f9a1c3e5b7d"
DEAL_FIELDS = f"https://ns.adobe.com/{TENANT}/mixins/3b5d7f9a1c2e4a6b8d0f2c4e6a8b0d2f4c6e8a0b2d4f6c8e"

_MEANINGS = {"date-time": {"type": "string", "format": "date-time", "meta:xdmType": "date-time"}}


def _field(kind: str) -> Part:
    return dict(_MEANINGS.get(kind) or {"type": kind, "meta:xdmType": kind})


def _object(**properties: Part | str) -> Part:
    return {
        "type": "object",
        "meta:xdmType": "object",
        "properties": {n: _field(p) if isinstance(p, str) else p for n, p in properties.items()},
    }


def _strings(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "string")


def _address() -> Part:
    return _object(
        primary="boolean",
        **_strings(
            "street1", "street2", "city", "state", "stateProvince", "postalCode", "country", "countryCode"
        ),
    )


def _phone() -> Part:
    return _object(primary="boolean", **_strings("number", "extension", "status"))


def _email() -> Part:
    return _object(primary="boolean", **_strings("address", "label", "status", "type"))


def _part(id: str, title: str, properties: Part, kind: str = "mixins", container: str = "global") -> Part:
    return {
        "$id": id,
        "meta:altId": _alt_id(id),
        "meta:resourceType": kind,
        "meta:containerId": container,
        "version": "1.0",
        "title": title,
        "type": "object",
        "properties": properties["properties"],
        "meta:abstract": True,
        "meta:extensible": True,
    }


def _alt_id(id: str) -> str:
    return "_" + id.removeprefix("https://ns.adobe.com/").replace("/", ".")


def _identity_map() -> Part:
    entry = _object(id="string", primary="boolean", authenticatedState="string")
    return {
        "type": "object",
        "meta:xdmType": "map",
        "additionalProperties": {"type": "array", "items": entry},
    }


def classes() -> list[Part]:
    """Record classes."""
    profile = _object(
        identityMap=_identity_map(),
        **_strings("_id", "personID", "createdByBatchID", "modifiedByBatchID", "repositoryCreatedBy"),
    )
    key = _object(**_strings("sourceID", "sourceInstanceID", "sourceKey", "sourceType"))
    account = _object(accountID="string", accountKey=key, _id="string", isDeleted="boolean")
    return [
        _part(PROFILE_CLASS, "XDM Individual Profile", profile, "classes"),
        _part(ACCOUNT_CLASS, "XDM Business Account", account, "classes"),
    ]


def field_groups() -> list[Part]:
    """Standard field groups, shared by all organizations."""
    name = _object(**_strings("firstName", "middleName", "lastName", "fullName", "courtesyTitle", "suffix"))
    person = _object(
        person=_object(
            name=name,
            birthYear="integer",
            **_strings("birthDate", "gender", "maritalStatus", "nationality", "preferredLanguage"),
        )
    )
    personal = _object(
        personalEmail=_email(),
        homeAddress=_address(),
        mailingAddress=_address(),
        homePhone=_phone(),
        mobilePhone=_phone(),
        faxPhone=_phone(),
    )
    work = _object(
        workEmail=_email(),
        workAddress=_address(),
        workPhone=_phone(),
        organizations={"type": "array", "items": _field("string")},
    )
    audit = _object(
        extSourceSystemAudit=_object(
            createdDate="date-time",
            lastUpdatedDate="date-time",
            **_strings("createdBy", "lastUpdatedBy", "externalID"),
        )
    )
    return [
        _part(PERSON_DETAILS, "Demographic Details", person),
        _part(PERSONAL_DETAILS, "Personal Contact Details", personal),
        _part(WORK_DETAILS, "Work Contact Details", work),
        _part(ACCOUNT_DETAILS, "Business Account Details", _account_details()),
        _part(AUDIT_DETAILS, "External Source System Audit Details", audit),
    ]


def _account_details() -> Part:
    organization = _object(
        annualRevenue=_object(amount="number", currencyCode="string"),
        numberOfEmployees="integer",
        **_strings("industry", "website", "SICCode", "tickerSymbol"),
    )
    return _object(
        accountOrganization=organization,
        accountPhone=_phone(),
        accountFax=_phone(),
        accountBillingAddress=_address(),
        accountShippingAddress=_address(),
        **_strings("accountName", "accountDescription", "accountType"),
    )


def tenant_field_groups(tenant: str) -> list[Part]:
    """Field groups of this organization; everything stands below its namespace (platform.md 8)."""
    contact = _object(
        emailOptOut="boolean",
        leadScore="number",
        createdTime="date-time",
        modifiedTime="date-time",
        **_strings("origin", "zohoId", "leadSource", "jobTitle", "department", "accountName", "owner"),
    )
    deal = _object(
        amount="number",
        probability="number",
        createdTime="date-time",
        modifiedTime="date-time",
        **_strings("origin", "zohoId", "dealName", "stage", "closingDate", "rating", "owner"),
    )
    namespace = f"_{tenant}"
    return [
        _part(CONTACT_FIELDS, "CRM Contact", _object(**{namespace: contact}), container="tenant"),
        _part(DEAL_FIELDS, "CRM Deal", _object(**{namespace: deal}), container="tenant"),
    ]
