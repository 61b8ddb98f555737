"""Slots of an organization: never passed, the oldest tick first, handed on when one is free.

The fake that reconciling is tested with keeps the same rules.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from crmflow.reconcile.extraction.ports import Transfers
from crmflow.reconcile.extraction.slots import Waiting
from crmflow.runtime.kubernetes.errors import KubernetesError
from crmflow.runtime.kubernetes.jobs import ListedKind
from crmflow.transfer.report import Report, TransferResult
from tests.fakes.failing import Timeline
from tests.fakes.transfers import FakeTransfers
from tests.unit.runtime.transfers.fakes import (
    NOON,
    ORGANIZATION,
    OTHER_ORGANIZATION,
    Harness,
    order,
)

SLOTS = 2


def waiting(uid: str, minutes: float = 0) -> Waiting:
    """For the tick so many minutes after noon."""
    return Waiting(NOON + timedelta(minutes=minutes), uid)


@pytest.fixture
async def harness(tmp_path: Path) -> Harness:
    return await Harness.listed(tmp_path, slots=SLOTS)


@pytest.fixture(params=["jobs", "fake"])
def transfers(request: pytest.FixtureRequest, harness: Harness) -> Transfers:
    return harness.transfers if request.param == "jobs" else FakeTransfers(Timeline(), SLOTS)


async def begin(transfers: Transfers, uid: str, organization: str = ORGANIZATION) -> None:
    assert transfers.may_start(organization, waiting(uid))
    await transfers.start(order(uid, organization=organization))


async def test_slots_are_those_of_an_organization(transfers: Transfers) -> None:
    for uid in ("a", "b"):
        await begin(transfers, uid)
    assert not transfers.may_start(ORGANIZATION, waiting("c"))
    assert transfers.may_start(OTHER_ORGANIZATION, waiting("d"))


async def test_who_may_start_holds_the_slot(transfers: Transfers) -> None:
    """Between the answer and the Job others ask, too, even for an older tick."""
    assert transfers.may_start(ORGANIZATION, waiting("a"))
    assert transfers.may_start(ORGANIZATION, waiting("b"))
    assert not transfers.may_start(ORGANIZATION, waiting("c", -60))
    for uid in ("a", "b"):
        assert transfers.may_start(ORGANIZATION, waiting(uid, 60))
        await transfers.start(order(uid))
    assert not transfers.may_start(ORGANIZATION, waiting("c", -60))


async def test_who_may_start_holds_the_credits_too(transfers: Transfers) -> None:
    """Between the answer and the Job others ask whether they can afford theirs."""
    assert transfers.may_start(ORGANIZATION, waiting("a"), 60)
    assert transfers.reserved_credits(ORGANIZATION) == 60
    assert transfers.reserved_credits(ORGANIZATION, besides="a") == 0
    assert transfers.reserved_credits(OTHER_ORGANIZATION) == 0
    assert transfers.may_start(ORGANIZATION, waiting("a"), 50)
    assert transfers.reserved_credits(ORGANIZATION, besides="b") == 50
    await transfers.start(order("a", credits=50))
    assert transfers.reserved_credits(ORGANIZATION) == 50
    assert transfers.may_start(ORGANIZATION, waiting("b"), 7)
    transfers.waits_no_more("b")
    assert transfers.reserved_credits(ORGANIZATION) == 50


async def test_who_wants_no_slot_leaves_it_to_others(transfers: Transfers) -> None:
    for uid in ("a", "b"):
        assert transfers.may_start(ORGANIZATION, waiting(uid))
    assert not transfers.may_start(ORGANIZATION, waiting("c"))
    transfers.waits_no_more("a")
    assert transfers.may_start(ORGANIZATION, waiting("c"))
    assert not transfers.may_start(ORGANIZATION, waiting("a"))


async def test_the_oldest_tick_is_served_first(transfers: Transfers) -> None:
    for uid in ("a", "b"):
        await begin(transfers, uid)
    for uid, minutes in (("late", 30), ("early", 10), ("middle", 20)):
        assert not transfers.may_start(ORGANIZATION, waiting(uid, minutes))
    assert await transfers.delete_all("a") in (True, False)
    assert not transfers.may_start(ORGANIZATION, waiting("late", 30))
    assert not transfers.may_start(ORGANIZATION, waiting("middle", 20))
    assert transfers.may_start(ORGANIZATION, waiting("early", 10))


async def test_who_asks_again_for_another_tick_waits_for_that(transfers: Transfers) -> None:
    for uid in ("a", "b"):
        await begin(transfers, uid)
    assert not transfers.may_start(ORGANIZATION, waiting("c", 10))
    assert not transfers.may_start(ORGANIZATION, waiting("d", 20))
    assert not transfers.may_start(ORGANIZATION, waiting("c", 30))
    await transfers.delete_all("a")
    assert not transfers.may_start(ORGANIZATION, waiting("c", 30))
    assert transfers.may_start(ORGANIZATION, waiting("d", 20))


async def test_the_next_ones_are_woken_when_a_job_ends(harness: Harness) -> None:
    for uid in ("a", "b"):
        await begin(harness.transfers, uid)
    for uid, minutes in (("late", 30), ("early", 10)):
        harness.transfers.may_start(ORGANIZATION, waiting(uid, minutes))
    name = next(iter(harness.api.jobs))
    harness.api.end_pod(harness.api.make_pod(name), Report(exit_code=0, reason=TransferResult.WRITTEN))
    harness.api.end_job(name)
    await harness.transfers.list()
    assert set(harness.take_woken()) == {"a", "early"}


async def test_a_slot_is_taken_until_the_pod_has_ended(harness: Harness) -> None:
    for uid in ("a", "b"):
        await begin(harness.transfers, uid)
    name = next(iter(harness.api.jobs))
    pod = harness.api.make_pod(name)
    await harness.transfers.list()
    await harness.transfers.delete_all("a")
    assert not harness.transfers.may_start(ORGANIZATION, waiting("c"))
    harness.take_woken()
    harness.api.remove(ListedKind.PODS, pod)
    await harness.transfers.list()
    assert set(harness.take_woken()) == {"a", "c"}
    assert harness.transfers.may_start(ORGANIZATION, waiting("c"))


async def test_who_gives_a_slot_back_wakes_the_next(harness: Harness) -> None:
    for uid in ("a", "b"):
        assert harness.transfers.may_start(ORGANIZATION, waiting(uid))
    harness.transfers.may_start(ORGANIZATION, waiting("c"))
    harness.transfers.waits_no_more("a")
    assert harness.take_woken() == ["c"]
    harness.transfers.waits_no_more("nobody")
    assert harness.take_woken() == []


async def test_who_goes_leaves_the_turn_to_the_next(harness: Harness) -> None:
    """The first in turn was woken, and has not come: nobody waits for one that is gone."""
    for uid in ("a", "b"):
        assert harness.transfers.may_start(ORGANIZATION, waiting(uid))
    for uid in ("first", "second"):
        harness.transfers.may_start(ORGANIZATION, waiting(uid))
    harness.transfers.waits_no_more("a")
    assert not harness.transfers.may_start(ORGANIZATION, waiting("second"))
    harness.take_woken()
    await harness.transfers.sweep(lambda uid: uid != "first")
    assert harness.take_woken() == ["second"]


async def test_a_job_that_could_not_be_made_leaves_its_slot(harness: Harness) -> None:
    for uid in ("a", "b"):
        assert harness.transfers.may_start(ORGANIZATION, waiting(uid))
    harness.transfers.may_start(ORGANIZATION, waiting("c"))
    harness.api.errors["create job"] = [KubernetesError("503", 503)]
    with pytest.raises(Exception, match="503"):
        await harness.transfers.start(order("a"))
    assert harness.take_woken() == ["c"]


async def test_a_slot_is_taken_while_its_job_is_made(harness: Harness) -> None:
    answers = []
    harness.api.after = lambda _: answers.append(harness.transfers.may_start(ORGANIZATION, waiting("c", -60)))
    for uid in ("a", "b"):
        assert harness.transfers.may_start(ORGANIZATION, waiting(uid))
    for uid in ("a", "b"):
        await harness.transfers.start(order(uid))
    assert set(answers) == {False}


async def test_what_another_process_has_started_is_counted(harness: Harness) -> None:
    for uid in ("a", "b"):
        await begin(harness.transfers, uid)
    successor = await Harness.listed(harness.path.parent, api=harness.api, slots=SLOTS)
    assert not successor.transfers.may_start(ORGANIZATION, waiting("c"))
