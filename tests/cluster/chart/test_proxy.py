"""Behind a proxy with a certificate authority of its own: Zoho and Adobe through it, the API server never."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.cluster.support.cluster import Cluster
from tests.cluster.support.connect_proxy import ConnectProxy, authority
from tests.cluster.support.pod import Pod
from tests.cluster.support.release import emulated, installed
from tests.cluster.support.world import World
from tests.rights.trials import Site

HOSTS = {
    "platform.adobe.io": "platformUrl",
    "ims-na1.adobelogin.com": "imsUrl",
    "accounts.zoho.eu": "zohoAccountsUrl",
    "www.zohoapis.eu": "zohoApiUrl",
}


@pytest.fixture
def proxy(site: Site) -> Iterator[ConnectProxy]:
    site.emulators.control.reset()
    info = site.emulators.info
    with ConnectProxy({host: info[key] for host, key in HOSTS.items()}) as running:
        yield running


def test_only_zoho_and_adobe_are_reached_through_it(
    site: Site, cluster: Cluster, namespace: str, proxy: ConnectProxy
) -> None:
    values = {
        **emulated(site.emulators, site.directory),
        "settings": {"pollInterval": "500ms"},  # and the real hosts
        "watchNamespaces": [namespace],
        "proxy": {"httpsProxy": proxy.url},
        "caBundle": {"existingConfigMap": "company-ca"},
    }
    with installed(site.helm, site.kubectl, values) as release:
        bundle = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": authority()}}
        cluster.create({**bundle, "metadata": {"name": "company-ca", "namespace": release.namespace}})
        name = f"{release.fullname}-{uuid.uuid4().hex[:5]}"
        pod = Pod(site.kubectl, release.namespace, release.fullname, site.directory, name)
        try:
            pod.start()
            pod.wait_ready()
            World(cluster, site.emulators, pod, namespace, lambda *_: None).make_ready()
        finally:
            pod.close()
    assert proxy.asked == {f"CONNECT {host}:443" for host in HOSTS}
