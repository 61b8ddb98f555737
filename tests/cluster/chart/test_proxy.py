"""Behind a proxy with a certificate authority of its own: Zoho and Adobe through it, the API server never."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.kit.bench import Bench
from tests.kit.cluster import Cluster
from tests.kit.connect_proxy import ConnectProxy, authority
from tests.kit.pod import Pod
from tests.kit.release import emulated, installed
from tests.kit.tenant import Tenant

HOSTS = {
    "platform.adobe.io": "platformUrl",
    "ims-na1.adobelogin.com": "imsUrl",
    "accounts.zoho.eu": "zohoAccountsUrl",
    "www.zohoapis.eu": "zohoApiUrl",
}


@pytest.fixture
def proxy(bench: Bench) -> Iterator[ConnectProxy]:
    bench.emulators.control.reset()
    info = bench.emulators.info
    with ConnectProxy({host: info[key] for host, key in HOSTS.items()}) as running:
        yield running


def test_only_zoho_and_adobe_are_reached_through_it(
    bench: Bench, cluster: Cluster, namespace: str, proxy: ConnectProxy
) -> None:
    values = {
        **emulated(bench.emulators, bench.directory),
        "settings": {"pollInterval": "500ms"},  # and the real hosts
        "watchNamespaces": [namespace],
        "proxy": {"httpsProxy": proxy.url},
        "caBundle": {"existingConfigMap": "company-ca"},
    }
    with installed(bench.helm, bench.kubectl, values) as release:
        bundle = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": authority()}}
        cluster.create({**bundle, "metadata": {"name": "company-ca", "namespace": release.namespace}})
        name = f"{release.fullname}-{uuid.uuid4().hex[:5]}"
        pod = Pod(bench.kubectl, release.namespace, release.fullname, bench.directory, name)
        try:
            pod.start()
            pod.wait_ready()
            Tenant(cluster, bench.emulators, pod, namespace, lambda *_: None).make_ready()
        finally:
            pod.close()
    assert proxy.asked == {f"CONNECT {host}:443" for host in HOSTS}
