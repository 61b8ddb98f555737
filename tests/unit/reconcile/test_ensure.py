"""The create rule case by case: who is asked, what is taken, and when something is created."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from crmflow.aep.collection import AnyCollection
from crmflow.aep.flow_service import CONNECTIONS
from crmflow.aep.models import BaseConnection
from crmflow.api.base import Intent
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core import creation
from crmflow.reconcile.core.engine import Pass
from crmflow.reconcile.core.outcome import OutcomeClass, PassEndedError
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.external.base_connection import BASE_CONNECTION
from crmflow.reconcile.external.remote_object import DESCRIPTION, NAME, Values
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import CREATE_GRACE, Harness, Resource

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
class Attempt:
    """A pass that is about to have a base connection, over a sandbox that holds some."""

    harness: Harness
    pass_: AnyPass
    sandbox: SandboxClient
    values: Values
    resource: Resource

    async def ensure(self, *, fresh: bool) -> str:
        """The id of what was found, or "posted"."""
        kind, values = BASE_CONNECTION, self.values
        remote_id, created = await creation.ensure(self.pass_, self.sandbox, kind, values, fresh=fresh)
        return "posted" if created else remote_id

    @property
    def posts(self) -> int:
        return self.harness.timeline.count("connections.create")

    @property
    def slots(self) -> list[str]:
        return list(creation.intents(self.pass_))


def begin(hits: list[str], age: float = 0.0) -> Attempt:
    """``age``: seconds since the intent was written."""
    harness = Harness()
    resource = harness.connection()
    pass_ = resource.begin()
    name = resource.identity.remote_name("Zoho EU", BASE_CONNECTION.slot)
    descriptions = {
        "own": resource.identity.description("text"),
        "held": resource.identity.description(None),
        "predecessor": replace(resource.identity, uid="earlier").description(None),
        "foreign": replace(resource.identity, namespace="other").description(None),
        "unsigned": "Sales",
    }
    for number, hit in enumerate(hits, start=1):
        harness.platform.connections[f"bc-{number}"] = BaseConnection(
            f"bc-{number}", "etag", name, descriptions[hit], "enabled", "spec", "auth", {}
        )
        if hit == "held":
            harness.inventory.holders[f"bc-{number}"] = "ZohoSourceConnection/crm/other"
    time = datetime.fromtimestamp(harness.clock.time - age, UTC)
    pass_.record(intents=(Intent(slot=BASE_CONNECTION.slot, name=name, time=time),))
    values = BASE_CONNECTION.named(resource.identity, "Zoho EU", None)
    sandbox = SandboxClient(harness.platform, harness.inventory)
    return Attempt(harness, pass_, sandbox, values, resource)


@pytest.mark.parametrize(
    ("hits", "fresh", "covers", "in_grace"),
    [
        case
        for case in itertools.product(HITS, (True, False), (True, False), (True, False))
        if not (case[1] and not case[3])  # an intent that is new is within the grace
    ],
)
async def test_every_case(hits: str, fresh: bool, covers: bool, in_grace: bool) -> None:
    attempt = begin(HITS[hits], 0.0 if fresh else CREATE_GRACE - 1.0 if in_grace else CREATE_GRACE)
    attempt.harness.inventory.covers_predecessors = covers
    asked = [] if fresh and covers else ["look_up"]

    if hits in TAKEN:
        assert await attempt.ensure(fresh=fresh) == f"bc-{TAKEN[hits]}"
        assert attempt.harness.timeline == asked
        assert attempt.slots == []
        told = [event.reason for event in attempt.pass_.events]
        assert told == (["TakenOver"] if HITS[hits][TAKEN[hits] - 1] == "predecessor" else [])
    elif hits == "none" and (fresh or not in_grace):
        assert await attempt.ensure(fresh=fresh) == "posted"
        assert attempt.harness.timeline == [*asked, *([] if fresh else ["checkpoint"]), "connections.create"]
        assert attempt.slots == []
    else:
        with pytest.raises(PassEndedError) as raised:
            await attempt.ensure(fresh=fresh)
        pending = hits == "none"
        outcome = raised.value.outcome
        assert outcome.reason == ("CreatePending" if pending else "Conflict")
        assert outcome.outcome_class is (OutcomeClass.WAITING if pending else OutcomeClass.STALLED)
        assert attempt.harness.timeline == asked
        assert attempt.posts == 0
        assert attempt.slots == [BASE_CONNECTION.slot], "what is not settled stays written down"


@pytest.mark.parametrize(
    ("hits", "text"),
    [
        ("foreign", "bc-1, and belongs to other/zoho-eu of crmflow test."),
        ("unsigned", "bc-1, and nothing in its description says whose it is."),
        ("held by another", "bc-1 is held by ZohoSourceConnection/crm/other already."),
    ],
)
async def test_a_conflict_names_the_object_and_its_owner(hits: str, text: str) -> None:
    attempt = begin(HITS[hits])
    with pytest.raises(PassEndedError) as raised:
        await attempt.ensure(fresh=True)
    assert text in raised.value.outcome.message
    assert "Nothing is created." in raised.value.outcome.message


@pytest.mark.parametrize(("left", "retry_after"), [(4.0, 4.0), (60.0, 10.0), (0.5, 0.5)])
async def test_what_is_pending_is_looked_for_again_soon_and_when_the_grace_is_over(
    left: float, retry_after: float
) -> None:
    attempt = begin([], CREATE_GRACE - left)
    with pytest.raises(PassEndedError) as raised:
        await attempt.ensure(fresh=False)
    assert raised.value.outcome.retry_after == pytest.approx(retry_after)


async def test_a_post_after_the_grace_has_a_new_intent_with_todays_name() -> None:
    attempt = begin([], CREATE_GRACE)
    attempt.values = {**attempt.values, NAME: "Renamed"}
    await attempt.ensure(fresh=False)
    [intent] = attempt.resource.checkpoints[-1]["intents"]
    assert intent["name"] == "Renamed"
    assert datetime.fromisoformat(intent["time"]) == attempt.pass_.utcnow


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("maybe_applied", [True, False])
async def test_an_intent_outlives_a_post_that_may_have_worked(fresh: bool, maybe_applied: bool) -> None:
    attempt = begin([], CREATE_GRACE)
    attempt.harness.platform.fail("connections.create", remote_error(maybe_applied=maybe_applied))
    with pytest.raises(RemoteError):
        await attempt.ensure(fresh=fresh)
    assert attempt.slots == ([BASE_CONNECTION.slot] if maybe_applied else [])


@pytest.mark.parametrize("fresh", [True, False])
async def test_without_a_listing_nothing_is_created(fresh: bool) -> None:
    """A new intent goes too: nothing was sent, so nothing has to be looked for when listings are back."""
    attempt = begin([], age=0.0 if fresh else 10.0)
    attempt.harness.inventory.covers_predecessors = False
    attempt.harness.inventory.fail("look_up", remote_error())
    with pytest.raises(RemoteError):
        await attempt.ensure(fresh=fresh)
    assert (attempt.posts, attempt.slots) == (0, [] if fresh else [BASE_CONNECTION.slot])


async def test_an_own_create_is_known_before_listings_show_it() -> None:
    attempt = begin([])
    created: list[tuple[AnyCollection, Any]] = []
    attempt.harness.inventory.created = lambda collection, item: created.append((collection, item))  # type: ignore[method-assign]
    await attempt.ensure(fresh=True)
    [(collection, item)] = created
    assert collection is CONNECTIONS
    assert (item.etag, item.name) == (
        attempt.harness.platform.connections[item.id].etag,
        attempt.values[NAME],
    )
    assert (item.description, item.created_at) == (attempt.values[DESCRIPTION], attempt.harness.clock.time)


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
    attempt = begin(HITS[hits], age)
    unrecorded = await creation.find_unrecorded(attempt.pass_, attempt.sandbox, BASE_CONNECTION)
    assert list(unrecorded) == found
    assert attempt.harness.timeline == ["look_up"]


@pytest.mark.parametrize("hits", ["none", "foreign", "unsigned"])
async def test_deletion_waits_for_the_grace_and_leaves_what_is_not_ours(hits: str) -> None:
    attempt = begin(HITS[hits], CREATE_GRACE - 1)
    with pytest.raises(PassEndedError) as held:
        await creation.find_unrecorded(attempt.pass_, attempt.sandbox, BASE_CONNECTION)
    over = datetime.fromtimestamp(attempt.harness.clock.now() + 1, UTC)
    assert f"looked for until {over:%Y-%m-%dT%H:%M:%SZ}" in held.value.outcome.message
    assert "goes on by itself" in held.value.outcome.message
    attempt = begin(HITS[hits], CREATE_GRACE)
    assert await creation.find_unrecorded(attempt.pass_, attempt.sandbox, BASE_CONNECTION) == ()


async def test_without_an_intent_nothing_is_looked_up_for_deletion() -> None:
    attempt = begin(HITS["own"])
    attempt.pass_.record(intents=None)
    assert await creation.find_unrecorded(attempt.pass_, attempt.sandbox, BASE_CONNECTION) == ()
    assert attempt.harness.timeline == []


# Duplicates


async def remove_duplicates(attempt: Attempt, keep: str) -> list[str]:
    """What is left."""
    await creation.remove_duplicates(attempt.pass_, attempt.sandbox, BASE_CONNECTION, keep)
    return list(attempt.harness.platform.connections)


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
    attempt = begin(hits)
    assert await remove_duplicates(attempt, keep) == left
    gone = [f"bc-{number}" for number in range(1, len(hits) + 1) if f"bc-{number}" not in left]
    assert attempt.harness.inventory.deletions == gone
    assert [event.reason for event in attempt.pass_.events] == ["DuplicateRemoved"] * len(gone)
    assert all(name in event.note for name, event in zip(gone, attempt.pass_.events, strict=True))


async def test_a_duplicate_that_something_is_built_on_stays() -> None:
    attempt = begin(["own", "own"])
    attempt.harness.inventory.is_built_on = lambda remote_id: remote_id == "bc-2"  # type: ignore[method-assign]
    assert await remove_duplicates(attempt, "bc-1") == ["bc-1", "bc-2"]
    assert attempt.harness.timeline == []


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
    attempt = begin(["own", "own"])
    attempt.harness.platform.fail("connections.delete", remote_error(error_class))
    if ends:
        with pytest.raises(RemoteError):
            await remove_duplicates(attempt, "bc-1")
    else:
        assert await remove_duplicates(attempt, "bc-1") == ["bc-1", "bc-2"]
    assert attempt.pass_.events == []
