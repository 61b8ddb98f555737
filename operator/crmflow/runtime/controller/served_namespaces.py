"""Which of the namespaces that the operator is to serve it can serve at present, and why not the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from crmflow.observability.metrics import Metrics
from crmflow.observability.redaction import sanitize

log = logging.getLogger("crmflow.served")

ALL = "*"
"""What stands for the namespace in metrics where the operator serves all of them."""


class Operation(StrEnum):
    """What the operator asks a namespace for; each may be refused by itself."""

    LIST = "list the resources"
    WATCH = "watch the resources"
    SECRETS = "read the Secrets"


def is_refusal(error: BaseException) -> bool:
    """True if the API server has answered, and will answer the same until somebody changes a right or the
    kinds: a fault of the one namespace that was asked for. Everything else is a fault of the API server.
    """
    return getattr(error, "status", None) in (403, 404)


class ServedNamespaces:
    """The namespaces, each with what is refused in it.

    A refusal is told once in the log and for as long as it lasts by a metric. What concerns one namespace
    never keeps another from being served.
    """

    def __init__(
        self, names: Sequence[str], metrics: Metrics, readable_again: Callable[[str | None], None]
    ) -> None:
        """``readable_again`` is told when nothing is refused any more."""
        self.names: Sequence[str | None] = tuple(names) or (None,)
        self._readable_again = readable_again
        self._refused: dict[str | None, dict[Operation, str]] = {name: {} for name in self.names}
        self._gauge = metrics.namespace_served
        for name in self.names:
            self._show(name)

    def note_allowed(self, name: str | None, asked: Operation) -> None:
        """The API server has answered what was asked."""
        if self._refused[name].pop(asked, None) is None:
            return
        self._show(name)
        if not self._refused[name]:
            log.info("%s is served again", _title(name))
            self._readable_again(name)

    def note_refused(self, name: str | None, asked: Operation, error: BaseException) -> None:
        """The API server has refused what was asked."""
        text = sanitize(str(error))
        before = self._refused[name].get(asked)
        self._refused[name][asked] = text
        self._show(name)
        if text != before:
            log.error(
                "%s is not served: the operator may not %s there. Check that the namespace exists, and that "
                "the rights that come with the installation are in it: it is served as soon as they are. "
                "The API server says: %s",
                _title(name),
                asked,
                text,
            )

    def refused(self, name: str | None) -> Mapping[Operation, str]:
        """What is refused in a namespace at present, and in which words."""
        return dict(self._refused[name])

    def sees(self, namespace: str) -> bool:
        """True if the resources of a namespace are known: it is one of those to be served, and can be."""
        name = namespace if self.names != (None,) else None
        return name in self._refused and self._resources_are_seen(name)

    @property
    def complete(self) -> bool:
        """True if every resource that there is can be seen."""
        return all(self._resources_are_seen(name) for name in self.names)

    @property
    def fault(self) -> str | None:
        """What is wrong if no namespace at all can be served; None while one can."""
        if any(self._resources_are_seen(name) for name in self.names):
            return None
        name = self.names[0]
        asked, text = next(iter(self._refused[name].items()))
        return f"a namespace that can be served: the operator may not {asked} in {_title(name)}: {text}"

    def _resources_are_seen(self, name: str | None) -> bool:
        return not self._refused[name].keys() & {Operation.LIST, Operation.WATCH}

    def _show(self, name: str | None) -> None:
        self._gauge.labels(name or ALL).set(not self._refused[name])


def _title(name: str | None) -> str:
    return f'namespace "{name}"' if name else "the cluster"
