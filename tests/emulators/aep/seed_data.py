"""Identifiers that manifests, docs and tests may name, and the content of the seed."""

from __future__ import annotations

ORGANIZATION = "7C51A9F0C0FFEE0A495EF1A2@AdobeOrg"
CLIENT_ID = "0f7c3f8f4b5d4f1e9a2b6c7d8e9f0a1b"
CLIENT_SECRET = "p8e-Emulated-Secret-3kR9vQ1xZ7mT5wYb"
TECHNICAL_ACCOUNT = "5E8D3B2A66F0C1D20A495F00@techacct.adobe.com"
SCOPES = ("openid", "AdobeID", "read_organizations", "additional_info.projectedProductContext", "session")
TENANT = "crmflowdemo"

PROVIDER = "0ed90a81-07f4-4586-8190-b40eccef1c5a"
ZOHO_SPEC = "929e4450-0237-4ed2-9404-b7e1e0a00309"
DYNAMICS_SPEC = "38ad80fe-8b06-4938-94f4-d4ee80266b07"
GOOGLE_CLOUD_STORAGE_SPEC = "32e8f412-cdf7-464c-9885-78184cb113fd"
LANDING_ZONE_SPEC = "26f526f2-58f4-4712-961d-e41bf1ccc0e8"
DATA_LAKE_SPEC = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
CRM_FLOW_SPEC = "14518937-270c-4525-bdec-c2ba7cce3860"
CLOUD_STORAGE_FLOW_SPEC = "9753525b-82c7-4dce-8a9b-5ccfce2b9876"

CRM_SOURCE_SPECS = (
    "3416976c-a9ca-4bba-901a-1f08f66978ff",
    "38ad80fe-8b06-4938-94f4-d4ee80266b07",
    "d771e9c1-4f26-40dc-8617-ce58c4b53702",
    "3c9b37f8-13a6-43d8-bad3-b863b941fedd",
    "cc6a4487-9e91-433e-a3a3-9cf6626c1806",
    "3000eb99-cd47-43f3-827c-43caf170f015",
    "26d738e0-8963-47ea-aadf-c60de735468a",
    "74a1c565-4e59-48d7-9d67-7c03b8a13137",
    "cfc0fee1-7dc0-40ef-b73e-d8b134c436f5",
    "4f63aa36-bd48-4e33-bb83-49fbcd11c708",
    "cb66ab34-8619-49cb-96d1-39b37ede86ea",
    "eb13cb25-47ab-407f-ba89-c0125281c563",
    "1f372ff9-38a4-4492-96f5-b9a4e4bd00ec",
    "37b6bf40-d318-4655-90be-5cd6f65d334b",
    "a49bcc7d-8038-43af-b1e4-5a7a089a7d79",
    "221c7626-58f6-4eec-8ee2-042b0226f03b",
    "a8b6a1a4-5735-42b4-952c-85dce0ac38b5",
    "6a8d82bc-1caf-45d1-908d-cadabc9d63a6",
    "aac9bbd4-6c01-46ce-b47e-51c6f0f6db3f",
    "8e6b41a8-d998-4545-ad7d-c6a9fff406c3",
    "ecde33f2-c56f-46cc-bdea-ad151c16cd69",
    "102706fb-a5cd-42ee-afe0-bc42f017ff43",
    "09182899-b429-40c9-a15a-bf3ddbc8ced7",
    "0479cc14-7651-4354-b233-7480606c2ac3",
    "d6b52d86-f0f8-475f-89d4-ce54c8527328",
    "a8f4d393-1a6b-43f3-931f-91a16ed857f4",
    "1fe283f6-9bec-11ea-bb37-0242ac130002",
    "fcad62f3-09b0-41d3-be11-449d5a621b69",
    "ea1c2a08-b722-11eb-8529-0242ac130003",
    "35d6c4d8-c9a9-11eb-b8bc-0242ac130003",
    "ff4274f2-c9a9-11eb-b8bc-0242ac130003",
    "ba5126ec-c9ac-11eb-b8bc-0242ac130003",
    "b2e08744-4f1a-40ce-af30-7abac3e23cf3",
    "929e4450-0237-4ed2-9404-b7e1e0a00309",
    "2acf109f-9b66-4d5e-bc18-ebb2adcff8d5",
    "2fa8af9c-2d1a-43ea-a253-f00a00c74412",
)
"""The source specs of ``CRMToAEP`` while Zoho was among them (platform.md 11)."""

PROFILE_CLASS = "https://ns.adobe.com/xdm/context/profile"
ACCOUNT_CLASS = "https://ns.adobe.com/xdm/context/account"

CONTACTS_SCHEMA = f"https://ns.adobe.com/{TENANT}/schemas/0c5f3a7be1d2496d8f10a2b3c4d5e6f708192a3b4c5d6e7f"
ACCOUNTS_SCHEMA = f"https://ns.adobe.com/{TENANT}/schemas/1d6e4b8cf2e35a7e9021b3c4d5e6f70819a2b3c4d5e6f708"
CONTACTS_DATASET = "6889f4f89b982b2b90bc1207"
PROFILE_DATASET = "6889f4f89b982b2b90bc1208"
ACCOUNTS_DATASET = "6889f4f89b982b2b90bc1209"
NEXT_VERSION_DATASET = "6889f4f89b982b2b90bc120a"
"""Bound to major version 2 of the Contacts schema, to show what 1425-400 is about."""

EMAIL_DESCRIPTOR = "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a3928"

XED = "application/vnd.adobe.xed+json"
