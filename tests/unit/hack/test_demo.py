"""The demo's manifests hold the emulators' seeded credentials, and each reading of a status is right."""

from __future__ import annotations

import yaml

from crmflow.clock import Clock
from hack.demo import story
from hack.install import ROOT
from tests.emulators.aep import seed_data
from tests.emulators.zoho.state import ZohoState, seeded_credentials


def test_the_secrets_are_the_seeded_ones() -> None:
    documents = yaml.safe_load_all((ROOT / "deploy" / "demo" / "2-secrets.yaml").read_text())
    values = {document["metadata"]["name"]: document["stringData"] for document in documents}
    zoho = seeded_credentials(ZohoState(Clock().now))
    assert values["zoho-oauth"] == {key: zoho[key] for key in ("clientId", "clientSecret", "refreshToken")}
    assert values["adobe-platform"] == {
        "clientId": seed_data.CLIENT_ID,
        "clientSecret": seed_data.CLIENT_SECRET,
    }


def test_both_ways_take_the_same_contacts() -> None:
    by_source, by_files = (
        yaml.safe_load((ROOT / "deploy" / "demo" / file).read_text())["spec"]
        for file in ("4-crmdataflow.yaml", "landing-zone/crmdataflow.yaml")
    )
    assert by_files.pop("transport") == "LandingZone"
    assert by_files.pop("displayName") != by_source.pop("displayName")
    assert by_files["target"].pop("dataset") != by_source["target"].pop("dataset")
    assert by_files == by_source


def test_ready_counts_only_for_the_current_generation() -> None:
    ready = {"type": "Ready", "status": "True", "observedGeneration": 1}
    resource = {"metadata": {"generation": 2}, "status": {"conditions": [ready]}}
    assert not story.is_ready(resource)
    ready["observedGeneration"] = 2
    assert story.is_ready(resource)
    ready["status"] = "False"
    assert not story.is_ready(resource)


def test_nothing_is_ready_before_its_first_status() -> None:
    assert not story.is_ready({"metadata": {"generation": 1}})


def test_a_run_counts_once_it_has_ended() -> None:
    run = {"id": "r", "state": "inProgress"}
    assert not story.has_finished_run({"status": {"lastRun": run}})
    assert story.has_finished_run({"status": {"lastRun": {**run, "completionTime": "2026-11-24T12:00:00Z"}}})


def test_files_count_as_ingested_once_a_run_that_has_ended_took_them() -> None:
    ended = {"id": "r", "state": "success", "completionTime": "2026-11-24T12:00:00Z"}
    complete = {"type": "IngestionComplete", "status": "Unknown"}
    status = {"lastRun": ended, "conditions": [complete]}
    assert not story.is_ingested({"status": status})
    complete["status"] = "True"
    assert story.is_ingested({"status": status})
    assert not story.is_ingested({"status": {**status, "lastRun": {"id": "r", "state": "inProgress"}}})
