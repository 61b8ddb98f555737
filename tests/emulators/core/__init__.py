"""What both emulators stand on: clock, recorder, faults, listeners and the control API."""
