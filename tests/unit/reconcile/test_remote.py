"""What an object that can't be read means, and when so many are gone that nothing is made anew."""

from __future__ import annotations

import pytest

from crmflow.aep.listings import Collection
from crmflow.reconcile.brake import is_mass_vanish
from crmflow.reconcile.outcome import OutcomeClass
from crmflow.reconcile.ports import Absence
from crmflow.reconcile.remote import delete_object, kept_by, read_object
from crmflow.transport.errors import ErrorClass, RemoteError
from tests.unit.reconcile.fakes import remote_error
from tests.unit.reconcile.world import World


@pytest.mark.parametrize("absence", [Absence.GONE, Absence.RESET])
def test_what_is_gone_may_be_made_anew(absence: Absence) -> None:
    assert kept_by(absence, "flow f1") is None


@pytest.mark.parametrize(
    ("absence", "reason", "way_out"),
    [
        (Absence.HIDDEN, "HiddenByLabel", "role that label"),
        (Absence.MASS_VANISH, "MassVanish", "crmflow.io/accept-loss"),
    ],
)
def test_what_may_come_back_is_waited_for_by_a_person(absence: Absence, reason: str, way_out: str) -> None:
    outcome = kept_by(absence, "flow f1")
    assert outcome is not None
    assert (outcome.outcome_class, outcome.reason) == (OutcomeClass.STALLED, reason)
    assert "flow f1" in outcome.message
    assert way_out in outcome.message


def test_every_absence_has_its_answer() -> None:
    assert {absence for absence in Absence if kept_by(absence, "flow f1")} == {
        Absence.HIDDEN,
        Absence.MASS_VANISH,
    }


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
    assert is_mass_vanish(vanished, known) is mass


COLLECTIONS = [
    (Collection.CONNECTIONS, "connection"),
    (Collection.SOURCE_CONNECTIONS, "source_connection"),
    (Collection.TARGET_CONNECTIONS, "target_connection"),
    (Collection.FLOWS, "flow"),
]


@pytest.mark.parametrize(("collection", "call"), COLLECTIONS)
async def test_an_object_is_read_by_the_call_of_its_collection(collection: Collection, call: str) -> None:
    world = World()
    pass_ = world.connection().begin()
    pass_.platform_client = world.platform
    assert await read_object(pass_, collection, None) is None
    assert world.timeline == []
    assert await read_object(pass_, collection, "x-1") is None
    assert world.timeline == [call]
    world.platform.fail(call, remote_error())
    with pytest.raises(RemoteError):
        await read_object(pass_, collection, "x-1")


@pytest.mark.parametrize(("collection", "call"), COLLECTIONS)
@pytest.mark.parametrize(
    ("error_class", "counts"),
    [
        (None, True),
        (ErrorClass.NOT_FOUND, True),
        (ErrorClass.IN_USE, False),
        (ErrorClass.TRANSIENT, False),
        (ErrorClass.TERMINAL, False),
    ],
)
async def test_only_what_is_gone_counts_as_deleted(
    collection: Collection, call: str, error_class: ErrorClass | None, counts: bool
) -> None:
    world = World()
    pass_ = world.connection().begin()
    pass_.platform_client, pass_.sandbox_inventory = world.platform, world.inventory
    if error_class:
        world.platform.fail(f"delete_{call}", remote_error(error_class))
    else:
        world.platform.held(collection)["x-1"] = object()
    if counts:
        await delete_object(pass_, collection, "x-1")
    else:
        with pytest.raises(RemoteError):
            await delete_object(pass_, collection, "x-1")
    assert world.timeline == [f"delete_{call}"]
    assert world.inventory.deletions == (["x-1"] if counts else [])
