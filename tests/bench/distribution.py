"""How measurements are told: by their middle, their ends and their curve."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def distribution(values: Sequence[float]) -> Row:
    """Median, 99th percentile and the greatest, with the curve."""
    ordered = sorted(values)
    return {
        "median": statistics.median(ordered),
        "p99": ordered[max(0, math.ceil(len(ordered) * 0.99) - 1)],
        "worst": ordered[-1],
        "curve": curve(ordered),
    }


def curve(values: Sequence[float]) -> list[float]:
    """Up to 101 points of a distribution, from the least to the greatest."""
    ordered, most = sorted(values), len(values) - 1
    return [round(ordered[round(most * share / 100)], 3) for share in range(101)]
