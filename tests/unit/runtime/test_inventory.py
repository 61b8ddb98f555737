"""What the inventory of a sandbox answers, whom it wakes, and when it calls something gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from crmflow.aep.listings import Collection
from crmflow.aep.models import Run, Sandbox
from crmflow.reconcile.offer import DATA_LAKE_CONNECTION_SPEC_ID, FLOW_SPEC_ID, ZOHO_CONNECTION_SPEC_ID
from crmflow.reconcile.ports import Absence
from crmflow.runtime.claims import Known
from crmflow.runtime.inventory import RECENT_SECONDS
from crmflow.transport.errors import RemoteError
from tests.unit.reconcile.fakes import remote_error
from tests.unit.runtime.fakes import START, settle
from tests.unit.runtime.listings import CONNECTIONS, FLOWS, GRACE, IDENTITY, KEY, Stage, listed

FLOW_KEY = IDENTITY.key("flow")


@pytest.fixture
def stage() -> Stage:
    return Stage()


# Listing


async def test_a_listing_is_four_requests_each_with_its_specification(stage: Stage) -> None:
    await stage.inventory.ensure()
    assert sorted(stage.client.asked) == [
        ("connections", ZOHO_CONNECTION_SPEC_ID),
        ("flows", FLOW_SPEC_ID),
        ("sourceConnections", ZOHO_CONNECTION_SPEC_ID),
        ("targetConnections", DATA_LAKE_CONNECTION_SPEC_ID),
    ]


async def test_who_only_needs_a_listing_is_content_with_any(stage: Stage) -> None:
    await stage.inventory.ensure()
    stage.clock.jump(100_000.0)
    await stage.inventory.ensure()
    assert stage.client.listings == 1


async def test_all_who_wait_share_one_listing(stage: Stage) -> None:
    stage.client.open.clear()
    waiting = [asyncio.create_task(stage.inventory.list_since(START)) for _ in range(20)]
    await settle()
    stage.client.open.set()
    snapshots = await asyncio.gather(*waiting)
    assert stage.client.listings == 1
    assert all(snapshot is snapshots[0] for snapshot in snapshots)


async def test_a_listing_that_began_too_early_serves_only_who_can_take_it(stage: Stage) -> None:
    """A page that was read before an object was made does not show it."""
    stage.client.open.clear()
    early = asyncio.create_task(stage.inventory.list_since(START))
    await settle()
    stage.clock.jump(1.0)
    late = [asyncio.create_task(stage.inventory.look_up(FLOWS, FLOW_KEY, lost=True)) for _ in range(5)]
    await settle()
    assert stage.client.listings == 1
    stage.client.hold(FLOWS, listed("f1"))
    stage.client.open.set()
    await early
    assert [[item.id for item in found] for found in await asyncio.gather(*late)] == [["f1"]] * 5
    assert stage.client.listings == 2


async def test_a_waiter_that_gives_up_does_not_end_the_listing_of_the_others(stage: Stage) -> None:
    stage.client.open.clear()
    first, second = (asyncio.create_task(stage.inventory.list_since(START)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    stage.client.open.set()
    await second
    assert stage.client.listings == 1


@pytest.mark.parametrize("collection", list(Collection))
async def test_a_failed_page_discards_the_listing_and_keeps_the_one_before(
    stage: Stage, collection: Collection
) -> None:
    stage.client.hold(FLOWS, listed("f1"))
    await stage.inventory.ensure()
    stage.client.hold(FLOWS, listed("f2"))
    stage.client.errors[collection] = remote_error()
    stage.clock.jump(1.0)
    with pytest.raises(RemoteError):
        await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=True)
    assert [item.id for item in stage.inventory.with_key(FLOWS, FLOW_KEY)] == ["f1"]
    stage.client.errors.clear()
    assert [item.id for item in await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=True)] == ["f1", "f2"]


@pytest.mark.parametrize(
    ("begun_after", "covers"), [(0.0, False), (GRACE - 0.1, False), (GRACE, True), (9999.0, True)]
)
async def test_a_listing_covers_predecessors_once_the_grace_is_over(
    stage: Stage, begun_after: float, covers: bool
) -> None:
    assert not stage.inventory.covers_predecessors
    stage.clock.jump(begun_after)
    await stage.inventory.ensure()
    stage.clock.jump(GRACE)
    assert stage.inventory.covers_predecessors is covers, "when it began counts, not what time it is"


# Answers


async def test_hits_are_decided_by_the_key_alone_the_oldest_first(stage: Stage) -> None:
    for item in (
        listed("young", created_at=START - 1.0),
        listed("old", created_at=START - 9.0, name=f"Renamed {FLOW_KEY}"),
        listed("twin", created_at=START - 9.0),
        listed("other", identity=replace(IDENTITY, name="leads")),
        listed("slot", "source"),
        listed("plain", name="Contacts"),
    ):
        stage.client.hold(FLOWS, item)
    await stage.inventory.ensure()
    assert [item.id for item in stage.inventory.with_key(FLOWS, FLOW_KEY)] == ["old", "twin", "young"]
    assert stage.inventory.with_key(CONNECTIONS, FLOW_KEY) == []


async def test_before_the_first_listing_only_own_creates_are_known(stage: Stage) -> None:
    assert stage.inventory.with_key(FLOWS, FLOW_KEY) == []
    assert stage.inventory.item(FLOWS, "f1") is None
    stage.inventory.created(FLOWS, listed("f1"))
    assert [item.id for item in stage.inventory.with_key(FLOWS, FLOW_KEY)] == ["f1"]


async def test_an_own_create_is_laid_over_listings_until_they_show_it(stage: Stage) -> None:
    await stage.inventory.ensure()
    stage.inventory.created(FLOWS, listed("f1", etag="posted"))
    for _ in range(3):
        stage.clock.jump(GRACE / 4)
        assert [item.id for item in await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=True)] == ["f1"]
    stage.client.hold(FLOWS, listed("f1", etag="indexed"))
    stage.clock.jump(1.0)
    [item] = await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=True)
    assert item.etag == "indexed"
    stage.lose("f1")
    stage.clock.jump(1.0)
    found = await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=True)
    assert found == [], "once listed, listings are believed"


async def test_an_own_create_that_no_listing_shows_after_the_grace_is_gone(stage: Stage) -> None:
    stage.inventory.created(FLOWS, listed("f1"))
    stage.clock.jump(GRACE)
    assert await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=True) == []


async def test_an_own_delete_is_laid_over_listings_until_the_grace_is_over(stage: Stage) -> None:
    stage.client.hold(FLOWS, listed("f1"))
    await stage.inventory.ensure()
    stage.inventory.deleted("f1")
    for _ in range(3):
        assert stage.inventory.with_key(FLOWS, FLOW_KEY) == []
        assert stage.inventory.item(FLOWS, "f1") is None
        stage.clock.jump(GRACE / 4)
        await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=True)
    stage.clock.jump(GRACE / 4)
    assert [item.id for item in await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=True)] == ["f1"]


async def test_what_was_created_and_deleted_is_not_there(stage: Stage) -> None:
    stage.inventory.created(FLOWS, listed("f1"))
    stage.inventory.deleted("f1")
    assert stage.inventory.with_key(FLOWS, FLOW_KEY) == []


async def test_what_something_is_built_on_is_told(stage: Stage) -> None:
    stage.client.hold(FLOWS, listed("f1", parents=("s1", "t1")))
    stage.client.hold(Collection.SOURCE_CONNECTIONS, listed("s1", "source", parents=("b1",)))
    await stage.inventory.ensure()
    assert [stage.inventory.is_built_on(name) for name in ("s1", "t1", "b1", "f1")] == [True] * 3 + [False]
    stage.inventory.deleted("f1")
    assert not stage.inventory.is_built_on("s1")


async def test_the_holder_of_an_object_is_the_resource_that_records_it(stage: Stage) -> None:
    stage.claim("f1")
    assert stage.inventory.holder_of("f1") == "CRMDataflow/crm/f1"
    assert stage.inventory.holder_of("f2") is None


async def test_creates_share_a_listing_unless_an_answer_was_lost(stage: Stage) -> None:
    await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=False)
    asked = len(stage.client.asked)
    stage.clock.jump(4.0)
    await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=False)
    assert len(stage.client.asked) == asked, "hardly older"
    await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=True)
    assert len(stage.client.asked) == 2 * asked, "what was lost may have appeared since"
    stage.clock.jump(6.0)
    await stage.inventory.look_up(FLOWS, FLOW_KEY, lost=False)
    assert len(stage.client.asked) == 3 * asked


async def test_a_resource_that_is_not_ready_is_not_woken_for_a_run(stage: Stage) -> None:
    """It would compare everything at each poll, and record nothing."""
    stage.claim("f1")
    stage.known = replace(
        stage.known, claims=tuple(replace(claim, runs=None) for claim in stage.known.claims)
    )
    stage.client.change(FLOWS, "f1", last_run=RUN)
    assert (await stage.poll())[0] == {}


# Whom a poll wakes


async def test_a_quiet_poll_costs_its_five_listings_and_wakes_nobody(stage: Stage) -> None:
    stage.claim(*(f"f{number}" for number in range(50)))
    for _ in range(3):
        assert await stage.poll() == ({}, [])
    assert len(stage.client.asked) == 15


async def test_a_version_that_somebody_else_made_wakes_for_a_full_check_once(stage: Stage) -> None:
    stage.claim("f1", "f2")
    await stage.poll()
    stage.client.change(FLOWS, "f1", etag="v2")
    assert await stage.poll() == ({"f1": True}, [])
    assert await stage.poll() == ({}, [])


async def test_a_version_that_we_have_seen_ourselves_is_no_news(stage: Stage) -> None:
    stage.claim("f1")
    await stage.poll()
    stage.client.change(FLOWS, "f1", etag="v2")
    stage.inventory.saw("f1", "v2")
    assert await stage.poll() == ({}, [])


async def test_a_version_after_the_one_that_we_have_seen_is_news(stage: Stage) -> None:
    stage.claim("f1")
    stage.inventory.saw("f1", "v0")
    assert await stage.poll() == ({"f1": True}, [])


async def test_the_first_version_that_is_seen_is_no_news(stage: Stage) -> None:
    """After a restart nobody knows what it was before; the full check will tell."""
    stage.claim("f1")
    assert await stage.poll() == ({}, [])


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
    stage: Stage, run: Run | None, recheck: dict[str, bool]
) -> None:
    stage.claim("f1", run=RUN)
    stage.client.change(FLOWS, "f1", last_run=run)
    assert await stage.poll() == (recheck, [])


async def test_a_new_run_beside_a_new_version_is_checked_fully(stage: Stage) -> None:
    stage.claim("f1", run=RUN)
    await stage.poll()
    stage.client.change(FLOWS, "f1", etag="v2", last_run=replace(RUN, id="r2"))
    assert await stage.poll() == ({"f1": True}, [])


async def test_what_is_missing_wakes_for_a_full_check_every_time(stage: Stage) -> None:
    stage.claim("f1", "f2")
    await stage.poll()
    stage.lose("f1")
    for _ in range(2):
        assert await stage.poll() == ({"f1": True}, [])
    assert stage.client.asked[-1] == ("ids", ("f1",))


@pytest.mark.parametrize("write", ["created", "deleted"])
async def test_what_we_have_just_written_is_not_missing(stage: Stage, write: str) -> None:
    stage.claim("f1")
    item = stage.client.held[FLOWS].pop("f1")
    stage.clock.jump(300.0)
    if write == "created":
        stage.inventory.created(FLOWS, item)
    else:
        stage.inventory.deleted("f1")
    findings, unknown = await stage.inventory.poll()
    assert (findings, unknown) == ([], [])


@pytest.mark.parametrize("lacking", [["f1"], ["f1", "f2", "f3"]], ids=["short", "empty"])
async def test_a_listing_that_lacks_what_exists_is_discarded_whole(stage: Stage, lacking: list[str]) -> None:
    stage.claim("f1", "f2", "f3")
    stage.clock.jump(GRACE)
    await stage.inventory.ensure()
    stage.client.unlisted.update(lacking)
    assert await stage.poll() == ({}, [])
    assert not stage.inventory.covers_predecessors, "nor does it prove that something does not exist"
    stage.client.unlisted.clear()
    await stage.inventory.ensure()
    assert stage.inventory.item(FLOWS, "f1") is not None
    assert stage.inventory.covers_predecessors


async def test_a_poll_whose_listing_fails_says_nothing(stage: Stage) -> None:
    stage.claim("f1")
    await stage.poll()
    stage.client.errors[CONNECTIONS] = remote_error()
    with pytest.raises(RemoteError):
        await stage.poll()
    stage.client.errors.clear()
    assert await stage.poll() == ({}, [])


# Strays and unknown objects


async def test_one_object_too_many_wakes_its_resource(stage: Stage) -> None:
    stage.claim("f1")
    twin = replace(stage.client.held[FLOWS]["f1"], id="f1-twin", created_at=START)
    stage.client.hold(FLOWS, twin)
    assert await stage.poll() == ({"f1": True}, [])


async def test_an_object_that_its_resource_does_not_record_yet_wakes_it(stage: Stage) -> None:
    stage.known = Known(owners={FLOW_KEY: KEY})
    stage.client.hold(FLOWS, listed("f1"))
    assert await stage.poll() == ({"contacts": True}, [])
    stage.inventory.created(FLOWS, listed("f1"))
    stage.clock.jump(1.0)
    assert [finding.key for finding in (await stage.inventory.poll())[0]] == [KEY], "it was listed: believed"


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
    stage: Stage, item: object, unknown: bool
) -> None:
    stage.claim("f1")
    stage.client.held[FLOWS]["f9"] = item  # type: ignore[assignment]
    assert await stage.poll() == ({}, ["f9"] if unknown else [])


async def test_an_own_delete_leaves_no_orphan_while_listings_still_show_it(stage: Stage) -> None:
    stage.claim("f1")
    stage.client.hold(FLOWS, listed("f9"))
    stage.clock.jump(300.0)
    stage.inventory.deleted("f9")
    assert (await stage.inventory.poll())[1] == []


# Absence


async def test_what_is_listed_but_not_read_is_hidden(stage: Stage) -> None:
    stage.claim("f1")
    assert await stage.inventory.absence(FLOWS, "f1") is Absence.HIDDEN


async def test_what_a_listing_lacks_is_asked_for_by_id_before_it_is_gone(stage: Stage) -> None:
    stage.claim("f1", "f2")
    stage.client.unlisted.add("f1")
    assert await stage.inventory.absence(FLOWS, "f1") is Absence.HIDDEN
    stage.lose("f1")
    stage.client.asked.clear()
    stage.clock.jump(RECENT_SECONDS + 1)
    assert await stage.inventory.absence(FLOWS, "f1") is Absence.GONE
    assert stage.client.listings == 1
    assert ("ids", ("f1",)) in stage.client.asked


async def test_absences_share_a_recent_listing(stage: Stage) -> None:
    stage.claim(*(f"f{number}" for number in range(9)))
    stage.lose("f0", "f1", "f2")
    for name in ("f0", "f1", "f2"):
        assert await stage.inventory.absence(FLOWS, name) is Absence.GONE
        stage.clock.jump(RECENT_SECONDS / 3)
    assert stage.client.listings == 1


async def test_without_a_listing_absence_is_not_decided(stage: Stage) -> None:
    stage.claim("f1")
    stage.lose("f1")
    stage.client.errors[FLOWS] = remote_error()
    with pytest.raises(RemoteError):
        await stage.inventory.absence(FLOWS, "f1")


# The brake


def many(stage: Stage, count: int) -> list[str]:
    names = [f"f{number}" for number in range(count)]
    stage.claim(*names)
    return names


@pytest.mark.parametrize(
    ("known", "lost", "absence"),
    [
        (7, 5, Absence.GONE),
        (7, 6, Absence.MASS_VANISH),
        (60, 6, Absence.GONE),
        (60, 7, Absence.MASS_VANISH),
        (200, 20, Absence.GONE),
        (200, 21, Absence.MASS_VANISH),
    ],
)
async def test_the_brake_holds_above_five_and_a_tenth(
    stage: Stage, known: int, lost: int, absence: Absence
) -> None:
    names = many(stage, known)
    stage.lose(*names[:lost])
    assert await stage.inventory.absence(FLOWS, names[0]) is absence


async def test_the_brake_holds_other_objects_too(stage: Stage) -> None:
    names = many(stage, 7)
    stage.claim("b1", collection=CONNECTIONS)
    stage.lose(*names[:6])
    del stage.client.held[CONNECTIONS]["b1"]
    assert await stage.inventory.absence(CONNECTIONS, "b1") is Absence.MASS_VANISH


async def test_only_vanished_flows_count(stage: Stage) -> None:
    names = [f"s{number}" for number in range(9)]
    stage.claim(*names, collection=Collection.SOURCE_CONNECTIONS)
    stage.claim("f1")
    stage.client.held[Collection.SOURCE_CONNECTIONS].clear()
    assert await stage.inventory.absence(Collection.SOURCE_CONNECTIONS, "s1") is Absence.GONE


async def test_the_brake_stays_on_while_anything_is_missing(stage: Stage) -> None:
    """Else each resource that is deleted would bring the next ones under the threshold."""
    names = many(stage, 8)
    stage.lose(*names[:6])
    assert await stage.inventory.absence(FLOWS, names[0]) is Absence.MASS_VANISH
    stage.known = replace(stage.known, claims=stage.known.claims[3:])
    assert await stage.inventory.absence(FLOWS, names[5]) is Absence.MASS_VANISH
    stage.known = replace(stage.known, claims=stage.known.claims[3:])
    await stage.poll()
    stage.lose(names[7])
    stage.clock.jump(RECENT_SECONDS + 1)
    assert await stage.inventory.absence(FLOWS, names[7]) is Absence.GONE


async def test_a_person_can_accept_a_loss_and_each_word_counts_once(stage: Stage) -> None:
    names = many(stage, 8)
    await stage.poll()
    stage.lose(*names[:6])
    assert await stage.inventory.absence(FLOWS, names[0]) is Absence.HIDDEN, "listed a moment ago"
    stage.clock.jump(RECENT_SECONDS + 1)
    assert await stage.inventory.absence(FLOWS, names[0]) is Absence.MASS_VANISH
    stage.known = replace(stage.known, accepts_loss=frozenset({"1"}))
    for name in names[:6]:
        assert await stage.inventory.absence(FLOWS, name) is Absence.GONE

    stage.claim(*names[:6])
    stage.known = replace(stage.known, claims=stage.known.claims[-8:])
    await stage.poll()
    stage.lose(*names[:6])
    stage.clock.jump(RECENT_SECONDS + 1)
    assert await stage.inventory.absence(FLOWS, names[0]) is Absence.MASS_VANISH
    stage.known = replace(stage.known, accepts_loss=frozenset({"2"}))
    assert await stage.inventory.absence(FLOWS, names[0]) is Absence.GONE


# A reset sandbox


def sandbox(state: str = "active", modified_at: float | None = START - 1_000_000.0) -> Sandbox:
    return Sandbox("prod", state, "production", "VA7", modified_at)


@pytest.mark.parametrize(
    ("shown", "all_there_at", "absence"),
    [
        pytest.param(sandbox("resetting"), START, Absence.RESET, id="being reset"),
        pytest.param(sandbox(modified_at=START + 1), START, Absence.RESET, id="changed since all was there"),
        pytest.param(sandbox(modified_at=START - 1), START, Absence.MASS_VANISH, id="changed before"),
        pytest.param(
            sandbox(modified_at=START + 1), None, Absence.RESET, id="changed since the start, none ever Ready"
        ),
        pytest.param(
            sandbox(modified_at=START - 1), None, Absence.MASS_VANISH, id="changed before the start"
        ),
        pytest.param(sandbox(modified_at=None), START, Absence.MASS_VANISH, id="without a date"),
        pytest.param(
            Sandbox("dev", "resetting", "development", "VA7"),
            START,
            Absence.MASS_VANISH,
            id="another sandbox",
        ),
    ],
)
async def test_a_reset_is_told_by_the_state_or_by_the_date(
    stage: Stage, shown: Sandbox, all_there_at: float | None, absence: Absence
) -> None:
    names = many(stage, 8)
    stage.client.held[FLOWS].clear()
    stage.client.sandbox_list = [shown]
    stage.known = replace(stage.known, all_there_at=all_there_at)
    assert await stage.inventory.absence(FLOWS, names[0]) is absence


async def test_where_anything_is_left_nothing_was_reset(stage: Stage) -> None:
    names = many(stage, 8)
    stage.lose(*names[:7])
    stage.client.sandbox_list = [sandbox("resetting", START + 1)]
    assert await stage.inventory.absence(FLOWS, names[0]) is Absence.MASS_VANISH
    assert ("sandboxes", None) not in stage.client.asked


async def test_a_reset_is_remembered_while_the_sandbox_fills_again(stage: Stage) -> None:
    """The second one to look finds what the first one has made anew, and must still be told of the reset."""
    names = many(stage, 8)
    stage.client.held[FLOWS].clear()
    stage.client.sandbox_list = [sandbox("resetting")]
    assert await stage.inventory.absence(FLOWS, names[0]) is Absence.RESET
    stage.client.sandbox_list = [sandbox()]
    stage.known = replace(stage.known, claims=stage.known.claims[1:])
    stage.claim("anew")
    stage.clock.jump(RECENT_SECONDS + 1)
    for name in names[1:]:
        assert await stage.inventory.absence(FLOWS, name) is Absence.RESET
    stage.lose("anew")
    stage.clock.jump(RECENT_SECONDS + 1)
    assert await stage.inventory.absence(FLOWS, "anew") is not Absence.RESET
