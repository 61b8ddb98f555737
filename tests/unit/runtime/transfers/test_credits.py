"""What was spent of an organization's credits outlives the process."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from crmflow.http.errors import RemoteError
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.extraction.credits import Ledger
from crmflow.runtime.credentials.token_store import Service, TokenStore
from crmflow.runtime.kubernetes.errors import KubernetesError
from crmflow.runtime.transfers.credits import StoredLedgers
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock
from tests.unit.runtime.transfers.fakes import HOME, INSTANCE, ORGANIZATION, OTHER_ORGANIZATION

DAY = 24 * 3600.0
ALLOWANCE = 4000


class Installation:
    """The operator's own namespace; processes come and go."""

    def __init__(self) -> None:
        self.kubernetes, self.clock = FakeKubernetes(), JumpingClock()
        self.start()

    def start(self) -> None:
        self.metrics = Metrics()
        self.store = TokenStore(self.kubernetes.port, HOME, INSTANCE)
        self.ledgers = StoredLedgers(self.store, self.clock, self.metrics)

    def shown(self, organization: str = ORGANIZATION) -> tuple[float | None, float | None]:
        """The metrics of an organization."""
        self.metrics.text()
        spent, allowed = (
            self.metrics.registry.get_sample_value(
                f"crmflow_zoho_credits_{what}", {"organization": organization}
            )
            for what in ("spent", "allowed")
        )
        return spent, allowed

    async def spent(self, organization: str = ORGANIZATION) -> int:
        return (await self.ledgers.ledger(organization, ALLOWANCE)).spent(self.clock.utcnow())


@pytest.fixture
def installation() -> Installation:
    return Installation()


async def test_it_is_known_after_a_restart_and_for_each_organization(installation: Installation) -> None:
    assert await installation.ledgers.ledger(ORGANIZATION, ALLOWANCE) == Ledger()
    await installation.ledgers.spend(ORGANIZATION, 60)
    await installation.ledgers.spend(OTHER_ORGANIZATION, 7)
    installation.clock.jump(3600)
    await installation.ledgers.spend(ORGANIZATION, 5)
    installation.start()
    assert await installation.spent() == 65
    assert await installation.spent(OTHER_ORGANIZATION) == 7
    assert len(installation.kubernetes.own_secrets) == 2


async def test_after_a_day_it_counts_no_more(installation: Installation) -> None:
    await installation.ledgers.spend(ORGANIZATION, 60)
    installation.clock.jump(DAY - 1)
    assert await installation.spent() == 60
    installation.clock.jump(timedelta(minutes=15).total_seconds() + 1)
    assert await installation.spent() == 0


async def test_what_is_spent_at_once_is_not_lost(installation: Installation) -> None:
    await asyncio.gather(*(installation.ledgers.spend(ORGANIZATION, 1) for _ in range(20)))
    assert await installation.spent() == 20
    installation.start()
    assert await installation.spent() == 20


async def test_what_could_not_be_written_counts_all_the_same(installation: Installation) -> None:
    await installation.ledgers.spend(ORGANIZATION, 1)
    installation.kubernetes.errors["merge_own_secret"] = [KubernetesError("503", 503)]
    with pytest.raises(RemoteError):
        await installation.ledgers.spend(ORGANIZATION, 10)
    assert await installation.spent() == 11
    await installation.store.flush()
    installation.start()
    assert await installation.spent() == 11


@pytest.mark.parametrize(
    "text", ["", "x", "{}", "[1]", '[["yesterday", 1]]', '[["2026-11-04", "many"]]', "[null]"]
)
async def test_a_record_that_was_edited_counts_as_empty(installation: Installation, text: str) -> None:
    await installation.ledgers.spend(ORGANIZATION, 60)
    (body,) = installation.kubernetes.own_secrets.values()
    (key,) = body["metadata"]["annotations"]
    body["metadata"]["annotations"][key] = text
    installation.start()
    assert await installation.spent() == 0
    await installation.ledgers.spend(ORGANIZATION, 5)
    assert await installation.spent() == 5


async def test_it_is_no_credential(installation: Installation) -> None:
    await installation.ledgers.spend(ORGANIZATION, 60)
    for service in Service:
        assert await installation.store.records(service) == []


async def test_metrics_show_them_from_the_first_question_until_a_day_after_the_last(
    installation: Installation,
) -> None:
    await installation.ledgers.spend(ORGANIZATION, 60)
    installation.start()
    assert installation.shown() == (None, None)
    await installation.spent()
    assert installation.shown() == (60, ALLOWANCE)
    await installation.ledgers.spend(ORGANIZATION, 5)
    assert installation.shown() == (65, ALLOWANCE)
    assert installation.shown(OTHER_ORGANIZATION) == (None, None)
    installation.clock.jump(DAY)
    assert installation.shown() == (None, None)
