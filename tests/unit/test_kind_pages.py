"""The page of a kind tells each of its fields, conditions and reasons, and nothing that is gone."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.core.conditions import READY, RECONCILING, STALLED
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.reconcile.run.kind import KIND as RUN
from hack.generators.crd import custom_resource_definition
from hack.generators.walk import walk
from tests.unit.reasons import PACKAGE, ROOT, documented_in, reasons_below


@dataclass(frozen=True)
class KindPage:
    """A page below docs/kinds, and the modules whose reasons it has to tell."""

    kind: ManagedKind
    modules: tuple[str, ...]

    @property
    def text(self) -> str:
        """The page."""
        return (ROOT / "docs" / "kinds" / f"{self.kind.api.singular}.md").read_text()

    def fields(self) -> set[str]:
        """Each field of the spec, and the first level of the status, whose parts are told with it."""
        version = custom_resource_definition(self.kind.api)["spec"]["versions"][0]
        properties = version["schema"]["openAPIV3Schema"]["properties"]
        spec = {node.path for node in walk(properties["spec"], "spec") if "properties" not in node.schema}
        return {path for path in spec if not path.endswith(("[]", "{}"))} | {
            f"status.{name}" for name in properties["status"]["properties"]
        }

    def told_fields(self) -> set[str]:
        """The fields in the first column of the page's tables."""
        return set(re.findall(r"^\| `((?:spec|status)\.[A-Za-z.\[\]]+)` \|", self.text, re.MULTILINE))


SHARED = tuple(
    f"reconcile/core/{name}.py"
    for name in (
        "platform_access",
        "creation",
        "sandbox",
        "adoption",
        "drift",
        "outcome",
        "reading",
        "transport",
    )
)
OFFERS = ("reconcile/sources/offer.py", "reconcile/sources/landing_zone_offer.py")
PAGES = [
    KindPage(RUN, ("reconcile/run",)),
    KindPage(
        CONNECTION,
        ("reconcile/connection", "reconcile/sources/sign_in.py", *OFFERS, *SHARED),
    ),
    KindPage(
        DATAFLOW,
        (
            "reconcile/dataflow",
            "reconcile/extraction/completeness.py",
            "reconcile/core/named_objects.py",
            *OFFERS,
            *SHARED,
        ),
    ),
]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.kind.name)


@each_page
def test_the_page_tells_each_field_and_no_other(page: KindPage) -> None:
    assert page.told_fields() == page.fields()


@each_page
def test_the_page_tells_each_condition(page: KindPage) -> None:
    names = (READY, RECONCILING, STALLED, *(declared.name for declared in page.kind.conditions))
    assert re.findall(r"^### `([A-Za-z]+)`", page.text, re.MULTILINE) == list(names)
    for declared in page.kind.conditions:
        assert declared.description in page.text


@each_page
def test_the_page_tells_each_reason_of_its_steps(page: KindPage) -> None:
    assert reasons_below(*page.modules) - documented_in(page.text) == set()


@each_page
def test_the_page_tells_no_reason_that_is_gone(page: KindPage) -> None:
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert {reason for reason in documented_in(page.text) if f'"{reason}"' not in code} == set()


@each_page
def test_the_page_links_to_what_exists(page: KindPage) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.text)
    assert links
    missing = [link for link in links if not (ROOT / "docs" / "kinds" / link).exists()]
    assert missing == []
