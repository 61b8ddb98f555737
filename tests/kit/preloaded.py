"""What the prefork server imports once, for all operators and commands that it starts."""

import gc
import importlib
import pkgutil

from kubernetes.aio import client

import crmflow.__main__
import crmflow.cli
import crmflow.runtime.app

# The other half: these import hundreds of models as soon as they are used.
APIS = (client.CoordinationV1Api, client.CoreV1Api, client.CustomObjectsApi, client.EventsV1Api)

# The plugin's commands import what they need when they run.
for module in pkgutil.walk_packages(crmflow.cli.__path__, "crmflow.cli."):
    importlib.import_module(module.name)

gc.collect()
gc.freeze()  # the collector would write to every object, and so copy the pages that are shared
