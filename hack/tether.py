"""Run a command that dies with the process that started it: ``python tether.py PARENT_PID COMMAND
ARGUMENT…``.

Linux sends the signal asked for with PR_SET_PDEATHSIG when the parent is gone, and keeps the request across
exec. A script of its own, because asking between fork and exec (``preexec_fn``) is unsafe in a process that
has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal, make sure the parent has not gone meanwhile, and become the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            sys.exit(f"{command[0]}: the process that wanted it is gone")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
