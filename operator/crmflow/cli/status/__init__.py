"""``kubectl crmflow status``: connections, their dataflows and the runs of these."""
