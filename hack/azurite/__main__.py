"""``python -m hack.azurite``: make sure that Azurite is there, and print the command that starts it."""

from __future__ import annotations

import shlex
import sys

from hack.azurite import azurite_command
from hack.console import ToolError, say


def main() -> int:
    """Print the command; a failure that the person can cure is printed without a stack trace."""
    try:
        print(shlex.join(azurite_command()))
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
