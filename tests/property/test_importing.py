"""Whatever a sandbox holds, applying what an import makes of it writes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.emulators.core.server import Emulators
from tests.property.importing import run_import


@pytest.fixture(scope="module")
async def emulators() -> AsyncIterator[Emulators]:
    async with Emulators() as running:
        yield running


@pytest.mark.parametrize("seed", range(9000, 9003))
async def test_what_is_imported_is_adopted_without_a_write(emulators: Emulators, seed: int) -> None:
    assert await run_import(emulators, seed) == []
