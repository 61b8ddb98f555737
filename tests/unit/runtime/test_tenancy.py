"""The mounted tenancy list: what is in force, and when somebody is told."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from crmflow.clock import Clock
from crmflow.runtime.tenancy import LOOK_SECONDS, Tenancy

ENTRY = {"namespaces": ["crm"], "organizations": ["*"], "sandboxes": ["prod"]}
WHAT = ("crm", "A@AdobeOrg", "prod")


def _exchange(path: Path, content: Any) -> None:
    """A new file under the same name, as a kubelet does it."""
    new = path.with_suffix(".new")
    new.write_text(content if isinstance(content, str) else json.dumps(content))
    os.replace(new, path)


def _tenancy(path: Path) -> Tenancy:
    return Tenancy(path, Clock(), lambda: None)


def test_a_list_that_never_was_usable_allows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tenancy.json"
    tenancy = _tenancy(path)
    assert not tenancy.allows(*WHAT)
    _exchange(path, '{"tenants": [')
    assert not tenancy.allows(*WHAT)
    _exchange(path, {"tenants": [ENTRY]})
    assert tenancy.allows(*WHAT)


def test_a_damaged_list_leaves_the_one_before_in_force(tmp_path: Path) -> None:
    path = tmp_path / "tenancy.json"
    _exchange(path, {"tenants": [ENTRY]})
    tenancy = _tenancy(path)
    assert tenancy.allows(*WHAT)
    _exchange(path, {"tenants": [{}]})
    assert tenancy.allows(*WHAT)
    _exchange(path, {"tenants": []})
    assert not tenancy.allows(*WHAT)


class _Steps(Clock):
    """A clock whose sleepers wait for :meth:`step`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []
        self._gate = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self._gate.acquire()

    async def until(self, looks: int) -> None:
        while len(self.asked) < looks:  # noqa: ASYNC110 - a few turns of the loop
            await asyncio.sleep(0)

    async def step(self) -> None:
        looks = len(self.asked)
        self._gate.release()
        await self.until(looks + 1)


async def test_it_tells_of_another_list_and_of_nothing_else(tmp_path: Path) -> None:
    path, told, clock = tmp_path / "tenancy.json", [], _Steps()
    _exchange(path, {"tenants": [ENTRY]})
    running = asyncio.create_task(Tenancy(path, clock, lambda: told.append(1)).run())
    await clock.until(1)

    await clock.step()
    _exchange(path, {"tenants": [ENTRY]})  # rewritten, and says the same
    await clock.step()
    assert told == []
    _exchange(path, {"tenants": []})
    await clock.step()
    assert told == [1]
    await clock.step()
    assert told == [1]
    assert set(clock.asked) == {LOOK_SECONDS}
    running.cancel()


def test_whether_the_file_can_be_used_shows(tmp_path: Path) -> None:
    path = tmp_path / "tenancy.json"
    _exchange(path, {"tenants": [ENTRY]})
    tenancy = _tenancy(path)
    for content, usable in (
        ({"tenants": [ENTRY]}, True),
        ({"tenants": [{}]}, False),
        ({"tenants": []}, True),
    ):
        _exchange(path, content)
        tenancy.allows(*WHAT)
        assert tenancy.usable is usable
    path.unlink()
    tenancy.allows(*WHAT)
    assert not tenancy.usable
