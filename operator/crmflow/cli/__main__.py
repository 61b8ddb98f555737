"""``kubectl-crmflow``, which kubectl runs as ``kubectl crmflow``."""

from __future__ import annotations

import sys
import traceback

from crmflow.cli.redacted import RedactedStream
from crmflow.environment import SettingError, ensure_home


def main() -> int:
    """Run the command; the status is 1 for what went wrong, 2 for a wrong command line, 130 for Ctrl-C."""
    ensure_home()
    # Before anything can fail: a traceback or a usage error may quote what was typed or received.
    sys.stderr = RedactedStream(sys.stderr)
    try:
        from crmflow.cli.main import app
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error}. Install the plugin with its libraries: pip install 'crmflow[cli]'\n")
        return 1
    try:
        app(prog_name="kubectl crmflow")  # leaves with its own status, unless what it ran raises
    except Exception as error:
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    from crmflow.cli.problem import Problem  # with the HTTP client, which --help does without
    from crmflow.http.errors import RemoteError

    if isinstance(error, SettingError):
        error = Problem(str(error))
    if isinstance(error, (Problem, RemoteError)):
        problem = Problem.of(error)
        sys.stderr.write(f"error: {problem.message}\n")
        if problem.advice:
            sys.stderr.write(f"{problem.advice}\n")
        return 1
    traceback.print_exception(error)
    sys.stderr.write("This is a mistake in kubectl-crmflow. Please report it with the lines above.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
