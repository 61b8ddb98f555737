"""Files with a credential are for their owner only, whatever was there before."""

from __future__ import annotations

import json
from pathlib import Path

from hack.kubeconfig import kubeconfig, write_private


def test_a_credential_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.touch(mode=0o644)
    write_private(path, "secret")
    assert path.read_text() == "secret"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_kubeconfig_selects_its_only_user() -> None:
    content = json.loads(kubeconfig({"server": "https://127.0.0.1:6443"}, user="admin", token="t"))
    assert content["current-context"] == content["contexts"][0]["name"]
    assert content["contexts"][0]["context"] == {"cluster": content["clusters"][0]["name"], "user": "admin"}
    assert content["users"] == [{"name": "admin", "user": {"token": "t"}}]
