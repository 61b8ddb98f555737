"""``python -m tests.rights``: print each of the operator's rights with what fails without it."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from hack.console import ToolError, say
from hack.controlplane import ControlPlane, find_assets
from hack.emulators import Emulators
from hack.helm import Helm, find_helm
from hack.install import ROOT, install
from hack.kubectl import Kubectl
from tests.kit.bench import Bench
from tests.kit.cluster import Cluster
from tests.rights.trials import MODES, Trials, trials


def main() -> int:
    """Try every right in both modes; 0 if all are needed and none is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.rights", description=__doc__)
    parser.add_argument("--mode", choices=MODES, action="append", help="only this way of installing it")
    modes = parser.parse_args().mode or MODES
    try:
        return _try_all(modes, ROOT / "build" / "rights")
    except ToolError as error:
        say(f"error: {error}")
        return 1


def _try_all(modes: list[str], directory: Path) -> int:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    total = needed = forbidden = 0
    with ControlPlane(directory / "controlplane") as plane, Emulators(directory).running() as emulators:
        kubectl = Kubectl(find_assets().binary("kubectl"), plane.kubeconfig)
        install(kubectl)
        cluster = Cluster(plane.kubeconfig)
        helm = Helm(find_helm(), directory / "helm", plane.kubeconfig)
        bench = Bench(cluster, kubectl, helm, emulators, plane.audit_log, directory)
        for mode in modes:
            print(f"\nInstalled {mode}", flush=True)
            with trials(bench, mode) as release:
                forbidden += _whole(release)
                for permission in release.permissions:
                    total += 1
                    verdict = release.run(without=permission)
                    fails = verdict.failure and any(permission.covers(asked) for asked in verdict.forbidden)
                    needed += bool(fails)
                    print(f"{permission!s:75} {verdict.failure if fails else 'NOTHING FAILS'}", flush=True)
        cluster.close()
    print(f"\n{total} rules, {needed} needed, {forbidden} forbidden", flush=True)
    return 0 if (needed, forbidden) == (total, 0) else 1


def _whole(release: Trials) -> int:
    """How many requests are refused although nothing was taken away."""
    verdict = release.run()
    if verdict.failure is not None:
        raise ToolError(f"with all its rights: {verdict.failure}")
    for asked in verdict.forbidden:
        print(f"forbidden: {asked}")
    return len(verdict.forbidden)


if __name__ == "__main__":
    sys.exit(main())
