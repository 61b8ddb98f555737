"""``python -m hack.helm``: make sure that Helm is there, and print its path."""

from __future__ import annotations

import sys

from hack.console import ToolError, say
from hack.helm import find_helm


def main() -> int:
    """Print the path of Helm; a failure that the person can cure is printed without a stack trace."""
    try:
        print(find_helm())
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
