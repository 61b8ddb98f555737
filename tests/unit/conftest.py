"""How Hypothesis works in unit tests: a machine that is busy for a moment fails no test, and the examples are
the same in each run. Random search has targets of its own.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("crmflow", deadline=None, derandomize=True)
settings.load_profile("crmflow")
