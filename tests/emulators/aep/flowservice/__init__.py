"""Flow Service: connections, flows, runs and their specs (platform.md 3 to 7)."""
