"""``python -m hack.promlint``: make sure that Prometheus' parser is there, and print its path."""

from __future__ import annotations

import sys

from hack.console import ToolError, say
from hack.promlint import find_promlint


def main() -> int:
    """Print the path; a failure that the person can cure is printed without a stack trace."""
    try:
        print(find_promlint())
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
