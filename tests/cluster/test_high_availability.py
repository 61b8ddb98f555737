"""Two replicas: one works, the other takes over, and between them nothing is lost or made twice."""

from __future__ import annotations

import base64
import json
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hack import loopback
from hack.emulators import Emulators
from hack.install import NAMESPACE
from hack.kubeconfig import kubeconfig as make_kubeconfig
from hack.kubeconfig import write_private
from tests.faults.calls import KUBERNETES
from tests.faults.gate import Gate
from tests.faults.proxy import Proxies, Upstream
from tests.kit.cluster import Cluster
from tests.kit.operator import Operator
from tests.kit.tenant import CONNECTION, DATAFLOW, ONE_OF_EACH, Tenant

LEASE = "crmflow"
KILLED = 20
"""Seconds within which another replica leads after the leader died."""
RELEASED = 3
"""The same after it went in order."""


class Replica(Operator):
    """One of the two, told apart by the name of its Pod."""

    def __init__(self, name: str, directory: Path, kubeconfig: Path, settings: dict[str, str]) -> None:
        directory.mkdir()
        election = {
            "CRMFLOW_LEADER_ELECTION": "true",
            "CRMFLOW_POD_NAME": name,
            "CRMFLOW_POD_NAMESPACE": NAMESPACE,
        }
        super().__init__(directory, kubeconfig, {**settings, **election})
        self.name = name

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        text = loopback.get(f"{self.url}/metrics").text
        families = text_string_to_metric_families(text)
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)


class Pair:
    """The two replicas, and who of them leads."""

    def __init__(self, cluster: Cluster, leader: Replica, standby: Replica) -> None:
        self.cluster = cluster
        self.leader = leader
        self.standby = standby

    @property
    def holder(self) -> str:
        """The name of the Pod that holds the Lease."""
        lease = self.cluster.find("Lease", LEASE, NAMESPACE)
        return lease["spec"]["holderIdentity"].partition("_")[0] if lease else ""

    def start(self) -> None:
        """Both, the leader first."""
        self.leader.start()
        self.wait_leader(self.leader, 5)
        self.standby.start()

    def wait_leader(self, replica: Replica, seconds: float) -> None:
        """Wait until it holds the Lease and works."""
        until(lambda: self.holder == replica.name and replica.metric("crmflow_leader") == 1, seconds)


def until(done: Callable[[], bool], seconds: float) -> None:
    """Wait until ``done``."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def delay(tenant: Tenant, method: str, path: str, seconds: float) -> None:
    """Have Platform take its time for the next such request."""
    tenant.control.fault(service="platform", method=method, path=path, delay=seconds)


def wait_for_request(tenant: Tenant) -> None:
    """Wait until that request is under way."""
    until(lambda: not tenant.control.get("/faults")["faults"], 20)


@pytest.fixture
def pair(
    cluster: Cluster, emulators: Emulators, operator_identity: Path, namespace: str, tmp_path: Path
) -> Iterator[Pair]:
    """Two replicas that serve the test's namespace; not started yet."""
    if cluster.find("Lease", LEASE, NAMESPACE):
        cluster.delete("Lease", LEASE, NAMESPACE)
    settings = {**emulators.operator_settings(), "CRMFLOW_WATCH_NAMESPACES": namespace}
    replicas = [Replica(name, tmp_path / name, operator_identity, settings) for name in ("one", "two")]
    yield Pair(cluster, *replicas)
    for replica in replicas:
        replica.close()


@pytest.fixture
def tenant(
    cluster: Cluster,
    emulators: Emulators,
    pair: Pair,
    namespace: str,
    check_reconciled: Callable[..., None],
) -> Iterator[Tenant]:
    """A tenant whose operator is the pair."""
    tenant = Tenant(cluster, emulators, pair.leader, namespace, check_reconciled)
    yield tenant
    tenant.check()


def test_a_standby_is_ready_knows_everything_and_writes_nothing(tenant: Tenant, pair: Pair) -> None:
    pair.start()
    tenant.make_ready()
    tenant.edit(CONNECTION, displayName="Renamed")
    tenant.wait_ready(CONNECTION)
    tenant.wait_polls(2)
    assert pair.leader.metric("crmflow_leader") == 1
    assert pair.standby.metric("crmflow_leader") == 0
    assert pair.standby.answers("/readyz")
    assert pair.standby.answers("/healthz")
    assert pair.standby.metric("crmflow_objects") == 2
    for metric in (
        "crmflow_remote_calls_total",
        "crmflow_kubernetes_writes_total",
        "crmflow_workqueue_depth",
    ):
        assert pair.standby.metric(metric) == 0, metric


def test_after_a_kill_the_standby_takes_over(tenant: Tenant, pair: Pair) -> None:
    pair.start()
    tenant.make_ready()
    pair.leader.kill()
    tenant.edit(CONNECTION, displayName="Renamed meanwhile")
    pair.wait_leader(pair.standby, KILLED)
    tenant.wait_ready(CONNECTION)
    assert tenant.held("connections")[0]["name"].startswith("Renamed meanwhile [")
    assert tenant.counts() == ONE_OF_EACH


def test_after_an_orderly_end_the_standby_takes_over_at_once(tenant: Tenant, pair: Pair) -> None:
    pair.start()
    tenant.make_ready()
    assert pair.leader.stop() == 0
    assert pair.holder in ("", pair.standby.name)
    pair.wait_leader(pair.standby, RELEASED)
    tenant.apply_dataflow("second")
    tenant.cluster.wait_ready(DATAFLOW, "second", tenant.namespace)


@pytest.mark.parametrize("path", ["/connections$", "/flows$"])
def test_a_leader_that_freezes_during_a_create_doubles_and_loses_nothing(
    tenant: Tenant, pair: Pair, path: str
) -> None:
    for replica in (pair.leader, pair.standby):
        replica.settings["CRMFLOW_CREATE_GRACE"] = "3s"
    pair.start()
    delay(tenant, "POST", path, 1)
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.apply_dataflow()
    wait_for_request(tenant)
    pair.leader.signal(signal.SIGSTOP)

    pair.wait_leader(pair.standby, KILLED)
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)
    assert tenant.counts() == ONE_OF_EACH

    mark = tenant.mark()
    pair.leader.signal(signal.SIGCONT)
    assert pair.leader.wait_end() == 1
    assert "to stand by when it is started again" in pair.leader.log
    tenant.apply_dataflow("second")
    tenant.cluster.wait_ready(DATAFLOW, "second", tenant.namespace)
    assert tenant.counts() == {**dict.fromkeys(ONE_OF_EACH, 2), "connections": 1}
    assert not [call for call in tenant.calls_since(mark) if call["method"] == "DELETE"]


def test_what_a_frozen_leader_had_sent_does_not_undo_what_the_next_one_wrote(
    tenant: Tenant, pair: Pair
) -> None:
    """The request is so long on its way that the other has led for a while when it arrives."""
    pair.start()
    tenant.make_ready()
    delay(tenant, "PATCH", "/flows/", 2 * KILLED)
    tenant.edit(DATAFLOW, displayName="Sent by the first")
    wait_for_request(tenant)
    mark = tenant.mark()
    pair.leader.signal(signal.SIGSTOP)
    tenant.edit(DATAFLOW, displayName="Wanted now")
    pair.wait_leader(pair.standby, KILLED)
    tenant.wait_ready(DATAFLOW)

    def answers() -> list[int]:
        calls = (call for call in tenant.calls_since(mark) if call["method"] == "PATCH")
        return [call["status"] for call in calls if "/flows/" in call["path"]]

    until(lambda: len(answers()) == 2, 2 * KILLED)
    assert answers() == [200, 412]
    assert tenant.held("flows")[0]["name"].startswith("Wanted now [")
    pair.leader.signal(signal.SIGCONT)
    assert pair.leader.wait_end() == 1


def test_a_leader_whose_lease_is_taken_ends_at_once(tenant: Tenant, pair: Pair) -> None:
    pair.start()
    tenant.make_ready()
    pair.cluster.patch("Lease", LEASE, NAMESPACE, {"spec": {"holderIdentity": "somebody"}})
    assert pair.leader.wait_end(seconds=6) == 1
    pair.wait_leader(pair.standby, KILLED)


@pytest.fixture
def slow(pair: Pair, kubeconfig: Path, tmp_path: Path) -> Iterator[Proxies]:
    """The way to the API server of both replicas, which can be made slow."""
    admin = json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = base64.b64decode(admin["certificate-authority-data"]).decode()
    trust = ssl.create_default_context(cadata=authority)
    with Proxies({KUBERNETES: Upstream(admin["server"], trust)}, Gate(lambda _: None)) as proxies:
        user = json.loads(pair.leader.kubeconfig.read_text())["users"][0]
        through = tmp_path / "through.kubeconfig"
        cluster = proxies.cluster(KUBERNETES)
        write_private(through, make_kubeconfig(cluster, user["name"], user["user"]["token"]))
        pair.leader.kubeconfig = pair.standby.kubeconfig = through
        yield proxies


@pytest.mark.parametrize(
    ("seconds", "times"),
    [
        pytest.param(2.5, {}, id="by default"),
        pytest.param(
            7.0,
            {"CRMFLOW_LEASE_DURATION": "30s", "CRMFLOW_LEASE_RENEW_DEADLINE": "20s"},
            id="as slow as the settings allow",
        ),
    ],
)
def test_a_slow_api_server_has_one_leader_that_stays(
    tenant: Tenant, pair: Pair, slow: Proxies, seconds: float, times: dict[str, str]
) -> None:
    for replica in (pair.leader, pair.standby):
        replica.settings |= times
    pair.start()
    slow.delay = seconds
    renewals: set[str] = set()

    def renewed() -> bool:
        lease = pair.cluster.get("Lease", LEASE, NAMESPACE)
        assert pair.holder == pair.leader.name
        assert pair.leader.metric("crmflow_leader") == 1
        assert pair.standby.metric("crmflow_leader") == 0
        renewals.add(lease["spec"]["renewTime"])
        return len(renewals) >= 5  # more than the Lease's duration

    until(renewed, 60)
    slow.delay = 0.0
    tenant.make_ready()


def test_without_the_right_to_the_lease_it_says_so_and_is_not_ready(
    cluster: Cluster, pair: Pair, namespace: str
) -> None:
    pair.leader.settings["CRMFLOW_POD_NAMESPACE"] = namespace
    pair.leader.spawn()
    until(lambda: "leases" in pair.leader.log and not pair.leader.answers("/readyz"), 20)
    assert "403" in loopback.get(f"{pair.leader.url}/readyz").text


def test_the_pass_in_flight_ends_before_the_operator_does(tenant: Tenant, pair: Pair) -> None:
    pair.start()
    delay(tenant, "POST", "/connections$", 2)
    tenant.apply_secrets()
    tenant.apply_connection()
    wait_for_request(tenant)
    pair.standby.stop()
    assert pair.leader.stop() == 0
    assert tenant.get(CONNECTION)["status"]["baseConnection"]["id"] == tenant.held("connections")[0]["id"]
    assert "intents" not in tenant.get(CONNECTION)["status"]
    pair.leader.start()
    tenant.wait_ready(CONNECTION)
