"""What the inventory of a sandbox answers, whom it wakes, and when it calls something gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from crmflow.aep.collection import AnyCollection
from crmflow.aep.flow_service import CONNECTIONS, FLOWS, INVENTORIED, SOURCE_CONNECTIONS
from crmflow.aep.models import Run, Sandbox
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.external.target_connection import DATA_LAKE_CONNECTION_SPEC_ID
from crmflow.reconcile.ports import Absence
from crmflow.reconcile.sources.offer import (
    FLOW_SPEC_ID,
    ZOHO_CONNECTION_SPEC_ID,
)
from crmflow.runtime.inventory.listing import JUST_NOW_SECONDS
from crmflow.runtime.inventory.mass_deletion import RECENT_SECONDS, is_mass_deletion
from crmflow.runtime.inventory.ownership import OwnedObject, Ownership
from tests.fakes.failing import remote_error
from tests.unit.runtime.fakes import START, settle
from tests.unit.runtime.listings import GRACE, IDENTITY, KEY, Harness, listed

FLOW_KEY = IDENTITY.key("flow")


@pytest.fixture
def harness() -> Harness:
    return Harness()


# Listing


async def test_a_listing_is_four_requests_each_with_its_specification(harness: Harness) -> None:
    await harness.inventory.ensure()
    assert sorted(harness.client.asked) == [
        ("connections", ZOHO_CONNECTION_SPEC_ID),
        ("flows", FLOW_SPEC_ID),
        ("sourceConnections", ZOHO_CONNECTION_SPEC_ID),
        ("targetConnections", DATA_LAKE_CONNECTION_SPEC_ID),
    ]


async def test_who_only_needs_a_listing_is_content_with_any(harness: Harness) -> None:
    await harness.inventory.ensure()
    harness.clock.jump(100_000.0)
    await harness.inventory.ensure()
    assert harness.client.listings == 1


async def test_all_who_wait_share_one_listing(harness: Harness) -> None:
    harness.client.open.clear()
    waiting = [asyncio.create_task(harness.inventory.ensure()) for _ in range(20)]
    await settle()
    harness.client.open.set()
    await asyncio.gather(*waiting)
    assert harness.client.listings == 1


async def test_a_listing_that_began_too_early_serves_only_who_can_take_it(harness: Harness) -> None:
    """A page that was read before an object was made does not show it."""
    harness.client.open.clear()
    early = asyncio.create_task(harness.inventory.ensure())
    await settle()
    harness.clock.jump(1.0)
    late = [asyncio.create_task(harness.inventory.look_up(FLOWS, FLOW_KEY, lost=True)) for _ in range(5)]
    await settle()
    assert harness.client.listings == 1
    harness.client.hold(FLOWS, listed("f1"))
    harness.client.open.set()
    await early
    assert [[item.id for item in found] for found in await asyncio.gather(*late)] == [["f1"]] * 5
    assert harness.client.listings == 2


async def test_a_waiter_that_gives_up_does_not_end_the_listing_of_the_others(harness: Harness) -> None:
    harness.client.open.clear()
    first, second = (asyncio.create_task(harness.inventory.ensure()) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    harness.client.open.set()
    await second
    assert harness.client.listings == 1


@pytest.mark.parametrize("collection", INVENTORIED)
async def test_a_failed_page_discards_the_listing_and_keeps_the_one_before(
    harness: Harness, collection: AnyCollection
) -> None:
    harness.client.hold(FLOWS, listed("f1"))
    await harness.inventory.ensure()
    harness.client.hold(FLOWS, listed("f2"))
    harness.client.errors[collection] = remote_error()
    harness.clock.jump(1.0)
    with pytest.raises(RemoteError):
        await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=True)
    assert [item.id for item in harness.inventory.with_key(FLOWS, FLOW_KEY)] == ["f1"]
    harness.client.errors.clear()
    assert [item.id for item in await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=True)] == ["f1", "f2"]


@pytest.mark.parametrize(
    ("begun_after", "covers"), [(0.0, False), (GRACE - 0.1, False), (GRACE, True), (9999.0, True)]
)
async def test_a_listing_covers_predecessors_once_the_grace_is_over(
    harness: Harness, begun_after: float, covers: bool
) -> None:
    assert not harness.inventory.covers_predecessors
    harness.clock.jump(begun_after)
    await harness.inventory.ensure()
    harness.clock.jump(GRACE)
    assert harness.inventory.covers_predecessors is covers, "when it began counts, not what time it is"


# Answers


async def test_hits_are_decided_by_the_key_alone_the_oldest_first(harness: Harness) -> None:
    for item in (
        listed("young", created_at=START - 1.0),
        listed("old", created_at=START - 9.0, name=f"Renamed {FLOW_KEY}"),
        listed("twin", created_at=START - 9.0),
        listed("other", identity=replace(IDENTITY, name="leads")),
        listed("slot", "source"),
        listed("plain", name="Contacts"),
    ):
        harness.client.hold(FLOWS, item)
    await harness.inventory.ensure()
    assert [item.id for item in harness.inventory.with_key(FLOWS, FLOW_KEY)] == ["old", "twin", "young"]
    assert harness.inventory.with_key(CONNECTIONS, FLOW_KEY) == []


async def test_before_the_first_listing_only_own_creates_are_known(harness: Harness) -> None:
    assert harness.inventory.with_key(FLOWS, FLOW_KEY) == []
    assert harness.inventory.item(FLOWS, "f1") is None
    harness.inventory.created(FLOWS, listed("f1"))
    assert [item.id for item in harness.inventory.with_key(FLOWS, FLOW_KEY)] == ["f1"]


async def test_an_own_create_is_laid_over_listings_until_they_show_it(harness: Harness) -> None:
    await harness.inventory.ensure()
    harness.inventory.created(FLOWS, listed("f1", etag="posted"))
    for _ in range(3):
        harness.clock.jump(GRACE / 4)
        assert [item.id for item in await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=True)] == ["f1"]
    harness.client.hold(FLOWS, listed("f1", etag="indexed"))
    harness.clock.jump(1.0)
    [item] = await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=True)
    assert item.etag == "indexed"
    harness.lose("f1")
    harness.clock.jump(1.0)
    found = await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=True)
    assert found == [], "once listed, listings are believed"


async def test_an_own_create_that_no_listing_shows_after_the_grace_is_gone(harness: Harness) -> None:
    harness.inventory.created(FLOWS, listed("f1"))
    harness.clock.jump(GRACE)
    assert await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=True) == []


async def test_an_own_delete_is_laid_over_listings_until_the_grace_is_over(harness: Harness) -> None:
    harness.client.hold(FLOWS, listed("f1"))
    await harness.inventory.ensure()
    harness.inventory.deleted("f1")
    for _ in range(3):
        assert harness.inventory.with_key(FLOWS, FLOW_KEY) == []
        assert harness.inventory.item(FLOWS, "f1") is None
        harness.clock.jump(GRACE / 4)
        await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=True)
    harness.clock.jump(GRACE / 4)
    assert [item.id for item in await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=True)] == ["f1"]


async def test_what_was_let_go_is_there_and_not_ours(harness: Harness) -> None:
    """Listings show it with our key for a while; that it lost that says nothing about its being there."""
    harness.client.hold(FLOWS, listed("f1", parents=("s1",)))
    await harness.inventory.ensure()
    harness.inventory.let_go("f1")
    assert harness.inventory.item(FLOWS, "f1") is not None
    assert harness.inventory.with_key(FLOWS, FLOW_KEY) == []
    assert harness.inventory.is_built_on("s1")
    harness.clock.jump(GRACE)
    await harness.poll()
    assert [item.id for item in harness.inventory.with_key(FLOWS, FLOW_KEY)] == ["f1"]


async def test_flows_that_were_let_go_still_read_through_their_connection(harness: Harness) -> None:
    harness.client.hold(SOURCE_CONNECTIONS, listed("s1", "source", parents=("b1",)))
    harness.client.hold(FLOWS, listed("f1", parents=("s1",)))
    harness.inventory.let_go("f1")
    harness.inventory.let_go("s1")
    assert await harness.inventory.readers_of("b1") == ["f1"]
    harness.inventory.deleted("f1")
    assert await harness.inventory.readers_of("b1") == []


async def test_what_was_created_and_deleted_is_not_there(harness: Harness) -> None:
    harness.inventory.created(FLOWS, listed("f1"))
    harness.inventory.deleted("f1")
    assert harness.inventory.with_key(FLOWS, FLOW_KEY) == []


async def test_what_something_is_built_on_is_told(harness: Harness) -> None:
    harness.client.hold(FLOWS, listed("f1", parents=("s1", "t1")))
    harness.client.hold(SOURCE_CONNECTIONS, listed("s1", "source", parents=("b1",)))
    await harness.inventory.ensure()
    assert [harness.inventory.is_built_on(name) for name in ("s1", "t1", "b1", "f1")] == [True] * 3 + [False]
    harness.inventory.deleted("f1")
    assert not harness.inventory.is_built_on("s1")


async def test_the_holder_of_an_object_is_the_resource_that_records_it(harness: Harness) -> None:
    harness.own("f1")
    assert harness.inventory.recorded_by("f1") == "CRMDataflow/crm/f1"
    assert harness.inventory.recorded_by("f2") is None


async def test_creates_share_a_listing_unless_an_answer_was_lost(harness: Harness) -> None:
    await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=False)
    asked = len(harness.client.asked)
    harness.clock.jump(4.0)
    await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=False)
    assert len(harness.client.asked) == asked, "hardly older"
    await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=True)
    assert len(harness.client.asked) == 2 * asked, "what was lost may have appeared since"
    harness.clock.jump(6.0)
    await harness.inventory.look_up(FLOWS, FLOW_KEY, lost=False)
    assert len(harness.client.asked) == 3 * asked


async def test_a_resource_that_is_not_ready_is_not_woken_for_a_run(harness: Harness) -> None:
    """It would compare everything at each poll, and record nothing."""
    harness.own("f1")
    harness.owned = replace(
        harness.owned, objects=tuple(replace(owned, runs=None) for owned in harness.owned.objects)
    )
    harness.client.change(FLOWS, "f1", last_run=RUN)
    assert (await harness.poll())[0] == {}


# Whom a poll wakes


async def test_a_quiet_poll_costs_its_five_listings_and_wakes_nobody(harness: Harness) -> None:
    harness.own(*(f"f{number}" for number in range(50)))
    for _ in range(3):
        assert await harness.poll() == ({}, [])
    assert len(harness.client.asked) == 15


async def test_a_version_that_somebody_else_made_wakes_for_a_full_check_once(harness: Harness) -> None:
    harness.own("f1", "f2")
    await harness.poll()
    harness.client.change(FLOWS, "f1", etag="v2")
    assert await harness.poll() == ({"f1": True}, [])
    assert await harness.poll() == ({}, [])


async def test_a_version_that_we_have_seen_ourselves_is_no_news(harness: Harness) -> None:
    harness.own("f1")
    await harness.poll()
    harness.client.change(FLOWS, "f1", etag="v2")
    harness.inventory.saw("f1", "v2")
    assert await harness.poll() == ({}, [])


async def test_a_version_after_the_one_that_we_have_seen_is_news(harness: Harness) -> None:
    harness.own("f1")
    harness.inventory.saw("f1", "v0")
    assert await harness.poll() == ({"f1": True}, [])


async def test_the_first_version_that_is_seen_is_no_news(harness: Harness) -> None:
    """After a restart nobody knows what it was before; the full check will tell."""
    harness.own("f1")
    assert await harness.poll() == ({}, [])


RUN = Run("r1", "f1", "inProgress", START, None)


@pytest.mark.parametrize(
    ("run", "recheck"),
    [
        pytest.param(replace(RUN, id="r2"), {"f1": False}, id="another run"),
        pytest.param(replace(RUN, state="success"), {"f1": False}, id="another state"),
        pytest.param(RUN, {}, id="the same"),
        pytest.param(None, {}, id="none shown"),
    ],
)
async def test_a_new_run_wakes_without_a_full_check(
    harness: Harness, run: Run | None, recheck: dict[str, bool]
) -> None:
    harness.own("f1", run=RUN)
    harness.client.change(FLOWS, "f1", last_run=run)
    assert await harness.poll() == (recheck, [])


async def test_a_new_run_beside_a_new_version_is_checked_fully(harness: Harness) -> None:
    harness.own("f1", run=RUN)
    await harness.poll()
    harness.client.change(FLOWS, "f1", etag="v2", last_run=replace(RUN, id="r2"))
    assert await harness.poll() == ({"f1": True}, [])


async def test_what_is_missing_wakes_for_a_full_check_every_time(harness: Harness) -> None:
    harness.own("f1", "f2")
    await harness.poll()
    harness.lose("f1")
    for _ in range(2):
        assert await harness.poll() == ({"f1": True}, [])
    assert harness.client.asked[-1] == ("ids", ("f1",))


@pytest.mark.parametrize("write", ["created", "deleted"])
async def test_what_we_have_just_written_is_not_missing(harness: Harness, write: str) -> None:
    harness.own("f1")
    item = harness.client.held[FLOWS].pop("f1")
    harness.clock.jump(300.0)
    if write == "created":
        harness.inventory.created(FLOWS, item)
    else:
        harness.inventory.deleted("f1")
    changes = await harness.inventory.poll()
    assert (changes.requests, changes.unowned) == ((), ())


@pytest.mark.parametrize("lacking", [["f1"], ["f1", "f2", "f3"]], ids=["short", "empty"])
async def test_a_listing_that_lacks_what_exists_is_discarded_whole(
    harness: Harness, lacking: list[str]
) -> None:
    harness.own("f1", "f2", "f3")
    harness.clock.jump(GRACE)
    await harness.inventory.ensure()
    harness.client.unlisted.update(lacking)
    assert await harness.poll() == ({}, [])
    assert not harness.inventory.covers_predecessors, "nor does it prove that something does not exist"
    harness.client.unlisted.clear()
    await harness.inventory.ensure()
    assert harness.inventory.item(FLOWS, "f1") is not None
    assert harness.inventory.covers_predecessors


@pytest.mark.parametrize("fails", [False, True], ids=["it is short", "that can't be found out"])
async def test_what_changed_is_told_after_a_poll_that_was_discarded(harness: Harness, fails: bool) -> None:
    """A version counts as seen only once somebody has been woken for it."""
    harness.own("f1", "f2")
    await harness.poll()
    harness.client.change(FLOWS, "f1", etag="v2")
    harness.client.unlisted.add("f2")
    if fails:
        harness.client.ids_error = remote_error()
        with pytest.raises(RemoteError):
            await harness.poll()
    else:
        assert await harness.poll() == ({}, [])
    harness.client.unlisted.clear()
    assert await harness.poll() == ({"f1": True}, [])
    assert await harness.poll() == ({}, [])


async def test_a_poll_whose_listing_fails_says_nothing(harness: Harness) -> None:
    harness.own("f1")
    await harness.poll()
    harness.client.errors[CONNECTIONS] = remote_error()
    with pytest.raises(RemoteError):
        await harness.poll()
    harness.client.errors.clear()
    assert await harness.poll() == ({}, [])


# Strays and unknown objects


async def test_one_object_too_many_wakes_its_resource(harness: Harness) -> None:
    harness.own("f1")
    twin = replace(harness.client.held[FLOWS]["f1"], id="f1-twin", created_at=START)
    harness.client.hold(FLOWS, twin)
    assert await harness.poll() == ({"f1": True}, [])


async def test_an_object_that_its_resource_does_not_record_yet_wakes_it(harness: Harness) -> None:
    harness.owned = Ownership(lookup_keys={FLOW_KEY: KEY})
    harness.client.hold(FLOWS, listed("f1"))
    assert await harness.poll() == ({"contacts": True}, [])
    harness.inventory.created(FLOWS, listed("f1"))
    harness.clock.jump(1.0)
    changes = await harness.inventory.poll()
    assert [request.key for request in changes.requests] == [KEY], "it was listed: believed"


@pytest.mark.parametrize(
    ("item", "unknown"),
    [
        pytest.param(listed("f9"), True, id="this installation's"),
        pytest.param(listed("f9", name=f"Renamed {FLOW_KEY}"), True, id="renamed before its key"),
        pytest.param(
            listed("f9", identity=replace(IDENTITY, instance="other")), False, id="another installation's"
        ),
        pytest.param(listed("f9", name="Contacts"), False, id="without a key"),
        pytest.param(listed("f9", created_at=START + 300.0 - GRACE + 1.0), False, id="within the grace"),
        pytest.param(listed("f9", created_at=START + 300.0 - GRACE - 1.0), True, id="after the grace"),
    ],
)
async def test_objects_of_this_installation_that_nobody_knows_are_told(
    harness: Harness, item: object, unknown: bool
) -> None:
    harness.own("f1")
    harness.client.held[FLOWS]["f9"] = item  # type: ignore[assignment]
    assert await harness.poll() == ({}, ["f9"] if unknown else [])


async def test_an_own_delete_leaves_no_orphan_while_listings_still_show_it(harness: Harness) -> None:
    harness.own("f1")
    harness.client.hold(FLOWS, listed("f9"))
    harness.clock.jump(300.0)
    harness.inventory.deleted("f9")
    assert (await harness.inventory.poll()).unowned == ()


# Absence


async def test_what_is_listed_but_not_read_is_hidden(harness: Harness) -> None:
    harness.own("f1")
    assert await harness.inventory.absence(FLOWS, "f1") is Absence.HIDDEN


async def test_what_a_listing_lacks_is_asked_for_by_id_before_it_is_gone(harness: Harness) -> None:
    harness.own("f1", "f2")
    harness.client.unlisted.add("f1")
    assert await harness.inventory.absence(FLOWS, "f1") is Absence.HIDDEN
    harness.lose("f1")
    harness.client.asked.clear()
    harness.clock.jump(RECENT_SECONDS + 1)
    assert await harness.inventory.absence(FLOWS, "f1") is Absence.GONE
    assert harness.client.listings == 1
    assert ("ids", ("f1",)) in harness.client.asked


async def test_absences_share_a_recent_listing(harness: Harness) -> None:
    harness.own(*(f"f{number}" for number in range(9)))
    harness.lose("f0", "f1", "f2")
    for name in ("f0", "f1", "f2"):
        assert await harness.inventory.absence(FLOWS, name) is Absence.GONE
        harness.clock.jump(RECENT_SECONDS / 3)
    assert harness.client.listings == 1


async def test_without_a_listing_absence_is_not_decided(harness: Harness) -> None:
    harness.own("f1")
    harness.lose("f1")
    harness.client.errors[FLOWS] = remote_error()
    with pytest.raises(RemoteError):
        await harness.inventory.absence(FLOWS, "f1")


# The brake


def many(harness: Harness, count: int) -> list[str]:
    names = [f"f{number}" for number in range(count)]
    harness.own(*names)
    return names


@pytest.mark.parametrize(
    ("known", "lost", "absence"),
    [
        (7, 5, Absence.GONE),
        (7, 6, Absence.MASS_DELETION),
        (60, 6, Absence.GONE),
        (60, 7, Absence.MASS_DELETION),
        (200, 20, Absence.GONE),
        (200, 21, Absence.MASS_DELETION),
    ],
)
async def test_the_brake_holds_above_five_and_a_tenth(
    harness: Harness, known: int, lost: int, absence: Absence
) -> None:
    names = many(harness, known)
    harness.lose(*names[:lost])
    assert await harness.inventory.absence(FLOWS, names[0]) is absence


async def test_the_brake_holds_other_objects_too(harness: Harness) -> None:
    names = many(harness, 7)
    harness.own("b1", collection=CONNECTIONS)
    harness.lose(*names[:6])
    del harness.client.held[CONNECTIONS]["b1"]
    assert await harness.inventory.absence(CONNECTIONS, "b1") is Absence.MASS_DELETION


async def test_only_vanished_flows_count(harness: Harness) -> None:
    names = [f"s{number}" for number in range(9)]
    harness.own(*names, collection=SOURCE_CONNECTIONS)
    harness.own("f1")
    harness.client.held[SOURCE_CONNECTIONS].clear()
    assert await harness.inventory.absence(SOURCE_CONNECTIONS, "s1") is Absence.GONE


async def test_the_brake_stays_on_while_anything_is_missing(harness: Harness) -> None:
    """Else each resource that is deleted would bring the next ones under the threshold."""
    names = many(harness, 8)
    harness.lose(*names[:6])
    assert await harness.inventory.absence(FLOWS, names[0]) is Absence.MASS_DELETION
    harness.owned = replace(harness.owned, objects=harness.owned.objects[3:])
    assert await harness.inventory.absence(FLOWS, names[5]) is Absence.MASS_DELETION
    harness.owned = replace(harness.owned, objects=harness.owned.objects[3:])
    await harness.poll()
    harness.lose(names[7])
    harness.clock.jump(RECENT_SECONDS + 1)
    assert await harness.inventory.absence(FLOWS, names[7]) is Absence.GONE


async def test_a_person_can_accept_a_loss_and_each_word_counts_once(harness: Harness) -> None:
    names = many(harness, 8)
    await harness.poll()
    harness.lose(*names[:6])
    assert await harness.inventory.absence(FLOWS, names[0]) is Absence.HIDDEN, "listed a moment ago"
    harness.clock.jump(RECENT_SECONDS + 1)
    assert await harness.inventory.absence(FLOWS, names[0]) is Absence.MASS_DELETION
    harness.accepted = frozenset({"1"})
    for name in names[:6]:
        assert await harness.inventory.absence(FLOWS, name) is Absence.GONE

    harness.own(*names[:6])
    harness.owned = replace(harness.owned, objects=harness.owned.objects[-8:])
    await harness.poll()
    harness.lose(*names[:6])
    harness.clock.jump(RECENT_SECONDS + 1)
    assert await harness.inventory.absence(FLOWS, names[0]) is Absence.MASS_DELETION
    harness.accepted = frozenset({"2"})
    assert await harness.inventory.absence(FLOWS, names[0]) is Absence.GONE


# A reset sandbox


def sandbox(state: str = "active", modified_at: float | None = START - 1_000_000.0) -> Sandbox:
    return Sandbox("prod", state, "production", "VA7", modified_at)


@pytest.mark.parametrize(
    ("shown", "all_there_at", "absence"),
    [
        pytest.param(sandbox("resetting"), START, Absence.RESET, id="being reset"),
        pytest.param(sandbox(modified_at=START + 1), START, Absence.RESET, id="changed since all was there"),
        pytest.param(sandbox(modified_at=START - 1), START, Absence.MASS_DELETION, id="changed before"),
        pytest.param(
            sandbox(modified_at=START + 1), None, Absence.RESET, id="changed since the start, none ever Ready"
        ),
        pytest.param(
            sandbox(modified_at=START - 1), None, Absence.MASS_DELETION, id="changed before the start"
        ),
        pytest.param(sandbox(modified_at=None), START, Absence.MASS_DELETION, id="without a date"),
        pytest.param(
            Sandbox("dev", "resetting", "development", "VA7"),
            START,
            Absence.MASS_DELETION,
            id="another sandbox",
        ),
    ],
)
async def test_a_reset_is_told_by_the_state_or_by_the_date(
    harness: Harness, shown: Sandbox, all_there_at: float | None, absence: Absence
) -> None:
    names = many(harness, 8)
    harness.client.held[FLOWS].clear()
    harness.client.sandbox_list = [shown]
    harness.all_there_at = all_there_at
    assert await harness.inventory.absence(FLOWS, names[0]) is absence


async def test_where_anything_is_left_nothing_was_reset(harness: Harness) -> None:
    names = many(harness, 8)
    harness.lose(*names[:7])
    harness.client.sandbox_list = [sandbox("resetting", START + 1)]
    assert await harness.inventory.absence(FLOWS, names[0]) is Absence.MASS_DELETION
    assert ("sandboxes", None) not in harness.client.asked


async def test_a_reset_is_remembered_while_the_sandbox_fills_again(harness: Harness) -> None:
    """The second one to look finds what the first one has made anew, and must still be told of the reset."""
    names = many(harness, 8)
    harness.client.held[FLOWS].clear()
    harness.client.sandbox_list = [sandbox("resetting")]
    assert await harness.inventory.absence(FLOWS, names[0]) is Absence.RESET
    harness.client.sandbox_list = [sandbox()]
    harness.owned = replace(harness.owned, objects=harness.owned.objects[1:])
    harness.own("anew")
    harness.clock.jump(RECENT_SECONDS + 1)
    for name in names[1:]:
        assert await harness.inventory.absence(FLOWS, name) is Absence.RESET
    harness.lose("anew")
    harness.clock.jump(RECENT_SECONDS + 1)
    assert await harness.inventory.absence(FLOWS, "anew") is not Absence.RESET


# Refusals


REFUSED = remote_error(ErrorClass.TERMINAL, "PermissionDenied", "no role")


async def test_a_refused_listing_is_tried_again_before_anybody_relies_on_an_older_one(
    harness: Harness,
) -> None:
    await harness.inventory.ensure()
    harness.client.errors[FLOWS] = REFUSED
    with pytest.raises(RemoteError):
        await harness.poll()
    for call in (harness.inventory.ensure, harness.inventory.confirm):
        with pytest.raises(RemoteError, match="no role"):
            await call()
    harness.client.errors.clear()
    harness.clock.jump(JUST_NOW_SECONDS)
    await harness.inventory.confirm()
    listings = harness.client.listings
    await harness.inventory.ensure()
    assert harness.client.listings == listings


async def test_many_who_look_at_once_share_the_answer_of_a_refused_listing(harness: Harness) -> None:
    harness.client.errors[FLOWS] = REFUSED
    with pytest.raises(RemoteError):
        await harness.poll()
    listings = harness.client.listings
    for _ in range(20):
        with pytest.raises(RemoteError, match="no role"):
            await harness.inventory.confirm()
    assert harness.client.listings == listings


async def test_an_outage_leaves_the_listing_that_there_is(harness: Harness) -> None:
    await harness.inventory.ensure()
    harness.client.errors[FLOWS] = remote_error()
    with pytest.raises(RemoteError):
        await harness.poll()
    await harness.inventory.ensure()
    await harness.inventory.confirm()


async def test_who_never_listed_has_nothing_to_confirm(harness: Harness) -> None:
    await harness.inventory.confirm()
    assert harness.client.listings == 0


@pytest.mark.parametrize(
    ("vanished", "known", "mass"),
    [
        (0, 0, False),
        (1, 1, False),
        (5, 5, False),
        (6, 6, True),
        (5, 1000, False),
        (6, 59, True),
        (6, 60, False),
        (7, 60, True),
        (100, 1000, False),
        (101, 1000, True),
    ],
)
def test_more_than_five_and_more_than_a_tenth_are_many(vanished: int, known: int, mass: bool) -> None:
    assert is_mass_deletion(vanished, known) is mass


# New flows


async def test_the_owner_of_a_new_flow_is_woken_before_its_status_records_the_flow(harness: Harness) -> None:
    """Writing that may take longer than settling."""
    harness.client.hold(FLOWS, listed("f1", etag="v2"))
    harness.inventory.saw("f1", "v1")
    assert harness.inventory.watch("f1", str(IDENTITY))
    await settle()
    harness.clock.jump(1.0)
    await settle()
    assert harness.woken == [KEY]


async def test_that_a_new_flow_has_settled_is_no_news_to_the_next_poll(harness: Harness) -> None:
    """Or ten thousand flows would be compared once more after they were made."""
    harness.client.hold(FLOWS, listed("f1", etag="v2"))
    harness.inventory.saw("f1", "v1")
    harness.inventory.watch("f1", str(IDENTITY))
    await settle()
    harness.clock.jump(1.0)
    await settle()
    assert harness.inventory.settled("f1") is not None
    harness.owned = Ownership((OwnedObject(KEY, FLOWS, "f1", None),), {FLOW_KEY: KEY})
    assert (await harness.inventory.poll()).requests == ()
