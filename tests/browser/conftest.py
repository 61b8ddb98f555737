"""A headless Chromium beside the fixtures of the tests on a real API server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from hack.browser import find_browser
from hack.emulators import Emulators
from hack.kubectl import Kubectl
from tests.cluster.conftest import (  # noqa: F401 - fixtures
    _emulators,
    cluster,
    controlplane,
    emulators,
    kubeconfig,
    kubectl,
    namespace,
)
from tests.kit.cluster import Cluster
from tests.kit.desk import Desk, desk_of

_WIDTH, _HEIGHT = 720, 480

Screenshot = Callable[[str], None]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a module. It keeps an event loop running, so no test may share it with others."""
    with sync_playwright() as playwright:
        # As root, which continuous integration is, Chromium runs without its sandbox only.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(executable_path=find_browser(), args=arguments)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new window, without a history. Whatever the browser complains of fails the test."""
    context = browser.new_context(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def screenshot(page: Page, tmp_path: Path) -> Screenshot:
    """Take a picture under a name; ``SCREENSHOTS`` says where to, the documentation's for instance."""
    directory = Path(os.environ.get("SCREENSHOTS") or tmp_path)

    def take(name: str) -> None:
        page.screenshot(path=directory / f"{name}.png")

    return take


@pytest.fixture
def desk(
    cluster: Cluster,  # noqa: F811
    emulators: Emulators,  # noqa: F811
    kubectl: Kubectl,  # noqa: F811
    namespace: str,  # noqa: F811
    tmp_path: Path,
) -> Iterator[Desk]:
    """Somebody who may do what the command does."""
    with desk_of(cluster, emulators, kubectl, namespace, tmp_path) as desk:
        desk.store()
        yield desk
