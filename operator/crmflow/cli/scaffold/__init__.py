"""``kubectl crmflow new``: manifests that a person is to finish."""
