"""What the prefork server imports once, for all operators that it starts."""

import gc

from kubernetes.aio import client

import crmflow.__main__
import crmflow.runtime.app  # noqa: F401 - half of the CPU that a start takes

# The other half: these import hundreds of models as soon as they are used.
APIS = (client.CoordinationV1Api, client.CoreV1Api, client.CustomObjectsApi, client.EventsV1Api)

gc.collect()
gc.freeze()  # the collector would write to every object, and so copy the pages that are shared
