"""Every knob of the Zoho emulator: what the contract leaves open, and Zoho's own faults (zoho.md 9, 10)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Seconds = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=1)]


class ZohoSwitches(BaseModel):
    """Defaults are what is most likely; each other position is what a client must survive as well."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        validate_assignment=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    # Consent page
    consent_error_state: bool = True
    """Whether a redirect with an error echoes `state`; documented for a code only (zoho.md 1.2)."""
    consent_error_status: Literal[400, 500] = 400
    """HTTP status of the pages that refuse an authorization request; Zoho names both (zoho.md 1.2)."""

    # Token endpoint: limits
    token_ttl: Seconds = 3600
    """Life of an access token in seconds (zoho.md 1.5)."""
    code_ttl: Literal[60, 120, 180, 600] = 180
    """Life of a grant token in seconds; Zoho's pages disagree (zoho.md 10, row 2)."""
    active_access_tokens: Literal[15, 30] = 15
    """Live access tokens per refresh token before the oldest is evicted (zoho.md 10, row 3)."""
    refresh_token_rate: Literal["10 per 10 min", "20 per 10 min", "5 per min", "unlimited"] = "10 per 10 min"
    """Refresh tokens made: 10 per user and client, 20 per client, 5 per user (zoho.md 10, row 4)."""
    refresh_tokens_counted_per: Literal["user", "user and client"] = "user"
    """What the limit of 20 refresh tokens counts (zoho.md 10, row 5)."""
    refused_refresh_prolongs_block: bool = False
    """Whether a refused refresh counts too, so that who keeps retrying stays blocked (zoho.md 1.4)."""

    # Token endpoint: answers
    throttle_status: Literal[400, 200] = 400
    """HTTP status of the throttle answer (zoho.md 10, row 1)."""
    throttle_locale: Literal["en", "zh"] = "en"
    """Language of the throttle answer (zoho.md 1.4)."""
    undocumented_error_status: Literal[200, 400] = 200
    """HTTP status of `access_denied`, `missing_org_info` and `tokenFault`; not known (zoho.md 1.4)."""
    invalid_code_status: Literal[200, 400] = 200
    """HTTP status of `invalid_code` (zoho.md 10, row 17)."""
    wrong_dc_error: Literal["invalid_client", "invalid_client_secret", "invalid_code"] = "invalid_client"
    """What an existing client or token gets at another data center's accounts host (zoho.md 1.4, 1.8)."""
    token_fault: Literal["none", "html", "general_error", "internal_error", "invalid_grant"] = "none"
    """Answer each token request so, whatever was asked, and change nothing (zoho.md 9.10; 10, row 12)."""
    token_answer_scope: bool = True
    """Whether token answers carry `scope` (zoho.md 1.3)."""
    legacy_expires_in: bool = False
    """Answer `expires_in` in milliseconds beside `expires_in_sec`, as until 2019 (zoho.md 1.3)."""
    api_domain: Literal["www", "environment", "accounts"] = "www"
    """`api_domain` answered: the www host, the environment's, or api.zoho.* (zoho.md 10, row 7)."""
    revoke_failure_status: Literal[400, 200] = 400
    """HTTP status of `token/revoke` for an unknown token; only "not success" is known (zoho.md 1.6)."""

    # CRM API: who gets in
    bearer_accepted: bool = True
    """Whether `Authorization: Bearer` works beside `Zoho-oauthtoken` (zoho.md 10, row 19)."""
    old_versions: Literal["refused", "served"] = "refused"
    """Versions 2 to 7: API_NOT_SUPPORTED, or served side by side with version 8 (zoho.md 3.10)."""
    bare_api_host: Literal["accepted", "refused"] = "refused"
    """What the host without `www` does; here it is the environment `bare` (zoho.md 10, row 9)."""
    unlisted_data_centers: Literal["served", "refused"] = "served"
    """Whether UK, AE and SG have a CRM API (zoho.md 10, row 8)."""
    ip_block: Literal["none", "direct", "source", "all"] = "none"
    """Whose addresses Allowed IPs refuse: callers of the CRM API, AEP's connector, or both (zoho.md 6)."""
    ip_block_answer: Literal["authentication_failure", "forbidden_html"] = "authentication_failure"
    """How the API refuses an address: 401 AUTHENTICATION_FAILURE or a 403 page (zoho.md 10, row 10)."""
    invalid_token_code: Literal[
        "INVALID_TOKEN", "AUTHENTICATION_FAILURE", "AUTHENTICATION_FAILED", "INVALID_OAUTHTOKEN"
    ] = "INVALID_TOKEN"
    """Code of the 401 for an expired, revoked, evicted or foreign token (zoho.md 4)."""
    missing_token_code: Literal["AUTHENTICATION_FAILURE", "INVALID_TOKEN", "UNAUTHORIZED"] = (
        "AUTHENTICATION_FAILURE"
    )
    """Code of the 401 without an Authorization header; not documented (zoho.md 4)."""
    scope_mismatch_status: Literal[401, 403] = 401
    """HTTP status of OAUTH_SCOPE_MISMATCH (zoho.md 10, row 13)."""
    no_permission_status: Literal[403, 400] = 403
    """HTTP status of NO_PERMISSION (zoho.md 4)."""
    scope_mismatch_code: Literal["OAUTH_SCOPE_MISMATCH", "INVALID_OAUTHSCOPE"] = "OAUTH_SCOPE_MISMATCH"
    """Code of the refusal for a missing scope: zoho.md 4's, or the one that users report."""
    org_refusal: Literal["none", "no_permission", "forbidden_html"] = "none"
    """Whether `GET /org` alone is refused, though the grant has its scope; users report it."""
    inactive_user: Literal["api_refuses", "grant_ends", "no_permission"] = "api_refuses"
    """What becomes of the grants of a user who is deactivated; not known (zoho.md 1.5)."""

    # CRM API: limits
    credit_limit: Count | None = None
    """Credits per rolling 24 hours; null takes the edition's (zoho.md 5)."""
    concurrency_limit: Count | None = None
    """Calls in flight per organization and client; null takes the edition's (zoho.md 5)."""
    rate_limit_code: Literal[
        "TOO_MANY_REQUESTS", "RATE_LIMIT_EXCEEDED", "LIMIT_REACHED", "API_LIMIT_EXCEEDED"
    ] = "TOO_MANY_REQUESTS"
    """Code of the 429 (zoho.md 4)."""
    rate_limit_details: Literal["empty", "retry_after"] = "empty"
    """`details` of the 429 (zoho.md 10, row 11)."""
    api_delay: Annotated[float, Field(ge=0, le=60)] = 0.0
    """Real seconds that each CRM call takes, so that calls can overlap."""
    discrete_page_limit: Count = 2000
    """Records within reach of `page` (zoho.md 3.6)."""
    page_token_limit: Count = 100_000
    """Records within reach of `page_token` (zoho.md 3.6)."""

    coql_columns: Literal[500, 50] = 500
    """Columns of a COQL query (zoho.md 10, row 16)."""
    coql_rows: Literal[2000, 200] = 2000
    """Rows of a COQL answer (zoho.md 10, row 16)."""
    coql_joins: Literal[2, 5] = 2
    """Lookups that a COQL query may follow (zoho.md 10, row 16)."""
    bulk_seconds: Annotated[float, Field(ge=0)] = 0.5
    """Life of a bulk read from `ADDED` to its end, on the emulators' clock (zoho.md 3.8)."""
    bulk_outcome: Literal["COMPLETED", "FAILURE"] = "COMPLETED"
    """How bulk reads end (zoho.md 3.8)."""
    bulk_page_rows: Count = 200_000
    """Rows of a bulk read job (zoho.md 3.8)."""
    bulk_parts: Literal["snapshot", "shifted"] = "snapshot"
    """Parts by page token: of what the first one saw, or of what is there by then (landing-zone.md K.7)."""
    bulk_pages: Literal[500, 50] = 500
    """Highest `page` of a bulk read; the page says 500, the specification 50 (landing-zone.md F.1)."""
    bulk_expired_token_code: Literal["EXPIRED_VALUE", "INVALID_DATA", "TOKEN_EXPIRED"] = "EXPIRED_VALUE"
    """Code for a bulk read's page token after a day; not known (landing-zone.md K.7)."""
    bulk_id_header: Literal["id", "Id"] = "id"
    """Header of the id's column in a bulk read's CSV (landing-zone.md F.1)."""
    bulk_jobs_at_once: Count | None = None
    """Bulk reads of an organization that have not ended before 429; null: no limit is known (F.1)."""
    bulk_errors: Literal["bulk", "crm"] = "bulk"
    """Codes of refused bulk reads: their own (landing-zone.md F.1) or those of other calls (zoho.md 4)."""
    visibility_lag: Annotated[float, Field(ge=0)] = 0.0
    """Seconds until readers see a change, which bears its own time (landing-zone.md F.2)."""

    # CRM API: shapes
    org_type_case: Literal["lower", "capitalized"] = "lower"
    """Spelling of `org.type` (zoho.md 10, row 14)."""
    active_user_status: Literal["active", "disabled"] = "active"
    """`status` shown for an active user (zoho.md 10, row 15)."""
    module_visible_key: bool = False
    """Whether modules carry the boolean `visible` of the 2025 specification (zoho.md 3.4; 10, row 18)."""
    absent_details: Literal["object", "null", "list"] = "object"
    """How fields show details that they do not have: `{}`, `null` or `[]` (zoho.md 3.5; 10, row 18)."""

    # AEP's connector
    source_renews_token: bool = True
    """Whether the connector renews an expired access token with the refresh token (platform.md 16)."""
