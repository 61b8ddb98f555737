"""The conditions that a ZohoSourceConnection owns, in the order in which they are written."""

from __future__ import annotations

from crmflow.reconcile.core.conditions import ConditionType

AUTHORIZED = ConditionType(
    "Authorized", "Zoho and Adobe accept the credentials, and they lead where the spec says."
)
SOURCE_OFFERED = ConditionType("SourceOffered", "Platform offers the Zoho CRM source.")
SYNCED = ConditionType("Synced", "The base connection is what the spec says.")
TESTED = ConditionType("Tested", "Platform reaches Zoho CRM through the base connection.")
LANDING_ZONE_READY = ConditionType(
    "LandingZoneReady", "Files for Platform can be written into the sandbox's Data Landing Zone."
)

CONDITIONS = (AUTHORIZED, SOURCE_OFFERED, SYNCED, TESTED, LANDING_ZONE_READY)
