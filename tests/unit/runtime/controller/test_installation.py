"""Which installation serves a resource: whose claim holds, for how long, and who may take over."""

from __future__ import annotations

from typing import Any, cast

import pytest

from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.runtime.controller.installation import LOOK_SECONDS, ServingInstallation
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.resource import Resource
from crmflow.runtime.controller.worker import LEFT_SECONDS
from crmflow.runtime.kubernetes.client import Kubernetes, LeaseSnapshot
from crmflow.runtime.kubernetes.errors import KubernetesError
from tests.unit.runtime.fakes import JumpingClock, make_object

OWN, OTHER = "ours/crmflow", "theirs/crmflow"
AFTER = 120.0


class Leases:
    """The Leases of a cluster, and how often they are read."""

    def __init__(self) -> None:
        self.held: dict[str, LeaseSnapshot] = {OTHER: LeaseSnapshot("pod", "1")}
        self.error: KubernetesError | None = None
        self.reads = 0

    async def read_lease(self, namespace: str, name: str) -> LeaseSnapshot | None:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.held.get(f"{namespace}/{name}")

    def renew(self) -> None:
        """The holder of the other Lease lives."""
        snapshot = self.held[OTHER]
        self.held[OTHER] = snapshot._replace(version=str(int(snapshot.version) + 1))


class Harness:
    """An installation among others."""

    def __init__(self, *, elects: bool = True, instance: str = "test", takeover_after: float = AFTER) -> None:
        self.leases = Leases()
        self.clock = JumpingClock()
        self.installation = ServingInstallation(
            OWN,
            instance,
            elects=elects,
            kubernetes=cast(Kubernetes, self.leases),
            steady=self.clock,
            takeover_after=takeover_after,
        )

    async def obstacle(self, served_by: str | None, wanted: str | None = None) -> str | None:
        annotations = {"crmflow.io/served-by": wanted} if wanted else {}
        status: dict[str, Any] = {"servedBy": served_by} if served_by else {}
        obj = make_object(status=status, annotations=annotations)
        return await self.installation.obstacle(Resource(DATAFLOW, obj))

    async def until(self, seconds: float, *, alive: bool) -> str | None:
        """What is in the way once so much time has passed, looked at all the while."""
        found = await self.obstacle(OTHER)
        for _ in range(round(seconds / LOOK_SECONDS)):
            if alive:
                self.leases.renew()
            self.clock.jump(LOOK_SECONDS)
            found = await self.obstacle(OTHER)
        return found


@pytest.mark.parametrize("served_by", [None, "", OWN])
async def test_what_nobody_else_serves_is_ours(served_by: str | None) -> None:
    harness = Harness()
    assert await harness.obstacle(served_by) is None
    assert harness.leases.reads == 0


async def test_a_claim_holds_while_its_lease_is_renewed() -> None:
    harness = Harness()
    why = await harness.until(10 * AFTER, alive=True)
    assert why is not None
    for part in (OTHER, OWN, 'namespace "crm"', f"crmflow.io/served-by={OWN}"):
        assert part in why


@pytest.mark.parametrize(
    "lease",
    [LeaseSnapshot("pod", "1", 15.0), LeaseSnapshot("", "1", 10 * AFTER), None],
    ids=["not renewed", "released", "gone"],
)
async def test_it_ends_when_nobody_has_held_the_lease_for_a_while(lease: LeaseSnapshot | None) -> None:
    harness = Harness()
    harness.leases.held = {OTHER: lease} if lease else {}
    assert await harness.until(AFTER - LOOK_SECONDS, alive=False) is not None
    assert await harness.until(LOOK_SECONDS, alive=False) is None


async def test_a_restart_of_the_other_one_is_no_end() -> None:
    harness = Harness()
    harness.leases.held[OTHER] = LeaseSnapshot("", "1")
    assert await harness.until(AFTER - LOOK_SECONDS, alive=False) is not None
    harness.leases.held[OTHER] = LeaseSnapshot("next pod", "2")
    assert await harness.until(AFTER - LOOK_SECONDS, alive=False) is not None


async def test_a_lease_that_is_renewed_rarely_holds_for_as_long_as_it_says() -> None:
    """CRMFLOW_LEASE_DURATION may be longer than another installation's CRMFLOW_TAKEOVER_AFTER."""
    harness = Harness()
    harness.leases.held[OTHER] = LeaseSnapshot("pod", "1", 3 * AFTER)
    assert await harness.until(3 * AFTER - LOOK_SECONDS, alive=False) is not None
    assert await harness.until(LOOK_SECONDS, alive=False) is None


async def test_what_was_seen_of_a_lease_long_ago_says_nothing_of_the_time_between() -> None:
    """The other one was gone, came back, and goes again: it may come back once more."""
    harness = Harness()
    harness.leases.held = {}
    assert await harness.until(AFTER, alive=False) is None
    harness.clock.jump(10 * AFTER)
    assert await harness.obstacle(OTHER) is not None
    assert await harness.until(AFTER, alive=False) is None


async def test_a_takeover_that_is_due_sooner_than_the_next_look_comes_with_it() -> None:
    """Resources that are left to others are looked at every ten to twenty seconds."""
    harness = Harness(takeover_after=4.0)
    harness.leases.held = {}
    assert await harness.obstacle(OTHER) is not None
    harness.clock.jump(LEFT_SECONDS[1])
    assert await harness.obstacle(OTHER) is None


async def test_many_resources_cost_one_look() -> None:
    harness = Harness()
    for _ in range(100):
        await harness.obstacle(OTHER)
    assert harness.leases.reads == 1


async def test_where_leases_may_not_be_read_only_a_person_hands_over() -> None:
    harness = Harness()
    harness.leases.error = KubernetesError("403 Forbidden: no", 403)
    why = await harness.until(10 * AFTER, alive=False)
    assert why is not None
    assert "403 Forbidden: no" in why
    assert await harness.obstacle(OTHER, wanted=OWN) is None


async def test_a_right_that_comes_later_begins_the_count() -> None:
    harness = Harness()
    harness.leases.error = KubernetesError("403 Forbidden", 403)
    await harness.until(AFTER, alive=False)
    harness.leases.error = None
    assert await harness.until(LOOK_SECONDS, alive=False) is not None
    assert await harness.until(AFTER, alive=False) is None


async def test_an_api_server_that_does_not_answer_proves_nothing() -> None:
    harness = Harness()
    harness.leases.error = KubernetesError("can't be reached")
    with pytest.raises(KubernetesError):
        await harness.obstacle(OTHER)


@pytest.mark.parametrize(("wanted", "ours"), [(OWN, True), (OTHER, False), ("third/crmflow", False)])
async def test_a_person_may_hand_a_resource_over_whoever_holds_it(wanted: str, ours: bool) -> None:
    assert (await Harness().obstacle(OTHER, wanted) is None) is ours


@pytest.mark.parametrize("served_by", [None, OWN])
async def test_who_serves_a_resource_lets_it_go_once_a_person_names_one_that_is_there(
    served_by: str | None,
) -> None:
    harness = Harness()
    why = await harness.obstacle(served_by, OTHER)
    assert why is not None
    assert OTHER in why
    for nobody in ("third/crmflow", "no lease", OWN):
        assert await harness.obstacle(served_by, nobody) is None
    harness.leases.held[OTHER] = LeaseSnapshot("", "2")
    harness.clock.jump(LOOK_SECONDS)
    assert await harness.obstacle(served_by, OTHER) is None, "it goes on until somebody is there"


# Without an election


@pytest.mark.parametrize("served_by", [None, "test", OWN])
async def test_a_process_without_election_serves_what_is_its_own(served_by: str | None) -> None:
    """Also what its installation served while it took part in elections."""
    harness = Harness(elects=False)
    assert harness.installation.name == "test"
    assert await harness.obstacle(served_by) is None


async def test_two_processes_without_election_do_not_share_a_resource() -> None:
    why = await Harness(elects=False).obstacle("other")
    assert why is not None
    assert '"other"' in why
    assert await Harness(elects=False).obstacle("other", wanted="test") is None


async def test_an_installation_with_a_lease_goes_before_a_process_without() -> None:
    assert await Harness().obstacle("other") is None
    assert await Harness(elects=False).obstacle(OTHER) is not None


@pytest.mark.parametrize("junk", ["a/b/c", "/x", "x/", "A B\n", "a/..", "a/.", "-a/b", "a/-"])
async def test_what_is_no_name_of_a_lease_holds_nothing_up(junk: str) -> None:
    harness = Harness()
    assert await harness.obstacle(junk) is None
    assert harness.leases.reads == 0


# What was left


def test_what_is_left_is_news_once_and_counted() -> None:
    installation = Harness().installation
    flow, connection = Key("CRMDataflow", "crm", "a"), Key("ZohoSourceConnection", "crm", "b")
    assert installation.leave(flow, "why")
    assert not installation.leave(flow, "why")
    assert installation.leave(flow, "for another reason")
    assert installation.leave(connection, "why")
    assert [installation.count_left(kind) for kind in (flow.kind, connection.kind)] == [1, 1]
    installation.take(flow)
    assert (installation.leaves(flow), installation.leaves(connection)) == (False, True)
    assert installation.leave(flow, "for another reason")
