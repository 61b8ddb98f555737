"""Every setting by its environment variable, and what is said of bad ones."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from crmflow.api.base import RESYNC_INTERVAL
from crmflow.reconcile.extraction.credits import ROWS_OF_BULK, SHARE_OF_OTHERS
from crmflow.reconcile.extraction.rhythm import LEAST_LEAD
from crmflow.settings import PREFIX, Settings, parse_duration, setting_errors, unknown_settings
from tests.cluster.crd_cases import SHARED_RULES

GOOD: list[tuple[str, str, Any]] = [
    ("PLATFORM_URL", "http://127.0.0.1:1/platform", "http://127.0.0.1:1/platform"),
    ("IMS_URL", "http://127.0.0.1:1/ims", "http://127.0.0.1:1/ims"),
    ("ZOHO_ACCOUNTS_URL", "http://127.0.0.1:1/{dc}", "http://127.0.0.1:1/{dc}"),
    ("ZOHO_API_URL", "http://127.0.0.1:1/{dc}/{env}", "http://127.0.0.1:1/{dc}/{env}"),
    ("INSTANCE", "prod-eu-1", "prod-eu-1"),
    ("WATCH_NAMESPACES", "crm, sales,,", ("crm", "sales")),
    ("WORKERS", "25", 25),
    ("POLL_INTERVAL", "90s", 90.0),
    ("RESYNC_INTERVAL", "1h30m", 5400.0),
    ("CREATE_GRACE", "500ms", 0.5),
    ("IP_ALLOW_LIST", "ranges.json", "ranges.json"),
    ("TENANCY", "tenancy.json", "tenancy.json"),
    ("TRANSFER_TEMPLATE", "template.json", "template.json"),
    ("TRANSFER_SLOTS", "8", 8),
    ("EXTRACTION_LAG", "3m", 180.0),
    ("EXTRACTION_LEAD", "10m", 600.0),
    ("ZOHO_CREDIT_RESERVE", "0.5", 0.5),
    ("BULK_READ_ROWS", "1500", 1500),
    ("SHUTDOWN_GRACE", "1.5m", 90.0),
    ("LEADER_ELECTION", "true", True),
    ("LEASE_NAME", "crmflow-eu", "crmflow-eu"),
    ("LEASE_DURATION", "1m", 60.0),
    ("LEASE_RENEW_DEADLINE", "12s", 12.0),
    ("LEASE_RETRY_PERIOD", "500ms", 0.5),
    ("KUBERNETES_TIMEOUT", "1m30s", 90.0),
    ("TAKEOVER_AFTER", "90s", 90.0),
    ("POD_NAME", "crmflow-7d4b9-x2x7q", "crmflow-7d4b9-x2x7q"),
    ("POD_NAMESPACE", "crmflow-system", "crmflow-system"),
    ("LISTEN", "127.0.0.1:0", "127.0.0.1:0"),
    ("LISTEN_FILE", "address", "address"),
    ("LOG_FORMAT", "text", "text"),
    ("LOG_LEVEL", "DEBUG", "DEBUG"),
]
BAD = [
    ("INSTANCE", "Prod_EU"),
    ("INSTANCE", "x" * 37),
    ("INSTANCE", "-leading"),
    ("WORKERS", "many"),
    ("WORKERS", "0"),
    ("WORKERS", "201"),
    ("POLL_INTERVAL", "5 minutes"),
    ("RESYNC_INTERVAL", "3600"),
    ("CREATE_GRACE", "0s"),
    ("SHUTDOWN_GRACE", "-1s"),
    ("LEADER_ELECTION", "perhaps"),
    ("LEASE_NAME", "Crm_Flow"),
    ("LEASE_DURATION", "15"),
    ("LEASE_RENEW_DEADLINE", "20s"),
    ("LEASE_RETRY_PERIOD", "5001ms"),
    ("KUBERNETES_TIMEOUT", "0s"),
    ("TRANSFER_SLOTS", "0"),
    ("EXTRACTION_LAG", "0s"),
    ("EXTRACTION_LEAD", "2m"),
    ("EXTRACTION_LEAD", "300500ms"),
    ("ZOHO_CREDIT_RESERVE", "1.5"),
    ("ZOHO_CREDIT_RESERVE", "20%"),
    ("BULK_READ_ROWS", "0"),
    ("LISTEN", "hunter2"),
    ("LISTEN", "0.0.0.0:http"),
    ("LISTEN", "::1:8080"),
    ("LISTEN", "127.0.0.1:65536"),
    ("WATCH_NAMESPACES", "crm;sales"),
    ("WATCH_NAMESPACES", "crm,Sales"),
    ("POD_NAMESPACE", "crmflow_system"),
    ("PLATFORM_URL", "platform.adobe.io"),
    ("PLATFORM_URL", "ftp://platform.adobe.io"),
    ("PLATFORM_URL", "https://user:password@platform.adobe.io"),
    ("PLATFORM_URL", "https://platform.adobe.io/?a=b"),
    ("PLATFORM_URL", "https:///platform"),
    ("IMS_URL", "https://[::1"),
    ("IMS_URL", "https://ims:port"),
    ("IMS_URL", "https://{dc}.example"),
    ("ZOHO_ACCOUNTS_URL", "https://{env}.example"),
    ("ZOHO_API_URL", "https://{dc}.{region}.example"),
    ("LOG_FORMAT", "yaml"),
    ("LOG_LEVEL", "debug"),
]


def test_there_is_a_case_for_every_setting() -> None:
    assert {variable.lower() for variable, _, _ in GOOD} == set(Settings.model_fields)


@pytest.mark.parametrize(("variable", "text", "expected"), GOOD, ids=[row[0] for row in GOOD])
def test_each_setting_has_its_variable(variable: str, text: str, expected: Any) -> None:
    settings = Settings.from_environment({PREFIX + variable: text})
    assert getattr(settings, variable.lower()) == expected
    assert settings.model_fields_set == {variable.lower()}


@pytest.mark.parametrize("variable", [row[0] for row in GOOD])
def test_an_empty_variable_counts_as_unset(variable: str) -> None:
    assert Settings.from_environment({PREFIX + variable: ""}) == Settings()


@pytest.mark.parametrize(("variable", "text"), BAD, ids=[f"{row[0]}={row[1][:12]}" for row in BAD])
def test_a_bad_value_names_its_variable_and_not_itself(variable: str, text: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Settings.from_environment({PREFIX + variable: text})
    [problem] = raised.value.errors(include_input=False, include_url=False, include_context=False)
    assert problem["loc"][0] == variable.lower()
    assert text not in problem["msg"]


def test_a_lease_that_ends_before_the_default_deadline_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"must be shorter than CRMFLOW_LEASE_DURATION \(8s\)"):
        Settings.from_environment({"CRMFLOW_LEASE_DURATION": "8s"})
    times = {"CRMFLOW_LEASE_DURATION": "8s", "CRMFLOW_LEASE_RENEW_DEADLINE": "6s"}
    assert Settings.from_environment(times).lease_duration == 8.0


def test_a_lag_that_the_default_lead_may_not_cover_needs_a_lead() -> None:
    with pytest.raises(ValidationError, match=r"longer than CRMFLOW_EXTRACTION_LAG \(300s\)"):
        Settings.from_environment({"CRMFLOW_EXTRACTION_LAG": "5m"})
    times = {"CRMFLOW_EXTRACTION_LAG": "5m", "CRMFLOW_EXTRACTION_LEAD": "10m"}
    assert Settings.from_environment(times).extraction_lead == 600.0
    assert Settings(extraction_lag=LEAST_LEAD.total_seconds() - 1).extraction_lead is None


def test_defaults_of_extraction_are_those_that_it_works_with() -> None:
    assert Settings().bulk_read_rows == ROWS_OF_BULK
    assert Settings().zoho_credit_reserve == SHARE_OF_OTHERS


def test_all_bad_values_are_told_at_once() -> None:
    with pytest.raises(ValidationError) as raised:
        Settings.from_environment({"CRMFLOW_WORKERS": "x", "CRMFLOW_LOG_LEVEL": "y"})
    assert [problem["loc"][0] for problem in raised.value.errors()] == ["workers", "log_level"]


def test_what_is_wrong_is_said_with_the_value_and_what_the_setting_is() -> None:
    environment = {"CRMFLOW_LISTEN": "0.0.0.0:http", "CRMFLOW_WORKERS": "0"}
    with pytest.raises(ValidationError) as raised:
        Settings.from_environment(environment)
    workers, listen = map(str, setting_errors(raised.value, environment))
    assert workers == (
        'CRMFLOW_WORKERS="0": Input should be greater than or equal to 1. '
        "It is: How many resources are reconciled at the same time."
    )
    assert listen.startswith(
        'CRMFLOW_LISTEN="0.0.0.0:http": must be an address such as :8080, 127.0.0.1:8080 or [::1]:8080. '
        "It is: Address of /healthz"
    )


def test_other_variables_are_not_looked_at() -> None:
    assert Settings.from_environment({"WORKERS": "3", "CRMFLOW_CLOCK": "x", "PATH": "/bin"}) == Settings()


def test_a_misspelled_setting_is_told_without_its_value() -> None:
    told = unknown_settings({"CRMFLOW_POL_INTERVAL": "hunter2", "CRMFLOW_XYZ": "1", "CRMFLOW_WORKERS": "2"})
    assert told == [
        "CRMFLOW_POL_INTERVAL is no setting of this version and has no effect; CRMFLOW_POLL_INTERVAL may be "
        "meant",
        "CRMFLOW_XYZ is no setting of this version and has no effect",
    ]


def test_what_a_kubelet_tells_of_services_is_no_setting() -> None:
    """Of the chart's own Service, whatever its name."""
    links = (
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP_METRICS",
        "PORT",
        "PORT_8080_TCP",
        "PORT_8080_TCP_PROTO",
        "PORT_8080_TCP_PORT",
        "PORT_8080_TCP_ADDR",
        "METRICS_SERVICE_HOST",
        "METRICS_PORT_80_TCP_ADDR",
    )
    environment = {f"CRMFLOW_{link}": "10.0.0.1" for link in links}
    assert unknown_settings({**environment, "CRMFLOW_CLOCK": "x", "PATH": "/bin"}) == []


def test_the_defaults_are_the_real_services_and_what_the_design_says() -> None:
    settings = Settings.from_environment({})
    assert settings.platform_url == "https://platform.adobe.io"
    assert settings.ims_url == "https://ims-na1.adobelogin.com"
    assert settings.zoho_accounts_url is settings.zoho_api_url is None
    assert (settings.create_grace, settings.poll_interval, settings.resync_interval) == (60.0, 300.0, 3600.0)
    assert settings.watch_namespaces == ()


@pytest.mark.parametrize(("variable", "elects"), [("", True), ("true", True), ("false", False)])
def test_in_a_pod_replicas_elect_a_leader_unless_told_otherwise(variable: str, elects: bool) -> None:
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert Settings.from_environment({**pod, "CRMFLOW_LEADER_ELECTION": variable}).leader_election is elects
    assert Settings.from_environment({}).leader_election is False


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        ("1.5h", 5400.0),
        ("1m30s500ms", 90.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", SHARED_RULES[RESYNC_INTERVAL].accepted)
def test_what_the_api_server_accepts_as_an_interval_can_be_read(text: str) -> None:
    assert parse_duration(text) >= 600.0


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "5d", "1h ", "-5m", "5m!", "1,5h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration such as 30s, 5m or 1h30m"):
        parse_duration(text)
