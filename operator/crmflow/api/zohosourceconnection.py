"""ZohoSourceConnection: a Zoho CRM organization as a base connection in Adobe Experience Platform."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from crmflow.api.base import (
    PASSING,
    RESYNC_INTERVAL,
    AdoptedId,
    Conditions,
    DeletionPolicy,
    Description,
    DisplayName,
    Duration,
    Intents,
    LastDrift,
    LocalObjectReference,
    ManagementPolicy,
    Model,
    ReconcileRequest,
    RemoteId,
    RemoteState,
    Timestamp,
    Transport,
    observed_by,
    set_once,
)
from crmflow.api.endpoint import ENDPOINT_OF_DATA_CENTER
from crmflow.api.schema import Rule


class DataCenter(StrEnum):
    """Zoho's data centers (zoho.md 2)."""

    US = "US"
    EU = "EU"
    IN = "IN"
    AU = "AU"
    JP = "JP"
    CN = "CN"
    CA = "CA"
    SA = "SA"
    UK = "UK"
    AE = "AE"
    SG = "SG"

    @property
    def place(self) -> str:
        """Where it stands, as Zoho calls it."""
        return _PLACES[self]


_PLACES: Mapping[DataCenter, str] = {
    DataCenter.US: "United States",
    DataCenter.EU: "Europe",
    DataCenter.IN: "India",
    DataCenter.AU: "Australia",
    DataCenter.JP: "Japan",
    DataCenter.CN: "China",
    DataCenter.CA: "Canada",
    DataCenter.SA: "Saudi Arabia",
    DataCenter.UK: "United Kingdom",
    DataCenter.AE: "United Arab Emirates",
    DataCenter.SG: "Singapore",
}


class Environment(StrEnum):
    """The environments of a Zoho CRM organization; a grant is bound to one of them (zoho.md 1.2)."""

    PRODUCTION = "Production"
    SANDBOX = "Sandbox"
    DEVELOPER = "Developer"


class TokenPush(StrEnum):
    """When the base connection is given the access token that the operator holds."""

    ON_REFRESH = "OnRefresh"
    ON_CREDENTIAL_CHANGE = "OnCredentialChange"


class ZohoSpec(Model):
    """The Zoho CRM organization to read from."""

    data_center: DataCenter
    """The data center where the organization lives: US (United States), EU (Europe), IN (India),
    AU (Australia), JP (Japan), CN (China), CA (Canada), SA (Saudi Arabia), UK (United Kingdom), AE (United
    Arab Emirates) or SG (Singapore). It decides Zoho's accounts URL and API domain, and cannot change after
    creation."""
    environment: Environment = Environment.PRODUCTION
    """The environment that the grant was given for; verified against the organization. It cannot change after
    creation."""
    credentials_secret_ref: LocalObjectReference
    """The Secret with the OAuth client and grant: keys clientId and clientSecret, and one way in. That is
    refreshToken; or, where there is none, grantToken with redirectUri (which a self client does not have),
    exchanged at once and only once. snake_case is accepted as well. Further keys authParams.NAME are
    parameters like those of platform.authParams that are secrets."""
    scopes: (
        Annotated[
            tuple[
                Annotated[
                    str,
                    Field(max_length=128),
                    Rule(
                        "self.matches('^[A-Za-z]+([.][A-Za-z0-9_]+)+$')",
                        "must be a scope such as ZohoCRM.modules.READ",
                    ),
                ],
                ...,
            ],
            Field(min_length=1, max_length=32),
        ]
        | None
    ) = None
    """The OAuth scopes that the grant must have, and that kubectl crmflow authorize asks for. Left out, the
    smallest set that works. The landing zone needs ZohoCRM.coql.READ and ZohoCRM.bulk.READ in any case."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.dataCenter == oldSelf.dataCenter",
            "dataCenter cannot change after creation: set it back, and create another ZohoSourceConnection "
            "for an organization in another data center",
            field_path=".dataCenter",
            reason="FieldValueForbidden",
        ),
        Rule(
            "self.environment == oldSelf.environment",
            "environment cannot change after creation (leaving it out means Production): set it back, "
            "and create another ZohoSourceConnection for another environment",
            field_path=".environment",
            reason="FieldValueForbidden",
        ),
    )


_NO_SECRETS = Rule(
    "self.all(key, !key.matches('(?i)(secret|token|password|key|^client_?id|^accounts_?url)$'))",
    "authParams must hold no secrets and nothing that is known from elsewhere: put clientId, clientSecret "
    "and refreshToken into the Secret that zoho.credentialsSecretRef names; accessToken comes from the "
    "refresh token, accountsUrl from zoho.dataCenter",
)
_KEY_LENGTH = Rule(
    "self.all(key, size(key) > 0 && size(key) <= 64)",
    "authParams must have keys of 1 to 64 characters",
)


class PlatformSpec(Model):
    """The sandbox of Adobe Experience Platform to write to."""

    organization: Annotated[
        str,
        Field(max_length=64),
        Rule(
            "self.matches('^[0-9A-Za-z]+@AdobeOrg$')",
            "must be the organization ID as Adobe's Developer Console shows it: letters and digits "
            "followed by @AdobeOrg",
        ),
    ]
    """The IMS organization ID. It cannot change after creation."""
    sandbox: Annotated[
        str,
        Field(max_length=256),
        Rule(
            "self.matches('^[a-z0-9][a-z0-9_-]*$')",
            "must be the name of the sandbox, not its title: lower-case letters, digits and '-', for "
            "example prod",
        ),
    ]
    """The name of the sandbox. It cannot change after creation."""
    credentials_secret_ref: LocalObjectReference
    """The Secret with the OAuth server-to-server credential: keys clientId and clientSecret, or the same in
    snake_case, and optionally scopes."""
    auth_params: (
        Annotated[
            dict[str, Annotated[str, Field(max_length=1024)]],
            Field(max_length=16),
            _NO_SECRETS,
            _KEY_LENGTH,
        ]
        | None
    ) = None
    """Parameters sent with the base connection's authentication beside, or instead of, the operator's own;
    never secrets: those stand in the Secret of the grant, under the keys authParams.NAME. endpoint is the
    Zoho CRM server that Adobe Experience Platform reads from: a host of the data center."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.organization == oldSelf.organization",
            "organization cannot change after creation: set it back, and create another ZohoSourceConnection "
            "for another organization",
            field_path=".organization",
            reason="FieldValueForbidden",
        ),
        Rule(
            "self.sandbox == oldSelf.sandbox",
            "sandbox cannot change after creation: set it back, and create another ZohoSourceConnection "
            "for another sandbox",
            field_path=".sandbox",
            reason="FieldValueForbidden",
        ),
    )


class ZohoSourceConnectionSpec(Model):
    """The connection as it should be."""

    display_name: DisplayName | None = None
    """The beginning of the base connection's name in Adobe Experience Platform. Left out, it is the
    resource's namespace and name."""
    description: Description | None = None
    """Text for the base connection's description in Adobe Experience Platform."""
    zoho: ZohoSpec
    """The Zoho CRM organization to read from."""
    platform: PlatformSpec
    """The sandbox of Adobe Experience Platform to write to."""
    transport: Transport = Transport.AUTO
    """The way in which the records of dataflows get into Adobe Experience Platform, unless a dataflow says
    it: by its own Zoho CRM source, for which there is a base connection (PlatformSource), or in files that
    the operator writes into the sandbox's Data Landing Zone (LandingZone), without one. Auto uses the source
    where Adobe Experience Platform offers it. Dataflows that exist keep their way."""
    connection_id: AdoptedId | None = None
    """The ID of a base connection that exists and is to stand for this resource. It keeps its name and
    description; its authentication parameters become those of this resource. Once set, it stays."""
    token_push: TokenPush = TokenPush.ON_REFRESH
    """When the base connection is given a new access token: each time that the operator gets one, or only
    when the credentials change, so that Adobe Experience Platform refreshes it by itself. Unused without a
    base connection."""
    resync_interval: Annotated[Duration, RESYNC_INTERVAL] | None = None
    """How often everything is compared with Adobe Experience Platform, beside the listings that notice most
    changes sooner: at
    least 10m. Left out, the operator's setting applies, 1h by default."""
    paused: bool = False
    """While true, the operator neither reads nor changes the remote side. Deleting the resource still
    works."""
    management_policy: ManagementPolicy = ManagementPolicy.MANAGE
    """Observe compares the base connection that connectionId names and reports differences, but never changes
    or deletes anything."""
    deletion_policy: DeletionPolicy | None = None
    """What deleting the resource does to the base connection: Delete removes it, Orphan leaves it. Left out,
    one that the operator created is removed, and one that connectionId names is left. With managementPolicy
    Observe it is always left. The status shows what applies."""

    rules: ClassVar[tuple[Rule, ...]] = (
        ENDPOINT_OF_DATA_CENTER,
        Rule(
            "!has(self.connectionId) || self.transport != 'LandingZone'",
            "connectionId is not allowed with transport LandingZone, which has no base connection: remove "
            "it, or use another transport",
            field_path=".connectionId",
            reason="FieldValueForbidden",
        ),
        Rule(
            "!has(self.platform.authParams) || self.transport != 'LandingZone'",
            "platform.authParams is not allowed with transport LandingZone, which has no base connection to "
            "sign in with: remove it, or use another transport",
            field_path=".platform",
            reason="FieldValueForbidden",
        ),
        set_once("connectionId", "create another ZohoSourceConnection for another base connection"),
        observed_by("connectionId"),
    )

    @property
    def adopts(self) -> str | None:
        """The id of the base connection that was there before the resource."""
        return self.connection_id


class BaseConnectionStatus(Model):
    """The base connection in Adobe Experience Platform."""

    id: RemoteId
    """Its ID."""
    state: RemoteState | None = None
    """Its state as the Flow Service gives it, such as enabled."""


class ZohoOrganization(Model):
    """The Zoho CRM organization that the grant belongs to."""

    id: RemoteId
    """Its ID."""
    name: Annotated[str, Field(max_length=256)] | None = None
    """Its company name."""
    type: RemoteState | None = None
    """Its environment as Zoho gives it, such as production."""
    edition: RemoteState | None = None
    """Its edition as Zoho gives it, such as enterprise."""
    time_zone: Annotated[str, Field(max_length=64)] | None = None
    """Its time zone, such as Europe/Berlin: what Zoho CRM shows times in. Start times, delta columns and runs
    of a dataflow are in UTC whatever it is."""


class TokenStatus(Model):
    """Which credentials the base connection holds."""

    secret_hash: Annotated[str, Field(max_length=64)]
    """A short hash of the Secret's keys that were last sent to Adobe Experience Platform; it changes when
    they do."""
    shown_hash: Annotated[str, Field(max_length=64)] | None = None
    """A short hash of what Adobe Experience Platform showed afterwards of the parameters that are no secrets;
    another one later means that somebody changed them there."""


class IpAllowListStatus(Model):
    """The addresses from which Adobe Experience Platform connects to Zoho CRM."""

    region: RemoteState
    """The region of the sandbox, such as VA7."""
    ranges: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=256)] | None = None
    """The address ranges of that region in CIDR notation, to be entered into Zoho's Allowed IPs. Absent if
    Adobe publishes none for the region."""


class LandingZoneStatus(Model):
    """The Data Landing Zone of the sandbox."""

    container: Annotated[str, Field(max_length=256)]
    """Its container."""
    expiry_time: Timestamp | None = None
    """The day on which the credentials end that the operator has for it; it gets new ones by itself."""


class ZohoSourceConnectionStatus(Model):
    """The connection as the operator last saw it."""

    remote_ids: ClassVar = frozenset({"baseConnection", "intents"})
    """The fields that tell what goes with the resource."""
    found_anew: ClassVar = PASSING | {
        "zohoOrganization",
        "token",
        "ipAllowList",
        "testFailures",
        "nextTestTime",
        "landingZone",
        "tables",
    }
    """The fields that every pass tells anew, so that nothing rests on what stood there."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that the conditions speak about."""
    served_by: Annotated[str, Field(max_length=320)] | None = None
    """The installation of the operator that serves the resource: namespace and name of the Lease by which its
    replicas agree on the one that works, or the name of its instance if it has no Lease. Others leave the
    resource alone."""
    conditions: Conditions = ()
    """The state of the resource, by type."""
    base_connection: BaseConnectionStatus | None = None
    """The base connection in Adobe Experience Platform."""
    adopted: bool | None = None
    """True if the base connection was there before the resource: it keeps its name and description."""
    deletion_policy: DeletionPolicy | None = None
    """What deleting the resource will do to the base connection."""
    zoho_organization: ZohoOrganization | None = None
    """The Zoho CRM organization that the grant belongs to."""
    token: TokenStatus | None = None
    """Which credentials the base connection holds."""
    ip_allow_list: IpAllowListStatus | None = None
    """The addresses from which Adobe Experience Platform connects to Zoho CRM. Where Zoho CRM restricts
    addresses, they must be allowed there."""
    test_failures: Annotated[int, Field(ge=1)] | None = None
    """How many tests of the base connection have failed in a row, counted up to three: then Ready turns
    False. Absent if the last one succeeded."""
    next_test_time: Timestamp | None = None
    """When a test that failed is made again; sooner only after a change of credentials, and when somebody
    asks for a complete check."""
    transport: Transport | None = None
    """The way in which records of new dataflows get into Adobe Experience Platform, as it was decided:
    PlatformSource or LandingZone."""
    landing_zone: LandingZoneStatus | None = None
    """The Data Landing Zone of the sandbox, where dataflows use it."""
    tables: Annotated[int, Field(ge=0)] | None = None
    """How many tables Adobe Experience Platform sees through the base connection; with transport LandingZone,
    how many modules Zoho CRM shows to the grant."""
    last_drift: LastDrift | None = None
    """What was last changed from outside."""
    intents: Intents | None = None
    """Remote objects whose creation was begun and not yet confirmed."""
    last_handled_reconcile_at: ReconcileRequest | None = None
    """The value of the annotation crmflow.io/reconcile-requested-at that a complete check last followed."""
