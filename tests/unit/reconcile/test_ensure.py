"""The create rule case by case: who is asked, what is taken, and when something is created."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from crmflow.aep.listings import Collection
from crmflow.aep.models import BaseConnection, Created
from crmflow.api.base import Intent
from crmflow.reconcile import creation
from crmflow.reconcile.creation import NotCreatedError, Wanted
from crmflow.reconcile.engine import Pass
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.outcome import OutcomeClass
from crmflow.transport.errors import ErrorClass, RemoteError
from tests.unit.reconcile.fakes import remote_error
from tests.unit.reconcile.world import CREATE_GRACE, World

AnyPass = Pass[Any, Any]

HITS = {
    "none": [],
    "own": ["own"],
    "predecessor": ["predecessor"],
    "foreign": ["foreign"],
    "unsigned": ["unsigned"],
    "foreign and own": ["foreign", "own"],
    "own and foreign": ["own", "foreign"],
    "two of its own": ["own", "own"],
    "predecessor and own": ["predecessor", "own"],
    "held by another": ["held"],
}
TAKEN = {
    "own": 1,
    "predecessor": 1,
    "foreign and own": 2,
    "own and foreign": 1,
    "two of its own": 1,
    "predecessor and own": 1,
}
"""Which of the hits is taken, from the oldest on."""


@dataclass
class Stage:
    """A pass that is about to have a base connection, over a sandbox that holds some."""

    world: World
    pass_: AnyPass
    wanted: Wanted
    posts: int = 0

    async def ensure(self, *, fresh: bool) -> str:
        return await creation.ensure(self.pass_, self.wanted, self._post, fresh=fresh)

    async def _post(self) -> Created:
        self.posts += 1
        self.world.timeline.append("post")
        return Created("posted", "etag")

    @property
    def slots(self) -> list[str]:
        return list(creation.intents(self.pass_))


def begin(hits: list[str], age: float = 0.0) -> Stage:
    """``age``: seconds since the intent was written."""
    world = World()
    resource = world.connection()
    pass_ = resource.begin()
    pass_.platform_client, pass_.sandbox_inventory = world.platform, world.inventory
    name = resource.identity.remote_name("Zoho EU", Slot.CONNECTION)
    descriptions = {
        "own": resource.identity.description("text"),
        "held": resource.identity.description(None),
        "predecessor": replace(resource.identity, uid="earlier").description(None),
        "foreign": replace(resource.identity, namespace="other").description(None),
        "unsigned": "Sales",
    }
    for number, hit in enumerate(hits, start=1):
        world.platform.connections[f"bc-{number}"] = BaseConnection(
            f"bc-{number}", "etag", name, descriptions[hit], "enabled", "spec", "auth", {}
        )
        if hit == "held":
            world.inventory.holders[f"bc-{number}"] = "ZohoSourceConnection/crm/other"
    time = datetime.fromtimestamp(world.clock.time - age, UTC)
    pass_.record(intents=(Intent(slot=Slot.CONNECTION, name=name, time=time),))
    wanted = Wanted(Slot.CONNECTION, Collection.CONNECTIONS, name, descriptions["held"])
    return Stage(world, pass_, wanted)


@pytest.mark.parametrize(
    ("hits", "fresh", "covers", "in_grace"),
    [
        case
        for case in itertools.product(HITS, (True, False), (True, False), (True, False))
        if not (case[1] and not case[3])  # an intent that is new is within the grace
    ],
)
async def test_every_case(hits: str, fresh: bool, covers: bool, in_grace: bool) -> None:
    stage = begin(HITS[hits], 0.0 if fresh else CREATE_GRACE - 1.0 if in_grace else CREATE_GRACE)
    stage.world.inventory.covers_predecessors = covers
    asked = [] if fresh and covers else ["look_up"]

    if hits in TAKEN:
        assert await stage.ensure(fresh=fresh) == f"bc-{TAKEN[hits]}"
        assert stage.world.timeline == asked
        assert stage.slots == []
        told = [event.reason for event in stage.pass_.events]
        assert told == (["TakenOver"] if HITS[hits][TAKEN[hits] - 1] == "predecessor" else [])
    elif hits == "none" and (fresh or not in_grace):
        assert await stage.ensure(fresh=fresh) == "posted"
        assert stage.world.timeline == [*asked, *([] if fresh else ["checkpoint"]), "post"]
        assert stage.slots == []
    else:
        with pytest.raises(NotCreatedError) as raised:
            await stage.ensure(fresh=fresh)
        pending = hits == "none"
        outcome = raised.value.outcome
        assert outcome.reason == ("CreatePending" if pending else "Conflict")
        assert outcome.outcome_class is (OutcomeClass.WAITING if pending else OutcomeClass.STALLED)
        assert stage.world.timeline == asked
        assert stage.posts == 0
        assert stage.slots == [Slot.CONNECTION], "what is not settled stays written down"


@pytest.mark.parametrize(
    ("hits", "text"),
    [
        ("foreign", "bc-1, and belongs to other/zoho-eu of crmflow test."),
        ("unsigned", "bc-1, and nothing in its description says whose it is."),
        ("held by another", "bc-1 is held by ZohoSourceConnection/crm/other already."),
    ],
)
async def test_a_conflict_names_the_object_and_its_owner(hits: str, text: str) -> None:
    stage = begin(HITS[hits])
    with pytest.raises(NotCreatedError) as raised:
        await stage.ensure(fresh=True)
    assert text in raised.value.outcome.message
    assert "Nothing is created." in raised.value.outcome.message


@pytest.mark.parametrize(("left", "retry_after"), [(4.0, 4.0), (60.0, 10.0), (0.5, 0.5)])
async def test_what_is_pending_is_looked_for_again_soon_and_when_the_grace_is_over(
    left: float, retry_after: float
) -> None:
    stage = begin([], CREATE_GRACE - left)
    with pytest.raises(NotCreatedError) as raised:
        await stage.ensure(fresh=False)
    assert raised.value.outcome.retry_after == pytest.approx(retry_after)


async def test_a_post_after_the_grace_has_a_new_intent_with_todays_name() -> None:
    stage = begin([], CREATE_GRACE)
    stage.wanted = replace(stage.wanted, name="Renamed")
    seen = []

    async def post() -> Created:
        seen.append(creation.intents(stage.pass_)[Slot.CONNECTION])
        return Created("posted", None)

    await creation.ensure(stage.pass_, stage.wanted, post, fresh=False)
    assert seen == [Intent(slot=Slot.CONNECTION, name="Renamed", time=stage.pass_.utcnow)]


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("maybe_applied", [True, False])
async def test_an_intent_outlives_a_post_that_may_have_worked(fresh: bool, maybe_applied: bool) -> None:
    stage = begin([], CREATE_GRACE)

    async def post() -> Created:
        raise remote_error(maybe_applied=maybe_applied)

    with pytest.raises(RemoteError):
        await creation.ensure(stage.pass_, stage.wanted, post, fresh=fresh)
    assert stage.slots == ([Slot.CONNECTION] if maybe_applied else [])


@pytest.mark.parametrize("fresh", [True, False])
async def test_without_a_listing_nothing_is_created(fresh: bool) -> None:
    """A new intent goes too: nothing was sent, so nothing has to be looked for when listings are back."""
    stage = begin([], age=0.0 if fresh else 10.0)
    stage.world.inventory.covers_predecessors = False
    stage.world.inventory.fail("look_up", remote_error())
    with pytest.raises(RemoteError):
        await stage.ensure(fresh=fresh)
    assert (stage.posts, stage.slots) == (0, [] if fresh else [Slot.CONNECTION])


async def test_an_own_create_is_known_before_listings_show_it() -> None:
    stage = begin([])
    created: list[tuple[Collection, Any]] = []
    stage.world.inventory.created = lambda collection, item: created.append((collection, item))  # type: ignore[method-assign]
    await stage.ensure(fresh=True)
    [(collection, item)] = created
    assert collection is Collection.CONNECTIONS
    assert (item.id, item.etag, item.name) == ("posted", "etag", stage.wanted.name)
    assert (item.description, item.created_at) == (stage.wanted.description, stage.world.clock.time)


# For deletion


@pytest.mark.parametrize(
    ("hits", "found"),
    [
        ("own", ["bc-1"]),
        ("predecessor", ["bc-1"]),
        ("two of its own", ["bc-1", "bc-2"]),
        ("foreign and own", ["bc-2"]),
    ],
)
@pytest.mark.parametrize("age", [0.0, CREATE_GRACE])
async def test_deletion_finds_all_that_a_lost_create_may_have_left(
    hits: str, found: list[str], age: float
) -> None:
    stage = begin(HITS[hits], age)
    unrecorded = await creation.find_unrecorded(stage.pass_, Slot.CONNECTION, Collection.CONNECTIONS)
    assert list(unrecorded) == found
    assert stage.world.timeline == ["look_up"]


@pytest.mark.parametrize("hits", ["none", "foreign", "unsigned"])
async def test_deletion_waits_for_the_grace_and_leaves_what_is_not_ours(hits: str) -> None:
    stage = begin(HITS[hits], CREATE_GRACE - 1)
    with pytest.raises(NotCreatedError) as held:
        await creation.find_unrecorded(stage.pass_, Slot.CONNECTION, Collection.CONNECTIONS)
    over = datetime.fromtimestamp(stage.world.clock.now() + 1, UTC)
    assert f"looked for until {over:%Y-%m-%dT%H:%M:%SZ}" in held.value.outcome.message
    assert "goes on by itself" in held.value.outcome.message
    stage = begin(HITS[hits], CREATE_GRACE)
    assert await creation.find_unrecorded(stage.pass_, Slot.CONNECTION, Collection.CONNECTIONS) == ()


async def test_without_an_intent_nothing_is_looked_up_for_deletion() -> None:
    stage = begin(HITS["own"])
    stage.pass_.record(intents=None)
    assert await creation.find_unrecorded(stage.pass_, Slot.CONNECTION, Collection.CONNECTIONS) == ()
    assert stage.world.timeline == []


# Duplicates


async def remove_duplicates(stage: Stage, keep: str) -> list[str]:
    """What is left."""
    await creation.remove_duplicates(stage.pass_, Slot.CONNECTION, Collection.CONNECTIONS, keep)
    return list(stage.world.platform.connections)


@pytest.mark.parametrize(
    ("hits", "keep", "left"),
    [
        pytest.param(["own"], "bc-1", ["bc-1"], id="only one"),
        pytest.param(["own", "own"], "bc-1", ["bc-1"], id="the younger goes"),
        pytest.param(["own", "own"], "bc-2", ["bc-2"], id="the one in status stays although it is younger"),
        pytest.param(["own", "own", "own"], "bc-2", ["bc-2"], id="two too many"),
        pytest.param(["predecessor", "own"], "bc-2", ["bc-2"], id="an earlier resource's"),
        pytest.param(["own", "foreign", "unsigned"], "bc-1", ["bc-1", "bc-2", "bc-3"], id="not ours"),
    ],
)
async def test_duplicates_are_removed_and_told(hits: list[str], keep: str, left: list[str]) -> None:
    stage = begin(hits)
    assert await remove_duplicates(stage, keep) == left
    gone = [f"bc-{number}" for number in range(1, len(hits) + 1) if f"bc-{number}" not in left]
    assert stage.world.inventory.deletions == gone
    assert [event.reason for event in stage.pass_.events] == ["DuplicateRemoved"] * len(gone)
    assert all(name in event.note for name, event in zip(gone, stage.pass_.events, strict=True))


async def test_a_duplicate_that_something_is_built_on_stays() -> None:
    stage = begin(["own", "own"])
    stage.world.inventory.is_built_on = lambda remote_id: remote_id == "bc-2"  # type: ignore[method-assign]
    assert await remove_duplicates(stage, "bc-1") == ["bc-1", "bc-2"]
    assert stage.world.timeline == []


@pytest.mark.parametrize(
    ("error_class", "ends"),
    [
        (ErrorClass.IN_USE, False),
        (ErrorClass.WAIT, False),
        (ErrorClass.TRANSIENT, True),
        (ErrorClass.TERMINAL, True),
    ],
)
async def test_a_duplicate_that_can_not_go_yet_is_left_for_later(error_class: ErrorClass, ends: bool) -> None:
    stage = begin(["own", "own"])
    stage.world.platform.fail("delete_connection", remote_error(error_class))
    if ends:
        with pytest.raises(RemoteError):
            await remove_duplicates(stage, "bc-1")
    else:
        assert await remove_duplicates(stage, "bc-1") == ["bc-1", "bc-2"]
    assert stage.pass_.events == []
