"""Who may use what: the list, and the passes of both kinds under it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from crmflow.reconcile.core.tenancy import TenancyList, everybody

LIST = TenancyList.model_validate(
    {
        "tenants": [
            {"namespaces": ["crm-*"], "organizations": ["A@AdobeOrg"], "sandboxes": ["dev", "test-*"]},
            {"namespaces": ["crm-prod"], "organizations": ["*"], "sandboxes": ["prod"]},
        ]
    }
)


@pytest.mark.parametrize(
    ("namespace", "organization", "sandbox", "allowed"),
    [
        ("crm-eu", "A@AdobeOrg", "dev", True),
        ("crm-eu", "A@AdobeOrg", "test-1", True),
        ("crm-eu", "A@AdobeOrg", "prod", False),
        ("crm-eu", "B@AdobeOrg", "dev", False),
        ("crm-prod", "B@AdobeOrg", "prod", True),
        ("crm-prod", "B@AdobeOrg", "dev", False),
        ("crm", "A@AdobeOrg", "dev", False),
        ("CRM-eu", "A@AdobeOrg", "dev", False),
        ("other", "A@AdobeOrg", "dev", False),
    ],
)
def test_an_entry_has_to_fit_in_all_three(
    namespace: str, organization: str, sandbox: str, allowed: bool
) -> None:
    assert LIST.allows(namespace, organization, sandbox) is allowed


def test_an_empty_list_allows_nobody_and_no_list_everybody() -> None:
    assert not TenancyList(tenants=()).allows("crm", "A@AdobeOrg", "dev")
    assert everybody("crm", "A@AdobeOrg", "dev")


@pytest.mark.parametrize(
    "entry",
    [
        {"namespaces": [], "organizations": ["*"], "sandboxes": ["*"]},
        {"namespaces": ["*"], "organizations": ["*"]},
        {"namespaces": ["*"], "organizations": ["*"], "sandboxes": ["*"], "clusters": ["*"]},
        {"namespaces": [""], "organizations": ["*"], "sandboxes": ["*"]},
    ],
)
def test_an_entry_that_says_too_little_or_too_much_is_no_entry(entry: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError):
        TenancyList.model_validate({"tenants": [entry]})
