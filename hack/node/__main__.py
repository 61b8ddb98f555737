"""``python -m hack.node``: make sure that the node's programs are there, and print their folder."""

from __future__ import annotations

import sys

from hack.console import ToolError, say
from hack.node import find_node


def main() -> int:
    """Print the folder; a failure that the person can cure is printed without a stack trace."""
    try:
        print(find_node())
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
