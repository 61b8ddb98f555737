"""The main path, as a person would walk it with curl (platform.md 12)."""

from __future__ import annotations

from tests.contract.aep import Aep


async def test_a_dataflow_from_connection_to_enabled(aep: Aep) -> None:
    id = await aep.flow()
    flow = (await aep.get(f"/flows/{id}")).item
    assert flow["state"] == "enabled"
    assert flow["lastOperation"]["status"]["value"] == "completed"
