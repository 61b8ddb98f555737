"""Random sequences of dataflows through the landing zone."""
