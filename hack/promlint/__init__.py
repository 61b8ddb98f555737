"""Prometheus' own parser of its text format and its own lint rules, built once from source."""

from hack.promlint.build import MODULE, find_promlint

__all__ = ["MODULE", "find_promlint"]
