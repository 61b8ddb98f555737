"""The scripts for Argo CD pass the tests beside them, which are in Argo CD's own format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crmflow.api.kinds import RECONCILE_REQUESTED_AT
from hack.generators.argocd import config_map
from hack.install import ROOT
from tests.argocd import sandbox
from tests.argocd.scripts import ALL_KINDS, CUSTOMIZATIONS, KINDS, RUN, script
from tests.kit.manifests import load, load_all, merged

HEALTHS = {"Healthy", "Progressing", "Degraded", "Suspended"}


def _tests(kind: str, file: str, key: str) -> list[Any]:
    tests: list[Any] = load((CUSTOMIZATIONS / kind / file).read_text())[key]
    return tests


def _cases(file: str, key: str) -> list[Any]:
    return [
        pytest.param(kind, test, id="-".join([kind, test.get("action", ""), Path(test["inputPath"]).stem]))
        for kind in ALL_KINDS
        if (CUSTOMIZATIONS / kind / file).exists()
        for test in _tests(kind, file, key)
    ]


def _object(kind: str, folder: str, path: str) -> sandbox.Object:
    obj: sandbox.Object = load((CUSTOMIZATIONS / kind / folder / path).read_text())
    assert obj["kind"] == kind
    return obj


@pytest.mark.parametrize(("kind", "test"), _cases("health_test.yaml", "tests"))
def test_health(kind: str, test: Any) -> None:
    obj = _object(kind, ".", test["inputPath"])
    assert sandbox.health(script(kind, "health"), obj) == test["healthStatus"]


@pytest.mark.parametrize(("kind", "test"), _cases("actions/action_test.yaml", "discoveryTests"))
def test_discovery(kind: str, test: Any) -> None:
    obj = _object(kind, "actions", test["inputPath"])
    offered = sandbox.actions(script(kind, "actions/discovery"), obj)
    assert offered == sorted(test["result"], key=lambda action: action["name"])


@pytest.mark.parametrize(("kind", "test"), _cases("actions/action_test.yaml", "actionTests"))
def test_action(kind: str, test: Any) -> None:
    obj = _object(kind, "actions", test["inputPath"])
    wanted = _object(kind, "actions", test["expectedOutputPath"])
    changed = sandbox.act(script(kind, f"actions/{test['action']}/action"), obj)
    assert merged(changed, wanted) == changed, "as Argo CD's own test compares"
    if test["action"] == "reconcile":
        assert changed["metadata"].pop("annotations") == {RECONCILE_REQUESTED_AT: sandbox.NOW}
    assert changed == wanted


def test_no_expectation_depends_on_the_time_of_day() -> None:
    """Argo CD's test knows which fields of other kinds do; ours are handed in as they are."""
    for path in CUSTOMIZATIONS.glob("*/actions/testdata/*.yaml"):
        assert sandbox.NOW not in path.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_health_and_every_action_is_tested(kind: str) -> None:
    assert {test["healthStatus"]["status"] for test in _tests(kind, "health_test.yaml", "tests")} == HEALTHS
    actions = {path.parent.name for path in (CUSTOMIZATIONS / kind).glob("actions/*/action.lua")}
    assert {test["action"] for test in _tests(kind, "actions/action_test.yaml", "actionTests")} == actions
    for test in _tests(kind, "actions/action_test.yaml", "discoveryTests"):
        assert {action["name"] for action in test["result"]} == actions


def test_both_kinds_have_one_notion_of_health() -> None:
    first, second = (script(kind, "health").read_text() for kind in KINDS)
    assert first == second


def test_nothing_of_the_example_goes_before_a_person_has_confirmed_it() -> None:
    """Neither what stands for something in the Platform, nor the Secrets that its deletion needs."""
    paths = sorted((ROOT / "deploy" / "argocd" / "example").glob("*.yaml"))
    objects = [obj for path in paths for obj in load_all(path.read_text())]
    assert {obj["kind"] for obj in objects} == {"Secret", *KINDS}
    for obj in objects:
        options = obj["metadata"]["annotations"]["argocd.argoproj.io/sync-options"].split(",")
        assert {"Prune=confirm", "Delete=confirm"} <= set(options), obj["kind"]


def test_the_applications_apply_and_compare_on_the_server() -> None:
    for path in sorted((ROOT / "deploy" / "argocd").glob("application-*.yaml")):
        application = load(path.read_text())
        assert "ServerSideApply=true" in application["spec"]["syncPolicy"]["syncOptions"]
        options = application["metadata"]["annotations"]["argocd.argoproj.io/compare-options"]
        assert options == "ServerSideDiff=true"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("return ('x'):upper()", "index a string value"),
        ("return string.format('%s', 1)", "nil value"),
        ("return os.date()", "nil value"),
        ("return require('io')", "no module io"),
        ("return python.eval('1')", "nil value"),
    ],
)
def test_a_script_that_needs_more_than_argo_cd_gives_fails_here_too(
    tmp_path: Path, source: str, complaint: str
) -> None:
    path = tmp_path / "health.lua"
    path.write_text(source)
    with pytest.raises(Exception, match=complaint):
        sandbox.health(path, {})


def test_an_empty_object_stays_an_object(tmp_path: Path) -> None:
    path = tmp_path / "action.lua"
    path.write_text("return obj")
    obj = {"metadata": {"labels": {}, "finalizers": []}, "spec": {"items": [{"a": {}}, {"b": 1}]}}
    assert json.dumps(sandbox.act(path, obj), sort_keys=True) == json.dumps(obj, sort_keys=True)


def test_the_config_map_has_each_script_unchanged() -> None:
    data = config_map()["data"]
    for kind in ALL_KINDS:
        assert data[f"resource.customizations.health.crmflow.io_{kind}"] == script(kind, "health").read_text()
    assert f"resource.customizations.actions.crmflow.io_{RUN}" not in data
    for kind in KINDS:
        actions = load(data[f"resource.customizations.actions.crmflow.io_{kind}"])
        assert actions["discovery.lua"] == script(kind, "actions/discovery").read_text()
        for definition in actions["definitions"]:
            expected = script(kind, f"actions/{definition['name']}/action").read_text()
            assert definition["action.lua"] == expected
